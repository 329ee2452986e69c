"""New cines made from one frame, as nodes: one browser plays all samples that were made together.

nodes = addGenerated(samples, frameNode)
nodes.browser.SetSelectedItemNumber(7)
nodes.samples[2].images
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import ClassVar

import numpy as np
import slicer
import slicer.util

from DeepRegLogic.cine import Cine, Motion
from DeepRegLogic.errors import InputError
from DeepRegLogic.progress import Reporter
from DeepRegLogic.service import exchange
from DeepRegLogic.zoo import DEFAULTS

from ..i18n import _
from ..nodes import transaction
from ..nodes.annotations import Drawn, DrawnLabels, drawnOn, refuseTransform
from ..nodes.files import suffixOf, writeNodes
from ..nodes.names import LENGTH, nodeName, short
from ..nodes.sequences import browserOf, imageFromVolume, synchronize
from ..nodes.tables import PROVENANCE
from ..nodes.transforms import transformNodeFromField
from ..nodes.volumes import volumeNodeFromArray
from ..show import display, layouts, views
from ..steps import Steps, runSteps
from .base import Kind, isThere

_BROWSER = "browser"


@dataclass(frozen=True, eq=False)
class Sample:
    """One made cine, its motion from the real frame, and the masks ``[M, T, *spatial]`` carried along, or None."""

    cine: Cine
    motion: Motion
    masks: np.ndarray | None = None


@dataclass(frozen=True)
class SampleNodes:
    """The sequences of one sample.

    Attributes
    ----------
    images : the made cine (volumes); its first frame is the real one.
    toReference : transforms that bring frame t onto the real frame.
    toFrame : transforms that carry what lies on the real frame along to frame t.
    labels : the given labels carried to every frame, or None.
    """

    images: slicer.vtkMRMLSequenceNode
    toReference: slicer.vtkMRMLSequenceNode
    toFrame: slicer.vtkMRMLSequenceNode
    labels: slicer.vtkMRMLSequenceNode | None = None


@dataclass(frozen=True)
class GeneratedNodes:
    """What ``addGenerated`` made: ``browser`` plays all samples at once and shows their current frame as proxies."""

    kind: ClassVar[str] = "generate"

    browser: slicer.vtkMRMLSequenceBrowserNode
    samples: tuple[SampleNodes, ...]

    def proxy(self, sequenceNode: slicer.vtkMRMLSequenceNode) -> slicer.vtkMRMLNode:
        """The node that shows the current frame of one of the sequences."""
        return self.browser.GetProxyNode(sequenceNode)


def frameOf(inputNode: slicer.vtkMRMLNode, frame: int = 0) -> Cine:
    """A volume, or frame number ``frame`` of a sequence of volumes, as a Cine of one frame.

    Raises
    ------
    InputError : there is no such frame, it holds no image or one of no use, or is under a transform.
    """
    if not inputNode.IsA("vtkMRMLSequenceNode"):
        return imageFromVolume(inputNode)
    name, count = inputNode.GetName(), inputNode.GetNumberOfDataNodes()
    if not 0 <= frame < count:
        reason = _("The sequence '{name}' has {count} frames; there is no frame {frame}.")
        raise InputError(reason.format(name=name, count=count, frame=frame))
    for browser in transaction.browsersOf(inputNode):
        refuseTransform(browser.GetProxyNode(inputNode), inputNode)
    node = inputNode.GetNthDataNode(frame)
    if not node.IsA("vtkMRMLScalarVolumeNode") or node.IsA("vtkMRMLLabelMapVolumeNode"):
        raise InputError(_("'{name}' is not a sequence of images; choose one that is.").format(name=name))
    image = imageFromVolume(node)
    return Cine(image.frames, image.grid, name=name, notes=image.notes)


class GenerateTask:
    """Make cines of a whole heart beat from one frame.

    ``inputNode`` is a volume, or a sequence of which ``frame`` is taken; ``options`` are those of
    ``DeepRegLogic.generate.generate_cine`` as JSON has them.
    """

    def __init__(
        self, inputNode: slicer.vtkMRMLNode, frame: int = 0, labels: DrawnLabels | None = None, **options: object
    ) -> None:
        self.inputNode, self.frame, self.labels, self.options = inputNode, frame, labels, options
        self._drawn: Drawn | None = None

    def inputsAreThere(self) -> bool:
        return isThere(self.inputNode)

    def prepare(self, folder: Path) -> Steps[dict]:
        yield 0.0, _("Reading {name}").format(name=self.inputNode.GetName())
        image = frameOf(self.inputNode, self.frame)
        self._drawn = drawnOn(image.grid, self.labels)
        packed = {
            "frame": exchange.pack_cine(folder, "frame", image),
            "masks": exchange.pack_drawn(folder, self._drawn.labels, None)["masks"],
        }
        return {"call": "generate_cine", "arguments": {**packed, **self.options}}

    def finish(self, folder: Path, result: dict) -> Steps[GeneratedNodes]:
        samples = []
        for values in result["samples"]:
            place = folder / values["folder"]
            masks = None if values["masks"] is None else exchange.unpack_array(place, values["masks"])
            cine, motion = exchange.unpack_cine(place, values["cine"]), exchange.unpack_motion(place, values["motion"])
            samples.append(Sample(cine, motion, masks))
        return (yield from generatedSteps(samples, self.inputNode, self._drawn))


def addGenerated(
    samples: Sequence[Sample], inputNode: slicer.vtkMRMLNode, labels: DrawnLabels | None = None
) -> GeneratedNodes:
    """Add made cines to the scene, in a browser of their own; they replace those made from ``inputNode`` before.

    Parameters
    ----------
    inputNode : the volume, or the sequence, that the real frame is from.
    labels : those drawn on the real frame, of which the samples have the masks.

    Raises
    ------
    InputError : no samples; the input is not in the scene any more; the labels do not lie on the frame.
    """
    if not samples:
        raise InputError(_("There are no cines to add."))
    drawn = drawnOn(samples[0].cine.grid, labels)
    return runSteps(generatedSteps(samples, inputNode, drawn), Reporter(None, None))


def generatedSteps(samples: Sequence[Sample], inputNode: slicer.vtkMRMLNode, drawn: Drawn) -> Steps[GeneratedNodes]:
    """``addGenerated`` in steps; the scene changes in one of fraction 1."""
    name = inputNode.GetName()
    built: dict[str, slicer.vtkMRMLSequenceNode] = {}
    for number, sample in enumerate(samples, start=1):
        text = _("Building sample {number} of {count}").format(number=number, count=len(samples))
        title = _("{name} sample {number}").format(name=name, number=number)
        empty = _emptySequences(title, bool(drawn.segments))
        for index, (role, sequenceNode) in enumerate(empty.items()):
            built[f"{number}.{role}"] = sequenceNode
            for t in range(len(sample.cine)):
                done = (index + t / len(sample.cine)) / len(empty)
                yield (number - 1 + done) / len(samples), text
                # the sequence keeps a deep copy
                sequenceNode.SetDataNodeAtValue(_item(role, sample, drawn, t, sequenceNode.GetName()), str(t))
    if not slicer.mrmlScene.IsNodePresent(inputNode):
        raise InputError(_("'{name}' is no longer in the scene; the cines were not added.").format(name=name))
    old = transaction.findResults(inputNode, kind=transaction.SAMPLE)
    with transaction.batch(), slicer.util.NodeModify(inputNode):
        with transaction.allOrNothing():
            source = _shownBy(inputNode)
            for sequenceNode in built.values():
                transaction.addResult(sequenceNode, inputNode)
            title = _("{name} samples browser").format(name=name)
            browser = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", title)
            browser.SetAttribute(PROVENANCE, json.dumps([dict(sample.motion.provenance) for sample in samples]))
            browser.SetAndObserveMasterSequenceNodeID(built["1.images"].GetID())
            proxies = synchronize(browser, built)
            for role, proxy in proxies.items():
                if role.endswith(".images"):
                    display.showLike(proxy, source)
                elif proxy.IsA("vtkMRMLSegmentationNode"):
                    proxy.CreateDefaultDisplayNodes()
                    proxy.GetDisplayNode().SetVisibility(False)
            transaction.groupInFolder(_("{name} samples").format(name=name), source, list(proxies.values()))
        shown = {f"{role}.proxy": node for role, node in proxies.items()}
        transaction.handOver(inputNode, old, {_BROWSER: browser, **built, **shown}, kind=transaction.SAMPLE)
    yield from transaction.removeSteps(old)
    return generatedNodesOf(inputNode)


def _emptySequences(title: str, withLabels: bool) -> dict[str, slicer.vtkMRMLSequenceNode]:
    """The sequences of a sample by role, not yet in the scene; frames are told apart by their numbers."""
    names = {
        "images": title,
        "toReference": _("{name} motion to reference").format(name=title),
        "toFrame": _("{name} motion").format(name=title),
    }
    if withLabels:
        names["labels"] = _("{name} labels").format(name=title)
    sequences = {}
    for role, name in names.items():
        sequences[role] = node = slicer.vtkMRMLSequenceNode()
        node.SetName(nodeName(name))
        node.SetIndexName("frame")
        node.SetIndexUnit("")
    return sequences


def _item(role: str, sample: Sample, drawn: Drawn, t: int, title: str) -> slicer.vtkMRMLNode:
    """Frame ``t`` of one of a sample's sequences."""
    if role == "images":
        return volumeNodeFromArray(sample.cine.frames[t], sample.cine.grid, title)
    if role == "labels":
        return drawn.labelNode(sample.masks[:, t], title)
    field = sample.motion.displacement if role == "toReference" else sample.motion.inverse
    return transformNodeFromField(field[t], sample.motion.grid, title)


