"""The Lightning task: what one training step minimises, and what is measured of a network on held-out cines."""

from __future__ import annotations

import math

import lightning
import torch

from .. import flow, losses
from ..networks import CineNetwork, ProbabilisticVoxelMorph
from .configuration import Configuration
from .data import Batch


class RegistrationTask(lightning.LightningModule):
    """Trains one cine network.

    Logged at validation: ``mse`` and ``mse_last`` (all frames and the last, mean of both directions), ``mse_before``,
    ``folded`` (fraction of pixels), where the truth is known ``end_point`` and ``end_point_before`` (mm, weighted
    mean), and ``score``, the figure by which the best weights are chosen: ``end_point`` or else ``mse``.
    """

    def __init__(self, network: CineNetwork, configuration: Configuration) -> None:
        super().__init__()
        self.network = network
        self.configuration = configuration

    def training_step(self, batch: Batch, _: int) -> torch.Tensor:
        velocities = self.network(batch["reference"], batch["frames"])
        with torch.autocast(self.device.type, enabled=False):
            terms = self.loss_terms(velocities, batch)
        return self.logged(terms)

    def logged(self, terms: dict[str, torch.Tensor]) -> torch.Tensor:
        """The sum of the terms, which are logged one by one."""
        total = torch.stack(list(terms.values())).sum()
        self.log_dict({f"train/{key}": value.detach() for key, value in terms.items()})
        self.log("train/loss", total.detach(), prog_bar=True)
        return total

    def loss_terms(self, velocities: torch.Tensor, batch: Batch) -> dict[str, torch.Tensor]:
        """The weighted terms of the loss for velocities ``[N, T, 2, H, W]``."""
        loss = self.configuration.loss
        similarity = {"mse": losses.mse, "lncc": losses.lncc}[loss.similarity]
        flat = velocities.flatten(0, 1)
        frames = batch["frames"].flatten(0, 1)
        reference = batch["reference"][:, None].expand_as(batch["frames"]).flatten(0, 1)
        sides = {"compensate": (flat, frames, reference), "propagate": (-flat, reference, frames)}
        chosen = list(sides.values()) if loss.direction == "both" else [sides[loss.direction]]
        velocity, moving, fixed = (torch.cat(parts) for parts in zip(*chosen, strict=True))
        displacement = flow.exp(velocity, loss.squarings)
        terms = {
            "similarity": similarity(flow.warp(moving, displacement), fixed),
            "smooth": loss.smooth * losses.diffusion(flat),
        }
        if loss.time:
            cycle = torch.cat([torch.zeros_like(velocities[:, :1]), velocities], dim=1)
            bending = losses.temporal_bending(cycle, cyclic=self.configuration.data.random_reference > 0)
            terms["time"] = loss.time * bending
        if loss.end_point and "displacement" in batch:
            onto_reference = displacement[: len(flat)]
            if loss.direction == "propagate":
                onto_reference = flow.exp(flat, loss.squarings)
            terms["end_point"] = loss.end_point * end_point_error(onto_reference.view_as(velocities), batch)
        return terms

    def validation_step(self, batch: Batch, _: int) -> None:
        velocities = self.network(batch["reference"], batch["frames"])[0]
        with torch.autocast(self.device.type, enabled=False):
            both = flow.exp(torch.cat([velocities, -velocities]))
            frames, reference = batch["frames"][0], batch["reference"].expand_as(batch["frames"][0])
            moving, fixed = torch.cat([frames, reference]), torch.cat([reference, frames])
            error = (flow.warp(moving, both) - fixed).square().mean((1, 2, 3)).view(2, -1).mean(0)
            values = {
                "mse": error.mean(),
                "mse_last": error[-1],
                "mse_before": losses.mse(frames, reference),
                "folded": flow.folding(both).float().mean(),
            }
            score = values["mse"]
            if "displacement" in batch:
                spacing = self.configuration.data.spacing
                found = both[None, : len(frames)]
                score = values["end_point"] = end_point_error(found, batch) * spacing
                values["end_point_before"] = end_point_error(torch.zeros_like(found), batch) * spacing
        values["score"] = score
        self.log_dict({f"validation/{key}": value for key, value in values.items()}, batch_size=1, sync_dist=True)

    def configure_optimizers(self) -> dict[str, object]:
        settings = self.configuration.optimiser
        optimiser = torch.optim.Adam(self.network.parameters(), lr=settings.rate)
        if settings.schedule == "constant":
            return {"optimizer": optimiser}
        warm = max(settings.steps // 100, 1)

        def factor(step: int) -> float:
            if step < warm:
                return (step + 1) / warm
            return 0.5 * (1 + math.cos(math.pi * min((step - warm) / max(settings.steps - warm, 1), 1)))

        scheduler = torch.optim.lr_scheduler.LambdaLR(optimiser, factor)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def end_point_error(displacement: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Weighted mean distance in pixels of a displacement ``[N, T, 2, H, W]`` to the true one."""
    distance = ((displacement - batch["displacement"]).square().sum(2) + 1e-8).sqrt()
    weight = batch["weight"].expand_as(distance)
    return (distance * weight).sum() / weight.sum()


class SamplingTask(RegistrationTask):
    """Trains a ``ProbabilisticVoxelMorph`` (Dalca et al. 2019): the terms of ``RegistrationTask`` for a drawn velocity.

    The divergence from the smooth prior takes the place of the smoothness term: ``motion`` times ``losses.kl_smooth``
    with the precision ``smooth``.
    """

    network: ProbabilisticVoxelMorph

    def training_step(self, batch: Batch, _: int) -> torch.Tensor:
        mean, log_variance = self.network.distribution(batch["reference"], batch["frames"])
        loss = self.configuration.loss
        with torch.autocast(self.device.type, enabled=False):
            velocities = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
            terms = self.loss_terms(velocities, batch)
            divergence = losses.kl_smooth(mean.flatten(0, 1), log_variance.flatten(0, 1), loss.smooth)
            terms["smooth"] = loss.motion * divergence
        return self.logged(terms)
