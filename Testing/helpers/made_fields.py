"""Fields made for tests: smooth, random, the same from a seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from DeepRegLogic import Grid, flow


def smooth_field(
    shape: tuple[int, ...], amplitude: float, sigma: float = 8.0, seed: int = 0, count: int = 1, border: bool = True
) -> torch.Tensor:
    """A random smooth field ``[count, ndim, *shape]`` of the given largest component; zero at the border if asked."""
    generator = torch.Generator().manual_seed(seed)
    field = flow.smooth(torch.randn(count, len(shape), *shape, generator=generator), sigma)
    if border:
        window = torch.zeros(1, 1, *shape)
        margin = int(1.5 * sigma)
        window[(..., *[slice(margin, -margin)] * len(shape))] = 1
        field = field * flow.smooth(window, sigma / 2)
    return amplitude * field / field.abs().amax()


def image_and_field(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """An image ``[*shape]`` and a smooth displacement of a few voxels, of another form along each axis."""
    noise = torch.randn(1, 1 + grid.ndim, *grid.shape, generator=torch.Generator().manual_seed(0))
    image = flow.smooth(noise[:, :1], 1.2)[0, 0]
    field = flow.smooth(noise[:, 1:], 5.0)[0]
    field = field / field.abs().amax() * torch.tensor([1.5, 3.0, 4.0][-grid.ndim :]).view(-1, *[1] * grid.ndim)
    return image.numpy(), field.numpy()


def rereference(motion, frame):
    """The same ``Motion`` seen from another reference frame, by composition; without its quality."""
    out = torch.from_numpy(np.array(motion.displacement))
    back = torch.from_numpy(np.array(motion.inverse))
    displacement = flow.compose(out, back[frame : frame + 1].expand_as(out))
    inverse = flow.compose(out[frame : frame + 1].expand_as(out), back)
    displacement[frame] = 0
    inverse[frame] = 0
    return replace(motion, reference=frame, displacement=displacement.numpy(), inverse=inverse.numpy(), quality=())
