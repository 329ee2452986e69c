"""The motion of a pair as nodes: both transforms, the matrix, the warped volume and labels, maps, quality, its way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import slicer
import vtk

from DeepRegLogic.cine import Motion
from DeepRegLogic.errors import InputError
from DeepRegLogic.grid import Grid
from DeepRegLogic.results.maps import MAPS

from ..i18n import _
from ..nodes import transaction
from ..nodes.annotations import Drawn
from ..nodes.names import nodeName
from ..nodes.sequences import synchronize
from ..nodes.tables import pairTable
from ..nodes.transforms import (
    gridTransformFromField,
    linearTransformFromMatrix,
    linearTransformNode,
    resample,
    transformNodeFromField,
    transformNodeFromParts,
)
from ..nodes.volumes import gridOfVolume, pixelsOfVolume, volumeNodeFromArray
from ..show import display
from ..steps import Steps

_SLAB = 8  # slices that are warped in one step
_NEEDED = ("toFixed", "toMoving", "warped", "difference", "colors", "table")
_BROWSER, _PATH, _PROXY = "pathBrowser", "path", "pathProxy"


@dataclass(frozen=True)
class PairNodes:
    """The nodes of a registered pair, by role.

    Attributes
    ----------
    found : role -> node. The roles are attributes, too, None where a result lacks them:

        toFixed : the transform that brings the moving volume onto the fixed one when the moving is put under it;
        toMoving : its inverse: carries what lies on the fixed volume onto the moving one;
        affine : the linear transform that both contain, where the images were aligned first;
        warped : the moving volume resampled onto the fixed one;
        difference : warped minus fixed (float32 volume), ``colors`` its color table;
        labels : the given labels of the moving volume brought onto the fixed one;
        jacobian, uncertainty ... : the overlays of ``maps.MAPS`` (volumes), with ``jacobianColors`` ...;
        table : the quality;
        path : the way of the moving volume to the warped one (a sequence), played by ``browser``.
    """

    kind: ClassVar[str] = "pair"

    found: Mapping[str, slicer.vtkMRMLNode]

    def __getattr__(self, role: str) -> slicer.vtkMRMLNode | None:
        if role.startswith("_") or role == "found":
            raise AttributeError(role)
        if role in self.found:
            return self.found[role]
        if role in MAPS or role in ("affine", "labels", _PATH):
            return None
        raise AttributeError(f"The results of a pair have no '{role}'.")

    @property
    def browser(self) -> slicer.vtkMRMLSequenceBrowserNode | None:
        """What plays the way, or None."""
        return self.found.get(_BROWSER)

    @property
    def moved(self) -> slicer.vtkMRMLVolumeNode:
        """The warped volume, or where it is on its way."""
        return self.found.get(_PROXY, self.found["warped"])

    @property
    def maps(self) -> dict[str, slicer.vtkMRMLVolumeNode]:
        """The overlays by their names in ``MAPS``."""
        return {role: node for role, node in self.found.items() if role in MAPS and role != "difference"}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PairNodes) and dict(self.found) == dict(other.found)

    def __hash__(self) -> int:
        return hash(self.found["toFixed"])


def pairNodesOf(
    fixedNode: slicer.vtkMRMLScalarVolumeNode | None, movingNode: slicer.vtkMRMLScalarVolumeNode | None
) -> PairNodes | None:
    """The results of the last registration of a pair, or None where there are none, or not all of them."""
    found = transaction.findResults(movingNode, fixedNode) if fixedNode is not None and movingNode is not None else {}
    whole = all(role in found for role in _NEEDED) and ((_PATH in found) == (_BROWSER in found))
    return PairNodes(found) if whole else None


def pairSteps(
    motion: Motion,
    fixedNode: slicer.vtkMRMLScalarVolumeNode,
    movingNode: slicer.vtkMRMLScalarVolumeNode,
    maps: Mapping[str, np.ndarray] | None = None,
    drawn: Drawn | None = None,
) -> Steps[PairNodes]:
    """Add the motion between two volumes in steps, of which the last changes the scene: frame 0 is fixed, 1 moving.

    Parameters
    ----------
    maps : overlays of ``MAPS`` on the fixed volume ``[*grid.shape]``, by name.
    drawn : labels of the moving volume, to be brought onto the fixed one.

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
    yield 0.0, _("Building the transforms")
    new = _transforms(motion, names)
    pullBack = new["toFixed"].GetTransformFromParent()
    yield 0.1, _("Building the transforms")
    new["warped"] = yield from _warped(movingNode, pullBack, fixedNode, grid, names)
    yield 0.6, _("Comparing the volumes")
    pixels = [pixelsOfVolume(node, grid).astype(np.float32) for node in (new["warped"], fixedNode)]
    title = _("{moving} to {fixed} difference").format(**names)
    new["difference"] = volumeNodeFromArray(pixels[0] - pixels[1], grid, title)
    new["colors"] = display.paletteColors("change", _("{moving} to {fixed} difference colors").format(**names))
    new["table"] = pairTable(motion, _("{moving} to {fixed} quality").format(**names))
    for role, values in (maps or {}).items():
        entry = MAPS[role]
        title = _("{moving} to {fixed} {map}").format(map=_(entry.noun or entry.title.lower()), **names)
        new[role] = volumeNodeFromArray(values, grid, title)
        new[f"{role}Colors"] = display.paletteColors(entry.palette, _("{name} colors").format(name=title))
    if drawn is not None and drawn.segments:
        yield 0.7, _("Bringing the labels onto the fixed volume")
        masks = [_warpedMask(segment.mask, drawn.grid, pullBack, grid) for segment in drawn.segments]
        title = _("{moving} labels on {fixed}").format(**names)
        new["labels"] = replace(drawn, grid=grid).labelNode(np.stack(masks), title)
    if motion.path is not None:
        new[_PATH] = yield from _path(motion, movingNode, grid, names)
    yield 0.9, _("Adding the results to the scene")
    old = transaction.findResults(movingNode, fixedNode)
    with transaction.batch():
        with transaction.allOrNothing():
            _add(new, fixedNode, movingNode, grid)
        transaction.replaceResults(movingNode, old, new, fixedNode)
    return PairNodes(new)


