"""The Lightning task of DCCNN-LSTM-Reg: its five losses with the paper's weights."""

from __future__ import annotations

import torch

from ... import flow
from ...networks.base import padded, pairs_of
from ...networks.dccnn_lstm import DCCNNLSTM
from ...regularisers import diffusion
from ...similarities import SIMILARITIES
from ..data import Batch
from . import task
from .registration import RegistrationTask, overlap

_FOLDING, _CYCLE, _CONTROL, _ALIKE = 1e5, 0.1, 0.1, 0.8


@task("dccnn-lstm")
class SymmetricPathTask(RegistrationTask):
    """Trains a ``DCCNNLSTM`` by section III-D of its paper, with means where the paper has sums.

    Similarity (0.8) of the warped images at the whole resolution, of all levels and both directions; negative Jacobian
    determinants (1e5); squared gradients (``smooth`` times, 1 as published); images that should be themselves after
    both directions (0.1); and ``|div u + dh/dt|`` of the increments (0.1). Labels as in ``RegistrationTask``.
    """

    network: DCCNNLSTM

    def training_step(self, batch: Batch, _: int) -> torch.Tensor:
        network, loss = self.network, self.configuration.loss
        pair = pairs_of(batch["reference"], batch["frames"], network.ndim)
        moving, fixed = (padded(image, network.divisor) for image in pair)
        levels = network.levels(moving, fixed)
        with torch.autocast(self.device.type, enabled=False):
            alike = SIMILARITIES[loss.similarity].measure
            values: dict[str, list[torch.Tensor]] = {key: [] for key in ("similarity", "folds", "smooth", "control")}
            for level in levels:
                for image, target, field in ((moving, fixed, level.forward), (fixed, moving, level.backward)):
                    if not network.symmetric and target is moving:
                        continue  # the inverse that was found has no gradient
                    whole = flow.resize(field, moving.shape[2:])
                    values["similarity"].append(alike(flow.warp(image, whole), target))
                    values["folds"].append((-flow.jacobian_determinant(whole)).relu().mean())
                    values["smooth"].append(diffusion(field))
                values["control"].append(level.residual.abs().mean())
            weights = {"similarity": _ALIKE * loss.image, "folds": _FOLDING, "smooth": loss.smooth, "control": _CONTROL}
            terms = {key: weights[key] * torch.stack(found).sum() for key, found in values.items()}
            if network.symmetric:
                last = levels[-1]
                there, back = flow.compose(last.forward, last.backward), flow.compose(last.backward, last.forward)
                cycle = alike(flow.warp(moving, there), moving) + alike(flow.warp(fixed, back), fixed)
                terms["cycle"] = _CYCLE * cycle
            if loss.labels and "frames_labels" in batch:
                found = network.estimate(batch["reference"], batch["frames"])
                terms["labels"] = loss.labels * (1 - overlap(self.label_sides(found, batch)))
        return self.logged(terms)
