"""The Lightning task of the motion pyramid: the true motion at every level."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ... import flow
from ...errors import InputError
from ...networks.pyramid import MotionPyramid
from ...regularisers import REGULARISERS
from ..data import Batch
from . import task
from .registration import RegistrationTask

_BY_LEVEL = 0.5
"""Weight of a level over that of the next finer one."""


@task("pyramid")
class PyramidTask(RegistrationTask):
    """Trains a ``MotionPyramid`` by known motion.

    It minimises the distance in pixels of every level's displacement to the true one, averaged over blocks of pixels
    that are those of the level (weight ``end_point`` for the finest level, half of that for each coarser one), plus
    ``smooth`` times the regulariser of the finest velocity.
    """

    network: MotionPyramid

    def training_step(self, batch: Batch, _: int) -> torch.Tensor:
        if "displacement" not in batch:
            raise InputError("A motion pyramid learns from known motion, which cines of a folder have not.")
        levels = self.network.velocities(batch["reference"], batch["frames"])[:-1]
        with torch.autocast(self.device.type, enabled=False):
            return self.logged(self.level_terms(levels, batch))

    def level_terms(self, levels: list[torch.Tensor], batch: Batch) -> dict[str, torch.Tensor]:
        """The weighted terms of the loss, for velocities of the levels from coarse to fine."""
        loss = self.configuration.loss
        truth, weight = batch["displacement"].flatten(0, 1), batch["weight"]
        padding = [0, -truth.shape[-1] % self.network.divisor, 0, -truth.shape[-2] % self.network.divisor]
        truth, weight = F.pad(truth, padding, mode="replicate"), F.pad(weight, padding)
        frames = batch["displacement"].shape[1]
        distances = []
        for number, velocity in enumerate(reversed(levels)):
            block = truth.shape[-1] // velocity.shape[-1]
            difference = flow.exp(velocity, 5) * block - F.avg_pool2d(truth, block)
            distance = (difference.square().sum(1) + 1e-4).sqrt()
            matters = F.avg_pool2d(weight, block).repeat_interleave(frames, dim=0)[:, 0]
            distances.append(_BY_LEVEL**number * (distance * matters).sum() / matters.sum())
        return {
            "end_point": loss.end_point * torch.stack(distances).sum(),
            "smooth": loss.smooth * REGULARISERS[loss.regulariser](levels[-1]),
        }
