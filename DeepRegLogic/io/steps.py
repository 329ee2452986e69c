"""What the headers of image files say themselves of the step from frame to frame: ITK puts 1 where there is none."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, cast

import numpy as np

from .formats import PAIRS, suffix_of

NIFTI = (".nii", ".nii.gz", *PAIRS)
_HEADER = 1 << 20
_NIFTI_BYTES = {2: 1, 4: 2, 8: 4, 16: 4, 64: 8, 128: 3, 256: 1, 512: 2, 768: 4, 1024: 8, 1280: 8, 2304: 4, 32: 8}
"""Of a pixel, by the code of its type."""
_NIFTI_UNITS = {8: "s", 16: "ms", 24: "us"}


@dataclass(frozen=True)
class NiftiHeader:
    """What ITK does not tell of a NIfTI-1, NIfTI-2 or Analyze header.

    Attributes
    ----------
    size : along all axes.
    dtype : of the pixels where they are floating point, else None.
    bytes_each : of a pixel, by its type.
    start : byte at which the pixels begin.
    step : along the fourth axis, in ``unit`` ("" where the header gives none).
    """

    size: tuple[int, ...]
    dtype: np.dtype | None
    bytes_each: int
    start: int
    step: float
    unit: str


def unzipped(path: Path) -> BinaryIO:
    """A file opened for reading, through gzip where it is zipped."""
    with open(path, "rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    return cast(BinaryIO, gzip.open(path)) if zipped else open(path, "rb")


def nifti_files(path: Path) -> tuple[Path, Path]:
    """The file of the header and that of the pixels: one, or a pair of .hdr and .img, each of them zipped or not."""
    suffix = suffix_of(path)
    if suffix not in PAIRS:
        return path, path
    stem, zipped = path.name[: -len(suffix)], suffix.endswith(".gz")
    upper = path.name[len(stem) + 1].isupper()

    def one(kind: str) -> Path:
        kind = kind.upper() if upper else kind
        names = [f"{stem}.{kind}{end}" for end in ((".gz", "") if zipped else ("", ".gz"))]
        files = [path.with_name(name) for name in names]
        return next((file for file in files if file.is_file()), files[0])

    return one("hdr"), one("img")


def nifti_header(path: Path) -> NiftiHeader:
    """The header in ``path``; OSError, EOFError, ValueError or struct.error where there is none."""
    with unzipped(path) as file:
        head = file.read(540)
    order = "<" if struct.unpack("<i", head[:4])[0] in (348, 540) else ">"

    def values(kinds: str, place: int) -> tuple:  # type: ignore[type-arg]  # numbers of several types
        return struct.unpack_from(order + kinds, head, place)

    if values("i", 0)[0] == 540:
        (kind,), dims, start = values("h", 12), values("8q", 16), values("q", 168)[0]
        step, unit = values("8d", 104)[4], values("i", 500)[0]
    else:
        (kind,), dims, start = values("h", 70), values("8h", 40), values("f", 108)[0]
        step, unit = values("8f", 76)[4], head[123] if head[344:346] in (b"n+", b"ni") else 0
    dtype = {16: np.dtype(order + "f4"), 64: np.dtype(order + "f8")}.get(kind)
    size = tuple(max(n, 1) for n in dims[1 : dims[0] + 1])
    if not size or kind not in _NIFTI_BYTES or not 0 <= start < 1 << 40:
        raise ValueError("a header that no file has")
    return NiftiHeader(size, dtype, _NIFTI_BYTES[kind], int(start), float(step), _NIFTI_UNITS.get(unit & 0x38, ""))


def stored_step(path: Path, axis: int) -> tuple[float | None, str | None]:
    """The step along an axis of the file, None where the header gives none above 0; and NIfTI's unit of it, or None."""
    suffix, unit, step = suffix_of(path), None, float("nan")
    try:
        if suffix in NIFTI:
            header = nifti_header(nifti_files(path)[0])
            step, unit = header.step, header.unit
        elif suffix in (".mha", ".mhd"):
            step = _nth(_text_field(path, "ElementSpacing") or _text_field(path, "ElementSize"), axis)
        elif suffix.endswith((".nrrd", ".nhdr")):
            step = _nrrd_step(path, axis)
        else:
            return 1.0, None
    except (OSError, EOFError, ValueError, IndexError, struct.error):
        pass
    return (step if np.isfinite(step) and step > 0 else None), unit


@contextmanager
def openable(path: Path) -> Iterator[Path]:
    """The file, or for as long as the context lasts a copy whose fourth axis has a step of 1 instead of 0 or NaN.

    ITK does not open MetaImage and NRRD files with such a step, which stands for times that are not known. Pixels in
    files of their own stay where they are.
    """
    name, data = (b"spacings", b"data file") if suffix_of(path).endswith(("nrrd", "nhdr")) else _META_FIELDS
    found = _field(path, name) if suffix_of(path) in _LINES else None
    steps = found.group(2).split() if found else []
    if len(steps) != 4 or _positive(steps[3]):
        yield path
        return
    with open(path, "rb") as file, TemporaryDirectory() as folder:
        head = file.read(_HEADER)
        patched = _pattern(name).sub(lambda m: m.group(1) + b" ".join([*steps[:3], b"1"]), head, count=1)
        file_name = _field(path, data)
        if file_name and file_name.group(2).strip().upper() not in (b"LOCAL", b"LIST"):
            beside = os.fsencode(path.resolve().parent / os.fsdecode(file_name.group(2).strip()))
            patched = _pattern(data).sub(lambda m: m.group(1) + beside, patched, count=1)
        copy = Path(folder, path.name)
        with open(copy, "wb") as out:
            out.write(patched)
            shutil.copyfileobj(file, out)
        yield copy


_META_FIELDS = (b"ElementSpacing", b"ElementDataFile")
_LINES = (".mha", ".mhd", ".nrrd", ".nhdr", ".seq.nrrd")


def _pattern(name: bytes) -> re.Pattern[bytes]:
    return re.compile(rb"^(" + name + rb"[ \t]*[:=][ \t]*)([^\r\n]*)", re.MULTILINE | re.IGNORECASE)


def _field(path: Path, name: bytes) -> re.Match[bytes] | None:
    """A field of a header of lines: what stands before its value, and its value."""
    with open(path, "rb") as file:
        text = file.read(_HEADER)
    if suffix_of(path).endswith(("nrrd", "nhdr")):
        text = re.split(rb"\r?\n\r?\n", text, maxsplit=1)[0]
    return _pattern(name).search(text)


def _positive(word: bytes) -> bool:
    try:
        return 0 < float(word) < float("inf")
    except ValueError:
        return True


def _text_field(path: Path, name: str) -> str:
    """The value of a field of a header of lines, "" where there is none."""
    found = _field(path, name.encode())
    return found.group(2).decode("latin-1").strip() if found else ""


def _nth(values: str, axis: int) -> float:
    return float(values.split()[axis])


def _nrrd_step(path: Path, axis: int) -> float:
    spacings = _text_field(path, "spacings")
    if spacings:
        return _nth(spacings, axis)
    vectors = re.findall(r"none|\([^)]*\)", _text_field(path, "space directions"))
    if vectors[axis] == "none":
        return float("nan")
    return float(np.linalg.norm([float(value) for value in vectors[axis].strip("()").split(",")]))
