"""TLRN, the temporal latent residual network of Wu et al. (MICCAI 2024): a U-Net with residual blocks along time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from .base import CONVOLUTION, SLOPE, CineNetwork, channels_last, register

_BATCH_NORM = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
_POOL = {2: F.max_pool2d, 3: F.max_pool3d}


def _normalisation(kind: str, ndim: int, channels: int) -> nn.Module:
    if kind == "batch":
        return _BATCH_NORM[ndim](channels)
    if kind == "group":
        return nn.GroupNorm(math.gcd(8, channels), channels)
    raise ValueError(f'A normalisation is "group" or "batch", not {kind!r}.')


class ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut (He et al. 2016): a projection where the number of channels changes."""

    def __init__(self, ndim: int, channels_in: int, channels: int, norm: str) -> None:
        super().__init__()
        conv = CONVOLUTION[ndim]
        self.residual = nn.Sequential(
            conv(channels_in, channels, 3, padding=1, bias=False),
            _normalisation(norm, ndim, channels),
            nn.LeakyReLU(SLOPE),
            conv(channels, channels, 3, padding=1, bias=False),
            _normalisation(norm, ndim, channels),
        )
        self.shortcut = (
            nn.Identity()
            if channels_in == channels
            else nn.Sequential(conv(channels_in, channels, 1, bias=False), _normalisation(norm, ndim, channels))
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.leaky_relu(self.residual(x) + self.shortcut(x), SLOPE)


@register("tlrn")
class TLRN(CineNetwork):
    """The temporal latent residual network.

    Every pair (reference, frame) goes through one encoder. The latent of each frame after the first is replaced by a
    residual block of the previous frame's result and its own latent (eq. 3 of the paper), and decoded with the skip
    connections of its own pair.

    Parameters
    ----------
    ndim : number of spatial axes, 2 or 3.
    channels : channels of the encoder, one a level; each level halves the resolution.
    frames : None, for one residual block shared by all times and any number of frames; or the fixed number of frames
        with the reference, for a block of its own at every time, as in the paper (12 or 7).
    blocks : residual blocks in sequence at one time.
    norm : "group", which does not depend on the batch, or "batch", as in the paper.

    The paper's lemniscate network is ``TLRN(frames=12, norm="batch")``, its cardiac one
    ``TLRN(frames=7, blocks=3, norm="batch")``.
    """

    def __init__(
        self,
        ndim: int = 2,
        channels: Sequence[int] = (16, 32, 32),
        frames: int | None = None,
        blocks: int = 1,
        norm: str = "group",
    ) -> None:
        first, latent = channels[0], channels[-1]
        super().__init__(ndim, first, 2 ** len(channels))
        if blocks < 1 or (frames is not None and frames < 2):
            raise ValueError(f"TLRN needs at least one block and two frames, not {blocks} and {frames}.")
        self.frames = frames

        def convolution(channels_in: int, channels_out: int) -> nn.Module:
            conv = CONVOLUTION[ndim](channels_in, channels_out, 3, padding=1)
            return nn.Sequential(conv, nn.LeakyReLU(SLOPE, inplace=True))

        def residual() -> nn.Module:
            first_block = ResidualBlock(ndim, 2 * latent, latent, norm)
            return nn.Sequential(first_block, *(ResidualBlock(ndim, latent, latent, norm) for _ in range(blocks - 1)))

        self.encoder = nn.ModuleList(convolution(a, b) for a, b in zip((2, *channels), channels, strict=False))
        self.temporal = nn.ModuleList(residual() for _ in range(1 if frames is None else frames - 2))
        deeper = [0, *reversed(channels)]
        self.decoder = nn.ModuleList(convolution(latent + skip, latent) for skip in deeper[:-1])
        self.remaining = nn.Sequential(
            convolution(latent + first, latent), convolution(latent, first), convolution(first, first)
        )
        self.initialise()

    def features(self, pairs: torch.Tensor, batch: int) -> torch.Tensor:
        skips = []
        x = pairs
        for layer in self.encoder:
            skips.append(layer(x))
            x = _POOL[self.ndim](skips[-1], 2)
        x = channels_last(self._along_time(x.unflatten(0, (batch, -1))).flatten(0, 1))
        for layer in self.decoder:
            x = torch.cat([F.interpolate(layer(x), scale_factor=2.0, mode="nearest"), skips.pop()], dim=1)
        return self.remaining(x)

    def _along_time(self, latents: torch.Tensor) -> torch.Tensor:
        """The recurrence over the frames of ``[N, T, C, *latent]``."""
        count = latents.shape[1]
        if self.frames is not None and count != self.frames - 1:
            raise ValueError(
                f"This network was built for {self.frames} frames with the reference, not {count + 1}; "
                "use one with a shared residual block (frames=None) for any number of frames."
            )
        states = [latents[:, 0]]
        for t in range(1, count):
            block = self.temporal[0 if self.frames is None else t - 1]
            states.append(block(torch.cat([states[-1], latents[:, t]], dim=1)))
        return torch.stack([state.to(latents.dtype) for state in states], dim=1)
