"""register_cine and register_pair: images in, Motion out.

The way of a cine is one of stages over a ``Plan``: predict, refine, integrate, find out how sure it is, measure. Each
is a function of few arguments; ``follow`` puts them in a row.
"""

from __future__ import annotations

import math
import time
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
import torch

from .. import __version__, zoo
from ..cine import Cine, Motion
from ..errors import InputError
from ..grid import Grid
from ..progress import CancelToken, ProgressCallback, Reporter
from ..results.results import Results
from ..transformations import Transformation, unfolded
from ..uncertainty.calibration import Calibration
from ..uncertainty.record import images_of, recorded
from .affine import Mask, align
from .pair import check_pair, fractions, in_own_space, pair_cine, what_counts
from .predict import predict, still
from .prepare import Plan, Region, plan
from .presets import Refinement, refinement_of
from .refine import refine as refine_motion
from .refine import usual_levels
from .uncertain import asked_again, calibration_of, covariances, measured, of_refinement, refined_again

if TYPE_CHECKING:
    from typing_extensions import Unpack

CINE_MODEL, PAIR_MODEL = zoo.DEFAULTS["cine"], zoo.DEFAULTS["pair"]
_FIELD_VOXELS = 500_000
_PAIR_LARGE = 160  # voxels a side of volumes from which a pair is refined at half resolution; it has no 20 frames
_PAIR_SIGMA = 0.5  # of the gradient's Gaussian in a cine: volumes of two people differ in finer detail than frames
_PAIR_SMOOTHNESS = 0.3  # between two images that may lie far apart, of what suits the frames of a cine


def register_cine(
    cine: Cine,
    model: str | None = CINE_MODEL,
    reference: int | None = None,
    roi: Region | None = None,
    refine: Refinement | str | bool = True,
    device: str = "auto",
    cyclic: bool | None = None,
    memory_gb: float | None = None,
    progress: ProgressCallback | None = None,
    cancel: CancelToken | None = None,
    uncertainty: bool = False,
) -> Motion:
    """Follow the motion from the reference frame of a cine to all its frames.

    Parameters
    ----------
    cine : the images; at least two frames of at least 16 x 16 pixels.
    model : name or folder of a model of the zoo, or None to start the refinement from zero.
    reference : number of the reference frame, or None for the one that ``find_reference`` takes for end-diastole.
    roi : (start, stop) corners of a region of interest, in voxels, array axis order; the motion fades to zero at its
        border and is zero outside. Of a few slices of a stack only the motion through them fades.
    refine : a quality ("fast", "standard", "best", ... of ``PRESETS``), True ("standard"), False ("fast"), or a
        ``Refinement`` with settings of one's own.
    device : "auto" (a CUDA GPU when there is one), "cpu", "cuda", "cuda:1", "mps".
    cyclic : whether the last frame is followed by the first; None to judge by the images.
    memory_gb : refuse work that is estimated to need more memory than this.
    progress, cancel : see ``progress.py``.
    uncertainty : whether to find out how sure the motion is, for ``Motion.covariance``, whatever the model: a
        refinement is done again, four times stiffer (twice the work); a model alone that does not tell is asked again
        with mirrored images. A model with the capability "uncertainty" tells without being asked, if less well
        of what a refinement made of it.

    Returns
    -------
    The motion on the cine's own grid, with displacements both ways and the quality of every frame.

    Raises
    ------
    InputError : fewer than two frames, an image too small or constant, a reference or a region outside the cine.
    ModelError : the model cannot be loaded. MemoryBudgetError : too large. Cancelled : ``cancel`` was used.

    Examples
    --------
    >>> import numpy as np
    >>> from DeepRegLogic import Cine, Grid, register_cine
    >>> rows, columns = np.mgrid[:48, :48]
    >>> discs = [np.hypot(rows - 24, columns - 24) < radius for radius in (12, 11, 9)]
    >>> cine = Cine(np.stack(discs).astype(np.float32), Grid((48, 48, 1)))
    >>> motion = register_cine(cine, model=None, reference=0)
    >>> motion.displacement.shape
    (3, 2, 48, 48)
    >>> bool(motion.displacement[2, 0, 24 + 11, 24] < -1)  # the rim moves inwards, by some 3 voxels
    True
    """
    options = Options(
        refine=refine, device=device, memory_gb=memory_gb, progress=progress, cancel=cancel, uncertainty=uncertainty
    )
    return follow(cine, model, reference, roi, cyclic=cyclic, **options).motion


