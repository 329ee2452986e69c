"""A small moving block on a difficult geometry."""

from __future__ import annotations

import numpy as np
import torch

from DeepRegLogic import Cine, FrameQuality, Grid, Motion, flow, propagate


def rotation(x: float, y: float, z: float) -> np.ndarray:
    """Rotation matrix from angles in degrees about the three axes."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(np.radians([x, y, z])), np.sin(np.radians([x, y, z]))
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def oblique(size: tuple[int, int, int]) -> Grid:
    """An oblique, anisotropic, left-handed grid."""
    direction = rotation(30, -20, 15) @ np.diag((1.0, 1.0, -1.0))
    return Grid(size, (1.5, 1.8, 4.0), (12.0, -34.0, 56.0), tuple(direction.ravel()))


def smooth_motion(grid: Grid, count: int, reference: int, amplitude: float, seed: int = 3) -> Motion:
    """A smooth motion up to about ``amplitude`` voxels that is different in every frame."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn((count, grid.ndim, *grid.shape), generator=generator)
    velocity = flow.smooth(noise, [min(4.0, n / 4) for n in grid.shape])
    velocity *= amplitude / velocity.abs().max()
    velocity[reference] = 0
    quality = tuple(FrameQuality(0.1 + t, 0.01 * t, 0.0, 0.02, 0.05, 1.0 + t, 2.0 + t) for t in range(count))
    times = 0.04 * np.arange(count)
    displacement, inverse = flow.exp(velocity).numpy(), flow.exp(-velocity).numpy()
    provenance = {"model": "none", "note": 'quotes " and <tags> & umlauts äö'}
    return Motion(grid, reference, displacement, inverse, times, "s", "block", quality=quality, provenance=provenance)


def image_on(grid: Grid, seed: int = 5) -> np.ndarray:
    """A smooth random image, 0 to 1000."""
    noise = torch.randn((1, 1, *grid.shape), generator=torch.Generator().manual_seed(seed))
    image = flow.smooth(noise, 1.5)[0, 0].numpy()
    return (1000 * (image - image.min()) / np.ptp(image)).astype(np.float32)


def moving_block(size: tuple[int, int, int], count: int = 4, reference: int = 1) -> tuple[Cine, Motion]:
    """A cine and its motion on an oblique grid."""
    grid = oblique(size)
    motion = smooth_motion(grid, count, reference, amplitude=2.0)
    frames = propagate(motion, image_on(grid))
    return Cine(frames, grid, motion.times, name="block"), motion
