"""Refinement: the velocities of this very cine, optimised from a prediction or from zero, coarse to fine.

The unknown is one stationary velocity a frame, so every result is a diffeomorphism with its inverse. The energy is

    sum_t  D(frame_t o exp(v_t), reference) + smoothness |grad v_t|^2 + temporal |v_(t+1) - 2 v_t + v_(t-1)|^2

with D from local correlation or squared differences. It is minimised by Adam on p with v = v_start + G p, G a Gaussian
in space and time: a Sobolev-like gradient, which moves whole neighbourhoods at once and needs tens of steps, not
thousands.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from . import flow, losses
from .errors import InputError
from .progress import Reporter

_VOXELS_AT_ONCE = 4_000_000
_NOISE = 1e-5  # product of the variances of two windows of noise, of a standard deviation of about 0.05 each


@dataclass(frozen=True)
class Refinement:
    """How to refine.

    Attributes
    ----------
    similarity : "lncc" (squared local correlation; copes with changes of brightness) or "mse" (squared difference over
        the variance of the reference; for frames of one brightness).
    window : side of the correlation window in voxels of the level (fewer along axes of longer voxels), odd.
    smoothness : weight of the squared velocity differences between neighbouring voxels.
    temporal : weight of the squared second difference of the velocity along time.
    sigma, sigma_time : standard deviations of the gradient's Gaussian, in voxels of the level and in frames.
    levels : (shrink factor, most iterations) from coarse to fine, or None for three that suit the size of the image:
        half the resolution at the end, which is enough for the noise of a cine; all of it below 112 pixels a side, a
        quarter from 400 on.
    step : step of the optimiser in voxels.
    tolerance : a level ends when ten iterations lowered the energy by less than this fraction.
    """

    similarity: str = "lncc"
    window: int = 9
    smoothness: float = 0.2
    temporal: float = 0.005
    sigma: float = 1.5
    sigma_time: float = 1.0
    levels: tuple[tuple[float, int], ...] | None = None
    step: float = 0.3
    tolerance: float = 5e-4

    def __post_init__(self) -> None:
        if self.similarity not in ("lncc", "mse"):
            raise InputError(f'The similarity of a refinement is "lncc" or "mse", not {self.similarity!r}.')
        if self.window < 3 or self.window % 2 == 0:
            raise InputError(f"The correlation window must be an odd number from 3 on, not {self.window}.")
        if min(self.smoothness, self.temporal) < 0 or min(self.sigma, self.sigma_time, self.step, self.tolerance) <= 0:
            raise InputError("The weights of a refinement must not be negative, its steps and sigmas positive.")
        if self.levels is not None and (
            not self.levels or any(shrink < 1 or count < 1 for shrink, count in self.levels)
        ):
            raise InputError("A refinement needs levels of (shrink factor >= 1, iterations >= 1).")


def refine(
    reference: torch.Tensor,
    frames: torch.Tensor,
    velocities: torch.Tensor,
    settings: Refinement,
    place: int = 0,
    cyclic: bool = False,
    spacing: Sequence[float] | None = None,
    reporter: Reporter | None = None,
) -> torch.Tensor:
    """Optimise the velocities of one cine.

    Parameters
    ----------
    reference : ``[1, 1, *spatial]`` in [0, 1].
    frames : ``[T, 1, *spatial]`` in [0, 1], in time order, without the reference.
    velocities : ``[T, ndim, *spatial]`` in voxels, where to start.
    place : how many of the frames come before the reference in time; it counts as a frame of velocity zero.
    cyclic : whether the last frame is followed by the first.
    spacing : of the voxels in mm, in array order; long axes are not shrunk below the resolution of the short ones.

    Returns
    -------
    Velocities ``[T, ndim, *spatial]``.

    Raises
    ------
    Cancelled : between two iterations.
    """
    reporter = reporter or Reporter()
    spatial = tuple(reference.shape[2:])
    spacing = tuple(spacing) if spacing is not None else (1.0,) * len(spatial)
    levels = settings.levels or _levels(min(spatial[-2:]))
    shapes = [_level_shape(spatial, spacing, shrink) for shrink, _ in levels]
    work = [math.prod(shape) * count for shape, (_, count) in zip(shapes, levels, strict=True)]
    done = 0
    for level, (shape, (_, iterations)) in enumerate(zip(shapes, levels, strict=True)):
        text = f"Refining, level {level + 1} of {len(shapes)}"
        velocities = _refine_level(
            flow.resize_image(reference, shape),
            flow.resize_image(frames, shape),
            flow.resize(velocities, shape),
            settings,
            iterations,
            (place, cyclic),
            [step * (n - 1) / max(m - 1, 1) for step, n, m in zip(spacing, spatial, shape, strict=True)],
            lambda part, text=text, done=done, share=work[level]: reporter((done + part * share) / sum(work), text),
        )
        done += work[level]
    return flow.resize(velocities, spatial)


def _levels(side: int) -> tuple[tuple[float, int], ...]:
    finest = 1 if side < 112 else 2 if side < 400 else 4
    return ((4 * finest, 40), (2 * finest, 60), (finest, 60))


def _level_shape(spatial: Sequence[int], spacing: Sequence[float], shrink: float) -> tuple[int, ...]:
    """Voxels of a level: every axis at ``shrink`` times the finest spacing, never finer than it is, nor below 16."""
    target = shrink * min(spacing)
    return tuple(
        min(n, max(16, round((n - 1) * step / target) + 1)) if step < target else n
        for n, step in zip(spatial, spacing, strict=True)
    )


def _refine_level(
    reference: torch.Tensor,
    frames: torch.Tensor,
    start: torch.Tensor,
    settings: Refinement,
    iterations: int,
    time: tuple[int, bool],
    spacing: Sequence[float],
    report: Callable[[float], None],
) -> torch.Tensor:
    count = len(frames)
    change = torch.zeros_like(start, requires_grad=True)
    optimiser = torch.optim.Adam([change], lr=settings.step, betas=(0.9, 0.95))
    chunk = max(1, _VOXELS_AT_ONCE // reference.numel())
    scale = float(start.numel())  # gradients of one voxel of the order of 1, far above Adam's epsilon
    # a window covers the same length along every axis, and at least one voxel
    windows = [2 * round((settings.window / 2 - 0.5) * min(spacing) / step) + 1 for step in spacing]
    in_time = over_time(count, *time, settings.sigma_time).to(change)

    def smoothed() -> torch.Tensor:
        return torch.einsum("st,t...->s...", in_time, flow.smooth(change, settings.sigma))

    energies: list[float] = []
    for iteration in range(iterations):
        report(iteration / iterations)
        velocities = start + smoothed()
        leaf = velocities.detach().requires_grad_()
        energy = settings.smoothness * leaf.shape[1] * leaf.shape[1] * losses.diffusion(leaf, spacing)
        if settings.temporal:
            energy = energy + settings.temporal * losses.temporal_bending(_with_reference(leaf, time[0]), time[1])
        (energy * scale).backward()
        total = float(energy.detach())
        for part in torch.arange(count, device=leaf.device).split(chunk):
            warped = flow.warp(frames[part], flow.exp(leaf[part], steps=4))
            energy = _dissimilarity(warped, reference.expand_as(warped), settings.similarity, windows) * (
                len(part) / count
            )
            (energy * scale).backward()
            total += float(energy.detach())
        optimiser.zero_grad()
        velocities.backward(leaf.grad)
        optimiser.step()
        energies.append(total)
        if len(energies) > 10 and energies[-11] - total < settings.tolerance * energies[-11]:
            break
    with torch.no_grad():
        return start + smoothed()


def _with_reference(velocities: torch.Tensor, place: int) -> torch.Tensor:
    """All frames in time order ``[1, T + 1, ndim, *spatial]``: the reference, of velocity zero, in its place."""
    zero = torch.zeros_like(velocities[:1])
    return torch.cat([velocities[:place], zero, velocities[place:]])[None]


def _dissimilarity(
    warped: torch.Tensor, reference: torch.Tensor, similarity: str, windows: Sequence[int]
) -> torch.Tensor:
    if similarity == "mse":
        return losses.mse(warped, reference) / (reference.var() + 1e-6)
    return losses.lncc(warped, reference, windows, floor=_NOISE)


def over_time(count: int, place: int, cyclic: bool, sigma: float) -> torch.Tensor:
    """Weights ``[T, T]`` of a Gaussian over the T = ``count`` frames around the reference, which has velocity zero.

    ``place`` and ``cyclic`` are as for ``refine``, and ``sigma`` is in frames.
    """
    times = torch.arange(count + 1.0)
    times = times[times != place]
    apart = (times[:, None] - times).abs()
    if cyclic:
        apart = torch.minimum(apart, count + 1 - apart)
    weights = torch.exp(-0.5 * (apart / sigma) ** 2)
    return weights / weights.sum(1).max()


def diffeomorphisms(velocities: torch.Tensor, attempts: int = 20) -> tuple[torch.Tensor, torch.Tensor]:
    """Exponentials of velocities ``[T, ndim, *spatial]`` and of their negatives, without folds.

    In theory no exponential folds; in discrete voxels that of a rough velocity can. The velocities of such frames are
    smoothed, a little more at every attempt, until ``flow.folding`` finds nothing; all other frames stay as they are.
    """
    forward, inverse = flow.exp(velocities), flow.exp(-velocities)
    velocities = velocities.clone()
    for attempt in range(attempts):
        folds = (flow.folding(forward) | flow.folding(inverse)).flatten(1).any(dim=1)
        if not folds.any():
            break
        velocities[folds] = flow.smooth(velocities[folds], 0.5 + 0.25 * attempt)
        forward[folds], inverse[folds] = flow.exp(velocities[folds]), flow.exp(-velocities[folds])
    return forward, inverse
