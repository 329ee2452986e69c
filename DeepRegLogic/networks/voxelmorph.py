"""VoxelMorph (Balakrishnan et al. 2019), each frame of a cine on its own: MONAI's U-Net behind the cine contract."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from ..transformations import StationaryVelocity
from .base import CONVOLUTION, REGISTER, UNCERTAINTY, CineNetwork, register


@register("voxelmorph")
class VoxelMorph(CineNetwork):
    """The pairwise baseline: a frame's velocity comes from that frame and the reference alone.

    Parameters
    ----------
    ndim : number of spatial axes, 2 or 3.
    channels : channels of the U-Net's convolutions in pairs (down, up), from the finest level to the coarsest.
    final : channels of the convolutions behind the U-Net.

    The defaults are the paper's 2D form with the 81 458 parameters that TLRN without its residual blocks has.
    """

    def __init__(
        self,
        ndim: int = 2,
        channels: Sequence[int] = (16, 32, 32, 32, 32, 32),
        final: Sequence[int] = (16, 16),
    ) -> None:
        from monai.networks.nets.voxelmorph import VoxelMorphUNet

        super().__init__(ndim, final[-1], 2 ** (len(channels) // 2))
        unet = VoxelMorphUNet(
            spatial_dims=ndim,
            in_channels=2,
            unet_out_channels=channels[-1],
            channels=tuple(channels),
            final_conv_channels=tuple(final),
        )
        body, last = unet.net
        assert isinstance(last, nn.Sequential)
        self.backbone = nn.Sequential(body, *list(last)[:-1])
        self.initialise()

    def features(self, pairs: torch.Tensor, batch: int) -> torch.Tensor:
        return self.backbone(pairs)


@register("voxelmorph-probabilistic")
class ProbabilisticVoxelMorph(VoxelMorph):
    """VoxelMorph whose velocity has a normal posterior with a variance of its own in every component and voxel.

    Dalca et al. 2019 (Medical Image Analysis 57), section 3: ``forward`` gives the means, so that it registers like any
    other network; ``distribution`` gives the variances, too, and ``estimate`` has them as a covariance of the velocity.

    Parameters
    ----------
    half : whether the velocity has half the resolution of the images, as in the paper, with a variance that is next to
        nothing at first; its voxels lie on every other one of the images'.
    """

    capabilities = frozenset({REGISTER, UNCERTAINTY})
    training_task = "sampling"

    def __init__(self, ndim: int = 2, half: bool = True, **channels: Sequence[int]) -> None:
        super().__init__(ndim, **channels)
        self.stride = 2 if half else 1
        self.head = CONVOLUTION[ndim](self.head.in_channels, 2 * ndim, 3, stride=self.stride, padding=1)
        self.initialise()
        assert self.head.bias is not None
        nn.init.constant_(self.head.bias[ndim:], -10.0 if half else -4.0)

    def own_distribution(self, reference: torch.Tensor, frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and logarithm of the variance ``[N * T, ndim, *own]`` on the velocity's own grid, in its voxels."""
        mean, log_variance = self.head_output(reference, frames).chunk(2, dim=1)
        return mean, log_variance.clamp(-12, 6)

    def onto_images(self, own: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Vectors on the velocity's own grid ``[N * T, ndim, *own]`` to those of images ``[N, T, ndim, *spatial]``."""
        return self.cropped(self.stride * self._finer(own), reference)

    def distribution(self, reference: torch.Tensor, frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and logarithm of the variance ``[N, T, ndim, *spatial]`` of the velocities, in voxels."""
        mean, log_variance = self.own_distribution(reference, frames)
        log_variance = self.cropped(self._finer(log_variance), reference) + 2 * math.log(self.stride)
        return self.onto_images(mean, reference), log_variance

    def estimate(self, reference: torch.Tensor, frames: torch.Tensor) -> StationaryVelocity:
        mean, log_variance = (part.flatten(0, 1) for part in self.distribution(reference, frames))
        return StationaryVelocity.with_variances(mean, log_variance.exp())

    def forward(self, reference: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
        return self.distribution(reference, frames)[0]

    def _finer(self, own: torch.Tensor) -> torch.Tensor:
        """Interpolated between the own voxels, which lie on the first, third, ... of the images'."""
        if self.stride == 1:
            return own
        size = [2 * n - 1 for n in own.shape[2:]]
        inside = F.interpolate(own, size=size, mode="bilinear" if self.ndim == 2 else "trilinear", align_corners=True)
        return F.pad(inside, (0, 1) * self.ndim, mode="replicate")
