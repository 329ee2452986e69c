"""Pairs made for tests: a random anatomy, and the same one seen through a known affine map, on another grid."""

from __future__ import annotations

import numpy as np
import torch

from DeepRegLogic import Cine, Grid, flow
from DeepRegLogic.results.resample import points_of


class Anatomy:
    """Blobs in space: an intensity for every point in LPS mm, the same for every image of it."""

    def __init__(self, centre: np.ndarray, size: float, ndim: int, seed: int = 0, count: int = 12) -> None:
        random = np.random.default_rng(seed)
        offsets = random.uniform(-0.5, 0.5, (count, 3)) * size
        offsets[:, ndim:] = 0
        self.centres = np.asarray(centre) + offsets
        self.widths = random.uniform(0.08, 0.2, count) * size
        self.heights = random.uniform(0.3, 1.0, count)

    def at(self, points: np.ndarray) -> np.ndarray:
        """Intensities ``[P]`` at points ``[P, 3]``."""
        apart = np.linalg.norm(points[:, None] - self.centres, axis=2) / self.widths
        return (self.heights * np.exp(-0.5 * apart**2)).sum(1)

    def image(self, grid: Grid, matrix: np.ndarray | None = None, name: str = "image") -> Cine:
        """Seen on a grid; with a matrix, which takes a point of this image to one of the anatomy."""
        points = points_of(grid)
        if matrix is not None:
            points = points @ matrix[:3, :3].T + matrix[:3, 3]
        return Cine(self.at(points).reshape(1, *grid.shape).astype(np.float32), grid, name=name)


def affine_matrix(degrees: float, stretch: float, shift: np.ndarray, about: np.ndarray) -> np.ndarray:
    """``[4, 4]``: a turn about z and a stretch along x about a point, and then a shift."""
    cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    linear = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]]) @ np.diag([stretch, 1.0, 1.0])
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = linear, np.asarray(about) - linear @ about + shift
    return matrix


def furthest(found: np.ndarray, true: np.ndarray, grid: Grid) -> float:
    """The largest distance in mm between what two matrices do to the voxels of a grid."""
    points = np.column_stack([points_of(grid), np.ones(int(np.prod(grid.shape)))])
    return float(np.linalg.norm((points @ (found - true).T)[:, :3], axis=1).max())


def smooth_noise(shape: tuple[int, ...], sigma: float, seed: int = 0) -> np.ndarray:
    """A smooth random image ``[*shape]`` from 0 to 1."""
    noise = torch.randn(1, 1, *shape, generator=torch.Generator().manual_seed(seed))
    image = flow.smooth(noise, sigma)[0, 0]
    return ((image - image.min()) / (image.max() - image.min())).numpy()
