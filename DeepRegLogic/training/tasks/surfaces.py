"""How far the surfaces of structures lie apart after a registration, as a term of the loss."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
import torch

from ... import flow


def surface_distance(field: torch.Tensor, moving: torch.Tensor, fixed: torch.Tensor) -> torch.Tensor:
    """Mean squared distance in voxels of the surfaces of ``fixed``, moved by ``field``, from those of ``moving``.

    The surface term of Dalca et al. 2019 (section 3.4), whose surface points are the border voxels here.

    Parameters
    ----------
    field : ``[N, ndim, *spatial]`` in voxels, from points of ``fixed`` to points of ``moving``.
    moving, fixed : label maps ``[N, K, *spatial]`` from 0 to 1.

    Returns
    -------
    The mean over all structures that both have; 0 where there is none.
    """
    known = (moving > 0.5).flatten(2).any(2) & (fixed > 0.5).flatten(2).any(2)
    if not bool(known.any()):
        return field.sum() * 0
    far = torch.zeros_like(moving)
    border = torch.zeros_like(fixed, dtype=torch.bool)
    for n, k in known.nonzero().tolist():
        far[n, k] = distances(moving[n, k])
        border[n, k] = distances(fixed[n, k]) == 0
    squared = flow.warp(far, field).square() * border
    mean = squared.flatten(2).sum(2) / border.flatten(2).sum(2).clamp(min=1)
    return mean[known].mean()


def distances(structure: torch.Tensor) -> torch.Tensor:
    """Distance in voxels of each voxel from the border voxels of a structure ``[*spatial]``, on either side."""
    inside = sitk.GetImageFromArray((structure > 0.5).cpu().numpy().astype(np.uint8))
    found = sitk.SignedMaurerDistanceMap(inside, squaredDistance=False, useImageSpacing=False)
    return torch.from_numpy(sitk.GetArrayFromImage(found)).to(structure).abs()
