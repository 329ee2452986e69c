"""What makes a motion plausible: prices of fields, ``REGULARISERS`` by name, for training, refinement and console.

A price is added by one decorated function:

    @regulariser("diffusion", "Diffusion (first differences)")
    def diffusion(field, spacing=None): ...

All are means over voxels, components and derivatives, of fields in voxels. Voxels may be longer along one axis than
another: with ``spacing`` (mm, in array order) derivatives are per length of the shortest spacing; a component counts in
voxels of its own axis still, but for ``elastic``. An axis of one voxel has no derivative and costs nothing. Light to
import, as ``similarities``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from .registry import Registry

if TYPE_CHECKING:
    import torch


class Price(Protocol):
    """The price of a velocity or displacement ``[N, ndim, *spatial]`` in voxels, as a scalar; differentiable."""

    def __call__(self, field: torch.Tensor, spacing: Sequence[float] | None = None) -> torch.Tensor: ...


@dataclass(frozen=True)
class Regulariser:
    """An entry of ``REGULARISERS``: what a user calls it, and its price."""

    title: str
    price: Price

    def __call__(self, field: torch.Tensor, spacing: Sequence[float] | None = None) -> torch.Tensor:
        return self.price(field, spacing)


REGULARISERS: Registry[Regulariser] = Registry("regulariser")


def regulariser(name: str, title: str) -> Callable[[Price], Price]:
    """Add a price to ``REGULARISERS``."""

    def add(price: Price) -> Price:
        REGULARISERS.add(name, Regulariser(title, price))
        return price

    return add


def _steps(ndim: int, spacing: Sequence[float] | None) -> list[float]:
    return [1.0] * ndim if spacing is None else [s / min(spacing) for s in spacing]


def _difference(field: torch.Tensor, axis: int, step: float) -> torch.Tensor:
    """Forward difference along a spatial axis; zero along one of a single voxel."""
    import torch

    return field.diff(dim=axis + 2) / step if field.shape[axis + 2] > 1 else torch.zeros_like(field)


@regulariser("diffusion", "Diffusion (first differences)")
def diffusion(field: torch.Tensor, spacing: Sequence[float] | None = None) -> torch.Tensor:
    """Mean squared forward difference, mean over the axes, components and voxels.

    It prices a turn as high as a stretch: see ``bending`` and ``elastic`` for prices that leave turning free.
    """
    import torch

    ndim = field.ndim - 2
    steps = _steps(ndim, spacing)
    terms = [_difference(field, axis, steps[axis]).square().mean() for axis in range(ndim)]
    return torch.stack(terms).mean()


@regulariser("bending", "Bending energy (second differences)")
def bending(field: torch.Tensor, spacing: Sequence[float] | None = None) -> torch.Tensor:
    """Bending energy (Rueckert et al. 1999): mean squared second derivative, over all pairs of axes.

    Second differences along one axis; forward differences of forward differences along two. Zero for every affine map,
    turns and shears among them. An axis of fewer than three voxels does not bend.

    Examples
    --------
    >>> import torch
    >>> rows = torch.arange(8.0).view(1, 1, 8, 1).expand(1, 1, 8, 8)
    >>> field = torch.cat([rows**2 / 2, torch.zeros_like(rows)], dim=1)  # one of 2 x 4 second derivatives is 1
    >>> float(bending(field))
    0.125
    """
    import torch

    ndim = field.ndim - 2
    steps = _steps(ndim, spacing)
    terms = []
    for a in range(ndim):
        for b in range(ndim):
            terms.append(_difference(_difference(field, a, steps[a]), b, steps[b]).square().mean())
    return torch.stack(terms).mean()


@regulariser("elastic", "Linear elasticity (strain)")
def elastic(field: torch.Tensor, spacing: Sequence[float] | None = None, dilation: float = 0.5) -> torch.Tensor:
    """Linear elastic energy of a velocity (or of a small displacement): mean squared strain plus that of its trace.

    With the strain ``e = (J + J^T) / 2`` of the Jacobian J in lengths: ``(|e|^2 + dilation tr(e)^2) / ndim^2``, mean
    over the voxels. ``dilation`` is half of Lame's lambda over mu. Zero for the velocity of any turn and shift.
    Derivatives are taken at the centres of the cells between voxels.
    """
    import torch

    ndim = field.ndim - 2
    steps = _steps(ndim, spacing)
    rows = []
    for axis in range(ndim):
        row = _difference(field, axis, steps[axis])
        for other in range(ndim):
            if other != axis:  # to the centre of the cell
                n = row.shape[other + 2]
                if n > 1:
                    row = (row.narrow(other + 2, 0, n - 1) + row.narrow(other + 2, 1, n - 1)) / 2
        rows.append(row)
    # lengths: component c counts in voxels of axis c
    scale = torch.tensor(steps, device=field.device, dtype=field.dtype)
    jacobian = torch.stack(rows, dim=2) * scale.view(1, ndim, 1, *[1] * ndim)
    strain = 0.5 * (jacobian + jacobian.transpose(1, 2))
    trace = strain.diagonal(dim1=1, dim2=2).sum(-1)
    return (strain.square().sum((1, 2)) + dilation * trace.square()).mean() / ndim**2


def temporal_bending(velocities: torch.Tensor, cyclic: bool = False) -> torch.Tensor:
    """Mean squared second difference ``v[t+1] - 2 v[t] + v[t-1]`` along time of ``[N, T, ndim, *spatial]``.

    ``cyclic`` closes the loop. Fewer than three frames have no bending: 0.
    """
    import torch

    if velocities.shape[1] < 3:
        return velocities.new_zeros(())
    if cyclic:
        velocities = torch.cat([velocities[:, -1:], velocities, velocities[:, :1]], dim=1)
    return velocities.diff(n=2, dim=1).square().sum(dim=2).mean()
