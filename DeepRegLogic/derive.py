"""Everything that is shown of a motion, computed once: images without motion, carried labels and points, Jacobian."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .cine import Cine, Motion
from .errors import InputError
from .progress import CancelToken, ProgressCallback, Reporter


@dataclass(frozen=True, eq=False)
class Derived:
    """What a motion does to its cine, and to labels and points drawn on the reference frame.

    Attributes
    ----------
    compensated : ``[T, *spatial]`` float32, every frame brought onto the reference.
    propagated : ``[T, *spatial]`` float32, the reference frame carried to every frame.
    jacobian : ``[T, *spatial]`` float32, local change of volume from the reference to every frame.
    masks : ``[M, T, *spatial]`` uint8, the M masks carried to every frame.
    sizes : ``[M, T]`` size of every mask over time: mm^2 for a slice, ml for a stack.
    points : ``[T, P, 3]`` LPS mm, the P points where their tissue is in every frame.
    uncertainty : ``[T, *spatial]`` float32, largest standard deviation of the displacement in mm. It and all that
        follow are None for motions that do not say how sure they are.
    entropy : ``[T, *spatial]`` float32, ``uncertainty.entropy`` of the covariance in mm^2; -20 at the reference frame.
    mean_uncertainty : ``[T]`` mean of ``uncertainty`` over what is watched: the masks, or else what moves 1 mm or more.
    mask_uncertainty : ``[M, T, 3]`` mean, 5th and 95th percentile of ``uncertainty`` over every mask.
    point_covariances : ``[T, P, 3, 3]`` LPS mm^2, of the followed points.

    The uncertainties at the voxels lie on the reference frame.
    """

    compensated: np.ndarray
    propagated: np.ndarray
    jacobian: np.ndarray
    masks: np.ndarray
    sizes: np.ndarray
    points: np.ndarray
    uncertainty: np.ndarray | None = None
    entropy: np.ndarray | None = None
    mean_uncertainty: np.ndarray | None = None
    mask_uncertainty: np.ndarray | None = None
    point_covariances: np.ndarray | None = None


_MOVING_MM = 1.0


def derive(
    motion: Motion,
    cine: Cine,
    masks: np.ndarray | None = None,
    points: np.ndarray | None = None,
    progress: ProgressCallback | None = None,
    cancel: CancelToken | None = None,
) -> Derived:
    """Compute what ``Derived`` holds.

    Parameters
    ----------
    cine : the images that the motion was found in.
    masks : ``[M, *spatial]`` uint8, 1 inside, drawn on the reference frame.
    points : ``[P, 3]`` LPS mm, on the reference frame.
    progress, cancel : see ``progress.py``.

    Raises
    ------
    InputError : images or masks that do not lie on the motion's grid. Cancelled : ``cancel`` was used.
    """
    from .measure import area_curve, jacobian
    from .transport import compensate, move_points, propagate

    reporter = Reporter(progress, cancel)
    count, shape = len(motion), motion.grid.shape
    masks = np.zeros((0, *shape), np.uint8) if masks is None else np.asarray(masks)
    points = np.zeros((0, 3)) if points is None else np.asarray(points, dtype=float)
    if masks.shape[1:] != shape:
        raise InputError(f"Masks of shape {masks.shape[1:]} are not on the reference frame of shape {shape}.")
    reporter(0.0, "Taking the motion out of the frames")
    compensated = compensate(motion, cine.frames)
    reporter(0.3, "Carrying the reference frame along")
    propagated = propagate(motion, cine.frames[motion.reference])
    reporter(0.6, "Measuring the change of volume")
    change = jacobian(motion)
    carried = np.zeros((len(masks), count, *shape), np.uint8)
    sizes = np.zeros((len(masks), count))
    for number, mask in enumerate(masks):
        reporter(0.8 + 0.15 * number / len(masks), "Carrying the labels along")
        drawn = (mask > 0).astype(np.uint8)
        carried[number] = propagate(motion, drawn, nearest=True)
        sizes[number] = area_curve(change, drawn, motion.grid).get(1, 0.0)
    reporter(0.95, "Following the points")
    followed = np.zeros((count, len(points), 3))
    if len(points):
        followed[:] = [move_points(motion, points, t) for t in range(count)]
    reporter(0.97, "Measuring the uncertainty")
    unsure = _uncertainty(motion, masks, points) if motion.covariance is not None else {}
    reporter(1.0, "Done")
    return Derived(compensated, propagated, change, carried, sizes, followed, **unsure)


def _uncertainty(motion: Motion, masks: np.ndarray, points: np.ndarray) -> dict[str, np.ndarray]:
    """What ``Derived`` holds of how sure a motion with a covariance is."""
    from .uncertainty import LEAST_ENTROPY, deviations, entropy, of_points

    deviation = np.stack([deviations(covariance[None])[0, 0] for covariance in motion.covariance])
    parts = [mask > 0 for mask in masks if mask.any()]
    watched = np.any(parts, axis=0) if parts else _moving(motion)
    spread = np.zeros((len(masks), len(motion), 3))
    for number, mask in enumerate(masks):
        if mask.any():
            inside = deviation[:, mask > 0]
            spread[number] = np.stack([inside.mean(axis=1), *np.percentile(inside, (5, 95), axis=1)], axis=1)
    return {
        "uncertainty": deviation,
        "entropy": np.stack([np.maximum(entropy(c[None])[0], LEAST_ENTROPY) for c in motion.covariance]),
        "mean_uncertainty": deviation[:, watched].mean(axis=1, dtype=float),
        "mask_uncertainty": spread,
        "point_covariances": of_points(motion, points) if len(points) else np.zeros((len(motion), 0, 3, 3)),
    }


def _moving(motion: Motion) -> np.ndarray:
    """Where the motion is 1 mm or more in some frame ``[*spatial]``; everywhere where it is so nowhere."""
    spacing = np.reshape(motion.grid.array_spacing, (-1, *[1] * motion.grid.ndim))
    moving = np.zeros(motion.grid.shape, bool)
    for field in motion.displacement:
        moving |= np.linalg.norm(field * spacing, axis=0) >= _MOVING_MM
    return moving if moving.any() else np.ones_like(moving)
