"""What an image looks like around every voxel, in words that do not depend on its contrast."""

from __future__ import annotations

from itertools import combinations

import torch
import torch.nn.functional as F

from . import flow


def self_similarity(image: torch.Tensor, distance: int = 2, sigma: float = 0.8) -> torch.Tensor:
    """The self-similarity context of Heinrich et al. 2013 (MICCAI, section 2.2) for images ``[N, 1, *spatial]``.

    The neighbours of a voxel, ``distance`` voxels away along the axes, are compared with each other, those along one
    axis excepted: 4 pairs in the plane, 12 in a volume. With D the squared difference of a pair, smoothed by a Gaussian
    of ``sigma`` voxels, and V its mean over the pairs, a channel is ``exp(-(D - min D) / V)``.

    Returns
    -------
    ``[N, 4 or 12, *spatial]`` from 0 to 1; the same for ``a image + b``, whatever a and b, unless noise rules.
    """
    ndim, spatial = image.ndim - 2, image.shape[2:]
    padded = F.pad(image, [distance] * (2 * ndim), mode="replicate")
    steps = [(axis, side) for axis in range(ndim) for side in (0, 2 * distance)]
    near = []
    for axis, side in steps:
        moved = padded
        for other, n in enumerate(spatial):
            moved = moved.narrow(other + 2, side if other == axis else distance, n)
        near.append(moved)
    pairs = [(a, b) for a, b in combinations(range(len(steps)), 2) if steps[a][0] != steps[b][0]]
    apart = flow.smooth(torch.cat([(near[a] - near[b]).square() for a, b in pairs], dim=1), sigma)
    apart = apart - apart.amin(1, keepdim=True)
    scale = apart.mean(1, keepdim=True)
    usual = scale.mean(list(range(1, image.ndim)), keepdim=True)
    return (-apart / torch.maximum(scale.clamp(max=1e3), 1e-2 * usual + 1e-8)).exp()
