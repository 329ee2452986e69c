"""Nodes of the scene to Cine and Motion, and back.

    cine = cineFromSequence(sequenceNode)
    motion = register_cine(cine)
    nodes = addMotion(motion, cine, sequenceNode)

Everything is built outside the scene; the scene changes at the end, all at once or not at all. A second run on the same
input replaces the results of the first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, fields

import numpy as np
import slicer
import slicer.util

from DeepRegLogic.cine import Cine, Motion
from DeepRegLogic.derive import Derived
from DeepRegLogic.errors import InputError
from DeepRegLogic.exchange import cine_header
from DeepRegLogic.grid import Grid
from DeepRegLogic.progress import CancelToken, ProgressCallback, Reporter

from . import charts, display, ellipses, results
from .building import buildSequences, qualityTable, sizesTable, uncertaintyTable
from .drawn import Drawn, Labels, drawnOn, refuseTransform
from .i18n import _
from .steps import Steps, runSteps
from .volumes import colourNotes, gridOfVolume, pixelsOfVolume, volumeNodeFromArray

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
    difference : compensated frame minus reference frame: what the motion does not explain (float32 volumes).
    jacobian : local change of volume from the reference to frame t; 1 is none (float32 volumes).
    table : one row a frame: its number, its index value, its quality.
    colors : the colour table of the Jacobian.
    qualityChart, motionChart : plots of the table.
    labels : the given labels carried to every frame (label map volumes, or segmentations), or None.
    uncertainty : standard deviation of the displacement in mm (float32 volumes), or None for models without.
    entropy : entropy of the displacement in nats (float32 volumes), or None as the uncertainty.
    ellipses : the 95 % error ellipses of all followed points (models), or None without uncertainty or points.
    labelUncertainty : mean and percentiles of the uncertainty over every label, one row a frame, or None.
    labelUncertaintyChart : a plot of them, or None.
    sizes : area or volume of every label, one row a frame, or None without labels.
    sizesChart : a plot of the sizes, or None.
    points : for every given Markups node the sequence that follows it.
    """

    browser: slicer.vtkMRMLSequenceBrowserNode
    compensated: slicer.vtkMRMLSequenceNode
    propagated: slicer.vtkMRMLSequenceNode
    toReference: slicer.vtkMRMLSequenceNode
    toFrame: slicer.vtkMRMLSequenceNode
    difference: slicer.vtkMRMLSequenceNode
    jacobian: slicer.vtkMRMLSequenceNode
    table: slicer.vtkMRMLTableNode
    colors: slicer.vtkMRMLColorTableNode
    qualityChart: slicer.vtkMRMLPlotChartNode
    motionChart: slicer.vtkMRMLPlotChartNode
    labels: slicer.vtkMRMLSequenceNode | None = None
    uncertainty: slicer.vtkMRMLSequenceNode | None = None
    entropy: slicer.vtkMRMLSequenceNode | None = None
    ellipses: slicer.vtkMRMLSequenceNode | None = None
    labelUncertainty: slicer.vtkMRMLTableNode | None = None
    labelUncertaintyChart: slicer.vtkMRMLPlotChartNode | None = None
    sizes: slicer.vtkMRMLTableNode | None = None
    sizesChart: slicer.vtkMRMLPlotChartNode | None = None
    points: tuple[slicer.vtkMRMLSequenceNode, ...] = ()

    def proxy(self, sequenceNode: slicer.vtkMRMLSequenceNode) -> slicer.vtkMRMLNode:
        """The node that shows the current frame of one of the sequences."""
        return self.browser.GetProxyNode(sequenceNode)


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
        note = _("The index values of '{name}' are not rising times; frames are numbered.")
        return None, (note.format(name=sequenceNode.GetName()),)
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
    frames = list(framesOf(sequenceNode))
    grid = gridOfVolume(sequenceNode.GetNthDataNode(0))
    times, notes = _times(sequenceNode)
    notes += colourNotes(sequenceNode.GetNthDataNode(0), name)
    return Cine(np.stack(frames), grid, times, name=name, notes=notes)


def headerOf(sequenceNode: slicer.vtkMRMLSequenceNode) -> tuple[dict[str, object], tuple[str, ...]]:
    """Everything of the sequence's cine but its frames, as ``exchange.unpack_cine`` takes it, and its notes."""
    node = sequenceNode.GetNthDataNode(0)
    name = sequenceNode.GetName() or "sequence"
    times, notes = _times(sequenceNode)
    header = cine_header(gridOfVolume(node), None if times is None else times.tolist(), name)
    return header, notes + colourNotes(node, name)


