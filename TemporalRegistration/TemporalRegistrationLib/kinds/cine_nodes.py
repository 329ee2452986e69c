"""The motion of a sequence as nodes.

    motion = register_cine(cine)
    nodes = addMotion(motion, cine, sequenceNode)

Everything is built outside the scene; the scene changes at the end, all at once or not at all. A second run on the same
input replaces the results of the first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import slicer
import slicer.util

from DeepRegLogic.cine import Cine, Motion
from DeepRegLogic.errors import InputError
from DeepRegLogic.progress import CancelToken, ProgressCallback, Reporter
from DeepRegLogic.results.curves import CURVES
from DeepRegLogic.results.maps import DIFFERENCE, IMAGE, MAPS, Map
from DeepRegLogic.results.results import Results

from ..i18n import _
from ..nodes import transaction
from ..nodes.annotations import Drawn, DrawnLabels, drawnOn
from ..nodes.names import short
from ..nodes.pages import pagesNode, pictureNode
from ..nodes.sequences import browserOf, emptyLike, synchronize
from ..nodes.tables import curveTable, qualityTable
from ..nodes.transforms import transformNodeFromField
from ..nodes.volumes import gridOfVolume, volumeNodeFromArray
from ..show import charts, display, ellipses
from ..steps import Steps, runSteps

_SEGMENTS = "segments.png"
_NEEDED = ("toReference", "toFrame", "table", "compensated", "difference", "jacobian")


@dataclass(frozen=True)
class MotionNodes:
    """The nodes of a followed motion, by role. All sequences are in ``browser``, which shows their current frame.

    Attributes
    ----------
    browser : the browser of the input sequence.
    found : role -> node. The roles are attributes, too, None where a result lacks them:

        every name of ``maps.MAPS``: sequences of volumes (``compensated``, ``propagated``, ``difference``,
        ``jacobian``, and ``uncertainty`` and ``entropy`` of models that give them);
        toReference : transforms that bring frame t onto the reference when the cine is put under them;
        toFrame : transforms that carry what lies on the reference (points, models) along to frame t;
        labels : the given labels carried to every frame (label map volumes, or segmentations);
        ellipses : the 95 % error ellipses of all followed points (models);
        pages : the files of the report (a text node);
        segments : the bull's-eyes (a picture, as a volume);
        table : one row a frame: its number, its index value, its quality;
        every name of ``curves.CURVES``: tables (``sizes``, ``labelUncertainty``), with "Chart" after it their plots;
        qualityChart, motionChart : plots of the table;
        jacobianColors ... : color tables of the maps.
    """

    kind: ClassVar[str] = "cine"

    browser: slicer.vtkMRMLSequenceBrowserNode
    found: Mapping[str, slicer.vtkMRMLNode]

    def __getattr__(self, role: str) -> slicer.vtkMRMLNode | None:
        if role.startswith("_") or role == "found":
            raise AttributeError(role)
        if role in CURVES and role not in MAPS:
            role = f"{role}Table"
        if role in self.found:
            return self.found[role]
        curve = role.removesuffix("Chart").removesuffix("Table")
        if role in MAPS or curve in CURVES or role in ("labels", "ellipses", "pages", "segments"):
            return None
        raise AttributeError(f"The results of a cine have no '{role}'.")

    @property
    def points(self) -> tuple[slicer.vtkMRMLSequenceNode, ...]:
        """For every given Markups node the sequence that follows it."""
        roles = sorted(role for role in self.found if role.startswith("points") and role[6:].isdigit())
        return tuple(self.found[role] for role in roles)

    @property
    def maps(self) -> dict[str, slicer.vtkMRMLSequenceNode]:
        """The sequences of maps, by name."""
        return {name: self.found[name] for name in MAPS if name in self.found}

    @property
    def sequences(self) -> dict[str, slicer.vtkMRMLSequenceNode]:
        """All sequences, by role."""
        return {role: node for role, node in self.found.items() if node.IsA("vtkMRMLSequenceNode")}

    @property
    def tables(self) -> dict[str, slicer.vtkMRMLTableNode]:
        """The tables of curves, by the curve's name."""
        return {name: self.found[f"{name}Table"] for name in CURVES if f"{name}Table" in self.found}

    def proxy(self, sequenceNode: slicer.vtkMRMLSequenceNode) -> slicer.vtkMRMLNode:
        """The node that shows the current frame of one of the sequences."""
        return self.browser.GetProxyNode(sequenceNode)

    @property
    def cine(self) -> slicer.vtkMRMLSequenceNode:
        """The sequence that was registered."""
        return transaction.inputOf(self.found["table"])


