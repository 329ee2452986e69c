"""One short-axis slice: the ring of muscle around the left ventricle, from a point inside of it."""

from __future__ import annotations

import numpy as np

from .rays import Rays, centroid
from .tissue import blurred, tissue_at
from .wall import Wall, wall_on

RAYS = 72
LOOKED = (32.0, 45.0)
"""Distances in mm from the click within which tissues are told apart: of most hearts, and of large ones."""

_ROUNDS, _STILL = 5, 0.4  # of finding the centre; mm
_STEADY = 0.02  # price of a squared mm of difference to the slice before


def ring_at(
    image: np.ndarray, spacing: tuple[float, float], click: np.ndarray, near: Wall | None = None
) -> Wall | None:
    """The ring around a click, or None where there are no two tissues.

    The centre becomes that of the cavity found, and the search is repeated around it until it stays.

    Parameters
    ----------
    image : ``[H, W]`` float.
    spacing : mm between rows and between columns.
    click : ``[2]`` mm along rows and columns.
    near : the ring of a neighbouring slice, which is like this one.
    """
    smooth = blurred(image, spacing)
    best: Wall | None = None
    for other in (False, True):  # a click on a papillary muscle
        for looked in LOOKED:
            ring = _around(smooth, spacing, np.asarray(click, float), (looked, other), near)
            if ring is not None and (best is None or ring.misfit < best.misfit):
                best = ring
        if best is not None and best.is_supported:
            break
    return best


def _around(
    image: np.ndarray,
    spacing: tuple[float, float],
    click: np.ndarray,
    taken: tuple[float, bool],
    near: Wall | None,
) -> Wall | None:
    tissue = tissue_at(image, spacing, click, *taken)
    if tissue is None:
        return None
    reading = tissue.read(image)
    expected = None if near is None else (near.inner, np.full(RAYS, _STEADY))
    centre = tissue.centre if near is None else click
    for _ in range(_ROUNDS):
        ring = wall_on(reading, Rays.around(centre, spacing, RAYS), tissue, expected, closed=True)
        before, centre = centre, centroid(ring.rays.points(ring.inner))
        if np.hypot(*(centre - before)) < _STILL:
            break
    return ring
