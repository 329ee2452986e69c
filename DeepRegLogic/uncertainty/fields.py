"""Fields of errors: samples that have a covariance at every pixel, and are alike nearby."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from .. import flow


def sample_errors(
    covariance: np.ndarray, spacing: Sequence[float], length: float, count: int, duration: float = 0.1, seed: int = 0
) -> np.ndarray:
    """``[count, T, ndim, *spatial]`` float32 in mm: Gaussian errors of a displacement.

    Each has the ``covariance`` ``[T, ndim, ndim, *spatial]`` in mm^2 at every pixel; places at a distance d have the
    correlation ``exp(-d^2 / (2 length^2))``, as noise has that is smoothed by a Gaussian of ``length / sqrt(2)``.

    Parameters
    ----------
    spacing : mm along the array's axes.
    length : mm.
    duration : the same of time, as a fraction of the cine.
    """
    frames, ndim, spatial = len(covariance), covariance.shape[1], covariance.shape[3:]
    generator = torch.Generator().manual_seed(seed)
    sigmas = [length / np.sqrt(2) / s for s in spacing]
    sigma_time = duration * frames / np.sqrt(2)
    margins = [int(np.ceil(1.5 * s)) if n > 1 else 0 for s, n in zip(sigmas, spatial, strict=True)]
    wide = [n + 2 * m for n, m in zip(spatial, margins, strict=True)]
    around = int(np.ceil(3 * sigma_time))
    noise = torch.randn((count * ndim, frames + 2 * around, *wide), generator=generator)
    for axis, sigma, margin, n in zip(
        range(1, ndim + 2), (sigma_time, *sigmas), (around, *margins), (frames, *spatial), strict=True
    ):
        if noise.shape[axis] > 1:
            noise = flow.along(_filter(n, margin, sigma), noise, axis)
    white = noise.view(count, ndim, frames, *spatial).transpose(1, 2).numpy()
    matrix = np.moveaxis(covariance, (1, 2), (-2, -1)).astype(float)
    values, vectors = np.linalg.eigh(matrix)
    # the symmetric root is smooth where the covariance is
    root = ((vectors * np.sqrt(np.maximum(values, 0))[..., None, :]) @ np.swapaxes(vectors, -1, -2)).astype(np.float32)
    return np.einsum("t...ij,stj...->sti...", root, white)


def _filter(n: int, margin: int, sigma: float) -> torch.Tensor:
    """Rows of unit length that smooth ``n + 2 margin`` values to n of the same variance."""
    places = np.arange(n + 2 * margin)
    rows = np.exp(-0.5 * np.square((np.arange(n)[:, None] + margin - places) / max(sigma, 1e-3)))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return torch.from_numpy(rows.astype(np.float32))
