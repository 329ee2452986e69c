"""What a job does: reads nodes into a request for the worker, and makes nodes of what comes back. In steps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import slicer
import slicer.util

from DeepRegLogic import exchange
from DeepRegLogic.cine import Cine
from DeepRegLogic.grid import Grid, flip_lps_ras

from . import pairs, scene
from .drawn import Drawn, Labels, drawnOn
from .i18n import _
from .steps import Steps
from .volumes import gridOfVolume


def refinement(quality: str, similarity: str = "lncc", smoothness: float = 0.2) -> bool | dict[str, object]:
    """The argument ``refine`` for a quality: "fast" (none), "standard", or "thorough" (to full resolution)."""
    if quality == "fast":
        return False
    fields: dict[str, object] = {"similarity": similarity, "smoothness": smoothness}
    if quality == "thorough":
        fields["levels"] = [[8, 60], [4, 100], [2, 100], [1, 40]]
    return fields


class Task(Protocol):
    """A registration. Nodes are read in ``prepare`` and added in the last step of ``finish``, and nowhere else."""

    def prepare(self, folder: Path) -> Steps[dict]:
        """Write the arrays into ``folder``; the call and its arguments."""

    def finish(self, folder: Path, result: dict) -> Steps[object]:
        """Make nodes of the result, whose arrays are in ``folder``."""

    def inputsAreThere(self) -> bool:
        """Whether the nodes that are registered are still in the scene."""


def _isThere(node: slicer.vtkMRMLNode) -> bool:
    return bool(slicer.mrmlScene.IsNodePresent(node))


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


class CineTask:
    """Follow the motion in a sequence of images.

    ``options`` are those of ``DeepRegLogic.register_cine`` as JSON has them; ``roi`` is a Markups ROI node.
    """

    def __init__(
        self,
        sequenceNode: slicer.vtkMRMLSequenceNode,
        labels: Labels | None = None,
        markups: Sequence[slicer.vtkMRMLMarkupsNode] = (),
        roi: slicer.vtkMRMLMarkupsROINode | None = None,
        **options: object,
    ) -> None:
        self.sequenceNode, self.labels, self.markups, self.roi = sequenceNode, labels, tuple(markups), roi
        self.options = options
        self.notes: tuple[str, ...] = ()
        self._drawn: Drawn | None = None

    def inputsAreThere(self) -> bool:
        return _isThere(self.sequenceNode)

    def prepare(self, folder: Path) -> Steps[dict]:
        count = self.sequenceNode.GetNumberOfDataNodes()
        frames = "frames"
        for number, name in enumerate(
            exchange.pack_frames(folder, "frames", count, scene.framesOf(self.sequenceNode)), start=1
        ):
            frames = name
            yield number / (count + 1), _("Reading frame {number} of {count}").format(number=number, count=count)
        header, self.notes = scene.headerOf(self.sequenceNode)
        grid = gridOfVolume(self.sequenceNode.GetNthDataNode(0))
        self._drawn = drawnOn(grid, self.labels, self.markups)
        drawn = {name: getattr(self._drawn, name) for name in ("masks", "points")}
        packed = {
            name: None if array is None else exchange.pack_array(folder, name, array) for name, array in drawn.items()
        }
        roi = None if self.roi is None else regionOf(self.roi, grid)
        yield 1.0, _("Reading what was drawn")
        return {
            "call": "register_cine",
            "arguments": {"cine": {**header, "frames": frames}, "roi": roi, **packed, **self.options},
        }

    def finish(self, folder: Path, result: dict) -> Steps[scene.MotionNodes]:
        motion = exchange.unpack_motion(folder, result["motion"])
        derived = exchange.unpack_derived(folder, result["derived"])
        return (yield from scene.motionSteps(motion, derived, self.sequenceNode, self._drawn))


class PairTask:
    """Register a moving volume to a fixed one; ``options`` are those of ``DeepRegLogic.register_pair``."""

    def __init__(
        self,
        fixedNode: slicer.vtkMRMLScalarVolumeNode,
        movingNode: slicer.vtkMRMLScalarVolumeNode,
        roi: slicer.vtkMRMLMarkupsROINode | None = None,
        **options: object,
    ) -> None:
        self.fixedNode, self.movingNode, self.roi, self.options = fixedNode, movingNode, roi, options

    def inputsAreThere(self) -> bool:
        return _isThere(self.fixedNode) and _isThere(self.movingNode)

    def prepare(self, folder: Path) -> Steps[dict]:
        images: dict[str, Cine] = {}
        for role, node in (("fixed", self.fixedNode), ("moving", self.movingNode)):
            yield len(images) / 2, _("Reading {name}").format(name=node.GetName())
            images[role] = pairs.imageFromVolume(node)
        packed = {role: exchange.pack_cine(folder, role, image) for role, image in images.items()}
        roi = None if self.roi is None else regionOf(self.roi, images["fixed"].grid)
        return {"call": "register_pair", "arguments": {**packed, "roi": roi, **self.options}}

    def finish(self, folder: Path, result: dict) -> Steps[pairs.PairNodes]:
        motion = exchange.unpack_motion(folder, result["motion"])
        return (yield from pairs.pairSteps(motion, self.fixedNode, self.movingNode))
