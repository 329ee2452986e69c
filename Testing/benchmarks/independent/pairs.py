"""Real pairs with labels: what is registered, what it is aligned by, and what a field is worth there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from DeepRegLogic import Cine, io
from DeepRegLogic.registration.affine import align
from DeepRegLogic.registration.pair import in_voxels, pair_cine

from . import metrics

DATA = Path(os.environ.get("TEMPORAL_REGISTRATION_DATA", Path(__file__).resolve().parents[4] / "shared" / "data"))


@dataclass
class Pair:
    """Two images after their common alignment, as the worker takes cases.

    ``frames`` ``[2, ...]`` are the fixed image and the moving one resampled to it; ``places`` is where voxels of this
    grid are in the moving image before anything but the alignment: linear part and shift, in its voxels.
    """

    kind: str
    name: str
    frames: np.ndarray
    spacing: tuple[float, ...]
    fixed_labels: np.ndarray
    moving_labels: np.ndarray
    linear: np.ndarray
    shift: np.ndarray
    times: np.ndarray

    def score(self, field: np.ndarray, inverse: np.ndarray | None = None) -> dict[str, float]:
        """Figures of a displacement ``[ndim, ...]`` in voxels of the fixed grid."""
        ndim, grid = len(self.spacing), metrics.identity(field.shape[1:])
        moved = np.einsum("ij,j...->i...", self.linear, grid + field) + self.shift.reshape(-1, *[1] * ndim)
        warped = metrics.labels_at(self.moving_labels, moved)
        common = [v for v in np.unique(self.fixed_labels) if v and (self.moving_labels == v).any()]
        overlaps, distances = [], []
        for value in common:
            ours, theirs = warped == value, self.fixed_labels == value
            box = tuple(slice(a.min(), a.max() + 1) for a in np.nonzero(ours | theirs))
            overlaps.append(metrics.dice(ours[box], theirs[box]))
            distances.append(metrics.hausdorff95(ours[box], theirs[box], self.spacing))
        change = metrics.jacobian(field.astype(float), self.spacing)
        inside = self.frames[0] > self.frames[0].min()
        found = {"dice": np.mean(overlaps), "hd95": np.nanmean(distances), "folded": 100 * (change <= 0).mean()}
        found["sd_log_j"] = np.log(np.maximum(change[inside], 1e-3)).std()
        if inverse is not None:
            there_and_back = np.linalg.norm(field + metrics.sample(inverse, grid + field), axis=0)
            found["inverse_consistency"] = there_and_back[inside].mean()
        return {name: float(value) for name, value in found.items()}


def _by_affine(fixed: Cine, moving: Cine, *_labels: np.ndarray) -> np.ndarray:
    return align(fixed, moving)


def _by_labels(fixed: Cine, moving: Cine, fixed_labels: np.ndarray, moving_labels: np.ndarray) -> np.ndarray:
    """The centres of all labels on each other: a translation."""
    images = ((fixed, fixed_labels), (moving, moving_labels))
    here, there = (image.grid.voxel_to_mm(np.argwhere(drawn > 0).mean(0)) for image, drawn in images)
    matrix = np.eye(4)
    matrix[:3, 3] = there - here
    return matrix


def _as_they_are(*_images: object) -> np.ndarray:
    return np.eye(4)


ALIGNED: dict[str, Callable[..., np.ndarray]] = {"affine": _by_affine, "labels": _by_labels, "none": _as_they_are}

KINDS = {
    "brain": ("brain/*_T1_brain_2mm.nii.gz", ("T1_brain", "DLMUSE"), "affine"),
    "hippocampus": ("hippocampus/*_img.nii.gz", ("_img", "_label"), "labels"),
    "edes": ("edes/*_ED_im*.png", None, "none"),
}
"""Files, what turns their names into those of labels, and the alignment that is usual for them."""

CONTRASTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "same": lambda image: image,
    "inverted": lambda image: np.where(image > 0, 1 - image, 0),
    "t2": lambda image: np.where(image > 0, (1 - image) ** 2 + 0.15 * image, 0),
    "ct": lambda image: np.clip(3 * (image - 0.35), 0, 1),
    "bias": lambda image: image * np.exp(np.linspace(-0.7, 0.7, image.shape[-1])),
}
"""What is made of the moving image, whose values are in [0, 1]."""


def pairs(kind: str, count: int, skip: int = 0, by: str | None = None, contrast: str = "same") -> Iterator[Pair]:
    """Every subject to the next one (of heart pairs end-systole to end-diastole)."""
    pattern, names, usual = KINDS[kind]
    files = sorted(DATA.glob(pattern))
    for number in range(skip, min(skip + count, len(files))):
        if names is None:
            ed = files[number]
            stem = ed.name.split("_ED_")[0]
            images = (ed, next(ed.parent.glob(f"{stem}_ES_im*.png")))
            labels = tuple(ed.parent / f"{stem}_{phase}_endo.png" for phase in ("ED", "ES"))
        else:
            images = (files[number], files[(number + 1) % len(files)])
            labels = tuple(path.with_name(path.name.replace(*names)) for path in images)
        yield _pair(kind, images, labels, ALIGNED[by or usual], CONTRASTS[contrast])


def _pair(kind: str, images: tuple, labels: tuple, alignment: Callable, contrast: Callable) -> Pair:
    fixed, moving = (io.read_image(path) for path in images)
    drawn = [np.rint(io.read_image(path).frames[0]).astype(np.int32) for path in labels]
    low, high = np.percentile(moving.frames, (0.5, 99.5))
    changed = contrast(np.clip((moving.frames[0].astype(float) - low) / (high - low), 0, 1))
    moving = Cine(100 * changed[None].astype(np.float32), moving.grid, name=moving.name)
    matrix = alignment(fixed, moving, *drawn)
    linear, shift = in_voxels(matrix, fixed.grid)
    # from voxels of the fixed grid after the matrix to those of the moving grid
    corners = np.vstack([np.zeros(fixed.grid.ndim), np.eye(fixed.grid.ndim)])
    there = moving.grid.mm_to_voxel(fixed.grid.voxel_to_mm(corners @ linear.T + shift))
    frames = pair_cine(fixed, moving, matrix).frames
    name = f"{moving.name} to {fixed.name}"
    return Pair(
        kind, name, frames, fixed.grid.array_spacing, *drawn, (there[1:] - there[0]).T, there[0], np.arange(2.0)
    )
