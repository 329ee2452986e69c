"""Cine and Motion through a folder: what two processes hand each other. Arrays are .npy files, memory-mapped when read.

Every ``pack_*`` function writes the arrays of a value into ``folder`` and returns what is left of it as JSON-able
values; ``unpack_*`` makes the value again. Needs numpy alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from .cine import Cine, FrameQuality, Motion
from .derive import Derived
from .errors import InputError
from .grid import Grid

_DERIVED = (
    "compensated", "propagated", "jacobian", "masks", "sizes", "points",
    "uncertainty", "entropy", "mean_uncertainty", "mask_uncertainty", "point_covariances",
)  # fmt: skip


def pack_array(folder: Path, name: str, array: np.ndarray) -> str:
    """Write ``<name>.npy``; its file name."""
    np.save(folder / f"{name}.npy", array, allow_pickle=False)
    return f"{name}.npy"


def pack_frames(folder: Path, name: str, count: int, frames: Iterable[np.ndarray]) -> Iterable[str]:
    """Write ``count`` arrays of one shape and type as one, an array a step; yields the file name after every step."""
    stack = None
    for number, frame in enumerate(frames):
        if stack is None:
            shape = (count, *frame.shape)
            stack = np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", dtype=frame.dtype, shape=shape)
        stack[number] = frame
        yield f"{name}.npy"


def unpack_array(folder: Path, name: str) -> np.ndarray:
    """The array of a file in ``folder``, memory-mapped read-only.

    Raises
    ------
    InputError : the file is missing, damaged, or outside the folder.
    """
    path = folder / name
    try:
        if path.parent.resolve() != folder.resolve():
            raise ValueError("it lies outside the folder of the job")
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(f"The array '{name}' of the job cannot be read: {error}.") from error


def pack_cine(folder: Path, name: str, cine: Cine) -> dict[str, object]:
    times = cine.times.tolist() if cine.time_unit else None
    return {**cine_header(cine.grid, times, cine.name), "frames": pack_array(folder, name, cine.frames)}


def cine_header(grid: Grid, times: Sequence[float] | None, name: str) -> dict[str, object]:
    """Everything of a packed cine but its ``frames``; ``times`` in seconds, or None."""
    return {"grid": asdict(grid), "times": times, "name": name}


def unpack_cine(folder: Path, values: Mapping) -> Cine:
    times = None if values["times"] is None else np.array(values["times"])
    frames = unpack_array(folder, values["frames"])
    return Cine(frames, Grid(**values["grid"]), times, name=values["name"])


def pack_motion(folder: Path, motion: Motion) -> dict[str, object]:
    return {
        "grid": asdict(motion.grid),
        "reference": motion.reference,
        "times": motion.times.tolist() if motion.time_unit else None,
        "time_unit": motion.time_unit,
        "name": motion.name,
        "cyclic": bool(motion.cyclic),
        "quality": [asdict(quality) for quality in motion.quality],
        "provenance": dict(motion.provenance),
        "displacement": pack_array(folder, "displacement", motion.displacement),
        "inverse": pack_array(folder, "inverse", motion.inverse),
        "covariance": None if motion.covariance is None else pack_array(folder, "covariance", motion.covariance),
    }


def unpack_motion(folder: Path, values: Mapping) -> Motion:
    return Motion(
        **{
            **values,
            "grid": Grid(**values["grid"]),
            "times": None if values["times"] is None else np.array(values["times"]),
            "quality": tuple(FrameQuality(**quality) for quality in values["quality"]),
            "displacement": unpack_array(folder, values["displacement"]),
            "inverse": unpack_array(folder, values["inverse"]),
            "covariance": _unpack_optional(folder, values["covariance"]),
        }
    )


def pack_derived(folder: Path, derived: Derived) -> dict[str, str | None]:
    arrays = {name: getattr(derived, name) for name in _DERIVED}
    return {name: None if array is None else pack_array(folder, name, array) for name, array in arrays.items()}


def unpack_derived(folder: Path, values: Mapping) -> Derived:
    return Derived(**{name: _unpack_optional(folder, values[name]) for name in _DERIVED})


def _unpack_optional(folder: Path, name: str | None) -> np.ndarray | None:
    return None if name is None else unpack_array(folder, name)
