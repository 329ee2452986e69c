"""Contours of the left ventricle, found by the worker from clicks in it, as a segmentation that can be edited."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import slicer
import slicer.util

from DeepRegLogic.grid import flip_lps_ras
from DeepRegLogic.service import exchange

from .i18n import _
from .nodes import transaction
from .nodes.names import short
from .nodes.segmentations import LABEL_COLORS, Segment, segmentationNodeFromMasks
from .nodes.sequences import browserOf, framesOf, headerOf
from .nodes.volumes import gridOfVolume
from .show import display
from .steps import Steps

_SOURCE = "TemporalRegistration.ContoursOf"
"""Reference of a segmentation that was found to the sequence that it belongs to."""


@dataclass(frozen=True)
class Found:
    """What was found.

    Attributes
    ----------
    segmentation : the contours, in the scene.
    frame : number of the frame that they lie on.
    notes : what the image does not support.
    """

    segmentation: slicer.vtkMRMLSegmentationNode
    frame: int
    notes: tuple[str, ...]


class ContoursTask:
    """Find the contours of the left ventricle in a frame of a cine.

    ``clicks`` are ``[P, 3]`` RAS mm: one in the cavity, or the apex and both ends of the annulus. ``frame`` is None to
    look for end-diastole.
    """

    def __init__(self, sequenceNode: slicer.vtkMRMLSequenceNode, clicks: np.ndarray, frame: int | None = None) -> None:
        self.sequenceNode, self.frame = sequenceNode, frame
        self.clicks = flip_lps_ras(np.reshape(np.asarray(clicks, float), (-1, 3)))

    def inputsAreThere(self) -> bool:
        return bool(slicer.mrmlScene.IsNodePresent(self.sequenceNode))

    def prepare(self, folder: Path) -> Steps[dict]:
        count = self.sequenceNode.GetNumberOfDataNodes()
        frames = "frames"
        packed = exchange.pack_frames(folder, "frames", count, framesOf(self.sequenceNode))
        for number, name in enumerate(packed, start=1):
            frames = name
            yield number / count, _("Reading frame {number} of {count}").format(number=number, count=count)
        header, _notes = headerOf(self.sequenceNode)
        arguments = {"cine": {**header, "frames": frames}, "clicks": self.clicks.tolist(), "frame": self.frame}
        return {"call": "find_contours", "arguments": arguments}

    def finish(self, folder: Path, result: dict) -> Steps[Found]:
        yield 0.5, _("Adding the contours")
        labels, grid = (
            exchange.unpack_array(folder, result["labels"]),
            gridOfVolume(self.sequenceNode.GetNthDataNode(0)),
        )
        parts = [(f"{value}", _(name), labels == value) for value, name in result["names"]]
        segments = [
            Segment(key, name, color, mask.astype(np.uint8))
            for (key, name, mask), color in zip(parts, LABEL_COLORS, strict=False)
        ]
        title = _("{name} contours").format(name=short(self.sequenceNode.GetName()))
        node = segmentationNodeFromMasks(segments, [segment.mask for segment in segments], grid, title)
        browser = browserOf(self.sequenceNode)
        with transaction.batch(), transaction.allOrNothing():
            for former in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
                if former.GetNodeReferenceID(_SOURCE) == self.sequenceNode.GetID():
                    slicer.mrmlScene.RemoveNode(former)
            slicer.mrmlScene.AddNode(node)
            node.SetNodeReferenceID(_SOURCE, self.sequenceNode.GetID())
            node.CreateDefaultDisplayNodes()
            display.showLabels(node)
            # the Segment Editor paints on the voxels of this volume
            node.SetReferenceImageGeometryParameterFromVolumeNode(browser.GetProxyNode(self.sequenceNode))
            browser.SetSelectedItemNumber(result["frame"])
        return Found(node, result["frame"], tuple(result["notes"]))
