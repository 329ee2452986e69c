"""DICOM files: what they are, and which series a folder holds."""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import InputError, RegistrationError
from ...files import expanded
from ..formats import natural
from ..guard_dicom import check_inflated
from .pixels import number

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

    check_inflated(path)
    logger = logging.getLogger("pydicom")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with config.disable_value_validation(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (RegistrationError, MemoryError, ImportError):
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
    folder = expanded(folder)
    if not os.path.isdir(folder):
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
