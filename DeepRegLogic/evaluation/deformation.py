"""What a displacement does to space: folds, volumes, smoothness, whether there and back is the same place."""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch

from .. import flow
from ..consistency import inverse_consistency_error

_LEAST = 1e-9  # of a determinant, for its logarithm


def regularity(displacement: np.ndarray, inverse: np.ndarray) -> dict[str, float]:
    """Figures of a displacement ``[ndim, *spatial]`` in voxels and its inverse.

    Returns
    -------
    ``folded``: percent of voxels where it is not one-to-one (``flow.folding``); ``folded_volume``: the
    non-diffeomorphic volume in percent; ``sd_log_j``: standard deviation of the logarithm of the Jacobian determinant
    (central differences); ``inverse_consistency``: mean distance in voxels of a point to itself there and back, of
    those that stay inside the image.
    """
    with torch.inference_mode():
        forward, back = (torch.from_numpy(np.array(field, np.float32))[None] for field in (displacement, inverse))
        change = flow.jacobian_determinant(forward)
        apart = inverse_consistency_error(forward, back)[0][flow.stays_inside(forward)[0]]
        return {
            "folded": 100 * float(flow.folding(forward).float().mean()),
            "folded_volume": 100 * folded_volume(forward),
            "sd_log_j": float(change.clamp(min=_LEAST).log().std(correction=0)),
            "inverse_consistency": float(apart.mean()) if apart.numel() else float("nan"),
        }


def folded_volume(displacement: torch.Tensor) -> float:
    """Non-diffeomorphic volume (Liu et al. 2024, section 4), as a fraction of the image, of a field ``[1, ndim, ...]``.

    Every cell is cut into simplices, on which the map is affine, in both ways that there are (in 2D two triangles, in
    3D five tetrahedra); it is the volume of those that are turned over, the mean of both ways.
    """
    ndim, spatial = displacement.shape[1], displacement.shape[2:]
    places = (flow.identity(tuple(spatial)) + displacement[0]).double()

    def corner(which: tuple[int, ...]) -> torch.Tensor:
        cells = tuple(slice(c, n - 1 + c) for c, n in zip(which, spatial, strict=True))
        place = (slice(None), *cells)
        return places[place]

    turned = 0.0
    corners = list(itertools.product((0, 1), repeat=ndim))
    for which in corners:
        edges = []
        for axis in range(ndim):
            other = tuple(1 - c if a == axis else c for a, c in enumerate(which))
            edges.append((corner(other) - corner(which)) * (1 - 2 * which[axis]))
        turned += _turned_over(edges)
    if ndim == 3:  # the tetrahedron in the middle, whose corners have an even, or an odd, sum
        for parity in (0, 1):
            first, *others = [which for which in corners if sum(which) % 2 == parity]
            edges = [corner(other) - corner(first) for other in others]
            at_rest = torch.tensor([[b - a for a, b in zip(first, other, strict=True)] for other in others])
            turned += _turned_over(edges, math.copysign(1.0, float(torch.linalg.det(at_rest.double()))))
    cells = math.prod(n - 1 for n in spatial)
    return turned / math.factorial(ndim) / 2 / cells if cells else 0.0


def _turned_over(edges: list[torch.Tensor], sign: float = 1.0) -> float:
    """Sum of minus the determinants below 0 of the matrices with these columns ``[ndim, *cells]``."""
    matrix = torch.stack(edges, dim=1).movedim((0, 1), (-2, -1))
    return float((-sign * torch.linalg.det(matrix)).clamp(min=0).sum())


def temporal_gradient(fields: np.ndarray, cyclic: bool) -> np.ndarray:
    """``[T]``: mean length of the change of displacements ``[T, 3, *spatial]`` in mm from every frame to the next.

    NaN at the last frame of what is no cycle.
    """
    after = np.roll(fields, -1, axis=0)
    lengths = np.array([np.linalg.norm(b - a, axis=0).mean() for a, b in zip(fields, after, strict=True)])
    if not cyclic:
        lengths[-1] = np.nan
    return lengths
