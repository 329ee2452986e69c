"""SYMNet (Mok and Chung 2020, CVPR): both images meet half-way, each by a velocity of its own."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..transformations import VelocitySteps
from .base import PAIR, REGISTER, pairs_of, register
from .voxelmorph import VoxelMorph


@register("symnet")
class SYMNet(VoxelMorph):
    """Two half velocities, one that brings the moving image to the middle and one that brings the fixed image there.

    From the fixed image to the moving one the flow is that of the fixed image's velocity backward, then that of the
    moving image's (equation 4); the inverse is exact. The published network has two outputs for the two velocities;
    this one has one output and is asked for both orders of the images: swapped images give the inverse exactly.

    Parameters
    ----------
    ndim, channels, final : see ``VoxelMorph``.
    """

    capabilities = frozenset({REGISTER, PAIR})

    def __init__(
        self, ndim: int = 2, channels: Sequence[int] = (16, 32, 32, 32, 32, 32), final: Sequence[int] = (16, 16)
    ) -> None:
        super().__init__(ndim, channels, final)

    def estimate(self, reference: torch.Tensor, frames: torch.Tensor) -> VelocitySteps:  # type: ignore[override]  # another kind
        moving, fixed = pairs_of(reference, frames, self.ndim)
        both = self(torch.cat([fixed, moving]), torch.cat([moving, fixed])[:, None])[:, 0]
        of_moving, of_fixed = both.chunk(2)
        return VelocitySteps(torch.stack([-of_fixed, of_moving]))
