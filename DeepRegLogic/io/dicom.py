"""DICOM files: which series a folder holds, and cines of classic series (one image a file)."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..cine import Cine
from ..errors import InputError, RegistrationError
from .images import check_budget
from .names import listing, natural
from .pixels import decode, number, numbers, stored_bytes
from .spacing import pixel_spacing
from .stack import Slice, arrange

if TYPE_CHECKING:
    from pydicom import Dataset


@dataclass(frozen=True)
class SeriesInfo:
    """A DICOM series in a folder.

    Attributes
    ----------
    uid : its SeriesInstanceUID, which ``read_cine(folder, series=uid)`` takes.
    description, modality : as the header has them, "" where it has not.
    size : columns and rows of its first image.
    images : number of images: files, or frames of multi-frame files.
    multiframe : whether its files hold many frames each, rather than one image.
    files : its files, in natural order of their names.
    """

    uid: str
    description: str
    modality: str
    size: tuple[int, int]
    images: int
    multiframe: bool
    files: tuple[Path, ...]

    def __str__(self) -> str:
        words = f"'{self.description}', " if self.description else ""
        return f"{self.uid} ({self.modality or 'DICOM'}, {words}{self.images} images of {self.size[0]}x{self.size[1]})"


def is_dicom(path: Path) -> bool:
    """Whether the file has DICOM's mark after its preamble."""
    try:
        with open(path, "rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Reading of one DICOM file: broken rules (invalid dates, UIDs) are no matter, real damage is a sentence.

    Raises
    ------
    InputError : anything that goes wrong inside, since a damaged file makes pydicom raise almost anything, also when
        a value is looked at for the first time.
    """
    from pydicom import config

    logger = logging.getLogger("pydicom")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with config.disable_value_validation(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (RegistrationError, MemoryError):
        raise
    except Exception as error:
        raise damaged(path) from error
    finally:
        logger.setLevel(level)


def damaged(path: Path) -> InputError:
    """The error of a DICOM file that cannot be understood."""
    return InputError(f"'{path}' cannot be read as DICOM: the file is damaged or cut short.")


def is_enhanced(header: Dataset) -> bool:
    """Whether the frames of the file have positions of their own (Enhanced MR, CT, PET, US volumes; not X-ray)."""
    kind = getattr(header.get("SOPClassUID"), "name", "")
    return "Enhanced" in kind and header.get("Modality") not in ("XA", "RF")


def find_dicom(folder: Path) -> list[Path]:
    """The DICOM files in ``folder`` and the folders below it, in natural order; hidden ones are passed over."""
    found = [
        path
        for path in folder.rglob("*")
        if path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.name.upper() != "DICOMDIR"
        and is_dicom(path)
    ]
    return sorted(found, key=lambda path: [natural(Path(part)) for part in path.relative_to(folder).parts])


def list_series(folder: str | Path) -> tuple[SeriesInfo, ...]:
    """The DICOM image series in a folder and the folders below it, in the order of their numbers.

    Raises
    ------
    InputError : no such folder, or a damaged file.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise InputError(f"There is no folder '{folder}'.")
    return series_of(find_dicom(folder))


def series_of(paths: Sequence[Path]) -> tuple[SeriesInfo, ...]:
    """The image series that some DICOM files belong to."""
    from pydicom import dcmread

    found: dict[str, list[tuple[float, SeriesInfo]]] = {}
    for path in paths:
        with readable(path):
            header = dcmread(path, stop_before_pixels=True)
            if number(header, "Rows") and number(header, "Columns"):
                count = int(number(header, "NumberOfFrames") or 1)
                info = SeriesInfo(
                    uid=str(header.get("SeriesInstanceUID", "")),
                    description=str(header.get("SeriesDescription", "") or "").strip(),
                    modality=str(header.get("Modality", "") or ""),
                    size=(int(header.Columns), int(header.Rows)),
                    images=count,
                    multiframe=count > 1 or is_enhanced(header),
                    files=(path,),
                )
                found.setdefault(info.uid, []).append((number(header, "SeriesNumber") or 0.0, info))
            elif "Image" in getattr(header.file_meta.get("MediaStorageSOPClassUID"), "name", "Image"):
                raise damaged(path)
    return tuple(
        replace(
            members[0][1],
            images=sum(info.images for _, info in members),
            multiframe=any(info.multiframe for _, info in members),
            files=tuple(info.files[0] for _, info in members),
        )
        for members in sorted(found.values(), key=lambda members: members[0][0])
    )


def choose_series(available: Sequence[SeriesInfo], series: str | None, name: str) -> SeriesInfo:
    """The series of that UID, or the only one.

    Raises
    ------
    InputError : none, several, or none of that UID; the sentence lists what there is.
    """
    if not available:
        raise InputError(f"'{name}' holds no DICOM images.")
    names = "; ".join(str(info) for info in available[:20])
    if series is None:
        if len(available) > 1:
            raise InputError(f"'{name}' holds {len(available)} DICOM series; choose one by its UID: {names}.")
        return available[0]
    for info in available:
        if info.uid == series:
            return info
    raise InputError(f"'{name}' holds no series {series}; it holds: {names}.")


def seconds(text: object) -> float | None:
    """A DICOM time (HHMMSS.F) or date-time (YYYYMMDDHHMMSS.F) in seconds, None where it is neither."""
    digits = re.fullmatch(r"(\d{8})?(\d\d)(\d\d)(\d\d(?:\.\d*)?)(?:[+-]\d{4})?", str(text or "").strip())
    if digits is None:
        return None
    date, hours, minutes, rest = digits.groups()
    try:
        days = datetime.strptime(date, "%Y%m%d").toordinal() if date else 0
    except ValueError:
        days = 0
    return days * 86400.0 + int(hours) * 3600.0 + int(minutes) * 60.0 + float(rest)


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
        spacing, notes = pixel_spacing(header)
        return _Image(
            path,
            str(header.get("SOPInstanceUID", path)),
            Slice(
                label=f"'{path.name}'",
                size=(int(header.Columns), int(header.Rows)),
                spacing=spacing,
                depth=number(header, "SpacingBetweenSlices") or number(header, "SliceThickness") or 0.0,
                position=position if placed else (0.0, 0.0, 0.0),
                orientation=orientation if placed else (1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
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
