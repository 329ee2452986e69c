"""Sequences of volumes to Cine, and back; and the browsers that play them.

cine = cineFromSequence(sequenceNode)
sequenceNode = addCine(cine)
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import slicer
import slicer.util

from DeepRegLogic.cine import Cine
from DeepRegLogic.errors import InputError
from DeepRegLogic.grid import Grid
from DeepRegLogic.io.formats import multivolume_times, numbers, seconds_in, spelled, usable_times
from DeepRegLogic.progress import Reporter
from DeepRegLogic.service.exchange import cine_header

from ..i18n import _
from ..steps import Steps, runSteps
from . import transaction
from .annotations import refuseTransform
from .names import nameNotes, nodeName
from .volumes import colourNotes, gridOfVolume, pixelsOfVolume, volumeNodeFromArray

IMAGES = ("vtkMRMLScalarVolumeNode", "vtkMRMLVectorVolumeNode")
_STUDY_DATE = "TemporalRegistration.StudyDate"
_FRAME = "frame"  # the index of frames that are numbered on purpose
_MULTIVOLUME = ("FrameLabels", "FrameIdentifyingDICOMTagName", "FrameIdentifyingDICOMTagUnits", "ParseStrategy")


def isCine(node: slicer.vtkMRMLNode | None) -> bool:
    """Whether a node is a sequence of grey or colour images; one that was made of a cine counts where it is a cine of
    its own (generated), not where it is a map of it."""
    if node is None or not node.IsA("vtkMRMLSequenceNode") or node.GetNumberOfDataNodes() == 0:
        return False
    source = transaction.inputOf(node)
    return node.GetDataNodeClassName() in IMAGES and not (source is not None and transaction.isResultOf(node, source))


def _times(sequenceNode: slicer.vtkMRMLSequenceNode) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Frame times in seconds, or None where the sequence has none, and what to tell the user.

    They are the index values where their unit is a time. Importers of DICOM number the frames, and give the times of
    the trigger to every frame, or labels to the sequence.
    """
    count = sequenceNode.GetNumberOfDataNodes()
    name, unit = sequenceNode.GetName(), sequenceNode.GetIndexUnit() or ""
    if sequenceNode.GetIndexType() == sequenceNode.NumericIndex and seconds_in(unit) is not None:
        times, _reason = usable_times(numbers([sequenceNode.GetNthIndexValue(i) for i in range(count)]), unit, count)
        note = _("The index values of '{name}' are not rising times; frames are numbered.")
        return times, (note.format(name=name),) if times is None else ()
    triggers = [sequenceNode.GetNthDataNode(i).GetAttribute("DICOM.triggerTime") or "" for i in range(count)]
    times, _reason = usable_times(numbers(triggers), "ms", count)
    if times is not None:
        return times, ()
    attributes = {f"MultiVolume.{key}": sequenceNode.GetAttribute(f"MultiVolume.{key}") or "" for key in _MULTIVOLUME}
    if attributes["MultiVolume.FrameLabels"]:
        return multivolume_times(attributes, count)
    if sequenceNode.GetIndexName() == _FRAME:
        return None, ()
    note = _("The sequence '{name}' tells no times of its frames; frames are numbered.")
    return None, (note.format(name=name),)


def cineFromSequence(sequenceNode: slicer.vtkMRMLSequenceNode) -> Cine:
    """The images of a sequence of volumes as a Cine.

    The times are the index values where their unit is a time; colour frames become luminance, and a note says so.

    Raises
    ------
    InputError : the sequence is empty or holds something else than images; frames of different geometry or pixel type,
        NaN pixels (the sentence names the frame); the sequence is shown under a transform.
    """
    name = sequenceNode.GetName() or "sequence"
    frames = list(framesOf(sequenceNode))
    grid = gridOfVolume(sequenceNode.GetNthDataNode(0))
    times, notes = _times(sequenceNode)
    notes += colourNotes(sequenceNode.GetNthDataNode(0), name) + nameNotes(sequenceNode)
    day = sequenceNode.GetAttribute(_STUDY_DATE) or ""
    return Cine(np.stack(frames), grid, times, name=name, notes=notes, study_date=day)


