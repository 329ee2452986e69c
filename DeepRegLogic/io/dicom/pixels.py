"""Values and pixels out of a DICOM dataset, in the type that loses nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...errors import InputError
from ..formats import luminance
from ..guard_dicom import check_left_over

if TYPE_CHECKING:
    from pydicom import Dataset

# transfer syntaxes (their UIDs begin so) and the package that decodes them
_DECODERS = (
    ("1.2.840.10008.1.2.4.50", "pillow"),
    ("1.2.840.10008.1.2.4.51", "pillow"),
    ("1.2.840.10008.1.2.4.57", "pylibjpeg-libjpeg"),
    ("1.2.840.10008.1.2.4.70", "pylibjpeg-libjpeg"),
    ("1.2.840.10008.1.2.4.8", "pyjpegls"),
    ("1.2.840.10008.1.2.4.9", "pylibjpeg-openjpeg"),
    ("1.2.840.10008.1.2.4.20", "pylibjpeg-openjpeg"),
)
# what pydicom 3 and 2.4 say where no decoder is installed
_CANNOT_DECODE = (
    "missing dependencies",
    "missing required dependencies",
    "Unable to decompress",
    "no available",
    "no pixel data handlers",
)


def numbers(header: Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    """The ``count`` finite numbers of an element, None where it is missing or holds something else."""
    value = header.get(keyword)
    try:
        values = tuple(float(v) for v in (value if count > 1 else [value]))
    except (TypeError, ValueError):
        return None
    return values if len(values) == count and np.isfinite(values).all() else None


def number(header: Dataset, keyword: str) -> float | None:
    """The finite number of an element, None where it is missing or holds something else."""
    values = numbers(header, keyword, 1)
    return None if values is None else values[0]


def stored_bytes(header: Dataset) -> int:
    """Size of all pixels in bytes, decoded, as the header tells it."""
    count = number(header, "Rows") or 0
    for keyword in ("Columns", "NumberOfFrames", "SamplesPerPixel"):
        count *= number(header, keyword) or 1
    return int(count * (number(header, "BitsAllocated") or 8) / 8)


def rescale(pixels: np.ndarray, slope: float, intercept: float) -> np.ndarray:
    """``slope * pixels + intercept``: unchanged where that changes nothing, integers where they do, else float32."""
    if slope == 1 and intercept == 0:
        return pixels
    if slope.is_integer() and intercept.is_integer() and pixels.dtype.kind in "ui":
        values = pixels.astype(np.int64) * int(slope) + int(intercept)
        low, high = int(values.min()), int(values.max())
        for dtype in (np.int16, np.int32, np.int64):
            if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
                return values.astype(dtype)
    return (pixels * np.float64(slope) + intercept).astype(np.float32)


def decode(dataset: Dataset, path: Path, apply_scale: bool = True) -> tuple[np.ndarray, tuple[str, ...]]:
    """The pixels ``[(frames,) rows, columns]`` as grey values, rescaled to the header's unit, and notes.

    Raises
    ------
    InputError : no pixels, a file cut short, or a compression that needs a package which is not installed.
    """
    notes: tuple[str, ...] = ()
    decoded = _decoded()
    try:
        check_left_over(dataset, path, stored_bytes(dataset))
        values = decoded(dataset)
    except InputError:
        raise
    except Exception as error:  # decoders raise almost anything on damaged data
        raise InputError(_why(dataset, path, error)) from error
    if number(dataset, "SamplesPerPixel") == 3 or dataset.get("PhotometricInterpretation") == "PALETTE COLOR":
        values = luminance(values)
        notes = ("Colour was turned into luminance (ITU-R BT.601).",)
    if apply_scale:
        slope, intercept = number(dataset, "RescaleSlope"), number(dataset, "RescaleIntercept")
        values = rescale(values, 1.0 if slope is None else slope, intercept or 0.0)
    return values, notes


def _decoded() -> Callable[[Dataset], np.ndarray]:
    """What decodes all pixels of a dataset, colours as RGB: by pydicom 3, or by 2.4, which Slicer 5.10 has.

    Raises
    ------
    ImportError : pydicom is neither.
    """
    try:
        from pydicom.pixels import apply_color_lut, pixel_array
    except ImportError:
        return _decoded_by_2_4()

    def decoded(dataset: Dataset) -> np.ndarray:
        values = pixel_array(dataset)
        return apply_color_lut(values, dataset) if _kind(dataset) == "PALETTE COLOR" else values

    return decoded


def _decoded_by_2_4() -> Callable[[Dataset], np.ndarray]:
    from pydicom.pixel_data_handlers.util import apply_color_lut, convert_color_space

    def decoded(dataset: Dataset) -> np.ndarray:
        values, kind = dataset.pixel_array, _kind(dataset)
        if kind in ("YBR_FULL", "YBR_FULL_422"):  # from 3 on pydicom does this by itself
            return convert_color_space(values, kind, "RGB")
        return apply_color_lut(values, dataset) if kind == "PALETTE COLOR" else values

    return decoded


def _kind(dataset: Dataset) -> str:
    return str(dataset.get("PhotometricInterpretation"))


def _why(dataset: Dataset, path: Path, error: Exception) -> str:
    if "PixelData" not in dataset:
        return f"'{path}' holds no pixels, or is cut short before them."
    syntax = dataset.file_meta.get("TransferSyntaxUID", "")
    text = str(error)
    if any(words in text for words in _CANNOT_DECODE):
        package = next((package for uid, package in _DECODERS if str(syntax).startswith(uid)), None)
        way = f"install the Python package {package}" if package else "convert it to an uncompressed transfer syntax"
        return f"'{path}' is compressed as '{getattr(syntax, 'name', syntax)}', which cannot be decoded here; {way}."
    return f"The pixels of '{path}' are damaged or cut short; copy the file again."
