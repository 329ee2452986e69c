"""What blood and muscle look like around a place, so that an image can be read as 1 for blood and 0 for muscle."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import SimpleITK as sitk
import torch

from .. import flow

_BLUR = 0.8  # mm
_NEAR = 8.0  # mm from the click: where blood is
_NARROW = (2.0, 0.0)  # mm: half the width of what connects two pools
_SHELL = 5.0  # mm around the blood: where muscle is


class Tissue(NamedTuple):
    """Intensities.

    Attributes
    ----------
    blood, muscle : medians.
    contrast : their distance in standard deviations of both.
    centre : ``[2]`` mm, of the pool of blood.
    radius : mm, of a disc as large as that pool.
    """

    blood: float
    muscle: float
    contrast: float
    centre: np.ndarray
    radius: float

    def read(self, image: np.ndarray) -> np.ndarray:
        """The image with blood 1 and muscle 0."""
        return (image - self.muscle) / (self.blood - self.muscle)


def blurred(image: np.ndarray, spacing: tuple[float, float]) -> np.ndarray:
    """The image ``[H, W]`` a little smoother, float32."""
    pixels = torch.from_numpy(np.ascontiguousarray(image, np.float32))[None, None]
    return np.asarray(flow.smooth(pixels, [_BLUR / s for s in spacing])[0, 0].numpy())


def tissue_at(
    image: np.ndarray, spacing: tuple[float, float], centre: np.ndarray, looked: float, other: bool = False
) -> Tissue | None:
    """What blood at ``centre`` (mm) and the muscle around it look like; None where there are not two tissues.

    Otsu's threshold (1979) of what is within ``looked`` mm; blood is the class of most of the click's surroundings, as
    far as it is connected (with ``other``: the class of the rest, for a click on a papillary muscle); muscle is the
    other class within 5 mm of it.
    """
    rows, columns = (np.arange(n) * s for n, s in zip(image.shape, spacing, strict=True))
    distance = np.hypot(rows[:, None] - centre[0], columns[None] - centre[1])
    seen = distance <= looked
    values = np.sort(image[seen])
    threshold = _otsu(values)
    if threshold is None:
        return None
    click = image[distance <= _NEAR]
    if click.size == 0:
        return None
    bright = bool(np.mean(click > threshold) >= 0.5) != other
    mask = seen & ((image > threshold) == bright)
    blood = _pool(mask, spacing, distance)
    if blood is None:
        return None
    away = _away(blood, spacing)
    core = away <= -1.0
    shell = (away >= 1.0) & (away <= _SHELL) & ~mask & seen
    if core.sum() < 8 or shell.sum() < 8:
        return None
    means = [float(np.median(image[part])) for part in (core, shell)]
    if means[0] == means[1]:
        return None
    spreads = [float(np.median(np.abs(image[part] - m))) * 1.4826 for part, m in zip((core, shell), means, strict=True)]
    noise = max(math.hypot(*spreads), 1e-6 * max(map(abs, means)))
    area = float(blood.sum()) * spacing[0] * spacing[1]
    where = np.argwhere(blood).mean(axis=0) * spacing
    return Tissue(means[0], means[1], abs(means[0] - means[1]) / noise, where, math.sqrt(area / math.pi))


def _away(mask: np.ndarray, spacing: tuple[float, float]) -> np.ndarray:
    """Distance of every pixel in mm from the border of a mask, below 0 inside."""
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    image.SetSpacing((spacing[1], spacing[0]))
    return sitk.GetArrayFromImage(sitk.SignedMaurerDistanceMap(image, squaredDistance=False, useImageSpacing=True))


def _pool(mask: np.ndarray, spacing: tuple[float, float], distance: np.ndarray) -> np.ndarray | None:
    """The part of a mask that the click is in, cut where it is narrow: what leaks through a thin wall is another."""
    for narrow in _NARROW:
        opened = _away(mask, spacing) <= -narrow
        parts = sitk.GetArrayFromImage(sitk.ConnectedComponent(sitk.GetImageFromArray(opened.astype(np.uint8))))
        near = (distance <= _NEAR) & (parts > 0)
        if near.any():
            part = parts == np.bincount(parts[near]).argmax()
            return mask & (_away(part, spacing) <= narrow + 0.5)
    return None


def _otsu(values: np.ndarray) -> float | None:
    """The threshold of sorted values that leaves the least variance in both classes."""
    if len(values) < 16 or values[0] == values[-1]:
        return None
    edges = np.linspace(values[0], values[-1], 257)
    counts = np.histogram(values, edges)[0].astype(float)
    middles = 0.5 * (edges[1:] + edges[:-1])
    below, total = np.cumsum(counts), counts.sum()
    moment = np.cumsum(counts * middles)
    with np.errstate(invalid="ignore", divide="ignore"):
        between = (moment[-1] * below / total - moment) ** 2 / (below * (total - below))
    return float(edges[1:][np.nanargmax(between[:-1])])
