"""The Lightning task of networks whose velocity has a variance in every voxel."""

from __future__ import annotations

import torch

from ...networks import ProbabilisticVoxelMorph
from ...transformations import StationaryVelocity
from ..data import Batch
from . import task
from .registration import RegistrationTask


@task("sampling")
class SamplingTask(RegistrationTask):
    """Trains a ``ProbabilisticVoxelMorph`` (Dalca et al. 2019): the terms of ``RegistrationTask`` for a drawn velocity.

    The divergence from the smooth prior takes the place of the smoothness term: ``motion`` times
    ``smooth_prior_divergence`` with the precision ``smooth``, on the velocity's own grid.
    """

    network: ProbabilisticVoxelMorph

    def training_step(self, batch: Batch, _: int) -> torch.Tensor:
        mean, log_variance = self.network.own_distribution(batch["reference"], batch["frames"])
        loss = self.configuration.loss
        with torch.autocast(self.device.type, enabled=False):
            drawn = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
            velocities = self.network.onto_images(drawn, batch["reference"])
            terms = self.loss_terms(StationaryVelocity(velocities.flatten(0, 1)), batch)
            terms["smooth"] = loss.motion * smooth_prior_divergence(mean, log_variance, loss.smooth)
        return self.logged(terms)


def smooth_prior_divergence(mean: torch.Tensor, log_variance: torch.Tensor, precision: float) -> torch.Tensor:
    """Divergence of independent normal velocities from a prior that is smooth over space, up to a constant.

    The prior's inverse covariance is ``precision`` times the Laplacian of the grid's neighbourhood graph, in which a
    voxel at the border has fewer neighbours (eq. 10 of Dalca et al. 2019). ``mean`` and ``log_variance`` are
    ``[N, ndim, *grid]`` in voxels; the mean over voxels and components is returned.
    """
    neighbours = torch.zeros_like(mean[0, 0])
    differences = mean.new_zeros(())
    for axis, n in enumerate(mean.shape[2:]):
        along = torch.full((n,), 2.0, device=mean.device)
        along[0] -= 1
        along[-1] -= 1
        neighbours = neighbours + along.view([-1 if other == axis else 1 for other in range(neighbours.ndim)])
        differences = differences + mean.diff(dim=axis + 2).square().sum()
    spread = precision * neighbours * log_variance.exp() - log_variance
    return 0.5 * spread.mean() + 0.5 * precision * differences / mean.numel()