def _shownBy(inputNode: slicer.vtkMRMLNode) -> slicer.vtkMRMLVolumeNode:
    """The volume itself, or the node that shows the sequence."""
    if not inputNode.IsA("vtkMRMLSequenceNode"):
        return inputNode
    return browserOf(inputNode).GetProxyNode(inputNode)


def generatedNodesOf(inputNode: slicer.vtkMRMLNode | None) -> GeneratedNodes | None:
    """The cines that were last made from a volume or sequence, or None where there are none, or not all of them."""
    found = transaction.findResults(inputNode, kind=transaction.SAMPLE) if inputNode is not None else {}
    browser, samples = found.get(_BROWSER), []
    while f"{len(samples) + 1}.images" in found:
        number = len(samples) + 1
        roles = {field.name: found.get(f"{number}.{field.name}") for field in fields(SampleNodes)}
        if None in (roles["images"], roles["toReference"], roles["toFrame"]):
            return None
        samples.append(SampleNodes(**roles))
    return GeneratedNodes(browser, tuple(samples)) if browser is not None and samples else None


class GenerateKind(Kind):
    """Make new cines from one frame."""

    name = "generate"
    modelSetting = "generateModel"
    capability = "generate"
    usesQuality = False
    compares = False

    def models(self) -> dict[str, tuple[str, str]]:
        found = super().models()
        return dict(sorted(found.items(), key=lambda item: item[0] != DEFAULTS["generate"]))

    def whyNot(self, settings) -> str:
        inputNode = settings.generateInput
        if not inputNode:
            return _("Select a frame to start from")
        if inputNode.IsA("vtkMRMLSequenceNode") and not settings.generateFrame < inputNode.GetNumberOfDataNodes():
            return _("Select a frame that the sequence has")
        return "" if settings.generateModel in self.models() else _("Choose a model that can generate")

    def offer(self, settings, length: int | None = LENGTH) -> str:
        text = _("Generate {count} cines of {frames} frames from '{name}'")
        if settings.samples == 1:
            text = _("Generate a cine of {frames} frames from '{name}'")
        name = short(settings.generateInput.GetName(), length)
        return text.format(count=settings.samples, frames=settings.sampleFrames, name=name)

    def task(self, settings) -> GenerateTask:
        return GenerateTask(
            settings.generateInput,
            settings.generateFrame,
            settings.generateLabels,
            n_frames=settings.sampleFrames,
            n_samples=settings.samples,
            seed=settings.seed,
            model=settings.generateModel,
            device=settings.device,
        )

    def nodesOf(self, settings) -> GeneratedNodes | None:
        return generatedNodesOf(settings.generateInput)

    def switches(self, nodes: GeneratedNodes) -> set[str]:
        return {"labels"} if nodes.samples[0].labels is not None else set()

    def mainVolume(self, nodes: GeneratedNodes) -> slicer.vtkMRMLVolumeNode:
        return nodes.proxy(nodes.samples[0].images)

    def show(self, nodes: GeneratedNodes, shown: views.Shown, settings) -> None:
        """Show one sample in the slice views, with its labels or without; the frame stays the same.

        Labels that are not shown do not play along: segmentations are slow to play.
        """
        number = min(shown.sample, len(nodes.samples)) - 1
        self.hide(nodes)
        with slicer.util.NodeModify(nodes.browser):
            for index, sample in enumerate(nodes.samples):
                if sample.labels is not None:
                    nodes.browser.SetPlayback(sample.labels, index == number and shown.labels)
        slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(nodes.browser)
        sample = nodes.samples[number]
        labels = nodes.proxy(sample.labels) if sample.labels is not None and shown.labels else None
        isLabelMap = labels is not None and labels.IsA("vtkMRMLLabelMapVolumeNode")
        if labels is not None and not isLabelMap:
            labels.GetDisplayNode().SetVisibility(True)
        layouts.showComparison(False)
        slicer.util.setSliceViewerLayers(
            background=nodes.proxy(sample.images).GetID(),
            foreground=None,
            label=labels.GetID() if isLabelMap else None,
            labelOpacity=0.5,
        )

    def hide(self, nodes: GeneratedNodes) -> None:
        views.hideProxies(nodes.browser, [sample.labels for sample in nodes.samples])

    def count(self, nodes: GeneratedNodes) -> int:
        return len(nodes.samples)

    def export(self, nodes: GeneratedNodes, folder: str | Path, doubtful: float = 0.0) -> Path:
        """Write the sequences of every sample (.seq.nrrd) and report.json, which says what makes them again."""
        files = {}
        for number, sample in enumerate(nodes.samples, start=1):
            for role, node in ((field.name, getattr(sample, field.name)) for field in fields(sample)):
                if node is not None:
                    files[f"sample-{number:03d}-{role}{suffixOf(node)}"] = node
        name = transaction.inputOf(nodes.browser).GetName()
        made = json.loads(nodes.browser.GetAttribute(PROVENANCE) or "[]")
        return writeNodes(folder, f"{name} samples", files, {"input": name, "samples": made})
