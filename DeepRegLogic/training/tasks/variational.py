"""The Lightning tasks of DragNet: the evidence lower bound, and the likelihood of the true motion."""

from __future__ import annotations

import torch

from ... import flow
from ...networks import DragNet, DragNetFlow, MotionNetwork
from ...networks.layers import Gaussian, Posterior, SharedNoise
from ...regularisers import REGULARISERS
from ...similarities import SIMILARITIES, mse
from ...transformations import StationaryVelocity
from ...uncertainty.covariance import propagate_covariance
from ...uncertainty.gaussian import chi_squared_quantile, gaussian_nll, kl_gaussian, kl_motion, mahalanobis
from ..configuration import Configuration
from ..data import Batch
from . import task
from .registration import RegistrationTask

_FORESIGHT = {"foresight": 1.0, "beat": 0.01}
_LENGTH = 4.0  # pixels
_ELLIPSE_90 = chi_squared_quantile(0.9, 2)


class VariationalTask(RegistrationTask):
    """What both forms of DragNet share: the divergences of the latent and of the motion.

    The weight of the latent's divergence may rise in the course of training (``latent_rise``): a latent that is of no
    use yet would be given up.
    """

    network: DragNet

    def _posterior(self, batch: Batch) -> Posterior:
        """With a draw of z; half of the cines come without their phase."""
        phase = batch["phase"].clone()
        phase[torch.rand(len(phase), device=phase.device) < 0.5] = torch.nan
        return self.network.posterior(batch["reference"], batch["frames"], phase, draw=True)

    def _divergences(self, posterior: Posterior) -> dict[str, torch.Tensor]:
        latent, prior, motion = posterior.latent, posterior.prior, posterior.motion
        loss = self.configuration.loss
        of_latent = kl_gaussian(latent.mean, latent.log_variance, prior.mean, prior.log_variance)
        of_motion = kl_motion(*(field.flatten(0, 1) for field in vars(motion).values()))
        begin, end = (share * self.configuration.optimiser.steps for share in loss.latent_rise)
        risen = 1.0
        if self.global_step < end and not self.configuration.start:
            risen = max((self.global_step - begin) / (end - begin), 0.0)
        return {"latent": risen * loss.latent * of_latent.sum(2).mean(), "motion": loss.motion * of_motion.mean()}


