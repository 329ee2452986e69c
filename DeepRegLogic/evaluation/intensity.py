"""How alike two images are: figures of intensities. Images are ``[*spatial]``; a range of theirs counts as 1."""

from __future__ import annotations

import numpy as np
import torch

from .phase import phase_congruency

_SSIM_WINDOW, _SSIM_SIGMA = 11, 1.5
_BINS = 64
_FSIM_PHASE, _FSIM_GRADIENT, _FSIM_SIDE = 0.85, 160.0, 256


def similarity(found: np.ndarray, true: np.ndarray, low: float, high: float) -> dict[str, float]:
    """``rmse`` (a fraction of the range from ``low`` to ``high``), ``ncc``, ``nmi``, ``ssim`` and ``fsim``."""
    a, b = ((image.astype(np.float64) - low) / max(high - low, 1e-12) for image in (found, true))
    return {"rmse": rmse(a, b), "ncc": ncc(a, b), "nmi": nmi(a, b), "ssim": ssim(a, b), "fsim": fsim(a, b)}


def rmse(a: np.ndarray, b: np.ndarray) -> float:
    """Root mean square difference."""
    return float(np.sqrt(np.mean(np.square(a - b))))


def ncc(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation coefficient of all voxels; NaN of a constant image."""
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum() / scale) if scale > 0 else float("nan")


def nmi(a: np.ndarray, b: np.ndarray) -> float:
    """Normalised mutual information (H(a) + H(b)) / H(a, b), from 1 to 2, of 64 bins (Studholme et al. 1999)."""
    joint = np.histogram2d(a.ravel(), b.ravel(), bins=_BINS)[0]

    def entropy(counts: np.ndarray) -> float:
        share = counts[counts > 0] / counts.sum()
        return float(-(share * np.log(share)).sum())

    both = entropy(joint)
    return (entropy(joint.sum(0)) + entropy(joint.sum(1))) / both if both > 0 else float("nan")


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Mean structural similarity (Wang et al. 2004) as MONAI has it, Gaussian windows of 11 voxels at most."""
    from monai.metrics.regression import compute_ssim_and_cs

    sides = [min(_SSIM_WINDOW, n - 1 + n % 2) for n in a.shape]
    first, second = (torch.from_numpy(image.astype(np.float32))[None, None] for image in (a, b))
    found, _ = compute_ssim_and_cs(first, second, a.ndim, sides, [_SSIM_SIGMA] * a.ndim)
    return float(found.mean())


def fsim(a: np.ndarray, b: np.ndarray) -> float:
    """Feature similarity of images in [0, 1]: phase congruency and gradients (Zhang et al. 2011); of a volume the mean
    over its slices. NaN where there is no feature."""
    if a.ndim == 3:
        found = [fsim(*slices) for slices in zip(a, b, strict=True)]
        known = [value for value in found if np.isfinite(value)]
        return float(np.mean(known)) if known else float("nan")
    a, b = (_thinned(255.0 * image) for image in (a, b))
    phase_a, phase_b = phase_congruency(a), phase_congruency(b)
    alike = _alike(phase_a, phase_b, _FSIM_PHASE) * _alike(_scharr(a), _scharr(b), _FSIM_GRADIENT)
    weight = np.maximum(phase_a, phase_b)
    total = float(weight.sum())
    return float((alike * weight).sum() / total) if total > 0 else float("nan")


def _alike(a: np.ndarray, b: np.ndarray, constant: float) -> np.ndarray:
    return (2 * a * b + constant) / (a**2 + b**2 + constant)


def _thinned(image: np.ndarray) -> np.ndarray:
    """Means of blocks, so that the shorter side is about 256 pixels."""
    block = max(1, round(min(image.shape) / _FSIM_SIDE))
    rows, columns = (n // block * block for n in image.shape)
    return image[:rows, :columns].reshape(rows // block, block, columns // block, block).mean((1, 3))


def _scharr(image: np.ndarray) -> np.ndarray:
    """Length of the gradient by Scharr's operator, border continued."""
    padded = np.pad(image, 1, mode="edge")

    def along(values: np.ndarray) -> np.ndarray:
        smooth = (3 * values[:-2] + 10 * values[1:-1] + 3 * values[2:]) / 16
        return smooth[:, 2:] - smooth[:, :-2]

    return np.hypot(along(padded), along(padded.T).T)


def intensity_variance(frames: np.ndarray, low: float, high: float) -> float:
    """Mean over the voxels of the variance over frames ``[T, *spatial]``, a fraction of the squared range."""
    return float(frames.astype(np.float64).var(axis=0).mean() / max(high - low, 1e-12) ** 2)
