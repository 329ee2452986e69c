"""Affine registration of two images by SimpleITK, from several starts; by mutual information: contrasts may differ.

Two slices are aligned within the plane of the fixed one.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk

from ..cine import Cine
from ..errors import InputError
from ..grid import Grid
from ..progress import Reporter

_BUDGETS = (12_000, 100_000, 700_000)  # voxels of the levels, coarse to fine
_SAMPLES = 60_000
_BINS = 32
_TURNS = 20.0  # degrees of the starts, about every axis
_BEST = 3  # starts that are optimised
_ITERATIONS = 60
_LARGEST, _SMALLEST = 3.0, 1 / 3  # stretch along any direction


@dataclass(frozen=True, eq=False)
class Mask:
    """Where an image counts: ``inside`` ``[*grid.shape]``, above 0 inside, on a grid of its own.

    Raises
    ------
    InputError : nothing is inside, or the array is not on the grid.
    """

    inside: np.ndarray
    grid: Grid
    name: str = "mask"

    def __post_init__(self) -> None:
        if self.inside.shape != self.grid.shape:
            raise InputError(f"The mask '{self.name}' has shape {self.inside.shape}, its grid {self.grid.shape}.")
        if not (self.inside > 0).any():
            raise InputError(f"The mask '{self.name}' is empty; draw what is to be registered, or leave the mask out.")


def align(
    fixed: Cine,
    moving: Cine,
    fixed_mask: Mask | None = None,
    moving_mask: Mask | None = None,
    reporter: Reporter | None = None,
) -> np.ndarray:
    """The affine matrix ``[4, 4]``, LPS mm, that takes a point of the fixed image to one of the moving image.

    Centres of the images and of their brightness, each with small turns about every axis, are tried at the coarsest
    level by mutual information (Mattes et al. 2003); the best few are registered rigidly, the best of these affinely,
    coarse to fine. It needs no overlap.

    Parameters
    ----------
    fixed, moving : images of one frame, both of one slice or both volumes.
    fixed_mask, moving_mask : only voxels inside count.

    Raises
    ------
    InputError : images that cannot be aligned.
    Cancelled : between two levels.
    """
    reporter = reporter or Reporter()
    plane = _Plane(fixed.grid)
    sources = [(fixed.frames[0], fixed.grid, fixed_mask), (moving.frames[0], moving.grid, moving_mask)]
    images, masks = [], []
    for pixels, grid, mask in sources:
        images.append(plane.image(pixels.astype(np.float32), grid))
        masks.append(None if mask is None else plane.image((mask.inside > 0).astype(np.uint8), mask.grid))
    try:
        found = _coarse_to_fine(images, masks, reporter)
    except RuntimeError as error:
        raise InputError(
            f"'{moving.name}' could not be aligned to '{fixed.name}' ({_last_line(error)}); place it nearer, give "
            "masks of the same anatomy, or register without the affine step."
        ) from error
    return plane.matrix(found)


class _Plane:
    """Images as SimpleITK has them: volumes where they are, slices in the plane of the fixed grid, whose origin is 0.

    ``basis`` ``[3, ndim]`` are the axes, and ``origin`` is the zero, of the coordinates in which is registered.
    """

    def __init__(self, fixed: Grid) -> None:
        self.ndim = fixed.ndim
        self.direction = np.reshape(fixed.direction, (3, 3)) if fixed.ndim == 2 else np.eye(3)
        self.basis = self.direction[:, : self.ndim]
        self.origin = np.asarray(fixed.origin) if fixed.ndim == 2 else np.zeros(3)

    def image(self, pixels: np.ndarray, grid: Grid) -> sitk.Image:
        image = sitk.GetImageFromArray(pixels)
        image.SetSpacing(grid.spacing[: self.ndim])
        image.SetOrigin((self.basis.T @ (np.asarray(grid.origin) - self.origin)).tolist())
        axes = self.basis.T @ np.reshape(grid.direction, (3, 3))[:, : self.ndim]
        image.SetDirection(axes.ravel().tolist())
        return image

    def matrix(self, transform: sitk.Transform) -> np.ndarray:
        """A transform of these coordinates as a matrix ``[4, 4]`` in LPS mm."""
        shift = np.array(transform.TransformPoint((0.0,) * self.ndim))
        columns = [np.array(transform.TransformPoint(axis)) - shift for axis in np.eye(self.ndim).tolist()]
        inside, moved = np.eye(3), np.zeros(3)
        inside[: self.ndim, : self.ndim], moved[: self.ndim] = np.stack(columns, axis=1), shift
        matrix = np.eye(4)
        matrix[:3, :3] = self.direction @ inside @ self.direction.T
        matrix[:3, 3] = self.origin + self.direction @ moved - matrix[:3, :3] @ self.origin
        return matrix


def _coarse_to_fine(
    images: Sequence[sitk.Image], masks: Sequence[sitk.Image | None], reporter: Reporter
) -> sitk.Transform:
    text, ndim = "Aligning the images", images[0].GetDimension()
    reporter(0.0, text)
    coarse = _Level(images, masks, _BUDGETS[0])
    ranked = sorted(((coarse.value(start), n, start) for n, start in enumerate(_starts(images, masks))))
    starts = [start for value, _, start in ranked[:_BEST] if math.isfinite(value)]
    if not starts:
        raise RuntimeError("the images do not meet")
    rigid = []
    for number, start in enumerate(starts):
        reporter(0.1 + 0.2 * number / len(starts), text)
        rigid.append(coarse.optimised(start))
    best = min(rigid, key=coarse.value)
    found = sitk.AffineTransform(ndim)
    found.SetCenter(best.GetCenter())
    found.SetMatrix(best.GetMatrix())
    found.SetTranslation(best.GetTranslation())
    for number, budget in enumerate(_BUDGETS):
        reporter(0.3 + 0.7 * number / len(_BUDGETS), text)
        level = coarse if number == 0 else _Level(images, masks, budget)
        candidate = level.optimised(found)
        if _plausible(candidate) and level.value(candidate) <= level.value(found):
            found = candidate
    reporter(1.0, text)
    return found


def _plausible(transform: sitk.AffineTransform) -> bool:
    ndim = transform.GetDimension()
    matrix = np.reshape(transform.GetMatrix(), (ndim, ndim))
    stretches = np.linalg.svd(matrix, compute_uv=False)
    return bool(np.linalg.det(matrix) > 0 and stretches.min() > _SMALLEST and stretches.max() < _LARGEST)


def _starts(images: Sequence[sitk.Image], masks: Sequence[sitk.Image | None]) -> list[Any]:
    """Rigid transforms: no motion, and the centres laid on each other with and without turns."""
    ndim = images[0].GetDimension()
    kind: Any = sitk.Euler2DTransform if ndim == 2 else sitk.Euler3DTransform
    middles = [_middle(image) for image in images]
    weights = [_centre_of_mass(image, mask) for image, mask in zip(images, masks, strict=True)]
    angles: list[tuple[float, ...]] = [(0.0,) * (1 if ndim == 2 else 3)]
    for axis, sign in itertools.product(range(len(angles[0])), (-1, 1)):
        angles.append(tuple(sign * math.radians(_TURNS) if a == axis else 0.0 for a in range(len(angles[0]))))
    still = kind()
    still.SetCenter(middles[0].tolist())
    starts = [still]
    for (here, there), turns in itertools.product((middles, weights), angles):
        start = kind()
        start.SetCenter(here.tolist())
        start.SetTranslation((there - here).tolist())
        if ndim == 2:
            start.SetAngle(turns[0])
        else:
            start.SetRotation(*turns)
        starts.append(start)
    return starts


def _middle(image: sitk.Image) -> np.ndarray:
    return np.array(image.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in image.GetSize()]))


def _centre_of_mass(image: sitk.Image, mask: sitk.Image | None) -> np.ndarray:
    """Of the mask where there is one, or else of the brightness above the darkest tenth."""
    source = image if mask is None else mask
    weight = sitk.GetArrayViewFromImage(source).astype(np.float64)
    weight = np.clip(weight - np.percentile(weight, 10), 0, None) if mask is None else weight
    if not weight.any():
        return _middle(image)
    index = [float(np.average(place, weights=weight)) for place in np.indices(weight.shape)][::-1]
    return np.array(source.TransformContinuousIndexToPhysicalPoint(index))


class _Level:
    """Both images at one resolution, of at most ``budget`` voxels each."""

    def __init__(self, images: Sequence[sitk.Image], masks: Sequence[sitk.Image | None], budget: int) -> None:
        self.fixed, self.moving = (_thinned(image, budget) for image in images)
        self.masks = masks

    def _method(self) -> sitk.ImageRegistrationMethod:
        method = sitk.ImageRegistrationMethod()
        method.SetMetricAsMattesMutualInformation(_BINS)
        method.SetInterpolator(sitk.sitkLinear)
        voxels = self.fixed.GetNumberOfPixels()
        if voxels > _SAMPLES:
            method.SetMetricSamplingStrategy(method.REGULAR)
            method.SetMetricSamplingPercentage(_SAMPLES / voxels, 1)
        for mask, take in zip(self.masks, (method.SetMetricFixedMask, method.SetMetricMovingMask), strict=True):
            if mask is not None:
                take(mask)
        return method

    def value(self, transform: sitk.Transform) -> float:
        """Minus the mutual information; infinite where the images do not meet."""
        method = self._method()
        method.SetInitialTransform(transform)
        try:
            return float(method.MetricEvaluate(self.fixed, self.moving))
        except RuntimeError:
            return math.inf

    def optimised(self, start: Any) -> Any:
        method, found = self._method(), type(start)(start)
        method.SetOptimizerAsConjugateGradientLineSearch(
            learningRate=1.0, numberOfIterations=_ITERATIONS, convergenceMinimumValue=1e-5, convergenceWindowSize=6,
            lineSearchUpperLimit=3.0, lineSearchMaximumIterations=8, estimateLearningRate=method.EachIteration,
            maximumStepSizeInPhysicalUnits=max(self.fixed.GetSpacing()),
        )  # fmt: skip
        method.SetOptimizerScalesFromPhysicalShift()
        method.SetInitialTransform(found, inPlace=True)
        try:
            method.Execute(self.fixed, self.moving)
        except RuntimeError:  # it left the image
            return start
        return found


def _thinned(image: sitk.Image, budget: int) -> sitk.Image:
    """Blurred and resampled to at most about ``budget`` voxels, the short axes first."""
    size, spacing = np.array(image.GetSize()), np.array(image.GetSpacing())
    step = spacing.min()
    while np.prod(np.ceil(size * np.minimum(1.0, spacing / step))) > budget:
        step *= 1.1
    target = np.maximum(spacing, step)
    if np.allclose(target, spacing):
        return image
    sigmas = [0.5 * t if t > s else 0.0 for s, t in zip(spacing, target, strict=True)]
    smooth = sitk.DiscreteGaussian(image, [s**2 for s in sigmas])
    new = [max(1, math.floor((n - 1) * s / t) + 1) for n, s, t in zip(size, spacing, target, strict=True)]
    return sitk.Resample(
        smooth, new, sitk.Transform(), sitk.sitkLinear, image.GetOrigin(), target.tolist(), image.GetDirection()
    )


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1].rpartition("ERROR: ")[2] if lines else type(error).__name__).rstrip(".")
