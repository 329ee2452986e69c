"""What every cine network shares: its contract, padding, the pairing of frames with the reference, the last layer."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

CONVOLUTION = {2: nn.Conv2d, 3: nn.Conv3d}
SLOPE = 0.2
"""Of every leaky rectifier."""


def fast_layout(x: torch.Tensor) -> torch.Tensor:
    """The same numbers with channels last in memory, in which 2D convolutions are faster."""
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x


class CineNetwork(nn.Module):
    """A network that takes a reference and the frames of a cine and returns one stationary velocity a frame.

    A subclass gives ``features``, and calls ``initialise`` when its layers are there. Images of any size are padded at
    the border to a multiple of ``multiple``, and the velocities cropped again. The last layer starts near zero, so that
    an untrained network is near the identity, and always computes in float32, so that mixed precision does not round
    the velocities.

    Parameters
    ----------
    ndim : number of spatial axes, 2 or 3.
    channels : number of channels that ``features`` returns.
    multiple : what the spatial size inside must be a multiple of.
    """

    def __init__(self, ndim: int, channels: int, multiple: int) -> None:
        super().__init__()
        if ndim not in CONVOLUTION:
            raise ValueError(f"A network has 2 or 3 spatial axes, not {ndim}.")
        self.ndim = ndim
        self.multiple = multiple
        self.head = CONVOLUTION[ndim](channels, ndim, 3, padding=1)

    def initialise(self) -> None:
        """First weights: variance-preserving convolutions (He et al. 2015), a last layer near zero."""
        for module in self.modules():
            if isinstance(module, tuple(CONVOLUTION.values())):
                nn.init.kaiming_normal_(module.weight, a=SLOPE)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.normal_(self.head.weight, std=1e-5)

    def features(self, pairs: torch.Tensor, batch: int) -> torch.Tensor:
        """``[batch * T, 2, *spatial]`` pairs (reference, frame), frames of one cine side by side, to features."""
        raise NotImplementedError

    def forward(self, reference: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
        """Velocities of the frames.

        Parameters
        ----------
        reference : ``[N, 1, *spatial]`` in [0, 1].
        frames : ``[N, T, 1, *spatial]`` in [0, 1], in time order, without the reference.

        Returns
        -------
        Stationary velocities ``[N, T, ndim, *spatial]`` in voxels, float32: ``flow.exp(v)`` resamples a frame onto the
        reference, ``flow.exp(-v)`` the reference onto the frame.

        Raises
        ------
        ValueError : shapes that do not fit.
        """
        spatial = tuple(reference.shape[2:])
        fits = frames.shape == (len(reference), *frames.shape[1:2], 1, *spatial) and reference.shape[1] == 1
        if len(spatial) != self.ndim or not fits:
            raise ValueError(
                f"A reference of shape {tuple(reference.shape)} and frames of shape {tuple(frames.shape)} do not fit a "
                f"network of {self.ndim} spatial axes; [N, 1, *spatial] and [N, T, 1, *spatial] are needed."
            )
        batch, count = frames.shape[:2]
        pairs = torch.cat([reference[:, None].expand_as(frames), frames], dim=2).flatten(0, 1)
        margins = [-n % self.multiple for n in spatial]
        starts = [m // 2 for m in margins]
        padding = [p for start, m in zip(starts, margins, strict=True) for p in (m - start, start)][::-1]
        features = self.features(fast_layout(F.pad(pairs, padding, mode="replicate")), batch)
        with torch.autocast(features.device.type, enabled=False):
            velocity = self.head(features.float())
        for axis, (start, n) in enumerate(zip(starts, spatial, strict=True)):
            velocity = velocity.narrow(axis + 2, start, n)
        return velocity.reshape(batch, count, -1, *spatial)
