"""How sure a motion is: covariances through exponentials, compositions and inverses, and what is read off them.

A covariance is ``[N, ndim, ndim, *spatial]`` beside a field ``[N, ndim, *spatial]``: at every voxel the second moments
of the field's error, along the array axes. Functions of tensors have it in voxels squared, a ``Motion`` in mm^2.
Covariances are propagated to first order, for errors that are alike over distances of the order of
the displacement.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import torch

from .. import flow
from ..cine import Motion
from ..errors import InputError
from ..grid import Grid, require_points

LEAST_ENTROPY = -20.0
"""What stands for minus infinity where an entropy is written or shown."""

_CHANGE_MM, _STRUCTURE_MM, _EDGE_MM = 3.0, 2.0, 1.3


def propagate_covariance(
    velocity: torch.Tensor, covariance: torch.Tensor, steps: int = 7
) -> tuple[torch.Tensor, torch.Tensor]:
    """The exponential of a stationary velocity, and the covariance of its displacement from that of the velocity.

    A small change dv of the velocity changes ``u = exp(v)`` by the integral over s from 0 to 1 of
    ``D phi_(1-s) dv`` taken at ``phi_s(x)``. Its midpoint is ``A(x) dv(phi_(1/2)(x))``, with ``A`` the Jacobian of
    ``phi_(1/2)`` at ``phi_(1/2)(x)``; so the covariance of u at x is ``A C(phi_(1/2)(x)) A^T``. The inverse's is
    ``propagate_covariance(-velocity, covariance)``.

    Parameters
    ----------
    velocity : ``[N, ndim, *spatial]`` in voxels.
    covariance : of the velocity, ``[N, ndim, ndim, *spatial]`` in voxels squared.
    steps : squarings.

    Returns
    -------
    The displacement ``exp(velocity)`` and its covariance, both in the shapes of the arguments.
    """
    ndim = velocity.shape[1]
    half = flow.exp(velocity / 2, max(steps - 1, 0))
    packed = _pack(covariance)
    # all that is needed at phi_(1/2) in one resampling
    carried = flow.warp(torch.cat([half, _gradient(half).flatten(1, 2), packed], dim=1), half)
    onward, gradient, packed = carried.split([ndim, ndim * ndim, packed.shape[1]], dim=1)
    return half + onward, _sandwich(_jacobian(gradient.unflatten(1, (ndim, ndim))), _unpack(packed))


def compose(
    outer: torch.Tensor, outer_covariance: torch.Tensor, inner: torch.Tensor, inner_covariance: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """``flow.compose`` with covariances, for fields whose errors are independent of one another.

    ``w(x) = inner(x) + outer(y)`` at ``y = x + inner(x)`` has the covariance ``A C_inner(x) A^T + C_outer(y)``, with
    ``A`` the Jacobian of ``outer``'s map at y.
    """
    ndim = inner.shape[1]
    packed = _pack(outer_covariance)
    carried = flow.warp(torch.cat([outer, _gradient(outer).flatten(1, 2), packed], dim=1), inner)
    onward, gradient, packed = carried.split([ndim, ndim * ndim, packed.shape[1]], dim=1)
    jacobian = _jacobian(gradient.unflatten(1, (ndim, ndim)))
    return inner + onward, _sandwich(jacobian, inner_covariance) + _unpack(packed)


def of_inverse(displacement: torch.Tensor, covariance: torch.Tensor, inverse: torch.Tensor) -> torch.Tensor:
    """Covariance of the given ``inverse`` of a displacement: ``A^-1 C A^-T`` at ``y + inverse(y)``.

    ``A`` is the Jacobian of the displacement's map there.
    """
    ndim = displacement.shape[1]
    packed = _pack(covariance)
    carried = flow.warp(torch.cat([_gradient(displacement).flatten(1, 2), packed], dim=1), inverse)
    gradient, packed = carried.split([ndim * ndim, packed.shape[1]], dim=1)
    jacobian = _jacobian(gradient.unflatten(1, (ndim, ndim)))
    back = torch.linalg.inv(jacobian.movedim((1, 2), (-2, -1))).movedim((-2, -1), (1, 2))
    return _sandwich(back, _unpack(packed))


def of_change(before: torch.Tensor, after: torch.Tensor, grid: Grid) -> torch.Tensor:
    """Local second moments in mm^2 ``[N, ndim, ndim, *spatial]`` of the change from one displacement to another.

    Where a refinement had to change much, two estimates disagree: that is no covariance by itself, but it grows with
    the error that is left, and a ``Calibration`` has the factor. ``before`` and ``after`` are
    ``[N, ndim, *spatial]`` in voxels; "local" is a Gaussian of 3 mm.
    """
    return to_mm2(_moments(after - before, _CHANGE_MM, grid), grid)


def structure_tensor(image: torch.Tensor, grid: Grid) -> torch.Tensor:
    """Local second moments per mm^2 ``[N, ndim, ndim, *spatial]`` of the gradient of images ``[N, 1, *spatial]``.

    The structure tensor: to first order, what an image says of a displacement has this information, across its edges
    and not along them, up to a factor that a ``Calibration`` has. "Local" is a Gaussian of 2 mm.
    """
    spacing = torch.tensor(grid.array_spacing).to(image)
    smooth = flow.smooth(image, tuple(_EDGE_MM / s for s in grid.array_spacing))
    gradient = _gradient(smooth)[:, 0] / spacing.view(1, -1, *[1] * grid.ndim)
    return _moments(gradient, _STRUCTURE_MM, grid)


def _moments(vectors: torch.Tensor, sigma_mm: float, grid: Grid) -> torch.Tensor:
    """Gaussian means of the outer products of ``[N, ndim, *spatial]`` with themselves."""
    sigma = tuple(sigma_mm / s for s in grid.array_spacing)
    return _unpack(flow.smooth(_pack(vectors.unsqueeze(1) * vectors.unsqueeze(2)), sigma))


def resize(covariance: torch.Tensor, shape: Iterable[int]) -> torch.Tensor:
    """``flow.resize`` for a covariance: resampled to ``shape``, and rescaled to the new voxels."""
    shape = tuple(shape)
    before = covariance.shape[3:]
    scale = [(m - 1) / max(n - 1, 1) for n, m in zip(before, shape, strict=True)]
    factor = torch.tensor(scale, device=covariance.device, dtype=covariance.dtype)
    matrix = torch.outer(factor, factor).view(1, len(shape), len(shape), *[1] * len(shape))
    mode = {2: "bilinear", 3: "trilinear"}[len(shape)]
    packed = torch.nn.functional.interpolate(_pack(covariance), size=shape, mode=mode, align_corners=True)
    return _unpack(packed) * matrix


def to_mm2(covariance: torch.Tensor, grid: Grid) -> torch.Tensor:
    """Voxels squared to mm^2, still along the array axes."""
    spacing = torch.tensor(grid.array_spacing, device=covariance.device, dtype=covariance.dtype)
    return covariance * torch.outer(spacing, spacing).view(1, grid.ndim, grid.ndim, *[1] * grid.ndim)


def deviations(covariance: np.ndarray) -> np.ndarray:
    """Principal standard deviations ``[..., ndim, *spatial]``, the largest first, in the unit of the covariance's root.

    ``covariance`` is ``[T, ndim, ndim, *spatial]``, as a ``Motion`` has it (then they are mm).
    """
    values = np.linalg.eigvalsh(np.moveaxis(covariance, (1, 2), (-2, -1)))
    return np.moveaxis(np.sqrt(np.maximum(values[..., ::-1], 0)), -1, 1).astype(np.float32)


def entropy(covariance: np.ndarray, exact: bool = False) -> np.ndarray:
    """Entropy ``[T, *spatial]`` of the motion in nats, from a covariance ``[T, ndim, ndim, *spatial]``.

    ``1/2 log((2 pi)^ndim |C|)`` as in eq. 21 of Zakeri et al. 2023, or with ``exact`` the differential entropy
    ``1/2 log((2 pi e)^ndim |C|)``, which is larger by ndim / 2. The paper has C in pixels squared. Where the covariance
    is zero (the reference frame) the entropy is minus infinity.
    """
    ndim = covariance.shape[1]
    sign, log_determinant = np.linalg.slogdet(np.moveaxis(covariance, (1, 2), (-2, -1)))
    value = 0.5 * (ndim * math.log(2 * math.pi) + np.where(sign > 0, log_determinant, -np.inf))
    return (value + (ndim / 2 if exact else 0)).astype(np.float32)


def of_points(motion: Motion, points: np.ndarray) -> np.ndarray:
    """Covariance of followed points ``[T, P, 3, 3]`` in LPS mm^2: where the point of the reference is in every frame.

    ``points`` ``[P, 3]`` in LPS mm lie on the reference frame. A slice has no variance through its plane.

    Raises
    ------
    InputError : the motion does not say how sure it is, or the points are not ``[P, 3]``.
    """
    if motion.covariance is None:
        raise InputError(f"The motion of '{motion.name}' has no uncertainty; register it with the option uncertainty.")
    packed = _pack(torch.from_numpy(np.array(motion.covariance)))
    places = torch.from_numpy(motion.grid.mm_to_voxel(require_points(points)).copy())
    covariance = _unpack(flow.sample(packed, places)).permute(0, 3, 1, 2).double().numpy()
    axes = motion.grid.vector_matrix / np.asarray(motion.grid.array_spacing)
    return axes @ covariance @ axes.T


def _pack(covariance: torch.Tensor) -> torch.Tensor:
    """The upper triangles ``[N, n, *spatial]``, row by row."""
    ndim = covariance.shape[1]
    rows, columns = torch.triu_indices(ndim, ndim)
    return covariance[:, rows, columns]


def _unpack(packed: torch.Tensor) -> torch.Tensor:
    ndim = {3: 2, 6: 3}[packed.shape[1]]
    order = {2: [0, 1, 1, 2], 3: [0, 1, 2, 1, 3, 4, 2, 4, 5]}[ndim]
    return packed[:, order].unflatten(1, (ndim, ndim))


def _gradient(field: torch.Tensor) -> torch.Tensor:
    """``[N, ndim, ndim, *spatial]``: derivative of component i along axis j."""
    return torch.stack([torch.gradient(field, dim=axis + 2)[0] for axis in range(field.ndim - 2)], dim=2)


def _jacobian(gradient: torch.Tensor) -> torch.Tensor:
    ndim = gradient.shape[1]
    return gradient + torch.eye(ndim, device=gradient.device).view(1, ndim, ndim, *[1] * ndim)


def _sandwich(matrix: torch.Tensor, covariance: torch.Tensor) -> torch.Tensor:
    """``A C A^T`` at every voxel of ``[N, ndim, ndim, *spatial]``."""
    left = (matrix.unsqueeze(3) * covariance.unsqueeze(1)).sum(2)
    return (left.unsqueeze(2) * matrix.unsqueeze(1)).sum(3)
