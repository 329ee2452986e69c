"""DragNet (Zakeri et al., Medical Image Analysis 83:102678, 2023): probabilistic motion with a recurrent memory.

At every time step a latent z has a prior given the memory and a posterior given the frame and the memory; the motion
has a Gaussian posterior given z and the moving image, with the covariance ``variance I + factor factor^T`` at every
pixel (eq. 20); then the memory, a convolutional LSTM, takes in z and the frame. ``DragNet`` is the published network;
``DragNetFlow`` has the same recurrence for images of any size, and its motion is a stationary velocity.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from .. import flow
from .base import SLOPE

State = list[tuple[torch.Tensor, torch.Tensor]]


@dataclass(frozen=True)
class Gaussian:
    """Independent normal distributions: ``mean`` and ``log_variance`` of one shape."""

    mean: torch.Tensor
    log_variance: torch.Tensor

    def sample(self, generator: torch.Generator | None = None) -> torch.Tensor:
        """One draw, differentiable in mean and variance."""
        noise = torch.randn(self.mean.shape, generator=generator, device=self.mean.device, dtype=self.mean.dtype)
        return self.mean + (0.5 * self.log_variance).exp() * noise


@dataclass(frozen=True)
class MotionGaussian:
    """Normal distribution of a field at every pixel, with covariance ``variance I + factor factor^T`` (eq. 20).

    Attributes
    ----------
    mean : ``[..., ndim, *spatial]`` in pixels.
    log_variance : ``[..., 1, *spatial]``, logarithm of pixels squared.
    factor : ``[..., ndim, *spatial]`` in pixels; its sign is free, so that the long axis may point anywhere.
    """

    mean: torch.Tensor
    log_variance: torch.Tensor
    factor: torch.Tensor

    def covariance(self) -> torch.Tensor:
        """``[..., ndim, ndim, *spatial]`` in pixels squared."""
        axis = self.mean.ndim - 3
        outer = self.factor.unsqueeze(axis + 1) * self.factor.unsqueeze(axis)
        eye = torch.eye(self.mean.shape[axis], device=outer.device).view(*outer.shape[axis : axis + 2], 1, 1)
        return outer + self.log_variance.exp().unsqueeze(axis) * eye

    def sample(self, generator: torch.Generator | None = None, correlation: float = 0.0) -> torch.Tensor:
        """One draw ``mean + sqrt(variance) e1 + factor e2``, whose covariance at a pixel is exactly ``covariance()``.

        ``correlation`` is the standard deviation in pixels of a Gaussian that makes the noise smooth over space (its
        variance stays 1 in the interior and at the border); 0 draws every pixel on its own, as in the paper.
        """
        shape = (*self.mean.shape[:-3], self.mean.shape[-3] + 1, *self.mean.shape[-2:])
        noise = torch.randn(shape, generator=generator, device=self.mean.device, dtype=self.mean.dtype)
        if correlation > 0:
            noise = _smooth_noise(noise, correlation)
        return self.mean + (0.5 * self.log_variance).exp() * noise[..., :-1, :, :] + self.factor * noise[..., -1:, :, :]


def _smooth_noise(noise: torch.Tensor, sigma: float) -> torch.Tensor:
    """White noise made smooth, its variance at every pixel brought back to 1."""
    height, width = noise.shape[-2:]
    rows, columns = (
        flow.smooth(torch.eye(n, device=noise.device, dtype=noise.dtype)[None, None], (0.0, sigma))[0, 0]
        for n in (height, width)
    )  # column k of each is the kernel of pixel k
    rows, columns = rows / rows.norm(dim=0), columns / columns.norm(dim=0)
    return rows.T @ noise @ columns


@dataclass(frozen=True)
class Posterior:
    """What the network infers from a cine: for T fields, the motion and the latents with their prior ``[N, T, d]``."""

    motion: MotionGaussian
    latent: Gaussian
    prior: Gaussian


def _down(channels_in: int, channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels, 3, padding=1),
        nn.LeakyReLU(SLOPE),
        nn.Conv2d(channels, channels, 3, stride=2, padding=1),
        nn.LeakyReLU(SLOPE),
    )


def _up(channels_in: int, channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(channels_in, channels_in, 4, stride=2, padding=1),
        nn.LeakyReLU(SLOPE),
        nn.ConvTranspose2d(channels_in, channels, 3, padding=1),
        nn.LeakyReLU(SLOPE),
    )


class DenseLatent(nn.Module):
    """Features to the distribution of a latent vector, through fully connected layers: for one image size."""

    def __init__(self, channels_in: int, channels: int, cells: int, latent: int) -> None:
        super().__init__()
        self.down = _down(channels_in, channels)
        self.mean = nn.Linear(channels * cells, latent)
        self.log_variance = nn.Linear(channels * cells, latent)

    def forward(self, features: torch.Tensor) -> Gaussian:
        x = self.down(features).flatten(1)
        return Gaussian(self.mean(x).float(), self.log_variance(x).float())


class SpatialLatent(nn.Module):
    """Features to the distribution of a latent that has ``local`` numbers a cell and ``shared`` ones for all cells."""

    def __init__(self, channels_in: int, channels: int, local: int, shared: int) -> None:
        super().__init__()
        self.down = _down(channels_in, channels)
        self.deeper = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.LeakyReLU(SLOPE))
        self.local = nn.Conv2d(channels, 2 * local, 3, padding=1)
        self.shared = nn.Linear(2 * channels, 2 * shared)
        with torch.no_grad():  # little noise at first, for what the means tell to be heard
            self.local.bias[local:] = -6.0
            self.shared.bias[shared:] = -6.0

    def forward(self, features: torch.Tensor) -> Gaussian:
        x = self.down(features)
        x = x + self.deeper(x)
        pooled = torch.cat([x.mean((2, 3)), x.amax((2, 3))], dim=1)
        local, shared = self.local(x).float().chunk(2, dim=1), self.shared(pooled).float().chunk(2, dim=1)
        mean, log_variance = (torch.cat([a.flatten(1), b], dim=1) for a, b in zip(local, shared, strict=True))
        return Gaussian(mean, log_variance.clamp(-8, 4))


class DenseFeatures(nn.Module):
    """A latent vector to features at a quarter of the resolution, through a fully connected layer."""

    def __init__(self, latent: int, channels: int, size: tuple[int, int], channels_out: int) -> None:
        super().__init__()
        self.size = (channels, *size)
        self.dense = nn.Linear(latent, channels * size[0] * size[1])
        self.up = _up(channels, channels_out)

    def forward(self, latent: torch.Tensor, cells: tuple[int, int]) -> torch.Tensor:
        return self.up(F.leaky_relu(self.dense(latent), SLOPE).unflatten(1, self.size))


class SpatialFeatures(nn.Module):
    """A latent of ``SpatialLatent`` to features at a quarter of the resolution."""

    def __init__(self, local: int, shared: int, channels: int) -> None:
        super().__init__()
        self.local, self.shared = local, shared
        self.mix = nn.Sequential(nn.Conv2d(local + shared, channels, 3, padding=1), nn.LeakyReLU(SLOPE))
        self.up = _up(channels, channels)

    def forward(self, latent: torch.Tensor, cells: tuple[int, int]) -> torch.Tensor:
        local, shared = latent.split([latent.shape[1] - self.shared, self.shared], dim=1)
        shared = shared[:, :, None, None].expand(-1, -1, *cells)
        return self.up(self.mix(torch.cat([local.unflatten(1, (self.local, *cells)), shared], dim=1)))


class ConvLSTM(nn.Module):
    """Layers of the convolutional LSTM of Shi et al. 2015, without peepholes; the top hidden state is the output."""

    def __init__(self, channels_in: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.hidden = tuple(hidden)
        widths = (channels_in, *hidden)
        self.gates = nn.ModuleList(nn.Conv2d(a + b, 4 * b, 3, padding=1) for a, b in zip(widths, hidden, strict=False))

    def zeros(self, like: torch.Tensor) -> State:
        """The state before the first frame, for features ``like`` ``[N, C, h, w]``."""
        return [
            (z, z) for z in (like.new_zeros(len(like), n, *like.shape[2:], dtype=torch.float32) for n in self.hidden)
        ]

    def forward(self, x: torch.Tensor, state: State) -> State:
        after = []
        for gates, (hidden, cell) in zip(self.gates, state, strict=True):
            i, f, o, g = gates(torch.cat([x, hidden.to(x.dtype)], dim=1)).float().chunk(4, dim=1)
            cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
            x = o.sigmoid() * cell.tanh()
            after.append((x, cell))
        return after


class MotionHead(nn.Module):
    """Features to the distribution of a field at every pixel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mean = nn.Conv2d(channels, 2, 3, padding=1)
        self.log_variance = nn.Conv2d(channels, 1, 3, padding=1)
        self.factor = nn.Conv2d(channels, 2, 3, padding=1)

    def forward(self, features: torch.Tensor) -> MotionGaussian:
        with torch.autocast(features.device.type, enabled=False):
            x = features.float()
            return MotionGaussian(self.mean(x), self.log_variance(x).clamp(-12, 6), self.factor(x))


