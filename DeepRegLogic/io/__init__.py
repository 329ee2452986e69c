"""Readers and writers: NRRD, Slicer's .seq.nrrd, NIfTI, MetaImage, pictures, DICOM; fields as ITK has them.

The names are imported when first used, so that ``formats`` needs numpy alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from .dicom.series import SeriesInfo, list_series
    from .fields import read_field, write_affine, write_field
    from .points import read_points
    from .read import (
        READERS,
        Reader,
        Request,
        read_cine,
        read_frames,
        read_image,
        read_label_names,
        read_labels,
        read_masks,
    )
    from .write import write_cine, write_labels

_MODULES = {
    **dict.fromkeys(("SeriesInfo", "list_series"), "dicom.series"),
    **dict.fromkeys(("read_field", "write_affine", "write_field"), "fields"),
    "read_points": "points",
    **dict.fromkeys(("READERS", "Reader", "Request", "read_cine", "read_frames", "read_image"), "read"),
    **dict.fromkeys(("read_label_names", "read_labels", "read_masks"), "read"),
    **dict.fromkeys(("write_cine", "write_labels"), "write"),
}

__all__ = [
    "READERS",
    "Reader",
    "Request",
    "SeriesInfo",
    "list_series",
    "read_cine",
    "read_field",
    "read_frames",
    "read_image",
    "read_label_names",
    "read_labels",
    "read_masks",
    "read_points",
    "write_affine",
    "write_cine",
    "write_field",
    "write_labels",
]

__getattr__, __dir__ = attach(__name__, _MODULES)
