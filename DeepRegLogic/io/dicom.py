"""DICOM files: which series a folder holds, and cines of classic series (one image a file)."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..cine import Cine
from ..errors import InputError
from .images import check_budget
from .names import listing, natural
from .pixels import decode, number, numbers, stored_bytes
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
    files : its files, in natural order of their names.
    """

    uid: str
    description: str
    modality: str
    size: tuple[int, int]
    images: int
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
def lenient() -> Iterator[None]:
    """Values that break DICOM's rules (invalid dates, UIDs, numbers) are read as they are, without a word."""
    from pydicom import config

    logger = logging.getLogger("pydicom")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with config.disable_value_validation(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def read_dataset(path: Path, pixels: bool = True) -> Dataset:
    """One DICOM file; call it, and use what it returns, inside ``lenient()``.

    Raises
    ------
    InputError : the file cannot be read as DICOM.
    """
    from pydicom import dcmread

    try:
        return dcmread(path, stop_before_pixels=not pixels)
    except Exception as error:  # a damaged file makes pydicom raise almost anything
        raise InputError(f"'{path}' cannot be read as DICOM: the file is damaged or cut short.") from error


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
    found: dict[str, list[tuple[Path, Dataset]]] = {}
    with lenient():
        for path in paths:
            header = read_dataset(path, pixels=False)
            if number(header, "Rows") and number(header, "Columns"):
                found.setdefault(str(header.get("SeriesInstanceUID", "")), []).append((path, header))
            elif "Image" in getattr(header.file_meta.get("MediaStorageSOPClassUID"), "name", "Image"):
                raise InputError(f"'{path}' cannot be read as DICOM: the file is damaged or cut short.")
        order = sorted(found.items(), key=lambda item: number(item[1][0][1], "SeriesNumber") or 0)
        return tuple(
            SeriesInfo(
                uid,
                str(members[0][1].get("SeriesDescription", "") or "").strip(),
                str(members[0][1].get("Modality", "") or ""),
                (int(members[0][1].Columns), int(members[0][1].Rows)),
                sum(int(number(header, "NumberOfFrames") or 1) for _, header in members),
                tuple(path for path, _ in members),
            )
            for uid, members in order
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


def _slice(path: Path, header: Dataset, position_known: bool) -> Slice:
    orientation = numbers(header, "ImageOrientationPatient", 6) or (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    spacing = numbers(header, "PixelSpacing", 2) or numbers(header, "ImagerPixelSpacing", 2) or (1.0, 1.0)
    return Slice(
        label=f"'{path.name}'",
        size=(int(header.Columns), int(header.Rows)),
        spacing=(spacing[1], spacing[0]),
        depth=number(header, "SpacingBetweenSlices") or number(header, "SliceThickness") or 0.0,
        position=(numbers(header, "ImagePositionPatient", 3) or (0.0, 0.0, 0.0)) if position_known else (0.0, 0.0, 0.0),
        orientation=orientation,
        delay=number(header, "TriggerTime"),
        index=number(header, "TemporalPositionIdentifier"),
        clock=seconds(header.get("AcquisitionTime")),
        number=number(header, "InstanceNumber"),
    )


def read_classic(info: SeriesInfo, name: str, memory_gb: float | None = None) -> Cine:
    """A cine of a series that has one image a file: one slice or a stack, every slice with all phases.

    Raises
    ------
    InputError : see ``stack.arrange``; also images of which only some have a position, or that cannot be decoded.
    MemoryBudgetError : more pixels than ``memory_gb``.
    """
    with lenient():
        headers: list[tuple[Path, Dataset]] = []
        seen: set[str] = set()
        notes: list[str] = []
        for path in info.files:
            header = read_dataset(path, pixels=False)
            uid = str(header.get("SOPInstanceUID", path))
            if uid in seen:
                notes.append("Copies of the same image were left out.")
                continue
            seen.add(uid)
            headers.append((path, header))
        placed = [
            numbers(h, "ImagePositionPatient", 3) is not None and numbers(h, "ImageOrientationPatient", 6) is not None
            for _, h in headers
        ]
        if any(placed) and not all(placed):
            lost = [path for (path, _), known in zip(headers, placed, strict=True) if not known]
            raise InputError(
                f"Some images of '{name}' have no position in the patient: {listing(lost)}; take them out."
            )
        if not any(placed):
            notes.append("The images have no position in the patient; they were taken as one slice over time.")
        if not any(numbers(h, k, 2) for _, h in headers for k in ("PixelSpacing", "ImagerPixelSpacing")):
            notes.append("The images store no pixel spacing; 1 mm was assumed.")
        plan = arrange([_slice(path, header, placed[0]) for path, header in headers], name)
        check_budget(name, sum(stored_bytes(header) for _, header in headers), memory_gb)
        images = []
        for path, _ in headers:
            pixels, extra = decode(read_dataset(path), path)
            images.append(pixels)
            notes += extra
    dtype = np.result_type(*{image.dtype for image in images})
    count, depth = plan.order.shape
    frames = np.empty((count, depth, *images[0].shape), dtype)
    for t, row in enumerate(plan.order):
        for k, i in enumerate(row):
            frames[t, k] = images[i]
    return Cine(
        frames.reshape(count, *plan.grid.shape),
        plan.grid,
        plan.times,
        name=name,
        suffix=".dcm",
        notes=tuple(dict.fromkeys((*notes, *plan.notes))),
    )
