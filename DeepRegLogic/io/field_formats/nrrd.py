"""Our own fields: vector images in LPS mm, as 3D Slicer and SimpleITK have them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...grid import Grid
from .. import fields
from ..formats import suffix_of


def accepts(path: Path) -> bool:
    """Whether its name is that of a vector image."""
    return suffix_of(path) in (".nrrd", ".mha")


def read(path: Path, moving: Grid | None) -> tuple[np.ndarray, Grid]:
    """As ``fields.read_field``: the vectors are those of space, whatever the moving image."""
    return fields.read_field(path)


def write(path: Path, displacement: np.ndarray, grid: Grid, moving: Grid) -> None:
    """As ``fields.write_field``."""
    fields.write_field(path, displacement, grid)


def write_affine(path: Path, matrix: np.ndarray, grid: Grid, moving: Grid) -> None:
    """As ``fields.write_affine``."""
    fields.write_affine(path, matrix)
