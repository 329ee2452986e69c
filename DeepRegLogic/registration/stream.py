"""Registration of cines that do not fit in memory: a few frames at a time, each with the reference frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..cine import Cine, Motion
from ..errors import InputError
from ..files import expanded, own_folder, writing
from ..io.store import StoredCine, create_array, create_store, grid_of, open_group
from ..progress import Reporter
from ..results.quality import FrameQuality
from .register import CINE_MODEL, Options, follow

if TYPE_CHECKING:
    from typing_extensions import Unpack


def register_stored(
    source: StoredCine,
    output: str | Path,
    reference: int = 0,
    model: str | None = CINE_MODEL,
    *,
    chunk: int = 8,
    **options: Unpack[Options],
) -> None:
    """Register every frame of a stored cine to its reference frame, ``chunk`` frames at a time.

    At most ``chunk`` frames and the reference, their motion and what a registration of them needs are in memory,
    however long the cine is. Each part is registered as a cine of its own that begins with the reference: what a
    network or a refinement knows of neighbours in time ends where a part ends.

    Parameters
    ----------
    output : a new zarr group, or an earlier one, which is replaced: ``displacement`` and ``inverse``
        ``[T, ndim, *grid.shape]`` in voxels, and the figures of quality ``[T]``; ``read_stored_motion`` reads frames
        of it.
    options : see ``register_cine``; ``memory_gb`` holds for a part.

    Raises
    ------
    InputError : see ``register_cine``; no such reference frame, a chunk below 1.
    OutputError : the place cannot be written or is full; nothing is left behind.
    Cancelled : nothing was written.
    """
    count, grid = len(source), source.grid
    if not 0 <= reference < count:
        raise InputError(f"'{source.name}' has the frames 0 to {count - 1}, and no reference frame {reference}.")
    if chunk < 1 or count < 2:
        raise InputError(f"'{source.name}' needs 2 frames or more, and parts of 1 frame or more.")
    settings: dict[str, Any] = {**options}
    reporter = Reporter(settings.pop("progress", None), settings.get("cancel"))
    fixed = np.asarray(source.frames[reference : reference + 1])
    with own_folder(expanded(output)) as work, writing(output):
        group = create_store(work, grid, source.times, source.time_unit)
        arrays = _arrays(group, count, grid.ndim, grid.shape)
        others = [t for t in range(count) if t != reference]
        for start in range(0, len(others), chunk):
            numbers = others[start : start + chunk]
            report = reporter.part(start / len(others), (start + len(numbers)) / len(others))
            frames = np.concatenate([fixed, *(np.asarray(source.frames[t : t + 1]) for t in numbers)])
            part = Cine(frames, grid, name=source.name)
            motion = follow(part, model, 0, cyclic=False, progress=_named(report, numbers), **settings).motion
            for n, t in enumerate(numbers, start=1):
                arrays["displacement"][t], arrays["inverse"][t] = motion.displacement[n], motion.inverse[n]
                for name in _figures():
                    arrays[name][t] = getattr(motion.quality[n], name)
            if start == 0:
                group.attrs.update({"reference": reference, "provenance": _plain(motion.provenance), "chunk": chunk})


def read_stored_motion(path: str | Path, frames: Sequence[int]) -> Motion:
    """The motion of the reference frame and of some others, read from where ``register_stored`` wrote it.

    Returns
    -------
    A motion of ``[reference, *frames]``, in which the reference has the number 0.

    Raises
    ------
    InputError : there is no such motion, or no such frame.
    """
    path = expanded(path)
    group = open_group(path)
    if "displacement" not in group or "inverse" not in group:
        raise InputError(f"'{path}' holds no motion.")
    count, reference = group["displacement"].shape[0], int(group.attrs["reference"])
    chosen = [reference, *(int(t) for t in frames if t != reference)]
    if min(chosen) < 0 or max(chosen) >= count:
        raise InputError(f"'{path}' has the frames 0 to {count - 1}.")
    figures: list[dict[str, Any]] = [{name: float(group[name][t]) for name in _figures()} for t in chosen]
    quality = tuple(FrameQuality(**values) for values in figures)
    displacement, inverse = (np.stack([group[name][t] for t in chosen]) for name in ("displacement", "inverse"))
    grid = grid_of(path, group, group["displacement"].shape[2:])
    return Motion(
        grid, 0, displacement, inverse, name=path.stem, quality=quality, provenance=dict(group.attrs["provenance"])
    )


def _figures() -> list[str]:
    return [figure.name for figure in fields(FrameQuality) if figure.name != "inconsistent_at"]


def _arrays(group: Any, count: int, ndim: int, shape: tuple[int, ...]) -> dict[str, Any]:
    """Fields and figures; the reference frame's stay zero."""
    fields_of = {
        name: create_array(group, name, (count, ndim, *shape), "float32", ndim) for name in ("displacement", "inverse")
    }
    return fields_of | {name: create_array(group, name, (count,), "float64", 0) for name in _figures()}


def _plain(provenance: Any) -> dict[str, object]:
    """What JSON holds of a provenance."""
    return {name: value for name, value in provenance.items() if isinstance(value, str | int | float | None)}


def _named(report: Reporter, numbers: list[int]) -> Callable[[float, str], None]:
    return lambda fraction, text: report(fraction, f"Frames {numbers[0]} to {numbers[-1]}: {text}")
