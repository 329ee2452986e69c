"""Where the right ventricle is: blood right beside the wall of the left one, on the patient's right or in front.

It names the segments, which are counted from the septum; it is no measurement of the right ventricle.
"""

from __future__ import annotations

import numpy as np

from .rays import STEP, filled
from .wall import Wall

_FROM, _TO = 2.0, 8.0  # mm outside of the wall: where blood is looked for
_REACH = 16.0  # mm: how far it is taken
_BLOOD = 0.55  # readings above are blood
_LEAST = 45.0  # degrees of the wall that it must lie at


def right_of(image: np.ndarray, ring: Wall, towards: np.ndarray) -> np.ndarray | None:
    """The blood beside the wall ``[H, W]``, or None where there is none on that side.

    Parameters
    ----------
    image : ``[H, W]`` as the wall was found in.
    towards : ``[2]`` along rows and columns, to the patient's right and front.
    """
    reading = ring.tissue.read(image)
    along = np.nan_to_num(ring.rays.sample(reading, round((ring.outer.max() + _TO) / STEP) + 2), nan=0.0)
    places = np.arange(along.shape[1]) * STEP
    beside = (places > ring.outer[:, None] + _FROM) & (places <= ring.outer[:, None] + _TO)
    blood = (along * beside).sum(axis=1) / np.maximum(beside.sum(axis=1), 1) > _BLOOD
    run = _longest(blood & (ring.rays.directions @ towards > -0.3 * np.linalg.norm(towards)))
    if len(run) * 360.0 / len(blood) < _LEAST:
        return None
    near = ring.rays.points(ring.outer + STEP)[run]
    far = ring.rays.points(ring.outer + _REACH)[run]
    sector = filled(np.concatenate([near, far[::-1]]), reading.shape, np.array(ring.rays.spacing))
    found = sector & (reading > _BLOOD)
    return found if found.any() else None


def _longest(flags: np.ndarray) -> np.ndarray:
    """The numbers of the longest run of true values, around the end."""
    if flags.all() or not flags.any():
        return np.flatnonzero(flags)
    start = int(np.flatnonzero(~flags)[0])
    turned = np.roll(flags, -start)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], turned.astype(int), [0]])))
    first, last = max(zip(edges[::2], edges[1::2], strict=True), key=lambda run: run[1] - run[0])
    return (np.arange(first, last) + start) % len(flags)
