"""DragNet (Zakeri et al., Medical Image Analysis 83:102678, 2023): probabilistic motion with a recurrent memory.

At every time step a latent z has a prior given the memory and a posterior given the frame and the memory; the motion
has a Gaussian posterior given z and the moving image, with the covariance ``variance I + factor factor^T`` at every
pixel (eq. 20); then the memory, a convolutional LSTM, takes in z and the frame. This is the published network;
``dragnet_flow`` has the same recurrence for images of any size, and its motion is a stationary velocity.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import nn

from .. import flow
from ..transformations import Displacement, Transformation
from ..uncertainty.covariance import compose
from .base import GENERATE, REGISTER, UNCERTAINTY, MotionNetwork, register
from .layers import (
    ConvLSTM,
    DenseFeatures,
    DenseLatent,
    Gaussian,
    MotionGaussian,
    MotionHead,
    Posterior,
    SharedNoise,
    State,
    conv_down,
    conv_up,
    stack,
)


def _mean(distribution: Gaussian | MotionGaussian) -> torch.Tensor:
    return distribution.mean


@register("dragnet")
class DragNet(MotionNetwork):
    """The published network, with 1 218 253 parameters: images of any size go through a grid of 128 x 128 pixels.

    Its motion is a displacement that resamples the moving image onto the fixed one.

    Parameters
    ----------
    ndim : 2.
    mode : "consecutive" (every frame moves onto the next one, the last onto the first) or "reference" (the first frame
        moves onto every other one; section 3.7).
    recurrent : False leaves the memory out and gives z the prior N(0, 1), as in the paper's ablation.
    """

    divisor = 128
    cells_per_axis = 16
    capabilities = frozenset({REGISTER, GENERATE, UNCERTAINTY})
    training_task = "evidence"
    # a form of the network has its own layers for these
    image_features: nn.Module
    posterior_latent: nn.Module
    latent_features: nn.Module
    prior_latent: nn.Module

    def __init__(self, ndim: int = 2, mode: str = "consecutive", recurrent: bool = True) -> None:
        super().__init__()
        if ndim != 2:
            raise ValueError(f"DragNet has 2 spatial axes, not {ndim}.")
        if mode not in ("consecutive", "reference"):
            raise ValueError(f'The mode of DragNet is "consecutive" or "reference", not {mode!r}.')
        self.ndim = ndim
        self.mode = mode
        self.recurrent = recurrent
        self._build()

    def _build(self) -> None:
        size = self.cells_per_axis
        self.image_features = nn.Sequential(conv_down(1, 32), conv_down(32, 32))
        self.posterior_latent = DenseLatent(32 + (16 if self.recurrent else 0), 16, size * size, 64)
        self.latent_features = DenseFeatures(64, 16, (size, size), 32)
        self.motion = nn.Sequential(conv_up(64, 32), conv_up(32, 32))
        self.head = MotionHead(32)
        if self.recurrent:
            self.prior_latent = DenseLatent(16, 4, size * size, 64)
            self.memory = ConvLSTM(64, (32, 16))

    def estimate(self, reference: torch.Tensor, frames: torch.Tensor) -> Transformation:
        """The motion's mean and covariance, chained from frame to frame in "consecutive" mode.

        The network's displacements take the first frame onto the others and may fold; their inverses, which register,
        are found by a fixed point.
        """
        motion = self.posterior(reference, frames).motion
        fields = zip(motion.mean.unbind(1), motion.covariance().unbind(1), strict=True)
        chain = [next(fields)]
        for field, covariance in fields:
            if self.mode == "consecutive":
                field, covariance = compose(*chain[-1], field, covariance)
            chain.append((field, covariance))
        backs, covariances = (torch.stack(parts[: frames.shape[1]], dim=1) for parts in zip(*chain, strict=True))
        return Displacement.from_inverse(backs.flatten(0, 1), covariances.flatten(0, 1))

    def forward(self, reference: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
        """Mean of the motion, ``[N, T, 2, H, W]``; see ``posterior``."""
        return self.posterior(reference, frames).motion.mean

    def posterior(
        self,
        reference: torch.Tensor,
        frames: torch.Tensor,
        phase: torch.Tensor | None = None,
        draw: bool = False,
        generator: torch.Generator | None = None,
    ) -> Posterior:
        """The distribution of the motion of a cine.

        Parameters
        ----------
        reference : ``[N, 1, H, W]`` in [0, 1], the first frame.
        frames : ``[N, T, 1, H, W]`` in [0, 1], in time order, without the first.
        phase : where the images are in the cycle, ``[N, T + 1]`` from 0 to 1, the first frame's first; None for
            unknown. The published network takes no notice of it.
        draw : whether the latents are drawn from their posterior, or its means taken.

        Returns
        -------
        In "reference" mode T fields, in "consecutive" mode T + 1: the last takes the last frame onto the first.

        Raises
        ------
        ValueError : shapes that do not fit.
        """
        spatial = tuple(reference.shape[2:])
        if reference.shape[1:2] != (1,) or frames.shape != (len(reference), *frames.shape[1:2], 1, *spatial):
            raise ValueError(
                f"A reference of shape {tuple(reference.shape)} and frames of shape {tuple(frames.shape)} do not fit: "
                "[N, 1, H, W] and [N, T, 1, H, W] are needed."
            )
        images = self.fit(torch.cat([reference[:, None], frames], dim=1).flatten(0, 1))
        features = [part.unflatten(0, (len(reference), -1)) for part in self.encode(images)]
        images = images.unflatten(0, (len(reference), -1))
        count = frames.shape[1]
        moving, order = [0] * count, [*range(1, count + 1)]
        if self.mode == "consecutive":
            moving, order = [*range(count + 1)], [*range(1, count + 1), 0]
        steps = self._recurrence(images, features[-1], moving, order, phase, draw, generator)
        latents = torch.stack([step[2] for step in steps], dim=1).flatten(0, 1)
        moved = [part[:, moving].flatten(0, 1) for part in features]
        rows, columns = spatial
        motion = self.decode(latents, moved, (rows, columns))
        shape = (len(reference), len(steps))
        return Posterior(
            motion=MotionGaussian(*(field.unflatten(0, shape) for field in vars(motion).values())),
            latent=stack([step[0] for step in steps]),
            prior=stack([step[1] for step in steps]),
        )

    def rollout(
        self,
        images: torch.Tensor,
        n_frames: int,
        draw: Callable[[Gaussian], torch.Tensor],
        phase: torch.Tensor | None = None,
        draw_motion: Callable[[MotionGaussian], torch.Tensor] = _mean,
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Go on from real frames with frames of the memory's own (sections 3.5 and 3.6 of the paper).

        At every time step z comes from its prior given the memory, the motion from z and the moving image, and the
        memory takes in the frame that this motion makes of the first one.

        Parameters
        ----------
        images : ``[N, k, 1, H, W]``, the first k frames of N cines.
        n_frames : of a cine, the real ones included.
        draw : takes the prior of z ``[N, d]`` and gives its value; for the real frames the posterior's mean is taken.
        phase : ``[N, n_frames]``, as for ``posterior``.
        draw_motion : takes the distribution of the motion and gives its value.

        Yields
        ------
        For the frames 1 to ``n_frames - 1`` the motion, and the displacement that resamples the first frame onto that
        one, both ``[N, 2, H, W]``.
        """
        count, _, rows, columns = images.shape[1:]
        fitted = self.fit(images.flatten(0, 1)).unflatten(0, images.shape[:2])
        features = [part.unflatten(0, images.shape[:2]) for part in self.encode(fitted.flatten(0, 1))]

        def evidence(t: int) -> torch.Tensor:
            source = max(t - 1, 0) if self.mode == "consecutive" else 0
            return self.evidence(fitted[:, t], fitted[:, source], features[-1][:, t])

        moving = [part[:, 0] for part in features]
        back = images.new_zeros(len(images), 2, rows, columns)
        state = self.initial_state(moving[-1], evidence(0), _phases(phase, 1))
        like = self.infer(state, evidence(0)).mean
        for t in range(1, n_frames):
            z = self.infer(state, evidence(t)).mean if t < count else draw(self.prior(state, like, moving[-1]))
            latents = self.latent_features(z, self.cells(moving[-1]))
            motion = draw_motion(self.decode(latents, moving, (rows, columns)))
            back = self.pull_back(motion, back)
            yield motion, back
            if t + 1 < n_frames:
                if t < count:
                    made = [part[:, t] for part in features]
                else:
                    made = self.encode(self.fit(flow.warp(images[:, 0], back)))
                state = self.update(state, latents, made[-1], _phases(phase, t + 1))
                if self.mode == "consecutive":
                    moving = made

    def new_motion(
        self,
        images: torch.Tensor,
        n_frames: int,
        phase: torch.Tensor,
        generator: torch.Generator | None = None,
        independent: bool = False,
    ) -> Iterator[Transformation]:
        def drawn(distribution: Gaussian | MotionGaussian) -> torch.Tensor:
            return distribution.sample(generator)

        noise = drawn if independent else self.shared_noise(images, phase, generator)
        for motion, back in self.rollout(images, n_frames, noise, phase, drawn if independent else _mean):
            yield self.transformation(motion, back)

    def transformation(self, motion: torch.Tensor, back: torch.Tensor) -> Transformation:
        """What a step of ``rollout`` is of the first frame."""
        return Displacement.from_inverse(back)

    def shared_noise(
        self, images: torch.Tensor, phase: torch.Tensor, generator: torch.Generator | None = None
    ) -> SharedNoise:
        """How ``rollout`` draws a new cine from its first frames ``[N, k, 1, H, W]``; ``phase`` as there."""
        return SharedNoise(generator)

    def pull_back(self, motion: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
        """What resamples the first frame onto the next one, from the motion and that of the frame before."""
        return flow.compose(before, motion) if self.mode == "consecutive" else motion

    def _recurrence(
        self,
        images: torch.Tensor,
        features: torch.Tensor,
        moving: Sequence[int],
        order: Sequence[int],
        phase: torch.Tensor | None,
        draw: bool,
        generator: torch.Generator | None,
    ) -> list[tuple[Gaussian, Gaussian, torch.Tensor]]:
        """Posterior and prior of z and its features, for every field; the first frame only warms the memory up."""
        # the first frame with itself, then every frame with the one that moves onto it
        targets, sources = [0, *order], [0, *moving]
        evidence = self.evidence(
            images[:, targets].flatten(0, 1), images[:, sources].flatten(0, 1), features[:, targets].flatten(0, 1)
        )
        evidence = evidence.unflatten(0, (len(images), -1))

        def value(latent: Gaussian) -> torch.Tensor:
            return latent.sample(generator) if draw else latent.mean

        state = self.initial_state(features[:, 0], evidence[:, 0], _phases(phase, order[0]), value)
        steps = []
        for step, target in enumerate(order):
            latent = self.infer(state, evidence[:, step + 1])
            z = value(latent)
            latents = self.latent_features(z, self.cells(features))
            steps.append((latent, self.prior(state, latent.mean, features[:, sources[step + 1]]), latents))
            if step + 1 < len(order):
                state = self.update(state, latents, features[:, target], _phases(phase, order[step + 1]))
        return steps

    def fit(self, images: torch.Tensor) -> torch.Tensor:
        """Images ``[N, 1, H, W]`` as the network takes them: here on its working grid of 128 x 128 pixels."""
        return flow.resize_image(images, (self.divisor, self.divisor))

    def encode(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Features of images that ``fit`` made fit, from fine to coarse."""
        return [self.image_features(images)]

    def decode(self, latents: torch.Tensor, moving: list[torch.Tensor], size: tuple[int, int]) -> MotionGaussian:
        """The motion from features of z and of the moving image, for images of ``size``."""
        motion = self.head(self.motion(torch.cat([latents, moving[-1]], dim=1)))
        if size == tuple(motion.mean.shape[2:]):
            return motion
        area = (size[0] - 1) * (size[1] - 1) / (self.divisor - 1) ** 2
        log_variance = F.interpolate(motion.log_variance, size=size, mode="bilinear", align_corners=True)
        return MotionGaussian(
            flow.resize(motion.mean, size), log_variance + math.log(area), flow.resize(motion.factor, size)
        )

    def cells(self, features: torch.Tensor) -> tuple[int, int]:
        """Rows and columns of the latent's cells for features at a quarter of the resolution."""
        return features.shape[-2] // 2, features.shape[-1] // 2

    def evidence(self, fixed: torch.Tensor, moving: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """What the posterior of z sees of a frame: from images that ``fit`` made fit, and the fixed one's features."""
        return features

    def initial_state(
        self,
        features: torch.Tensor,
        evidence: torch.Tensor,
        phase: torch.Tensor | None = None,
        value: Callable[[Gaussian], torch.Tensor] = _mean,
    ) -> State:
        """The memory after the first frame's features ``[N, C, h, w]``; ``phase`` ``[N, 2]``: the first, the next.

        ``value`` takes the posterior of that frame's z and gives its value.
        """
        state = self.memory.zeros(features) if self.recurrent else []
        latents = self.latent_features(value(self.infer(state, evidence)), self.cells(features))
        return self.update(state, latents, features, phase)

    def infer(self, state: State, evidence: torch.Tensor) -> Gaussian:
        """Posterior of z given the memory and the frame (eq. 6)."""
        return self.posterior_latent(torch.cat([evidence, *(s[0].to(evidence.dtype) for s in state[-1:])], dim=1))

    def prior(self, state: State, like: torch.Tensor, moving: torch.Tensor) -> Gaussian:
        """Prior of z given the memory (eq. 3); ``like`` ``[N, d]`` gives its shape where there is no memory.

        The published network takes no notice of the features of the ``moving`` image.
        """
        if not self.recurrent:
            return Gaussian(torch.zeros_like(like), torch.zeros_like(like))
        return self.prior_latent(state[-1][0])

    def update(
        self, state: State, latents: torch.Tensor, frame: torch.Tensor, phase: torch.Tensor | None = None
    ) -> State:
        """The memory after a frame (eq. 9, which also lists the motion; it is a function of what goes in here)."""
        return self.memory(torch.cat([latents, frame], dim=1), state) if self.recurrent else []


def _phases(phase: torch.Tensor | None, t: int) -> torch.Tensor | None:
    """Those of the first frame and of frame ``t``: ``[N, 2]``."""
    return None if phase is None else phase[:, [0, t]]