def framesOf(sequenceNode: slicer.vtkMRMLSequenceNode) -> Iterator[np.ndarray]:
    """The pixels ``[*spatial]`` of the frames, one by one; raises InputError as ``cineFromSequence`` does."""
    name = sequenceNode.GetName() or "sequence"
    if sequenceNode.GetNumberOfDataNodes() == 0:
        raise InputError(_("The sequence '{name}' is empty.").format(name=name))
    for browser in results.browsersOf(sequenceNode):
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
    for value, frame in zip(values, cine.frames, strict=True):
        sequenceNode.SetDataNodeAtValue(volumeNodeFromArray(frame, cine.grid, cine.name), value)  # keeps a deep copy
    with results.batch(), results.allOrNothing():
        slicer.mrmlScene.AddNode(sequenceNode)
        browserOf(sequenceNode)
    return sequenceNode


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


def addMotion(
    motion: Motion,
    cine: Cine,
    sequenceNode: slicer.vtkMRMLSequenceNode,
    labels: Labels | None = None,
    markups: Sequence[slicer.vtkMRMLMarkupsNode] = (),
    progress: ProgressCallback | None = None,
    cancel: CancelToken | None = None,
) -> MotionNodes:
    """Add the motion of a sequence to the scene, in the sequence's own browser and with its own index values.

    Parameters
    ----------
    cine : the Cine of ``sequenceNode`` (``cineFromSequence``).
    labels : drawn on the reference frame, to be carried to every frame: a segmentation, a label map, or an integer
        array ``[*grid.shape]``.
    markups : points and curves drawn on the reference frame, to be followed to every frame.
    progress, cancel : see ``DeepRegLogic.progress``; a cancel leaves the scene as it was.

    Raises
    ------
    InputError : the sequence is not in the scene, is no longer the one that was registered, or is being recorded;
        labels that do not lie on it.
    Cancelled : the token was set.
    """
    from DeepRegLogic.derive import derive

    _checkUnchanged(motion, sequenceNode)
    if len(cine) != len(motion) or not cine.grid.matches(motion.grid):
        reason = _("The motion of {count} frames does not belong to '{name}'; register again.")
        raise InputError(reason.format(count=len(motion), name=cine.name))
    whole = Reporter(progress, cancel)
    drawn = drawnOn(motion.grid, labels, markups)
    derived = derive(motion, cine, drawn.masks, drawn.points, whole.part(0.0, 0.5), cancel)
    return runSteps(motionSteps(motion, derived, sequenceNode, drawn), whole.part(0.5, 1.0))


def motionSteps(
    motion: Motion, derived: Derived, sequenceNode: slicer.vtkMRMLSequenceNode, drawn: Drawn
) -> Steps[MotionNodes]:
    """``addMotion`` of what was computed already, in steps.

    The scene changes in one step. Those after it, of fraction 1, only remove the results of a former run.
    """
    _checkUnchanged(motion, sequenceNode)
    built = yield from buildSequences(motion, derived, sequenceNode, drawn)
    _checkUnchanged(motion, sequenceNode)
    name = sequenceNode.GetName()
    tables = {
        "table": qualityTable(motion, derived, sequenceNode),
        "sizes": sizesTable(derived, drawn, sequenceNode),
        "labelUncertainty": uncertaintyTable(derived, drawn, sequenceNode),
    }
    tables = {role: node for role, node in tables.items() if node is not None}
    colors = {
        "colors": display.volumeChangeColors(_("{name} volume change colors").format(name=name)),
    }
    if derived.uncertainty is not None:
        colors["uncertaintyColors"] = display.uncertaintyColors(_("{name} uncertainty colors").format(name=name))
        colors["entropyColors"] = display.entropyColors(_("{name} entropy colors").format(name=name))
    old = results.findResults(sequenceNode)
    with results.batch(), _silently(sequenceNode):
        with results.allOrNothing():
            browser = browserOf(sequenceNode)
            for node in (*built.values(), *tables.values(), *colors.values()):
                results.addResult(node, sequenceNode)
            proxies = synchronize(browser, built)
            plots = charts.addCharts(name, tables["table"], tables.get("sizes"), tables.get("labelUncertainty"))
            _arrange(
                browser.GetProxyNode(sequenceNode), proxies, [*tables.values(), *plots.values()], colors, motion.grid
            )
        shown = {f"{role}Proxy": node for role, node in proxies.items()}
        results.handOver(sequenceNode, old, {**built, **shown, **tables, **colors, **plots})
    yield from results.removeSteps(old)
    return motionNodesOf(sequenceNode)


