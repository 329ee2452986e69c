"""One network for every smoothness: the weight of the regulariser is an input (HyperMorph; conditional LapIRN)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from ..transformations import StationaryVelocity
from .base import (
    CONVOLUTION,
    PAIR,
    REGISTER,
    REGULARITY,
    SLOPE,
    MotionNetwork,
    cropped,
    padded,
    pairs_of,
    register,
    require_axes,
    start_near_identity,
)


class _Conditional(nn.Module):
    """A convolution whose channels are scaled and shifted by what a small network makes of the smoothness."""

    def __init__(self, ndim: int, channels_in: int, channels: int, embedding: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = CONVOLUTION[ndim](channels_in, channels, 3, stride=stride, padding=1)
        self.style = nn.Linear(embedding, 2 * channels)

    def forward(self, x: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)
        scale, shift = self.style(embedding).view(2, 1, -1, *[1] * (x.ndim - 2))
        return nn.functional.leaky_relu(x * (1 + scale) + shift, SLOPE)


@register("conditional")
class ConditionalVoxelMorph(MotionNetwork):
    """A VoxelMorph-like U-Net that takes the smoothness, a number from 0 to 1, as an input.

    Hoopes et al. 2021 (HyperMorph) let a network make all weights from that number; here it scales and shifts the
    channels of every convolution, as Mok and Chung 2021 (conditional LapIRN) do: a slider at no cost. ``estimate`` has
    that of the attribute ``smoothness``, ``estimate_at`` any. The task "conditional" trains with all of them.

    Parameters
    ----------
    ndim : number of spatial axes, 2 or 3.
    channels : of the levels at the whole, 1/2, 1/4, ... of the resolution.
    """

    capabilities = frozenset({REGISTER, PAIR, REGULARITY})
    training_task = "conditional"

    def __init__(self, ndim: int = 2, channels: Sequence[int] = (16, 32, 32, 32), embedding: int = 32) -> None:
        super().__init__()
        require_axes(ndim)
        self.ndim = ndim
        self.divisor = 2 ** (len(channels) - 1)
        self.smoothness = 0.5
        self.embed = nn.Sequential(nn.Linear(1, embedding), nn.ReLU(), nn.Linear(embedding, embedding), nn.ReLU())
        before = (2, *channels[:-1])
        self.down = nn.ModuleList(
            _Conditional(ndim, a, b, embedding, 1 if level == 0 else 2)
            for level, (a, b) in enumerate(zip(before, channels, strict=True))
        )
        self.up = nn.ModuleList(
            _Conditional(ndim, channels[level] + channels[level + 1], channels[level], embedding)
            for level in reversed(range(len(channels) - 1))
        )
        self.head = CONVOLUTION[ndim](channels[0], ndim, 3, padding=1)
        start_near_identity(self, self.head)

    def estimate_at(self, reference: torch.Tensor, frames: torch.Tensor, regularity: float) -> StationaryVelocity:
        usual, self.smoothness = self.smoothness, regularity
        try:
            return self.estimate(reference, frames)
        finally:
            self.smoothness = usual

    def estimate(self, reference: torch.Tensor, frames: torch.Tensor) -> StationaryVelocity:
        x = padded(torch.cat(pairs_of(reference, frames, self.ndim), dim=1), self.divisor)
        embedding = self.embed(x.new_tensor([2 * self.smoothness - 1]))
        skips = []
        for down in self.down:
            x = down(x, embedding)
            skips.append(x)
        for up, skip in zip(self.up, reversed(skips[:-1]), strict=True):
            x = nn.functional.interpolate(x, scale_factor=2, mode="nearest")
            x = up(torch.cat([x, skip], dim=1), embedding)
        with torch.autocast(x.device.type, enabled=False):
            return StationaryVelocity(cropped(self.head(x.float()), reference.shape[2:]))
