"""A small beating disc with known motion, and what follows from it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from DeepRegLogic import Cine, FrameQuality, Grid, Labels, Motion, Results, flow, propagate

DIRECTION = (0.0, 0.6, 0.8, 0.0, 0.8, -0.6, -1.0, 0.0, 0.0)
"""Columns: i runs head to foot, j and k obliquely; a picture must be transposed to have the head up."""


@pytest.fixture(scope="session")
def beating() -> tuple[Cine, Motion, np.ndarray]:
    """Six frames of a disc that shrinks and grows again; frame 1 is the reference. Cine, motion and labels."""
    grid = Grid((48, 40, 1), (1.5, 2.0, 8.0), (10.0, -20.0, 30.0), DIRECTION)
    rows, columns = np.mgrid[:40, :48].astype(np.float32)
    y, x = (rows - 20) * 2.0, (columns - 24) * 1.5
    radius = np.hypot(x, y)
    bump = np.exp(-((radius / 22.0) ** 4))
    toward_centre = torch.from_numpy(np.stack([-y / 2.0 * bump, -x / 1.5 * bump])[None])
    amounts = np.array([0.15, 0.0, 0.15, 0.3, 0.3, 0.2], dtype=np.float32)
    velocity = toward_centre * torch.from_numpy(amounts).view(-1, 1, 1, 1)
    displacement, inverse = flow.exp(velocity).numpy(), flow.exp(-velocity).numpy()
    labels = ((radius < 12).astype(np.uint8) + (radius < 18)).astype(np.uint8)
    image = (200.0 * (labels == 2) + 80.0 * (labels == 1) + 20.0 * np.cos(rows / 3) + 40.0).astype(np.float32)
    quality = tuple(
        FrameQuality(float(a) / 2, 0.005 + 0.08 * float(a), 0.0, float(a) / 10, float(a), 4 * float(a), 12 * float(a))
        for a in amounts
    )
    times = 0.05 * np.arange(6)
    motion = Motion(grid, 1, displacement, inverse, times, "s", "disc", quality=quality)
    return Cine(propagate(motion, image), grid, times, name="disc"), motion, labels


@pytest.fixture(scope="session")
def results(beating) -> Results:
    """What follows from the motion of the disc, with its labels."""
    cine, motion, labels = beating
    return Results(motion, cine, Labels.of_map(labels))
