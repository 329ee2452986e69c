"""What makes a motion plausible: prices of fields, ``REGULARISERS`` by name, for training, refinement and console.

A price is added by one decorated function:

    @regulariser("diffusion", "Diffusion (first differences)")
    def diffusion(field, spacing=None): ...

All are means over voxels, components and derivatives, of fields in voxels. With ``spacing`` (in array order, of any
unit) components and derivatives are in lengths of that unit, so that a field has one price on coarse and fine grids,
and on voxels that are longer along one axis. An axis of one voxel has no derivative and costs nothing. Light to import,
as ``similarities``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Protocol

from .registry import Registry

if TYPE_CHECKING:
    import torch


class Price(Protocol):
    """The price of a velocity or displacement ``[N, ndim, *spatial]`` in voxels, as a scalar; differentiable."""

    def __call__(self, field: torch.Tensor, spacing: Sequence[float] | None = None) -> torch.Tensor: ...


@dataclass(frozen=True)
class Regulariser:
    """An entry of ``REGULARISERS``: what a user calls it, its price, and its usual weight in a refinement."""

    title: str
    price: Price
    weight: float = 1.0

    def __call__(self, field: torch.Tensor, spacing: Sequence[float] | None = None) -> torch.Tensor:
        return self.price(field, spacing)


REGULARISERS: Registry[Regulariser] = Registry("regulariser")


def regulariser(name: str, title: str, weight: float = 1.0) -> Callable[[Price], Price]:
    """Add a price to ``REGULARISERS``."""

    def add(price: Price) -> Price:
        REGULARISERS.add(name, Regulariser(title, price, weight))
        return price

    return add


def _lengths(field: torch.Tensor, spacing: Sequence[float] | None) -> tuple[torch.Tensor, Sequence[float]]:
    """The field in lengths, and the spacing; voxels are the lengths where there is none."""
    ndim = field.ndim - 2
    if spacing is None:
        return field, [1.0] * ndim
    return field * field.new_tensor(list(spacing)).view(1, ndim, *[1] * ndim), spacing


def _difference(field: torch.Tensor, axis: int, step: float) -> torch.Tensor:
    """Forward difference along a spatial axis; zero along one of a single voxel."""
    import torch

    return field.diff(dim=axis + 2) / step if field.shape[axis + 2] > 1 else torch.zeros_like(field)


def _second_differences(field: torch.Tensor, spacing: Sequence[float] | None) -> Iterator[torch.Tensor]:
    """Differences of differences for all pairs of axes, each shorter along its axes."""
    field, steps = _lengths(field, spacing)
    for a, b in product(range(len(steps)), repeat=2):
        yield _difference(_difference(field, a, steps[a]), b, steps[b])


def _jacobian(field: torch.Tensor, spacing: Sequence[float] | None) -> torch.Tensor:
    """Derivatives ``[N, component, axis, *cells]`` in lengths, at the centres of the cells between voxels."""
    import torch

    ndim = field.ndim - 2
    field, steps = _lengths(field, spacing)
    rows = []
    for axis in range(ndim):
        row = _difference(field, axis, steps[axis])
        for other in range(ndim):
            if other != axis:  # to the centre of the cell
                n = row.shape[other + 2]
                if n > 1:
                    row = (row.narrow(other + 2, 0, n - 1) + row.narrow(other + 2, 1, n - 1)) / 2
        rows.append(row)
    return torch.stack(rows, dim=2)


def _gradient_of_map(field: torch.Tensor, spacing: Sequence[float] | None) -> torch.Tensor:
    """``I + du/dx`` as matrices ``[..., ndim, ndim]``, of cells."""
    import torch

    return _jacobian(field, spacing).movedim((1, 2), (-2, -1)) + torch.eye(field.shape[1], device=field.device)


@regulariser("diffusion", "Diffusion (first differences)", weight=3.0)
def diffusion(field: torch.Tensor, spacing: Sequence[float] | None = None) -> torch.Tensor:
    """Mean squared forward difference, mean over the axes, components and voxels.

    It prices a turn as high as a stretch: see ``bending`` and ``elastic`` for prices that leave turning free.
    """
    import torch

    field, steps = _lengths(field, spacing)
    terms = [_difference(field, axis, step).square().mean() for axis, step in enumerate(steps)]
    return torch.stack(terms).mean()


@regulariser("bending", "Bending energy (second differences)", weight=150.0)
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

    return torch.stack([each.square().mean() for each in _second_differences(field, spacing)]).mean()


@regulariser("robust-bending", "Bending that may concentrate (organs that slide)", weight=400.0)
def robust_bending(
    field: torch.Tensor, spacing: Sequence[float] | None = None, threshold: float = 0.01
) -> torch.Tensor:
    """Bending energy with a Charbonnier penalty: as ``bending`` below a curvature of ``threshold``, linear above it.

    With q the norm of all second derivatives at a voxel, the mean of ``2 e (sqrt(q^2 + e^2) - e)``, e the threshold
    (per voxel, or per length with a spacing). A motion may bend sharply along a line, where the wall of a heart turns
    against what surrounds it, at the price of bending a little all over.
    """
    import torch.nn.functional as F

    ndim, spatial = field.ndim - 2, field.shape[2:]
    squares: list[torch.Tensor] = []
    for each in _second_differences(field, spacing):
        square = each.square().sum(dim=1)
        missing = [n - m for n, m in zip(reversed(spatial), reversed(square.shape[1:]), strict=True)]
        squares.append(F.pad(square, [side for n in missing for side in (n // 2, n - n // 2)]))
    total = sum(squares[1:], squares[0])
    return (2 * threshold * ((total + threshold**2).sqrt() - threshold)).mean() / ndim**3


@regulariser("elastic", "Linear elasticity (strain)", weight=3.0)
def elastic(field: torch.Tensor, spacing: Sequence[float] | None = None, dilation: float = 0.5) -> torch.Tensor:
    """Linear elastic energy of a velocity (or of a small displacement): mean squared strain plus that of its trace.

    With the strain ``e = (J + J^T) / 2`` of the Jacobian J in lengths: ``(|e|^2 + dilation tr(e)^2) / ndim^2``, mean
    over the voxels. ``dilation`` is half of Lame's lambda over mu. Zero for the velocity of any turn and shift.
    Derivatives are taken at the centres of the cells between voxels.
    """
    ndim = field.ndim - 2
    jacobian = _jacobian(field, spacing)
    strain = 0.5 * (jacobian + jacobian.transpose(1, 2))
    trace = strain.diagonal(dim1=1, dim2=2).sum(-1)
    return (strain.square().sum((1, 2)) + dilation * trace.square()).mean() / ndim**2


@regulariser("hyperelastic", "Hyperelasticity (volume, surface, length)", weight=1.0)
def hyperelastic(field: torch.Tensor, spacing: Sequence[float] | None = None) -> torch.Tensor:
    """The hyperelastic energy of a displacement (Burger, Modersitzki and Ruthotto 2013, equation 2.5), equal weights.

    Half the squared derivatives, the squared excess of the cofactors' squared norm over 3 (in volumes), and
    ``((det - 1)^2 / det)^2`` of the Jacobian determinant, which grows without bound towards folding (kept finite below
    0.05). A mean over the cells.
    """
    import torch

    gradient = _gradient_of_map(field, spacing)
    ndim = field.shape[1]
    determinant = torch.linalg.det(gradient)
    volume = ((determinant - 1).square() / determinant.clamp(min=0.05)).square()
    length = 0.5 * (gradient - torch.eye(ndim, device=field.device)).square().sum((-2, -1))
    if ndim == 2:
        return (length + volume).mean()
    a, b, c = gradient.unbind(-2)
    cofactors = torch.stack([torch.linalg.cross(b, c), torch.linalg.cross(c, a), torch.linalg.cross(a, b)], dim=-2)
    surface = (cofactors.square().sum((-2, -1)) - 3).clamp(min=0).square()
    return (length + surface + volume).mean()


@regulariser("lddmm", "Operator norm of LDDMM", weight=3.0)
def lddmm(
    field: torch.Tensor,
    spacing: Sequence[float] | None = None,
    alpha: float = 1.0,
    gamma: float = 0.1,
    power: int = 2,
) -> torch.Tensor:
    """Mean square of L v, with ``L = (-alpha Laplacian + gamma)^power`` (Beg et al. 2005; TM-TVF-LDDMM, power 2).

    The Laplacian is that of second differences; values at the border are continued outside. Of velocities in steps, the
    mean over the steps.
    """
    field, steps = _lengths(field, spacing)
    for _ in range(power):
        image = gamma * field
        for axis, step in enumerate(steps):
            image = image - alpha / step**2 * _second_difference(field, axis + 2)
        field = image
    return field.square().mean()


def _second_difference(field: torch.Tensor, axis: int) -> torch.Tensor:
    """``f[i + 1] - 2 f[i] + f[i - 1]`` of the same shape, the border value continued outside."""
    import torch

    n = field.shape[axis]
    first, last = field.narrow(axis, 0, 1), field.narrow(axis, n - 1, 1)
    return torch.cat([first, field, last], dim=axis).diff(n=2, dim=axis)


@regulariser("folding", "Folding (negative Jacobian)", weight=100.0)
def folding(field: torch.Tensor, spacing: Sequence[float] | None = None) -> torch.Tensor:
    """Mean of how far the Jacobian determinant of a displacement lies below 0, over the cells (Mok and Chung 2020)."""
    import torch

    return (-torch.linalg.det(_gradient_of_map(field, spacing))).relu().mean()


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
