"""``FIELD_FORMATS``: displacement fields as other programs have them, one file a format.

To add a format is to add an entry, and the module that it names; ``register --fields``, ``convert`` and
``write_motion`` then have it:

    FIELD_FORMATS.add("mine", FieldFormat("My program", ".mine", ".txt", "my_package.mine"))

docs/formats.md says each one's convention, and how its program applies the files. Light: modules are loaded when a file
is read or written.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from ...errors import InputError
from ...files import expanded
from ...grid import Grid
from ...registry import Registry
from ..guard import require_file

if TYPE_CHECKING:
    import numpy as np


class Handling(Protocol):
    """What the module of a format has."""

    def accepts(self, path: Path) -> bool:
        """Whether an existing file is of this format."""

    def read(self, path: Path, moving: Grid | None) -> tuple[np.ndarray, Grid]:
        """From a file, and the grid of the moving image (None: that of the field), as ``read_any_field``."""

    def write(self, path: Path, displacement: np.ndarray, grid: Grid, moving: Grid) -> None:
        """A displacement ``[ndim, *grid.shape]`` in voxels, its grid, and that of the moving image, to a file."""

    def write_affine(self, path: Path, matrix: np.ndarray, grid: Grid, moving: Grid) -> None:
        """A matrix ``[4, 4]`` in LPS mm, from a fixed to a moving point, and both grids, to a file."""


@dataclass(frozen=True)
class FieldFormat:
    """An entry of ``FIELD_FORMATS``.

    Attributes
    ----------
    title : which programs read it.
    suffix, affine_suffix : of the file of a field, and of that of an affine matrix.
    module : the name of its module, which has the functions of ``Handling``.
    needs : the Python package that reads and writes it, "" for none beyond those of the numerics.
    """

    title: str
    suffix: str
    affine_suffix: str
    module: str
    needs: str = ""

    @property
    def files(self) -> Handling:
        """What reads and writes its files."""
        return cast(Handling, import_module(self.module, __name__))


FIELD_FORMATS: Registry[FieldFormat] = Registry("field format")
FIELD_FORMATS.add("nrrd", FieldFormat("3D Slicer, SimpleITK", ".nrrd", ".tfm", ".nrrd"))
FIELD_FORMATS.add("itk", FieldFormat("ITK composite transform", ".h5", ".h5", ".itk"))
FIELD_FORMATS.add("ants", FieldFormat("ANTs, NIfTI vectors", ".nii.gz", ".mat", ".ants"))
FIELD_FORMATS.add("fsl", FieldFormat("FSL (FNIRT, applywarp)", ".nii.gz", ".mat", ".fsl", "nibabel"))
FIELD_FORMATS.add("elastix", FieldFormat("elastix, transformix", ".txt", ".txt", ".elastix"))
FIELD_FORMATS.add("x5", FieldFormat("X5, nitransforms", ".x5", ".x5", ".x5", "h5py"))


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
        if entry.files.accepts(path):
            return choose_format(name).files.read(path, moving)
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
    import numpy as np

    entry, path = choose_format(name), expanded(path)
    if not path.name.lower().endswith(entry.suffix):
        raise InputError(f"'{path}': fields of the format '{name}' are files with the suffix {entry.suffix}.")
    displacement = np.asarray(displacement, dtype=np.float32)
    if displacement.shape != (grid.ndim, *grid.shape):
        raise InputError(f"A field of shape {displacement.shape} does not fit a grid of {(grid.ndim, *grid.shape)}.")
    if not np.isfinite(displacement).all():
        raise InputError(f"'{path}': a field with NaN or infinite vectors is not written.")
    entry.files.write(path, displacement, grid, moving or grid)
