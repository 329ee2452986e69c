"""Refinement: the motion of this very cine, optimised from a prediction or from zero, coarse to fine.

The unknown is one stationary velocity a frame, composed with what the prediction is (``Transformation.refined``), so
every refinement is a diffeomorphism with its inverse. The energy is

    sum_t  D(frame_t o u_t, reference) + smoothness R(v_t) + temporal |v_(t+1) - 2 v_t + v_(t-1)|^2

with D and R by name from ``similarities`` and ``regularisers``, R in voxels of the whole image at every level. It is
minimised by Adam on p with v = v_start + G p, G a Gaussian in space and time: a Sobolev-like gradient, which moves
whole neighbourhoods at once and needs tens of steps, not thousands.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from .. import flow
from ..errors import InputError
from ..progress import Reporter
from ..regularisers import REGULARISERS, temporal_bending
from ..similarities import SIMILARITIES
from ..transformations import Transformation
from .presets import Refinement

_VOXELS_AT_ONCE = 4_000_000
_PATIENCE = 15
_FRAMES = 20  # of a cine whose temporal weight is that of a second difference from frame to frame
_NOISE = 1e-5  # product of the variances of two windows of noise, of a standard deviation of about 0.05 each


@dataclass(frozen=True)
class FrameTimes:
    """The F frames of a cine around its reference, which counts as a frame of velocity zero.

    Attributes
    ----------
    count : F.
    reference_index : how many of the frames come before the reference in time.
    cyclic : whether the last frame is followed by the first.
    """

    count: int
    reference_index: int = 0
    cyclic: bool = False

    def with_reference(self, velocities: torch.Tensor) -> torch.Tensor:
        """All frames in time order ``[1, F + 1, ndim, *spatial]``: the reference, of velocity zero, in its place."""
        zero = torch.zeros_like(velocities[:1])
        return torch.cat([velocities[: self.reference_index], zero, velocities[self.reference_index :]])[None]

    def gaussian(self, sigma: float) -> torch.Tensor:
        """Weights ``[F, F]`` of a temporal Gaussian of ``sigma`` frames."""
        times = torch.arange(self.count + 1.0)
        times = times[times != self.reference_index]
        apart = (times[:, None] - times).abs()
        if self.cyclic:
            apart = torch.minimum(apart, self.count + 1 - apart)
        weights = torch.exp(-0.5 * (apart / sigma) ** 2)
        return weights / weights.sum(1).max()


def refine(
    reference: torch.Tensor,
    frames: torch.Tensor,
    start: Transformation,
    settings: Refinement,
    times: FrameTimes,
    spacing: Sequence[float] | None = None,
    reporter: Reporter | None = None,
    counts: torch.Tensor | None = None,
) -> Transformation:
    """Optimise the motion of one cine.

    Parameters
    ----------
    reference : ``[1, 1, *spatial]`` in [0, 1].
    frames : ``[F, 1, *spatial]`` in [0, 1], in time order, without the reference.
    start : of the F frames, where to start.
    times : where the frames are in time.
    spacing : of the voxels in mm, in array order; long axes are not shrunk below the resolution of the short ones.
    counts : ``[1, 1, *spatial]`` from 0 to 1: how much of a difference to the reference counts; all of it where None.

    Returns
    -------
    A transformation of the F frames, without a covariance unless ``start.refined`` keeps one.

    Raises
    ------
    Cancelled : between two iterations. InputError : the energy is not finite.
    """
    reporter = reporter or Reporter()
    spatial = tuple(reference.shape[2:])
    spacing = tuple(spacing) if spacing is not None else (1.0,) * len(spatial)
    levels = settings.levels or usual_levels(min(spatial[-2:]), 288 if len(spatial) == 2 else 80)
    shapes = [_level_shape(spatial, spacing, shrink) for shrink, _ in levels]
    work = [math.prod(shape) * count for shape, (_, count) in zip(shapes, levels, strict=True)]
    done = 0
    found = start
    for level, (shape, (_, iterations)) in enumerate(zip(shapes, levels, strict=True)):
        text = f"Refining, level {level + 1} of {len(shapes)}"
        part = reporter.part(done / sum(work), (done + work[level]) / sum(work))
        found = _Level(
            flow.resize_image(reference, shape),
            flow.resize_image(frames, shape),
            [
                (step * (n - 1) / (m - 1) if m > 1 else step) / min(spacing)
                for step, n, m in zip(spacing, spatial, shape, strict=True)
            ],
            settings,
            times,
            None if counts is None else flow.resize_image(counts, shape),
        ).minimise(found.resized(shape), iterations, part, text)
        done += work[level]
    return found.resized(spatial)


def usual_levels(side: int, large: int) -> tuple[tuple[float, int], ...]:
    """Levels for images of ``side`` pixels; from ``large`` pixels on what half the resolution saves is worth more."""
    finest = 1 if side < large else 2 if side < 2 * large else 4
    coarse = [(float(finest * 2**n), 60) for n in (3, 2, 1) if side >= 16 * finest * 2**n]
    return (*coarse, (float(finest), 25))


def _level_shape(spatial: Sequence[int], spacing: Sequence[float], shrink: float) -> tuple[int, ...]:
    """Voxels of a level: every axis at ``shrink`` times the finest spacing, never finer than it is, nor below 16."""
    target = shrink * min(spacing)
    return tuple(
        min(n, max(16, round((n - 1) * step / target) + 1)) if step < target else n
        for n, step in zip(spatial, spacing, strict=True)
    )


@dataclass(frozen=True, eq=False)
class _Level:
    """The energy at one resolution, and its minimum."""

    reference: torch.Tensor
    frames: torch.Tensor
    spacing: Sequence[float]  # in voxels of the image
    settings: Refinement
    times: FrameTimes
    counts: torch.Tensor | None = None

    @property
    def _temporal(self) -> float:
        """The weight of a second difference in time: of the second derivative, the beat as the unit."""
        return self.settings.temporal * ((self.times.count + 1) / _FRAMES) ** 4

    def minimise(self, start: Transformation, iterations: int, report: Reporter, text: str) -> Transformation:
        settings = self.settings
        first = start.refinement_start()
        change = torch.zeros_like(first, requires_grad=True)
        optimiser = torch.optim.Adam([change], lr=settings.step, betas=(0.9, 0.95))
        in_time = self.times.gaussian(settings.sigma_time * (self.times.count + 1)).to(change)
        sigmas = [settings.sigma * min(self.spacing) / step for step in self.spacing]

        def velocity() -> torch.Tensor:
            return first + torch.einsum("st,t...->s...", in_time, flow.smooth(change, sigmas))

        found, energies = first, [math.inf]  # the lowest so far: the first steps may overshoot
        for iteration in range(iterations + 1):
            report(iteration / (iterations + 1), text)
            velocities = velocity()
            leaf = velocities.detach().requires_grad_()
            energy = self._backward(start, leaf)
            if not math.isfinite(energy):
                raise InputError(
                    f"The refinement came to no number (iteration {iteration + 1}); "
                    "lower its step, or raise its smoothness."
                )
            if energy < energies[-1]:
                found = leaf.detach()
            energies.append(min(energy, energies[-1]))
            if iteration >= _PATIENCE and energies[-1 - _PATIENCE] - energies[-1] < settings.tolerance * energies[1]:
                break
            optimiser.zero_grad()
            velocities.backward(leaf.grad)
            optimiser.step()
        return start.refined(found)

    def _backward(self, start: Transformation, velocity: torch.Tensor) -> float:
        """The energy of a velocity, which gets its gradient; frame by frame where there are many voxels."""
        settings, count = self.settings, len(self.frames)
        scale = float(velocity.numel())  # gradients of one voxel of the order of 1, far above Adam's epsilon
        regulariser = REGULARISERS.choose(settings.regulariser)
        stiffness = settings.smoothness * regulariser.weight * velocity.shape[1] ** 2  # of a sum over axes, components
        energy = stiffness * regulariser(velocity, self.spacing)
        if settings.temporal:
            inside = self.times.with_reference(velocity)
            energy = energy + self._temporal * temporal_bending(inside, self.times.cyclic)
        (energy * scale).backward()
        total = float(energy.detach())
        # a window covers the same length along every axis, and at least one voxel
        shortest = min(self.spacing)
        windows = [2 * round((settings.window / 2 - 0.5) * shortest / step) + 1 for step in self.spacing]
        similarity = SIMILARITIES.choose(settings.similarity)
        chunk = max(1, _VOXELS_AT_ONCE // self.reference.numel())
        for part in torch.arange(count, device=velocity.device).split(chunk):
            warped = flow.warp(self.frames[part], start[part].refined(velocity[part]).displacement(4))
            if self.counts is not None:  # elsewhere the images are alike whatever moves
                warped = torch.lerp(self.reference, warped, self.counts)
            unlike = similarity(warped, self.reference, windows, _NOISE)
            energy = similarity.weight * unlike * (len(part) / count)
            (energy * scale).backward()
            total += float(energy.detach())
        return total