def motionNodesOf(sequenceNode: slicer.vtkMRMLSequenceNode | None) -> MotionNodes | None:
    """The results of the last registration of a sequence, or None where there are none, or not all of them."""
    if sequenceNode is None:
        return None
    found = results.findResults(sequenceNode)
    browser = slicer.modules.sequences.logic().GetFirstBrowserNodeForSequenceNode(sequenceNode)
    names = [field.name for field in fields(MotionNodes)]
    values = {name: found[name] for name in names if name in found}
    points = tuple(found[role] for role in sorted(found) if role.startswith("points") and role[6:].isdigit())
    needed = [field.name for field in fields(MotionNodes) if field.default is MISSING and field.name != "browser"]
    if browser is None or any(name not in values for name in needed):
        return None
    return MotionNodes(browser=browser, **values, points=points)


@contextmanager
def _silently(sequenceNode: slicer.vtkMRMLSequenceNode) -> Iterator[None]:
    """Change the references of a sequence and tell nobody: its browser would copy the current frames once more."""
    before = sequenceNode.GetDisableModifiedEvent()
    sequenceNode.SetDisableModifiedEvent(True)
    try:
        yield
    finally:
        sequenceNode.SetDisableModifiedEvent(before)


def _checkUnchanged(motion: Motion, sequenceNode: slicer.vtkMRMLSequenceNode) -> None:
    name = sequenceNode.GetName()
    if not slicer.mrmlScene.IsNodePresent(sequenceNode):
        reason = _("The sequence '{name}' is no longer in the scene; the result was not added.")
        raise InputError(reason.format(name=name))
    count = sequenceNode.GetNumberOfDataNodes()
    if count != len(motion):
        reason = _("The motion of {frames} frames does not belong to '{name}' with {count}; register again.")
        raise InputError(reason.format(frames=len(motion), name=name, count=count))
    if not gridOfVolume(sequenceNode.GetNthDataNode(0)).matches(motion.grid):
        reason = _("The sequence '{name}' was changed after it was read; register it again.")
        raise InputError(reason.format(name=name))
    for browser in results.browsersOf(sequenceNode):
        if browser.GetRecordingActive():
            reason = _("'{name}' is recording; stop the recording and try again.")
            raise InputError(reason.format(name=browser.GetName()))


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


def _arrange(
    cineProxy: slicer.vtkMRMLVolumeNode,
    proxies: dict[str, slicer.vtkMRMLNode],
    others: list[slicer.vtkMRMLNode],
    colors: dict[str, slicer.vtkMRMLColorTableNode],
    grid: Grid,
) -> None:
    """Display, node references and place in the subject hierarchy of the results."""
    display.showLike(proxies["compensated"], cineProxy)
    display.showLike(proxies["propagated"], cineProxy)
    display.showVolumeChange(proxies["jacobian"], colors["colors"])
    if "uncertainty" in proxies:
        display.showUncertainty(proxies["uncertainty"], colors["uncertaintyColors"])
        display.showEntropy(proxies["entropy"], colors["entropyColors"], grid.ndim)
    if "ellipses" in proxies:
        ellipses.prepareDisplay(proxies["ellipses"], grid.ndim)
    if "labels" in proxies:
        display.showLabels(proxies["labels"])
    display.showDifference(proxies["difference"], cineProxy, colors["colors"])
    display.relate(proxies["toReference"], fixed=proxies["compensated"], moving=cineProxy)
    display.relate(proxies["toFrame"], fixed=cineProxy, moving=proxies["compensated"])
    for role in ("toReference", "toFrame"):
        display.prepareTransformDisplay(proxies[role], cineProxy, grid)
    listed = [*proxies.values(), *(node for node in others if not node.GetHideFromEditors())]
    results.groupInFolder(_("{name} motion").format(name=cineProxy.GetName()), cineProxy, listed)
