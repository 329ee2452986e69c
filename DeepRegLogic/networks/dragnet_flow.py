"""DragNet for users: the recurrence of ``dragnet`` for images of any size, with a motion without folds."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from .. import flow
from ..transformations import StationaryVelocity
from .base import SLOPE, channels_last, register
from .dragnet import DragNet
from .layers import ConvLSTM, Gaussian, MotionGaussian, MotionHead, SharedNoise, State, upsample2

_SQUARINGS = 6
_CELL = 8


def _convolution(channels_in: int, channels: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels_in, channels, 3, stride=stride, padding=1), nn.LeakyReLU(SLOPE))


class Pyramid(nn.Module):
    """Images ``[N, C, H, W]`` to features at a half, a quarter and an eighth of the resolution.

    The last have seen a 16th of the resolution, too.
    """

    def __init__(self, channels_in: int, fine: int, width: int) -> None:
        super().__init__()
        self.at_half = nn.Sequential(_convolution(channels_in, fine, 2), _convolution(fine, fine))
        self.at_quarter = nn.Sequential(_convolution(fine, 2 * fine, 2), _convolution(2 * fine, 2 * fine))
        self.at_eighth = _convolution(2 * fine, width, 2)
        self.deep = nn.Sequential(_convolution(width, width, 2), _convolution(width, width))
        self.join = _convolution(2 * width, width)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        half = self.at_half(channels_last(images))
        quarter = self.at_quarter(half)
        eighth = self.at_eighth(quarter)
        return [half, quarter, self.join(torch.cat([eighth, upsample2(self.deep(eighth))], dim=1))]


class SpatialLatent(nn.Module):
    """Features of the cells to a latent that has ``local`` numbers a cell and ``shared`` ones for all cells."""

    def __init__(self, channels_in: int, width: int, local: int, shared: int) -> None:
        super().__init__()
        self.mix = nn.Sequential(_convolution(channels_in, width), _convolution(width, width))
        self.local = nn.Conv2d(width, 2 * local, 3, padding=1)
        self.shared = nn.Linear(2 * width, 2 * shared)

    def forward(self, features: torch.Tensor) -> Gaussian:
        x = self.mix(features)
        local, shared = self.local(x).float().chunk(2, dim=1), self.shared(_pooled(x)).float().chunk(2, dim=1)
        mean, log_variance = (torch.cat([a.flatten(1), b], dim=1) for a, b in zip(local, shared, strict=True))
        # bounded without a dead end: a latent that was given up can come back
        return Gaussian(mean, 4 * (log_variance / 4 + 1).tanh() - 4)


class SpatialFeatures(nn.Module):
    """A latent of ``SpatialLatent`` to features of the cells."""

    def __init__(self, local: int, shared: int, channels: int) -> None:
        super().__init__()
        self.local, self.shared = local, shared
        self.mix = _convolution(local + shared, channels)

    def forward(self, latent: torch.Tensor, cells: tuple[int, int]) -> torch.Tensor:
        local, shared = latent.split([latent.shape[1] - self.shared, self.shared], dim=1)
        shared = shared[:, :, None, None].expand(-1, -1, *cells)
        return self.mix(torch.cat([local.unflatten(1, (self.local, *cells)), shared], dim=1))


@register("dragnet-flow")
class DragNetFlow(DragNet):
    """DragNet for users: images of any size, any number of frames, and a motion without folds.

    What differs from the published network: the motion is a stationary velocity ``v`` with a covariance, relative to
    the first frame (``flow.exp(v)`` resamples a frame onto the first one, ``flow.exp(-v)`` the first onto it), at half
    the resolution of the images; the latent has a few numbers for every cell of 8 x 8 pixels and a few for the whole
    image, in place of fully connected layers; features are those of a small U-Net; a coarse velocity is read off the
    features of the latent alone, and the moving image's features refine it; the posterior of z sees the moving image
    beside the fixed one, its prior the moving image beside the memory, and the memory where in the cycle the moving
    and the next frame are, where that is known. A new cine draws the shared noise of its latents once for the whole
    beat, from what its first frame tells (``beat_prior``).

    Parameters
    ----------
    ndim : 2.
    recurrent : False leaves the memory out.
    width : channels of the cells' features; ``fine``: of those at half the resolution.
    local, shared : numbers of the latent a cell, and for the whole image.
    """

    divisor = 16
    training_task = "variational"

    def __init__(
        self,
        ndim: int = 2,
        recurrent: bool = True,
        width: int = 64,
        fine: int = 16,
        local: int = 8,
        shared: int = 16,
    ) -> None:
        self.width, self.fine, self.local, self.shared = width, fine, local, shared
        super().__init__(ndim, "reference", recurrent)

    def _build(self) -> None:
        width, fine, memory = self.width, self.fine, 32
        self.image_features = Pyramid(1, fine, width)
        self.pair_features = Pyramid(2, fine, width)
        self.posterior_latent = SpatialLatent(width + (memory if self.recurrent else 0), width, self.local, self.shared)
        self.latent_features = SpatialFeatures(self.local, self.shared, width)
        self.coarse = nn.Conv2d(width, 2, 3, padding=1)
        self.cells_motion = _convolution(2 * width, width)
        self.quarter_motion = _convolution(width + 2 * fine, 2 * fine)
        self.half_motion = nn.Sequential(_convolution(3 * fine, 2 * fine), _convolution(2 * fine, 2 * fine))
        self.head = MotionHead(2 * fine)
        self.beat_features = nn.Sequential(nn.Linear(2 * width + 4, width), nn.LeakyReLU(SLOPE))
        self.beat_noise = nn.Linear(width, 2 * self.shared)
        self.likely_beat = nn.Sequential(
            nn.Linear(2 * width + 2, width), nn.LeakyReLU(SLOPE), nn.Linear(width, 2 * self.shared)
        )
        if self.recurrent:
            self.prior_latent = SpatialLatent(memory + width, width, self.local, self.shared)
            self.memory = ConvLSTM(2 * width + 4, (memory, memory))
        self._initialise()

    def _initialise(self) -> None:
        """First weights: variance-preserving layers (He et al. 2015), hardly any motion, latents that can be heard."""
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight, a=SLOPE)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for motion in (self.coarse, self.head.mean, self.head.log_variance, self.head.factor):
            nn.init.normal_(motion.weight, std=1e-3)
        for module in self.modules():
            if isinstance(module, SpatialLatent):
                for weight, bias in ((layer.weight, layer.bias) for layer in (module.local, module.shared)):
                    weight.data.mul_(0.3)
                    assert bias is not None
                    nn.init.constant_(bias[len(bias) // 2 :], -8.0)
        for noise in (self.beat_noise, self.likely_beat[-1]):
            assert isinstance(noise, nn.Linear)
            nn.init.normal_(noise.weight, std=0.03)

    def estimate(self, reference: torch.Tensor, frames: torch.Tensor) -> StationaryVelocity:
        motion = self.posterior(reference, frames).motion
        return StationaryVelocity(motion.mean.flatten(0, 1), motion.covariance().flatten(0, 1))

    def transformation(self, motion: torch.Tensor, back: torch.Tensor) -> StationaryVelocity:
        return StationaryVelocity(motion)

    def fit(self, images: torch.Tensor) -> torch.Tensor:
        rows, columns = (-n % self.divisor for n in images.shape[2:])
        return F.pad(images, (0, columns, 0, rows), mode="replicate")

    def encode(self, images: torch.Tensor) -> list[torch.Tensor]:
        return self.image_features(images)

    def decode(self, latents: torch.Tensor, moving: list[torch.Tensor], size: tuple[int, int]) -> MotionGaussian:
        half, quarter, cells = moving
        x = self.cells_motion(torch.cat([latents, cells], dim=1))
        x = self.quarter_motion(torch.cat([upsample2(x), quarter], dim=1))
        motion = self.head(self.half_motion(torch.cat([upsample2(x), half], dim=1)))
        with torch.autocast(latents.device.type, enabled=False):
            coarse = F.interpolate(self.coarse(latents.float()), scale_factor=4, mode="bilinear")
        motion = MotionGaussian(motion.mean + coarse, motion.log_variance, motion.factor)
        whole = [F.interpolate(field, scale_factor=2, mode="bilinear") for field in vars(motion).values()]
        return MotionGaussian(*(field[..., : size[0], : size[1]] for field in whole))

    def cells(self, features: torch.Tensor) -> tuple[int, int]:
        return features.shape[-2], features.shape[-1]

    def evidence(self, fixed: torch.Tensor, moving: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        return self.pair_features(torch.cat([moving, fixed], dim=1))[-1]

    def prior(self, state: State, like: torch.Tensor, moving: torch.Tensor) -> Gaussian:
        if not self.recurrent:
            return super().prior(state, like, moving)
        return self.prior_latent(torch.cat([moving, state[-1][0].to(moving.dtype)], dim=1))

    def pull_back(self, motion: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
        return flow.exp(-motion, _SQUARINGS)

    def update(
        self, state: State, latents: torch.Tensor, frame: torch.Tensor, phase: torch.Tensor | None = None
    ) -> State:
        if not self.recurrent:
            return []
        clock = frame.new_zeros(len(frame), 4) if phase is None else _clock(phase).to(frame.dtype)
        clock = clock[:, :, None, None].expand(-1, -1, *frame.shape[2:])
        return self.memory(torch.cat([latents.to(frame.dtype), frame, clock], dim=1), state)

    def beat(self, latent: torch.Tensor, phase: torch.Tensor, size: tuple[int, int]) -> Gaussian:
        """The noise of a whole beat as its frames tell it: what the shared part of a ``SharedNoise`` would have been.

        In training it stands for that noise, so that the network learns which draw makes which heart.

        Parameters
        ----------
        latent : ``[N, T, d]`` of the posterior, for images of ``size``.
        phase : ``[N, T + 1]``, as for ``posterior``.

        Returns
        -------
        ``[N, shared]``.
        """
        cells = tuple(-(-n // self.divisor) * self.divisor // _CELL for n in size)
        pooled = _pooled(self.latent_features(latent.flatten(0, 1), cells)).unflatten(0, latent.shape[:2])
        pairs = torch.stack([phase[:, :1].expand(-1, latent.shape[1]), phase[:, 1:]], dim=-1)
        clock = _clock(pairs.flatten(0, 1)).unflatten(0, latent.shape[:2])
        mean, log_variance = self.beat_noise(self.beat_features(torch.cat([pooled, clock], dim=2)).mean(1)).chunk(2, 1)
        return Gaussian(mean.float(), log_variance.float())

    def beat_prior(self, reference: torch.Tensor, phase: torch.Tensor) -> Gaussian:
        """The noise of a whole beat as its first frame alone tells it, ``[N, shared]``: new cines draw it from this.

        ``reference`` is ``[N, 1, H, W]`` in [0, 1], and ``phase`` ``[N, T]`` is as for ``posterior``.
        """
        pooled = _pooled(self.encode(self.fit(reference))[-1])
        mean, log_variance = self.likely_beat(torch.cat([pooled, _clock(phase[:, :1])], dim=1)).chunk(2, 1)
        return Gaussian(mean.float(), log_variance.float())

    def shared_noise(
        self, images: torch.Tensor, phase: torch.Tensor, generator: torch.Generator | None = None
    ) -> SharedNoise:
        return SharedNoise(generator, last=self.beat_prior(images[:, 0], phase).sample(generator))


def _pooled(features: torch.Tensor) -> torch.Tensor:
    """Mean and maximum of every channel: ``[N, C, H, W]`` to ``[N, 2 C]``."""
    features = features.float()
    return torch.cat([features.mean((2, 3)), features.amax((2, 3))], dim=1)


def _clock(phase: torch.Tensor) -> torch.Tensor:
    """Phases ``[N, n]`` as points of a circle ``[N, 2 n]``; what is not a number is unknown, and 0."""
    angle = 2 * torch.pi * phase
    return torch.cat([angle.cos(), angle.sin()], dim=1).nan_to_num(0.0)
