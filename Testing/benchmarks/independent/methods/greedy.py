"""The greedy diffeomorphic registration of PICSL."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from .base import Found, Pair, Run, image_of, pairwise, voxels


def greedy(
    metric: str = "NCC 4x4", iterations: str = "100x100x60", smooth: Sequence[float] = (2.0, 0.7), step: float = 0.5
) -> Run:
    def run(frames: np.ndarray, spacing: Sequence[float], times: np.ndarray) -> Found:
        import picsl_greedy
        import SimpleITK as sitk

        ndim = frames.ndim - 1
        tool = picsl_greedy.Greedy2D if ndim == 2 else picsl_greedy.Greedy3D
        window = f"{metric}x1" if ndim == 3 and metric.count("x") == 1 else metric  # of stacks, within slices

        def register(fixed: np.ndarray, moving: np.ndarray) -> Pair:
            g = tool()
            with open(os.devnull, "w", encoding="utf-8") as quiet:
                g.execute(
                    f"-threads 1 -V 0 -i fixed moving -m {window} -n {iterations} -s {smooth[0]}vox {smooth[1]}vox "
                    f"-e {step} -o warp -oinv inverse",
                    fixed=image_of(fixed, spacing),
                    moving=image_of(moving, spacing),
                    warp=None,
                    inverse=None,
                    out=quiet,
                    err=quiet,
                )
            arrays = [sitk.GetArrayFromImage(g[name]) for name in ("warp", "inverse")]
            forward, inverse = (voxels(a[..., :ndim], spacing) for a in arrays)
            return forward, inverse

        return pairwise(frames, register)

    return run
