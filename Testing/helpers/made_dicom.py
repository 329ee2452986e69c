"""DICOM files made for tests: classic slices, Enhanced MR and ultrasound, with pixels that say where they come from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
from pydicom import dcmread
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    UltrasoundMultiFrameImageStorage,
    generate_uid,
)

ORIENTATION = (0.8, 0.6, 0.0, 0.0, 0.0, -1.0)
NORMAL = np.cross(ORIENTATION[:3], ORIENTATION[3:])
SPACING = (1.5, 1.25)  # rows, columns
CORNER = np.array([-20.0, 30.0, 40.0])


def _new(path: Path, kind: str, pixels: np.ndarray, series: str, **extra: object) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = kind, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID, ds.SOPInstanceUID, ds.SeriesInstanceUID = kind, meta.MediaStorageSOPInstanceUID, series
    ds.StudyInstanceUID, ds.Modality, ds.SeriesDescription = "1.2.3", "MR", "made"
    ds.Rows, ds.Columns = pixels.shape[-2:]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 8 * pixels.dtype.itemsize
    ds.HighBit, ds.PixelRepresentation = ds.BitsStored - 1, int(pixels.dtype.kind == "i")
    for key, value in extra.items():
        setattr(ds, key, value)
    ds.PixelData = np.ascontiguousarray(pixels).tobytes()
    return ds


def save(ds: Dataset, path: Path) -> None:
    """Write a whole file; pydicom 3 and 2.4 have other words for it."""
    if int(pydicom.__version__.partition(".")[0]) >= 3:
        ds.save_as(path, enforce_file_format=True)
    else:
        ds.is_little_endian, ds.is_implicit_VR = True, False
        ds.save_as(path, write_like_original=False)


def slice_pixels(phase: int, position: int, shape: tuple[int, int] = (6, 8)) -> np.ndarray:
    """Pixels that hold 1000 * phase + 100 * position + place."""
    return (1000 * phase + 100 * position + np.arange(shape[0] * shape[1]).reshape(shape)).astype(np.int16)


def write_slice(path: Path, phase: int, position: int, gap: float = 8.0, **extra: object) -> None:
    """One file of a classic series; ``extra`` overrides any element, None leaves it out."""
    values = {
        "ImageOrientationPatient": list(ORIENTATION),
        "ImagePositionPatient": [f"{v:.6g}" for v in CORNER + position * gap * NORMAL],
        "PixelSpacing": list(SPACING),
        "SliceThickness": "7",
        "TriggerTime": f"{10 + 40 * phase + 2 * position:.2f}",
        "InstanceNumber": 1 + phase + 20 * position,
        "SeriesNumber": 4,
    }
    pixels = extra.pop("pixels", None)
    series = extra.pop("series", "1.2.3.4")
    values |= extra
    values = {key: value for key, value in values.items() if value is not None}
    pixels = slice_pixels(phase, position) if pixels is None else pixels
    save(_new(path, MRImageStorage, pixels, series, **values), path)


def strip_meta(path: Path, implicit: bool = True, little: bool = True) -> None:
    """Turn a file into a bare data set, without preamble and file meta group, as old consoles write them."""
    dataset = dcmread(path)
    if not little:
        dataset["PixelData"].VR = "OW"
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<i2").astype(">i2").tobytes()
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = implicit, little
    del dataset.file_meta
    write_dataset(buffer, Dataset(dataset))
    path.write_bytes(buffer.getvalue())


def write_stack(folder: Path, phases: int = 4, positions: int = 3, **extra: object) -> Path:
    """A classic series whose file names say nothing of its order."""
    folder.mkdir(parents=True, exist_ok=True)
    order = np.random.default_rng(0).permutation(phases * positions)
    for n, i in enumerate(order):
        write_slice(folder / f"IM{n:03d}", int(i) % phases, int(i) // phases, **extra)
    return folder


def _item(**values: object) -> Sequence:
    ds = Dataset()
    for key, value in values.items():
        setattr(ds, key, value)
    return Sequence([ds])


def write_enhanced(
    path: Path,
    phases: int = 4,
    positions: int = 3,
    trigger: bool = True,
    places: list[tuple[int, int]] | None = None,
    groups_of=lambda t, k: {},
    **extra: object,
) -> Path:
    """An Enhanced MR file, slices outside, phases inside, all rescaled by 2 x + 5.

    ``places`` are (phase, position) of its frames instead; ``groups_of`` gives further functional groups of a frame,
    each with its one item's elements.
    """
    frames, groups = [], []
    for t, k in places or [(t, k) for k in range(positions) for t in range(phases)]:
        frames.append(slice_pixels(t, k))
        group = Dataset()
        group.FrameContentSequence = _item(TemporalPositionIndex=t + 1, InStackPositionNumber=k + 1)
        group.PlanePositionSequence = _item(ImagePositionPatient=[f"{v:.6g}" for v in CORNER + 6.0 * k * NORMAL])
        if trigger:
            group.CardiacSynchronizationSequence = _item(NominalCardiacTriggerDelayTime=25.0 * t)
        for keyword, values in groups_of(t, k).items():
            setattr(group, keyword, _item(**values))
        groups.append(group)
    shared = Dataset()
    shared.PlaneOrientationSequence = _item(ImageOrientationPatient=list(ORIENTATION))
    shared.PixelMeasuresSequence = _item(PixelSpacing=list(SPACING), SliceThickness="9")
    shared.PixelValueTransformationSequence = _item(RescaleSlope="2", RescaleIntercept="5")
    values = {
        "NumberOfFrames": len(frames),
        "SharedFunctionalGroupsSequence": Sequence([shared]),
        "PerFrameFunctionalGroupsSequence": Sequence(groups),
    } | extra
    ds = _new(path, EnhancedMRImageStorage, np.stack(frames), "1.2.3.5", **values)
    save(ds, path)
    return path


def write_plain(path: Path, kind: str, frames: np.ndarray, pointer: tuple[str, ...] = (), **extra: object) -> Path:
    """A multi-frame file of SOP class ``kind``, whose header names the elements of ``pointer`` as what rises."""
    values: dict[str, object] = {"NumberOfFrames": len(frames), "PixelSpacing": list(SPACING)}
    if pointer:
        values["FrameIncrementPointer"] = [tag_for_keyword(keyword) for keyword in pointer]
    save(_new(path, kind, frames, "1.2.3.7", **(values | extra)), path)
    return path


def write_ultrasound(path: Path, frames: np.ndarray, **extra: object) -> Path:
    """A multi-frame ultrasound file of ``[T, rows, columns]`` or ``[T, rows, columns, 3]`` bytes."""
    values: dict[str, object] = {"Modality": "US", "NumberOfFrames": len(frames)}
    if frames.ndim == 4:
        values |= {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}
        values |= {"Rows": frames.shape[1], "Columns": frames.shape[2]}
    ds = _new(path, UltrasoundMultiFrameImageStorage, frames, "1.2.3.6", **(values | extra))
    save(ds, path)
    return path


def region(right: int, bottom: int, delta: float, units: int = 3, left: int = 0, top: int = 0) -> Dataset:
    """An ultrasound region of ``delta`` centimetres a pixel."""
    ds = Dataset()
    ds.RegionLocationMinX0, ds.RegionLocationMinY0 = left, top
    ds.RegionLocationMaxX1, ds.RegionLocationMaxY1 = right, bottom
    ds.PhysicalUnitsXDirection = ds.PhysicalUnitsYDirection = units
    ds.PhysicalDeltaX = ds.PhysicalDeltaY = delta
    return ds
