"""The wall of muscle on a fan of rays: both borders together, how sure they are, and whether the image shows them.

The image is read as 1 for blood and 0 for muscle (``tissue``) and sampled along the rays. Inside the inner border is
blood, papillary muscles may be among it; between the borders is muscle alone; right outside the outer one is something
else. The prices were chosen on half of the subjects of the Sunnybrook data.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .rays import STEP, Rays
from .search import best_borders
from .tissue import Tissue

_INNER, _WIDTH = (4.0, 42.0), (4.5, 20.0)  # mm: inner radii and widths of the wall that are looked for
_PAPILLARY, _IN_CAVITY = 0.05, 0.33  # price of a mm of muscle in the cavity; readings below this are muscle
_NOT_MUSCLE, _BRIGHT, _DARK, _RAMP = 1.75, 0.03, -0.64, 0.23  # price of a mm of other tissue in the wall; what is other
_EDGE, _STEEPEST = 4.25, 0.4  # price of a missing edge at the inner border; reading per mm of a full one
_OUTSIDE, _BAND = 1.0, 3.0  # price of a mm of muscle outside of the wall, within so many mm
_STIFFNESS = (0.95, 1.8)  # of the inner radius and of the width of the wall, for steps from ray to ray
_HARMONICS = 8.0  # those of a radius above are smoothed away
_TEMPERATURE = 12.0  # with which the deviations are as large as the errors against drawn contours
_SIDE = 3.0  # mm on both sides of a border that are compared
_INNER_EDGE, _OUTER_EDGE, _SHARP = (
    0.1,
    0.08,
    4.0,
)  # differences of readings, and mm, of a border that the image supports
_SUPPORTED, _MISFIT = 0.6, -0.5  # part of the inner border, and mean price, of a ring that the image supports


@dataclass(frozen=True, eq=False)
class Wall:
    """The borders of the muscle.

    Attributes
    ----------
    rays : where they go.
    inner, outer : ``[A]`` radii of the endocardium and the epicardium in mm.
    inner_deviation, outer_deviation : ``[A]`` their standard deviations in mm, by the price of other paths.
    inner_supported, outer_supported : ``[A]`` whether the image has an edge there, and but one.
    tissue : intensities of blood and muscle.
    closed : whether the last ray is followed by the first.
    misfit : mean price of a ray; the less the better.
    """

    rays: Rays
    inner: np.ndarray
    outer: np.ndarray
    inner_deviation: np.ndarray
    outer_deviation: np.ndarray
    inner_supported: np.ndarray
    outer_supported: np.ndarray
    tissue: Tissue
    closed: bool
    misfit: float

    @property
    def is_supported(self) -> bool:
        """Whether the image shows such a wall."""
        return bool(self.inner_supported.mean() >= _SUPPORTED and self.misfit <= _MISFIT)


def wall_on(
    reading: np.ndarray, rays: Rays, tissue: Tissue, expected: tuple[np.ndarray, np.ndarray] | None, closed: bool
) -> Wall:
    """The wall on some rays.

    Parameters
    ----------
    reading : ``[H, W]`` the image as ``tissue`` reads it.
    expected : ``[A]`` inner radii in mm, and the price of a squared mm of difference to them; None for nothing.
    closed : whether the last ray is followed by the first.
    """
    radii, widths = (np.arange(round(low / STEP), round(high / STEP)) for low, high in (_INNER, _WIDTH))
    along = rays.sample(reading, radii[-1] + widths[-1] + round(_BAND / STEP) + 3)
    cost = prices(along, radii, widths)
    if expected is not None:
        radius, price = expected
        cost += (price[:, None] * (radii * STEP - radius[:, None]) ** 2)[:, :, None]
    found = best_borders(cost, _STIFFNESS, closed, _TEMPERATURE)
    inner = _smoothed(radii[found.inner] * STEP, closed)
    outer = np.maximum(_smoothed((radii[found.inner] + widths[found.width]) * STEP, closed), inner + STEP)
    inner_deviation, outer_deviation = found.inner_spread * STEP, found.outer_spread * STEP
    inner_edge, outer_edge = (_difference(along, radius) for radius in (inner, outer))
    return Wall(
        rays, inner, outer, inner_deviation, outer_deviation,
        (inner_edge >= _INNER_EDGE) & (inner_deviation <= _SHARP),
        (np.abs(outer_edge) >= _OUTER_EDGE) & (outer_deviation <= _SHARP),
        tissue, closed, found.cost,
    )  # fmt: skip


def prices(along: np.ndarray, radii: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """What borders at ``radii`` and ``radii + widths`` (indices) cost on rays of readings ``[A, R]``: ``[A, E, W]``."""
    known, along = np.isfinite(along), np.nan_to_num(along)
    muscle_inside = np.cumsum(np.clip(_IN_CAVITY - along, 0.0, _IN_CAVITY), axis=1) * STEP
    other = np.clip((along - _BRIGHT) / _RAMP, 0.0, 1.0) + np.clip((_DARK - along) / _RAMP, 0.0, 1.0)
    other = np.where(known, other, 0.5)  # outside of the image is no tissue
    total = np.cumsum(np.pad(other, ((0, 0), (1, 0))), axis=1) * STEP  # over the samples before each
    slope = np.pad((along[:, 2:] - along[:, :-2]) / (2 * STEP), ((0, 0), (1, 1)))
    edge = np.clip(-slope, 0.0, _STEEPEST)
    ends, band = radii[:, None] + widths[None], round(_BAND / STEP)
    inner = _PAPILLARY * muscle_inside[:, radii] - _EDGE * edge[:, radii]
    wall = total[:, ends] - total[:, radii][:, :, None]
    outside = total[:, ends + band] - total[:, ends]
    return np.asarray(inner[:, :, None] + _NOT_MUSCLE * wall - _OUTSIDE * outside)


def _difference(along: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """``[A]`` mean reading inside of a border less that outside of it."""
    place, side = radius / STEP, round(_SIDE / STEP)
    index = np.arange(along.shape[1])
    inside = (index <= place[:, None]) & (index > place[:, None] - side)
    outside = (index > place[:, None]) & (index <= place[:, None] + side)
    known, values = np.isfinite(along), np.nan_to_num(along)
    inner, outer = (
        (values * part).sum(axis=1) / np.maximum((part & known).sum(axis=1), 1) for part in (inside, outside)
    )
    return np.where((outside & known).any(axis=1), inner - outer, 0.0)


def _smoothed(radius: np.ndarray, closed: bool) -> np.ndarray:
    around = radius if closed else np.concatenate([radius, radius[::-1]])
    waves = np.fft.rfft(around)
    harmonics = _HARMONICS * len(around) / len(radius)
    smooth = np.fft.irfft(waves * np.exp(-0.5 * (np.arange(len(waves)) / harmonics) ** 2), len(around))
    return np.asarray(smooth[: len(radius)])
