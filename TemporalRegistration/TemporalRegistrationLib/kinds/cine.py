"""A cine: the motion in a sequence of images is followed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import slicer
import slicer.util

from DeepRegLogic.results.maps import MAPS, OVERLAY
from DeepRegLogic.results.results import Results
from DeepRegLogic.service import exchange

from ..i18n import _
from ..nodes.annotations import Drawn, DrawnLabels, drawnOn
from ..nodes.files import suffixOf, writeNodes
from ..nodes.names import LENGTH, short
from ..nodes.pages import pagesOf
from ..nodes.regions import regionOf
from ..nodes.sequences import framesOf, headerOf, isCine
from ..nodes.tables import PROVENANCE
from ..nodes.volumes import gridOfVolume
from ..show import display, doubts, layouts, views
from ..steps import Steps
from .base import Kind, isThere, refinementModels
from .cine_nodes import MotionNodes, motionNodesOf, motionSteps
from .refining import refinementOf, whyNotRefine


class CineTask:
    """Follow the motion in a sequence of images.

    ``options`` are those of ``DeepRegLogic.register_cine`` as JSON has them; ``roi`` is a Markups ROI node.
    """

    def __init__(
        self,
        sequenceNode: slicer.vtkMRMLSequenceNode,
        labels: DrawnLabels | None = None,
        markups: Sequence[slicer.vtkMRMLMarkupsNode] = (),
        roi: slicer.vtkMRMLMarkupsROINode | None = None,
        **options: object,
    ) -> None:
        self.sequenceNode, self.labels, self.markups, self.roi = sequenceNode, labels, tuple(markups), roi
        self.options = options
        self.notes: tuple[str, ...] = ()
        self._drawn: Drawn | None = None
        self._folder: Path | None = None
        self._cine: dict[str, object] = {}

    def inputsAreThere(self) -> bool:
        return isThere(self.sequenceNode)

    def prepare(self, folder: Path) -> Steps[dict]:
        count = self.sequenceNode.GetNumberOfDataNodes()
        frames = "frames"
        for number, name in enumerate(
            exchange.pack_frames(folder, "frames", count, framesOf(self.sequenceNode)), start=1
        ):
            frames = name
            yield number / (count + 1), _("Reading frame {number} of {count}").format(number=number, count=count)
        header, self.notes = headerOf(self.sequenceNode)
        grid = gridOfVolume(self.sequenceNode.GetNthDataNode(0))
        self._drawn = drawnOn(grid, self.labels, self.markups)
        packed = exchange.pack_drawn(folder, self._drawn.labels, self._drawn.points)
        roi = None if self.roi is None else regionOf(self.roi, grid)
        yield 1.0, _("Reading what was drawn")
        self._folder, self._cine = folder, {**header, "frames": frames}
        return {"call": "register_cine", "arguments": {"cine": self._cine, "roi": roi, **packed, **self.options}}

    def finish(self, folder: Path, result: dict) -> Steps[MotionNodes]:
        motion, cine = exchange.unpack_motion(folder, result["motion"]), exchange.unpack_cine(self._folder, self._cine)
        results = Results(motion, cine, self._drawn.labels, self._drawn.points)
        exchange.unpack_results(folder, result["results"], results)
        pages = [folder / name for name in result["pages"]]
        return (yield from motionSteps(results, self.sequenceNode, self._drawn, pages))


class CineKind(Kind):
    """Follow the motion in a cine."""

    name = "cine"
    modelSetting = "model"

    def models(self) -> dict[str, tuple[str, str]]:
        return refinementModels(super().models())

    def whyNot(self, settings) -> str:
        sequenceNode = settings.inputSequence
        if reason := whyNotRefine(settings.model, settings):
            return reason
        if not sequenceNode:
            return _("Select a cine")
        if not isCine(sequenceNode):
            return _("Select a sequence of images")
        if sequenceNode.GetNumberOfDataNodes() < 2:
            return _("Select a cine of at least two frames")
        return "" if settings.model in self.models() else _("Choose an installed model")

    def canSlice(self, settings) -> bool:
        return gridOfVolume(settings.inputSequence.GetNthDataNode(0)).ndim == 3

    def offer(self, settings, length: int | None = LENGTH) -> str:
        name, count = short(settings.inputSequence.GetName(), length), settings.inputSequence.GetNumberOfDataNodes()
        return _("Follow the motion of '{name}' ({count} frames)").format(name=name, count=count)

    def task(self, settings) -> CineTask:
        return CineTask(
            settings.inputSequence,
            labels=settings.labels,
            markups=[settings.points] if settings.points else [],
            roi=settings.regionOfInterest,
            reference=None if settings.automaticReference else settings.referenceFrame,
            model=settings.model or None,
            refine=refinementOf(settings),
            uncertainty=settings.findUncertainty,
            device=settings.device,
        )

    def nodesOf(self, settings) -> MotionNodes | None:
        return motionNodesOf(settings.inputSequence)

    def done(self, settings) -> None:
        views.hideDrawn(settings.labels, settings.points)

    def switches(self, nodes: MotionNodes) -> set[str]:
        found = {"compensated", "motion", *(name for name in nodes.maps if MAPS[name].kind == OVERLAY)}
        found |= {"labels"} if nodes.labels is not None else set()
        return found | ({"points"} if nodes.points else set())

    def ndim(self, nodes: MotionNodes) -> int:
        return gridOfVolume(nodes.cine.GetNthDataNode(0)).ndim

    def mainVolume(self, nodes: MotionNodes) -> slicer.vtkMRMLVolumeNode | None:
        return self._moving(nodes)

    def _moving(self, nodes: MotionNodes) -> slicer.vtkMRMLVolumeNode | None:
        """The node that shows the current frame of the cine itself."""
        return nodes.browser.GetProxyNode(nodes.cine)

    def show(self, nodes: MotionNodes, shown: views.Shown, settings) -> None:
        moving, compensated = self._moving(nodes), nodes.proxy(nodes.compensated)
        onMoving = not shown.compensated or shown.compare == views.SIDE_BY_SIDE
        overlays = {name: nodes.proxy(sequence) for name, sequence in nodes.maps.items() if MAPS[name].kind == OVERLAY}
        background, foreground = (compensated if shown.compensated else moving), overlays.get(shown.colors)
        if shown.compare == views.BLENDED:
            background, foreground = moving, compensated
        labels = nodes.proxy(nodes.labels) if nodes.labels is not None else None
        labelsOn = shown.labels and onMoving
        isLabelMap = labels is not None and labels.IsA("vtkMRMLLabelMapVolumeNode")
        layouts.showComparison(shown.compare == views.SIDE_BY_SIDE)
        slicer.util.setSliceViewerLayers(
            background=views.nodeID(background),
            foreground=views.nodeID(foreground),
            label=views.nodeID(labels) if isLabelMap and labelsOn else None,
            foregroundOpacity=shown.opacity if foreground is not None else 0.0,
            labelOpacity=0.5,
        )
        if shown.compare == views.SIDE_BY_SIDE:
            layouts.fillComparison(moving, compensated, nodes.proxy(nodes.difference))
            layouts.showDifferenceLegend(nodes.proxy(nodes.difference))
        layouts.fillSegments(nodes.segments)
        ndim = self.ndim(nodes)
        for name, proxy in overlays.items():
            display.showOverlay(proxy, MAPS[name], ndim, proxy is foreground, shown.above)
        if labels is not None and not isLabelMap:
            views.setVisible(labels, labelsOn)
        followed = nodes.points if nodes.ellipses is None else (*nodes.points, nodes.ellipses)
        for sequence in followed:
            views.setVisible(nodes.proxy(sequence), shown.points and onMoving)
        views.showTransform(nodes.proxy(nodes.toFrame), shown.motion if onMoving else "")

    def hide(self, nodes: MotionNodes) -> None:
        over = [nodes.labels, *nodes.points, nodes.ellipses, nodes.toFrame]
        views.hideProxies(nodes.browser, over)

    def charts(self, nodes: MotionNodes) -> MotionNodes:
        return nodes

    def export(self, nodes: MotionNodes, folder: str | Path, doubtful: float = doubts.DOUBTFUL_MM) -> Path:
        """Write sequences (.seq.nrrd), curves (.csv), report.pdf, .png and .json into "<cine> motion" in ``folder``.

        An earlier export of the same name is replaced; either everything is written or nothing is changed. Frames whose
        uncertainty is above ``doubtful`` mm are reported as doubtful.

        Returns the folder. Raises OutputError where it cannot be written.
        """
        files = {f"{role}{suffixOf(node)}": node for role, node in nodes.sequences.items()}
        files["quality.csv"] = nodes.table
        # the tables of curves by what they hold: sizes.csv, uncertainty.csv
        files |= {f"{_FILES.get(name, name)}.csv": table for name, table in nodes.tables.items()}
        name = nodes.cine.GetName()
        report = {
            "cine": name,
            "quality": doubts.sentence(nodes.table, doubtful),
            "doubtful frames": doubts.doubts(nodes.table, doubtful),
            "sizes": doubts.sizesText(nodes.sizes).splitlines() if nodes.sizes is not None else [],
            "provenance": json.loads(nodes.table.GetAttribute(PROVENANCE) or "{}"),
        }
        return writeNodes(folder, f"{name} motion", files, report, pagesOf(nodes.pages))


_FILES = {"labelUncertainty": "uncertainty"}
