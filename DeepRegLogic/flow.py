"""Displacement and velocity fields: warp, compose, integrate, invert, measure. Pure functions on torch tensors.

A field is ``[N, ndim, *spatial]`` in voxels, component c along array axis c (slowest axis first), ndim 2 or 3.
Everything is pull-back: ``warp(image, u)(x) = image(x + u(x))``. Sampling has corners aligned (the first and the last
voxel centre are the ends of the axis) and continues the border value outside. All functions are differentiable but
``invert``, ``folding`` and ``warp(..., mode="nearest")``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F

from .grid import Grid

Field = TypeVar("Field", torch.Tensor, np.ndarray)

_KERNEL = {2: "bilinear", 3: "trilinear"}


def _ndim(field: torch.Tensor) -> int:
    ndim = field.ndim - 2
    if ndim not in (2, 3) or field.shape[1] != ndim:
        raise ValueError(f"A field needs shape [N, 2, H, W] or [N, 3, D, H, W], not {tuple(field.shape)}.")
    return ndim


@lru_cache(maxsize=32)
@torch.inference_mode(False)  # what is cached must serve later calls with gradients, too
def identity(
    shape: tuple[int, ...], device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """Voxel coordinates ``[ndim, *shape]`` of an array; cached, so do not write into it."""
    axes = [torch.arange(n, device=device, dtype=dtype) for n in shape]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"))


@lru_cache(maxsize=32)
@torch.inference_mode(False)
def _sampling_base(
    shape: tuple[int, ...], device: torch.device, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor]:
    """The identity ``[1, *shape, ndim]`` in grid_sample's coordinates (last axis first) and its scale per voxel."""
    axes = [torch.linspace(-1.0, 1.0, n, device=device, dtype=torch.float64).to(dtype) for n in shape]
    base = torch.stack(torch.meshgrid(*axes, indexing="ij")[::-1], dim=-1)[None]
    scale = torch.tensor([2.0 / max(n - 1, 1) for n in reversed(shape)], device=device, dtype=dtype)
    return base, scale


def warp(
    image: torch.Tensor, displacement: torch.Tensor, mode: str = "linear", padding: str = "border"
) -> torch.Tensor:
    """Resample ``image`` at ``x + displacement(x)``.

    Parameters
    ----------
    image : ``[N or 1, C, *spatial]``.
    displacement : ``[N or 1, ndim, *spatial]`` in voxels; its spatial shape is the image's.
    mode : "linear" or "nearest".
    padding : "border" (outside continues the edge) or "zeros".

    Returns
    -------
    ``[N, C, *spatial]`` of the displacement's dtype.

    Raises
    ------
    ValueError : shapes that do not fit.

    Examples
    --------
    >>> import torch
    >>> from DeepRegLogic import flow
    >>> image = torch.arange(5.0).expand(1, 1, 3, 5)
    >>> one_column = torch.zeros(1, 2, 3, 5)
    >>> one_column[:, 1] = 1.0
    >>> flow.warp(image, one_column)[0, 0, 0].tolist()
    [1.0, 2.0, 3.0, 4.0, 4.0]
    """
    ndim = _ndim(displacement)
    if image.ndim != ndim + 2 or image.shape[2:] != displacement.shape[2:]:
        raise ValueError(
            f"An image of shape {tuple(image.shape)} cannot be warped by a field of shape {tuple(displacement.shape)}."
        )
    batch = max(len(image), len(displacement))
    base, scale = _sampling_base(tuple(displacement.shape[2:]), displacement.device, displacement.dtype)
    points = base + displacement.movedim(1, -1).flip(-1) * scale
    return _at(
        image.to(displacement.dtype).expand(batch, *image.shape[1:]),
        points.expand(batch, *points.shape[1:]),
        "bilinear" if mode == "linear" else mode,
        padding,
    )


def _at(image: torch.Tensor, points: torch.Tensor, mode: str = "bilinear", padding: str = "border") -> torch.Tensor:
    """``image`` at ``points`` in grid_sample's coordinates; NaN where a point is not finite.

    On a CPU, torch answers such a point with a number, and its gradient is written outside of the memory.
    """
    lost = None
    if points.device.type == "cpu" and not math.isfinite(float(points.detach().sum())):
        lost = ~points.isfinite().all(dim=-1)[:, None]
        points = torch.where(lost.movedim(1, -1), 0.0, points)
    found = F.grid_sample(image, points, mode=mode, padding_mode=padding, align_corners=True)
    return found if lost is None else torch.where(lost, torch.nan, found)


