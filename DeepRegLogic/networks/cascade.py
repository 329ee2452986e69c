"""Recursive cascades (Zhao et al. 2019, ICCV, "VTN"): the same kind of network again and again, of what is left."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from .. import flow
from ..transformations import VelocitySteps
from .base import PAIR, REGISTER, MotionNetwork, build, pairs_of, register


@register("cascade")
class Cascade(MotionNetwork):
    """``count`` networks in a row, each of which sees the moving image as all before it have warped it.

    Parameters
    ----------
    ndim : number of spatial axes, 2 or 3.
    network, arguments : a network of the register that gives stationary velocities, and its arguments.
    count : of the cascades, each with weights of its own.

    The flows are composed: the newest, which lies on the fixed image, comes first. The inverse is exact. (Published
    with displacements.)
    """

    capabilities = frozenset({REGISTER, PAIR})

    def __init__(
        self,
        ndim: int = 2,
        network: str = "voxelmorph",
        arguments: Mapping[str, object] | None = None,
        count: int = 3,
    ) -> None:
        super().__init__()
        if count < 1:
            raise ValueError(f"At least one network is needed, not {count}.")
        self.ndim = ndim
        self.cascades = nn.ModuleList(build(network, ndim=ndim, **(arguments or {})) for _ in range(count))

    def estimate(self, reference: torch.Tensor, frames: torch.Tensor) -> VelocitySteps:
        moving, fixed = pairs_of(reference, frames, self.ndim)
        found = moving.new_zeros(len(moving), self.ndim, *moving.shape[2:])
        moved, velocities = moving, []
        for cascade in self.cascades:
            assert isinstance(cascade, MotionNetwork)
            velocity = cascade.estimate(fixed, moved[:, None]).field
            velocities.append(velocity)
            found = flow.compose(found, flow.exp(velocity))
            moved = flow.warp(moving, found)
        return VelocitySteps(torch.stack(velocities[::-1]))
