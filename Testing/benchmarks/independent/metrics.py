"""What a field is worth where the true one is known. Fields are as in ``cases.Case``: ``[T, ndim, ...]`` in voxels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import binary_erosion, distance_transform_edt, map_coordinates

if TYPE_CHECKING:
    from .cases import Case


def _column(values: Sequence[float] | np.ndarray, ndim: int) -> np.ndarray:
    return np.asarray(values, float).reshape(-1, *[1] * ndim)


def identity(shape: Sequence[int]) -> np.ndarray:
    """``[ndim, ...]`` index of every voxel."""
    return np.stack(np.meshgrid(*(np.arange(n, dtype=float) for n in shape), indexing="ij"))


def sample(values: np.ndarray, places: np.ndarray, order: int = 1) -> np.ndarray:
    """``values`` (``[...]`` or ``[C, ...]``) at places ``[ndim, ...]`` in voxels; outside the nearest is taken."""
    if values.ndim == len(places):
        return map_coordinates(values, places, order=order, mode="nearest")
    return np.stack([map_coordinates(v, places, order=order, mode="nearest") for v in values])


def inverted(field: np.ndarray, iterations: int = 60) -> np.ndarray:
    """The inverse of a displacement ``[ndim, ...]``, by fixed-point iteration with damping."""
    grid = identity(field.shape[1:])
    found = np.zeros_like(field, dtype=float)
    for number in range(iterations):
        step = -sample(field, grid + found) - found
        found = found + (1.0 if number < iterations // 2 else 0.5) * step
        if np.abs(step).max() < 1e-3:
            break
    return found.astype(np.float32)


def end_point_error(case: Case, field: np.ndarray) -> np.ndarray:
    """``[T, ...]`` mm."""
    scale = _column(case.spacing, len(case.spacing))
    return np.linalg.norm((field - case.forward) * scale, axis=1)


def radial_tangential(case: Case, error: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Absolute components ``[...]`` in mm of an error ``[ndim, ...]`` in voxels, about the cavity's centre."""
    spacing = np.asarray(case.spacing)[-2:]
    away = (identity(error.shape[1:])[-2:] - _column(case.centre[-2:], error.ndim - 1)) * _column(
        spacing, error.ndim - 1
    )
    length = np.maximum(np.linalg.norm(away, axis=0), 1e-6)
    y, x = away / length
    ey, ex = error[-2:] * _column(spacing, error.ndim - 1)
    return np.abs(ey * y + ex * x), np.abs(ex * y - ey * x)


def turn(field: np.ndarray, mask: np.ndarray, spacing: Sequence[float]) -> float:
    """Degrees by which the points of a mask ``[H, W]`` turn about their own centre (least squares): exact for a
    rotation with any uniform stretch. ``field`` is ``[2, H, W]`` in voxels."""
    here = np.argwhere(mask).T * _column(spacing, 1)
    there = here + field[:, mask] * _column(spacing, 1)
    here, there = here - here.mean(1, keepdims=True), there - there.mean(1, keepdims=True)
    return float(np.rad2deg(np.arctan2((here[0] * there[1] - here[1] * there[0]).sum(), (here * there).sum())))


