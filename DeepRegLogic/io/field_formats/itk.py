"""ITK's composite transform (``.h5``, ``.tfm``): a displacement field in LPS mm as its only part."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ...files import whole_file
from ...grid import Grid
from ..fields import field_transform
from ..formats import suffix_of
from .nrrd import read, write_affine

__all__ = ["accepts", "read", "write", "write_affine"]

_MARK = b"\x89HDF\r\n\x1a\n"


def accepts(path: Path) -> bool:
    """Whether it is a transform of ITK as HDF5 or text (``fields.read_field`` reads it)."""
    suffix = suffix_of(path)
    if suffix == ".h5":
        with open(path, "rb") as file:
            return file.read(8) == _MARK
    return suffix == ".tfm"


def write(path: Path, displacement: np.ndarray, grid: Grid, moving: Grid) -> None:
    """A CompositeTransform with one part, as ANTs and Slicer read it."""
    with whole_file(path) as part:
        sitk.WriteTransform(sitk.CompositeTransform([field_transform(displacement, grid)]), str(part))
