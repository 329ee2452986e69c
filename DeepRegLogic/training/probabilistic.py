"""The Lightning task of probabilistic networks: the evidence lower bound, and the likelihood of the true motion."""

from __future__ import annotations

import torch

from .. import flow, losses
from ..networks import DragNet
from ..networks.probabilistic import Gaussian, Posterior, SteadyDraw
from ..uncertainty import carry, mahalanobis
from .data import Batch
from .task import RegistrationTask

_WARMING = (0.4, 0.7)
_FORESIGHT = {"foresight": 1.0, "beat": 0.01}
_LENGTH = 4.0  # pixels
_ELLIPSE_90 = 4.605  # the 90 % point of the chi-squared distribution of two degrees of freedom


class ProbabilisticTask(RegistrationTask):
    """Trains DragNet, in either of its forms.

    The published form minimises the negative evidence lower bound (eqs. 10 to 19 of Zakeri et al. 2023) with one draw
    of z and of the motion: the mean over batch, frames and pixels of squared differences, plus ``smooth`` times
    ``losses.diffusion`` of the drawn motion, plus ``latent`` times the divergence of z (sum over elements, mean over
    batch and frames), plus ``motion`` times that of the motion (mean over batch, frames and pixels).

    The form with velocities draws z, and takes the mean of the motion given z for the terms of ``RegistrationTask``.
    Where the true motion is known, the covariance is fitted to it: ``likelihood`` times the negative log likelihood of
    the true displacement under the covariance carried through the exponential (weighted mean), by the covariance alone,
    so that frames hard to register do not weigh less on the mean. Half of the cines come without their phase.

    ``foresight`` lets the same memory make the whole cine from its reference and the phases, with z drawn from the
    prior, and takes its distance from the true motion in pixels. What the reference cannot tell, as how strong the
    heart is, comes in through the noise of z: its shared part is drawn from ``DragNetFlow.beat``, which has seen the
    cine (turned and mirrored, so that whereto is left to be seen in the reference), at a price of 0.01 times its
    divergence from ``DragNetFlow.beat_prior``, which has seen the reference alone and is what new cines draw it from.
    (A conditional variational autoencoder of the beat, Sohn et al. 2015.)

    The weight of the latent's divergence rises from zero after 40 % of the steps to all of it after 70 %: a
    latent that is of no use yet would be given up. Training that starts from a model has all of it at once.
    """

    network: DragNet

    def training_step(self, batch: Batch, _: int) -> torch.Tensor:
        phase = batch["phase"].clone()
        phase[torch.rand(len(phase), device=phase.device) < 0.5] = torch.nan
        loss = self.configuration.loss
        posterior = self.network.posterior(batch["reference"], batch["frames"], phase, draw=True)
        with torch.autocast(self.device.type, enabled=False):
            if self.network.diffeomorphic:
                terms = self.loss_terms(posterior.motion.mean, batch)
                if loss.likelihood and "displacement" in batch:
                    terms["likelihood"] = loss.likelihood * self._likelihood(posterior, batch)[0]
            else:
                terms = self._drawn_terms(posterior, batch)
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
        steps = self.network.imagine(
            batch["reference"][:, None], phase.shape[1], SteadyDraw(last=noise.sample()), phase
        )
        velocity = torch.stack([motion.mean for motion, _ in steps], dim=1)
        with torch.autocast(self.device.type, enabled=False):
            displacement = flow.exp(velocity.flatten(0, 1), self.configuration.loss.squarings).view_as(velocity)
            error = displacement - truth
            squared = error.square().sum(2)
            for axis in (3, 4):
                squared = squared + (_LENGTH * torch.gradient(error, dim=axis)[0]).square().sum(2)
            mean = (squared * weight).sum((2, 3)) / weight.sum((2, 3))
            divergence = losses.kl_normal(noise.mean, noise.log_variance, likely.mean, likely.log_variance)
            return {"foresight": (mean + 1e-4).sqrt().mean(), "beat": divergence.sum(1).mean()}

    def _beat(self, batch: Batch) -> Gaussian:
        """The noise of the beat, from the cine turned and mirrored: it tells how strong, and cannot tell whereto."""
        images = flow.turn(torch.cat([batch["reference"][:, None], batch["frames"]], dim=1), int(torch.randint(8, ())))
        with torch.no_grad():
            latent = self.network.posterior(images[:, 0], images[:, 1:], batch["phase"]).latent.mean
        return self.network.beat(latent, batch["phase"], images.shape[3:])

    def _divergences(self, posterior: Posterior) -> dict[str, torch.Tensor]:
        latent, prior, motion = posterior.latent, posterior.prior, posterior.motion
        loss = self.configuration.loss
        of_latent = losses.kl_normal(latent.mean, latent.log_variance, prior.mean, prior.log_variance)
        of_motion = losses.kl_motion(*(field.flatten(0, 1) for field in vars(motion).values()))
        begin, end = (fraction * self.configuration.optimiser.steps for fraction in _WARMING)
        warm = 1.0 if self.configuration.start else min(max((self.global_step - begin) / (end - begin), 0.0), 1.0)
        return {"latent": warm * loss.latent * of_latent.sum(2).mean(), "motion": loss.motion * of_motion.mean()}

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
        similarity = {"mse": losses.mse, "lncc": losses.lncc}[self.configuration.loss.similarity]
        return {
            "similarity": similarity(flow.warp(moving, displacement), fixed),
            "smooth": self.configuration.loss.smooth * losses.diffusion(displacement),
        }

    def _likelihood(self, posterior: Posterior, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Weighted mean of the negative log likelihood of the truth, and the fraction within the 90 % ellipses."""
        motion = posterior.motion
        displacement, covariance = carry(
            motion.mean.detach().flatten(0, 1), motion.covariance().flatten(0, 1), self.configuration.loss.squarings
        )
        residual = batch["displacement"].flatten(0, 1) - displacement
        weight = batch["weight"].expand(*motion.mean.shape[:2], *residual.shape[2:]).flatten(0, 1)
        value = (losses.normal_likelihood(residual, covariance) * weight).sum() / weight.sum()
        with torch.no_grad():
            inside = weight > 0.5
            covered = (mahalanobis(residual, covariance.detach())[inside] <= _ELLIPSE_90).float().mean()
        return value, covered

    def validation_step(self, batch: Batch, number: int) -> None:
        if not self.network.diffeomorphic:
            displacement = self.network(batch["reference"], batch["frames"]).flatten(0, 1)
            moving, fixed = self._pairs(batch)
            mse = losses.mse(flow.warp(moving, displacement), fixed)
            folded = flow.folding(displacement).float().mean()
            values = {"mse": mse, "mse_before": losses.mse(moving, fixed), "folded": folded, "score": mse}
        else:
            super().validation_step(batch, number)
            values = {}
            if "displacement" in batch:
                posterior = self.network.posterior(batch["reference"], batch["frames"])
                with torch.autocast(self.device.type, enabled=False):
                    values["likelihood"], values["covered_90"] = self._likelihood(posterior, batch)
        self.log_dict({f"validation/{key}": value for key, value in values.items()}, batch_size=1, sync_dist=True)
