"""The patient, study and series that results belong to: read from the files of the cine, never made up."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import __version__
from ...cine import Cine, Source
from ...errors import InputError
from ...io.dicom.series import dataset_of, readable
from ..results import Results

if TYPE_CHECKING:
    from pydicom import Dataset

MAKER, MODEL, SERIAL = "TemporalRegistration contributors", "TemporalRegistration", "0"
_PATIENT = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "PatientAge", "PatientWeight", "PatientSize")
_STUDY = (
    "StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName",
    "StudyDescription",
)  # fmt: skip
TYPE_2 = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
    "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
_DATES = {"DA": ("%Y%m%d",), "TM": ("%H%M%S.%f", "%H%M%S", "%H%M", "%H")}
_SERIES = {"segmentation": 1, "measurements": 2, "motion": 3, "compensated": 4}


@dataclass(frozen=True)
class Identity:
    """Where new objects belong.

    Attributes
    ----------
    source : of the cine.
    headers : of every file of it, without pixels; dates and times that are none are empty.
    mark : tells these results from all others, so that their UIDs are their own.
    """

    source: Source
    headers: dict[Path, Dataset]
    mark: str
    made: datetime

    @classmethod
    def of(cls, results: Results) -> Identity:
        """That of the series that the cine was read from.

        Raises
        ------
        InputError : it comes from no DICOM file, or its headers do not tell study, series and place.
        """
        name, source = results.cine.name, require_source(results.cine)
        headers = {}
        for path in dict.fromkeys(path for images in source.images for path, _ in images):
            with readable(path):
                headers[path] = _cleaned(dataset_of(path, pixels=False))
        first = headers[source.images[0][0][0]]
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID"):
            if not first.get(keyword):
                raise InputError(
                    f"The headers of '{name}' have no {keyword}, so that results as DICOM would belong nowhere; export "
                    "the series again, or do without DICOM."
                )
        digest = hashlib.sha256(np.ascontiguousarray(results.motion.displacement).tobytes())
        digest.update(np.ascontiguousarray(results.carried).tobytes())
        return cls(source, headers, digest.hexdigest(), datetime.now())

    @property
    def first(self) -> Dataset:
        """The header of the first image."""
        return self.headers[self.source.images[0][0][0]]

    @cached_property
    def several(self) -> bool:
        """Whether a file holds several frames."""
        return any(int(header.get("NumberOfFrames") or 1) > 1 for header in self.headers.values())

    def images_of(self, frame: int) -> list[Dataset]:
        """The headers of a frame's images, each once."""
        return [self.headers[path] for path in dict.fromkeys(path for path, _ in self.source.images[frame])]

    def uid(self, *what: object) -> str:
        """The UID of an object of these results, the same every time it is asked for."""
        from pydicom.uid import generate_uid

        return str(generate_uid(entropy_srcs=[self.mark, self.source.series, *map(str, what)]))

    def series(self, kind: str) -> dict[str, Any]:
        """UID and number of one of our series."""
        try:
            number = abs(int(self.first.get("SeriesNumber") or 0)) % 1_000_000
        except (TypeError, ValueError):
            number = 0
        return {"series_instance_uid": self.uid(kind), "series_number": 100 * number + _SERIES[kind]}

    @property
    def equipment(self) -> dict[str, Any]:
        """What made it, as highdicom asks for it."""
        return {
            "manufacturer": MAKER,
            "manufacturer_model_name": MODEL,
            "software_versions": __version__,
            "device_serial_number": SERIAL,
        }

    def dataset(self, sop_class: str, kind: str, number: int, modality: str, description: str) -> Dataset:
        """A new object with the modules that all have in common: patient, study, series, equipment, SOP."""
        from pydicom import Dataset
        from pydicom.dataset import FileMetaDataset
        from pydicom.uid import UID, ExplicitVRLittleEndian

        new = Dataset()
        for keyword in (*_PATIENT, *_STUDY):
            if keyword in self.first:
                setattr(new, keyword, self.first[keyword].value)
            elif keyword in TYPE_2:
                setattr(new, keyword, "")
        if "SpecificCharacterSet" in self.first:
            new.SpecificCharacterSet = self.first.SpecificCharacterSet
        series = self.series(kind)
        new.SOPClassUID, new.SOPInstanceUID = UID(sop_class), UID(self.uid(kind, number))
        new.SeriesInstanceUID, new.SeriesNumber = series["series_instance_uid"], series["series_number"]
        new.InstanceNumber, new.Modality, new.SeriesDescription = number + 1, modality, description
        new.Manufacturer, new.ManufacturerModelName = MAKER, MODEL
        new.DeviceSerialNumber, new.SoftwareVersions = SERIAL, __version__
        self.date(new)
        new.file_meta = FileMetaDataset()
        new.file_meta.MediaStorageSOPClassUID = new.SOPClassUID
        new.file_meta.MediaStorageSOPInstanceUID = new.SOPInstanceUID
        new.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        return new

    def date(self, new: Dataset) -> None:
        """Say when an object was made."""
        day, clock = self.made.strftime("%Y%m%d"), self.made.strftime("%H%M%S")
        new.InstanceCreationDate, new.InstanceCreationTime = day, clock
        new.SeriesDate, new.SeriesTime, new.ContentDate, new.ContentTime = day, clock, day, clock


def require_source(cine: Cine) -> Source:
    """The series that a cine was read from.

    Raises
    ------
    InputError : it was read from no DICOM file.
    """
    if cine.source is None:
        raise InputError(
            f"'{cine.name}' was not read from DICOM: its results have no patient, study and series to belong to; give "
            "the DICOM series itself, or do without DICOM."
        )
    return cine.source


def reference(header: Dataset, frames: Sequence[int] = ()) -> Dataset:
    """An item that points to an image, or to some of its frames (from 0)."""
    from pydicom import Dataset

    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = header.SOPClassUID, header.SOPInstanceUID
    if frames:
        item.ReferencedFrameNumber = [number + 1 for number in frames]
    return item


def _cleaned(header: Dataset) -> Dataset:
    """Empty what must be there, and dates and times that are none ("00000000"), which no new object may have."""
    for element in header:
        if element.VR in _DATES and element.value and not isinstance(element.value, list):
            text = str(element.value).split("-")[0].strip()
            if not any(_parses(text, form) for form in _DATES[element.VR]):
                element.value = ""
    for keyword in TYPE_2:
        if keyword not in header:
            setattr(header, keyword, "")
    return header


def _parses(text: str, form: str) -> bool:
    try:
        datetime.strptime(text, form)
    except ValueError:
        return False
    return True
