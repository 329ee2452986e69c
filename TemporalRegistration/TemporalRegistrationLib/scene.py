"""Nodes of the scene to Cine and Motion, and back.

    cine = cineFromSequence(sequenceNode)
    motion = register_cine(cine)
    nodes = addMotion(motion, cine, sequenceNode)

Everything is built outside the scene; the scene changes at the end, all at once or not at all. A second run on the same
input replaces the results of the first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import slicer

from DeepRegLogic.cine import Cine, Motion
from DeepRegLogic.errors import InputError
from DeepRegLogic.grid import Grid
from DeepRegLogic.progress import CancelToken, ProgressCallback, Reporter

from . import display, results
from .building import Labels, buildSequences, fillSequence, qualityTable, refuseTransform
from .transforms import resample, transformNodeFromField
from .volumes import gridOfVolume, isColour, pixelsOfVolume, volumeNodeFromArray

_SECONDS = {"s": 1.0, "sec": 1.0, "ms": 1e-3, "msec": 1e-3, "us": 1e-6}


@dataclass(frozen=True)
class MotionNodes:
    """The nodes that ``addMotion`` made. All sequences are in ``browser``, which shows their current frame as proxies.

    Attributes
    ----------
    browser : the browser of the input sequence.
    compensated : the cine with its motion taken out: every frame looks like the reference (float32 volumes).
    propagated : the reference frame carried to every frame (float32 volumes).
    toReference : transforms that bring frame t onto the reference when the cine is put under them.
    toFrame : transforms that carry what lies on the reference (points, models) along to frame t: the tissue's motion.
    jacobian : local change of volume from the reference to frame t; 1 is none (float32 volumes).
    labels : the given labels carried to every frame (label map volumes, or segmentations), or None.
    table : one row a frame: its number, its index value, its quality.
    colors : the colour table of the Jacobian.
    """

    browser: slicer.vtkMRMLSequenceBrowserNode
    compensated: slicer.vtkMRMLSequenceNode
    propagated: slicer.vtkMRMLSequenceNode
    toReference: slicer.vtkMRMLSequenceNode
    toFrame: slicer.vtkMRMLSequenceNode
    jacobian: slicer.vtkMRMLSequenceNode
    labels: slicer.vtkMRMLSequenceNode | None
    table: slicer.vtkMRMLTableNode
    colors: slicer.vtkMRMLColorTableNode

    def proxy(self, sequenceNode: slicer.vtkMRMLSequenceNode) -> slicer.vtkMRMLNode:
        """The node that shows the current frame of one of the sequences."""
        return self.browser.GetProxyNode(sequenceNode)


@dataclass(frozen=True)
class PairNodes:
    """The nodes that ``addPairMotion`` made.

    Attributes
    ----------
    toFixed : the transform that brings the moving volume onto the fixed one when the moving is put under it.
    toMoving : its inverse: carries what lies on the fixed volume onto the moving one.
    warped : the moving volume resampled onto the fixed one.
    """

    toFixed: slicer.vtkMRMLTransformNode
    toMoving: slicer.vtkMRMLTransformNode
    warped: slicer.vtkMRMLScalarVolumeNode


def _times(sequenceNode: slicer.vtkMRMLSequenceNode) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Frame times in seconds, or None where the sequence has none, and what to tell the user."""
    values = [sequenceNode.GetNthIndexValue(i) for i in range(sequenceNode.GetNumberOfDataNodes())]
    factor = _SECONDS.get((sequenceNode.GetIndexUnit() or "").strip().lower())
    if sequenceNode.GetIndexType() != sequenceNode.NumericIndex or factor is None:
        return None, ()
    try:
        times = np.array(values, dtype=float) * factor
    except ValueError:
        times = np.array([np.nan])
    if not np.all(np.isfinite(times)) or np.any(np.diff(times) <= 0):
        return None, (f"The index values of '{sequenceNode.GetName()}' are not rising times; frames are numbered.",)
    return times, ()