@task("evidence")
class EvidenceTask(VariationalTask):
    """Trains the published form of DragNet.

    It minimises the negative evidence lower bound (eqs. 10 to 19 of Zakeri et al. 2023) with one draw
    of z and of the motion: the mean over batch, frames and pixels of squared differences, plus ``smooth`` times
    the regulariser of the drawn motion, plus ``latent`` times the divergence of z (sum over elements, mean over
    batch and frames), plus ``motion`` times that of the motion (mean over batch, frames and pixels).
    """

    def training_step(self, batch: Batch, _: int) -> torch.Tensor:
        posterior = self._posterior(batch)
        with torch.autocast(self.device.type, enabled=False):
            terms = self._drawn_terms(posterior, batch) | self._divergences(posterior)
        return self.logged(terms)

    def _pairs(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Moving and fixed images ``[N * T, 1, H, W]`` of the published form."""
        reference, frames = batch["reference"][:, None], batch["frames"]
        if self.network.mode == "reference":
            return reference.expand_as(frames).flatten(0, 1), frames.flatten(0, 1)
        images = torch.cat([reference, frames], dim=1)
        return images.flatten(0, 1), images.roll(-1, dims=1).flatten(0, 1)

    def _drawn_terms(self, posterior: Posterior, batch: Batch) -> dict[str, torch.Tensor]:
        displacement = posterior.motion.sample().flatten(0, 1)
        moving, fixed = self._pairs(batch)
        loss = self.configuration.loss
        return {
            "similarity": SIMILARITIES[loss.similarity].measure(flow.warp(moving, displacement), fixed),
            "smooth": loss.smooth * REGULARISERS[loss.regulariser](displacement),
        }

    def validation_step(self, batch: Batch, number: int) -> None:
        displacement = self.network(batch["reference"], batch["frames"]).flatten(0, 1)
        moving, fixed = self._pairs(batch)
        error = mse(flow.warp(moving, displacement), fixed)
        folded = flow.folding(displacement).float().mean()
        values = {"mse": error, "mse_before": mse(moving, fixed), "folded": folded, "score": error}
        self.log_dict({f"validation/{key}": value for key, value in values.items()}, batch_size=1, sync_dist=True)


@task("variational")
class VelocityTask(VariationalTask):
    """Trains the form of DragNet with velocities.

    It draws z, and takes the mean of the motion given z for the terms of ``RegistrationTask``.
    Where the true motion is known, the covariance is fitted to it: ``likelihood`` times the negative log likelihood of
    the true displacement under the covariance carried through the exponential (weighted mean), by the covariance alone,
    so that frames hard to register do not weigh less on the mean.

    ``foresight`` lets the same memory make the whole cine from its reference and the phases, with z drawn from the
    prior, and takes its distance from the true motion in pixels. What the reference cannot tell, as how strong the
    heart is, comes in through the noise of z: its shared part is drawn from ``DragNetFlow.beat``, which has seen the
    cine (turned and mirrored, so that the direction has to be read from the reference), at a price of 0.01 times its
    divergence from ``DragNetFlow.beat_prior``, which has seen the reference alone and is what new cines draw it from.
    (A conditional variational autoencoder of the beat, Sohn et al. 2015.)
    """

    network: DragNetFlow

    def __init__(self, network: MotionNetwork, configuration: Configuration) -> None:
        super().__init__(network, configuration)
        if not (configuration.loss.foresight and configuration.data.has_truth):
            # without the truth they learn nothing, and several GPUs would wait for their gradients
            for layer in (self.network.beat_features, self.network.beat_noise, self.network.likely_beat):
                layer.requires_grad_(False)

    def training_step(self, batch: Batch, _: int) -> torch.Tensor:
        loss = self.configuration.loss
        posterior = self._posterior(batch)
        with torch.autocast(self.device.type, enabled=False):
            terms = self.loss_terms(StationaryVelocity(posterior.motion.mean.flatten(0, 1)), batch)
            if loss.likelihood and "displacement" in batch:
                terms["likelihood"] = loss.likelihood * self._likelihood(posterior, batch)[0]
            terms |= self._divergences(posterior)
        if loss.foresight and "displacement" in batch:
            found = self._foresight(batch)
            terms |= {key: loss.foresight * _FORESIGHT[key] * value for key, value in found.items()}
        return self.logged(terms)

    def _foresight(self, batch: Batch) -> dict[str, torch.Tensor]:
        """How far a cine made from the reference and the noise of its beat is off the true one, and that noise's price.

        The distance is the mean over frames, so that still ones count as well, of a Sobolev norm in pixels: the root
        mean square of the error and of its gradient times a length, so that chambers grow and shrink as they should.
        """
        truth, weight, phase = batch["displacement"], batch["weight"], batch["phase"]
        noise = self._beat(batch)
        likely = self.network.beat_prior(batch["reference"], phase)
        steps = self.network.rollout(
            batch["reference"][:, None], phase.shape[1], SharedNoise(last=noise.sample()), phase
        )
        velocity = torch.stack([motion for motion, _ in steps], dim=1)
        with torch.autocast(self.device.type, enabled=False):
            displacement = flow.exp(velocity.flatten(0, 1), self.configuration.loss.squarings).view_as(velocity)
            error = displacement - truth
            squared = error.square().sum(2)
            for axis in (3, 4):
                squared = squared + (_LENGTH * torch.gradient(error, dim=axis)[0]).square().sum(2)
            mean = (squared * weight).sum((2, 3)) / weight.sum((2, 3))
            divergence = kl_gaussian(noise.mean, noise.log_variance, likely.mean, likely.log_variance)
            return {"foresight": (mean + 1e-4).sqrt().mean(), "beat": divergence.sum(1).mean()}

    def _beat(self, batch: Batch) -> Gaussian:
        """The noise of the beat, from the cine turned and mirrored: it tells how strong, and cannot tell whereto."""
        images = flow.turn(torch.cat([batch["reference"][:, None], batch["frames"]], dim=1), int(torch.randint(8, ())))
        with torch.no_grad():
            latent = self.network.posterior(images[:, 0], images[:, 1:], batch["phase"]).latent.mean
        rows, columns = images.shape[3:]
        return self.network.beat(latent, batch["phase"], (rows, columns))

    def _likelihood(self, posterior: Posterior, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Weighted mean of the negative log likelihood of the truth, and the fraction within the 90 % ellipses."""
        motion = posterior.motion
        displacement, covariance = propagate_covariance(
            motion.mean.detach().flatten(0, 1), motion.covariance().flatten(0, 1), self.configuration.loss.squarings
        )
        residual = batch["displacement"].flatten(0, 1) - displacement
        weight = batch["weight"].expand(*motion.mean.shape[:2], *residual.shape[2:]).flatten(0, 1)
        value = (gaussian_nll(residual, covariance) * weight).sum() / weight.sum()
        with torch.no_grad():
            inside = weight > 0.5
            covered = (mahalanobis(residual, covariance.detach())[inside] <= _ELLIPSE_90).float().mean()
        return value, covered

    def validation_step(self, batch: Batch, number: int) -> None:
        super().validation_step(batch, number)
        if "displacement" in batch:
            posterior = self.network.posterior(batch["reference"], batch["frames"])
            with torch.autocast(self.device.type, enabled=False):
                likelihood, covered = self._likelihood(posterior, batch)
            values = {"validation/likelihood": likelihood, "validation/covered_90": covered}
            self.log_dict(values, batch_size=1, sync_dist=True)