def _transforms(motion: Motion, names: Mapping[str, str]) -> dict[str, slicer.vtkMRMLTransformNode]:
    """Both transforms; with a matrix the deformation stays on the fixed grid, and the matrix goes everywhere."""
    there, back = _("{moving} to {fixed}").format(**names), _("{fixed} to {moving}").format(**names)
    if motion.affine is None:
        fields = {"toFixed": (motion.displacement[1], there), "toMoving": (motion.inverse[1], back)}
        return {role: transformNodeFromField(field, motion.grid, title) for role, (field, title) in fields.items()}
    forward, inverse = (gridTransformFromField(field, motion.grid) for field in motion.deformation)
    matrix, undone = (linearTransformFromMatrix(m) for m in (motion.affine, np.linalg.inv(motion.affine)))
    return {
        "toFixed": transformNodeFromParts([forward, matrix], there),
        "toMoving": transformNodeFromParts([undone, inverse], back),
        "affine": linearTransformNode(motion.affine, _("{moving} to {fixed} affine").format(**names)),
    }


def _warped(
    movingNode: slicer.vtkMRMLScalarVolumeNode,
    pullBack: vtk.vtkAbstractTransform,
    fixedNode: slicer.vtkMRMLScalarVolumeNode,
    grid: Grid,
    names: Mapping[str, str],
) -> Steps[slicer.vtkMRMLScalarVolumeNode]:
    """The moving volume on the fixed one, a slab a step."""
    warped = slicer.vtkMRMLScalarVolumeNode()
    warped.SetName(nodeName(_("{moving} warped to {fixed}").format(**names)))
    warped.CopyOrientation(fixedNode)
    whole = vtk.vtkImageAppend()
    whole.PreserveExtentsOn()
    for start in range(0, grid.size[2], _SLAB):
        yield 0.1 + 0.5 * start / grid.size[2], _("Warping the moving volume")
        slices = (start, min(start + _SLAB, grid.size[2]))
        whole.AddInputData(resample(movingNode, pullBack, grid, slices))
    whole.Update()
    warped.SetAndObserveImageData(whole.GetOutput())
    return warped