def cineFromSequence(sequenceNode: slicer.vtkMRMLSequenceNode) -> Cine:
    """The images of a sequence of volumes as a Cine.

    The times are the index values where their unit is a time; colour frames become luminance, and a note says so.

    Raises
    ------
    InputError : the sequence is empty or holds something else than images; frames of different geometry or pixel type,
        NaN pixels (the sentence names the frame); the sequence is shown under a transform.
    """
    name = sequenceNode.GetName() or "sequence"
    if sequenceNode.GetNumberOfDataNodes() == 0:
        raise InputError(f"The sequence '{name}' is empty.")
    for browser in results.browsersOf(sequenceNode):
        refuseTransform(browser.GetProxyNode(sequenceNode), sequenceNode)
    frames, grid, scalarType, colour = [], None, None, False
    for index in range(sequenceNode.GetNumberOfDataNodes()):
        node = sequenceNode.GetNthDataNode(index)
        if not node.IsA("vtkMRMLScalarVolumeNode") or node.IsA("vtkMRMLLabelMapVolumeNode"):
            raise InputError(
                f"Frame {index} of the sequence '{name}' is a {node.GetNodeTagName()}, not an image; choose a sequence "
                "of images."
            )
        if node.GetImageData() is None:
            raise InputError(f"Frame {index} of the sequence '{name}' holds no image.")
        frameGrid, frameType = gridOfVolume(node), _pixelType(node)
        grid, scalarType = grid or frameGrid, scalarType or frameType
        if not frameGrid.matches(grid):
            raise InputError(
                f"Frame {index} of the sequence '{name}' has another size or position than frame 0; resample the "
                "frames onto one geometry first."
            )
        if frameType != scalarType:
            raise InputError(
                f"Frame {index} of the sequence '{name}' has pixels of type {frameType}, but frame 0 has {scalarType}; "
                "cast the frames to one type first."
            )
        colour = isColour(node)
        frames.append(pixelsOfVolume(node, grid))
    times, notes = _times(sequenceNode)
    if colour:
        notes += (f"The colours of '{name}' were turned into luminance.",)
    return Cine(np.stack(frames), grid, times, name=name, notes=notes)


def _pixelType(node: slicer.vtkMRMLVolumeNode) -> str:
    image = node.GetImageData()
    components = image.GetNumberOfScalarComponents()
    return image.GetScalarTypeAsString() + (f" x {components}" if components > 1 else "")


def imageFromVolume(volumeNode: slicer.vtkMRMLVolumeNode) -> Cine:
    """A volume as a Cine of one frame.

    Raises
    ------
    InputError : the volume holds no image or one of no use (NaN, sheared), or is under a transform.
    """
    refuseTransform(volumeNode, volumeNode)
    grid = gridOfVolume(volumeNode)
    name = volumeNode.GetName() or "volume"
    notes = (f"The colours of '{name}' were turned into luminance.",) if isColour(volumeNode) else ()
    return Cine(pixelsOfVolume(volumeNode, grid)[None], grid, name=name, notes=notes)


def addCine(cine: Cine) -> slicer.vtkMRMLSequenceNode:
    """Add a Cine to the scene as a sequence of volumes, in a browser of its own."""
    values = [f"{time:.9g}" for time in cine.times]
    sequenceNode = slicer.vtkMRMLSequenceNode()
    sequenceNode.SetName(cine.name)
    sequenceNode.SetIndexName("time" if cine.time_unit else "frame")
    sequenceNode.SetIndexUnit(cine.time_unit)
    if len(cine) > 1:
        # frames are told apart by their index value, to within this tolerance
        tolerance = min(sequenceNode.GetNumericIndexValueTolerance(), 0.1 * float(np.diff(cine.times).min()))
        sequenceNode.SetNumericIndexValueTolerance(tolerance)
    fillSequence(sequenceNode, values, (volumeNodeFromArray(frame, cine.grid, cine.name) for frame in cine.frames))
    with results.batch(), results.allOrNothing():
        slicer.mrmlScene.AddNode(sequenceNode)
        _browserOf(sequenceNode)
    return sequenceNode


