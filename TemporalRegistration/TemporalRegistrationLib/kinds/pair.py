"""A pair: a moving volume is registered to a fixed one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import slicer
import slicer.util

from DeepRegLogic.cine import Cine
from DeepRegLogic.grid import Grid
from DeepRegLogic.results.maps import MAPS
from DeepRegLogic.service import exchange
from DeepRegLogic.zoo import Card, list_models

from ..i18n import _
from ..nodes import transaction
from ..nodes.annotations import Drawn, DrawnLabels, drawnOn
from ..nodes.files import suffixOf, writeNodes
from ..nodes.names import LENGTH, short
from ..nodes.regions import regionOf
from ..nodes.sequences import imageFromVolume
from ..nodes.tables import PROVENANCE
from ..nodes.volumes import gridOfVolume
from ..show import display, layouts, views
from ..steps import Steps
from .base import Kind, isThere, refinementModels
from .pair_nodes import PairNodes, pairNodesOf, pairSteps
from .refining import refinementOf, whyNotRefine

_STEPS = 8  # of the way


class PairTask:
    """Register a moving volume to a fixed one; ``options`` are those of ``DeepRegLogic.register_pair``.

    ``masks`` are segmentations or label maps of the fixed and the moving volume, or None; ``labels`` are drawn on the
    moving volume, and are brought onto the fixed one.
    """

    def __init__(
        self,
        fixedNode: slicer.vtkMRMLScalarVolumeNode,
        movingNode: slicer.vtkMRMLScalarVolumeNode,
        roi: slicer.vtkMRMLMarkupsROINode | None = None,
        masks: tuple[DrawnLabels | None, DrawnLabels | None] = (None, None),
        labels: DrawnLabels | None = None,
        **options: object,
    ) -> None:
        self.fixedNode, self.movingNode, self.roi, self.options = fixedNode, movingNode, roi, options
        self.masks, self.labels = masks, labels
        self._drawn: Drawn | None = None

    def inputsAreThere(self) -> bool:
        return isThere(self.fixedNode) and isThere(self.movingNode)

    def prepare(self, folder: Path) -> Steps[dict]:
        images: dict[str, Cine] = {}
        for role, node in (("fixed", self.fixedNode), ("moving", self.movingNode)):
            yield len(images) / 2, _("Reading {name}").format(name=node.GetName())
            images[role] = imageFromVolume(node)
        packed = {role: exchange.pack_cine(folder, role, image) for role, image in images.items()}
        roi = None if self.roi is None else regionOf(self.roi, images["fixed"].grid)
        self._drawn = drawnOn(images["moving"].grid, self.labels)
        for (role, image), mask in zip(images.items(), self.masks, strict=True):
            packed[f"{role}_mask"] = None if mask is None else _packedMask(folder, role, mask, image.grid)
        return {"call": "register_pair", "arguments": {**packed, "roi": roi, **self.options}}

    def finish(self, folder: Path, result: dict) -> Steps[PairNodes]:
        motion = exchange.unpack_motion(folder, result["motion"])
        maps = {name: exchange.unpack_array(folder, file) for name, file in result["maps"].items()}
        return (yield from pairSteps(motion, self.fixedNode, self.movingNode, maps, self._drawn))


def _packedMask(folder: Path, role: str, mask: DrawnLabels, grid: Grid) -> str:
    """All segments of a mask as one array on the grid of its volume."""
    drawn = drawnOn(grid, mask)
    inside = np.zeros(grid.shape, np.uint8)
    for segment in drawn.segments:
        inside |= (segment.mask > 0).astype(np.uint8)
    return exchange.pack_array(folder, f"{role}-mask", inside)


class PairKind(Kind):
    """Register a moving volume to a fixed one."""

    name = "pair"
    modelSetting = "pairModel"

    def models(self) -> dict[str, tuple[str, str]]:
        return refinementModels(super().models())

    def canUse(self, card: Card) -> bool:
        return bool({"pair", "register"} & set(card.capabilities)) and card.is_for_patients

    def canChooseRegularity(self, settings) -> bool:
        """Whether the chosen model takes a regularity."""
        return any(card.name == settings.pairModel and "regularity" in card.capabilities for card in list_models())

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
            masks=(settings.fixedMask, settings.movingMask),
            labels=settings.movingLabels,
            affine=settings.affine,
            path=_STEPS if settings.pairPath else 0,
            regularity=settings.regularity if self.canChooseRegularity(settings) else None,
            model=settings.pairModel or None,
            refine=refinementOf(settings),
            uncertainty=settings.findUncertainty,
            device=settings.device,
        )

    def nodesOf(self, settings) -> PairNodes | None:
        return pairNodesOf(settings.fixedVolume, settings.movingVolume)

    def done(self, settings) -> None:
        settings.showCompensated = True

    def switches(self, nodes: PairNodes) -> set[str]:
        return {"compensated", "motion", *nodes.maps, *(["labels"] if nodes.labels is not None else [])}

    def ndim(self, nodes: PairNodes) -> int:
        return gridOfVolume(nodes.warped).ndim

    def mainVolume(self, nodes: PairNodes) -> None:
        return None

    def show(self, nodes: PairNodes, shown: views.Shown, settings) -> None:
        """Over the fixed volume the moving one, the warped one or a map; or moving, warped, difference side by side."""
        fixed, moving = transaction.partnerOf(nodes.warped), transaction.inputOf(nodes.warped)
        colors = nodes.maps.get(shown.colors)
        background, foreground = fixed, colors or (nodes.moved if shown.compensated else moving)
        if shown.compare == views.BLENDED:
            background, foreground = moving, nodes.warped
        labelsOn = nodes.labels is not None and shown.labels
        isLabelMap = labelsOn and nodes.labels.IsA("vtkMRMLLabelMapVolumeNode")
        layouts.showComparison(shown.compare == views.SIDE_BY_SIDE)
        slicer.util.setSliceViewerLayers(
            background=background.GetID(),
            foreground=foreground.GetID(),
            label=nodes.labels.GetID() if isLabelMap else None,
            foregroundOpacity=shown.opacity,
            labelOpacity=0.5,
        )
        if shown.compare == views.SIDE_BY_SIDE:
            layouts.fillComparison(moving, nodes.warped, nodes.difference)
            layouts.showDifferenceLegend(nodes.difference)
        for name, volume in nodes.maps.items():
            display.showOverlay(volume, MAPS[name], self.ndim(nodes), volume is foreground, shown.above)
        if nodes.labels is not None and not nodes.labels.IsA("vtkMRMLLabelMapVolumeNode"):
            views.setVisible(nodes.labels, labelsOn)
        views.showTransform(nodes.toMoving, shown.motion)

    def export(self, nodes: PairNodes, folder: str | Path, doubtful: float = 0.0) -> Path:
        """Write the transforms (.h5), volumes and labels (.nrrd), the quality (.csv) and the way (.seq.nrrd)."""
        files = {"toFixed.h5": nodes.toFixed, "toMoving.h5": nodes.toMoving, "quality.csv": nodes.table}
        volumes = {"warped": nodes.warped, "difference": nodes.difference, **nodes.maps}
        files |= {f"{role}.nrrd": node for role, node in volumes.items()}
        if nodes.affine is not None:
            files["affine.tfm"] = nodes.affine
        if nodes.labels is not None:
            isLabelMap = nodes.labels.IsA("vtkMRMLLabelMapVolumeNode")
            files["labels.nrrd" if isLabelMap else "labels.seg.nrrd"] = nodes.labels
        if nodes.path is not None:
            files[f"path{suffixOf(nodes.path)}"] = nodes.path
        made = json.loads(nodes.table.GetAttribute(PROVENANCE) or "{}")
        report = {"transform": nodes.toFixed.GetName(), "provenance": made}
        return writeNodes(folder, nodes.toFixed.GetName(), files, report)
