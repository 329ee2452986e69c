"""Cine phantoms: a heart as bright-blood cine MR shows it, whose motion is known both ways and in closed form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from .. import flow
from ..cine import Cine, Motion
from ..errors import InputError
from ..grid import Grid
from .canvas import Canvas, Tissues
from .four_chamber import FourChamber
from .heart_motion import Curve, HeartMotion, Points, Pose, cardiac_curve
from .seeds import random_generator
from .short_axis import ShortAxis

_VIEWS: dict[str, type[ShortAxis] | type[FourChamber]] = {"short-axis": ShortAxis, "four-chamber": FourChamber}
_FINER = 2


@dataclass(frozen=True, eq=False)
class PhantomArrays:
    """A phantom as bare tensors, for training.

    Attributes
    ----------
    frames : ``[T, H, W]`` float32 in [0, 1].
    displacement, inverse : ``[T, 2, H, W]`` float32 in voxels, as in ``Motion``; the reference is frame 0.
    labels : ``[T, H, W]`` uint8.
    heart : ``[H, W]`` bool, inside the heart in the reference frame.
    times : ``[T]`` seconds of one heart beat.
    facts : view, kind (healthy, or diseased: a part of the wall moves less), the ejection fraction drawn for the
        ventricle, and that of the cavity's area measured in the labels (None where the image misses the cavity).
    """

    frames: torch.Tensor
    displacement: torch.Tensor
    inverse: torch.Tensor
    labels: torch.Tensor
    heart: torch.Tensor
    times: np.ndarray
    facts: Mapping[str, object]


@dataclass(frozen=True, eq=False)
class Phantom:
    """A cine with its true motion.

    Attributes
    ----------
    cine : the images, 16-bit, over one heart beat, end diastole first.
    motion : the true motion; the reference is frame 0.
    labels : ``[T, H, W]`` uint8.
    label_names : what the labels mean.
    heart : ``[H, W]`` bool, inside the heart in the reference frame.
    provenance : the seed, and the facts of ``PhantomArrays``.
    """

    cine: Cine
    motion: Motion
    labels: np.ndarray
    label_names: Mapping[int, str]
    heart: np.ndarray
    provenance: Mapping[str, object]


def cine_phantom(
    seed: int, view: str = "short-axis", frames: int = 20, size: int = 128, spacing: float = 1.8
) -> Phantom:
    """The phantom of ``seed``: ``size`` x ``size`` pixels of ``spacing`` mm, ``frames`` over one heart beat.

    Raises
    ------
    InputError : a negative seed, an unknown view, fewer than 2 frames, less than 32 pixels, a spacing that is not
        positive.
    """
    arrays = phantom_arrays(seed, view, frames, size, spacing)
    grid = Grid.of_array((size, size), (spacing, spacing))
    name = f"{view}-phantom-{seed}"
    provenance = {"method": "synthetic", "seed": seed, **arrays.facts}
    pixels = np.rint(arrays.frames.numpy() * 1000).astype(np.int16)
    return Phantom(
        cine=Cine(pixels, grid, arrays.times, name=name),
        motion=Motion(
            grid, 0, arrays.displacement.numpy(), arrays.inverse.numpy(), arrays.times, name=name, cyclic=True,
            provenance=provenance,
        ),
        labels=arrays.labels.numpy(),
        label_names=_VIEWS[view].labels,
        heart=arrays.heart.numpy(),
        provenance=provenance,
    )  # fmt: skip


@torch.no_grad()
def phantom_arrays(
    seed: int, view: str = "short-axis", frames: int = 20, size: int = 128, spacing: float = 1.8
) -> PhantomArrays:
    """The same as ``cine_phantom``, without the wrapping: arguments and errors are the same."""
    _check(view, frames, size, spacing)
    rng = random_generator(seed, list(_VIEWS).index(view))
    ejection = rng.uniform(0.2, 0.7)
    diseased = bool(rng.random() < 0.5)
    subject = _VIEWS[view].draw(rng, ejection, diseased)
    tissues = Tissues.draw(rng)
    systole, beat = rng.uniform(0.33, 0.42), rng.uniform(0.6, 1.1)
    phase = np.arange(frames) / frames

    def curve(delay: float, diastasis: float) -> torch.Tensor:
        values = cardiac_curve(phase, systole, delay, diastasis)
        return torch.from_numpy(values.astype(np.float32)).view(-1, 1, 1)

    fov = size * spacing
    motion = HeartMotion(_draw_pose(rng, curve, fov, subject), subject.chain(curve))
    x, y = motion.pose.from_image(_points(size, spacing, _FINER), slice(0, 1))
    canvas = Canvas(
        x[0], y[0],
        turn=subject.turn, edge=0.65 * spacing + 0.4, tissues=tissues, rng=rng,
    )  # fmt: skip
    heart = subject.paint(canvas)
    grid = _points(size, spacing, 1)
    displacement = _difference(motion.forward(grid), grid, spacing)
    inverse = _difference(motion.backward(grid), grid, spacing)
    images, labels = _render(canvas, inverse)
    areas = (labels == 1).sum(dim=(1, 2))
    through_plane = rng.uniform(-1.0, 1.5) * curve(0.0, 0.2)
    images = images[:, 0] + through_plane * images[:, 1]
    images = _scan(images, subject.thorax.wall_direction + motion.pose.angle - subject.turn, fov, rng)
    return PhantomArrays(
        frames=images,
        displacement=displacement,
        inverse=inverse,
        labels=labels,
        heart=F.avg_pool2d((heart < 0).float()[None], _FINER)[0] >= 0.5,
        times=phase * beat,
        facts={
            "view": view,
            "kind": "diseased" if diseased else "healthy",
            "ejection_fraction": round(ejection, 3),
            "area_ejection_fraction": round(1 - float((areas / areas[0]).min()), 3) if areas[0] else None,
        },
    )


def _check(view: str, frames: int, size: int, spacing: float) -> None:
    if view not in _VIEWS:
        raise InputError(f"There is no phantom view {view!r}; choose one of {', '.join(_VIEWS)}.")
    if isinstance(frames, bool) or not isinstance(frames, (int, np.integer)) or frames < 2:
        raise InputError(f"A cine phantom needs 2 frames or more, not {frames!r}.")
    if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 32:
        raise InputError(f"A cine phantom needs a size of 32 pixels or more, not {size!r}.")
    if not (isinstance(spacing, (int, float, np.number)) and np.isfinite(spacing) and spacing > 0):
        raise InputError(f"The pixel spacing of a phantom must be a positive number of mm, not {spacing!r}.")


def _points(size: int, spacing: float, finer: int) -> Points:
    """Positions ``x, y`` ``[1, H, W]`` in mm from the image centre, ``finer`` samples a pixel along each axis."""
    axis = ((torch.arange(size * finer) + 0.5) / finer - 0.5 - (size - 1) / 2) * spacing
    x, y = torch.meshgrid(axis, axis, indexing="xy")
    return x[None], y[None]


def _difference(moved: Points, grid: Points, spacing: float) -> torch.Tensor:
    field = torch.stack([moved[1] - grid[1], moved[0] - grid[0]], dim=1) / spacing
    field[0] = 0
    return field


def _draw_pose(rng: np.random.Generator, curve: Curve, fov: float, subject: ShortAxis | FourChamber) -> Pose:
    def wave() -> tuple[torch.Tensor, float, float]:
        amplitude = rng.uniform(0.5, 3.5) + rng.uniform(-0.6, 0.6) * curve(rng.uniform(-0.1, 0.1), 0.3)
        return amplitude, rng.uniform(80, 170), rng.uniform(0, 2 * np.pi)

    waves = (wave(), wave())
    angle = subject.turn + rng.uniform(-0.6, 0.6)
    cos, sin = np.cos(angle), np.sin(angle)
    x, y = subject.centre
    shift = min(0.06 * fov, 14) * rng.uniform(-1, 1, size=2) - (cos * x - sin * y, sin * x + cos * y)
    return Pose(angle, (float(shift[0]), float(shift[1])), waves)


def _render(canvas: Canvas, inverse: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The painted reference carried to every frame in one resampling: signal and change ``[T, 2, H, W]``, labels."""
    size = inverse.shape[-1]
    position = (flow.identity((size, size)) + inverse + 0.5) * (2.0 / size) - 1.0
    points = position.flip(1).movedim(1, -1)
    painted = torch.stack([canvas.image, canvas.change])[None]
    painted = flow.smooth(painted, 0.8)
    points_flat = points.reshape(1, -1, size, 2)
    images = F.grid_sample(painted, points_flat, padding_mode="border", align_corners=False)
    labels = canvas.labels.float()[None, None]
    labels = F.grid_sample(labels, points_flat, mode="nearest", padding_mode="border", align_corners=False)
    images = images.reshape(2, -1, size, size).movedim(0, 1)
    return images, labels.reshape(-1, size, size).to(torch.uint8)