def follow(
    cine: Cine,
    model: str | None = CINE_MODEL,
    reference: int | None = None,
    roi: Region | None = None,
    refine: Refinement | str | bool = True,
    device: str = "auto",
    cyclic: bool | None = None,
    memory_gb: float | None = None,
    progress: ProgressCallback | None = None,
    cancel: CancelToken | None = None,
    regularity: float | None = None,
    counts: np.ndarray | None = None,
    path: int = 0,
    uncertainty: bool = False,
) -> Results:
    """``register_cine`` for those who go on with the results: what was computed on the way is kept in them.

    What only pairs ask for: see ``register_pair`` for ``regularity`` and ``path``; ``counts`` ``[*grid.shape]`` from 0
    to 1 is how much of a difference between the images counts in the refinement.
    """
    started = time.perf_counter()
    reporter = Reporter(progress, cancel)
    reporter(0.0, "Checking the images")
    settings = refinement_of(refine)
    if model is None and settings is None:
        raise InputError(
            "Without a model there is nothing to do but to refine; choose a model, or switch refinement on."
        )
    prepared = plan(cine, reference, roi, cyclic, device, settings is not None, memory_gb, uncertainty)
    loaded = zoo.load_model(model, str(prepared.images.device)) if model is not None else None
    start: Transformation = still(prepared)
    predicted = start
    if loaded is not None:
        asking = reporter.part(0.05, 0.25 if settings else 0.4 if uncertainty else 0.8)
        predicted = predict(prepared, loaded, asking, regularity)
        start = predicted.without_covariance()
        if uncertainty and not settings and not predicted.is_uncertain:
            predicted = asked_again(prepared, loaded, predicted, reporter.part(0.4, 0.85), regularity)
    elif regularity is not None:
        raise InputError("Without a model there is no regularity to choose; set the smoothness of the refinement.")
    found, stiffer = start, None
    if settings is not None:
        weights = None if counts is None else torch.from_numpy(counts[prepared.box])[None, None].to(prepared.images)
        refine_with = partial(refined, prepared, start, weights)
        begin = 0.25 if loaded else 0.05
        end = begin + (0.85 - begin) / 2 if uncertainty else 0.85
        found = refine_with(settings, reporter.part(begin, end))
        if uncertainty:
            stiffer = refined_again(refine_with, settings, reporter.part(end, 0.85))
    displacement, inverse = integrate(prepared, found, reporter.part(0.85, 0.94))
    way = None
    if path:
        steps = [integrate(prepared, found.at(s))[0][1] for s in fractions(path)[:-1]]
        way = np.stack([*steps, displacement[1]])
    calibration, covariance = Calibration(), None
    if stiffer is not None:
        calibration = recorded("pair" if len(cine) == 2 else "cine", images_of(cine.grid))
        covariance = of_refinement(prepared, displacement, stiffer, calibration)
    elif loaded is not None and predicted.is_uncertain:
        calibration = calibration_of(loaded.card, "refined" if settings else "predicted")
        covariance = covariances(prepared, predicted, displacement if settings else None, calibration)
    reporter(0.95, "Measuring the quality of every frame")
    motion = Motion(
        grid=cine.grid,
        reference=prepared.reference,
        displacement=displacement,
        inverse=inverse,
        times=cine.times if cine.time_unit else None,
        time_unit=cine.time_unit,
        name=cine.name,
        cyclic=prepared.cyclic,
        covariance=covariance,
        path=way,
        provenance={
            "version": __version__,
            "model": loaded.card.name if loaded else None,
            "weights_sha256": loaded.card.sha256 if loaded else None,
            "refinement": asdict(settings) if settings else None,
            "regularity": regularity,
            "uncertainty": uncertainty,
            "region": [list(prepared.start), list(prepared.stop)] if roi is not None else None,
            "device": str(prepared.images.device),
        },
    )
    results = measured(Results(motion, cine), calibration)
    reporter(1.0, "Done")
    return results.noting(seconds=round(time.perf_counter() - started, 3))


def refined(
    plan: Plan, start: Transformation, weights: torch.Tensor | None, settings: Refinement, reporter: Reporter
) -> Transformation:
    """The motion of all moving frames, refined from ``start``; see ``refine.refine``."""
    reference, frames = plan.images[plan.reference][None], plan.images[plan.moving]
    return refine_motion(reference, frames, start, settings, plan.times, plan.spacing, reporter, weights)


class Options(TypedDict, total=False):
    """The arguments that all registrations share."""

    refine: Refinement | str | bool
    device: str
    memory_gb: float | None
    progress: ProgressCallback | None
    cancel: CancelToken | None
    uncertainty: bool


class PairOptions(Options, total=False):
    """The arguments that ``register_pair`` and ``follow_pair`` share."""

    roi: Region | None
    affine: bool
    fixed_mask: Mask | None
    moving_mask: Mask | None
    regularity: float | None
    path: int


