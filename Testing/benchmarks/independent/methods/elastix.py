"""Cubic splines by elastix: frame by frame, and all frames at once."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence

import numpy as np

from ..metrics import identity, inverted, sample
from .base import Found, Pair, Run, pairwise, scaled, voxels


def _parameters(values: dict[str, object]) -> dict[str, list[str]]:
    def text(value: object) -> str:
        return str(value).lower() if isinstance(value, bool) else str(value)

    return {
        k: [text(v) for v in value] if isinstance(value, list | tuple) else [text(value)] for k, value in values.items()
    }


def _elastix(fixed: object, moving: object, values: dict[str, object]) -> np.ndarray:
    """The vectors ``[..., ndim]`` in mm that elastix finds."""
    import itk

    parameters = itk.ParameterObject.New()
    parameters.AddParameterMap(_parameters(values))
    kind = type(fixed)
    method = itk.ElastixRegistrationMethod[kind, kind].New(FixedImage=fixed, MovingImage=moving)
    method.SetParameterObject(parameters)
    method.SetLogToConsole(False)
    method.SetNumberOfThreads(1)
    method.UpdateLargestPossibleRegion()
    apply = itk.TransformixFilter[kind].New(MovingImage=moving)
    apply.SetTransformParameterObject(method.GetTransformParameterObject())
    apply.SetComputeDeformationField(True)
    apply.SetLogToConsole(False)
    with tempfile.TemporaryDirectory() as folder:  # it writes the field there, too
        apply.SetOutputDirectory(folder)
        apply.UpdateLargestPossibleRegion()
        return itk.GetArrayFromImage(apply.GetOutputDeformationField())


LEVELS = (4, 2, 1)

ELASTIX: dict[str, object] = {
    "FixedInternalImagePixelType": "float", "MovingInternalImagePixelType": "float", "UseDirectionCosines": True,
    "Registration": "MultiMetricMultiResolutionRegistration", "Interpolator": "BSplineInterpolator",
    "BSplineInterpolationOrder": 1, "ResampleInterpolator": "FinalBSplineInterpolator", "Resampler": "DefaultResampler",
    "FixedImagePyramid": "FixedSmoothingImagePyramid", "MovingImagePyramid": "MovingSmoothingImagePyramid",
    "Optimizer": "AdaptiveStochasticGradientDescent", "HowToCombineTransforms": "Compose",
    "AutomaticParameterEstimation": True, "ImageSampler": "RandomCoordinate", "NewSamplesEveryIteration": True,
    "CheckNumberOfSamples": False, "NumberOfResolutions": 3, "WriteResultImage": False, "RandomSeed": 1,
    "ResultImageFormat": "nii", "DefaultPixelValue": 0,
}  # fmt: skip


def _itk_image(array: np.ndarray, spacing: Sequence[float]) -> object:
    import itk

    image = itk.GetImageFromArray(np.ascontiguousarray(array.astype(np.float32)))
    image.SetSpacing([float(s) for s in spacing[::-1]])
    return image


def _knots(apart: float, spacing: Sequence[float]) -> list[float]:
    """Distances of the knots in mm, in ITK's order: ``apart`` pixels, but two slices of a stack of thick ones."""
    return [apart * spacing[-1] if s < 2 * spacing[-1] else 2 * s for s in spacing[::-1]]


def bspline(
    knots: float = 8.0, bending: float = 1.0, iterations: int = 400, samples: int = 4096,
    metric: str = "AdvancedNormalizedCorrelation",
) -> Run:  # fmt: skip
    def run(frames: np.ndarray, spacing: Sequence[float], times: np.ndarray) -> Found:
        ndim = frames.ndim - 1
        apart = _knots(knots, spacing)
        values = ELASTIX | {
            "FixedImageDimension": ndim, "MovingImageDimension": ndim, "Transform": "BSplineTransform",
            "Metric": [metric, "TransformBendingEnergyPenalty"], "Metric0Weight": 1.0, "Metric1Weight": bending,
            "FinalGridSpacingInPhysicalUnits": apart, "GridSpacingSchedule": list(LEVELS),
            "ImagePyramidSchedule": [f for level in LEVELS for f in (level, level, level if ndim == 2 else 1)[:ndim]],
            "MaximumNumberOfIterations": iterations, "NumberOfSpatialSamples": samples,
        }  # fmt: skip

        def register(fixed: np.ndarray, moving: np.ndarray) -> Pair:
            vectors = _elastix(_itk_image(fixed, spacing), _itk_image(moving, spacing), values)
            return voxels(vectors, spacing), None

        return pairwise(frames, register)

    return run


def groupwise(knots: float = 8.0, iterations: int = 800, samples: int = 4096) -> Run:
    """All frames at once, to a mean that belongs to none; then from frame 0 through it."""

    def run(frames: np.ndarray, spacing: Sequence[float], times: np.ndarray) -> Found:
        images, ndim = scaled(frames), frames.ndim - 1
        apart = _knots(knots, spacing)
        levels = [(level, level, level if ndim == 2 else 1)[:ndim] for level in LEVELS]
        values = ELASTIX | {
            "FixedImageDimension": ndim + 1, "MovingImageDimension": ndim + 1, "Transform": "BSplineStackTransform",
            "Registration": "MultiResolutionRegistration", "Metric": "VarianceOverLastDimensionMetric",
            "SampleLastDimensionRandomly": False, "NumSamplesLastDimension": len(images), "SubtractMean": True,
            "FixedImagePyramid": "FixedSmoothingImagePyramid", "MovingImagePyramid": "MovingSmoothingImagePyramid",
            "Interpolator": "ReducedDimensionBSplineInterpolator",
            "ResampleInterpolator": "FinalReducedDimensionBSplineInterpolator",
            "FinalGridSpacingInPhysicalUnits": apart, "GridSpacingSchedule": list(LEVELS),
            "ImagePyramidSchedule": [f for level in levels for f in (*level, 1)],
            "MaximumNumberOfIterations": iterations, "NumberOfSpatialSamples": samples,
            "MovingImageDerivativeScales": [1] * ndim + [0],
        }  # fmt: skip
        stack = _itk_image(images, (1.0, *spacing))
        vectors = _elastix(stack, stack, values)[..., :ndim]
        to_frames = np.stack([voxels(v, spacing) for v in vectors])
        to_mean = [inverted(f) for f in to_frames]
        grid = identity(images.shape[1:])

        def after(first: np.ndarray, second: np.ndarray) -> np.ndarray:
            return first + sample(second, grid + first)

        forward = np.stack([after(to_mean[0], f) for f in to_frames]).astype(np.float32)
        inverse = np.stack([after(b, to_frames[0]) for b in to_mean]).astype(np.float32)
        forward[0] = inverse[0] = 0
        return Found(forward, inverse)

    return run
