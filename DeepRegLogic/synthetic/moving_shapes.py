"""Cines of anything, for training: random shapes of random contrast, and hearts, under random motions.

A network that sees no more than hearts as one generator draws them learns that generator. Here nothing but the motion
is certain: shapes, contrast, texture, shading, brightness over time and noise are drawn anew (compare SynthMorph,
Hoffmann et al. 2022, for pairs).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from .. import flow
from .phantom import phantom_arrays
from .random_motion import RandomMotion, random_curve, random_motion
from .seeds import random_generator

_FINER = 2


@dataclass(frozen=True, eq=False)
class MovingImage:
    """A cine ``frames`` ``[T, H, W]`` in [0, 1], ``displacement`` and ``inverse`` ``[T, 2, H, W]`` in pixels from and
    to frame 0, and ``weight`` ``[T, H, W]``, how much a pixel matters."""

    frames: torch.Tensor
    displacement: torch.Tensor
    inverse: torch.Tensor
    weight: torch.Tensor


def moving_image(seed: int, kind: str, frames: int = 20, size: int = 128, spacing: float = 1.8) -> MovingImage:
    """The training cine of a seed.

    ``kind`` is a view of the phantoms ("short-axis", ...), one with "turning-" before it for a phantom that moves in
    other ways, too, or "shapes".

    Raises
    ------
    InputError : as ``phantom_arrays``.
    """
    if kind == "shapes":
        return moving_shapes(seed, frames, size)
    if kind.startswith("turning-"):
        return turning_heart(seed, kind.removeprefix("turning-"), frames, size, spacing)
    phantom = phantom_arrays(seed, kind, frames, size, spacing)
    weight = 0.1 + 0.9 * (phantom.labels > 0).float()
    return MovingImage(phantom.frames, phantom.displacement, phantom.inverse, weight)


@torch.no_grad()
def moving_shapes(seed: int, frames: int = 20, size: int = 128) -> MovingImage:
    """Random shapes, or an object with a wall among them, under a random motion.

    Raises
    ------
    InputError : a negative seed.
    """
    rng = random_generator(seed, 7)
    shape = (size, size)
    centre = tuple(size * rng.uniform(0.35, 0.65, 2))
    radius = float(rng.uniform(0.12, 0.32)) * size
    motion = random_motion(rng, frames, shape, centre, radius)
    values, change = _painted(rng, size, centre, radius)
    images = _carried(torch.stack([values, change]), motion)
    curve = torch.from_numpy(random_curve(rng, frames).astype(np.float32)).view(-1, 1, 1)
    images = images[:, 0] + curve * rng.uniform(0, 1) * images[:, 1]  # contrast that arrives or washes out
    length = motion.inverse.norm(dim=1).amax(0)
    weight = (0.3 + 0.7 * (length / 1.5).clamp(max=1)).expand(frames, size, size)
    return MovingImage(_scanned(rng, images), motion.displacement, motion.inverse, weight)


@torch.no_grad()
def turning_heart(seed: int, view: str, frames: int = 20, size: int = 128, spacing: float = 1.8) -> MovingImage:
    """A cine phantom whose heart and surroundings move in other ways, too, with material texture and other scanners.

    Raises
    ------
    InputError : as ``phantom_arrays``.
    """
    rng = random_generator(seed, 8)
    phantom = phantom_arrays(seed, view, frames, size, spacing)
    inside = phantom.labels[0] > 0
    rows, columns = (flow.identity((size, size))[:, inside] if inside.any() else torch.full((2, 1), size / 2)).unbind(0)
    centre = (float(rows.mean()), float(columns.mean()))
    radius = max(float((inside.sum() / np.pi) ** 0.5), 8.0) * rng.uniform(0.9, 1.3)
    added = random_motion(rng, frames, (size, size), centre, radius)
    # from the anatomy of frame 0 by the phantom's own motion, then on by what is added; and back
    displacement = flow.compose(added.displacement, phantom.displacement)
    inverse = flow.compose(phantom.inverse, added.inverse)
    images = flow.warp(phantom.frames[:, None], added.inverse)[:, 0]
    texture = _texture(rng, size * _FINER, 1.0, 5.0) * rng.uniform(0, 0.12)
    material = _carried(texture[None], RandomMotion(displacement, inverse))[:, 0]
    weight = flow.warp((phantom.labels > 0).float()[:, None], added.inverse)[:, 0]
    images = (images * (1 + material) + 0.2 * material).clamp(min=0)
    return MovingImage(_scanned(rng, images), displacement, inverse, 0.2 + 0.8 * weight)


def _texture(rng: np.random.Generator, size: int, finest: float, coarsest: float) -> torch.Tensor:
    """Noise of unit variance under a Gaussian of some pixels, ``[size, size]``."""
    noise = torch.from_numpy(rng.standard_normal((1, 1, size, size), dtype=np.float32))
    smooth = flow.smooth(noise, float(np.exp(rng.uniform(np.log(finest), np.log(coarsest)))))[0, 0]
    return smooth / smooth.std()


def _painted(
    rng: np.random.Generator, size: int, centre: tuple[float, ...], radius: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Frame 0 and how its contrast changes, each ``[size * _FINER] * 2``."""
    fine = size * _FINER
    count = int(rng.integers(3, 9))
    sigma = np.exp(rng.uniform(np.log(6), np.log(32), count))
    noise = torch.from_numpy(rng.standard_normal((count, 1, 1, fine, fine), dtype=np.float32))
    blobs = torch.stack([flow.smooth(each, float(s)) * float(s) for each, s in zip(noise, sigma, strict=True)])
    labels = blobs[:, 0, 0].argmax(0)
    if rng.random() < 0.6:  # an object with a cavity, as hearts and vessels are
        position = flow.identity((fine, fine)) / _FINER - torch.tensor(centre, dtype=torch.float32).view(2, 1, 1)
        wobble = flow.smooth(torch.from_numpy(rng.standard_normal((1, 1, fine, fine), dtype=np.float32)), 16)[0, 0]
        distance = position.norm(dim=0) + wobble / wobble.std() * rng.uniform(0, 0.12) * radius
        cavity = rng.uniform(0.4, 0.85)
        labels = torch.where(distance < radius, torch.full_like(labels, count), labels)
        labels = torch.where(distance < cavity * radius, torch.full_like(labels, count + 1), labels)
        papillary = blobs[0, 0, 0] > float(np.quantile(blobs[0, 0, 0].numpy(), 0.9))
        labels = torch.where(papillary & (distance < cavity * radius), torch.full_like(labels, count), labels)
    tones = torch.from_numpy(rng.uniform(0.05, 1.0, count + 2).astype(np.float32))
    grain = torch.from_numpy(rng.uniform(0.0, 0.15, count + 2).astype(np.float32))
    shift = torch.from_numpy((rng.uniform(-0.4, 0.4, count + 2) * (rng.random(count + 2) < 0.3)).astype(np.float32))
    edge = float(rng.uniform(0.6, 2.4))
    tone, soft, change = flow.smooth(torch.stack([tones[labels], grain[labels], shift[labels]])[None], edge)[0]
    return (tone + soft * _texture(rng, fine, 1.0, 6.0)).clamp(min=0.01), change


