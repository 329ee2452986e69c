"""A pair: a moving volume is registered to a fixed one."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import ClassVar

import numpy as np
import slicer
import slicer.util
import vtk

from DeepRegLogic.cine import Cine, Motion
from DeepRegLogic.errors import InputError
from DeepRegLogic.service import exchange

from ..i18n import _
from ..names import LENGTH, short
from ..nodes import transaction
from ..nodes.files import writeNodes
from ..nodes.regions import regionOf
from ..nodes.sequences import imageFromVolume
from ..nodes.transforms import resample, transformNodeFromField
from ..nodes.volumes import gridOfVolume, pixelsOfVolume, volumeNodeFromArray
from ..show import display, layouts, views
from ..steps import Steps
from .base import Kind, isThere, refinementModels
from .refining import refinementOf, whyNotRefine

_SLAB = 8  # slices that are warped in one step


@dataclass(frozen=True)
class PairNodes:
    """The nodes of a registered pair.

    Attributes
    ----------
    toFixed : the transform that brings the moving volume onto the fixed one when the moving is put under it.
    toMoving : its inverse: carries what lies on the fixed volume onto the moving one.
    warped : the moving volume resampled onto the fixed one.
    difference : warped minus fixed (float32 volume).
    colors : the colour table of the difference.
    """

    kind: ClassVar[str] = "pair"
    browser: ClassVar[None] = None

    toFixed: slicer.vtkMRMLTransformNode
    toMoving: slicer.vtkMRMLTransformNode
    warped: slicer.vtkMRMLScalarVolumeNode
    difference: slicer.vtkMRMLScalarVolumeNode
    colors: slicer.vtkMRMLColorTableNode


def pairSteps(
    motion: Motion, fixedNode: slicer.vtkMRMLScalarVolumeNode, movingNode: slicer.vtkMRMLScalarVolumeNode
) -> Steps[PairNodes]:
    """Add the motion between two volumes in steps, of which the last changes the scene: frame 0 is fixed, 1 moving.

    Raises
    ------
    InputError : a volume is not in the scene any more, or the motion does not belong to the fixed volume.
    """
    for node in (fixedNode, movingNode):
        if not slicer.mrmlScene.IsNodePresent(node):
            reason = _("The volume '{name}' is no longer in the scene; the result was not added.")
            raise InputError(reason.format(name=node.GetName()))
    grid, names = motion.grid, {"fixed": fixedNode.GetName(), "moving": movingNode.GetName()}
    if len(motion) != 2 or motion.reference != 0 or not gridOfVolume(fixedNode).matches(grid):
        reason = _("The motion does not belong to the pair '{fixed}' and '{moving}'; register again.")
        raise InputError(reason.format(**names))
    title, text = _("{moving} to {fixed}").format(**names), _("Building the transforms")
    yield 0.0, text
    toFixed = transformNodeFromField(motion.displacement[1], grid, title)
    yield 0.1, text
    toMoving = transformNodeFromField(motion.inverse[1], grid, _("{fixed} to {moving}").format(**names))
    warped = slicer.vtkMRMLScalarVolumeNode()
    warped.SetName(_("{moving} warped to {fixed}").format(**names))
    warped.CopyOrientation(fixedNode)
    whole = vtk.vtkImageAppend()
    whole.PreserveExtentsOn()
    for start in range(0, grid.size[2], _SLAB):
        yield 0.2 + 0.6 * start / grid.size[2], _("Warping the moving volume")
        slices = (start, min(start + _SLAB, grid.size[2]))
        whole.AddInputData(resample(movingNode, toFixed.GetTransformFromParent(), grid, slices))
    whole.Update()
    warped.SetAndObserveImageData(whole.GetOutput())
    yield 0.8, _("Comparing the volumes")
    pixels = [pixelsOfVolume(node, grid).astype(np.float32) for node in (warped, fixedNode)]
    difference = volumeNodeFromArray(pixels[0] - pixels[1], grid, _("{moving} to {fixed} difference").format(**names))
    yield 0.9, _("Adding the results to the scene")
    colors = display.paletteColors("change", _("{moving} to {fixed} difference colors").format(**names))
    new = {"toFixed": toFixed, "toMoving": toMoving, "warped": warped, "difference": difference, "colors": colors}
    old = transaction.findResults(movingNode, fixedNode)
    with transaction.batch():
        with transaction.allOrNothing():
            for node in new.values():
                slicer.mrmlScene.AddNode(node)
            for volume in (warped, difference):
                volume.CreateDefaultDisplayNodes()
            display.showLike(warped, movingNode)
            display.showDifference(difference, movingNode, colors)
            display.relate(toFixed, fixed=fixedNode, moving=movingNode)
            display.relate(toMoving, fixed=movingNode, moving=fixedNode)
            display.prepareTransformDisplay(toFixed, fixedNode, grid)
            display.prepareTransformDisplay(toMoving, movingNode, grid)
            transaction.groupInFolder(title, movingNode, [toFixed, toMoving, warped, difference])
        transaction.replaceResults(movingNode, old, new, fixedNode)
    return PairNodes(**new)


def pairNodesOf(
    fixedNode: slicer.vtkMRMLScalarVolumeNode | None, movingNode: slicer.vtkMRMLScalarVolumeNode | None
) -> PairNodes | None:
    """The results of the last registration of a pair, or None where there are none, or not all of them."""
    found = transaction.findResults(movingNode, fixedNode) if fixedNode is not None and movingNode is not None else {}
    return PairNodes(**found) if set(found) == {field.name for field in fields(PairNodes)} else None


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
        return isThere(self.fixedNode) and isThere(self.movingNode)

    def prepare(self, folder: Path) -> Steps[dict]:
        images: dict[str, Cine] = {}
        for role, node in (("fixed", self.fixedNode), ("moving", self.movingNode)):
            yield len(images) / 2, _("Reading {name}").format(name=node.GetName())
            images[role] = imageFromVolume(node)
        packed = {role: exchange.pack_cine(folder, role, image) for role, image in images.items()}
        roi = None if self.roi is None else regionOf(self.roi, images["fixed"].grid)
        return {"call": "register_pair", "arguments": {**packed, "roi": roi, **self.options}}

    def finish(self, folder: Path, result: dict) -> Steps[PairNodes]:
        motion = exchange.unpack_motion(folder, result["motion"])
        return (yield from pairSteps(motion, self.fixedNode, self.movingNode))


class PairKind(Kind):
    """Register a moving volume to a fixed one."""

    name = "pair"
    modelSetting = "pairModel"

    def models(self) -> dict[str, tuple[str, str]]:
        return refinementModels(super().models())

    def whyNot(self, settings) -> str:
        fixed, moving = settings.fixedVolume, settings.movingVolume
        if reason := whyNotRefine(settings.pairModel, settings):
            return reason
        if not fixed or not moving:
            return _("Select a fixed and a moving volume")
        if fixed is moving:
            return _("Select two different volumes")
        return "" if settings.pairModel in self.models() else _("Choose an installed model")

    def offer(self, settings, length: int | None = LENGTH) -> str:
        volumes = {"moving": settings.movingVolume, "fixed": settings.fixedVolume}
        names = {role: short(volume.GetName(), length) for role, volume in volumes.items()}
        return _("Register '{moving}' to '{fixed}'").format(**names)

    def task(self, settings) -> PairTask:
        return PairTask(
            settings.fixedVolume,
            settings.movingVolume,
            settings.pairRegionOfInterest,
            model=settings.pairModel or None,
            refine=refinementOf(settings),
            device=settings.device,
        )

    def nodesOf(self, settings) -> PairNodes | None:
        return pairNodesOf(settings.fixedVolume, settings.movingVolume)

    def done(self, settings) -> None:
        settings.showCompensated = True

    def switches(self, nodes: PairNodes) -> set[str]:
        return {"compensated", "motion"}

    def mainVolume(self, nodes: PairNodes) -> None:
        return None

    def show(self, nodes: PairNodes, shown: views.Shown, settings) -> None:
        """Over the fixed volume the moving one, or the warped one; or moving, warped and difference side by side."""
        fixed, moving = transaction.partnerOf(nodes.warped), transaction.inputOf(nodes.warped)
        background, foreground = fixed, nodes.warped if shown.compensated else moving
        if shown.compare == views.BLENDED:
            background, foreground = moving, nodes.warped
        layouts.showComparison(shown.compare == views.SIDE_BY_SIDE)
        slicer.util.setSliceViewerLayers(
            background=background.GetID(), foreground=foreground.GetID(), label=None, foregroundOpacity=shown.opacity
        )
        if shown.compare == views.SIDE_BY_SIDE:
            layouts.fillComparison(moving, nodes.warped, nodes.difference)
            layouts.showDifferenceLegend(nodes.difference)
        views.showTransform(nodes.toMoving, shown.motion)

    def export(self, nodes: PairNodes, folder: str | Path, doubtful: float = 0.0) -> Path:
        """Write both transforms (.h5), the warped volume and the difference (.nrrd)."""
        files = {"toFixed.h5": nodes.toFixed, "toMoving.h5": nodes.toMoving, "warped.nrrd": nodes.warped}
        files["difference.nrrd"] = nodes.difference
        return writeNodes(Path(folder) / nodes.toFixed.GetName(), files, {"transform": nodes.toFixed.GetName()})
