"""Cines of known motion of many kinds, one call for all: what uncertainties are calibrated on.

``SLICES`` are phantoms of hearts, the same under other motions, and random shapes; ``VOLUMES`` are random shapes in
three axes. Noise, voxel size and sharpness are drawn anew for every cine: a calibration is for all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from .. import flow
from ..cine import Cine
from ..errors import InputError
from ..grid import Grid
from .moving_shapes import moving_image
from .random_motion import random_curve
from .seeds import random_generator
from .shapes import paint, random_labels, smooth_noise

SLICES = ("short-axis", "four-chamber", "turning-short-axis", "turning-four-chamber", "shapes")
VOLUMES = ("thick-slices", "even-volumes")

_SPACINGS = (1.1, 2.0)  # mm of a slice's pixel
_NOISE = (0.01, 0.08)  # of the intensity range
_MOTION = (3.0, 12.0)  # mm, the largest of a volume
_CELLS = (3, 6)


@dataclass(frozen=True, eq=False)
class Known:
    """A cine, its true displacement ``[T, ndim, *spatial]`` in voxels from frame 0, and where it is worth asking for
    ``inside`` ``[*spatial]``: in the heart, or in the shapes."""

    cine: Cine
    displacement: np.ndarray
    inside: np.ndarray


@torch.no_grad()
def known_cine(seed: int, kind: str, frames: int = 12, size: int = 128) -> Known:
    """The cine of a seed, of a kind of ``SLICES`` or ``VOLUMES``; ``size`` is that of its planes in pixels.

    Raises
    ------
    InputError : a negative seed, an unknown kind.
    """
    if kind not in (*SLICES, *VOLUMES):
        raise InputError(f"There is no kind '{kind}' of cines; there are {', '.join((*SLICES, *VOLUMES))}.")
    rng = random_generator(seed, 7)
    if kind in VOLUMES:
        images, displacement, inside, spacing = _volume(seed, kind, rng, frames, size)
    else:
        spacing = (float(rng.uniform(*_SPACINGS)),) * 2
        found = moving_image(seed, kind, frames, size, spacing[0])
        weight = found.weight[0].numpy()
        images, displacement, inside = found.frames.numpy(), found.displacement.numpy(), weight > 0.5 * weight.max()
    noise = rng.uniform(*_NOISE) * rng.standard_normal(images.shape, dtype=np.float32)
    cine = Cine(images + noise, Grid.of_array(images.shape[1:], spacing), name=f"{kind} {seed}")
    return Known(cine, displacement, inside)


def _volume(
    seed: int, kind: str, rng: np.random.Generator, frames: int, size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[float, ...]]:
    """Random shapes that move with ``exp(c_t v)``, ``c_t`` a curve over the cycle and v smooth."""
    generator = torch.Generator().manual_seed(seed)
    step = float(rng.uniform(*_SPACINGS))
    spacing = (float(rng.uniform(6, 10)) if kind == "thick-slices" else step, step, step)
    shape = (10, size, size) if kind == "thick-slices" else (5 * size // 8,) * 3
    image = paint(random_labels(shape, generator), generator)
    velocity = smooth_noise(shape, int(rng.integers(*_CELLS)), 3, generator)
    velocity *= rng.uniform(*_MOTION) / velocity.norm(dim=0).max()
    velocity /= torch.tensor(spacing).view(3, 1, 1, 1)
    curve = torch.from_numpy(random_curve(rng, frames).astype(np.float32))
    curve[0] = 0
    velocities = curve.view(-1, 1, 1, 1, 1) * velocity
    displacement, back = (torch.cat([flow.exp(sign * v[None]) for v in velocities]) for sign in (1, -1))
    images = flow.warp(image.expand(frames, 1, *shape), back)
    inside = np.zeros(shape, bool)  # what leaves the image cannot be followed
    inside[tuple(slice(n // 8, n - n // 8) for n in shape)] = True
    return images[:, 0].numpy(), displacement.numpy(), inside, spacing
