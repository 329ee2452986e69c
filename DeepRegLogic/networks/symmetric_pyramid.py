"""A symmetric pyramid: small features of every image, compared coarse to fine half-way between the two."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, product

import torch
import torch.nn.functional as F
from torch import nn

from .. import flow
from ..descriptors import self_similarity
from ..transformations import StationaryVelocity
from .base import (
    CONVOLUTION,
    PAIR,
    SLOPE,
    MotionNetwork,
    cropped,
    neighbours,
    padded,
    pairs_of,
    register,
    start_near_identity,
)

_SQUARINGS = 4
SELF_SIMILARITIES = {2: 4, 3: 12}


class Features(nn.Module):
    """A U-Net that sees one image: features at 1/2, 1/4, ... of its resolution, the coarser ones mixed into the finer.

    It begins with the self-similarity of the image, which does not depend on contrast, and every level has that of its
    resolution beside what was learned. Strided convolutions look at every second voxel of an odd number, so that all
    levels have their corners aligned.
    """

    def __init__(self, ndim: int, channels: Sequence[int]) -> None:
        super().__init__()
        conv = CONVOLUTION[ndim]
        before = (SELF_SIMILARITIES[ndim], *channels[:-1])
        self.down = nn.ModuleList(
            nn.Sequential(
                conv(a, b, 3, stride=2, padding=1),
                nn.LeakyReLU(SLOPE),
                conv(b, b, 3, padding=1),
                nn.LeakyReLU(SLOPE),
            )
            for a, b in zip(before, channels, strict=True)
        )
        self.up = nn.ModuleList(
            nn.Sequential(conv(a + b, a, 3, padding=1), nn.LeakyReLU(SLOPE)) for a, b in pairwise(channels)
        )

    def forward(self, images: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """``[N, 1, *spatial]`` to the self-similarity and the features of all levels, the finest first."""
        pool = F.avg_pool2d if images.ndim == 4 else F.avg_pool3d
        mode = "bilinear" if images.ndim == 4 else "trilinear"
        x = self_similarity(images)
        given, levels = [], []
        for down in self.down:
            images = pool(images, 3, stride=2, padding=1, count_include_pad=False)
            given.append(self_similarity(images, 1))
            x = down(x)
            levels.append(x)
        for level in range(len(levels) - 2, -1, -1):
            coarse = F.interpolate(levels[level + 1], size=levels[level].shape[2:], mode=mode, align_corners=True)
            levels[level] = self.up[level](torch.cat([levels[level], coarse], dim=1))
        return list(zip(given, levels, strict=True))


class Step(nn.Module):
    """What is left between images that should lie on each other: a velocity that changes sign when the two swap.

    What describes a voxel is compared with what describes the other image at the voxel and its neighbours (a cost
    volume: PWC-Net, Sun et al. 2018). The mean of the neighbours' offsets, weighted by how well they fit, smoothed, is
    a first answer that needs no training; convolutions over the costs better it.
    """

    def __init__(self, ndim: int, channels: int) -> None:
        super().__init__()
        conv = CONVOLUTION[ndim]
        self.offsets = list(product((-1, 0, 1), repeat=ndim))
        self.sharpness = nn.Parameter(torch.tensor([6.0, 0.0]))  # of what is given, and of what is learned
        self.body = nn.Sequential(
            conv(2 * len(self.offsets), channels, 3, padding=1),
            nn.LeakyReLU(SLOPE),
            conv(channels, channels, 3, padding=1),
            nn.LeakyReLU(SLOPE),
        )
        self.head = conv(channels, ndim, 3, padding=1)

    def forward(self, moving: Sequence[torch.Tensor], fixed: Sequence[torch.Tensor]) -> torch.Tensor:
        moving, fixed = [m - m.mean(1, keepdim=True) for m in moving], [f - f.mean(1, keepdim=True) for f in fixed]
        moving, fixed = [F.normalize(m) for m in moving], [F.normalize(f) for f in fixed]
        both = [torch.cat([self._fits(a, b), self._fits(b, a)]) for a, b in zip(moving, fixed, strict=True)]
        weights = flow.smooth(self.sharpness[0] * both[0] + self.sharpness[1] * both[1], 1.0).softmax(1)
        first = torch.einsum("nk...,kc->nc...", weights, weights.new_tensor(self.offsets))
        better = self.head(self.body(torch.cat(both, dim=1)))
        forward, backward = (flow.smooth(first, 1.0) + better).chunk(2)
        return (forward - backward) / 2

    def _fits(self, there: torch.Tensor, here: torch.Tensor) -> torch.Tensor:
        """How well features fit those at the neighbours, ``[N, 3^ndim, *spatial]``: 1 for equal ones."""
        return torch.stack([(near * here).sum(1) for near in neighbours(there, 1, "replicate")], dim=1)


@register("symmetric-pyramid")
class SymmetricPyramid(MotionNetwork):
    """Registers pairs by what is alike in features of both images, and gives exactly the inverse when they swap.

    A shared U-Net sees each image on its own. From the coarsest level to half the resolution, the features of both are
    brought half-way to each other by the velocity found so far, ``exp(v/2)`` and ``exp(-v/2)``, and a small network
    adds to the velocity what is left (velocities added coarse to fine: LapIRN, Mok and Chung 2020; meeting half-way:
    SyN, Avants et al. 2008). Every step is the difference of one network's answers to both orders of the images, so
    that ``v(a, b) = -v(b, a)`` but for rounding.

    Parameters
    ----------
    ndim : number of spatial axes, 2 or 3.
    channels : of the levels at 1/2, 1/4, ... of the resolution.
    """

    capabilities = frozenset({PAIR})

    def __init__(
        self, ndim: int = 2, channels: Sequence[int] = (16, 24, 32, 32), repeats: int = 1, smoothing: float = 0.7
    ) -> None:
        super().__init__()
        self.ndim = ndim
        self.repeats, self.smoothing = repeats, smoothing
        self.divisor = 2 ** len(channels)
        self.features = Features(ndim, channels)
        steps = [Step(ndim, width) for width in channels]
        self.steps = nn.ModuleList(steps)
        start_near_identity(self, *(step.head for step in steps), std=1e-3)

    def estimate(self, reference: torch.Tensor, frames: torch.Tensor) -> StationaryVelocity:
        moving, fixed = pairs_of(reference, frames, self.ndim)
        spatial = tuple(reference.shape[2:])
        images = padded(torch.cat([moving, fixed]), self.divisor, over=1)
        velocity: torch.Tensor | None = None
        for step, level in reversed(list(zip(self.steps, self.features(images), strict=True))):
            with torch.autocast(images.device.type, enabled=False):
                there, here = zip(*(each.float().chunk(2) for each in level), strict=True)
                for _ in range(self.repeats):
                    if velocity is None:
                        velocity = step(there, here)
                        continue
                    velocity = flow.resize(velocity, there[0].shape[2:])
                    half = flow.exp(velocity / 2, _SQUARINGS), flow.exp(-velocity / 2, _SQUARINGS)
                    near = [flow.warp(each, half[0]) for each in there], [flow.warp(each, half[1]) for each in here]
                    velocity = flow.smooth(velocity + step(*near), self.smoothing)
        assert velocity is not None
        return StationaryVelocity(cropped(flow.resize(velocity, images.shape[2:]), spatial))
