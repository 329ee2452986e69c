"""Cine and Motion through a folder: what two processes hand each other. Arrays are .npy files, memory-mapped when read.

Every ``pack_*`` function writes the arrays of a value into ``folder`` and returns what is left of it as JSON-able
values; ``unpack_*`` makes the value again. Needs numpy alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ..cine import Cine, Motion
from ..errors import InputError
from ..grid import Grid
from ..results.labels import Labels
from ..results.quality import FrameQuality
from ..results.results import Results


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
    header = cine_header(cine.grid, times, cine.name, cine.study_date)
    return {**header, "frames": pack_array(folder, name, cine.frames)}


def cine_header(grid: Grid, times: Sequence[float] | None, name: str, study_date: str = "") -> dict[str, object]:
    """Everything of a packed cine but its ``frames``; ``times`` in seconds, or None."""
    return {"grid": asdict(grid), "times": times, "name": name, "study_date": study_date}


def unpack_cine(folder: Path, values: Mapping[str, Any]) -> Cine:
    times = None if values["times"] is None else np.array(values["times"])
    frames = unpack_array(folder, values["frames"])
    return Cine(frames, Grid(**values["grid"]), times, name=values["name"], study_date=values.get("study_date", ""))


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
        "covariance": _pack_optional(folder, "covariance", motion.covariance),
        "affine": None if motion.affine is None else motion.affine.tolist(),
        "deformation": _pack_optional(folder, "deformation", motion.deformation),
        "path": _pack_optional(folder, "path", motion.path),
    }


def unpack_motion(folder: Path, values: Mapping[str, Any]) -> Motion:
    return Motion(
        **{
            **values,
            "grid": Grid(**values["grid"]),
            "times": None if values["times"] is None else np.array(values["times"]),
            "quality": tuple(
                FrameQuality(**{**quality, "inconsistent_at": tuple(quality["inconsistent_at"])})
                for quality in values["quality"]
            ),
            "displacement": unpack_array(folder, values["displacement"]),
            "inverse": unpack_array(folder, values["inverse"]),
            "covariance": _unpack_optional(folder, values["covariance"]),
            "affine": None if values["affine"] is None else np.array(values["affine"]),
            "deformation": _unpack_optional(folder, values["deformation"]),
            "path": _unpack_optional(folder, values["path"]),
        }
    )


def pack_drawn(folder: Path, labels: Labels | None, points: np.ndarray | None) -> dict[str, object]:
    """What was drawn on the reference frame."""
    return {
        "masks": None if labels is None else pack_array(folder, "masks", labels.masks),
        "label_names": None if labels is None else list(labels.names),
        "points": None if points is None else pack_array(folder, "points", points),
    }


def unpack_drawn(folder: Path, values: Mapping[str, Any]) -> tuple[Labels | None, np.ndarray | None]:
    names = values.get("label_names")
    masks = _unpack_optional(folder, values.get("masks"))
    labels = Labels.of_masks(masks, None if names is None else tuple(names))
    return labels, _unpack_optional(folder, values.get("points"))


def pack_results(folder: Path, results: Results) -> dict[str, object]:
    """Everything that was computed of some results, every map and curve by its name."""
    return {
        "maps": {name: pack_array(folder, f"map-{name}", results.map(name)) for name in results.maps},
        "curves": {
            name: [[key, pack_array(folder, f"curve-{name}-{number}", values)] for number, (key, values) in pairs]
            for name, pairs in ((name, enumerate(series.items())) for name, series in results.curves.items())
        },
        "statistics": [
            [name, statistic, [float(value) for value in values]]
            for (name, statistic), values in results.statistics.items()
        ],
        "strain": results.strain_content,
        "carried": pack_array(folder, "carried", results.carried),
        "followed": pack_array(folder, "followed", results.followed),
        "point_covariances": None
        if results.point_covariances is None
        else pack_array(folder, "point-covariances", results.point_covariances),
    }


def unpack_results(folder: Path, values: Mapping[str, Any], results: Results) -> Results:
    """Put what another process computed into the results of the same motion, which then compute nothing."""
    computed = {
        "curves": {
            name: {key: unpack_array(folder, file) for key, file in series} for name, series in values["curves"].items()
        },
        "statistics": {(name, statistic): np.array(figures) for name, statistic, figures in values["statistics"]},
        "strain_content": values["strain"],
        "carried": unpack_array(folder, values["carried"]),
        "followed": unpack_array(folder, values["followed"]),
        "point_covariances": _unpack_optional(folder, values["point_covariances"]),
    }
    results.keep({name: unpack_array(folder, file) for name, file in values["maps"].items()}, **computed)
    return results


def _pack_optional(folder: Path, name: str, array: np.ndarray | None) -> str | None:
    return None if array is None else pack_array(folder, name, array)


def _unpack_optional(folder: Path, name: str | None) -> np.ndarray | None:
    return None if name is None else unpack_array(folder, name)
