"""How well two regions agree: overlap, distances of their surfaces, volumes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk
import torch


def overlap(found: np.ndarray, true: np.ndarray, spacing: Sequence[float]) -> dict[str, float]:
    """Figures of two masks ``[*spatial]`` with ``spacing`` mm along their axes.

    Returns
    -------
    ``dice`` and ``iou`` as MONAI has them; ``hd95`` (the larger of the two 95th percentiles of surface distances) and
    ``assd`` (the mean of all of both ways) in mm; ``volume_difference`` of the found region in percent of the true one.
    NaN where a figure means nothing: all where both are empty; distances where one is; the difference where the true
    one is.
    """
    from monai.metrics.meandice import compute_dice
    from monai.metrics.meaniou import compute_iou

    found, true = found > 0, true > 0
    sizes = int(found.sum()), int(true.sum())
    figures = dict.fromkeys(("dice", "iou", "hd95", "assd", "volume_difference"), float("nan"))
    if not any(sizes):
        return figures
    box = tuple(slice(int(place.min()), int(place.max()) + 1) for place in np.nonzero(found | true))
    a, b = (torch.from_numpy(mask[box].astype(np.float32))[None, None] for mask in (found, true))
    figures["dice"] = float(compute_dice(a, b, ignore_empty=False))
    figures["iou"] = float(compute_iou(a, b, ignore_empty=False))
    if sizes[1]:
        figures["volume_difference"] = 100.0 * (sizes[0] - sizes[1]) / sizes[1]
    if all(sizes):
        there, back = surface_distances(found[box], true[box], spacing)
        figures["hd95"] = float(max(np.percentile(there, 95), np.percentile(back, 95)))
        figures["assd"] = float(np.concatenate([there, back]).mean())
    return figures


def surface_distances(a: np.ndarray, b: np.ndarray, spacing: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Distances in mm from the surface voxels of mask ``a`` to the surface of ``b``, and the other way round."""
    surfaces, distances = [], []
    for mask in (a, b):
        image = sitk.GetImageFromArray(np.pad(mask, 1).astype(np.uint8))  # so that the border has a surface, too
        image.SetSpacing([float(step) for step in reversed(spacing)])
        contour = sitk.LabelContour(image)
        surfaces.append(sitk.GetArrayFromImage(contour) > 0)
        away = sitk.SignedMaurerDistanceMap(contour, squaredDistance=False, useImageSpacing=True)
        distances.append(np.clip(sitk.GetArrayFromImage(away), 0, None))
    return distances[1][surfaces[0]], distances[0][surfaces[1]]