def sample(fields: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Values ``[N, C, P]`` of fields ``[N, C, *spatial]`` at voxel positions ``[P, ndim]``, which may be fractional."""
    ndim = positions.shape[1]
    size = positions.new_tensor([max(n - 1, 1) for n in fields.shape[2:]])
    where = (2 * positions / size - 1).flip(-1).to(fields.dtype).view(1, -1, *[1] * (ndim - 1), ndim)
    where = where.expand(len(fields), *where.shape[1:])
    return _at(fields, where).flatten(2)


def compose(outer: torch.Tensor, inner: torch.Tensor) -> torch.Tensor:
    """Displacement of "first ``inner``, then ``outer``": ``w(x) = inner(x) + outer(x + inner(x))``.

    Both are ``[N or 1, ndim, *spatial]`` in voxels. Steps from frame to frame are chained with the later one outside.

    Examples
    --------
    >>> import torch
    >>> from DeepRegLogic import flow
    >>> first, second = torch.zeros(2, 1, 2, 9, 9)
    >>> first[:, 0], second[:, 1] = 2.0, 3.0  # two rows down, then three columns to the right
    >>> flow.compose(second, first)[0, :, 4, 4].tolist()
    [2.0, 3.0]
    """
    return inner + warp(outer, inner)


def exp(velocity: torch.Tensor, steps: int = 6) -> torch.Tensor:
    """Exponential of a stationary velocity by scaling and ``steps`` squarings (Arsigny et al. 2006, algorithm 2).

    ``exp(-v)`` is the inverse of ``exp(v)``. The small first step is taken by the midpoint rule, h v(x + h v(x) / 2),
    whose error is of third order: four squarings then are closer to the flow than nine from the usual h v(x).

    Examples
    --------
    >>> import torch
    >>> from DeepRegLogic import flow
    >>> rows = torch.arange(33.0).view(1, 1, 33, 1).expand(1, 1, 33, 33)
    >>> velocity = torch.cat([0.5 * (16 - rows), torch.zeros_like(rows)], dim=1)  # rows draw near to row 16
    >>> displacement = flow.exp(velocity)
    >>> there = 16 + (20 - 16) * torch.tensor(-0.5).exp()  # where the flow takes row 20 in the unit of time
    >>> bool(abs(20 + displacement[0, 0, 20, 16] - there) < 1e-3)
    True
    >>> bool(flow.compose(flow.exp(-velocity), displacement)[:, :, 12:21].abs().max() < 1e-3)  # the inverse
    True
    """
    _ndim(velocity)
    displacement = velocity / 2**steps
    displacement = warp(displacement, displacement / 2)
    for _ in range(steps):
        displacement = compose(displacement, displacement)
    return displacement


def integrate(velocities: torch.Tensor, steps: int = 4) -> torch.Tensor:
    """Ordered flow of a velocity that is piecewise constant in time.

    Parameters
    ----------
    velocities : ``[S, N, ndim, *spatial]``; interval s lasts one unit of time, its velocity is ``velocities[s]``.
    steps : squarings within an interval.

    Returns
    -------
    The displacement ``[N, ndim, *spatial]`` of phi(1), where d phi/dt = v_t(phi), phi(0) = identity:
    ``exp(v_S) o ... o exp(v_1)``.
    """
    displacement = exp(velocities[0], steps)
    for velocity in velocities[1:]:
        displacement = compose(exp(velocity, steps), displacement)
    return displacement


@torch.no_grad()
def invert(
    displacement: torch.Tensor, iterations: int = 50, tolerance: float = 0.01
) -> tuple[torch.Tensor, torch.Tensor]:
    """Inverse of a given displacement by the fixed point ``w <- -u(x + w(x))`` (Chen et al. 2008).

    The step is damped where it would overshoot. Stops when the largest residual is below ``tolerance`` voxels.

    Returns
    -------
    The inverse ``[N, ndim, *spatial]``, and the residual ``|w(x) + u(x + w(x))|`` in voxels, ``[N, *spatial]``.
    Where the displacement folds it has no inverse, and the residual says so.
    """
    inverse = torch.zeros_like(displacement)
    error = displacement.clone()
    best, residual = inverse, error.norm(dim=1)
    step = torch.ones_like(residual)
    for _ in range(iterations):
        if float(residual.max()) < tolerance:
            break
        inverse = best - step[:, None] * error
        candidate = inverse + warp(displacement, inverse)
        length = candidate.norm(dim=1)
        better = length < residual
        best = torch.where(better[:, None], inverse, best)
        error = torch.where(better[:, None], candidate, error)
        residual = torch.where(better, length, residual)
        step = torch.where(better, (step * 1.5).clamp(max=1.0), step * 0.5)
    return best, residual


def _differences(field: torch.Tensor, axis: int) -> torch.Tensor:
    """``field[i + 1] - field[i]`` along spatial ``axis``, as long as the axis is minus one."""
    n = field.shape[axis + 2]
    return field.narrow(axis + 2, 1, n - 1) - field.narrow(axis + 2, 0, n - 1)


def _determinant(columns: Sequence[torch.Tensor]) -> torch.Tensor:
    """Determinant of I + [columns], each column ``[N, ndim, *spatial]`` the derivative along one axis."""
    rows = [[c[:, i] + (1.0 if i == j else 0.0) for j, c in enumerate(columns)] for i in range(len(columns))]
    if len(rows) == 2:
        return rows[0][0] * rows[1][1] - rows[0][1] * rows[1][0]
    (a, b, c), (d, e, f), (g, h, i) = rows
    return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)


def jacobian_determinant(displacement: torch.Tensor) -> torch.Tensor:
    """Determinant of ``I + du/dx``, ``[N, *spatial]``: central differences inside, one-sided at the border.

    1 is no change of volume, below 1 shrinks from the reference to the frame, 0 or less folds.
    """
    ndim = _ndim(displacement)
    return _determinant([torch.gradient(displacement, dim=axis + 2)[0] for axis in range(ndim)])


def turn(images: torch.Tensor, k: int) -> torch.Tensor:
    """Images ``[..., H, W]`` turned by k quarters, for k from 4 to 7 by k - 4 and then mirrored."""
    turned = torch.rot90(images, k % 4, (-2, -1))
    return turned.flip(-1) if k >= 4 else turned


@torch.no_grad()
def folding(displacement: torch.Tensor) -> torch.Tensor:
    """Where the map is not one-to-one, boolean ``[N, *spatial]``: without the blind spot of central differences.

    A voxel folds when the determinant is 0 or less for any choice of forward or backward differences along the axes
    (all corners of all cells that meet in it), which in 2D is exact for the linearly interpolated map. Compare the
    "digital diffeomorphism" of Liu et al. 2024.
    """
    ndim = _ndim(displacement)
    spatial = displacement.shape[2:]
    folds = torch.zeros((len(displacement), *spatial), dtype=torch.bool, device=displacement.device)
    differences = [_differences(displacement, axis) for axis in range(ndim)]
    for corner in itertools.product((0, 1), repeat=ndim):
        # differences along every axis that start from this corner of each cell
        columns = []
        for axis in range(ndim):
            column = differences[axis]
            for other in range(ndim):
                if other != axis:
                    column = column.narrow(other + 2, corner[other], spatial[other] - 1)
            columns.append(column)
        bad = _determinant(columns) <= 0
        place = (slice(None), *(slice(c, c + n - 1) for c, n in zip(corner, spatial, strict=True)))
        folds[place] |= bad
    return folds


def stays_inside(displacement: torch.Tensor) -> torch.Tensor:
    """Which points stay inside the image, boolean ``[N, *spatial]``: beyond its border nothing is known."""
    spatial = tuple(displacement.shape[2:])
    places = identity(spatial, displacement.device) + displacement
    last = torch.tensor([n - 1.0 for n in spatial], device=displacement.device).view(-1, *[1] * len(spatial))
    return ((places >= 0) & (places <= last)).all(dim=1)


def resize(field: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """Resize a field to spatial ``shape``, corners aligned, its vectors rescaled to the new voxels."""
    ndim = _ndim(field)
    shape = tuple(int(n) for n in shape)
    if shape == tuple(field.shape[2:]):
        return field
    scale = [(m - 1) / max(n - 1, 1) for n, m in zip(field.shape[2:], shape, strict=True)]
    factor = torch.tensor(scale, device=field.device, dtype=field.dtype).view(1, ndim, *[1] * ndim)
    return F.interpolate(field, size=shape, mode=_KERNEL[ndim], align_corners=True) * factor


def resize_image(image: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """Resize images ``[N, C, *spatial]`` to ``shape``, corners aligned, blurred first along axes that shrink."""
    shape = tuple(int(n) for n in shape)
    if shape == tuple(image.shape[2:]):
        return image
    ratios = [n / m for n, m in zip(image.shape[2:], shape, strict=True)]
    image = smooth(image, [0.4 * (r**2 - 1) ** 0.5 if r > 1 else 0.0 for r in ratios])
    return F.interpolate(image, size=shape, mode=_KERNEL[image.ndim - 2], align_corners=True)


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def _gaussian(n: int, sigma: float, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    """The matrix ``[n, n]`` that smooths n values; those at the ends are continued outside."""
    radius = max(int(3.0 * sigma + 0.5), 1)
    x = torch.arange(-radius, radius + 1, dtype=torch.float64)
    kernel = torch.exp(-0.5 * (x / sigma) ** 2)
    place = (torch.arange(n)[:, None] + x.long()).clamp(0, n - 1)
    matrix = torch.zeros(n, n, dtype=torch.float64).scatter_add_(1, place, (kernel / kernel.sum()).expand(n, -1))
    return matrix.to(device, dtype)


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def mean_matrix(n: int, width: int, device: torch.device | str = "cpu") -> torch.Tensor:
    """The matrix ``[n, n]`` of means over ``width`` (odd) of n values, of those inside; for ``along``."""
    place = torch.arange(n)
    near = (place[:, None] - place).abs() <= width // 2
    return (near / near.sum(dim=1, keepdim=True)).to(device)


def along(matrix: torch.Tensor, values: torch.Tensor, axis: int) -> torch.Tensor:
    """``matrix`` ``[m, n]`` applied to ``values`` along an axis of n elements: a linear filter with its borders.

    For axes of a few hundred elements this is ten times as fast as a convolution of one channel.
    """
    n = values.shape[axis]
    after = math.prod(values.shape[axis + 1 :])
    rows = values.reshape(-1, n) if after == 1 else values.reshape(-1, n, after)
    found = rows @ matrix.T if after == 1 else matrix @ rows
    return found.reshape(*values.shape[:axis], len(matrix), *values.shape[axis + 1 :])


def smooth(values: torch.Tensor, sigma: float | Sequence[float]) -> torch.Tensor:
    """Gaussian smoothing of ``[N, C, *spatial]`` with standard deviation ``sigma`` in voxels (one, or one an axis).

    The border value is continued outside, so a constant stays constant.
    """
    ndim = values.ndim - 2
    sigmas = [float(sigma)] * ndim if isinstance(sigma, (int, float)) else [float(s) for s in sigma]
    for axis, s in enumerate(sigmas, start=2):
        if s > 0 and values.shape[axis] > 1:
            values = along(_gaussian(values.shape[axis], s, values.device, values.dtype), values, axis)
    return values


def to_mm(displacement: Field, grid: Grid) -> Field:
    """Displacement ``[..., ndim, *spatial]`` in voxels of ``grid`` to LPS millimetres ``[..., 3, *spatial]``."""
    return _apply_matrix(displacement, grid.vector_matrix, grid.ndim)


def from_mm(displacement: Field, grid: Grid) -> Field:
    """LPS mm ``[..., 3, *spatial]`` to voxels ``[..., ndim, *spatial]``; a slice drops the through-plane part."""
    return _apply_matrix(displacement, np.linalg.pinv(grid.vector_matrix), grid.ndim)


def _apply_matrix(field: Field, matrix: np.ndarray, ndim: int) -> Field:
    axis = field.ndim - ndim - 1
    if isinstance(field, torch.Tensor):
        weights = torch.as_tensor(matrix, device=field.device, dtype=field.dtype)
        return torch.einsum("rc,...c->...r", weights, field.movedim(axis, -1)).movedim(-1, axis)
    return np.moveaxis(np.moveaxis(field, axis, -1) @ matrix.T.astype(field.dtype), -1, axis)