def headerOf(sequenceNode: slicer.vtkMRMLSequenceNode) -> tuple[dict[str, object], tuple[str, ...]]:
    """Everything of the sequence's cine but its frames, as ``exchange.unpack_cine`` takes it, and its notes."""
    node = sequenceNode.GetNthDataNode(0)
    name = sequenceNode.GetName() or "sequence"
    times, notes = _times(sequenceNode)
    day = sequenceNode.GetAttribute(_STUDY_DATE) or ""
    header = cine_header(gridOfVolume(node), None if times is None else times.tolist(), name, day)
    return header, notes + colourNotes(node, name) + nameNotes(sequenceNode)


def framesOf(sequenceNode: slicer.vtkMRMLSequenceNode) -> Iterator[np.ndarray]:
    """The pixels ``[*spatial]`` of the frames, one by one; raises InputError as ``cineFromSequence`` does."""
    name = sequenceNode.GetName() or "sequence"
    if sequenceNode.GetNumberOfDataNodes() == 0:
        raise InputError(_("The sequence '{name}' is empty.").format(name=name))
    for browser in transaction.browsersOf(sequenceNode):
        refuseTransform(browser.GetProxyNode(sequenceNode), sequenceNode)
    grid, scalarType = None, None
    for index in range(sequenceNode.GetNumberOfDataNodes()):
        node = sequenceNode.GetNthDataNode(index)
        if not node.IsA("vtkMRMLScalarVolumeNode") or node.IsA("vtkMRMLLabelMapVolumeNode"):
            reason = _("Frame {index} of the sequence '{name}' is a {kind}, not an image; choose a sequence of images.")
            raise InputError(reason.format(index=index, name=name, kind=node.GetNodeTagName()))
        if node.GetImageData() is None:
            reason = _("Frame {index} of the sequence '{name}' holds no image.")
            raise InputError(reason.format(index=index, name=name))
        frameGrid, frameType = gridOfVolume(node), _pixelType(node)
        grid, scalarType = grid or frameGrid, scalarType or frameType
        if not frameGrid.matches(grid):
            reason = _(
                "Frame {index} of the sequence '{name}' has another size or position than frame 0; resample the frames "
                "onto one geometry first."
            )
            raise InputError(reason.format(index=index, name=name))
        if frameType != scalarType:
            reason = _(
                "Frame {index} of the sequence '{name}' has pixels of type {type}, but frame 0 has {first}; cast the "
                "frames to one type first."
            )
            raise InputError(reason.format(index=index, name=name, type=frameType, first=scalarType))
        yield pixelsOfVolume(node, grid)


def _pixelType(node: slicer.vtkMRMLVolumeNode) -> str:
    image = node.GetImageData()
    components = image.GetNumberOfScalarComponents()
    return image.GetScalarTypeAsString() + (f" x {components}" if components > 1 else "")


def addCine(cine: Cine) -> slicer.vtkMRMLSequenceNode:
    """Add a Cine to the scene as a sequence of volumes, in a browser of its own.

    Raises
    ------
    InputError : frame times that lie so close together that the application takes frames for one another.
    """
    return runSteps(cineSteps(cine), Reporter())


