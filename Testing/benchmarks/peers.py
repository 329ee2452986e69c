"""Registrations of other libraries, for comparison on the same data in the same run."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk


def demons(fixed: np.ndarray, moving: np.ndarray, sigma: float = 1.5) -> np.ndarray:
    """SimpleITK's diffeomorphic Demons, three resolutions: the displacement ``[ndim, *spatial]`` in voxels, pull-back.

    ``fixed`` and ``moving`` are arrays in [0, 1]; ``sigma`` is the smoothing of the field in voxels.
    """
    target, source = (sitk.GetImageFromArray(image.astype(np.float32)) for image in (fixed, moving))
    source = sitk.HistogramMatching(source, target, 256, 10, True)
    field = None
    for shrink, iterations in ((4, 100), (2, 60), (1, 30)):
        level_target, level_source = (_shrunk(image, shrink) for image in (target, source))
        method = sitk.DiffeomorphicDemonsRegistrationFilter()
        method.SetNumberOfIterations(iterations)
        method.SetSmoothDisplacementField(True)
        method.SetStandardDeviations(sigma)
        if field is None:
            field = method.Execute(level_target, level_source)
        else:
            field = method.Execute(level_target, level_source, sitk.Resample(field, level_target))
    return np.moveaxis(sitk.GetArrayFromImage(field), -1, 0)[::-1].astype(np.float32)


def _shrunk(image: sitk.Image, factor: int) -> sitk.Image:
    if factor == 1:
        return image
    smooth = sitk.SmoothingRecursiveGaussian(image, 0.5 * factor)
    size = [max(16, n // factor) for n in image.GetSize()]
    spacing = [(n - 1) / (m - 1) for n, m in zip(image.GetSize(), size, strict=True)]
    return sitk.Resample(smooth, size, sitk.Transform(), sitk.sitkLinear, image.GetOrigin(), spacing)
