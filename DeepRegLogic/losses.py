"""Losses of registration that MONAI lacks, or that must be fast. Pure functions, batch aware, differentiable."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

_MEAN = {2: F.avg_pool2d, 3: F.avg_pool3d}


def mse(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of two images ``[N, 1, *spatial]``, over everything."""
    return F.mse_loss(a, b)


def local_correlation(
    a: torch.Tensor, b: torch.Tensor, window: int | Sequence[int] = 9, floor: float = 1e-7
) -> torch.Tensor:
    """Squared local correlation coefficient of images ``[N, 1, *spatial]``, of the same shape: 1 equal, 0 unrelated.

    The correlation is taken in the window of ``window`` voxels (odd; one, or one an axis) a side around every voxel
    (Avants et al. 2008); a window that reaches over the border holds the voxels inside only. Where the product
    of the two variances falls below ``floor`` the correlation fades to 0: a flat image correlates with nothing, and
    noise below that level counts for little.
    """
    ndim = a.ndim - 2
    a, b = a.float(), b.float()
    # about the mean of the whole image, so that the small variances below are not differences of large numbers
    axes = tuple(range(1, a.ndim))
    a, b = a - a.mean(axes, keepdim=True), b - b.mean(axes, keepdim=True)
    means = torch.cat([a, b, a * a, b * b, a * b], dim=1)
    for axis, width in enumerate([window] * ndim if isinstance(window, int) else window):
        if ndim == 3:  # where torch takes no window longer than the axis
            width = min(width, a.shape[axis + 2] - 1 + a.shape[axis + 2] % 2)
        kernel = [width if i == axis else 1 for i in range(ndim)]
        padding = [k // 2 for k in kernel]
        means = _MEAN[ndim](means, kernel, stride=1, padding=padding, count_include_pad=False)
    mean_a, mean_b, mean_aa, mean_bb, mean_ab = means.split(1, dim=1)
    variance_a = (mean_aa - mean_a**2).clamp(min=0)
    variance_b = (mean_bb - mean_b**2).clamp(min=0)
    covariance = mean_ab - mean_a * mean_b
    return (covariance**2 / (variance_a * variance_b + floor)).clamp(max=1)


def lncc(a: torch.Tensor, b: torch.Tensor, window: int | Sequence[int] = 9, floor: float = 1e-7) -> torch.Tensor:
    """One minus the mean of ``local_correlation``: 0 for equal images, 1 for unrelated ones."""
    return 1 - local_correlation(a, b, window, floor).mean()


def diffusion(field: torch.Tensor, spacing: Sequence[float] | None = None) -> torch.Tensor:
    """Mean squared forward difference of ``[N, C, *spatial]``, mean over the axes, components and voxels.

    Voxels may be longer along one axis than another: with ``spacing`` (mm, in array order) the differences are per
    length of the shortest spacing.
    """
    ndim = field.ndim - 2
    steps = [1.0] * ndim if spacing is None else [s / min(spacing) for s in spacing]
    terms = [(field.diff(dim=axis + 2) / steps[axis]).square().mean() for axis in range(ndim)]
    return torch.stack(terms).mean()


def temporal_bending(velocities: torch.Tensor, cyclic: bool = False) -> torch.Tensor:
    """Mean squared second difference ``v[t+1] - 2 v[t] + v[t-1]`` along time of ``[N, T, ndim, *spatial]``.

    ``cyclic`` closes the loop. Fewer than three frames have no bending: 0.
    """
    if velocities.shape[1] < 3:
        return velocities.new_zeros(())
    if cyclic:
        velocities = torch.cat([velocities[:, -1:], velocities, velocities[:, :1]], dim=1)
    return velocities.diff(n=2, dim=1).square().sum(dim=2).mean()


def kl_normal(
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


def kl_smooth(mean: torch.Tensor, log_variance: torch.Tensor, precision: float) -> torch.Tensor:
    """Divergence of independent normal velocities from a prior that is smooth over space, up to a constant.

    ``precision`` weighs the Laplacian of the grid's neighbourhood graph, the inverse covariance of the prior: the mean
    over voxels and components of ``0.5 (precision * neighbours * variance - log_variance)`` plus the mean of
    ``0.5 * precision`` times the summed squared differences to the next voxels (eq. 10 of Dalca et al. 2019).
    ``mean`` and ``log_variance`` are ``[N, ndim, *spatial]`` in voxels.
    """
    ndim = mean.shape[1]
    spread = precision * 2 * ndim * log_variance.exp() - log_variance
    return 0.5 * spread.mean() + 0.5 * precision * ndim * diffusion(mean)


def normal_likelihood(residual: torch.Tensor, covariance: torch.Tensor) -> torch.Tensor:
    """Negative log likelihood in nats, without its constant, of residuals ``[N, ndim, *spatial]``, per voxel.

    ``covariance`` is ``[N, ndim, ndim, *spatial]``; returns ``[N, *spatial]``.
    """
    factor = torch.linalg.cholesky(covariance.movedim((1, 2), (-2, -1)))
    white = torch.linalg.solve_triangular(factor, residual.movedim(1, -1)[..., None], upper=False)[..., 0]
    return factor.diagonal(dim1=-2, dim2=-1).log().sum(-1) + 0.5 * white.square().sum(-1)