def _browserOf(sequenceNode: slicer.vtkMRMLSequenceNode) -> slicer.vtkMRMLSequenceBrowserNode:
    """The browser that plays the sequence, made where there is none."""
    logic = slicer.modules.sequences.logic()
    browser = logic.GetFirstBrowserNodeForSequenceNode(sequenceNode)
    if browser is None:
        name = f"{sequenceNode.GetName()} browser"
        browser = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", name)
        browser.SetAndObserveMasterSequenceNodeID(sequenceNode.GetID())
    logic.UpdateProxyNodesFromSequences(browser)
    return browser


def addMotion(
    motion: Motion,
    cine: Cine,
    sequenceNode: slicer.vtkMRMLSequenceNode,
    labels: Labels | None = None,
    progress: ProgressCallback | None = None,
    cancel: CancelToken | None = None,
) -> MotionNodes:
    """Add the motion of a sequence to the scene, in the sequence's own browser and with its own index values.

    Parameters
    ----------
    cine : the Cine of ``sequenceNode`` (``cineFromSequence``).
    labels : drawn on the reference frame, to be carried to every frame: a segmentation, a label map, or an integer
        array ``[*grid.shape]``.
    progress, cancel : see ``DeepRegLogic.progress``; a cancel leaves the scene as it was.

    Raises
    ------
    InputError : the sequence is not in the scene, is no longer the one that was registered, or is being recorded;
        labels that do not lie on it.
    Cancelled : the token was set.
    """
    _checkUnchanged(motion, cine, sequenceNode)
    built = buildSequences(motion, cine, sequenceNode, labels, Reporter(progress, cancel))
    table = qualityTable(motion, sequenceNode)
    colors = display.volumeChangeColors(f"{sequenceNode.GetName()} volume change colors")
    old = results.findResults(sequenceNode)
    with results.batch():
        with results.allOrNothing():
            browser = _browserOf(sequenceNode)
            for node in (*built.values(), table, colors):
                slicer.mrmlScene.AddNode(node)
            proxies = _synchronize(browser, built)
            _arrange(browser.GetProxyNode(sequenceNode), proxies, table, colors, motion.grid)
        new = {**built, **{f"{role}Proxy": node for role, node in proxies.items()}, "table": table, "colors": colors}
        results.replaceResults(sequenceNode, old, new)
    return MotionNodes(browser, **{"labels": None, **built}, table=table, colors=colors)


def _checkUnchanged(motion: Motion, cine: Cine, sequenceNode: slicer.vtkMRMLSequenceNode) -> None:
    name = sequenceNode.GetName()
    if not slicer.mrmlScene.IsNodePresent(sequenceNode):
        raise InputError(f"The sequence '{name}' is no longer in the scene; the result was not added.")
    count = sequenceNode.GetNumberOfDataNodes()
    if count != len(motion) or len(cine) != len(motion) or not cine.grid.matches(motion.grid):
        raise InputError(
            f"The motion of {len(motion)} frames does not belong to '{name}' with {count}; register again."
        )
    if not gridOfVolume(sequenceNode.GetNthDataNode(0)).matches(motion.grid):
        raise InputError(f"The sequence '{name}' was changed after it was read; register it again.")
    for browser in results.browsersOf(sequenceNode):
        if browser.GetRecordingActive():
            raise InputError(f"'{browser.GetName()}' is recording; stop the recording and try again.")


def _synchronize(
    browser: slicer.vtkMRMLSequenceBrowserNode, sequences: dict[str, slicer.vtkMRMLSequenceNode]
) -> dict[str, slicer.vtkMRMLNode]:
    """Put the sequences into the browser; their proxy nodes, by the same keys."""
    for sequenceNode in sequences.values():
        browser.AddSynchronizedSequenceNode(sequenceNode)
        browser.SetPlayback(sequenceNode, True)
        browser.SetRecording(sequenceNode, False)
        browser.SetSaveChanges(sequenceNode, False)
        browser.SetOverwriteProxyName(sequenceNode, False)
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
    return {role: browser.GetProxyNode(sequenceNode) for role, sequenceNode in sequences.items()}


