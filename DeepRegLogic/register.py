"""register_cine and register_pair: images in, Motion out.

The way of a cine: check, find the reference frame, crop to the region of interest, scale the intensities, resample to
the model's spacing, predict one stationary velocity a frame, resample the velocities back, smooth those of a whole
beat a little over time, refine them on this cine, integrate both ways, paste into the whole image, measure.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np
import torch

from . import __version__, flow, measure, prepare, uncertainty, zoo
from .calibration import Calibration
from .cine import Cine, Motion
from .device import choose_device
from .errors import InputError
from .prepare import Region
from .progress import CancelToken, ProgressCallback, Reporter
from .refine import Refinement, diffeomorphisms, over_time
from .refine import refine as refine_velocities

CINE_MODEL = "tlrn-cardiac"
PAIR_MODEL = "voxelmorph-cardiac"
_TAPER = 8
_STEADY = 0.025  # of a cycle: predictions jitter faster than a heart moves
_NETWORK_VOXELS = 2_000_000
_FIELD_VOXELS = 500_000


def register_cine(
    cine: Cine,
    model: str | None = CINE_MODEL,
    reference: int | None = None,
    roi: Region | None = None,
    refine: Refinement | bool = True,
    device: str = "auto",
    cyclic: bool | None = None,
    memory_gb: float | None = None,
    progress: ProgressCallback | None = None,
    cancel: CancelToken | None = None,
) -> Motion:
    """Follow the motion from the reference frame of a cine to all its frames.

    Parameters
    ----------
    cine : the images; at least two frames of at least 16 x 16 pixels.
    model : name or folder of a model of the zoo, or None to start the refinement from zero.
    reference : number of the reference frame, or None for the one that ``find_reference`` takes for end-diastole.
    roi : (start, stop) corners of a region of interest, in voxels, array axis order; the motion fades to zero at its
        border and is zero outside.
    refine : True, False, or a ``Refinement`` with settings of one's own.
    device : "auto" (a CUDA GPU when there is one), "cpu", "cuda", "cuda:1", "mps".
    cyclic : whether the last frame is followed by the first; None to judge by the images.
    memory_gb : refuse work that is estimated to need more memory than this.
    progress, cancel : see ``progress.py``.

    Returns
    -------
    The motion on the cine's own grid, with displacements both ways and the quality of every frame.

    Raises
    ------
    InputError : fewer than two frames, an image too small or constant, a reference or a region outside the cine.
    ModelError : the model cannot be loaded. MemoryBudgetError : too large. Cancelled : ``cancel`` was used.
    """
    started = time.perf_counter()
    reporter = Reporter(progress, cancel)
    reporter(0.0, "Checking the images")
    prepare.check(cine)
    if model is None and refine is False:
        raise InputError(
            "Without a model there is nothing to do but to refine; choose a model, or switch refinement on."
        )
    chosen = choose_device(device)
    start, stop = prepare.region(roi, cine)
    shape = tuple(b - a for a, b in zip(start, stop, strict=True))
    prepare.check_memory(cine, shape, refine is not False, memory_gb)
    if reference is None:
        reference = prepare.find_reference(cine)
    if not 0 <= reference < len(cine):
        raise InputError(f"Reference frame {reference} does not exist; '{cine.name}' has frames 0 to {len(cine) - 1}.")
    if cyclic is None:
        cyclic = prepare.is_cyclic(cine)

    box = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    images = prepare.scaled(cine, box).to(chosen)
    others = [t for t in range(len(cine)) if t != reference]
    velocities = torch.zeros(len(others), cine.grid.ndim, *shape, device=chosen)
    spacing = cine.grid.array_spacing
    loaded = zoo.load_model(model, str(chosen)) if model is not None else None
    covariances: dict[int, torch.Tensor] = {}
    if loaded is not None:
        order = _network_order(len(cine), reference, cyclic)
        part = reporter.part(0.05, 0.3 if refine else 0.8)
        predicted, covariances = _predict(loaded, images, reference, order, spacing, part)
        for frame, velocity in predicted.items():
            velocities[others.index(frame)] = velocity
        if cyclic:
            weights = over_time(len(others), reference, cyclic, _STEADY * len(cine)).to(chosen)
            velocities = torch.einsum("st,t...->s...", weights, velocities)
    taper = _taper(shape, start, stop, cine.grid.shape).to(chosen)
    unrefined = velocities * taper if covariances else None
    settings = Refinement() if refine is True else refine or None
    if settings is not None:
        velocities = refine_velocities(
            images[reference][None],
            images[others],
            velocities,
            settings,
            place=reference,
            cyclic=cyclic,
            spacing=spacing,
            reporter=reporter.part(0.3 if loaded else 0.05, 0.85),
        )
    velocities *= taper
    displacement, inverse = _integrate(velocities, others, cine, box, reporter.part(0.85, 0.94))
    covariance = None
    if covariances:
        stage = "refined" if settings else "predicted"
        calibration = Calibration(**loaded.card.calibration.get(stage, {}))
        structure = uncertainty.structure(images[reference : reference + 1], cine.grid)
        refined = displacement if settings else None
        spread = [covariances[t] for t in others]
        covariance = _spread(unrefined, spread, refined, structure, others, cine, box, calibration)
    reporter(0.95, "Measuring the quality of every frame")
    motion = Motion(
        grid=cine.grid,
        reference=reference,
        displacement=displacement,
        inverse=inverse,
        times=cine.times if cine.time_unit else None,
        time_unit=cine.time_unit,
        name=cine.name,
        cyclic=cyclic,
        covariance=covariance,
        provenance={
            "version": __version__,
            "model": loaded.card.name if loaded else None,
            "weights_sha256": loaded.card.sha256 if loaded else None,
            "refinement": asdict(settings) if settings else None,
            "region": [list(start), list(stop)] if roi is not None else None,
            "device": str(chosen),
        },
    )
    motion = replace(motion, quality=measure.frame_quality(cine, motion))
    if covariance is not None:
        motion = _widened(motion, calibration)
    reporter(1.0, "Done")
    return replace(motion, provenance={**motion.provenance, "seconds": round(time.perf_counter() - started, 3)})


def register_pair(
    fixed: Cine, moving: Cine, model: str | None = PAIR_MODEL, roi: Region | None = None, **options: object
) -> Motion:
    """Register a moving image to a fixed one: a motion of two frames, [fixed, moving], with the fixed as reference.

    ``displacement[1]`` resamples the moving image, brought onto the fixed grid, onto the fixed one. ``fixed`` and
    ``moving`` are cines of one frame; ``options`` are those of ``register_cine``, which also tells what is raised.
    """
    return register_cine(prepare.pair_cine(fixed, moving), model, 0, roi, cyclic=False, **options)


def _network_order(count: int, reference: int, cyclic: bool) -> list[list[int]]:
    """The frames as runs away from the reference in time: once around, or forward and backward."""
    if cyclic:
        return [[(reference + 1 + t) % count for t in range(count - 1)]]
    return [run for run in (list(range(reference + 1, count)), list(range(reference - 1, -1, -1))) if run]


@torch.inference_mode()
def _predict(
    model: zoo.Model,
    images: torch.Tensor,
    reference: int,
    order: list[list[int]],
    spacing: Sequence[float],
    reporter: Reporter,
) -> tuple[dict[int, torch.Tensor], dict[int, torch.Tensor]]:
    """Velocities of the network and, where it has a posterior, their covariances, in voxels of ``images``, by frame.

    A stack goes through a 2D network slice by slice; what is uncertain between its slices is not known, so it has no
    covariances.
    """
    text = f"Predicting motion with {model.card.title}"
    reporter(0.0, text)
    if model.card.task != "cine":
        raise InputError(f"The model '{model.card.name}' is for generating cines; choose another to register with.")
    slices = model.card.ndim == 2 and images.ndim == 5
    if model.card.ndim == 3 and images.ndim == 4:
        raise InputError(f"The model '{model.card.name}' needs volumes, but this is a single slice; choose another.")
    spatial = tuple(images.shape[2:])
    plane = slice(1, None) if slices else slice(None)
    working = list(spatial)
    for axis in range(len(spatial))[plane]:
        working[axis] = max(2, round((spatial[axis] - 1) * spacing[axis] / model.card.spacing) + 1)
    small = flow.resize_image(images, working)
    stacks = small.movedim(2, 0) if slices else small[None]  # [N, T, 1, *plane]
    chunk = max(1, _NETWORK_VOXELS // stacks[0].numel())
    probabilistic = hasattr(model.network, "posterior") and not slices
    found: dict[int, torch.Tensor] = {}
    covariances: dict[int, torch.Tensor] = {}
    for run, frames in enumerate(order):
        velocity = []
        for part in stacks.split(chunk):
            reporter((run + len(velocity) / len(stacks)) / len(order), text)
            if probabilistic:
                mean, covariance = uncertainty.velocity_posterior(model.network, part[:, reference], part[:, frames])
                velocity.append(mean[None])
                covariances.update(zip(frames, uncertainty.resize(covariance, spatial), strict=True))
            else:
                velocity.append(model.network(part[:, reference], part[:, frames]))
        field = torch.cat(velocity)  # [N, T, ndim, *plane]
        if slices:
            field = field.permute(1, 2, 0, 3, 4)
            field = torch.cat([torch.zeros_like(field[:, :1]), field], dim=1)
        else:
            field = field[0]
        found.update(zip(frames, flow.resize(field, spatial), strict=True))
    return found, covariances


def _taper(shape: Sequence[int], start: Sequence[int], stop: Sequence[int], whole: Sequence[int]) -> torch.Tensor:
    """Weight ``[*shape]`` that falls to zero at those borders of a region that lie inside the image."""
    weight = torch.ones(tuple(shape))
    for axis, (a, b, n) in enumerate(zip(start, stop, whole, strict=True)):
        position = torch.arange(b - a, dtype=torch.float32)
        width = min(_TAPER, (b - a) / 4)
        ramp = torch.ones(b - a)
        if a > 0:
            ramp = ramp * (position / width).clamp(max=1)
        if b < n:
            ramp = ramp * (position.flip(0) / width).clamp(max=1)
        weight = weight * (torch.sin(0.5 * torch.pi * ramp) ** 2).view(
            [-1 if i == axis else 1 for i in range(len(whole))]
        )
    return weight


@torch.inference_mode()
def _integrate(
    velocities: torch.Tensor, frames: list[int], cine: Cine, box: tuple[slice, ...], reporter: Reporter
) -> tuple[np.ndarray, np.ndarray]:
    """Displacements and inverses of all frames on the whole grid, zero at the reference and outside ``box``."""
    displacement, inverse = np.zeros((2, len(cine), cine.grid.ndim, *cine.grid.shape), np.float32)
    chunk = max(1, _FIELD_VOXELS // velocities[0, 0].numel())
    for done in range(0, len(frames), chunk):
        reporter(done / len(frames), f"Integrating frame {frames[done]}")
        part = frames[done : done + chunk]
        for field, values in zip(
            (displacement, inverse), diffeomorphisms(velocities[done : done + chunk]), strict=True
        ):
            field[(part, slice(None), *box)] = values.cpu().numpy()
    return displacement, inverse


@torch.inference_mode()
def _spread(
    velocities: torch.Tensor,
    covariances: list[torch.Tensor],
    refined: np.ndarray | None,
    structure: torch.Tensor,
    frames: list[int],
    cine: Cine,
    box: tuple[slice, ...],
    calibration: Calibration,
) -> np.ndarray:
    """Calibrated covariance of all displacements in mm^2, from those of the network's velocities.

    It is that of the network's displacement, with the structure of the reference image that pins it down; after a
    refinement, which gave the displacements ``refined``, also with what that changed nearby. All are weighted so that
    it holds the errors that remain on synthetic cines (the calibrations "predicted" and "refined" of the card).
    """
    out = np.zeros((len(cine), cine.grid.ndim, cine.grid.ndim, *cine.grid.shape), np.float32)
    for velocity, covariance, frame in zip(velocities, covariances, frames, strict=True):
        before, carried = uncertainty.carry(velocity[None], covariance[None])
        change = None
        if refined is not None:
            after = torch.from_numpy(refined[(frame, slice(None), *box)]).to(before)[None]
            change = uncertainty.of_change(before, after, cine.grid)
        calibrated = calibration(uncertainty.to_mm2(carried, cine.grid), change, structure)
        out[(frame, slice(None), slice(None), *box)] = calibrated[0].cpu().numpy()
    return out


def _widened(motion: Motion, calibration: Calibration) -> Motion:
    """The motion with wider covariances at frames that fit worse than synthetic ones do, which are named."""
    factors = np.array([calibration.inflation(quality.error_after) for quality in motion.quality], np.float32)
    unlike = [int(t) for t in np.flatnonzero(factors > 1)]
    wider = motion.covariance * factors.reshape(-1, *[1] * (motion.covariance.ndim - 1))
    return replace(motion, covariance=wider, provenance={**motion.provenance, "unlike_training": unlike})
