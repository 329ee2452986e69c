"""Cines made from one frame, in the scene: all samples play together, and only their own are replaced."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from moving_block import image_on, oblique

from DeepRegLogic import Cine, InputError, Motion, flow, propagate

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
import vtk  # noqa: E402
from node_fields import fieldFromTransformNode  # noqa: E402
from TemporalRegistrationLib.kinds import KINDS  # noqa: E402
from TemporalRegistrationLib.kinds.cine_nodes import addMotion, motionNodesOf  # noqa: E402
from TemporalRegistrationLib.kinds.generate import Sample, addGenerated, frameOf, generatedNodesOf  # noqa: E402
from TemporalRegistrationLib.nodes import segmentations, transaction, volumes  # noqa: E402
from TemporalRegistrationLib.nodes.sequences import addCine  # noqa: E402
from TemporalRegistrationLib.show.views import Shown  # noqa: E402

GRID = oblique((32, 28, 1))
LABELS = (image_on(GRID) > 500).astype(np.uint8) + 2 * (image_on(GRID) > 650).astype(np.uint8)


def made(count: int, frames: int = 5, masks: np.ndarray | None = None) -> list[Sample]:
    """Samples that start from the image of the grid, each with another motion."""
    samples = []
    for number in range(count):
        noise = torch.randn((frames, 2, *GRID.shape), generator=torch.Generator().manual_seed(number))
        velocity = flow.smooth(noise, 4.0) * 8
        velocity[0] = 0
        motion = Motion(GRID, 0, flow.exp(velocity).numpy(), flow.exp(-velocity).numpy(), name=f"sample {number + 1}")
        carried = None if masks is None else np.stack([propagate(motion, mask, nearest=True) for mask in masks])
        samples.append(Sample(Cine(propagate(motion, image_on(GRID)), GRID, name=motion.name), motion, carried))
    return samples


@pytest.fixture
def volume(scene):
    return scene.AddNode(volumes.volumeNodeFromArray(image_on(GRID), GRID, "frame"))


def pixels(node) -> np.ndarray:
    return slicer.util.arrayFromVolume(node).reshape(GRID.shape)


def masks_of(labels: np.ndarray) -> np.ndarray:
    return np.stack([(labels == value).astype(np.uint8) for value in np.unique(labels) if value])


def kinds() -> list[str]:
    return sorted(node.GetClassName() for node in slicer.util.getNodesByClass("vtkMRMLNode"))


def test_every_frame_of_every_sample(volume):
    samples = made(3, masks=masks_of(LABELS))
    nodes = addGenerated(samples, volume, LABELS)
    assert nodes.browser.GetMasterSequenceNode() is nodes.samples[0].images
    for number, (sample, found) in enumerate(zip(samples, nodes.samples, strict=True), start=1):
        name = f"frame sample {number}"
        assert found.images.GetName() == nodes.proxy(found.images).GetName() == name
        assert found.toFrame.GetName() == f"{name} motion"
        for sequence in (found.images, found.toReference, found.toFrame, found.labels):
            assert nodes.browser.GetPlayback(sequence)
            assert not nodes.browser.GetSaveChanges(sequence)
        for frame in (0, 3, 1, 4):
            nodes.browser.SetSelectedItemNumber(frame)
            np.testing.assert_array_equal(pixels(nodes.proxy(found.images)), sample.cine.frames[frame])
            np.testing.assert_array_equal(
                pixels(nodes.proxy(found.labels)), propagate(sample.motion, LABELS, nearest=True)[frame]
            )
            field = fieldFromTransformNode(nodes.proxy(found.toFrame), GRID)
            np.testing.assert_allclose(field, sample.motion.inverse[frame], atol=1e-5)
            field = fieldFromTransformNode(nodes.proxy(found.toReference), GRID)
            np.testing.assert_allclose(field, sample.motion.displacement[frame], atol=1e-5)
    shown, source = nodes.proxy(nodes.samples[1].images).GetDisplayNode(), volume.GetDisplayNode()
    if source is not None:
        assert (shown.GetWindow(), shown.GetLevel()) == (source.GetWindow(), source.GetLevel())


def test_segments_keep_their_names_and_colours(volume):
    masks = masks_of(LABELS)
    parts = [
        segmentations.Segment(n, n, c, m)
        for n, c, m in zip("ab", ((1.0, 0.5, 0.0), (0.0, 0.5, 1.0)), masks, strict=True)
    ]
    drawn = slicer.mrmlScene.AddNode(segmentations.segmentationNodeFromMasks(parts, masks, GRID, "drawn"))
    samples = made(2, masks=masks)
    nodes = addGenerated(samples, volume, drawn)
    nodes.browser.SetSelectedItemNumber(4)
    for number, found in enumerate(nodes.samples):
        for index, part in enumerate(segmentations.segmentsOf(nodes.proxy(found.labels), GRID)):
            assert (part.name, part.color) == (parts[index].name, parts[index].color)
            np.testing.assert_array_equal(part.mask, samples[number].masks[index, 4])
    KINDS[nodes.kind].show(nodes, Shown(sample=2), None)
    visible = [nodes.proxy(found.labels).GetDisplayNode().GetVisibility() for found in nodes.samples]
    assert visible == [False, True]
    nodes.browser.SetSelectedItemNumber(2)
    KINDS[nodes.kind].show(nodes, Shown(sample=1), None)
    shown = segmentations.segmentsOf(nodes.proxy(nodes.samples[0].labels), GRID)
    np.testing.assert_array_equal(shown[0].mask, samples[0].masks[0, 2])


def test_another_run_replaces_the_samples_and_nothing_else(volume):
    first = addGenerated(made(3), volume)
    composite = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    composite.SetBackgroundVolumeID(first.proxy(first.samples[0].images).GetID())
    before = kinds()
    second = addGenerated(made(3), volume)
    assert kinds() == before
    assert not slicer.mrmlScene.IsNodePresent(first.browser)
    assert composite.GetBackgroundVolumeID() == second.proxy(second.samples[0].images).GetID()
    fewer = addGenerated(made(1), volume)
    assert generatedNodesOf(volume) == fewer
    assert len(slicer.util.getNodesByClass("vtkMRMLSequenceNode")) == 3
    assert len(slicer.util.getNodesByClass("vtkMRMLSequenceBrowserNode")) == 1


def test_samples_and_motion_of_one_cine_live_side_by_side(scene, slice2d):
    cine, motion = slice2d
    sequence = addCine(cine)
    samples = addGenerated(made(2), sequence)
    addMotion(motion, cine, sequence)
    moved = addMotion(motion, cine, sequence)
    assert generatedNodesOf(sequence) == samples
    assert slicer.mrmlScene.IsNodePresent(samples.browser)
    again = addGenerated(made(2), sequence)
    assert motionNodesOf(sequence) == moved
    assert again.browser is not moved.browser
    assert again.samples[0].images.GetName() == "block sample 1"


def test_samples_are_grouped_under_their_input(scene):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def addItem(caller, event, node):  # as the application's plugins do
        if node.IsA("vtkMRMLVolumeNode") or node.IsA("vtkMRMLTransformNode"):
            hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)

    observation = scene.AddObserver(scene.NodeAddedEvent, addItem)
    try:
        volume = scene.AddNode(volumes.volumeNodeFromArray(image_on(GRID), GRID, "frame"))
        item = hierarchy.GetItemByDataNode(volume)
        for count in (2, 1):
            addGenerated(made(count), volume)
            assert hierarchy.GetNumberOfItemChildren(item) == 1
            folder = hierarchy.GetItemByPositionUnderParent(item, 0)
            assert hierarchy.GetItemName(folder) == "frame samples"
            assert hierarchy.GetNumberOfItemChildren(folder) == 3 * count
    finally:
        scene.RemoveObserver(observation)


def test_nothing_is_left_of_a_failure(volume, monkeypatch):
    first = addGenerated(made(1), volume)
    before = kinds()

    def fail(*_):
        raise RuntimeError("injected")

    monkeypatch.setattr(transaction, "groupInFolder", fail)
    with pytest.raises(RuntimeError, match="injected"):
        addGenerated(made(2), volume)
    assert kinds() == before
    assert generatedNodesOf(volume) == first
    slicer.mrmlScene.RemoveNode(first.browser)
    assert generatedNodesOf(volume) is None


READER = """
import sys
import numpy as np
from TemporalRegistrationLib import headless
headless.boot()
import slicer, slicer.util
from TemporalRegistrationLib.kinds.generate import generatedNodesOf
slicer.util.loadScene(sys.argv[1])
named = lambda n: n.GetName() == "frame" and n.IsA("vtkMRMLScalarVolumeNode")
(volume,) = filter(named, slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"))
nodes = generatedNodesOf(volume)
out = []
for frame in (0, 4):
    nodes.browser.SetSelectedItemNumber(frame)
    for sample in nodes.samples:
        images, labels = (nodes.proxy(node) for node in (sample.images, sample.labels))
        moved = nodes.proxy(sample.toFrame).GetTransformToParent().TransformPoint(volume.GetOrigin())
        out.append([slicer.util.arrayFromVolume(node).astype(float).sum() for node in (images, labels)] + list(moved))
np.save(sys.argv[2], out)
"""


def test_samples_are_alive_after_saving(volume, tmp_path, repository, monkeypatch):
    nodes = addGenerated(made(2, masks=masks_of(LABELS)), volume, LABELS)
    expected = []
    for frame in (0, 4):
        nodes.browser.SetSelectedItemNumber(frame)
        for sample in nodes.samples:
            moved = nodes.proxy(sample.toFrame).GetTransformToParent().TransformPoint(volume.GetOrigin())
            sums = [pixels(nodes.proxy(node)).astype(float).sum() for node in (sample.images, sample.labels)]
            expected.append([*sums, *moved])
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    monkeypatch.setenv("PYTHONPATH", f"{repository}:{repository / 'TemporalRegistration'}")
    command = [sys.executable, "-c", READER, str(tmp_path / "scene.mrb"), str(tmp_path / "read.npy")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load(tmp_path / "read.npy"), expected, rtol=1e-5)


def test_the_frame_of_a_volume_and_of_a_sequence(volume, slice2d):
    assert frameOf(volume).name == "frame"
    sequence = addCine(slice2d[0])
    found = frameOf(sequence, 2)
    assert (found.name, len(found)) == ("block", 1)
    np.testing.assert_array_equal(found.frames[0], slice2d[0].frames[2])
    for frame in (-1, 4):
        with pytest.raises(InputError, match=f"'block' has 4 frames; there is no frame {frame}"):
            frameOf(sequence, frame)
    moved = addMotion(slice2d[1], slice2d[0], sequence)
    with pytest.raises(InputError, match="not a sequence of images"):
        frameOf(moved.toFrame)


def test_labels_elsewhere_and_a_lost_input(volume):
    with pytest.raises(InputError, match="label map has shape"):
        addGenerated(made(1), volume, LABELS[:5])
    with pytest.raises(InputError, match="no cines to add"):
        addGenerated([], volume)
    slicer.mrmlScene.RemoveNode(volume)
    before = kinds()
    with pytest.raises(InputError, match="'frame' is no longer in the scene; the cines were not added"):
        addGenerated(made(1), volume)
    assert kinds() == before
