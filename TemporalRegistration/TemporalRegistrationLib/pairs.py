"""Two volumes of the scene, and their motion as nodes; results are replaced as in ``scene.py``."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import slicer
import vtk

from DeepRegLogic.cine import Cine, Motion
from DeepRegLogic.errors import InputError
from DeepRegLogic.progress import Reporter

from . import display, results
from .drawn import refuseTransform
from .i18n import _
from .steps import Steps, runSteps
from .transforms import resample, transformNodeFromField
from .volumes import colourNotes, gridOfVolume, pixelsOfVolume, volumeNodeFromArray

_SLAB = 8  # slices that are warped in one step


@dataclass(frozen=True)
class PairNodes:
    """The nodes that ``addPairMotion`` made.

    Attributes
    ----------
    toFixed : the transform that brings the moving volume onto the fixed one when the moving is put under it.
    toMoving : its inverse: carries what lies on the fixed volume onto the moving one.
    warped : the moving volume resampled onto the fixed one.
    difference : warped minus fixed (float32 volume).
    colors : the colour table of the difference.
    """

    toFixed: slicer.vtkMRMLTransformNode
    toMoving: slicer.vtkMRMLTransformNode
    warped: slicer.vtkMRMLScalarVolumeNode
    difference: slicer.vtkMRMLScalarVolumeNode
    colors: slicer.vtkMRMLColorTableNode


def imageFromVolume(volumeNode: slicer.vtkMRMLVolumeNode) -> Cine:
    """A volume as a Cine of one frame.

    Raises
    ------
    InputError : the volume holds no image or one of no use (NaN, sheared), or is under a transform.
    """
    refuseTransform(volumeNode, volumeNode)
    grid = gridOfVolume(volumeNode)
    name = volumeNode.GetName() or "volume"
    return Cine(pixelsOfVolume(volumeNode, grid)[None], grid, name=name, notes=colourNotes(volumeNode, name))


def addPairMotion(
    motion: Motion, fixedNode: slicer.vtkMRMLScalarVolumeNode, movingNode: slicer.vtkMRMLScalarVolumeNode
) -> PairNodes:
    """Add the motion between two volumes to the scene: frame 0 is the fixed volume, frame 1 the moving one.

    Raises
    ------
    InputError : a volume is not in the scene any more, or the motion does not belong to the fixed volume.
    """
    return runSteps(pairSteps(motion, fixedNode, movingNode), Reporter(None, None))


def pairSteps(
    motion: Motion, fixedNode: slicer.vtkMRMLScalarVolumeNode, movingNode: slicer.vtkMRMLScalarVolumeNode
) -> Steps[PairNodes]:
    """``addPairMotion`` in steps, of which the last changes the scene."""
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
    colors = display.volumeChangeColors(_("{moving} to {fixed} difference colors").format(**names))
    new = {"toFixed": toFixed, "toMoving": toMoving, "warped": warped, "difference": difference, "colors": colors}
    old = results.findResults(movingNode, fixedNode)
    with results.batch():
        with results.allOrNothing():
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
            results.groupInFolder(title, movingNode, [toFixed, toMoving, warped, difference])
        results.replaceResults(movingNode, old, new, fixedNode)
    return PairNodes(**new)


def pairNodesOf(
    fixedNode: slicer.vtkMRMLScalarVolumeNode | None, movingNode: slicer.vtkMRMLScalarVolumeNode | None
) -> PairNodes | None:
    """The results of the last registration of a pair, or None where there are none, or not all of them."""
    found = results.findResults(movingNode, fixedNode) if fixedNode is not None and movingNode is not None else {}
    return PairNodes(**found) if set(found) == {field.name for field in fields(PairNodes)} else None