def cineSteps(cine: Cine) -> Steps[slicer.vtkMRMLSequenceNode]:
    """``addCine`` in steps, of which the last changes the scene."""
    values = spelled(cine.times)
    sequenceNode = slicer.vtkMRMLSequenceNode()
    sequenceNode.SetName(nodeName(cine.name))
    sequenceNode.SetIndexName("time" if cine.time_unit else _FRAME)
    sequenceNode.SetIndexUnit(cine.time_unit)
    sequenceNode.SetAttribute(_STUDY_DATE, cine.study_date or None)
    step = float(np.median(np.diff(cine.times))) if len(cine) > 1 else 1.0
    if len(cine) > 1:
        # frames are told apart by their index value, to within this tolerance
        tolerance = min(sequenceNode.GetNumericIndexValueTolerance(), 0.1 * float(np.diff(cine.times).min()))
        sequenceNode.SetNumericIndexValueTolerance(tolerance)
    for number, (value, frame) in enumerate(zip(values, cine.frames, strict=True), start=1):
        sequenceNode.SetDataNodeAtValue(volumeNodeFromArray(frame, cine.grid, cine.name), value)  # keeps a deep copy
        text = _("Adding frame {number} of {count}").format(number=number, count=len(cine))
        yield number / (len(cine) + 1), text
    if sequenceNode.GetNumberOfDataNodes() != len(cine):
        reason = _("The frame times of '{name}' lie too close together for a sequence; number the frames instead.")
        raise InputError(reason.format(name=cine.name))
    with transaction.batch(), transaction.allOrNothing():
        slicer.mrmlScene.AddNode(sequenceNode)
        browser = browserOf(sequenceNode)
        if cine.time_unit == "s":  # as fast as it was
            browser.SetPlaybackRateFps(min(60.0, max(1.0, round(1.0 / step, 1))))
    return sequenceNode


def middleSlice(sequenceNode: slicer.vtkMRMLSequenceNode) -> Cine:
    """The middle slice of a sequence of stacks as a cine; raises InputError as ``cineFromSequence`` does."""
    cine = cineFromSequence(sequenceNode)
    grid, k = cine.grid, cine.grid.size[2] // 2
    origin = tuple(grid.matrix[:3, 3] + k * grid.matrix[:3, 2])
    plane = Grid((*grid.size[:2], 1), grid.spacing, origin, grid.direction)
    times = cine.times if cine.time_unit else None
    return Cine(cine.frames[:, k], plane, times, name=_("{name} slice {k}").format(name=cine.name, k=k + 1))


def browserOf(sequenceNode: slicer.vtkMRMLSequenceNode) -> slicer.vtkMRMLSequenceBrowserNode:
    """The browser that plays the sequence, made where there is none."""
    logic = slicer.modules.sequences.logic()
    browser = logic.GetFirstBrowserNodeForSequenceNode(sequenceNode)
    if browser is None:
        name = _("{name} browser").format(name=sequenceNode.GetName())
        browser = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", name)
        browser.SetAndObserveMasterSequenceNodeID(sequenceNode.GetID())
    if browser.GetProxyNode(sequenceNode) is None:
        logic.UpdateProxyNodesFromSequences(browser)
    return browser


def emptyLike(sequenceNode: slicer.vtkMRMLSequenceNode, name: str) -> slicer.vtkMRMLSequenceNode:
    """An empty sequence, not yet in a scene, with the kind of index of ``sequenceNode``."""
    result = slicer.vtkMRMLSequenceNode()
    result.SetName(nodeName(name))
    result.SetIndexName(sequenceNode.GetIndexName())
    result.SetIndexUnit(sequenceNode.GetIndexUnit())
    result.SetIndexType(sequenceNode.GetIndexType())
    result.SetNumericIndexValueTolerance(sequenceNode.GetNumericIndexValueTolerance())
    return result


def synchronize(
    browser: slicer.vtkMRMLSequenceBrowserNode, sequences: dict[str, slicer.vtkMRMLSequenceNode]
) -> dict[str, slicer.vtkMRMLNode]:
    """Put the sequences into the browser; their proxy nodes, by the same keys."""
    with slicer.util.NodeModify(browser):
        for sequenceNode in sequences.values():
            browser.AddSynchronizedSequenceNode(sequenceNode)
            browser.SetPlayback(sequenceNode, True)
            browser.SetRecording(sequenceNode, False)
            browser.SetSaveChanges(sequenceNode, False)
            browser.SetOverwriteProxyName(sequenceNode, False)
    # the logic of the module Sequences made the proxy nodes when the browser changed
    return {role: browser.GetProxyNode(sequenceNode) for role, sequenceNode in sequences.items()}


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
