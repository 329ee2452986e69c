"""The motion-compensated cine as a derived series: the source's own objects with other pixels."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...errors import InputError
from ...io.dicom.pixels import number
from ..results import Results
from .identity import MAKER, MODEL, TYPE_2, Identity, reference

if TYPE_CHECKING:
    from pydicom import Dataset

_DROPPED = (
    "SmallestImagePixelValue", "LargestImagePixelValue", "PixelPaddingValue", "PixelPaddingRangeLimit",
    "LossyImageCompressionRatio", "LossyImageCompressionMethod", "IconImageSequence", "PixelDataProviderURL",
    "ModalityLUTSequence", "VOILUTSequence", "DigitalSignaturesSequence", "MACParametersSequence",
    "PlanarConfiguration", "ReferencedImageSequence",
)  # fmt: skip


def compensated(results: Results, identity: Identity) -> Iterator[Callable[[], Dataset]]:
    """Every file of the source once, its images brought onto the reference frame.

    Raises
    ------
    InputError : a file holds other frames than those of the cine.
    """
    by_file: dict[Path, dict[int, tuple[int, int]]] = {}
    for t, images in enumerate(identity.source.images):
        for k, (path, n) in enumerate(images):
            by_file.setdefault(path, {})[n] = (t, k)
    values = results.compensated.reshape(len(results.motion), -1, *results.motion.grid.shape[-2:])
    for order, (path, places) in enumerate(by_file.items()):
        header = identity.headers[path]
        if sorted(places) != list(range(int(header.get("NumberOfFrames") or 1))):
            raise InputError(f"'{path}' holds more images than the cine: a derived file would not be whole.")
        pixels = np.stack([values[places[n]] for n in sorted(places)])
        yield partial(_derived, header, pixels, identity, order, results.motion.reference)


def _derived(header: Dataset, pixels: np.ndarray, identity: Identity, order: int, frame: int) -> Dataset:
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    new = copy.deepcopy(header)
    new.remove_private_tags()
    for element in list(new):
        if element.tag.element == 0 or element.keyword in _DROPPED or element.tag.group in (0x0032, 0x0060):
            del new[element.tag]
    series = identity.series("compensated")
    new.SOPInstanceUID = identity.uid("compensated", order)
    new.SeriesInstanceUID, new.SeriesNumber = series["series_instance_uid"], series["series_number"]
    name = str(header.get("SeriesDescription") or "").strip()
    new.SeriesDescription = f"{name} motion compensated".strip()[:64]
    new.ImageType = ["DERIVED", "SECONDARY", *list(header.get("ImageType") or [])[2:]]
    new.DerivationDescription = f"Brought onto frame {frame} by the motion found from these images ({MODEL}, {MAKER})"
    new.SourceImageSequence = [reference(header)]
    new.DerivationCodeSequence = [_resampled()]
    for keyword in (*TYPE_2, "Laterality"):
        if keyword not in new:
            setattr(new, keyword, "")
    identity.date(new)
    _put(new, pixels)
    new.file_meta = FileMetaDataset()
    new.file_meta.MediaStorageSOPClassUID, new.file_meta.MediaStorageSOPInstanceUID = (
        new.SOPClassUID,
        new.SOPInstanceUID,
    )
    new.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return new


def _resampled() -> Dataset:
    from pydicom import Dataset

    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "113085", "DCM", "Spatial resampling"
    return item


def _put(new: Dataset, values: np.ndarray) -> None:
    """Values ``[frames, rows, columns]`` as stored pixels of 16 bits; each frame keeps the source's rule of scaling."""
    groups = list(new.get("PerFrameFunctionalGroupsSequence") or [new] * len(values))
    shared = (new.get("SharedFunctionalGroupsSequence") or [new])[0]
    rules = [_rule(group, shared, new) for group in groups]
    signed = int(new.PixelRepresentation) == 1
    bits = 16 if int(new.BitsAllocated) <= 16 else 32
    limits = np.iinfo(np.dtype(f"<{'i' if signed else 'u'}{bits // 8}"))
    stored = np.stack([np.rint((image - shift) / slope) for image, (slope, shift) in zip(values, rules, strict=True)])
    pixels = np.clip(stored, limits.min, limits.max).astype(limits.dtype.newbyteorder("<"))
    new.SamplesPerPixel, new.PhotometricInterpretation = 1, _grey(new)
    new.BitsAllocated = new.BitsStored = bits
    new.HighBit = bits - 1
    new.PixelData = pixels.tobytes()
    new["PixelData"].VR = "OW"


def _grey(new: Dataset) -> str:
    """Bright is high, as the pixels of a cine are, unless the values themselves run the other way."""
    return "MONOCHROME1" if new.get("PhotometricInterpretation") == "MONOCHROME1" else "MONOCHROME2"


def _rule(group: Dataset, shared: Dataset, new: Dataset) -> tuple[float, float]:
    """Slope and intercept of a frame."""
    for place in (group, shared):
        if sequence := place.get("PixelValueTransformationSequence"):
            return number(sequence[0], "RescaleSlope") or 1.0, number(sequence[0], "RescaleIntercept") or 0.0
    return number(new, "RescaleSlope") or 1.0, number(new, "RescaleIntercept") or 0.0
