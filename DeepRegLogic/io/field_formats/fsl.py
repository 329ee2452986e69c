"""FSL's relative displacement fields, as FNIRT and applywarp have them.

FSL counts millimetres from the corner voxel of an image along its axes (voxel times voxel size), and along x from the
other end where the axes of the image are right-handed in RAS (a determinant above 0). A relative field holds, at every
voxel of the fixed ("reference") image, the coordinates of the moving ("input") point minus those of the fixed point,
each in the coordinates of its own image: a field depends on the geometry of both.

J. Andersson, M. Jenkinson, S. Smith. Non-linear registration, aka spatial normalisation. FMRIB TR07JA2, 2007.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...files import whole_file
from ...grid import Grid
from . import ants, nifti
from .vectors import apply_matrix, displacement_of, places_of, vectors_of

_INTENT = 2006  # FSL_FNIRT_DISPLACEMENT_FIELD


def accepts(path: Path) -> bool:
    """Whether it is a NIfTI file of four axes, the last of three components."""
    return ants.sizes(path)[3:] == (3,)


def fsl_matrix(grid: Grid) -> np.ndarray:
    """``[4, 4]``, from LPS mm to the coordinates of FSL."""
    scale = np.diag((*grid.spacing, 1.0))
    if np.linalg.det(grid.ras_matrix[:3, :3]) > 0:
        scale[0] = (-grid.spacing[0], 0.0, 0.0, (grid.size[0] - 1) * grid.spacing[0])
    return scale @ np.linalg.inv(grid.matrix)


def write(path: Path, displacement: np.ndarray, grid: Grid, moving: Grid) -> None:
    """``[I, J, K, 3]`` NIfTI on the fixed grid, with FNIRT's intent."""
    fixed = places_of(grid.size, grid.matrix)
    there = apply_matrix(fsl_matrix(moving), fixed + vectors_of(displacement, grid))
    nifti.save(path, there - apply_matrix(fsl_matrix(grid), fixed), grid, _INTENT)


def read(path: Path, moving: Grid | None) -> tuple[np.ndarray, Grid]:
    """A relative field; ``moving`` is the grid of the image that it is applied to."""
    values, grid = nifti.load(path)
    fixed = places_of(grid.size, grid.matrix)
    there = values + apply_matrix(fsl_matrix(grid), fixed)
    found = apply_matrix(np.linalg.inv(fsl_matrix(moving or grid)), there) - fixed
    return displacement_of(found, grid), grid


def write_affine(path: Path, matrix: np.ndarray, grid: Grid, moving: Grid) -> None:
    """FLIRT's text matrix, which goes the other way: from coordinates of the moving image to those of the fixed one."""
    onward = fsl_matrix(moving) @ matrix @ np.linalg.inv(fsl_matrix(grid))
    with whole_file(path) as part:
        np.savetxt(part, np.linalg.inv(onward), fmt="%.10f")
