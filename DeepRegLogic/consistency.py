"""What makes two fields belong together: ``CONSISTENCIES`` by name, prices of a displacement and its inverse."""

from __future__ import annotations

from collections.abc import Callable

import torch

from . import flow
from .registry import Registry

Price = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Of a displacement and its inverse ``[N, ndim, *spatial]`` in voxels, as a scalar; differentiable."""

CONSISTENCIES: Registry[Price] = Registry("consistency")


def consistency(name: str) -> Callable[[Price], Price]:
    """Add a price to ``CONSISTENCIES``."""

    def add(price: Price) -> Price:
        return CONSISTENCIES.add(name, price)

    return add


def inverse_consistency_error(displacement: torch.Tensor, inverse: torch.Tensor) -> torch.Tensor:
    """Distance in voxels ``[N, *spatial]`` of a point to itself after the displacement and its inverse."""
    return flow.compose(inverse, displacement).norm(dim=1)


@consistency("inverse")
def inverse_consistency(displacement: torch.Tensor, inverse: torch.Tensor) -> torch.Tensor:
    """Mean squared distance of a point to itself, both ways round (Christensen and Johnson 2001)."""
    both = flow.compose(inverse, displacement), flow.compose(displacement, inverse)
    return torch.stack([there.square().sum(1).mean() for there in both]).mean()


@consistency("gradicon")
def gradicon(displacement: torch.Tensor, inverse: torch.Tensor) -> torch.Tensor:
    """Mean squared gradient of the composition's displacement (Tian et al. 2023, GradICON): a shift costs nothing."""
    there = flow.compose(inverse, displacement)
    return torch.stack([there.diff(dim=axis).square().mean() for axis in range(2, there.ndim)]).sum() * there.shape[1]
