"""LapIRN (Mok and Chung 2020, MICCAI): three levels of a pyramid, the velocities added from coarse to fine."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from .. import flow
from ..transformations import StationaryVelocity
from .base import (
    CONVOLUTION,
    PAIR,
    REGISTER,
    SLOPE,
    MotionNetwork,
    cropped,
    padded,
    pairs_of,
    register,
    require_axes,
    start_near_identity,
)


class _Residual(nn.Module):
    def __init__(self, ndim: int, channels: int) -> None:
        super().__init__()
        conv = CONVOLUTION[ndim]
        self.body = nn.Sequential(
            nn.LeakyReLU(SLOPE),
            conv(channels, channels, 3, padding=1),
            nn.LeakyReLU(SLOPE),
            conv(channels, channels, 3, padding=1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x)


class Level(nn.Module):
    """One network of the pyramid: strided once, ``blocks`` residual blocks, and what the coarser level had there."""

    def __init__(self, ndim: int, channels: int, blocks: int, channels_in: int) -> None:
        super().__init__()
        conv = CONVOLUTION[ndim]
        self.encode = nn.Sequential(conv(channels_in, channels, 3, padding=1), nn.LeakyReLU(SLOPE))
        self.down = conv(channels, channels, 3, stride=2, padding=1)
        self.blocks = nn.Sequential(*(_Residual(ndim, channels) for _ in range(blocks)))
        self.decode = nn.Sequential(conv(2 * channels, channels, 3, padding=1), nn.LeakyReLU(SLOPE))
        self.head = conv(channels, ndim, 3, padding=1)

    def forward(self, x: torch.Tensor, coarser: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        """Features at half the level's resolution, and the level's velocity."""
        fine = self.encode(x)
        x = self.down(fine)
        if coarser is not None:
            x = x + coarser
        x = self.blocks(x)
        mode = "bilinear" if x.ndim == 4 else "trilinear"
        up = F.interpolate(x, size=fine.shape[2:], mode=mode, align_corners=True)
        features = self.decode(torch.cat([up, fine], dim=1))
        with torch.autocast(x.device.type, enabled=False):
            return up, self.head(features.float())


@register("lapirn")
class LapIRN(MotionNetwork):
    """Levels at 1/4, 1/2 and the whole resolution; a finer one sees the moving image warped by what was found before.

    The velocity of a level is added to the one before it, brought to its resolution, and its features to those of the
    finer level (the paper's skip connections). The exponential of the sum is a diffeomorphism.

    Parameters
    ----------
    ndim : number of spatial axes, 2 or 3.
    channels, blocks : of every level's network; 28 channels and 5 residual blocks as published.
    """

    capabilities = frozenset({REGISTER, PAIR})
    divisor = 8

    def __init__(self, ndim: int = 2, channels: int = 28, blocks: int = 5) -> None:
        super().__init__()
        require_axes(ndim)
        self.ndim = ndim
        levels = [Level(ndim, channels, blocks, 2 if n == 0 else 2 + ndim) for n in range(3)]
        self.levels = nn.ModuleList(levels)
        start_near_identity(self, *(level.head for level in levels))

    def estimate(self, reference: torch.Tensor, frames: torch.Tensor) -> StationaryVelocity:
        moving, fixed = (padded(image, self.divisor) for image in pairs_of(reference, frames, self.ndim))
        velocity: torch.Tensor | None = None
        features: torch.Tensor | None = None
        for level, share in zip(self.levels, (4, 2, 1), strict=True):
            shape = [n // share for n in moving.shape[2:]]
            there, here = flow.resize_image(moving, shape), flow.resize_image(fixed, shape)
            if velocity is None:
                features, velocity = level(torch.cat([there, here], dim=1), None)
                continue
            velocity = flow.resize(velocity, shape)
            there = flow.warp(there, flow.exp(velocity))
            features, more = level(torch.cat([there, here, velocity], dim=1), features)
            velocity = velocity + more
        assert velocity is not None
        return StationaryVelocity(cropped(velocity, reference.shape[2:]))