def _warpedMask(mask: np.ndarray, own: Grid, pullBack: vtk.vtkAbstractTransform, grid: Grid) -> np.ndarray:
    """A mask of the moving volume on the fixed one: the nearest voxel."""
    node = volumeNodeFromArray(mask.astype(np.uint8), own, "mask")
    image = resample(node, pullBack, grid, nearest=True)
    result = volumeNodeFromArray(np.zeros(grid.shape, np.uint8), grid, "mask")
    result.SetAndObserveImageData(image)
    return pixelsOfVolume(result, grid)


def _path(
    motion: Motion, movingNode: slicer.vtkMRMLScalarVolumeNode, grid: Grid, names: Mapping[str, str]
) -> Steps[slicer.vtkMRMLSequenceNode]:
    """The moving volume at every step of its way, by the fraction of it."""
    sequence = slicer.vtkMRMLSequenceNode()
    sequence.SetName(nodeName(_("way of {moving} to {fixed}").format(**names)))
    sequence.SetIndexName("s")
    sequence.SetIndexUnit("")
    last = len(motion.path) - 1
    for step, field in enumerate(motion.path):
        yield 0.75 + 0.15 * step / (last + 1), _("Building the way")
        image = resample(movingNode, gridTransformFromField(field, grid), grid)
        item = volumeNodeFromArray(np.zeros(grid.shape, np.uint8), grid, sequence.GetName())
        item.SetAndObserveImageData(image)
        sequence.SetDataNodeAtValue(item, f"{step / last:.6g}")
    return sequence


def _add(
    new: dict[str, slicer.vtkMRMLNode],
    fixedNode: slicer.vtkMRMLScalarVolumeNode,
    movingNode: slicer.vtkMRMLScalarVolumeNode,
    grid: Grid,
) -> None:
    """Put the nodes into the scene, shown and related; a way gets a browser, at its end, and a node that shows it."""
    for node in new.values():
        transaction.addResult(node, movingNode, fixedNode)
    if _PATH in new:
        title = _("{name} browser").format(name=new[_PATH].GetName())
        browser = new[_BROWSER] = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", title)
        browser.SetAndObserveMasterSequenceNodeID(new[_PATH].GetID())
        new[_PROXY] = synchronize(browser, {_PATH: new[_PATH]})[_PATH]
        browser.SetSelectedItemNumber(new[_PATH].GetNumberOfDataNodes() - 1)
        display.showLike(new[_PROXY], movingNode)
    for role in ("warped", "difference", *(role for role in new if role in MAPS and role != "difference")):
        new[role].CreateDefaultDisplayNodes()
    display.showLike(new["warped"], movingNode)
    display.showDifference(new["difference"], movingNode, new["colors"])
    for role in (role for role in new if role in MAPS and role != "difference"):
        display.showMap(new[role], MAPS[role], new[f"{role}Colors"], grid.ndim)
    if "labels" in new:
        new["labels"].CreateDefaultDisplayNodes()
        display.showLabels(new["labels"])
    display.relate(new["toFixed"], fixed=fixedNode, moving=movingNode)
    display.relate(new["toMoving"], fixed=movingNode, moving=fixedNode)
    display.prepareTransformDisplay(new["toFixed"], fixedNode, grid)
    display.prepareTransformDisplay(new["toMoving"], movingNode, grid)
    hidden = {"colors", _PATH, _BROWSER, *(role for role in new if role.endswith("Colors"))}
    listed = [node for role, node in new.items() if role not in hidden]
    transaction.groupInFolder(new["toFixed"].GetName(), movingNode, listed)
