"""Normal distributions of vectors: divergences, likelihoods, distances and the chi-squared quantiles of ellipses.

Pure functions on torch tensors, differentiable; torch is imported when they are used, so that quantiles cost nothing.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

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