def _arrange(
    cineProxy: slicer.vtkMRMLVolumeNode,
    proxies: dict[str, slicer.vtkMRMLNode],
    table: slicer.vtkMRMLTableNode,
    colors: slicer.vtkMRMLColorTableNode,
    grid: Grid,
) -> None:
    """Display, node references and place in the subject hierarchy of the results."""
    display.showLike(proxies["compensated"], cineProxy)
    display.showLike(proxies["propagated"], cineProxy)
    display.showVolumeChange(proxies["jacobian"], colors)
    _relate(proxies["toReference"], fixed=proxies["compensated"], moving=cineProxy)
    _relate(proxies["toFrame"], fixed=cineProxy, moving=proxies["compensated"])
    for role in ("toReference", "toFrame"):
        display.prepareTransformDisplay(proxies[role], cineProxy, grid)
    results.groupInFolder(f"{cineProxy.GetName()} motion", cineProxy, [*proxies.values(), table])


def _relate(
    transformNode: slicer.vtkMRMLTransformNode, fixed: slicer.vtkMRMLVolumeNode, moving: slicer.vtkMRMLVolumeNode
) -> None:
    transformNode.SetNodeReferenceID(slicer.vtkMRMLTransformNode.GetFixedNodeReferenceRole(), fixed.GetID())
    transformNode.SetNodeReferenceID(slicer.vtkMRMLTransformNode.GetMovingNodeReferenceRole(), moving.GetID())


def addPairMotion(
    motion: Motion, fixedNode: slicer.vtkMRMLScalarVolumeNode, movingNode: slicer.vtkMRMLScalarVolumeNode
) -> PairNodes:
    """Add the motion between two volumes to the scene: frame 0 is the fixed volume, frame 1 the moving one.

    Raises
    ------
    InputError : a volume is not in the scene any more, or the motion does not belong to the fixed volume.
    """
    for node in (fixedNode, movingNode):
        if not slicer.mrmlScene.IsNodePresent(node):
            raise InputError(f"The volume '{node.GetName()}' is no longer in the scene; the result was not added.")
    grid, fixedName, movingName = motion.grid, fixedNode.GetName(), movingNode.GetName()
    if len(motion) != 2 or motion.reference != 0 or not gridOfVolume(fixedNode).matches(grid):
        raise InputError(f"The motion does not belong to the pair '{fixedName}' and '{movingName}'; register again.")
    toFixed = transformNodeFromField(motion.displacement[1], grid, f"{movingName} to {fixedName}")
    toMoving = transformNodeFromField(motion.inverse[1], grid, f"{fixedName} to {movingName}")
    warped = slicer.vtkMRMLScalarVolumeNode()
    warped.SetName(f"{movingName} warped to {fixedName}")
    warped.CopyOrientation(fixedNode)
    warped.SetAndObserveImageData(resample(movingNode, toFixed.GetTransformFromParent(), grid))
    new = {"toFixed": toFixed, "toMoving": toMoving, "warped": warped}
    old = results.findResults(movingNode, fixedNode)
    with results.batch():
        with results.allOrNothing():
            for node in new.values():
                slicer.mrmlScene.AddNode(node)
            warped.CreateDefaultDisplayNodes()
            display.showLike(warped, movingNode)
            _relate(toFixed, fixed=fixedNode, moving=movingNode)
            _relate(toMoving, fixed=movingNode, moving=fixedNode)
            display.prepareTransformDisplay(toFixed, fixedNode, grid)
            display.prepareTransformDisplay(toMoving, movingNode, grid)
            results.groupInFolder(f"{movingName} to {fixedName}", movingNode, list(new.values()))
        results.replaceResults(movingNode, old, new, fixedNode)
    return PairNodes(**new)
