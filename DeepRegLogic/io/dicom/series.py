"""DICOM files: what they are, and which series a folder holds."""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ...errors import InputError, RegistrationError
from ...files import expanded
from ..formats import listing, natural
from ..guard_dicom import check_inflated
from .pixels import number

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.uid import UID


ALL = "all"
"""Stands for every series of a folder, to be read as one."""

DICOM_SUFFIXES = (".dcm", ".ima", ".dicom")


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
    """Whether the file has DICOM's mark after its preamble, or begins with the first elements of a bare data set.

    Raises
    ------
    InputError : it may not be read.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(132)
    except OSError as error:
        raise InputError(f"'{path}' may not be read: {error.strerror}.") from error
    return head[128:] == b"DICM" or _is_bare(head)


def _is_bare(head: bytes) -> bool:
    """Whether bytes are an element of group 2 or 8 as old consoles write them, without preamble and file meta group."""
    if len(head) < 132:
        return False
    order: Literal["little", "big"] = "big" if head[0] == 0 else "little"
    group, element = (int.from_bytes(head[start : start + 2], order) for start in (0, 2))
    if group not in (0x0002, 0x0008) or element > 0x0018:
        return False
    if head[4:6] in (b"UL", b"CS", b"UI", b"OB", b"DA", b"TM", b"DT", b"SH"):
        return True
    return order == "little" and 0 < int.from_bytes(head[4:8], "little") <= 128


def dataset_of(path: Path, pixels: bool = True) -> Dataset:
    """The data set of a file, with or without its pixels; a bare one gets the transfer syntax that it is in."""
    from pydicom import dcmread
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    dataset = dcmread(path, stop_before_pixels=not pixels, force=True)
    if "TransferSyntaxUID" not in dataset.file_meta:
        explicit = ExplicitVRLittleEndian if dataset.read_little_endian else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if dataset.read_implicit_vr else explicit
    return dataset


def study_date(path: Path) -> str:
    """The day of the study of a file: "2024-05-17", less where the month or the day is no number of one, else ""."""
    with readable(path):
        text = str(dataset_of(path, pixels=False).get("StudyDate") or "")
    found = re.fullmatch(r"([12]\d{3})[.]?(\d\d)[.]?(\d\d)", text.strip())
    if not found:
        return ""
    year, month, day = found.groups()
    if not 1 <= int(month) <= 12:
        return year
    return f"{year}-{month}-{day}" if 1 <= int(day) <= 31 else f"{year}-{month}"


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
    if header.get("Modality") in ("XA", "RF"):
        return False
    frames = header.get("PerFrameFunctionalGroupsSequence")
    placed = bool(frames) and "PlanePositionSequence" in frames[0]
    return placed or "Enhanced" in getattr(header.get("SOPClassUID"), "name", "")


def holds_places(path: Path) -> bool:
    """``is_enhanced`` of a file."""
    with readable(path):
        return is_enhanced(dataset_of(path, pixels=False))


def find_dicom(folder: Path) -> list[Path]:
    """The DICOM files in ``folder`` and the folders below it, in natural order; hidden ones are passed over.

    Raises
    ------
    InputError : a file that may not be read, or that is named as DICOM files are but is none (empty, damaged).
    """
    files = [
        path
        for path in folder.rglob("*")
        if path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.name.upper() != "DICOMDIR"
    ]
    found = {path for path in files if is_dicom(path)}
    names = {(path.parent, _pattern(path)) for path in found}
    damaged_ones = [
        path
        for path in files
        if path not in found and (path.suffix.lower() in DICOM_SUFFIXES or (path.parent, _pattern(path)) in names)
    ]
    if damaged_ones:
        raise InputError(
            f"In '{folder}', {listing(damaged_ones)} cannot be read as DICOM: empty, damaged, or no DICOM file; copy "
            "it again, or take it out."
        )
    return sorted(found, key=lambda path: [natural(Path(part)) for part in path.relative_to(folder).parts])


def _pattern(path: Path) -> str:
    """A file name in which all numbers are alike."""
    return re.sub(r"\d+", "0", path.name.lower())


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
    found: dict[str, list[tuple[float, SeriesInfo]]] = {}
    for path in paths:
        with readable(path):
            header = dataset_of(path, pixels=False)
            kind = header.file_meta.get("MediaStorageSOPClassUID") or header.get("SOPClassUID")
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
            elif "Image" in getattr(kind, "name", "Image") or not ("SeriesInstanceUID" in header or _is_known(kind)):
                raise damaged(path)
    return tuple(
        joined([info for _, info in members]) for members in sorted(found.values(), key=lambda members: members[0][0])
    )


def _is_known(kind: UID) -> bool:
    """Whether the standard has this class of objects."""
    return kind.name != str(kind)


def joined(parts: Sequence[SeriesInfo]) -> SeriesInfo:
    """Several series, or files of one, as one."""
    return replace(
        parts[0],
        images=sum(info.images for info in parts),
        multiframe=any(info.multiframe for info in parts),
        files=tuple(path for info in parts for path in info.files),
    )


def choose_series(available: Sequence[SeriesInfo], series: str | Sequence[str] | None, name: str) -> SeriesInfo:
    """The series of that UID, those of several UIDs or ``ALL`` as one, or the only one.

    Raises
    ------
    InputError : none, several, or none of that UID; the sentence lists what there is.
    """
    if not available:
        raise InputError(f"'{name}' holds no DICOM images.")
    names = "; ".join(str(info) for info in available[:20])
    if series is None and len(available) > 1:
        raise InputError(
            f"'{name}' holds {len(available)} DICOM series; choose one by its UID, or join those of one acquisition "
            f"(several UIDs, or '{ALL}'): {names}."
        )
    if series is None or series == ALL:
        return joined(available)
    by_uid = {info.uid: info for info in available}
    wanted = [series] if isinstance(series, str) else list(dict.fromkeys(series))
    for uid in wanted:
        if uid not in by_uid:
            raise InputError(f"'{name}' holds no series {uid}; it holds: {names}.")
    return joined([by_uid[uid] for uid in wanted])