def addMotion(
    motion: Motion,
    cine: Cine,
    sequenceNode: slicer.vtkMRMLSequenceNode,
    labels: DrawnLabels | None = None,
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
    checkUnchanged(motion, sequenceNode)
    drawn = drawnOn(motion.grid, labels, markups)
    results = Results(motion, cine, drawn.labels, drawn.points)
    return addResults(results, sequenceNode, drawn, progress, cancel)


def addResults(
    results: Results,
    sequenceNode: slicer.vtkMRMLSequenceNode,
    drawn: Drawn | None = None,
    progress: ProgressCallback | None = None,
    cancel: CancelToken | None = None,
) -> MotionNodes:
    """``addMotion`` of results, which compute what they have not computed yet; ``drawn`` is None for their labels."""
    from DeepRegLogic.service.calls import compute

    whole = Reporter(progress, cancel)
    if drawn is None:
        drawn = drawnOn(results.motion.grid, results.labels)
    compute(results, whole.part(0.0, 0.5))
    return runSteps(motionSteps(results, sequenceNode, drawn), whole.part(0.5, 1.0))


def motionSteps(
    results: Results, sequenceNode: slicer.vtkMRMLSequenceNode, drawn: Drawn, pages: Sequence[Path] = ()
) -> Steps[MotionNodes]:
    """``addResults`` of what was computed already, in steps; ``pages`` are the files of the report.

    The scene changes in one step. Those after it, of fraction 1, only remove the results of a former run.
    """
    checkUnchanged(results.motion, sequenceNode)
    built = yield from _sequences(results, sequenceNode, drawn)
    checkUnchanged(results.motion, sequenceNode)
    name, grid = short(sequenceNode.GetName()), results.motion.grid
    quality = qualityTable(results, sequenceNode)
    tables = {curve: curveTable(curve, results, sequenceNode) for curve in results.curves}
    colors = {
        f"{role}Colors": display.paletteColors(
            entry.palette, _("{name} {map} colors").format(name=name, map=nounOf(entry))
        )
        for role, entry in results.maps.items()
        if entry.kind != IMAGE
    }
    report = {"pages": pagesNode(pages, _("{name} report").format(name=name))} if pages else {}
    for path in pages:
        if path.name == _SEGMENTS:
            report["segments"] = pictureNode(path, _("{name} segments").format(name=name))
    old = transaction.findResults(sequenceNode)
    with transaction.batch(), _silently(sequenceNode):
        with transaction.allOrNothing():
            browser = browserOf(sequenceNode)
            for node in (*built.values(), quality, *tables.values(), *colors.values(), *report.values()):
                transaction.addResult(node, sequenceNode)
            proxies = synchronize(browser, built)
            plots = charts.addCharts(name, quality, tables, grid)
            listed = [quality, *tables.values(), *plots.values()]
            if "segments" in report:
                report["segments"].CreateDefaultDisplayNodes()
            _arrange(browser.GetProxyNode(sequenceNode), proxies, listed, colors, results)
        roles = {f"{curve}Table": node for curve, node in tables.items()}
        shown = {f"{role}Proxy": node for role, node in proxies.items()}
        transaction.handOver(
            sequenceNode, old, {**built, **shown, "table": quality, **roles, **colors, **plots, **report}
        )
    yield from transaction.removeSteps(old)
    return motionNodesOf(sequenceNode)


def motionNodesOf(sequenceNode: slicer.vtkMRMLSequenceNode | None) -> MotionNodes | None:
    """The results of the last registration of a sequence, or None where there are none, or not all of them."""
    if sequenceNode is None:
        return None
    found = transaction.findResults(sequenceNode)
    browser = slicer.modules.sequences.logic().GetFirstBrowserNodeForSequenceNode(sequenceNode)
    if browser is None or any(role not in found for role in _NEEDED):
        return None
    return MotionNodes(browser, {role: node for role, node in found.items() if not role.endswith("Proxy")})


Maker = Callable[[int, str], slicer.vtkMRMLNode]


def _sequences(
    results: Results, sequenceNode: slicer.vtkMRMLSequenceNode, drawn: Drawn
) -> Steps[dict[str, slicer.vtkMRMLSequenceNode]]:
    """The result sequences by role, not yet in the scene; one node a step."""
    name, count, makers, built = short(sequenceNode.GetName()), len(results.motion), _makers(results, drawn), {}
    for number, (role, (noun, make)) in enumerate(makers.items()):
        # what is drawn into the views is called as what it follows
        title = noun if role.startswith("points") else f"{name} {noun}"
        built[role] = sequence = emptyLike(sequenceNode, title)
        for t in range(count):
            yield (number + t / count) / len(makers), _("Building {title}").format(title=title)
            sequence.SetDataNodeAtValue(make(t, title), sequenceNode.GetNthIndexValue(t))  # keeps a deep copy
    return built


def _makers(results: Results, drawn: Drawn) -> dict[str, tuple[str, Maker]]:
    """Role -> what the sequence is called after the cine's name, and what makes its item of a frame."""
    motion, grid = results.motion, results.motion.grid
    makers: dict[str, tuple[str, Maker]] = {}
    for name, entry in results.maps.items():
        values = results.map(name)
        makers[name] = (nounOf(entry), lambda t, title, values=values: volumeNodeFromArray(values[t], grid, title))
    makers["toReference"] = (
        _("motion to reference"),
        lambda t, title: transformNodeFromField(motion.displacement[t], grid, title),
    )
    makers["toFrame"] = (_("motion"), lambda t, title: transformNodeFromField(motion.inverse[t], grid, title))
    if results.point_covariances is not None and drawn.markups:
        covariances = results.point_covariances
        makers["ellipses"] = (
            _("error ellipses"),
            lambda t, title: ellipses.ellipseNode(results.followed[t], covariances[t], grid.ndim, title),
        )
    if drawn.segments:
        makers["labels"] = (
            _("propagated labels"),
            lambda t, title: drawn.labelNode(results.carried[:, t], title),
        )
    for number, markups in enumerate(drawn.markups):
        makers[f"points{number}"] = (
            _("{markups} followed").format(markups=short(markups.GetName())),
            lambda t, title, number=number: drawn.markupsNode(number, results.followed[t], title),
        )
    return makers


def nounOf(entry: Map) -> str:
    """What a map is called in the names of nodes."""
    return _(entry.noun or entry.title.lower())


@contextmanager
def _silently(sequenceNode: slicer.vtkMRMLSequenceNode) -> Iterator[None]:
    """Change the references of a sequence and tell nobody: its browser would copy the current frames once more."""
    before = sequenceNode.GetDisableModifiedEvent()
    sequenceNode.SetDisableModifiedEvent(True)
    try:
        yield
    finally:
        sequenceNode.SetDisableModifiedEvent(before)


def checkUnchanged(motion: Motion, sequenceNode: slicer.vtkMRMLSequenceNode) -> None:
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
    for browser in transaction.browsersOf(sequenceNode):
        if browser.GetRecordingActive():
            reason = _("'{name}' is recording; stop the recording and try again.")
            raise InputError(reason.format(name=browser.GetName()))


def _arrange(
    cineProxy: slicer.vtkMRMLVolumeNode,
    proxies: Mapping[str, slicer.vtkMRMLNode],
    others: Sequence[slicer.vtkMRMLNode],
    colors: Mapping[str, slicer.vtkMRMLColorTableNode],
    results: Results,
) -> None:
    """Display, node references and place in the subject hierarchy of the results."""
    grid = results.motion.grid
    for name, entry in results.maps.items():
        if entry.kind == IMAGE:
            display.showLike(proxies[name], cineProxy)
        elif entry.kind == DIFFERENCE:
            display.showDifference(proxies[name], cineProxy, colors[f"{name}Colors"])
        else:
            display.showMap(proxies[name], entry, colors[f"{name}Colors"], grid.ndim)
    if "ellipses" in proxies:
        ellipses.prepareDisplay(proxies["ellipses"], grid.ndim)
    if "labels" in proxies:
        display.showLabels(proxies["labels"])
    display.relate(proxies["toReference"], fixed=proxies["compensated"], moving=cineProxy)
    display.relate(proxies["toFrame"], fixed=cineProxy, moving=proxies["compensated"])
    for role in ("toReference", "toFrame"):
        display.prepareTransformDisplay(proxies[role], cineProxy, grid)
    listed = [*proxies.values(), *(node for node in others if not node.GetHideFromEditors())]
    transaction.groupInFolder(_("{name} motion").format(name=short(cineProxy.GetName())), cineProxy, listed)
