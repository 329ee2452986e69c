"""The Lightning task of networks whose velocity has a variance in every voxel."""

from __future__ import annotations

import torch

from ...networks import ProbabilisticVoxelMorph
from ...transformations import StationaryVelocity
from ...uncertainty.gaussian import kl_smooth
from ..data import Batch
from . import task
from .registration import RegistrationTask


@task("sampling")
class SamplingTask(RegistrationTask):
    """Trains a ``ProbabilisticVoxelMorph`` (Dalca et al. 2019): the terms of ``RegistrationTask`` for a drawn velocity.

    The divergence from the smooth prior takes the place of the smoothness term: ``motion`` times ``kl_smooth`` with the
    precision ``smooth``.
    """

    network: ProbabilisticVoxelMorph

    def training_step(self, batch: Batch, _: int) -> torch.Tensor:
        mean, log_variance = self.network.distribution(batch["reference"], batch["frames"])
        loss = self.configuration.loss
        with torch.autocast(self.device.type, enabled=False):
            velocities = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
            terms = self.loss_terms(StationaryVelocity(velocities.flatten(0, 1)), batch)
            divergence = kl_smooth(mean.flatten(0, 1), log_variance.flatten(0, 1), loss.smooth)
            terms["smooth"] = loss.motion * divergence
        return self.logged(terms)