class DragNet(nn.Module):
    """The published network, with 1 218 253 parameters: images of any size go through a grid of 128 x 128 pixels.

    Its motion is a displacement that resamples the moving image onto the fixed one.

    Parameters
    ----------
    ndim : 2.
    mode : "consecutive" (every frame moves onto the next one, the last onto the first) or "reference" (the first frame
        moves onto every other one; section 3.7).
    recurrent : False leaves the memory out and gives z the prior N(0, 1), as in the paper's ablation.
    """

    multiple = 128
    cells_per_axis = 16
    diffeomorphic = False

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
        self.image_features = nn.Sequential(_down(1, 32), _down(32, 32))
        self.posterior_latent = DenseLatent(32 + (16 if self.recurrent else 0), 16, size * size, 64)
        self.latent_features = DenseFeatures(64, 16, (size, size), 32)
        self.motion = nn.Sequential(_up(64, 32), _up(32, 32))
        self.head = MotionHead(32)
        if self.recurrent:
            self.prior_latent = DenseLatent(16, 4, size * size, 64)
            self.memory = ConvLSTM(64, (32, 16))

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
        size = tuple(reference.shape[2:])
        if reference.shape[1:2] != (1,) or frames.shape != (len(reference), *frames.shape[1:2], 1, *size):
            raise ValueError(
                f"A reference of shape {tuple(reference.shape)} and frames of shape {tuple(frames.shape)} do not fit: "
                "[N, 1, H, W] and [N, T, 1, H, W] are needed."
            )
        images = self.fit(torch.cat([reference[:, None], frames], dim=1).flatten(0, 1))
        features = [part.unflatten(0, (len(reference), -1)) for part in self.encode(images)]
        coarse = features[-1]
        count = frames.shape[1]
        if self.mode == "reference":
            moving, order = [0] * count, range(1, count + 1)
        else:
            moving, order = list(range(count + 1)), [*range(1, count + 1), 0]
        steps = self._recurrence(coarse, moving, order, phase, draw, generator)
        latents = torch.stack([step[2] for step in steps], dim=1).flatten(0, 1)
        motion = self.decode(latents, [part[:, moving].flatten(0, 1) for part in features], size)
        shape = (len(reference), len(steps))
        return Posterior(
            motion=MotionGaussian(*(field.unflatten(0, shape) for field in vars(motion).values())),
            latent=_stack([step[0] for step in steps]),
            prior=_stack([step[1] for step in steps]),
        )

    def _recurrence(
        self,
        features: torch.Tensor,
        moving: Sequence[int],
        order: Sequence[int],
        phase: torch.Tensor | None,
        draw: bool,
        generator: torch.Generator | None,
    ) -> list[tuple[Gaussian, Gaussian, torch.Tensor]]:
        """Posterior and prior of z and its features, for every field; the first frame only warms the memory up."""
        state = self.begin(features[:, 0], None if phase is None else phase[:, order[0]])
        steps = []
        for step, (source, target) in enumerate(zip(moving, order, strict=True)):
            latent = self.infer(state, features[:, target], features[:, source])
            z = latent.sample(generator) if draw else latent.mean
            latents = self.latent_features(z, self.cells(features))
            steps.append((latent, self.prior(state, latent.mean), latents))
            if step + 1 < len(order):
                following = None if phase is None else phase[:, order[step + 1]]
                state = self.remember(state, latents, features[:, target], following)
        return steps

    def fit(self, images: torch.Tensor) -> torch.Tensor:
        """Images ``[N, 1, H, W]`` as the network takes them: here on its working grid of 128 x 128 pixels."""
        return flow.resize_image(images, (self.multiple, self.multiple))

    def encode(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Features of images that ``fit`` made fit, from fine to coarse."""
        return [self.image_features(images)]

    def decode(self, latents: torch.Tensor, moving: list[torch.Tensor], size: tuple[int, int]) -> MotionGaussian:
        """The motion from features of z and of the moving image, for images of ``size``."""
        motion = self.head(self.motion(torch.cat([latents, moving[-1]], dim=1)))
        if size == tuple(motion.mean.shape[2:]):
            return motion
        area = (size[0] - 1) * (size[1] - 1) / (self.multiple - 1) ** 2
        log_variance = F.interpolate(motion.log_variance, size=size, mode="bilinear", align_corners=True)
        return MotionGaussian(
            flow.resize(motion.mean, size), log_variance + math.log(area), flow.resize(motion.factor, size)
        )

    def cells(self, features: torch.Tensor) -> tuple[int, int]:
        """Rows and columns of the latent's cells for features at a quarter of the resolution."""
        return features.shape[-2] // 2, features.shape[-1] // 2

    def begin(self, first: torch.Tensor, phase: torch.Tensor | None = None) -> State:
        """The memory after the first frame's features ``[N, C, h, w]``; ``phase`` ``[N]`` is that of the next frame."""
        state = self.memory.zeros(first) if self.recurrent else []
        latents = self.latent_features(self.infer(state, first, first).mean, self.cells(first))
        return self.remember(state, latents, first, phase)

    def infer(self, state: State, fixed: torch.Tensor, moving: torch.Tensor) -> Gaussian:
        """Posterior of z given the memory and the features of the frame (eq. 6)."""
        return self.posterior_latent(torch.cat([fixed, *(s[0].to(fixed.dtype) for s in state[-1:])], dim=1))

    def prior(self, state: State, like: torch.Tensor) -> Gaussian:
        """Prior of z given the memory (eq. 3); ``like`` ``[N, d]`` gives its shape where there is no memory."""
        if not self.recurrent:
            return Gaussian(torch.zeros_like(like), torch.zeros_like(like))
        return self.prior_latent(state[-1][0])

    def remember(
        self, state: State, latents: torch.Tensor, frame: torch.Tensor, phase: torch.Tensor | None = None
    ) -> State:
        """The memory after a frame (eq. 9, which also lists the motion; it is a function of what goes in here)."""
        return self.memory(torch.cat([latents, frame], dim=1), state) if self.recurrent else []


class DragNetFlow(DragNet):
    """DragNet for users: images of any size, any number of frames, and a motion without folds.

    What differs from the published network: the motion is a stationary velocity ``v`` with a covariance, relative to
    the first frame (``flow.exp(v)`` resamples a frame onto the first one, ``flow.exp(-v)`` the first onto it); it has
    half the resolution of the images; the latent has a few numbers for every cell of 8 x 8 pixels and a few for the
    whole image, in place of fully connected layers; the posterior of z sees the moving image's features, too, and the
    memory where in the cycle the next frame is, where that is known.

    Parameters
    ----------
    ndim : 2.
    recurrent : False leaves the memory out.
    width : channels of the layers between the features and the latents.
    local, shared : numbers of the latent a cell, and for the whole image.
    """

    multiple = 8
    diffeomorphic = True

    def __init__(
        self, ndim: int = 2, recurrent: bool = True, width: int = 64, local: int = 8, shared: int = 16
    ) -> None:
        self.width, self.local, self.shared = width, local, shared
        super().__init__(ndim, "reference", recurrent)

    def _build(self) -> None:
        self.fine_features, self.coarse_features = _down(1, 32), _down(32, 32)
        self.posterior_latent = SpatialLatent(64 + (32 if self.recurrent else 0), self.width, self.local, self.shared)
        self.latent_features = SpatialFeatures(self.local, self.shared, 32)
        self.motion = _up(64, 32)
        self.finish = nn.Sequential(nn.Conv2d(64, 32, 3, padding=1), nn.LeakyReLU(SLOPE))
        self.head = MotionHead(32)
        nn.init.normal_(self.head.mean.weight, std=1e-3)
        nn.init.zeros_(self.head.mean.bias)
        if self.recurrent:
            self.prior_latent = SpatialLatent(32, self.width, self.local, self.shared)
            self.memory = ConvLSTM(64 + 2, (32, 32))

    def fit(self, images: torch.Tensor) -> torch.Tensor:
        rows, columns = (-n % self.multiple for n in images.shape[2:])
        return F.pad(images, (0, columns, 0, rows), mode="replicate")

    def encode(self, images: torch.Tensor) -> list[torch.Tensor]:
        fine = self.fine_features(images)
        return [fine, self.coarse_features(fine)]

    def decode(self, latents: torch.Tensor, moving: list[torch.Tensor], size: tuple[int, int]) -> MotionGaussian:
        fine, coarse = moving
        x = self.motion(torch.cat([latents, coarse], dim=1))
        motion = self.head(self.finish(torch.cat([x, fine], dim=1)))
        whole = [F.interpolate(field, scale_factor=2, mode="bilinear") for field in vars(motion).values()]
        return MotionGaussian(*(field[..., : size[0], : size[1]] for field in whole))

    def infer(self, state: State, fixed: torch.Tensor, moving: torch.Tensor) -> Gaussian:
        return super().infer(state, torch.cat([fixed, moving], dim=1), moving)

    def remember(
        self, state: State, latents: torch.Tensor, frame: torch.Tensor, phase: torch.Tensor | None = None
    ) -> State:
        if not self.recurrent:
            return []
        if phase is None:
            clock = frame.new_zeros(len(frame), 2)
        else:
            # a phase that is not a number is unknown
            angle = 2 * torch.pi * phase
            clock = torch.stack([angle.cos(), angle.sin()], dim=1).nan_to_num(0.0).to(frame.dtype)
        clock = clock[:, :, None, None].expand(-1, -1, *frame.shape[2:])
        return self.memory(torch.cat([latents.to(frame.dtype), frame, clock], dim=1), state)


def _stack(steps: list[Gaussian]) -> Gaussian:
    return Gaussian(
        torch.stack([step.mean for step in steps], dim=1), torch.stack([step.log_variance for step in steps], dim=1)
    )
