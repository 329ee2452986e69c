"""TransMorph (Chen et al. 2022, Medical Image Analysis 82): a Swin encoder, a convolutional decoder, four forms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from .. import flow
from ..transformations import Displacement, StationaryVelocity
from ..uncertainty.sampling import sampled
from .base import (
    CONVOLUTION,
    PAIR,
    REGISTER,
    UNCERTAINTY,
    MotionNetwork,
    cropped,
    padded,
    pairs_of,
    register,
    require_axes,
)


class Size(NamedTuple):
    """Channels at a quarter of the resolution; blocks and attention heads of the four levels."""

    width: int
    depths: tuple[int, ...]
    heads: tuple[int, ...]


SIZES = {
    "tiny": Size(6, (2, 2, 4, 2), (2, 2, 4, 4)),
    "small": Size(48, (2, 2, 4, 2), (4, 4, 4, 4)),
    "base": Size(96, (2, 2, 4, 2), (4, 4, 8, 8)),
    "large": Size(128, (2, 2, 12, 2), (4, 4, 8, 16)),
}
_DROP_PATH = 0.3
WINDOWS = {2: (8, 8), 3: (5, 6, 7)}
HEAD_CHANNELS = 16
_NORM: dict[int, type[nn.InstanceNorm2d] | type[nn.InstanceNorm3d]] = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}
_MODE = {2: "bilinear", 3: "trilinear"}


def half_size(images: torch.Tensor) -> torch.Tensor:
    """Images at half the resolution, by the mean of three voxels an axis."""
    pool = F.avg_pool2d if images.ndim == 4 else F.avg_pool3d
    return pool(images, 3, stride=2, padding=1)


def conv_norm(ndim: int, channels_in: int, channels: int) -> nn.Sequential:
    """A convolution without bias, instance normalisation, a leaky rectifier."""
    return nn.Sequential(
        CONVOLUTION[ndim](channels_in, channels, 3, padding=1, bias=False),
        _NORM[ndim](channels),
        nn.LeakyReLU(0.01),
    )


class Up(nn.Module):
    """Twice the resolution, joined with what was kept of it on the way down."""

    def __init__(self, ndim: int, channels_in: int, skip: int, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv_norm(ndim, channels_in + skip, channels),
            conv_norm(ndim, channels, channels),
        )

    def forward(self, x: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        x = F.interpolate(x, scale_factor=2, mode=_MODE[x.ndim - 2], align_corners=False)
        return self.body(torch.cat([x, skip], dim=1))


class Stage(nn.Module):
    """The Swin blocks of one level, every second one with its windows shifted by half; MONAI has the blocks."""

    def __init__(self, ndim: int, width: int, heads: int, dropout: float, drop_path: Sequence[float]) -> None:
        from monai.networks.nets.swin_unetr import SwinTransformerBlock

        super().__init__()
        self.window = WINDOWS[ndim]
        self.shift = tuple(n // 2 for n in self.window)
        self.blocks = nn.ModuleList(
            SwinTransformerBlock(
                width,
                heads,
                self.window,
                self.shift if n % 2 else (0,) * ndim,
                qkv_bias=False,
                drop=dropout,
                attn_drop=dropout,
                drop_path=rate,
            )
            for n, rate in enumerate(drop_path)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features ``[N, *spatial, C]``, channels last."""
        from monai.networks.nets.swin_unetr import compute_mask, get_window_size

        window, shift = get_window_size(x.shape[1:-1], self.window, self.shift)
        whole = [-(-n // side) * side for n, side in zip(x.shape[1:-1], window, strict=True)]
        mask = compute_mask(whole, window, shift, x.device)
        for block in self.blocks:
            x = block(x, mask)
        return x


class Encoder(nn.Module):
    """A Swin transformer of MONAI's parts: features at 1/4, 1/8, 1/16 and 1/32 of the resolution, normalised."""

    def __init__(self, ndim: int, size: str, dropout: float = 0.0) -> None:
        from monai.networks.blocks.patchembedding import PatchEmbed
        from monai.networks.nets.swin_unetr import PatchMergingV2

        super().__init__()
        if size not in SIZES:
            raise ValueError(f"A TransMorph is {', '.join(SIZES)}, not '{size}'.")
        choice = SIZES[size]
        self.widths = [choice.width * 2**level for level in range(4)]
        self.embed = PatchEmbed(4, 2, choice.width, norm_layer=nn.LayerNorm, spatial_dims=ndim)
        blocks = sum(choice.depths)
        rates = [_DROP_PATH * n / (blocks - 1) for n in range(blocks)]
        self.stages = nn.ModuleList()
        for level, (width, depth, heads) in enumerate(zip(self.widths, choice.depths, choice.heads, strict=True)):
            first = sum(choice.depths[:level])
            self.stages.append(Stage(ndim, width, heads, dropout, rates[first : first + depth]))
        self.merges = nn.ModuleList(PatchMergingV2(width, spatial_dims=ndim) for width in self.widths[:-1])
        self.norms = nn.ModuleList(nn.LayerNorm(width) for width in self.widths)

    def forward(self, pairs: torch.Tensor) -> list[torch.Tensor]:
        """``[N, 2, *spatial]`` to the features of the four levels, the finest first."""
        x = self.embed(pairs).movedim(1, -1)
        found = []
        for level, (stage, norm) in enumerate(zip(self.stages, self.norms, strict=True)):
            x = stage(x)
            found.append(norm(x).movedim(-1, 1))
            if level < len(self.merges):
                x = self.merges[level](x)
        return found


class SwinNetwork(MotionNetwork):
    """What the forms of TransMorph share: the encoder, and the decoder up to a quarter of the resolution.

    Parameters
    ----------
    ndim : number of spatial axes, 2 or 3.
    size : "tiny", "small", "base" or "large", as published.
    dropout : of the transformer's numbers, in training.
    """

    capabilities: ClassVar[frozenset[str]] = frozenset({REGISTER, PAIR})
    divisor = 32

    def __init__(self, ndim: int = 2, size: str = "small", dropout: float = 0.0) -> None:
        super().__init__()
        require_axes(ndim)
        self.ndim = ndim
        self.encoder = Encoder(ndim, size, dropout)
        self.widths = self.encoder.widths
        self.up = nn.ModuleList(Up(ndim, b, a, a) for a, b in reversed(list(pairwise(self.widths))))

    def coarse(self, pairs: torch.Tensor) -> torch.Tensor:
        """``[N, 2, *spatial]`` to the decoder's features at a quarter of the resolution."""
        *skips, x = self.encoder(pairs)
        for up, skip in zip(self.up, reversed(skips), strict=True):
            x = up(x, skip)
        return x

    def pairs(self, reference: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
        """Moving and fixed images ``[N * T, 2, *larger]``, padded."""
        return padded(torch.cat(pairs_of(reference, frames, self.ndim), dim=1), self.divisor)

    def flow_head(self, channels: int, fields: int = 1) -> nn.Conv2d | nn.Conv3d:
        """A last layer near zero."""
        head = CONVOLUTION[self.ndim](channels, fields * self.ndim, 3, padding=1)
        nn.init.normal_(head.weight, std=1e-5)
        assert head.bias is not None
        nn.init.zeros_(head.bias)
        return head


class HalfResolution(SwinNetwork):
    """The decoder up to half the resolution."""

    def __init__(self, ndim: int = 2, size: str = "small", dropout: float = 0.0) -> None:
        super().__init__(ndim, size, dropout)
        width = self.widths[0] // 2
        self.images_half = conv_norm(ndim, 2, width)
        self.up_half = Up(ndim, self.widths[0], width, width)

    def at_half(self, pairs: torch.Tensor) -> torch.Tensor:
        """``[N, 2, *spatial]`` to features at half the resolution."""
        return self.up_half(self.coarse(pairs), self.images_half(half_size(pairs)))


@register("transmorph")
class TransMorph(HalfResolution):
    """TransMorph, which estimates a displacement; its inverse is found by a fixed point."""

    def __init__(self, ndim: int = 2, size: str = "small", dropout: float = 0.0) -> None:
        super().__init__(ndim, size, dropout)
        self.full = conv_norm(ndim, 2, HEAD_CHANNELS)
        self.up_full = Up(ndim, self.widths[0] // 2, HEAD_CHANNELS, HEAD_CHANNELS)
        self.head = self.flow_head(HEAD_CHANNELS)

    def vectors(self, reference: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
        """The displacements ``[N * T, ndim, *spatial]`` in voxels."""
        pairs = self.pairs(reference, frames)
        features = self.up_full(self.at_half(pairs), self.full(pairs))
        with torch.autocast(pairs.device.type, enabled=False):
            return cropped(self.head(features.float()), reference.shape[2:])

    def estimate(self, reference: torch.Tensor, frames: torch.Tensor) -> Displacement:
        return Displacement(self.vectors(reference, frames))


@register("transmorph-bayes")
class BayesianTransMorph(TransMorph):
    """TransMorph-Bayes: dropout stays on; the moments of ``passes`` answers are the displacement and its covariance.

    Every pair is asked with the same random numbers, so that an answer does not depend on the pairs beside it.
    """

    capabilities: ClassVar[frozenset[str]] = frozenset({REGISTER, PAIR, UNCERTAINTY})

    def __init__(self, ndim: int = 2, size: str = "small", dropout: float = 0.15, passes: int = 25) -> None:
        super().__init__(ndim, size, dropout)
        self.passes = passes

    def estimate(self, reference: torch.Tensor, frames: torch.Tensor) -> Displacement:
        if self.training:
            return super().estimate(reference, frames)
        parts = []
        dropouts = [module for module in self.modules() if isinstance(module, nn.Dropout)]
        moving, fixed = pairs_of(reference, frames, self.ndim)
        with torch.random.fork_rng([reference.device] if reference.is_cuda else []):
            for image, target in zip(moving, fixed, strict=True):
                torch.manual_seed(0)
                for module in dropouts:
                    module.train()
                asked = sampled(partial(self._ask, target[None], image[None, None]), self.passes)
                for module in dropouts:
                    module.eval()
                parts.append(Displacement(asked[0], None, _positive(asked[1])))
        return parts[0].joined(parts)

    def _ask(self, reference: torch.Tensor, frames: torch.Tensor, _: int) -> torch.Tensor:
        return self.vectors(reference, frames)


@register("transmorph-diff")
class DiffeomorphicTransMorph(HalfResolution):
    """TransMorph-diff: a stationary velocity at half the resolution, with a variance of its own everywhere.

    Trained as the probabilistic VoxelMorph (Dalca et al. 2019).
    """

    capabilities: ClassVar[frozenset[str]] = frozenset({REGISTER, PAIR, UNCERTAINTY})
    training_task = "sampling"

    def __init__(self, ndim: int = 2, size: str = "small") -> None:
        super().__init__(ndim, size)
        self.mean = self.flow_head(self.widths[0] // 2)
        self.log_variance = self.flow_head(self.widths[0] // 2)
        assert self.log_variance.bias is not None
        nn.init.constant_(self.log_variance.bias, -4.0)

    def own_distribution(self, reference: torch.Tensor, frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and logarithm of the variance ``[N * T, ndim, *half]`` at half the resolution, in its voxels."""
        features = self.at_half(self.pairs(reference, frames))
        with torch.autocast(features.device.type, enabled=False):
            return self.mean(features.float()), self.log_variance(features.float()).clamp(-12, 6)

    def onto_images(self, own: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Vectors at half the resolution to those of the images, ``[N, T, ndim, *spatial]``."""
        whole = flow.resize(own, [2 * n for n in own.shape[2:]])
        return cropped(whole, reference.shape[2:]).unflatten(0, (len(reference), -1))

    def distribution(self, reference: torch.Tensor, frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and logarithm of the variance ``[N, T, ndim, *spatial]`` of the velocities, in voxels."""
        mean, log_variance = self.own_distribution(reference, frames)
        size = [2 * n for n in mean.shape[2:]]
        log_variance = F.interpolate(log_variance, size, mode=_MODE[self.ndim], align_corners=True) + math.log(4)
        log_variance = cropped(log_variance, reference.shape[2:]).unflatten(0, frames.shape[:2])
        return self.onto_images(mean, reference), log_variance

    def estimate(self, reference: torch.Tensor, frames: torch.Tensor) -> StationaryVelocity:
        mean, log_variance = (part.flatten(0, 1) for part in self.distribution(reference, frames))
        return StationaryVelocity.with_variances(mean, log_variance.exp())


@register("transmorph-bspl")
class BSplineTransMorph(SwinNetwork):
    """TransMorph-bspl: control points of a cubic B-spline at every fourth voxel, the velocity of a diffeomorphism.

    The spline is that of Rueckert et al. 1999, its velocity integrated as in MIDIR (Qiu et al. 2021).
    """

    def __init__(self, ndim: int = 2, size: str = "small") -> None:
        super().__init__(ndim, size)
        self.head = self.flow_head(self.widths[0])

    def estimate(self, reference: torch.Tensor, frames: torch.Tensor) -> StationaryVelocity:
        pairs = self.pairs(reference, frames)
        features = self.coarse(pairs)
        with torch.autocast(pairs.device.type, enabled=False):
            field = self.head(features.float())
            for axis, n in enumerate(pairs.shape[2:], start=2):
                field = flow.along(cubic_spline(n, field.shape[axis]).to(field), field, axis)
        return StationaryVelocity(cropped(field, reference.shape[2:]))


def cubic_spline(n: int, points: int) -> torch.Tensor:
    """The matrix ``[n, points]`` of cubic B-splines: n voxels from control points in the middles of n / points voxels.

    The first and the last control point are repeated outside, so that equal control points make a constant.
    """
    step = n / points
    place = ((torch.arange(n, dtype=torch.float64) + 0.5) / step - 0.5)[:, None]
    near = place.floor() + torch.arange(-1, 3)
    t = (place - near).abs()
    weight = torch.where(t < 1, 2 / 3 - t**2 + t**3 / 2, (2 - t).clamp(min=0) ** 3 / 6)
    matrix = torch.zeros(n, points, dtype=torch.float64)
    return matrix.scatter_add_(1, near.long().clamp(0, points - 1), weight)


def _positive(covariance: torch.Tensor) -> torch.Tensor:
    """A covariance ``[N, ndim, ndim, *spatial]`` with at least a thousandth of a voxel everywhere."""
    ndim = covariance.shape[1]
    eye = torch.eye(ndim, device=covariance.device).view(1, ndim, ndim, *[1] * ndim)
    return covariance + 1e-6 * eye
