"""Two images as a pair: onto the fixed grid with or without an affine matrix, which the motion then begins with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from .. import flow
from ..cine import Cine, Source, intensity_range, working_type
from ..errors import InputError
from ..grid import Grid
from ..results.quality import frame_quality
from ..results.resample import points_of, sample_at
from ..results.results import Results
from .affine import Mask

_PARALLEL = 0.999  # cosine of the angle between the normals of two slices, at least


def pair_cine(fixed: Cine, moving: Cine, matrix: np.ndarray | None = None) -> Cine:
    """The cine of two frames [fixed, moving resampled to the fixed grid through ``matrix``], float32, or
    float64 where that is needed.

    Images whose pixels lie in different ranges (of another unit, or none) count as ones of two units, and are noted.

    Parameters
    ----------
    matrix : ``[4, 4]``, LPS mm, from a point of the fixed image to one of the moving image; None for no motion.

    Raises
    ------
    InputError : either has more than one frame, they share no part of space, only one is a slice, or two slices do not
        lie in one plane.
    """
    check_pair(fixed, moving)
    frame = moving.frames[0].astype(working_type(moving.frames))
    if matrix is not None or not moving.grid.matches(fixed.grid):
        frame, covered = _through(moving, fixed.grid, matrix)
        if not covered.any():
            raise InputError(f"'{fixed.name}' and '{moving.name}' share no part of space; align them first.")
    return _cine_of(fixed, moving, frame)


def _cine_of(fixed: Cine, moving: Cine, frame: np.ndarray) -> Cine:
    images = (fixed.frames[0].astype(working_type(fixed.frames)), frame)
    alike, notes = _same_range(*images), (*fixed.notes, *moving.notes)
    if not alike:
        note = f"The pixels of '{fixed.name}' and '{moving.name}' lie in different ranges; each is scaled by itself."
        notes = (*notes, note)
    name = f"{moving.name} to {fixed.name}"
    return Cine(
        np.stack(images),
        fixed.grid,
        name=name,
        suffix=fixed.suffix,
        notes=notes,
        one_unit=alike,
        source=_source_of(fixed, moving),
    )


def _source_of(fixed: Cine, moving: Cine) -> Source | None:
    """That of the fixed image, with both images; None where one of them is not from DICOM."""
    if fixed.source is None or moving.source is None:
        return None
    return replace(fixed.source, images=(fixed.source.images[0], moving.source.images[0]), pair=True)


def _same_range(fixed: np.ndarray, moving: np.ndarray) -> bool:
    """Whether the ranges of two images' pixels have more than half of what they cover in common."""
    (low, high), (lowest, highest) = intensity_range(fixed), intensity_range(moving)
    common, whole = min(high, highest) - max(low, lowest), max(high, highest) - min(low, lowest)
    return common > 0.5 * whole


def check_pair(fixed: Cine, moving: Cine) -> None:
    """Raise InputError for what is no pair: several frames, a slice with a volume, blank images, slices apart."""
    for image, role in ((fixed, "fixed"), (moving, "moving")):
        if len(image) != 1:
            raise InputError(f"The {role} image '{image.name}' has {len(image)} frames; a pair needs one image each.")
    if moving.grid.ndim != fixed.grid.ndim:
        raise InputError(f"'{fixed.name}' and '{moving.name}' must both be single slices or both be volumes.")
    for image, role in ((fixed, "fixed"), (moving, "moving")):
        if image.frames.min() == image.frames.max():
            raise InputError(f"The {role} image '{image.name}' is constant; there is nothing to register.")
    if fixed.grid.ndim == 3:
        return
    normals = [np.reshape(image.grid.direction, (3, 3))[:, 2] for image in (fixed, moving)]
    cosine = abs(float(normals[0] @ normals[1]))
    if cosine < _PARALLEL:
        angle = np.degrees(np.arccos(cosine))
        raise InputError(
            f"The slices '{fixed.name}' and '{moving.name}' are tilted by {angle:.0f} degrees; choose parallel ones."
        )
    # a slice has no thickness to meet in: the planes are laid on each other
    apart = abs(float((np.asarray(moving.grid.origin) - fixed.grid.origin) @ normals[0]))
    if apart > max(fixed.grid.spacing[2], moving.grid.spacing[2]):
        raise InputError(f"The slices '{fixed.name}' and '{moving.name}' lie {apart:.1f} mm apart.")


def _mapped(matrix: np.ndarray | None, points: np.ndarray) -> np.ndarray:
    return points if matrix is None else points @ matrix[:3, :3].T + matrix[:3, 3]


