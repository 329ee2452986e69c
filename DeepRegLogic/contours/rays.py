"""Rays from a point through a slice: the image along them, and contours on them as areas and points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from .. import flow

STEP = 0.75
"""Distance of samples along a ray in mm."""


@dataclass(frozen=True, eq=False)
class Rays:
    """A fan of rays in a slice.

    Attributes
    ----------
    feet : ``[A, 2]`` where they start, mm along rows and columns from the centre of the first pixel.
    directions : ``[A, 2]`` what one mm along each of them is, mm along rows and columns.
    spacing : mm between rows and between columns.
    """

    feet: np.ndarray
    directions: np.ndarray
    spacing: tuple[float, float]

    @classmethod
    def around(cls, origin: np.ndarray, spacing: tuple[float, float], count: int) -> Rays:
        """``count`` rays all around a point."""
        angle = 2 * np.pi * np.arange(count) / count
        feet = np.broadcast_to(np.asarray(origin, float), (count, 2))
        return cls(feet, np.stack([np.sin(angle), np.cos(angle)], axis=1), spacing)

    def points(self, radii: np.ndarray) -> np.ndarray:
        """``[A, ..., 2]`` mm, of radii ``[A, ...]``."""
        shape = (-1, *[1] * (np.ndim(radii) - 1), 2)
        return self.feet.reshape(shape) + np.asarray(radii)[..., None] * self.directions.reshape(shape)

    def sample(self, image: np.ndarray, count: int) -> np.ndarray:
        """``[A, count]`` linear between pixels of ``image`` ``[H, W]``, every ``STEP`` mm; NaN outside."""
        radii = np.broadcast_to(STEP * np.arange(count), (len(self.directions), count))
        places = self.points(radii).reshape(-1, 2) / self.spacing
        last = np.array(image.shape) - 1.0
        inside = np.all((places >= -0.5) & (places <= last + 0.5), axis=1)
        values = flow.sample(
            torch.from_numpy(np.ascontiguousarray(image, np.float32))[None, None],
            torch.from_numpy(np.clip(places, 0.0, last)),
        )
        found = values.numpy().reshape(-1)
        return np.where(inside, found, np.nan).reshape(radii.shape)


def filled(points: np.ndarray, shape: tuple[int, ...], spacing: np.ndarray) -> np.ndarray:
    """The pixels ``[H, W]`` whose centres are inside of a closed polygon ``[P, 2]`` in mm (even-odd rule)."""
    y, x = (points / spacing).T
    y2, x2 = np.roll(y, -1), np.roll(x, -1)
    inside = np.zeros(shape, bool)
    columns = np.arange(shape[1])
    for row in range(max(0, int(np.ceil(y.min()))), min(shape[0] - 1, int(np.floor(y.max()))) + 1):
        crossing = (y <= row) != (y2 <= row)
        t = (row - y[crossing]) / (y2[crossing] - y[crossing])
        cuts = x[crossing] + t * (x2[crossing] - x[crossing])
        inside[row] = (cuts[:, None] <= columns).sum(axis=0) % 2 == 1
    return inside


def centroid(points: np.ndarray) -> np.ndarray:
    """``[2]`` the centre of the area of a closed polygon ``[P, 2]``."""
    a, b = points, np.roll(points, -1, axis=0)
    cross = a[:, 0] * b[:, 1] - b[:, 0] * a[:, 1]
    return ((a + b) * cross[:, None]).sum(axis=0) / (3.0 * cross.sum())
