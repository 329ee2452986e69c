"""Endless random shapes in random contrast, and smooth random flows: what a network learns to register anything from.

After Hoffmann et al. 2022 (SynthMorph): label maps are drawn from smooth noise, deformed twice, and painted twice with
grey values that have nothing to do with each other, so that nothing but shape tells what belongs together. Everything
comes from a ``torch.Generator``, in two or three axes alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F

from .. import flow

_SCALES = {3: 0.045, 6: 0.028, 12: 0.012}
"""Of a random flow: cells along an axis, and the largest standard deviation there, as a share of the image's size."""


def uniform(low: float, high: float, generator: torch.Generator) -> float:
    """One number between ``low`` and ``high``."""
    return low + (high - low) * float(torch.rand((), generator=generator))


def smooth_noise(shape: Sequence[int], cells: int, channels: int, generator: torch.Generator) -> torch.Tensor:
    """Normal noise on a grid of ``cells`` points an axis, interpolated: ``[channels, *shape]``."""
    coarse = torch.randn(1, channels, *[cells] * len(shape), generator=generator)
    mode = "bilinear" if len(shape) == 2 else "trilinear"
    return F.interpolate(coarse, size=tuple(shape), mode=mode, align_corners=True)[0]


def random_flow(shape: Sequence[int], strength: float, generator: torch.Generator) -> torch.Tensor:
    """The displacement ``[1, ndim, *shape]`` in voxels of a random diffeomorphism.

    The exponential, at half the resolution, of smooth velocities of three scales, each of a strength drawn from 0 to
    ``strength`` times its usual one.
    """
    half = [(n + 1) // 2 for n in shape]
    velocity = torch.zeros(1, len(half), *half)
    for cells, share in _SCALES.items():
        amount = uniform(0, strength, generator) * share * max(half)
        velocity = velocity + amount * smooth_noise(half, cells, len(half), generator)
    return flow.resize(flow.exp(velocity, 5), shape)


def random_affine(ndim: int, rotation: float, scale: float, generator: torch.Generator) -> torch.Tensor:
    """A matrix ``[ndim, ndim]``: a turn by up to ``rotation`` degrees, and ``scale`` as a share along every axis."""
    angles = torch.triu(2 * torch.rand(ndim, ndim, generator=generator) - 1, 1) * math.radians(rotation)
    stretch = 1 + scale * (2 * torch.rand(ndim, generator=generator) - 1)
    return torch.linalg.matrix_exp(angles - angles.T) @ torch.diag(stretch)


def random_labels(shape: Sequence[int], generator: torch.Generator) -> torch.Tensor:
    """A label map ``[*shape]`` int64 of 6 to 20 shapes; in half of them one is a background around all others."""
    count = int(torch.randint(6, 21, (), generator=generator))
    cells = [int(torch.randint(3, 11, (), generator=generator)) for _ in range(2)]
    scores = smooth_noise(shape, cells[0], count, generator) + 0.5 * smooth_noise(shape, cells[1], count, generator)
    if uniform(0, 1, generator) < 0.5:
        axes = [torch.linspace(-1, 1, n) / uniform(0.6, 0.95, generator) for n in shape]
        radius = torch.stack(torch.meshgrid(*axes, indexing="ij")).norm(dim=0)
        scores[0] = 12 * (radius - 1) + 2 * scores[0]
    return scores.argmax(0)


def paint(labels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """An image ``[*spatial]`` in which every label has a random grey value and texture; 0 is often black."""
    count = max(int(labels.max()) + 1, 256)  # as many draws for every map: two maps of one palette get the same
    means = torch.rand(count, generator=generator)
    means[0] *= uniform(0, 1, generator) < 0.5
    texture = torch.rand(count, generator=generator) * uniform(0, 0.12, generator)
    grey = means[labels] + texture[labels] * torch.randn(labels.shape, generator=generator)
    return flow.smooth(grey[None, None], uniform(0.3, 1.0, generator))[0, 0]


def recolour(image: torch.Tensor, generator: torch.Generator, knots: int = 6) -> torch.Tensor:
    """An image in [0, 1] with its grey values sent through a random curve; black often stays black."""
    curve = torch.rand(knots, generator=generator)
    curve[0] *= uniform(0, 1, generator) < 0.5
    place = image.clamp(0, 1) * (knots - 1)
    below = place.long().clamp(max=knots - 2)
    return torch.lerp(curve[below], curve[below + 1], place - below)


def scan(image: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """An image as a scanner might show it: with a bias field, another gamma and noise; in [0, 1] afterwards."""
    bias = smooth_noise(image.shape, int(torch.randint(2, 5, (), generator=generator)), 1, generator)[0]
    image = image * (uniform(0, 0.3, generator) * bias).exp()
    image = image + uniform(0, 0.05, generator) * torch.randn(image.shape, generator=generator)
    pixels = image.flatten()[:: max(1, image.numel() // 20_000)]
    low, high = torch.quantile(pixels, torch.tensor([0.01, 0.99]))
    image = ((image - low) / (high - low).clamp(min=1e-6)).clamp(0, 1)
    return image.clamp(min=1e-6) ** math.exp(uniform(-0.4, 0.4, generator))


def palettes(same: float, generator: torch.Generator) -> list[torch.Generator]:
    """For the two images of a pair what their contrasts are drawn from: one and the same, with the chance ``same``."""
    first, second = torch.randint(2**62, (2,), generator=generator).tolist()
    if uniform(0, 1, generator) < same:
        second = first
    return [torch.Generator().manual_seed(seed) for seed in (first, second)]


def shape_pair(
    shape: Sequence[int], generator: torch.Generator, same: float = 0.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Two images ``[2, *shape]`` in [0, 1] of the same random shapes, and their label maps ``[2, *shape]`` int64.

    ``same`` is the chance that a shape has one grey value in both.
    """
    base = random_labels(shape, generator)
    labels = torch.stack([_deformed(base, generator) for _ in range(2)])
    colours = palettes(same, generator)
    painted = [paint(each, colour) for each, colour in zip(labels, colours, strict=True)]
    return torch.stack([scan(each, generator) for each in painted]), labels


def _deformed(labels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    field = random_flow(labels.shape, 1.0, generator)
    matrix = random_affine(labels.ndim, 8.0, 0.08, generator) - torch.eye(labels.ndim)
    centred = flow.identity(tuple(labels.shape)) - (torch.tensor(labels.shape).view(-1, *[1] * labels.ndim) - 1) / 2
    field = field + torch.einsum("ij,j...->i...", matrix, centred)[None]
    return flow.warp(labels[None, None].float(), field, mode="nearest")[0, 0].round().long()
