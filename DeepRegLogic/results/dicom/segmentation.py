"""The labels of a frame as a DICOM segmentation (SEG), on the images of that frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ... import __version__
from ..results import Results
from .identity import MODEL, Identity

if TYPE_CHECKING:
    from pydicom import Dataset


def segmentation(results: Results, identity: Identity, frame: int) -> Dataset:
    """A binary segmentation, one segment a label; labels may overlap."""
    from highdicom import AlgorithmIdentificationSequence, PlanePositionSequence
    from highdicom.enum import CoordinateSystemNames
    from highdicom.seg import Segmentation, SegmentDescription
    from pydicom.sr.codedict import codes

    assert results.labels is not None
    grid = results.motion.grid
    algorithm = AlgorithmIdentificationSequence(
        name=MODEL, version=__version__, family=codes.DCM.ArtificialIntelligence
    )
    segments = [
        SegmentDescription(
            segment_number=number,
            segment_label=results.label_names[value][:64],
            segmented_property_category=codes.SCT.Tissue,
            segmented_property_type=codes.SCT.Tissue,
            algorithm_type="SEMIAUTOMATIC",
            algorithm_identification=algorithm,
        )
        for number, value in enumerate(results.labels.values, start=1)
    ]
    masks = results.carried[:, frame].reshape(len(segments), grid.size[2], *grid.shape[-2:])
    matrix = grid.matrix
    places = [
        PlanePositionSequence(CoordinateSystemNames.PATIENT, (matrix @ (0, 0, k, 1))[:3].tolist())
        for k in range(grid.size[2])
    ]
    new = Segmentation(
        source_images=identity.images_of(frame),
        pixel_array=np.moveaxis(masks, 0, -1).astype(np.uint8),
        segmentation_type="BINARY",
        segment_descriptions=segments,
        sop_instance_uid=identity.uid("segmentation", frame),
        instance_number=frame + 1,
        plane_positions=places,
        content_label="LABELS",
        content_description=f"Labels carried to frame {frame}"[:64],
        series_description="Labels of every frame",
        **identity.series("segmentation"),
        **identity.equipment,
    )
    return new
