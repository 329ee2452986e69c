"""``FIELD_FORMATS``: displacement fields as other programs have them, one file a format.

To add a format is to add an entry; ``register --fields``, ``convert`` and ``write_motion`` then have it:

    FIELD_FORMATS.add("mine", FieldFormat("My program", ".mine", accepts, read, write))

docs/formats.md says each one's convention, and how its program applies the files.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import InputError
from ...files import expanded
from ...grid import Grid
from ...registry import Registry
from ..fields import read_field, write_affine, write_field
from ..guard import require_file
from . import ants, elastix, fsl, itk, x5

Read = Callable[[Path, Grid | None], tuple[np.ndarray, Grid]]
Write = Callable[[Path, np.ndarray, Grid, Grid], None]
WriteAffine = Callable[[Path, np.ndarray, Grid, Grid], None]


@dataclass(frozen=True)
class FieldFormat:
    """An entry of ``FIELD_FORMATS``.

    Attributes
    ----------
    title : which programs read it.
    suffix : of the file of a field.
    accepts : whether an existing file is of this format.
    read : from a file and the grid of the moving image (None: that of the field) to a displacement in voxels and its
        grid, as ``read_field``.
    write : a displacement ``[ndim, *grid.shape]`` in voxels, its grid, and that of the moving image, to a file.
    affine_suffix : of the file of an affine matrix.
    needs : the Python package that reads and writes it, "" for none beyond those of the numerics.
    write_affine : a matrix ``[4, 4]`` in LPS mm, from a fixed to a moving point, and both grids, to a file.
    """

    title: str
    suffix: str
    accepts: Callable[[Path], bool]
    read: Read
    write: Write
    affine_suffix: str
    write_affine: WriteAffine
    needs: str = ""


FIELD_FORMATS: Registry[FieldFormat] = Registry("field format")


def _read_own(path: Path, moving: Grid | None) -> tuple[np.ndarray, Grid]:
    return read_field(path)


def _write_own(path: Path, displacement: np.ndarray, grid: Grid, moving: Grid) -> None:
    write_field(path, displacement, grid)


def _write_own_affine(path: Path, matrix: np.ndarray, grid: Grid, moving: Grid) -> None:
    write_affine(path, matrix)


def _is_vector_image(path: Path) -> bool:
    return path.name.lower().endswith((".nrrd", ".mha"))


FIELD_FORMATS.add(
    "nrrd",
    FieldFormat("3D Slicer, SimpleITK", ".nrrd", _is_vector_image, _read_own, _write_own, ".tfm", _write_own_affine),
)
FIELD_FORMATS.add(
    "itk",
    FieldFormat("ITK composite transform", ".h5", itk.accepts, _read_own, itk.write, ".h5", _write_own_affine),
)
FIELD_FORMATS.add(
    "ants",
    FieldFormat("ANTs, NIfTI vectors", ".nii.gz", ants.accepts, _read_own, _write_own, ".mat", _write_own_affine),
)
FIELD_FORMATS.add(
    "fsl",
    FieldFormat(
        "FSL (FNIRT, applywarp)", ".nii.gz", fsl.accepts, fsl.read, fsl.write, ".mat", fsl.write_affine, "nibabel"
    ),
)
FIELD_FORMATS.add(
    "elastix",
    FieldFormat(
        "elastix, transformix", ".txt", elastix.accepts, elastix.read, elastix.write, ".txt", elastix.write_affine
    ),
)
FIELD_FORMATS.add(
    "x5", FieldFormat("X5, nitransforms", ".x5", x5.accepts, x5.read, x5.write, ".x5", x5.write_affine, "h5py")
)


def choose_format(name: str) -> FieldFormat:
    """The format of that name.

    Raises
    ------
    InputError : there is none, or its package is not installed.
    """
    entry = FIELD_FORMATS.choose(name)
    if entry.needs and importlib.util.find_spec(entry.needs) is None:
        raise InputError(f"Fields of the format '{name}' need the package '{entry.needs}': pip install {entry.needs}")
    return entry


def read_any_field(path: str | Path, moving: Grid | None = None) -> tuple[np.ndarray, Grid]:
    """Read a displacement field in any of ``FIELD_FORMATS``, told by its name and its header.

    Parameters
    ----------
    moving : the grid of the image that it is applied to, for formats that depend on it (FSL); that of the field itself
        where it is None.

    Returns
    -------
    The displacement ``[ndim, *grid.shape]`` in voxels, float32, and its grid.

    Raises
    ------
    InputError : missing, damaged, or no field of a format that is known.
    """
    path = expanded(path)
    require_file(path)
    for name, entry in FIELD_FORMATS.items():
        if entry.accepts(path):
            return choose_format(name).read(path, moving)
    raise InputError(
        f"'{path}' is no displacement field that is known; there are {', '.join(FIELD_FORMATS)} (docs/formats.md)."
    )


def write_field_as(
    name: str, path: str | Path, displacement: np.ndarray, grid: Grid, moving: Grid | None = None
) -> None:
    """Write a displacement ``[ndim, *grid.shape]`` in voxels in the format ``name``; its suffix is that of the format.

    Parameters
    ----------
    moving : the grid of the image that it is applied to, for formats that depend on it (FSL); by default ``grid``.

    Raises
    ------
    InputError : no such format, another suffix, a shape that does not fit the grid, vectors that are not finite.
    OutputError : the place cannot be written or is full; nothing is left behind.
    """
    entry, path = choose_format(name), expanded(path)
    if not path.name.lower().endswith(entry.suffix):
        raise InputError(f"'{path}': fields of the format '{name}' are files with the suffix {entry.suffix}.")
    displacement = np.asarray(displacement, dtype=np.float32)
    if displacement.shape != (grid.ndim, *grid.shape):
        raise InputError(f"A field of shape {displacement.shape} does not fit a grid of {(grid.ndim, *grid.shape)}.")
    if not np.isfinite(displacement).all():
        raise InputError(f"'{path}': a field with NaN or infinite vectors is not written.")
    entry.write(path, displacement, grid, moving or grid)
