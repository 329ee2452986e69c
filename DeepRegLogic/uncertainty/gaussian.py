"""Normal distributions of vectors: divergences, likelihoods, distances and the chi-squared quantiles of ellipses.

Pure functions on torch tensors, differentiable; torch is imported when they are used, so that quantiles cost nothing.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


@lru_cache
def chi_squared_quantile(level: float, ndim: int) -> float:
    """Squared radius of the error ellipse (ndim 2) or ellipsoid (3) that holds ``level`` of a normal distribution.

    Examples
    --------
    >>> round(chi_squared_quantile(0.95, 2), 3), round(chi_squared_quantile(0.95, 3), 3)
    (5.991, 7.815)
    """

    def below(x: float) -> float:
        if ndim == 2:
            return 1 - math.exp(-x / 2)
        return math.erf(math.sqrt(x / 2)) - math.sqrt(2 * x / math.pi) * math.exp(-x / 2)

    if ndim not in (2, 3):
        raise ValueError(f"A field has 2 or 3 components, not {ndim}.")
    low, high = 0.0, 100.0
    for _ in range(80):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if below(middle) < level else (low, middle)
    return 0.5 * (low + high)


MATCHED = 0.925
"""The ellipse that is the same whatever the degrees of freedom: between those of 90 and 95 %, which are mostly read."""

_ANGLES = 4000


def squared_radius(level: float, ndim: int, degrees: float = math.inf) -> float:
    """Squared radius of the ellipse that holds ``level``, in units of a covariance that was calibrated at ``MATCHED``.

    Of a normal distribution it is ``chi_squared_quantile``. Student's with few ``degrees`` of freedom has smaller
    ellipses below ``MATCHED``, and larger ones above.

    Examples
    --------
    >>> [round(squared_radius(level, 2, 5.0), 2) for level in (0.5, 0.925, 0.99)]
    [0.91, 5.18, 15.13]
    """
    if math.isinf(degrees):
        return chi_squared_quantile(level, ndim)
    unit = chi_squared_quantile(MATCHED, ndim) / _student_quantile(MATCHED, ndim, degrees)
    return unit * _student_quantile(level, ndim, degrees)


def _student_quantile(level: float, ndim: int, degrees: float) -> float:
    """Squared radius, in units of the scale matrix, that holds ``level`` of Student's distribution of ndim components.

    With r = sqrt(degrees) tan(a) the density of r is that of ``sin(a)^(ndim - 1) cos(a)^(degrees - 1)``.
    """
    angles, inside = _student(ndim, degrees)
    return degrees * math.tan(float(np.interp(level, inside, angles))) ** 2


@lru_cache
def _student(ndim: int, degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """Angles, and what lies inside of them."""
    angles = np.linspace(0, 0.5 * math.pi, _ANGLES)
    density = np.sin(angles) ** (ndim - 1) * np.cos(angles) ** (degrees - 1)
    inside = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]))])
    return angles, inside / inside[-1]


def probability_inside(squared: torch.Tensor, ndim: int, degrees: float = math.inf) -> torch.Tensor:
    """Which ellipse an error is on, from 0 to 1: the inverse of ``squared_radius``, of squared Mahalanobis lengths."""
    import torch

    if math.isinf(degrees):
        return torch.special.gammainc(torch.tensor(ndim / 2.0), squared.clamp(min=0).float() / 2)
    unit = chi_squared_quantile(MATCHED, ndim) / _student_quantile(MATCHED, ndim, degrees)
    angles, inside = _student(ndim, degrees)
    found = np.arctan(np.sqrt(np.maximum(squared.numpy(), 0) / (unit * degrees)))
    return torch.from_numpy(np.interp(found, angles, inside)).float()


def kl_gaussian(
    mean: torch.Tensor, log_variance: torch.Tensor, prior_mean: torch.Tensor, prior_log_variance: torch.Tensor
) -> torch.Tensor:
    """Kullback-Leibler divergence in nats between independent normal distributions, element by element.

    The sum over the elements is that of eq. 17 and A.1 of Zakeri et al. 2023 (whose A.1 has the opposite sign inside).
    """
    ratio = (log_variance - prior_log_variance).exp()
    shift = (mean - prior_mean).square() * (-prior_log_variance).exp()
    return 0.5 * (ratio + shift - 1 - log_variance + prior_log_variance)


def kl_motion(mean: torch.Tensor, log_variance: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """Kullback-Leibler divergence in nats from N(mean, exp(log_variance) I + factor factor^T) to N(0, I), per voxel.

    ``mean`` and ``factor`` ``[N, ndim, *spatial]`` and ``log_variance`` ``[N, 1, *spatial]`` in voxels; returns
    ``[N, *spatial]``. Closed form of eq. 18 of Zakeri et al. 2023.
    """
    ndim = mean.shape[1]
    log_variance = log_variance[:, 0]
    variance, length = log_variance.exp(), factor.square().sum(1)
    log_determinant = ndim * log_variance + (length / variance).log1p()
    return 0.5 * (ndim * variance + length + mean.square().sum(1) - ndim - log_determinant)


def gaussian_nll(residual: torch.Tensor, covariance: torch.Tensor) -> torch.Tensor:
    """Negative log likelihood in nats, without its constant, of residuals ``[N, ndim, *spatial]``, per voxel.

    ``covariance`` is ``[N, ndim, ndim, *spatial]``; returns ``[N, *spatial]``.
    """
    import torch

    factor = torch.linalg.cholesky(covariance.movedim((1, 2), (-2, -1)))
    white = torch.linalg.solve_triangular(factor, residual.movedim(1, -1)[..., None], upper=False)[..., 0]
    return factor.diagonal(dim1=-2, dim2=-1).log().sum(-1) + 0.5 * white.square().sum(-1)


def mahalanobis(residual: torch.Tensor, covariance: torch.Tensor) -> torch.Tensor:
    """``r^T C^-1 r`` at every voxel, for ``[N, ndim, *spatial]`` and ``[N, ndim, ndim, *spatial]``."""
    import torch

    vector = residual.movedim(1, -1)[..., None]
    solved = torch.linalg.solve(covariance.movedim((1, 2), (-2, -1)), vector)
    return (vector * solved).sum((-2, -1))
