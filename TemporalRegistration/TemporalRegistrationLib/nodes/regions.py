"""A Markups ROI as a region of voxels."""

from __future__ import annotations

import numpy as np
import slicer
import slicer.util

from DeepRegLogic.grid import Grid, flip_lps_ras


def regionOf(roiNode: slicer.vtkMRMLMarkupsROINode, grid: Grid) -> tuple[list[int], list[int]]:
    """The (start, stop) voxels of the smallest box along the axes of the image that holds the ROI.

    What lies outside the image is for ``register_cine`` to cut off or to refuse.
    """
    corners = np.array(np.meshgrid(*[(-0.5, 0.5)] * 3)).reshape(3, -1).T * np.array(roiNode.GetSize())
    toWorld = slicer.util.arrayFromVTKMatrix(roiNode.GetObjectToWorldMatrix())
    voxels = grid.mm_to_voxel(flip_lps_ras(corners @ toWorld[:3, :3].T + toWorld[:3, 3]))
    start = np.floor(voxels.min(axis=0) + 0.5).astype(int)
    stop = np.floor(voxels.max(axis=0) + 0.5).astype(int) + 1
    return start.tolist(), stop.tolist()