def register_pair(fixed: Cine, moving: Cine, model: str | None = PAIR_MODEL, **options: Unpack[PairOptions]) -> Motion:
    """Register a moving image to a fixed one: a motion of two frames, [fixed, moving], with the fixed as reference.

    The images may differ in size, spacing, direction, position and contrast: they meet where their geometry says.
    ``displacement[1]`` takes a point of the fixed image to where it is in the moving one, so it resamples the moving
    image onto the fixed one. The smoothness of a refinement counts 0.3 of what it does in a cine; volumes are refined
    at their own resolution up to 160 voxels a side, with half of sigma. All is recorded as such in the provenance.

    Parameters
    ----------
    fixed, moving : cines of one frame, both of a single slice or both volumes.
    affine : first align the images by ``affine.align``, for those that need not even overlap; its matrix is
        ``Motion.affine``, and the displacements contain it exactly.
    fixed_mask, moving_mask : only what is inside counts in the affine step and in the refinement; each on its own grid.
    regularity : from 0 (soft) to 1 (stiff), of a model with that capability.
    path : into how many steps the way of the motion is divided, for ``Motion.path``; 0 for none.
    model, roi, refine, device, memory_gb, progress, cancel, uncertainty : see ``register_cine``.

    Raises
    ------
    InputError : also images that do not meet, a slice with a volume, an empty mask. The others of ``register_cine``.

    Examples
    --------
    >>> import numpy as np
    >>> from DeepRegLogic import Cine, Grid, register_pair
    >>> rows, columns = np.mgrid[:48, :48]
    >>> discs = [np.hypot(rows - 24, columns - 24) < radius for radius in (12, 9)]
    >>> fixed, moving = (Cine(disc[None].astype(np.float32), Grid((48, 48, 1))) for disc in discs)
    >>> motion = register_pair(fixed, moving, model=None)
    >>> bool(motion.quality[1].error_after < 0.5 * motion.quality[1].error_before)
    True
    """
    return follow_pair(fixed, moving, model, **options).motion


def follow_pair(
    fixed: Cine,
    moving: Cine,
    model: str | None = PAIR_MODEL,
    *,
    roi: Region | None = None,
    affine: bool = False,
    fixed_mask: Mask | None = None,
    moving_mask: Mask | None = None,
    refine: Refinement | str | bool = True,
    progress: ProgressCallback | None = None,
    cancel: CancelToken | None = None,
    **options: Any,
) -> Results:
    """``register_pair`` for those who go on with the results, whose cine is [fixed, moving]."""
    started = time.perf_counter()
    settings = refinement_of(refine)
    if settings is not None:
        settings = pair_refinement(settings, fixed.grid)
    reporter, matrix = Reporter(progress, cancel), None
    check_pair(fixed, moving)
    if affine:
        matrix = align(fixed, moving, fixed_mask, moving_mask, reporter.part(0.0, 0.2))
        reporter = reporter.part(0.2, 1.0)
    counts = what_counts(fixed.grid, fixed_mask, moving_mask, matrix)
    options |= {"refine": settings or False, "cyclic": False, "counts": counts}
    results = follow(pair_cine(fixed, moving, matrix), model, 0, roi, progress=reporter, cancel=cancel, **options)
    return in_own_space(results, fixed, moving, matrix).noting(seconds=round(time.perf_counter() - started, 3))


def pair_refinement(settings: Refinement, grid: Grid) -> Refinement:
    """What a refinement of cines becomes for a pair."""
    settings = replace(settings, smoothness=_PAIR_SMOOTHNESS * settings.smoothness)
    if grid.ndim == 2:
        return settings
    levels = settings.levels or usual_levels(min(grid.shape[-2:]), _PAIR_LARGE)
    return replace(settings, levels=levels, sigma=_PAIR_SIGMA * settings.sigma)


@torch.inference_mode()
def integrate(
    plan: Plan, transformation: Transformation, reporter: Reporter | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Displacements and inverses of all frames on the whole grid, zero at the reference and outside the region."""
    reporter = reporter or Reporter()
    grid, frames = plan.cine.grid, plan.moving
    displacement, inverse = np.zeros((2, len(plan.cine), grid.ndim, *grid.shape), np.float32)
    transformation = transformation.faded(plan.taper)
    chunk = max(1, _FIELD_VOXELS // math.prod(plan.spatial))
    for done in range(0, len(frames), chunk):
        reporter(done / len(frames), f"Integrating frame {frames[done]}")
        part = frames[done : done + chunk]
        both = unfolded(transformation[done : done + chunk])
        place = (part, slice(None), *plan.box)
        for field, values in zip((displacement, inverse), both, strict=True):
            field[place] = values.cpu().numpy()
            if not np.isfinite(field[place]).all():
                raise InputError(
                    f"The motion of '{plan.cine.name}' came to no number; choose another model or quality."
                )
    return displacement, inverse
