"""TM-TVF and TM-TVF-LDDMM (Chen et al. 2022, WBIR): TransMorph with one velocity after another, of what is left."""

from __future__ import annotations

import torch
from torch import nn

from .. import flow
from ..transformations import Displacement, VelocitySteps
from .base import cropped, register
from .transmorph import HEAD_CHANNELS, SwinNetwork, Up, conv_norm, half_size

_FEATURES = 64
_SQUARINGS = 2


class _Head(nn.Module):
    """The velocity of one step at half the resolution, of the decoder's features and the images as they lie by then."""

    def __init__(self, network: SwinNetwork) -> None:
        super().__init__()
        self.images = conv_norm(network.ndim, 2, _FEATURES)
        self.up = Up(network.ndim, network.widths[0], _FEATURES, HEAD_CHANNELS)
        self.head = network.flow_head(HEAD_CHANNELS)

    def forward(self, features: torch.Tensor, pairs: torch.Tensor) -> torch.Tensor:
        x = self.up(features, self.images(pairs))
        with torch.autocast(x.device.type, enabled=False):
            return self.head(x.float())


@register("transmorph-tvf")
class TimeVaryingTransMorph(SwinNetwork):
    """A velocity that changes in ``steps`` intervals; each head sees the moving image warped by all before it.

    The displacement is the ordered composition of the intervals' flows, and its inverse exact: the negated velocities
    in reverse order. The residual velocity of a step lives where its head looks, on the fixed image: it comes before
    those found so far, ``u <- v + u o (id + v)``, so that the order of the integration is the reverse of that of the
    heads. For TM-TVF-LDDMM the loss prices the velocities by the regulariser "lddmm".

    Parameters
    ----------
    ndim, size : see ``SwinNetwork``; the paper's is "large".
    steps : N of the paper, 8.
    integration : "composition", or "sum" as in the paper's equation 4, where ``u <- u + v o (id + v)``: for comparison
        alone, as it folds and its inverse is none.
    """

    def __init__(self, ndim: int = 2, size: str = "small", steps: int = 8, integration: str = "composition") -> None:
        super().__init__(ndim, size)
        if integration not in ("composition", "sum"):
            raise ValueError(f"The integration is composition or sum, not '{integration}'.")
        if steps < 1:
            raise ValueError(f"At least one step is needed, not {steps}.")
        self.integration = integration
        self.heads = nn.ModuleList(_Head(self) for _ in range(steps))

    def estimate(self, reference: torch.Tensor, frames: torch.Tensor) -> VelocitySteps | Displacement:
        pairs = self.pairs(reference, frames)
        features = self.coarse(pairs)
        moving, fixed = half_size(pairs).split(1, dim=1)
        found = torch.zeros_like(moving).expand(-1, self.ndim, *moving.shape[2:])
        moved, velocities = moving, []
        for head in self.heads:
            velocity = head(features, torch.cat([moved, fixed], dim=1))
            velocities.append(velocity)
            if self.integration == "sum":
                found = found + flow.warp(velocity, velocity)
            else:
                found = flow.compose(found, flow.exp(velocity, _SQUARINGS))
            moved = flow.warp(moving.float(), found)
        if self.integration == "sum":
            return Displacement(self._whole(found, pairs, reference))
        return VelocitySteps(torch.stack([self._whole(v, pairs, reference) for v in reversed(velocities)]))

    def _whole(self, field: torch.Tensor, pairs: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """A field at half the resolution on the voxels of the images."""
        return cropped(flow.resize(field, pairs.shape[2:]), reference.shape[2:])
