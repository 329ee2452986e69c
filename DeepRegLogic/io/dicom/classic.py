"""Classic DICOM series, one image a file: a slice or a stack over time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...cine import Cine
from ...errors import InputError
from ..formats import listing
from ..images import check_budget
from .pixels import decode, number, numbers, stored_bytes
from .series import SeriesInfo, readable, seconds
from .spacing import pixel_spacing
from .stack import Slice, arrange


@dataclass(frozen=True)
class _Image:
    """What reading needs of one file of a classic series."""

    path: Path
    uid: str
    slice: Slice
    placed: bool
    stored: int
    notes: tuple[str, ...]


def _image(path: Path) -> _Image:
    from pydicom import dcmread

    with readable(path):
        header = dcmread(path, stop_before_pixels=True)
        position, orientation = (
            numbers(header, "ImagePositionPatient", 3),
            numbers(header, "ImageOrientationPatient", 6),
        )
        placed = position is not None and orientation is not None
        if position is None or orientation is None:
            position, orientation = (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
        spacing, notes = pixel_spacing(header)
        return _Image(
            path,
            str(header.get("SOPInstanceUID", path)),
            Slice(
                label=f"'{path.name}'",
                size=(int(header.Columns), int(header.Rows)),
                spacing=spacing,
                depth=number(header, "SpacingBetweenSlices") or number(header, "SliceThickness") or 0.0,
                position=position,
                orientation=orientation,
                delay=number(header, "TriggerTime"),
                index=number(header, "TemporalPositionIdentifier"),
                clock=seconds(header.get("AcquisitionTime")),
                number=number(header, "InstanceNumber"),
            ),
            placed,
            stored_bytes(header),
            notes,
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
    lost = [image.path for image in images if not image.placed]
    if lost and len(lost) < len(images):
        raise InputError(f"Some images of '{name}' have no position in the patient: {listing(lost)}; take them out.")
    if lost:
        notes.append("The images have no position in the patient; they were taken as one slice over time.")
    plan = arrange([image.slice for image in images], name)
    check_budget(name, sum(image.stored for image in images), memory_gb)
    pixels = []
    for image in images:
        values, extra = _pixels(image.path)
        pixels.append(values)
        notes += extra
    count = len(plan.order)
    frames = np.stack([pixels[i] for i in plan.order.ravel()])
    return Cine(
        frames.reshape(count, *plan.grid.shape),
        plan.grid,
        plan.times,
        name=name,
        suffix=".dcm",
        notes=tuple(dict.fromkeys((*notes, *plan.notes))),
    )


def _pixels(path: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    from pydicom import dcmread

    with readable(path):
        dataset = dcmread(path)
        values, notes = decode(dataset, path)
        return values.reshape(int(dataset.Rows), int(dataset.Columns)), notes
