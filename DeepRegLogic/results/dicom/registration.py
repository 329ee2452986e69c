"""The motion as Deformable Spatial Registration, and an affine matrix as Spatial Registration (PS3.3 C.20.2, C.20.3).

The deformable one takes points of the registered frame of reference (here the reference frame's) to the source (each
frame's): a vector in mm is added to the point of its grid (C.20.3.1.1). The matrix of the other one goes from the
source to the registered frame of reference (C.20.2.1.1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ... import flow
from ..results import Results
from .identity import Identity, reference

if TYPE_CHECKING:
    from pydicom import Dataset


def deformable(results: Results, identity: Identity, frame: int) -> Dataset:
    """The motion from the reference frame to ``frame``, on the grid of the reference frame."""
    from pydicom import Dataset
    from pydicom.uid import DeformableSpatialRegistrationStorage

    motion = results.motion
    text = f"Motion from frame {motion.reference} to frame {frame}"
    new = _registration(identity, str(DeformableSpatialRegistrationStorage), frame, text)
    _refer_to_series(new, identity, (motion.reference, frame))
    item = Dataset()
    item.SourceFrameOfReferenceUID = identity.images_of(frame)[0].FrameOfReferenceUID
    item.ReferencedImageSequence = _images(identity, frame)
    item.RegistrationTypeCodeSequence = [_by_content()]
    item.DeformableRegistrationGridSequence = [_grid(results, frame)]
    new.DeformableRegistrationSequence = [item]
    return new


def affine(results: Results, identity: Identity, number: int, matrix: np.ndarray) -> Dataset:
    """A matrix ``[4, 4]`` in LPS mm from the reference frame's points to those of the frame ``number``."""
    from pydicom import Dataset
    from pydicom.uid import SpatialRegistrationStorage

    reference_frame = results.motion.reference
    text = f"Affine part from frame {reference_frame} to frame {number}"
    new = _registration(identity, str(SpatialRegistrationStorage), number, text)
    _refer_to_series(new, identity, (reference_frame, number))
    new.RegistrationSequence = []
    for frame, onto in ((reference_frame, np.eye(4)), (number, np.linalg.inv(matrix))):
        step = Dataset()
        step.FrameOfReferenceTransformationMatrixType = "RIGID" if frame == reference_frame else "AFFINE"
        step.FrameOfReferenceTransformationMatrix = [f"{value:.10g}" for value in onto.ravel()]
        group = Dataset()
        group.RegistrationTypeCodeSequence = [_by_content()]
        group.MatrixSequence = [step]
        item = Dataset()
        item.FrameOfReferenceUID = identity.images_of(frame)[0].FrameOfReferenceUID
        item.ReferencedImageSequence = _images(identity, frame)
        item.MatrixRegistrationSequence = [group]
        new.RegistrationSequence.append(item)
    return new


def _registration(identity: Identity, sop_class: str, frame: int, text: str) -> Dataset:
    new = identity.dataset(sop_class, "motion", frame, "REG", "Motion")
    new.Laterality = ""
    new.FrameOfReferenceUID = identity.first.FrameOfReferenceUID
    new.PositionReferenceIndicator = identity.first.get("PositionReferenceIndicator", "")
    new.ContentLabel, new.ContentDescription, new.ContentCreatorName = "MOTION", text, ""
    return new


def _images(identity: Identity, frame: int) -> list[Dataset]:
    places = identity.source.images[frame]
    paths = dict.fromkeys(path for path, _ in places)
    return [
        reference(identity.headers[path], [n for other, n in places if other == path] if identity.several else ())
        for path in paths
    ]


def _refer_to_series(new: Dataset, identity: Identity, frames: tuple[int, ...]) -> None:
    """The images of some frames, by their series."""
    from pydicom import Dataset

    headers = {id(header): header for frame in frames for header in identity.images_of(frame)}
    by_series: dict[str, list[Dataset]] = {}
    for header in headers.values():
        by_series.setdefault(str(header.SeriesInstanceUID), []).append(header)
    new.ReferencedSeriesSequence = []
    for uid, found in by_series.items():
        item = Dataset()
        item.SeriesInstanceUID = uid
        item.ReferencedInstanceSequence = [reference(header) for header in found]
        new.ReferencedSeriesSequence.append(item)


def _by_content() -> Dataset:
    """That images were aligned by what they show, as an item of a sequence of codes."""
    from pydicom import Dataset

    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "125024", "DCM", "Image Content-based Alignment"
    return item


def _grid(results: Results, frame: int) -> Dataset:
    from pydicom import Dataset

    grid = results.motion.grid
    axes = np.reshape(grid.direction, (3, 3)).T
    vectors = np.moveaxis(flow.to_mm(results.motion.displacement[frame].astype(float), grid), 0, -1)
    item = Dataset()
    item.ImagePositionPatient = [f"{value:.10g}" for value in grid.origin]
    item.ImageOrientationPatient = [f"{value:.10g}" for value in (*axes[0], *axes[1])]
    item.GridDimensions, item.GridResolution = list(grid.size), list(grid.spacing)
    item.VectorGridData = np.ascontiguousarray(vectors, dtype="<f4").tobytes()
    return item