def _through(
    image: Cine | Mask, grid: Grid, matrix: np.ndarray | None, nearest: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """An image or mask on ``grid`` through a matrix, and where it is covered."""
    pixels = image.frames[0] if isinstance(image, Cine) else image.inside
    values, covered = sample_at(pixels, image.grid, _mapped(matrix, points_of(grid)), nearest)
    return values.reshape(grid.shape), covered.reshape(grid.shape)


def what_counts(
    grid: Grid, fixed_mask: Mask | None, moving_mask: Mask | None, matrix: np.ndarray | None
) -> np.ndarray | None:
    """``[*grid.shape]``: 1 where both masks are, the moving one through ``matrix``; None where there is no mask.

    Raises
    ------
    InputError : a mask has nothing on the fixed image, or the two do not meet.
    """
    found = None
    for mask, through in ((fixed_mask, None), (moving_mask, matrix)):
        if mask is not None:
            inside = _through(mask, grid, through, nearest=True)[0] > 0
            found = inside if found is None else found & inside
            if not found.any():
                raise InputError(
                    f"The mask '{mask.name}' marks nothing of what is registered; draw it on its own image, or align "
                    "the images first."
                )
    return None if found is None else found.astype(np.float32)


def power(matrix: np.ndarray, fraction: float, bits: int = 24) -> np.ndarray:
    """``matrix ** fraction`` for fractions from 0 to 1: the way of an affine motion, by square roots.

    The roots are those of the product form of Denman and Beavers 1976; there is none of a turn by 180 degrees.
    """
    if fraction >= 1:
        return matrix
    found, root = np.eye(len(matrix)), matrix
    for bit in range(1, bits + 1):
        root = _square_root(root)
        if int(fraction * 2**bit) % 2:
            found = found @ root
    return found


def _square_root(matrix: np.ndarray) -> np.ndarray:
    root, inverse = matrix, np.eye(len(matrix))
    for _ in range(30):
        root, inverse = 0.5 * (root + np.linalg.inv(inverse)), 0.5 * (inverse + np.linalg.inv(root))
        if np.abs(root @ root - matrix).max() < 1e-12 * np.abs(matrix).max():
            break
    return root


def in_voxels(matrix: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """A matrix of LPS mm in voxels of a grid, array axis order: linear part ``[ndim, ndim]`` and shift ``[ndim]``."""
    corners = np.vstack([np.zeros(grid.ndim), np.eye(grid.ndim)])
    moved = grid.mm_to_voxel(_mapped(matrix, grid.voxel_to_mm(corners)))
    return (moved[1:] - moved[0]).T, moved[0]


def before_matrix(displacement: np.ndarray, matrix: np.ndarray, grid: Grid) -> np.ndarray:
    """``[ndim, *shape]``: first a displacement, then the matrix, exactly."""
    linear, shift = in_voxels(matrix, grid)
    places = np.indices(grid.shape, dtype=float)
    moved = np.einsum("ij,j...->i...", linear, places + displacement) + shift.reshape(-1, *[1] * grid.ndim)
    return (moved - places).astype(np.float32)


def after_inverse_matrix(inverse: np.ndarray, matrix: np.ndarray, grid: Grid) -> np.ndarray:
    """``[ndim, *shape]``: first the inverse of the matrix, then an inverse displacement: the inverse of the above."""
    linear, shift = in_voxels(np.linalg.inv(matrix), grid)
    places = np.indices(grid.shape, dtype=float)
    there = np.einsum("ij,j...->i...", linear, places) + shift.reshape(-1, *[1] * grid.ndim)
    moves = torch.from_numpy((there - places).astype(np.float32))[None]
    with torch.inference_mode():
        return flow.compose(torch.from_numpy(np.array(inverse))[None], moves)[0].numpy()


def in_own_space(results: Results, fixed: Cine, moving: Cine, matrix: np.ndarray | None) -> Results:
    """The results of a pair that was aligned by ``matrix``, as a motion from the fixed to the moving image itself.

    The moving image is sampled once, on its own grid, so that nothing is lost where it reaches beyond the fixed one.
    """
    motion, grid = results.motion, fixed.grid
    if matrix is None and moving.grid.matches(grid):
        return results
    if matrix is not None:
        fields: dict[str, Any] = {
            "displacement": np.stack([motion.displacement[0], before_matrix(motion.displacement[1], matrix, grid)]),
            "inverse": np.stack([motion.inverse[0], after_inverse_matrix(motion.inverse[1], matrix, grid)]),
        }
        if motion.path is not None:
            count = len(motion.path) - 1
            steps = [before_matrix(u, power(matrix, n / count), grid) for n, u in enumerate(motion.path)]
            fields["path"] = np.stack(steps)
        if motion.covariance is not None:
            fields["covariance"] = turned(motion.covariance, matrix, grid)
        deformation = np.stack([motion.displacement[1], motion.inverse[1]])
        motion = replace(motion, affine=matrix, deformation=deformation, **fields)
        results = Results(motion, _cine_of(fixed, moving, _through(moving, grid, None)[0]))
    warped = sample_at(moving.frames[0], moving.grid, points_of(grid, motion.displacement[1]))[0]
    compensated = np.stack([results.cine.frames[0], warped.reshape(grid.shape)])
    results = Results(motion, results.cine)
    results.keep({"compensated": compensated})
    return results.with_motion(replace(motion, quality=frame_quality(results)))


def turned(covariance: np.ndarray, matrix: np.ndarray, grid: Grid) -> np.ndarray:
    """Covariances ``[T, ndim, ndim, *shape]`` in mm^2 along the array's axes, after the linear part of a matrix."""
    scale = np.asarray(grid.array_spacing)
    linear = in_voxels(matrix, grid)[0] * scale[:, None] / scale
    return np.einsum("ij,tjk...,lk->til...", linear, covariance, linear, optimize=True).astype(np.float32)


def fractions(steps: int) -> Sequence[float]:
    """From 0 to 1 in ``steps`` steps."""
    return [n / steps for n in range(steps + 1)]
