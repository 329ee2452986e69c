"""X5, the BIDS draft that nitransforms implements: HDF5, a field of RAS mm on the grid of the fixed image.

One slice is stored twice, and the metadata say so: nitransforms takes axes of length 1 for none.
https://nitransforms.readthedocs.io, module ``nitransforms.io.x5``.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from ... import __version__
from ...errors import InputError
from ...files import whole_file
from ...grid import Grid, flip_lps_ras
from .vectors import displacement_of, places_of, vectors_of

_KINDS = ("space", "space", "space", "vector")
_TWICE = "SliceStoredTwice"


def accepts(path: Path) -> bool:
    """Whether its name is that of an X5 file."""
    return path.name.lower().endswith(".x5")


def write(path: Path, displacement: np.ndarray, grid: Grid, moving: Grid) -> None:
    """One nonlinear transform: displacements ``[I, J, K, 3]``."""
    values, size = flip_lps_ras(vectors_of(displacement, grid)).astype(np.float32), grid.size
    twice = grid.ndim == 2
    if twice:
        values, size = np.concatenate([values, values], axis=2), (*grid.size[:2], 2)
    _write(
        path,
        values,
        grid,
        size,
        {"Type": "nonlinear", "SubType": "densefield", "Representation": "displacements"},
        twice,
    )


def write_affine(path: Path, matrix: np.ndarray, grid: Grid, moving: Grid) -> None:
    """One linear transform, RAS mm, from the fixed to the moving image."""
    flip = np.diag((-1.0, -1.0, 1.0, 1.0))
    words = {"Type": "linear", "SubType": "affine", "Representation": "matrix"}
    _write(path, flip @ matrix @ flip, grid, grid.size, words, False)


def _write(
    path: Path, values: np.ndarray, grid: Grid, size: tuple[int, ...], words: dict[str, str], twice: bool
) -> None:
    import h5py

    about = {"WrittenBy": f"TemporalRegistration {__version__}"} | ({_TWICE: True} if twice else {})
    with whole_file(path) as part, h5py.File(part, "w") as file:
        file.attrs["Format"], file.attrs["Version"] = "X5", np.uint16(1)
        group = file.create_group("TransformGroup/0")
        for key, word in {**words, "Metadata": json.dumps(about)}.items():
            group.attrs[key] = word
        group.attrs["ArrayLength"] = 1
        group.create_dataset("Transform", data=values, compression="gzip", compression_opts=1, shuffle=True)
        group.create_dataset("DimensionKinds", data=np.asarray(_KINDS, dtype="S"))
        domain = group.create_group("Domain")
        domain.attrs["Coordinates"] = "cartesian"
        domain.create_dataset("Grid", data=np.uint8(1))
        domain.create_dataset("Size", data=np.asarray(size))
        domain.create_dataset("Mapping", data=grid.ras_matrix)


def read(path: Path, moving: Grid | None) -> tuple[np.ndarray, Grid]:
    """The first transform of a file, which must be a dense field of displacements or of places on a regular grid.

    Raises
    ------
    InputError : damaged, or another kind of transform.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            group = file["TransformGroup/0"]
            kind = tuple(str(group.attrs.get(word, "")) for word in ("Type", "SubType", "Representation"))
            values, domain = np.asarray(group["Transform"], dtype=float), group["Domain"]
            size, mapping = np.asarray(domain["Size"]), np.asarray(domain["Mapping"], dtype=float)
            about = json.loads(group.attrs.get("Metadata", "{}"))
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise InputError(f"'{path}' cannot be read as an X5 field: it is damaged, or holds no transform.") from error
    if kind[0] != "nonlinear" or kind[1] == "bspline" or values.shape != (*size, 3) or len(size) != 3:
        raise InputError(f"'{path}' holds a {' '.join(word for word in kind if word)}, not a dense field in 3D.")
    if not np.isfinite(values).all():
        raise InputError(f"'{path}' holds vectors that are not finite.")
    grid = Grid.from_ras_matrix([int(n) for n in size], mapping)
    if kind[2] == "deformations":
        values = values - places_of(grid.size, mapping)
    if isinstance(about, dict) and about.get(_TWICE):
        values, grid = values[:, :, :1], Grid((*grid.size[:2], 1), grid.spacing, grid.origin, grid.direction)
    return displacement_of(flip_lps_ras(values), grid), grid
