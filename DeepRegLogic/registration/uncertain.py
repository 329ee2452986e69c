"""How sure a motion is: the covariances of predictions and of refined results, in mm^2, and what asks for them.

A model with a posterior says it itself. For all others, and better for every refined result, the method is asked again
in ways that should make no difference: a network with mirrored images, a refinement with another smoothness. Where the
answers differ, the images do not tell; how much of an error goes with how much of a difference is a ``Calibration``'s.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from .. import uncertainty
from ..networks import UNCERTAINTY
from ..progress import Reporter
from ..results.quality import frame_quality
from ..results.results import Results
from ..transformations import Displacement, Transformation
from ..uncertainty.calibration import Calibration
from ..zoo import Card, Model, list_models
from .predict import predict
from .prepare import Plan
from .presets import Refinement

STIFFER = 4.0
"""By how much smoother a refinement is when it is done again."""

_AGAIN = "Finding out how sure the motion is"


def calibration_of(card: Card, stage: str) -> Calibration:
    """That of a model's "predicted" or "refined" motion; where its card has none, that of the best one of its kind."""
    found = card.calibration.get(stage)
    if found is None and UNCERTAINTY not in card.capabilities:
        alike = (other for other in list_models() if other.ndim == card.ndim and UNCERTAINTY not in other.capabilities)
        found = next((other.calibration[stage] for other in alike if stage in other.calibration), None)
    return Calibration(**(found or {}))


@torch.inference_mode()
def covariances(
    plan: Plan, predicted: Transformation, refined: np.ndarray | None, calibration: Calibration
) -> np.ndarray:
    """Calibrated covariance of all displacements in mm^2, from that of a prediction.

    It is that of the prediction's displacement, with the structure of the reference image that pins it down; after a
    refinement, which gave the displacements ``refined``, also with what that changed nearby. All are weighted so that
    it holds the errors that remain on synthetic cines (the calibrations "predicted" and "refined" of the card).
    """
    grid = plan.cine.grid
    structure = uncertainty.structure_tensor(plan.images[plan.reference : plan.reference + 1], grid)
    predicted = predicted.faded(plan.taper)

    def of_frame(number: int) -> torch.Tensor:
        before, covariance = predicted[number : number + 1].with_covariance()
        change = None
        if refined is not None:
            change = uncertainty.of_change(before, _displacement(plan, refined, number).to(before), grid)
        return calibration(uncertainty.to_mm2(covariance, grid), change, structure, plan.spacing)

    return _of_frames(plan, of_frame)


def _displacement(plan: Plan, displacement: np.ndarray, number: int) -> torch.Tensor:
    """That of a moving frame in the region, ``[1, ndim, *spatial]``, of those of the whole cine."""
    place: tuple[int | slice, ...] = (plan.moving[number], slice(None), *plan.box)
    return torch.from_numpy(displacement[place])[None]


def _of_frames(plan: Plan, of_frame: Callable[[int], torch.Tensor]) -> np.ndarray:
    """``[T, ndim, ndim, *grid.shape]``, of what there is of every moving frame in the region, elsewhere zero."""
    grid = plan.cine.grid
    out = np.zeros((len(plan.cine), grid.ndim, grid.ndim, *grid.shape), np.float32)
    for number, frame in enumerate(plan.moving):
        place: tuple[int | slice, ...] = (frame, slice(None), slice(None), *plan.box)
        out[place] = of_frame(number)[0].cpu().numpy()
    return out


@torch.inference_mode()
def asked_again(
    plan: Plan, model: Model, predicted: Transformation, reporter: Reporter, regularity: float | None = None
) -> Displacement:
    """A prediction with a covariance, of any network: it is asked with the images mirrored in their plane, too.

    The covariance is the mean of the local second moments of what the answers differ by (``covariance.of_change``).
    """
    grid, result = plan.cine.grid, predicted.displacement()
    scale = torch.tensor(grid.array_spacing).to(result)
    to_voxels = torch.outer(1 / scale, 1 / scale).view(1, grid.ndim, grid.ndim, *[1] * grid.ndim)
    draws: list[torch.Tensor] = []

    def answer(images: torch.Tensor) -> torch.Tensor:
        part = reporter.part(len(draws) / 3, (len(draws) + 1) / 3)
        return predict(replace(plan, images=images), model, part, regularity).displacement()

    draw = uncertainty.flips(answer, plan.images)
    for k in (1, 2, 3):
        draws.append(uncertainty.of_change(result, draw(k), grid))
    return Displacement(result, None, torch.stack(draws).mean(0) * to_voxels)


