"""The motion pyramid: features of all frames once, and motion in a few steps from coarse to fine, over all times."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from .. import flow
from ..transformations import StationaryVelocity
from .base import SLOPE, MotionNetwork, channels_last, neighbours, register, require_images, start_near_identity

_SQUARINGS = 4
_CONTRAST = 6.0  # pixels about one within which its contrast is measured


def _convolution(channels_in: int, channels: int, width: int = 3, stride: int = 1) -> nn.Sequential:
    layer = nn.Conv2d(channels_in, channels, width, stride, width // 2)
    return nn.Sequential(layer, nn.LeakyReLU(SLOPE, inplace=True))


class Update(nn.Module):
    """One level's change of the velocity, from features of the reference and of frames already warped onto it.

    What a step sees: the correlation of the two features in a neighbourhood, the features of the reference and their
    difference, and the velocity so far. What every frame has found is passed to its neighbours in time, both ways
    around; beyond the first and the last frame is the reference, which does not move.
    """

    def __init__(self, features: int, channels: int, reach: int) -> None:
        super().__init__()
        self.reach = reach
        around = (2 * reach + 1) ** 2
        self.first = _convolution(around + 2 * features + 2, channels)
        self.in_time = nn.Conv1d(channels, channels, 3, padding=1, groups=channels)
        self.mix = _convolution(2 * channels, channels, 1)
        self.second = _convolution(channels, channels)
        self.head = nn.Conv2d(channels, 2, 3, padding=1)

    def forward(self, fixed: torch.Tensor, moved: torch.Tensor, velocity: torch.Tensor, batch: int) -> torch.Tensor:
        """``[batch * T, C, H, W]`` and ``[batch * T, 2, H, W]`` to the change ``[batch * T, 2, H, W]``."""
        seen = [local_correlations(fixed, moved, self.reach), fixed, moved - fixed, velocity.to(fixed.dtype)]
        hidden = self.first(channels_last(torch.cat(seen, dim=1)))
        hidden = self.second(self.mix(torch.cat([hidden, self._along_time(hidden, batch)], dim=1)))
        with torch.autocast(hidden.device.type, enabled=False):
            return self.head(hidden.float())

    def _along_time(self, hidden: torch.Tensor, batch: int) -> torch.Tensor:
        cines = hidden.unflatten(0, (batch, -1))
        weight = self.in_time.weight[:, 0].to(hidden.dtype)  # [C, 3]; a Conv1d over a middle axis, without its copies
        padded = F.pad(cines.flatten(2), (0, 0, 1, 1)).view(batch, -1, *cines.shape[2:])
        count = cines.shape[1]
        total = sum(padded[:, k : k + count] * weight[:, k].view(-1, 1, 1) for k in range(3))
        assert isinstance(total, torch.Tensor)  # not the 0 that an empty sum would be
        bias = self.in_time.bias
        assert bias is not None  # as it was made
        return channels_last((total + bias.to(hidden.dtype).view(-1, 1, 1)).flatten(0, 1))


def local_correlations(fixed: torch.Tensor, moved: torch.Tensor, reach: int) -> torch.Tensor:
    """Mean products of features ``[N, C, H, W]`` with those up to ``reach`` pixels away: ``[N, K, H, W]``."""
    return torch.stack([(fixed * near).mean(1) for near in neighbours(moved, reach, "constant")], dim=1)


@register("pyramid")
class MotionPyramid(MotionNetwork):
    """Velocities of all frames of a cine, found coarse to fine by a few updates each.

    Every image goes through one encoder once, its contrast first measured where it is, so that brightness may change
    over time. From the coarsest level on, the features of the frames are warped by the motion so far and compared to
    those of the reference in a neighbourhood (the parts of PWC-Net, Sun et al. 2018); an update adds to the velocity
    (as LapIRN, Mok and Chung 2020, does by level), looking both ways along time. Two updates a level
    are a first guess, and the motion left.

    Parameters
    ----------
    ndim : 2.
    channels : of the features, from half the resolution down, each level half as fine as the one before.
    hidden : channels of an update.
    updates : of a level, in the order of ``channels``.
    reach : pixels of a level in which the features are compared.
    """

    training_task = "pyramid"

    def __init__(
        self,
        ndim: int = 2,
        channels: Sequence[int] = (16, 32, 32, 32),
        hidden: Sequence[int] = (32, 48, 48, 48),
        updates: Sequence[int] = (1, 2, 2, 2),
        reach: Sequence[int] = (1, 2, 2, 2),
    ) -> None:
        super().__init__()
        if ndim != 2 or not len(channels) == len(hidden) == len(updates) == len(reach) or min(updates, default=0) < 1:
            raise ValueError(
                "A motion pyramid is for images of 2 axes, with hidden, updates (1 or more) and reach for every level; "
                f"not {ndim} axes, {channels}, {hidden}, {updates} and {reach}."
            )
        self.ndim = ndim
        self.divisor = 2 ** len(channels)
        self.updates = tuple(updates)
        self.encoder = nn.ModuleList(
            nn.Sequential(_convolution(before, count, 5 if before == 2 else 3, stride=2), _convolution(count, count))
            for before, count in zip((2, *channels), channels, strict=False)
        )
        levels = [Update(*each) for each in zip(channels, hidden, reach, strict=True)]
        self.levels = nn.ModuleList(levels)
        start_near_identity(self, *(level.head for level in levels), std=1e-3)

    def estimate(self, reference: torch.Tensor, frames: torch.Tensor) -> StationaryVelocity:
        return StationaryVelocity(self.velocities(reference, frames)[-1])

    def velocities(self, reference: torch.Tensor, frames: torch.Tensor) -> list[torch.Tensor]:
        """After every level, the coarsest first, and last in the resolution of the images: ``[N * T, 2, *level]``.

        Images as those of ``estimate``; in pixels of their level.

        Raises
        ------
        ValueError : shapes that do not fit.
        """
        require_images(reference, frames, self.ndim)
        spatial = reference.shape[2:]
        batch, count = frames.shape[:2]
        whole = [n + -n % self.divisor for n in spatial]
        padding = [0, whole[1] - spatial[1], 0, whole[0] - spatial[0]]
        images = F.pad(torch.cat([reference, frames.flatten(0, 1)]), padding, mode="replicate")
        pyramid = []
        features = channels_last(torch.cat([contrast(images), _levelled(images)], dim=1))
        for layer in self.encoder:
            features = layer(features)
            pyramid.append(features)
        velocity = images.new_zeros(batch * count, 2, *pyramid[-1].shape[2:])
        found = []
        for level, updates, features in zip(
            reversed(self.levels), reversed(self.updates), reversed(pyramid), strict=True
        ):
            velocity = F.interpolate(velocity, features.shape[2:], mode="bilinear") * (
                features.shape[2] / velocity.shape[2]
            )
            fixed, moving = features[:batch], features[batch:]
            fixed = channels_last(fixed.repeat_interleave(count, dim=0))
            for _ in range(updates):
                with torch.autocast(images.device.type, enabled=False):
                    moved = flow.warp(moving, flow.exp(velocity.float(), _SQUARINGS))
                velocity = velocity + level(fixed, channels_last(moved.to(fixed.dtype)), velocity, batch)
            found.append(velocity)
        # pixels of a level are blocks of pixels, so that the centres of its pixels lie between theirs
        velocity = F.interpolate(velocity, whole, mode="bilinear") * (whole[0] / velocity.shape[2])
        return [*found, velocity[:, :, : spatial[0], : spatial[1]]]


def _levelled(images: torch.Tensor) -> torch.Tensor:
    """Every image with mean 0 and variance 1."""
    return (images - images.mean((2, 3), keepdim=True)) / (images.std((2, 3), keepdim=True) + 1e-3)


def contrast(images: torch.Tensor) -> torch.Tensor:
    """How much brighter than its surroundings a pixel is, in units of their contrast: ``[N, 1, H, W]``."""
    difference = images - flow.smooth(images, _CONTRAST)
    level = flow.smooth(difference.square(), _CONTRAST)
    return difference / (level + 0.01 * level.mean((2, 3), keepdim=True) + 1e-6).sqrt()
