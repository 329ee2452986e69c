"""Cines and motions that do not fit in memory: zarr groups, of which one frame at a time is read or written.

A cine is a group with the array ``frames`` ``[T, (D,) H, W]`` (one chunk a frame) and the attributes ``spacing_mm``,
``origin_lps_mm``, ``direction_lps``, ``times`` and ``time_unit``; a motion has ``displacement`` and ``inverse``
``[T, ndim, (D,) H, W]`` in voxels and the figures of quality ``[T]``. xarray reads both (``xarray.open_zarr``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..cine import Cine
from ..errors import InputError
from ..files import expanded, own_folder
from ..grid import Grid, three

_AXES = ("slice", "row", "column")


@dataclass(frozen=True, eq=False)
class StoredCine:
    """A cine whose frames stay where they are until they are asked for.

    Attributes
    ----------
    frames : anything with ``shape``, ``dtype`` and ``frames[start:stop]``, ``[T, *grid.shape]``.
    grid, times, time_unit, name : as those of ``Cine``.
    """

    frames: Any
    grid: Grid
    times: Sequence[float] | None = None
    time_unit: str = ""
    name: str = "cine"

    def __len__(self) -> int:
        return int(self.frames.shape[0])


def open_store(path: str | Path) -> StoredCine:
    """The cine in a zarr group; its frames are not read.

    Raises
    ------
    InputError : there is no such group, or it lacks the array or what says where it lies.
    """
    path = expanded(path)
    group = open_group(path)
    if "frames" not in group:
        raise InputError(f"'{path}' has no array 'frames'; docs/formats.md says what a stored cine looks like.")
    grid = grid_of(path, group, group["frames"].shape[1:])
    return StoredCine(group["frames"], grid, group.attrs.get("times"), group.attrs.get("time_unit", ""), path.stem)


def create_store(path: Path, grid: Grid, times: Sequence[float] | None = None, time_unit: str = "") -> Any:
    """A new zarr group that lies on ``grid``; its folder is made."""
    import zarr

    group = zarr.open_group(str(path), mode="a")
    group.attrs.update(
        {"spacing_mm": grid.spacing, "origin_lps_mm": grid.origin, "direction_lps": grid.direction, "size": grid.size}
    )
    if times is not None and time_unit:
        group.attrs.update({"times": [float(time) for time in times], "time_unit": time_unit})
    return group


def create_array(group: Any, name: str, shape: Sequence[int], dtype: Any, ndim: int) -> Any:
    """A new array, one chunk a frame; its last ``ndim`` axes are those of space."""
    names = ("time", *("component",) * (len(shape) - ndim - 1), *(_AXES[-ndim:] if ndim else ()))
    chunks = (1, *shape[1:]) if len(shape) > 1 else tuple(shape)
    return group.create_array(name, shape=tuple(shape), chunks=chunks, dtype=dtype, dimension_names=names)


def write_store(path: str | Path, cine: Cine) -> None:
    """Write a cine as a zarr group, which ``open_store`` opens. OutputError where it cannot be written."""
    with own_folder(path) as work:
        group = create_store(work, cine.grid, cine.times.tolist(), cine.time_unit)
        array = create_array(group, "frames", cine.frames.shape, cine.frames.dtype, cine.grid.ndim)
        for t, frame in enumerate(cine.frames):
            array[t] = frame


def open_group(path: Path) -> Any:
    """A zarr group to read from; InputError where there is none."""
    import zarr

    if not path.is_dir():
        raise InputError(f"There is no folder '{path}'.")
    try:
        return zarr.open_group(str(path), mode="r")
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"'{path}' is no zarr group, or is damaged.") from error


def grid_of(path: Path, group: Any, shape: Sequence[int]) -> Grid:
    """Where an array lies; ``shape`` is in array order."""
    try:
        told = [tuple(group.attrs[name]) for name in ("spacing_mm", "origin_lps_mm", "direction_lps")]
    except (KeyError, TypeError) as error:
        raise InputError(f"'{path}' does not say where it lies: it needs the attribute {error}.") from error
    size = (*reversed(tuple(shape)), 1)[:3]
    return Grid(three(size), three(told[0]), three(told[1]), told[2])