def _scan(frames: torch.Tensor, coil: float, fov: float, rng: np.random.Generator) -> torch.Tensor:
    """What the scanner adds: the coil's sensitivity, through-plane brightness, Rician noise, a scale to [0, 1]."""
    count, size = len(frames), frames.shape[-1]
    axis = torch.linspace(-1, 1, size)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    toward = x * float(np.cos(coil)) + y * float(np.sin(coil))
    aside = y * float(np.cos(coil)) - x * float(np.sin(coil))
    a, b, c = rng.uniform((0.1, -0.2, -0.2), (0.55, 0.25, 0.2))
    reach = fov / 230
    bias = torch.exp(reach * (a * toward + b * aside + c * toward * aside))
    drift = 1 + rng.uniform(0, 0.02) * np.sin(2 * np.pi * np.arange(count) / count + rng.uniform(0, 6.28))
    frames = frames.clamp(min=0.004) * bias * torch.from_numpy(drift.astype(np.float32)).view(-1, 1, 1)
    level = float(frames[0].flatten().kthvalue(int(0.985 * size * size)).values)
    sigma = rng.uniform(0.006, 0.025)
    noise = torch.from_numpy(rng.standard_normal((2, count, size, size), dtype=np.float32))
    noisy = torch.sqrt((frames * (0.95 / level) + sigma * noise[0]) ** 2 + (sigma * noise[1]) ** 2)
    return noisy.clamp_(0, 1)
