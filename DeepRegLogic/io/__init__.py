"""Readers and writers: NRRD, Slicer's .seq.nrrd, NIfTI, MetaImage, pictures, DICOM; fields as ITK has them."""

from .dicom import SeriesInfo, list_series
from .fields import read_field, write_field
from .outputs import write_motion
from .read import read_cine, read_image, read_label_names, read_labels
from .write import write_cine

__all__ = [
    "SeriesInfo",
    "list_series",
    "read_cine",
    "read_field",
    "read_image",
    "read_label_names",
    "read_labels",
    "write_cine",
    "write_field",
    "write_motion",
]
