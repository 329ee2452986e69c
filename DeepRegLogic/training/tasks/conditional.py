"""The Lightning task of networks that take the weight of the regulariser as an input."""

from __future__ import annotations

import torch

from ...networks.conditional import ConditionalVoxelMorph
from ...transformations import Transformation
from ..data import Batch
from . import task
from .registration import RegistrationTask


@task("conditional")
class ConditionalTask(RegistrationTask):
    """Every step draws a smoothness s from 0 to 1: prices of the motion count 2 s times, other terms 2 (1 - s) times.

    At s = 1/2 the loss is that of ``RegistrationTask`` (Hoopes et al. 2021, equation 4). Validation is done there.
    """

    network: ConditionalVoxelMorph

    def training_step(self, batch: Batch, number: int) -> torch.Tensor:
        usual = self.network.smoothness
        self.network.smoothness = float(torch.rand(()))
        try:
            return super().training_step(batch, number)
        finally:
            self.network.smoothness = usual

    def loss_terms(self, found: Transformation, batch: Batch) -> dict[str, torch.Tensor]:
        share = self.network.smoothness
        terms = super().loss_terms(found, batch)
        return {key: 2 * (share if key in ("smooth", "time") else 1 - share) * value for key, value in terms.items()}
