"""The Lightning task: what one training step minimises, and what is measured of a network on held-out cines."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence

import lightning
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler

from ... import flow
from ...consistency import CONSISTENCIES
from ...errors import InputError
from ...networks import MotionNetwork
from ...regularisers import REGULARISERS, temporal_bending
from ...similarities import SIMILARITIES, mse
from ...transformations import Transformation
from ..configuration import Configuration
from ..data import Batch
from . import task
from .surfaces import surface_distance

Side = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""A field on the grid of labels, the labels ``[N, K, *spatial]`` that it moves, and those that they should become."""


@task("registration")
class RegistrationTask(lightning.LightningModule):
    """Trains a network that registers, whatever kind of transformation it estimates.

    Logged at validation: ``mse`` and ``mse_last`` (all frames and the last, mean of both directions), ``mse_before``,
    ``folded`` (fraction of pixels), where the truth is known ``end_point`` and ``end_point_before`` (mm, weighted
    mean), where there are labels ``dice`` and ``dice_before``, and ``score``, the figure by which the best weights are
    chosen: one minus ``dice``, or ``end_point``, or else ``mse``.
    """

    def __init__(self, network: MotionNetwork, configuration: Configuration) -> None:
        super().__init__()
        self.network = network
        self.configuration = configuration

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """What a network draws depends on the step alone, so that a run that is resumed draws the same."""
        self._seed(0)

    def on_validation_batch_start(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        self._seed(1 + batch_idx)

    def _seed(self, batch: int) -> None:
        place = (self.configuration.seed, self.global_step, self.global_rank, batch)
        torch.manual_seed(int.from_bytes(hashlib.sha256(repr(place).encode()).digest()[:7], "big"))

    def training_step(self, batch: Batch, _: int) -> torch.Tensor:
        found = self.network.estimate(batch["reference"], batch["frames"])
        with torch.autocast(self.device.type, enabled=False):
            terms = self.loss_terms(found, batch)
        return self.logged(terms)

    def logged(self, terms: dict[str, torch.Tensor]) -> torch.Tensor:
        """The sum of the terms, which are logged one by one."""
        total = torch.stack(list(terms.values())).sum()
        self.require_finite("train", terms)
        self.log_dict({f"train/{key}": value.detach() for key, value in terms.items()})
        self.log("train/loss", total.detach(), prog_bar=True)
        return total

    def loss_terms(self, found: Transformation, batch: Batch) -> dict[str, torch.Tensor]:
        """The weighted terms of the loss for the motion of N * T frames."""
        loss = self.configuration.loss
        frames = batch["frames"].flatten(0, 1)
        reference = batch["reference"][:, None].expand_as(batch["frames"]).flatten(0, 1)
        known = loss.end_point and "displacement" in batch
        both = bool(loss.consistent or loss.cycle)
        other = self.network.estimate(batch["frames"].flatten(0, 1), reference[:, None]) if loss.exchanged else None
        forward = inverse = None
        sides = []
        if (loss.image and loss.direction != "propagate") or both or known:
            forward = found.displacement(loss.squarings)
            if loss.direction != "propagate":
                sides.append((frames, forward, reference))
        if (loss.image and loss.direction != "compensate") or both:
            inverse = found.inverse(loss.squarings) if other is None else other.displacement(loss.squarings)
            if loss.direction != "compensate":
                sides.append((reference, inverse, frames))
        rough = REGULARISERS[loss.regulariser]
        price = rough(found.field) if other is None else (rough(found.field) + rough(other.field)) / 2
        terms = {"smooth": loss.smooth * price}
        alike = SIMILARITIES[loss.similarity].measure
        if loss.image:
            moved = torch.cat([flow.warp(moving, field) for moving, field, _ in sides])
            fixed = torch.cat([image for _, _, image in sides])
            terms["similarity"] = loss.image * alike(moved, fixed)
        if (loss.labels or loss.surface) and "frames_labels" in batch:
            labels = self.label_sides(found, batch, other)
            if loss.labels:
                terms["labels"] = loss.labels * (1 - overlap(labels))
            if loss.surface:
                apart = torch.stack([surface_distance(*side) for side in labels])
                terms["surface"] = loss.surface * apart.mean()
        if loss.time:
            in_time = found.field.unflatten(0, (-1, *batch["frames"].shape[:2])).flatten(0, 1)
            cycle = torch.cat([torch.zeros_like(in_time[:, :1]), in_time], dim=1)
            cyclic = self.configuration.data.random_reference > 0
            terms["time"] = loss.time * temporal_bending(cycle, cyclic=cyclic)
        if loss.consistent:
            assert forward is not None  # both were computed for this
            assert inverse is not None
            terms["consistent"] = loss.consistent * CONSISTENCIES[loss.consistency](forward, inverse)
        if loss.cycle:
            assert forward is not None
            assert inverse is not None
            there_and_back = flow.warp(flow.warp(frames, forward), inverse) - frames
            back_and_there = flow.warp(flow.warp(reference, inverse), forward) - reference
            terms["cycle"] = loss.cycle * (there_and_back.abs().mean() + back_and_there.abs().mean())
        if loss.identity:
            images = torch.cat([reference, frames])
            itself = flow.warp(images, self.network.estimate(images, images[:, None]).displacement(loss.squarings))
            terms["identity"] = loss.identity * alike(itself, images)
        if known:
            assert forward is not None
            terms["end_point"] = loss.end_point * end_point_error(forward.view_as(batch["displacement"]), batch)
        return terms

    def label_sides(self, found: Transformation, batch: Batch, other: Transformation | None = None) -> list[Side]:
        """What becomes of the labels of pairs in each direction of the loss.

        ``other`` is the answer to the images exchanged, where that takes the place of the inverse.
        """
        loss, moving, fixed = self.configuration.loss, batch["frames_labels"], batch["reference_labels"]
        found, sides = found.resized(moving.shape[2:]), []
        if loss.direction != "propagate":
            sides.append((found.displacement(loss.squarings), moving, fixed))
        if loss.direction != "compensate":
            back = None if other is None else other.resized(moving.shape[2:])
            inverse = found.inverse(loss.squarings) if back is None else back.displacement(loss.squarings)
            sides.append((inverse, fixed, moving))
        return sides

    def validation_step(self, batch: Batch, _: int) -> None:
        found = self.network.estimate(batch["reference"], batch["frames"])
        with torch.autocast(self.device.type, enabled=False):
            both = torch.cat([found.displacement(), found.inverse()])
            frames, reference = batch["frames"][0], batch["reference"].expand_as(batch["frames"][0])
            moving, fixed = torch.cat([frames, reference]), torch.cat([reference, frames])
            error = (flow.warp(moving, both) - fixed).square().flatten(1).mean(1).view(2, -1).mean(0)
            values = {
                "mse": error.mean(),
                "mse_last": error[-1],
                "mse_before": mse(frames, reference),
                "folded": flow.folding(both).float().mean(),
            }
            score = values["mse"]
            if "displacement" in batch:
                spacing = self.configuration.data.spacing
                onto_reference = both[None, : len(frames)]
                score = values["end_point"] = end_point_error(onto_reference, batch) * spacing
                values["end_point_before"] = end_point_error(torch.zeros_like(onto_reference), batch) * spacing
            if "frames_labels" in batch:
                values["dice"] = overlap(self.label_sides(found, batch))
                values["dice_before"] = soft_dice(batch["frames_labels"], batch["reference_labels"])
                score = 1 - values["dice"]
        values["score"] = score
        self.log_dict({f"validation/{key}": value for key, value in values.items()}, batch_size=1, sync_dist=True)

    def on_validation_epoch_end(self) -> None:
        """Before a checkpoint is written: it must be one to go on from."""
        measured = {key: value for key, value in self.trainer.callback_metrics.items() if key.startswith("validation/")}
        self.require_finite("validation", measured)
        self.require_finite("weights", dict(self.network.named_parameters()))

    def require_finite(self, what: str, values: Mapping[str, torch.Tensor]) -> None:
        """Raise ``InputError`` where a number is not finite: training diverged; the last checkpoint is a good one."""
        for key, value in values.items():
            if not bool(value.detach().isfinite().all()):
                raise InputError(
                    f"The training diverged: '{what}/{key.removeprefix(what + '/')}' is not finite at step "
                    f"{self.global_step}; lower 'optimiser.rate' or the weights of the loss. The last checkpoint that "
                    "was good is kept."
                )

    def configure_optimizers(self) -> OptimizerLRScheduler:
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


def overlap(sides: Sequence[Side]) -> torch.Tensor:
    """Mean Dice coefficient of the structures over the directions, as ``soft_dice`` has it."""
    return torch.stack([soft_dice(flow.warp(moving, field), fixed) for field, moving, fixed in sides]).mean()


def soft_dice(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Mean Dice coefficient of label maps ``[N, K, *spatial]`` from 0 to 1, over those that either has."""
    axes = list(range(2, a.ndim))
    total = a.sum(axes) + b.sum(axes)
    return (2 * (a * b).sum(axes) / total.clamp(min=1e-6))[total > 0].mean()


def end_point_error(displacement: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Weighted mean distance in pixels of a displacement ``[N, T, 2, H, W]`` to the true one."""
    distance = ((displacement - batch["displacement"]).square().sum(2) + 1e-8).sqrt()
    weight = batch["weight"].expand_as(distance)
    return (distance * weight).sum() / weight.sum()