def turns(field: np.ndarray, mask: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """``turn`` of the plane, or of every slice of a stack that has 30 voxels of the mask."""
    if mask.ndim == 2:
        return np.array([turn(field, mask, spacing)])
    slices = [d for d in range(len(mask)) if mask[d].sum() >= 30]
    return np.array([turn(field[1:, d], mask[d], spacing[1:]) for d in slices])


def gradient(field: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """``[ndim, ndim, ...]``: component ``i`` of the displacement in mm by axis ``j`` in mm, central differences."""
    steps = [np.stack(np.gradient(component, axis=tuple(range(component.ndim)))) for component in field]
    ndim = len(spacing)
    ratio = np.asarray(spacing, float)[:, None] / np.asarray(spacing, float)[None]
    return np.stack(steps) * ratio.reshape(ndim, ndim, *[1] * ndim)


def jacobian(field: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """``[...]`` determinant of a displacement ``[ndim, ...]`` in voxels."""
    matrix = np.moveaxis(gradient(field, spacing), (0, 1), (-2, -1)) + np.eye(len(spacing))
    return np.linalg.det(matrix)


def strains(field: np.ndarray, centre: np.ndarray, spacing: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Circumferential and radial Green-Lagrange strain ``[...]`` in the plane, about a centre in voxels."""
    ndim = field.ndim - 1
    deformation = gradient(field, spacing) + np.eye(ndim).reshape(ndim, ndim, *[1] * ndim)
    away = (identity(field.shape[1:])[-2:] - _column(centre[-2:], ndim)) * _column(spacing[-2:], ndim)
    y, x = away / np.maximum(np.linalg.norm(away, axis=0), 1e-6)
    found = []
    for direction in (np.stack([x, -y]), np.stack([y, x])):
        stretched = (deformation[:, -2:] * direction[None]).sum(1)
        found.append(0.5 * (np.square(stretched).sum(0) - 1))
    return found[0], found[1]


def dice(a: np.ndarray, b: np.ndarray) -> float:
    total = np.count_nonzero(a) + np.count_nonzero(b)
    return 2.0 * np.count_nonzero(a & b) / total if total else np.nan


def hausdorff95(a: np.ndarray, b: np.ndarray, spacing: Sequence[float]) -> float:
    """The larger 95th percentile of the distances in mm from surface voxels of one mask to those of the other."""
    if not a.any() or not b.any():
        return np.nan
    edges = [mask & ~binary_erosion(mask) for mask in (a, b)]
    apart = [distance_transform_edt(~edge, sampling=spacing) for edge in edges]
    return float(max(np.percentile(apart[1][edges[0]], 95), np.percentile(apart[0][edges[1]], 95)))


def carried(labels: np.ndarray, field: np.ndarray) -> np.ndarray:
    """Labels ``[...]`` through a field: with an inverse, those of the reference in the frame."""
    return labels_at(labels, identity(labels.shape) + field)


def labels_at(labels: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Labels ``[...]`` at places ``[ndim, ...]`` in voxels: everywhere the one of most weight."""
    values = np.unique(labels)
    best, found = np.full(places.shape[1:], -1.0, np.float32), np.zeros(places.shape[1:], labels.dtype)
    for value in values:  # of many labels, one at a time
        weight = sample((labels == value).astype(np.float32), places)
        found[weight > best] = value
        np.maximum(best, weight, out=best)
    return found


def measure(case: Case, field: np.ndarray, inverse: np.ndarray | None = None) -> dict[str, float]:
    """All that is in the table: mm, degrees, percent and fractions, as the names say.

    Without an ``inverse`` the field is inverted numerically for the labels, and there is no inverse consistency.
    """
    ndim, spacing, systole = len(case.spacing), case.spacing, case.systole
    organ, wall = case.masks["organ"], case.masks["wall"]
    error = end_point_error(case, field)
    inside = error[1:, organ]
    found = {
        "epe": inside.mean(), "epe95": np.percentile(inside, 95), "epe_es": error[systole, organ].mean(),
        "epe_wall_es": error[systole, wall].mean(),
    }  # fmt: skip
    if case.masks["blood"].any():
        found["epe_blood_es"] = error[systole, case.masks["blood"]].mean()
    if case.centre is not None:
        radial, tangential = radial_tangential(case, (field - case.forward)[systole])
        found |= {"radial_es": radial[wall].mean(), "tangential_es": tangential[wall].mean()}
        true, ours = (turns(f[systole], wall, spacing) for f in (case.forward, field))
        found["twist_error"] = float(np.abs(ours - true).mean())
        found["twist_true"] = float(np.abs(true).mean())
        pairs = zip(
            *(strains(f[systole].astype(float), case.centre, spacing) for f in (case.forward, field)), strict=True
        )
        for name, (truth, estimate) in zip(("circumferential", "radial"), pairs, strict=True):
            found[f"{name}_error"] = 100 * np.abs(estimate - truth)[wall].mean()
            found[f"{name}_bias"] = 100 * (estimate - truth)[wall].mean()
    back = inverted(field[systole]) if inverse is None else inverse[systole]
    moved, painted = carried(case.labels[0], back), case.labels[systole]
    scores = [
        (dice(moved == v, painted == v), hausdorff95(moved == v, painted == v, spacing))
        for v in case.names
        if (painted == v).any()
    ]
    found["dice_es"], found["hd95_es"] = np.nanmean(scores, axis=0)
    determinants = np.stack([jacobian(f.astype(float), spacing)[organ] for f in field[1:]])
    found["folded"] = (determinants <= 0).mean()
    found["sd_log_j"] = np.mean([np.log(np.maximum(d, 1e-3)).std() for d in determinants])
    scale = _column(spacing, ndim)

    def temporal(values: np.ndarray) -> float:
        return float(np.linalg.norm(np.diff(values, axis=0) * scale, axis=1)[:, organ].mean())

    truth = max(temporal(case.forward), 1e-6)
    found["gradient"] = temporal(field) / truth
    found["gradient_error"] = temporal(field - case.forward) / truth
    grid = identity(organ.shape)
    if inverse is not None:
        apart = [
            np.linalg.norm(f + sample(b, grid + f), axis=0)[organ].mean()
            for f, b in zip(field[1:], inverse[1:], strict=True)
        ]
        found["inverse_consistency"] = float(np.mean(apart))
    for name, each in (("rmse", field), ("rmse_true", case.forward)):
        found[name] = residual(case, each)
    return {name: float(value) for name, value in found.items()}


def residual(case: Case, field: np.ndarray) -> float:
    """Root mean square difference of the compensated frames to the reference in the organ, of the intensity range."""
    organ, grid = case.masks["organ"], identity(case.frames.shape[1:])
    low, high = np.percentile(case.frames, (1, 99))
    total = [
        np.square(sample(case.frames[t], grid + field[t])[organ] - case.frames[0][organ]).mean()
        for t in range(1, len(field))
    ]
    return float(np.sqrt(np.mean(total)) / (high - low))
