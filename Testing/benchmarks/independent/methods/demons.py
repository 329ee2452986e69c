"""SimpleITK's diffeomorphic demons, three resolutions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .base import Found, Pair, Run, image_of, pairwise, voxels


def demons(
    sigma: float = 1.5, fluid: float = 0.0, iterations: Sequence[int] = (100, 60, 40), match: bool = True
) -> Run:
    """``sigma`` and ``fluid``: standard deviations that smooth the field and its updates, in the finest voxels."""

    def run(frames: np.ndarray, spacing: Sequence[float], times: np.ndarray) -> Found:
        import SimpleITK as sitk

        def smaller(image: sitk.Image, factor: int) -> sitk.Image:
            if factor == 1:
                return image
            finest = min(image.GetSpacing())
            shrink = [factor if abs(s / finest - 1) < 0.5 else 1 for s in image.GetSpacing()]
            smooth = sitk.DiscreteGaussian(
                image, [(0.5 * f * s) ** 2 if f > 1 else 0.0 for f, s in zip(shrink, image.GetSpacing(), strict=True)]
            )
            return sitk.Shrink(smooth, shrink)

        def register(fixed: np.ndarray, moving: np.ndarray) -> Pair:
            target, source = image_of(fixed, spacing), image_of(moving, spacing)
            if match:
                source = sitk.HistogramMatching(source, target, 256, 10, True)
            found = None
            for factor, count in zip((4, 2, 1), iterations, strict=True):
                level_target, level_source = smaller(target, factor), smaller(source, factor)
                method = sitk.DiffeomorphicDemonsRegistrationFilter()
                method.SetNumberOfIterations(count)
                method.SetSmoothDisplacementField(True)
                ratio = min(level_target.GetSpacing()) / np.array(level_target.GetSpacing())
                method.SetStandardDeviations((sigma * ratio).tolist())
                if fluid:
                    method.SetSmoothUpdateField(True)
                    method.SetUpdateFieldStandardDeviations((fluid * ratio).tolist())
                start = [] if found is None else [sitk.Resample(found, level_target)]
                found = method.Execute(level_target, level_source, *start)
            return voxels(sitk.GetArrayFromImage(found), spacing), None

        return pairwise(frames, register)

    return run
