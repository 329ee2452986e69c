"""One long-axis slice: the wall from one end of the mitral annulus over the apex to the other, from these points."""

from __future__ import annotations

import numpy as np

from .rays import Rays
from .tissue import blurred, tissue_at
from .wall import Wall, wall_on

RAYS = 72
_LOOKED = 40.0  # mm from the middle of the cavity
_BULGE = 0.25  # of a cavity that is wider than its annulus
_FOOT = 0.85  # rays start on the axis, up to this part of the way to the apex
_EXPECTED, _PINNED, _PINS = 0.004, 3.0, 2  # prices of a squared mm off the template, and at the clicks; rays there
_SHORTEST = 20.0  # mm


def bow_at(image: np.ndarray, spacing: tuple[float, float], clicks: np.ndarray) -> Wall | None:
    """The wall through three clicks, or None where there are no two tissues.

    Rays go from the axis of the ventricle to a half ellipse through the clicks: across the axis at the annulus, along
    it at the apex.

    Parameters
    ----------
    image : ``[H, W]`` float.
    spacing : mm between rows and between columns.
    clicks : ``[3, 2]`` mm along rows and columns: apex of the cavity, both ends of the annulus.
    """
    apex, first, second = np.asarray(clicks, float)
    middle = 0.5 * (first + second)
    smooth = blurred(image, spacing)
    tissue = tissue_at(smooth, spacing, middle + 0.45 * (apex - middle), _LOOKED)
    if tissue is None:
        return None
    angle = np.linspace(0.0, np.pi, RAYS)[:, None]
    across, length = 0.5 * (first - second), apex - middle
    template = middle + across * np.cos(angle) * (1.0 + _BULGE * np.sin(angle)) + length * np.sin(angle)
    feet = middle + _FOOT * length * np.sin(angle)
    reach = np.linalg.norm(template - feet, axis=1)
    price = np.full(RAYS, _EXPECTED)
    for pinned in (slice(None, _PINS), slice(-_PINS, None), slice(RAYS // 2 - 1, RAYS // 2 + 1)):
        price[pinned] = _PINNED
    rays = Rays(feet, (template - feet) / reach[:, None], spacing)
    return wall_on(tissue.read(smooth), rays, tissue, (reach, price), closed=False)


def are_apart(clicks: np.ndarray) -> bool:
    """Whether three clicks ``[3, 2]`` in mm can be the apex and the annulus of a ventricle."""
    apex, first, second = np.asarray(clicks, float)
    middle = 0.5 * (first + second)
    return bool(np.linalg.norm(apex - middle) >= _SHORTEST and np.linalg.norm(first - second) >= 0.5 * _SHORTEST)
