"""Before a registration: what can be registered, which frame is the reference, which pixels, in which scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import SimpleITK as sitk
import torch

from . import flow
from .cine import Cine
from .errors import InputError, MemoryBudgetError
from .grid import Grid
from .measure import intensity_range

SMALLEST = 16

Region = tuple[Sequence[int], Sequence[int]]


def pair_cine(fixed: Cine, moving: Cine) -> Cine:
    """The cine of two frames [fixed, moving resampled to the fixed grid], float32.

    Raises InputError when either has more than one frame, or they share no part of space, or only one is a slice.
    """
    for image, role in ((fixed, "fixed"), (moving, "moving")):
        if len(image) != 1:
            raise InputError(f"The {role} image '{image.name}' has {len(image)} frames; a pair needs one image each.")
    frame = moving.frames[0].astype(np.float32)
    if not moving.grid.matches(fixed.grid):
        frame = _resampled(frame, moving, fixed)
    name = f"{moving.name} to {fixed.name}"
    return Cine(np.stack([fixed.frames[0].astype(np.float32), frame]), fixed.grid, name=name, suffix=fixed.suffix)


def _resampled(frame: np.ndarray, moving: Cine, fixed: Cine) -> np.ndarray:
    if moving.grid.ndim != fixed.grid.ndim:
        raise InputError(f"'{fixed.name}' and '{moving.name}' must both be single slices or both be volumes.")

    def image(pixels: np.ndarray, grid: Grid) -> sitk.Image:
        volume = sitk.GetImageFromArray(pixels.reshape(grid.size[::-1]))
        volume.SetSpacing(grid.spacing)
        volume.SetOrigin(grid.origin)
        volume.SetDirection(grid.direction)
        return volume

    if fixed.grid.ndim == 2:  # a slice has no thickness to meet in: the planes are laid on each other
        normal = np.reshape(fixed.grid.direction, (3, 3))[:, 2]
        apart = float((np.asarray(moving.grid.origin) - fixed.grid.origin) @ normal)
        if abs(apart) > max(fixed.grid.spacing[2], moving.grid.spacing[2]):
            raise InputError(f"The slices '{fixed.name}' and '{moving.name}' lie {abs(apart):.1f} mm apart.")
        origin = np.asarray(moving.grid.origin) - apart * normal
        moving = replace(moving, grid=replace(moving.grid, origin=tuple(origin)))
    target = image(np.zeros(fixed.grid.shape, np.uint8), fixed.grid)
    outside = float(frame.min()) - 1.0
    result = sitk.Resample(image(frame, moving.grid), target, sitk.Transform(), sitk.sitkLinear, outside)
    pixels = sitk.GetArrayFromImage(result).reshape(fixed.grid.shape)
    covered = pixels > outside + 0.5
    if not covered.any():
        raise InputError(f"'{fixed.name}' and '{moving.name}' share no part of space; align them first.")
    return np.where(covered, pixels, frame.min()).astype(np.float32)


def find_reference(cine: Cine) -> int:
    """The frame taken for end-diastole: of the two frames least alike, the one nearer in time to the first frame.

    In a heart the two are end-diastole and end-systole, and a cine starts at the R wave, close to end-diastole. The
    cycle is closed for this: the last frame is one step from the first.
    """
    distance = _frame_distances(cine)
    pair = np.unravel_index(int(np.argmax(distance)), distance.shape)
    return int(min(pair, key=lambda frame: min(frame, len(cine) - frame)))


def is_cyclic(cine: Cine) -> bool:
    """Whether the step from the last frame to the first is like the steps between neighbours (at most 1.5 times)."""
    if len(cine) < 5:
        return False
    distance = _frame_distances(cine)
    steps = distance[np.arange(len(cine) - 1), np.arange(1, len(cine))]
    return bool(distance[-1, 0] <= 1.5 * np.max(steps))


def _frame_distances(cine: Cine) -> np.ndarray:
    """Root mean square difference between all frames ``[T, T]``, of images thinned to about 64 pixels an axis."""
    thin = tuple(slice(None, None, max(1, n // 64)) for n in cine.grid.shape)
    pixels = cine.frames[(slice(None), *thin)].astype(np.float32)
    pixels = flow.smooth(torch.from_numpy(pixels)[:, None], 1.0).reshape(len(cine), -1)
    return torch.cdist(pixels, pixels).numpy() / np.sqrt(pixels.shape[1])


def check(cine: Cine) -> None:
    """Raise InputError for what cannot be followed: one frame, tiny images, constant images."""
    if len(cine) < 2:
        raise InputError(f"'{cine.name}' has one frame; following motion needs at least two.")
    if min(cine.grid.shape[-2:]) < SMALLEST:
        size = " x ".join(str(n) for n in cine.grid.shape)
        raise InputError(
            f"The images of '{cine.name}' have {size} pixels; at least {SMALLEST} x {SMALLEST} are needed."
        )
    blank = [t for t, frame in enumerate(cine.frames) if frame.min() == frame.max()]
    if len(blank) == len(cine):
        raise InputError(f"All frames of '{cine.name}' are constant; there is nothing to follow.")
    if blank:
        raise InputError(f"Frame {blank[0]} of '{cine.name}' is constant (blank); remove it from the cine.")


def region(roi: Region | None, cine: Cine) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The corners (start, stop) of a region of interest, kept inside the image; the whole image for None."""
    shape = cine.grid.shape
    if roi is None:
        return (0,) * len(shape), shape
    start, stop = (tuple(int(n) for n in corner) for corner in roi)
    if len(start) != len(shape) or len(stop) != len(shape):
        raise InputError(f"The region of interest needs {len(shape)} start and {len(shape)} stop voxels.")
    start = tuple(max(a, 0) for a in start)
    stop = tuple(min(b, n) for b, n in zip(stop, shape, strict=True))
    if min(b - a for a, b in zip(start[-2:], stop[-2:], strict=True)) < SMALLEST or any(
        b <= a for a, b in zip(start, stop, strict=True)
    ):
        raise InputError(
            f"The region of interest covers voxels {start} to {stop} of '{cine.name}'; it needs at least "
            f"{SMALLEST} x {SMALLEST} pixels inside the image."
        )
    return start, stop


def check_memory(cine: Cine, shape: Sequence[int], refining: bool, memory_gb: float | None) -> None:
    """Raise MemoryBudgetError when the estimated need is above ``memory_gb``.

    The estimate counts what grows with the cine: results, scaled frames, velocities, and the refinement's work.
    """
    if memory_gb is None:
        return
    whole, part, ndim = cine.frames.size, int(np.prod(shape)) * len(cine), cine.grid.ndim
    floats = whole * 2 * ndim + part * (2 + 3 * ndim) + (part * 4 * ndim if refining else 0)
    needed = 0.4 + floats * 4 / 2**30
    if needed > memory_gb:
        raise MemoryBudgetError(
            f"Registering '{cine.name}' needs about {needed:.1f} GB, but only {memory_gb:g} GB may be used; choose a "
            "smaller region of interest, fewer frames, or a larger budget."
        )


def scaled(cine: Cine, box: tuple[slice, ...]) -> torch.Tensor:
    """Frames ``[T, 1, *spatial]`` in [0, 1]: from the 1st to the 99th percentile of the cine."""
    frames = cine.frames[(slice(None), *box)]
    low, high = intensity_range(frames)
    if high <= low:
        raise InputError(f"The region of interest of '{cine.name}' is constant; there is nothing to follow.")
    scaled = (frames.astype(np.float32) - np.float32(low)) / np.float32(high - low)
    return torch.from_numpy(np.clip(scaled, 0.0, 1.0))[:, None]
