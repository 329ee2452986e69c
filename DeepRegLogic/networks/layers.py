"""What probabilistic networks are made of: normal distributions of latents and of motion, and layers that give them."""

from __future__ import annotations

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


class SharedNoise:
    """Draws from normal distributions in a row that all have the same noise: what is strong once is strong always.

    ``last`` ``[N, n]`` is the noise of the last n numbers where it is known; the rest is drawn.
    """

    def __init__(self, generator: torch.Generator | None = None, last: torch.Tensor | None = None) -> None:
        self.generator = generator
        self.last = last
        self.noise: torch.Tensor | None = None

    def __call__(self, distribution: Gaussian) -> torch.Tensor:
        mean = distribution.mean
        if self.noise is None:
            self.noise = torch.randn(mean.shape, generator=self.generator, device=mean.device, dtype=mean.dtype)
            if self.last is not None:
                self.noise = torch.cat([self.noise[:, : -self.last.shape[1]], self.last], dim=1)
        return mean + (0.5 * distribution.log_variance).exp() * self.noise


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


def conv_down(channels_in: int, channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels, 3, padding=1),
        nn.LeakyReLU(SLOPE),
        nn.Conv2d(channels, channels, 3, stride=2, padding=1),
        nn.LeakyReLU(SLOPE),
    )


def conv_up(channels_in: int, channels: int) -> nn.Sequential:
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
        self.down = conv_down(channels_in, channels)
        self.mean = nn.Linear(channels * cells, latent)
        self.log_variance = nn.Linear(channels * cells, latent)

    def forward(self, features: torch.Tensor) -> Gaussian:
        x = self.down(features).flatten(1)
        return Gaussian(self.mean(x).float(), self.log_variance(x).float())


class DenseFeatures(nn.Module):
    """A latent vector to features at a quarter of the resolution, through a fully connected layer."""

    def __init__(self, latent: int, channels: int, size: tuple[int, int], channels_out: int) -> None:
        super().__init__()
        self.size = (channels, *size)
        self.dense = nn.Linear(latent, channels * size[0] * size[1])
        self.up = conv_up(channels, channels_out)

    def forward(self, latent: torch.Tensor, cells: tuple[int, int]) -> torch.Tensor:
        return self.up(F.leaky_relu(self.dense(latent), SLOPE).unflatten(1, self.size))


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


def upsample2(x: torch.Tensor) -> torch.Tensor:
    """Twice as many rows and columns, the nearest value in each."""
    return F.interpolate(x, scale_factor=2, mode="nearest")


def stack(steps: list[Gaussian]) -> Gaussian:
    return Gaussian(
        torch.stack([step.mean for step in steps], dim=1), torch.stack([step.log_variance for step in steps], dim=1)
    )