def _carried(painted: torch.Tensor, motion: RandomMotion) -> torch.Tensor:
    """What was painted ``[C, fine, fine]`` at frame 0 at every frame ``[T, C, H, W]``."""
    frames, _, *shape = motion.inverse.shape
    positions = (flow.identity(tuple(shape)) + motion.inverse + 0.5) * _FINER - 0.5
    points = positions.movedim(1, -1).reshape(-1, 2)
    values = flow.sample(flow.smooth(painted[None], 0.4 * _FINER), points)[0]
    return values.unflatten(1, (frames, *shape)).movedim(1, 0)


def _scanned(rng: np.random.Generator, images: torch.Tensor) -> torch.Tensor:
    """Blur, shading, brightness over time and Rician noise; about [0, 1]."""
    frames, height, width = images.shape
    images = flow.smooth(images[:, None], rng.uniform(0.0, 0.7))[:, 0]
    coarse = torch.from_numpy(rng.uniform(-0.5, 0.5, (1, 1, 4, 4)).astype(np.float32))
    shading = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic", align_corners=True)[0].exp()
    gain = np.exp(rng.choice([0.0, 0.1, 0.4]) * random_curve(rng, frames)).astype(np.float32)
    images = images.clamp(min=0) * shading * torch.from_numpy(gain).view(-1, 1, 1)
    images = images * (0.9 / images[:: max(frames // 4, 1)].flatten().quantile(0.99).clamp(min=1e-3))
    level = float(rng.uniform(0.005, 0.05))
    noise = torch.from_numpy(rng.standard_normal((2, *images.shape), dtype=np.float32)) * level
    return ((images + noise[0]) ** 2 + noise[1] ** 2).sqrt().clamp(max=1)