def refined_again(
    refine_with: Callable[[Refinement, Reporter], Transformation], settings: Refinement, reporter: Reporter
) -> Transformation:
    """A stiffer refinement; ``refine_with`` refines the same images from the same start.

    Of what was tried (softer ones, other similarities and windows, other starts, and two of them together) it tells
    most: where the images hold the motion, the price of roughness changes nothing.
    """
    stiffer = replace(settings, smoothness=settings.smoothness * STIFFER)
    return refine_with(stiffer, Reporter(lambda fraction, _: reporter(fraction, _AGAIN)))


@torch.inference_mode()
def of_refinement(
    plan: Plan, displacement: np.ndarray, stiffer: Transformation, calibration: Calibration
) -> np.ndarray:
    """Calibrated covariance of the displacements ``[T, ndim, *grid.shape]`` of a refinement, in mm^2.

    It grows with the local second moments of what a stiffer refinement differs by (``covariance.of_change``), and with
    what they are in the middle of all that moves, the ``change`` of the calibration: a hard case is unsure everywhere
    a little.
    """
    stiffer, grid = stiffer.faded(plan.taper), plan.cine.grid

    def moments(number: int) -> torch.Tensor:
        other = stiffer[number : number + 1].displacement()
        return uncertainty.of_change(_displacement(plan, displacement, number).to(other), other, grid)

    out = _of_frames(plan, moments)
    everywhere = torch.eye(grid.ndim) * _median_where_it_moves(plan, out, displacement)

    def calibrated(number: int) -> torch.Tensor:
        place: tuple[int | slice, ...] = (plan.moving[number], slice(None), slice(None), *plan.box)
        here = torch.from_numpy(out[place])[None]
        alike = everywhere.view(1, grid.ndim, grid.ndim, *[1] * grid.ndim).expand_as(here)
        return calibration(here, alike, spacing=plan.spacing)

    return _of_frames(plan, calibrated)


def _median_where_it_moves(plan: Plan, moments: np.ndarray, displacement: np.ndarray) -> float:
    """The median variance along an axis in mm^2, every place weighted by its squared motion."""
    grid = plan.cine.grid
    place: tuple[slice, ...] = (slice(None), slice(None), *plan.box)
    scale = np.reshape(grid.array_spacing, (-1, *[1] * grid.ndim))
    weights = np.square(displacement[plan.moving][place] * scale).sum(1).ravel()
    variances = np.trace(moments[plan.moving], axis1=1, axis2=2)[:, None]
    values = variances[place].ravel() / grid.ndim
    order = values.argsort()
    rising = weights[order].cumsum()
    return float(values[order][np.searchsorted(rising, 0.5 * rising[-1])])


def measured(results: Results, calibration: Calibration) -> Results:
    """The results with the quality of every frame.

    Covariances grow at frames that fit worse than synthetic ones do, which are named as unlike the training images.
    """
    motion = results.motion
    quality = frame_quality(results)
    if motion.covariance is None:
        return results.with_motion(replace(motion, quality=quality))
    factors = np.array([calibration.inflation(frame.error_after) for frame in quality], np.float32)
    unlike = [int(t) for t in np.flatnonzero(factors > 1)]
    wider = motion.covariance * factors.reshape(-1, *[1] * (motion.covariance.ndim - 1))
    degrees = None if math.isinf(calibration.degrees) else calibration.degrees
    provenance = {**motion.provenance, "unlike_training": unlike, "degrees_of_freedom": degrees}
    return results.with_motion(replace(motion, quality=quality, covariance=wider, provenance=provenance))
