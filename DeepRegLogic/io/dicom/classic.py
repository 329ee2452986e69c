"""Classic DICOM series, one image a file: a slice or a stack over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...cine import Cine
from ...errors import InputError
from ..formats import listing
from ..images import check_budget
from .clocks import clocks_of, cycle
from .pixels import decode, number, numbers, stored_bytes
from .series import SeriesInfo, dataset_of, readable
from .source import source_of
from .spacing import pixel_spacing
from .stack import COMPONENT, Slice, arrange

if TYPE_CHECKING:
    from pydicom import Dataset

_AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
_COMPONENTS = {"M": "magnitude", "P": "phase", "R": "real", "I": "imaginary"}
_COMPONENTS |= {word.upper(): word for word in (*_COMPONENTS.values(), "velocity")}


@dataclass(frozen=True)
class _Image:
    """What reading needs of one file of a classic series.

    Attributes
    ----------
    placed : whether it has a position in the patient.
    location : mm along the normal as SliceLocation tells it, or None.
    """

    path: Path
    uid: str
    slice: Slice
    placed: bool
    location: float | None
    stored: int
    notes: tuple[str, ...]


def _image(path: Path) -> _Image:
    with readable(path):
        header = dataset_of(path, pixels=False)
        _refuse_mosaic(header, path)
        position = numbers(header, "ImagePositionPatient", 3)
        orientation = numbers(header, "ImageOrientationPatient", 6)
        placed = position is not None and orientation is not None
        location = number(header, "SliceLocation")
        axes = orientation or _AXIAL
        if position is None or not placed:
            position = tuple((location or 0.0) * np.cross(axes[:3], axes[3:]))
        spacing, notes = pixel_spacing(header)
        return _Image(
            path,
            str(header.get("SOPInstanceUID", path)),
            Slice(
                label=f"'{path.name}'",
                size=(int(header.Columns), int(header.Rows)),
                spacing=spacing,
                depth=abs(number(header, "SpacingBetweenSlices") or number(header, "SliceThickness") or 0.0),
                position=position,
                orientation=axes,
                clocks=clocks_of(header),
                cycle=cycle(header),
                kinds=_kinds(header),
                part=str(header.get("SeriesInstanceUID", "")),
            ),
            placed,
            location,
            stored_bytes(header),
            notes,
        )


def _kinds(header: Dataset) -> dict[str, object]:
    """What else than its time may make an image another one of its place."""
    words = [str(word).upper() for word in (header.get("ImageType") or ())]
    components = sorted({_COMPONENTS[word] for word in words[2:] if word in _COMPONENTS})
    given = str(header.get("ComplexImageComponent") or "").upper()
    return {
        COMPONENT: _COMPONENTS.get(given, given) or ", ".join(components),
        "echo time": header.get("EchoTime"),
        "b-value": header.get("DiffusionBValue"),
        "tube voltage": header.get("KVP"),
    }


def _refuse_mosaic(header: Dataset, path: Path) -> None:
    """Siemens tiles all slices of a time point into one picture, whose places only its private header tells."""
    try:
        tiles = header.private_block(0x0019, "SIEMENS MR HEADER")[0x0A].value  # NumberOfImagesInMosaic
    except KeyError:
        tiles = 0
    count = int.from_bytes(tiles[:2], "little") if isinstance(tiles, bytes) else int(tiles or 0)
    words = [str(word).upper() for word in (header.get("ImageType") or ())]
    if "MOSAIC" in words or count > 1:
        raise InputError(
            f"'{path}' is a Siemens mosaic: the slices of a time point are tiles of one picture; turn the series into "
            "volumes first (dcm2niix does), and give those."
        )


def read_classic(info: SeriesInfo, name: str, memory_gb: float | None = None) -> Cine:
    """A cine of a series that has one image a file: one slice or a stack, every slice with all phases.

    Raises
    ------
    InputError : see ``stack.arrange``; also images of which only some have a position, or that cannot be decoded.
    MemoryBudgetError : more pixels than ``memory_gb``.
    """
    images = list({image.uid: image for image in map(_image, reversed(info.files))}.values())[::-1]
    notes = [note for image in images for note in image.notes]
    if len(images) < len(info.files):
        notes.append("Copies of the same image were left out.")
    notes += _unplaced(images, name)
    plan = arrange([image.slice for image in images], name)
    check_budget(name, sum(image.stored for image in images), memory_gb)
    pixels = []
    for image in images:
        values, extra = _pixels(image.path)
        pixels.append(values)
        notes += extra
    count, first = len(plan.order), images[plan.order[0, 0]]
    with readable(first.path):
        header = dataset_of(first.path, pixels=False)
        source = source_of(header, [(image.path, 0) for image in images], plan.order, first.slice.cycle)
    frames = np.stack([pixels[i] for i in plan.order.ravel()])
    return Cine(
        frames.reshape(count, *plan.grid.shape),
        plan.grid,
        plan.times,
        name=name,
        suffix=".dcm",
        notes=tuple(dict.fromkeys((*notes, *plan.notes))),
        source=source,
    )


def _unplaced(images: Sequence[_Image], name: str) -> list[str]:
    """What to say of images without a position in the patient."""
    lost = [image for image in images if not image.placed]
    if not lost:
        return []
    paths = [image.path for image in lost]
    if len(lost) < len(images):
        raise InputError(f"Some images of '{name}' have no position in the patient: {listing(paths)}; take them out.")
    somewhere = [image.path for image in lost if image.location is not None]
    if not somewhere:
        return ["The images have no position in the patient; they were taken as one slice over time."]
    if len(somewhere) < len(lost):
        missing = [path for path in paths if path not in somewhere]
        raise InputError(f"Some images of '{name}' have no slice location: {listing(missing)}; take them out.")
    return ["The images have no position in the patient; their slices are in the order of the slice location."]


def _pixels(path: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    with readable(path):
        dataset = dataset_of(path)
        values, notes = decode(dataset, path)
        return values.reshape(int(dataset.Rows), int(dataset.Columns)), notes
