"""What a network of the zoo predicts for a cine."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch

from .. import flow
from ..errors import InputError
from ..grid import working_shape
from ..networks import PAIR, REGISTER, REGULARITY
from ..progress import Reporter
from ..transformations import StationaryVelocity, Transformation
from ..zoo import Model
from .prepare import Plan

_NETWORK_VOXELS = 2_000_000
_STEADY = 0.025  # of a cycle: predictions jitter faster than a heart moves


def still(plan: Plan) -> StationaryVelocity:
    """No motion at all, where a refinement without a network starts."""
    frames = len(plan.moving)
    return StationaryVelocity(plan.images.new_zeros(frames, len(plan.spatial), *plan.spatial))


@torch.inference_mode()
def predict(
    plan: Plan, model: Model, reporter: Reporter | None = None, regularity: float | None = None
) -> Transformation:
    """The motion of the moving frames, as the network sees it on its own spacing, in voxels of the plan's images.

    A stack goes through a 2D network slice by slice. The prediction of a whole cycle is smoothed a little over time.
    ``regularity`` from 0 to 1 is asked of a network that can choose; None leaves it at what it was made for.

    Raises
    ------
    InputError : a model that cannot register, or not images of this dimension, or not at a given ``regularity``.
    """
    reporter = reporter or Reporter()
    text = f"Predicting motion with {model.card.title}"
    reporter(0.0, text)
    network, name = model.network, model.card.name
    if not {REGISTER, PAIR} & set(model.card.capabilities):
        raise InputError(f"The model '{name}' is for generating cines; choose another to register with.")
    estimate: Callable[[torch.Tensor, torch.Tensor], Transformation] = network.estimate
    if regularity is not None:
        if REGULARITY not in model.card.capabilities:
            raise InputError(f"The regularity of the model '{name}' cannot be chosen; leave it out.")
        if not 0 <= regularity <= 1:
            raise InputError(f"A regularity is from 0 (soft) to 1 (stiff), not {regularity:g}.")
        estimate = partial(network.estimate_at, regularity=regularity)
    by_slice = network.ndim < len(plan.spatial)
    if network.ndim > len(plan.spatial):
        raise InputError(f"The model '{name}' needs volumes, but this is a single slice; choose another.")
    kept = slice(-network.ndim, None)
    spacing = model.card.spacing_for(plan.spatial[kept], plan.spacing[kept])
    working = working_shape(plan.spatial, plan.spacing, spacing, by_slice=by_slice)
    small = flow.resize_image(plan.images, working)
    stacks = small.movedim(2, 0) if by_slice else small[None]  # [N, T, 1, *spatial]
    chunk = max(1, _NETWORK_VOXELS // stacks[0].numel())
    runs: list[Transformation] = []
    for number, frames in enumerate(plan.runs):
        parts: list[Transformation] = []
        for part in stacks.split(chunk):
            reporter((number + len(parts) * chunk / len(stacks)) / len(plan.runs), text)
            parts.append(estimate(part[:, plan.reference], part[:, frames]))
        run = parts[0].joined(parts)
        runs.append(run.in_stack(len(stacks)) if by_slice else run)
    order = [frame for run in plan.runs for frame in run]
    found = runs[0].joined(runs)[[order.index(frame) for frame in plan.moving]].resized(plan.spatial)
    if plan.cyclic:
        found = found.mixed(plan.times.gaussian(_STEADY * len(plan.cine)).to(plan.images))
    return found
