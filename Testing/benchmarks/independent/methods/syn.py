"""The symmetric normalization of ANTs, three resolutions, without the affine stages that a cine does not need."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence

import numpy as np

from .base import Found, Pair, Run, pairwise, voxels


def syn(
    metric: str = "CC", sampling: int = 4, iterations: Sequence[int] = (100, 70, 40), step: float = 0.2,
    flow: float = 3.0, total: float = 0.0,
) -> Run:  # fmt: skip
    def run(frames: np.ndarray, spacing: Sequence[float], times: np.ndarray) -> Found:
        import ants
        import SimpleITK as sitk

        def image_of(array: np.ndarray) -> object:
            return ants.from_numpy(np.ascontiguousarray(array.T), spacing=[float(s) for s in spacing[::-1]])

        def register(fixed: np.ndarray, moving: np.ndarray) -> Pair:
            with tempfile.TemporaryDirectory() as folder:
                found = ants.registration(
                    image_of(fixed), image_of(moving), type_of_transform="SyNOnly", initial_transform="Identity",
                    outprefix=os.path.join(folder, "t"), syn_metric=metric, syn_sampling=sampling, grad_step=step,
                    reg_iterations=tuple(iterations), flow_sigma=flow, total_sigma=total, singleprecision=True,
                )  # fmt: skip
                fields = []
                for names in (found["fwdtransforms"], found["invtransforms"]):
                    (name,) = (n for n in names if n.endswith(".nii.gz"))
                    vectors = sitk.GetArrayFromImage(sitk.ReadImage(name))
                    fields.append(voxels(vectors.reshape(*fixed.shape, fixed.ndim), spacing))
            return fields[0], fields[1]

        return pairwise(frames, register)

    return run
