"""Which frames of a case are registered to which, and the figures of a case from those of its parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from .cases import Case
from .methods import Found
from .metrics import identity, measure, sample


def between(case: Case, first: int, second: int) -> np.ndarray:
    """The true displacement ``[ndim, ...]`` in voxels from one frame to another: back to frame 0, then forward."""
    places = identity(case.labels.shape[1:]) + case.inverse[first]
    return (case.inverse[first] + sample(case.forward[second], places, order=3)).astype(np.float32)


def step(case: Case, first: int, second: int) -> Case:
    """Two frames as a case of their own, with the masks and the centre of the first of them."""
    chosen = [first, second]
    gap = case.times[second] - case.times[first] if second > first else case.times[1] - case.times[0]
    still = np.zeros_like(case.forward[0])
    places = identity(case.labels.shape[1:]) + case.inverse[first]
    last = np.reshape(case.labels.shape[1:], (-1, *[1] * len(case.spacing))) - 1
    known = ((places >= 0) & (places <= last)).all(axis=0)  # tissue that was in the image at frame 0
    masks = {name: known & (sample(mask.astype(np.uint8), places, order=0) > 0) for name, mask in case.masks.items()}
    return replace(
        case,
        frames=case.frames[chosen],
        times=np.array([0.0, gap]),
        forward=np.stack([still, between(case, first, second)]),
        inverse=np.stack([still, between(case, second, first)]),
        labels=case.labels[chosen],
        masks=masks,
        systole=1,
        centre=None if case.centre is None else np.argwhere(case.labels[first] == 1).mean(0),
        cyclic=False,
        motion=None,
        phases=case.phases[chosen],
    )


def whole(case: Case) -> list[Case]:
    return [case]


def pair(case: Case) -> list[Case]:
    return [step(case, 0, case.systole)]


def neighbours(case: Case) -> list[Case]:
    """Every frame and the next; of a cyclic case the last and the first, too."""
    count = len(case.frames)
    return [step(case, t, (t + 1) % count) for t in range(count if case.cyclic else count - 1)]


class Mode(NamedTuple):
    meaning: str
    parts: Callable[[Case], list[Case]]


MODES: dict[str, Mode] = {
    "reference": Mode("frame 0 and all frames at once", whole),
    "neighbours": Mode(
        "every frame and the next; figures are means over the steps, at ES is at a step's end", neighbours
    ),
    "pair": Mode("frame 0 and end-systole alone", pair),
}


def as_parts(case: Case, found: Found) -> list[Found]:
    """The fields from every frame to the next as those of ``neighbours``.

    Where the last step of a cycle is left out, it is the way back through all others.
    """
    forward, inverse = list(found.forward), list(found.inverse)
    if case.cyclic and len(forward) < len(case.frames):
        forward.append(_chained(inverse[::-1]))
        inverse.append(_chained(forward[:-1]))
    still = np.zeros_like(forward[0])
    return [
        Found(np.stack([still, onward]), np.stack([still, back]), found.made_with)
        for onward, back in zip(forward, inverse, strict=True)
    ]


def _chained(fields: Sequence[np.ndarray]) -> np.ndarray:
    grid = identity(fields[0].shape[1:])
    places = grid
    for field in fields:
        places = places + sample(field, places)
    return (places - grid).astype(np.float32)


def measured(case: Case, parts: Sequence[Case], found: Sequence[Found]) -> dict[str, float]:
    """Means of the figures of the parts; of neighbours round a cycle also "loop"."""
    rows = [measure(part, each.forward, each.inverse) for part, each in zip(parts, found, strict=True)]
    means = {name: float(np.nanmean([row[name] for row in rows])) for name in rows[0]}
    if case.cyclic and len(parts) == len(case.frames):
        means["loop"] = loop(case, [each.forward[1] for each in found])
    return means


def loop(case: Case, steps: Sequence[np.ndarray]) -> float:
    """Mean distance in mm from where points of the organ end, after a step from every frame to the next, to where
    they began: 0 for the true steps of a cyclic case."""
    start = identity(case.labels.shape[1:])[:, case.masks["organ"]]
    places = start
    for field in steps:
        places = places + sample(field, places)
    scale = np.reshape(case.spacing, (-1, 1))
    return float(np.linalg.norm((places - start) * scale, axis=0).mean())
