"""Random motions of anything over a cycle: smooth flows, turning and beating objects, both ways.

A motion is ``exp(a_t) o exp(b_t)`` of two stationary velocities a frame, so that its inverse is ``exp(-b_t) o
exp(-a_t)``, and no network that gives one stationary velocity can have learned it by heart. Fields are ``[T, 2, H, W]``
in pixels; frame 0 stands still.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from .. import flow
from .heart_motion import cardiac_curve

_SLOPE = 0.6
"""Largest derivative of a velocity in pixels a pixel; two of them leave no fold."""


@dataclass(frozen=True, eq=False)
class RandomMotion:
    """The maps from frame 0 to every frame, and back: ``displacement``, ``inverse``."""

    displacement: torch.Tensor
    inverse: torch.Tensor


def random_motion(
    rng: np.random.Generator, frames: int, shape: tuple[int, int], centre: tuple[float, float], radius: float
) -> RandomMotion:
    """Smooth flows of every size all over, and an object of ``radius`` pixels about ``centre`` that turns and beats."""
    around = _sum_over_time(rng, frames, [_smooth_velocity(rng, shape) for _ in range(int(rng.integers(1, 3)))])
    object_ = _sum_over_time(rng, frames, _object_velocities(rng, shape, centre, radius))
    first, second = (around, object_) if rng.random() < 0.5 else (object_, around)
    return RandomMotion(
        flow.compose(flow.exp(second), flow.exp(first)), flow.compose(flow.exp(-first), flow.exp(-second))
    )


def random_curve(rng: np.random.Generator, frames: int) -> np.ndarray:
    """A curve over the cycle, of a heart beat or of a few harmonics: from 0 to 0, its largest value 1."""
    phase = np.arange(frames) / frames
    if rng.random() < 0.5:
        curve = cardiac_curve(phase, rng.uniform(0.3, 0.45), rng.uniform(-0.1, 0.1), rng.uniform(0, 0.5))
    else:
        curve = np.zeros(frames)
        for harmonic in (1, 2, 3):
            shift = rng.uniform(0, 2 * np.pi)
            curve += rng.normal() / harmonic**1.5 * (np.cos(2 * np.pi * harmonic * phase + shift) - np.cos(shift))
    return curve / max(np.abs(curve).max(), 1e-6)


def _sum_over_time(rng: np.random.Generator, frames: int, velocities: list[torch.Tensor]) -> torch.Tensor:
    curves = np.stack([random_curve(rng, frames) for _ in velocities]).astype(np.float32)
    total = torch.einsum("kt,kcyx->tcyx", torch.from_numpy(curves), torch.stack(velocities))
    slope = max(float(total.diff(dim=axis).abs().max()) for axis in (2, 3))
    return total * min(1.0, _SLOPE / max(slope, 1e-6))


def _smooth_velocity(rng: np.random.Generator, shape: tuple[int, int]) -> torch.Tensor:
    """White noise under a Gaussian of 5 to 30 pixels, with a largest length of up to 15 pixels; ``[2, H, W]``."""
    noise = torch.from_numpy(rng.standard_normal((1, 2, *shape), dtype=np.float32))
    sigma = float(np.exp(rng.uniform(np.log(5), np.log(30))))
    smooth = flow.smooth(noise, sigma)[0]
    return smooth * (rng.uniform(0, min(15.0, 0.5 * sigma)) / smooth.norm(dim=0).max())


def _object_velocities(
    rng: np.random.Generator, shape: tuple[int, int], centre: tuple[float, float], radius: float
) -> list[torch.Tensor]:
    """A turn, a beat and a shift of an ellipse with a soft or sharp rim, each its own curve in time."""
    position = flow.identity(shape) - torch.tensor(centre).view(2, 1, 1)
    angle, stretch = rng.uniform(0, np.pi), rng.uniform(0.75, 1.3)
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    along = cos * position[0] + sin * position[1]
    across = (cos * position[1] - sin * position[0]) * stretch
    distance = (along**2 + across**2).sqrt()
    rim = rng.uniform(1.5, 8.0)
    window = torch.sigmoid((radius - distance) / rim)
    degrees = rng.uniform(-22, 22)
    gradient = rng.uniform(-0.5, 1.0)  # inner layers turn more than outer ones
    turn = np.radians(degrees) * (1 + gradient * (0.5 - distance / radius).clamp(-1, 1))
    turning = torch.stack([-position[1], position[0]]) * turn * window
    profile = (distance / (0.5 * radius)) * torch.exp(1 - distance / (0.5 * radius))  # of a wall: none at the centre
    beating = -position / distance.clamp(min=1) * profile * rng.uniform(-0.2, 0.45) * radius * window
    heading = rng.uniform(0, 2 * np.pi)
    direction = torch.tensor([np.cos(heading), np.sin(heading)], dtype=torch.float32).view(2, 1, 1)
    shifting = direction * rng.uniform(0, 0.5) * min(radius, 28.0) * window
    return [turning.float(), beating.float(), shifting.float()]
