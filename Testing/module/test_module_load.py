"""Cines come into the scene from files and folders, and the list offers what can be followed."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("PySide6", reason="PySide6 is not installed")

from driving import choose, composite, quick, run  # noqa: E402
from made_dicom import write_stack  # noqa: E402
from TemporalRegistrationLib.nodes.multivolumes import sequenceOfMultiVolume  # noqa: E402
from TemporalRegistrationLib.nodes.sequences import addCine, cineFromSequence, middleSlice  # noqa: E402
from TemporalRegistrationLib.nodes.volumes import volumeNodeFromArray  # noqa: E402

from DeepRegLogic import Cine, Grid, read_cine, write_cine  # noqa: E402
from DeepRegLogic.synthetic import cine_phantom  # noqa: E402

DATA = Path(os.environ.get("TEMPORAL_REGISTRATION_DATA", Path(__file__).resolve().parents[3] / "shared/data"))
REAL = {
    "one slice": ("loadFolderButton", "cine/dicom/classic_1slice_20phases", (20, 1)),
    "three slices": ("loadFolderButton", "cine/dicom/classic_3slices_20phases", (20, 3)),
    "enhanced": ("loadButton", "cine/dicom/derived_enhanced_multiframe_1slice_20phases.dcm", (20, 1)),
    "ultrasound": ("loadButton", "echo/echo_a4c_private_tags_removed.dcm", (30, 1)),
}


def pick(panel, spin, monkeypatch, button: str, path: Path) -> None:
    """A click on a button, and the choice in the dialog that it opens."""
    load = importlib.import_module("TemporalRegistrationLib.panel.load")  # needs the host
    monkeypatch.setattr(load, "askFolder", lambda: str(path))
    monkeypatch.setattr(load, "askFiles", lambda: [str(path)])
    getattr(panel.ui, button).click()
    spin(lambda: panel.run.job is None)


@pytest.mark.parametrize("name", REAL)
def test_a_real_series_is_loaded_and_chosen(panel, spin, monkeypatch, name):
    button, path, (frames, slices) = REAL[name]
    if not (DATA / path).exists():
        pytest.skip(f"no real images in '{DATA}'")
    pick(panel, spin, monkeypatch, button, DATA / path)
    sequence = panel._parameterNode.inputSequence
    assert sequence is not None, panel.ui.statusLabel.text
    assert panel.ui.statusLabel.text.startswith("Loaded '")
    cine, expected = cineFromSequence(sequence), read_cine(DATA / path)
    assert (len(cine), cine.grid.size[2]) == (frames, slices)
    assert (cine.time_unit, expected.time_unit) == ("s", "s")
    np.testing.assert_allclose(cine.times, expected.times, atol=1e-6)
    np.testing.assert_array_equal(cine.frames[7], expected.frames[7])
    assert cine.grid.matches(expected.grid)
    shown = panel.ui.inputSelector.currentNode()
    assert shown is sequence
    assert slicer.mrmlScene.GetNodeByID(composite().GetBackgroundVolumeID()).GetImageData() is not None
    assert panel.ui.applyButton.text.startswith("Follow the motion of '")


def test_four_clicks_from_a_folder_to_playing_results(panel, spin, monkeypatch, tmp_path):
    write_stack(tmp_path / "one", positions=1, pixels=None)
    phantom = cine_phantom(seed=2, size=48, spacing=4.0, frames=5).cine
    write_cine(tmp_path / "heart.seq.nrrd", phantom.frames, phantom)
    quick(panel)
    pick(panel, spin, monkeypatch, "loadButton", tmp_path / "heart.seq.nrrd")  # two clicks
    run(panel, spin)  # the third
    assert panel.ui.statusLabel.text == "Done"
    panel.ui.playWidget._buttons[2].click()  # the fourth
    browser = panel.review.nodes.browser
    assert browser.GetPlaybackActive()
    seen = set()
    spin(lambda: seen.add(browser.GetSelectedItemNumber()) or len(seen) == 5)
    browser.SetPlaybackActive(False)


def test_the_series_of_a_folder_are_listed(panel, spin, monkeypatch, tmp_path):
    for number, name in enumerate(("short axis", "long axis"), start=1):
        write_stack(tmp_path / name, series=f"1.2.3.{number}", SeriesDescription=name, SeriesNumber=number)
    box = panel.ui.seriesComboBox
    assert not box.visible
    pick(panel, spin, monkeypatch, "loadFolderButton", tmp_path)
    assert panel.ui.statusLabel.text == "The folder holds 2 series; choose one."
    assert box.visible
    titles = [box.itemText(i) for i in range(box.count)]
    assert "short axis" in titles[1]
    assert "12 images of 8x6" in titles[2]
    assert panel._parameterNode.inputSequence is None
    choose(box, "1.2.3.2")
    spin(lambda: panel.run.job is None)
    assert cineFromSequence(panel._parameterNode.inputSequence).frames.shape == (4, 3, 6, 8)


def test_what_cannot_be_read_is_a_sentence(panel, spin, monkeypatch, tmp_path):
    (tmp_path / "notes.dcm").write_text("no DICOM")
    pick(panel, spin, monkeypatch, "loadButton", tmp_path / "notes.dcm")
    assert "notes.dcm" in panel.ui.statusLabel.text
    assert panel._parameterNode.inputSequence is None
    monkeypatch.setattr(importlib.import_module("TemporalRegistrationLib.panel.load"), "askFiles", list)
    panel.ui.loadButton.click()  # and Cancel in the dialog
    assert panel.run.job is None


def test_a_click_while_something_runs_is_refused_with_the_reason(panel, small, spin):
    panel.ui.inputSelector.setCurrentNode(small)
    quick(panel)
    panel.ui.applyButton.click()
    job = panel.run.job
    assert "wait for it, or cancel it" in panel.ui.taskTabWidget.toolTip
    panel.load.load(["somewhere"])
    assert panel.ui.statusLabel.text == "Something is being computed; wait for it, or cancel it, and try again."
    assert panel.run.job is job
    spin(lambda: panel.run.job is None)
    assert panel.ui.statusLabel.text == "Done"
    assert panel.ui.taskTabWidget.toolTip == ""
    slicer.mrmlScene.Clear(0)
    assert panel.ui.statusLabel.text == ""


def _colour(cine: Cine) -> slicer.vtkMRMLSequenceNode:
    """Frames as the DICOM browser makes them of colour ultrasound, with an index of texts."""
    sequence = slicer.vtkMRMLSequenceNode()
    sequence.SetName("colour")
    sequence.SetIndexName("instance number")
    sequence.SetIndexType(sequence.TextIndex)
    for number, frame in enumerate(cine.frames):
        node = volumeNodeFromArray(frame, cine.grid, "colour", "vtkMRMLVectorVolumeNode")
        slicer.util.updateVolumeFromArray(node, np.repeat(frame[None, ..., None].astype(np.uint8), 3, axis=-1))
        sequence.SetDataNodeAtValue(node, f"frame {number}")
    return sequence


def test_the_list_offers_sequences_of_grey_and_colour_images(panel, small, phantom, spin):
    scene, ui = slicer.mrmlScene, panel.ui
    cine = Cine(phantom.cine.frames[:3], phantom.cine.grid, name="colour")
    colour = scene.AddNode(_colour(cine))
    imported = addCine(Cine(phantom.cine.frames[:3], phantom.cine.grid, name="imported"))
    imported.SetIndexName("")  # as the importer of the DICOM browser leaves it, with the times elsewhere
    imported.SetAttribute("MultiVolume.FrameLabels", "0,40,80")
    transforms = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "transforms")
    transforms.SetDataNodeAtValue(slicer.vtkMRMLTransformNode(), "0")
    labels = slicer.vtkMRMLSequenceNode()
    labels.SetName("labels")
    labels.SetDataNodeAtValue(
        volumeNodeFromArray(phantom.labels[0], phantom.cine.grid, "l", "vtkMRMLLabelMapVolumeNode"), "0"
    )
    scene.AddNode(labels)
    scene.AddNewNodeByClass("vtkMRMLSequenceNode", "empty")
    panel.refresh()

    def offered() -> set[str]:
        return {node.GetName() for node in ui.inputSelector._nodes()}

    assert offered() == {"heart", "colour", "imported"}
    ui.inputSelector.setCurrentNode(colour)
    assert ui.applyButton.text == "Follow the motion of 'colour' (3 frames)"
    quick(panel)
    run(panel, spin)
    assert ui.statusLabel.text == "Done"
    assert offered() == {"heart", "colour", "imported"}  # and none of the results


def test_a_multi_volume_is_taken_apart(scene):
    rng = np.random.default_rng(2)
    pixels = rng.integers(0, 900, (4, 5, 6, 7)).astype(np.int16)  # k, j, i, frame
    node = slicer.vtkMRMLVectorVolumeNode()
    node.SetName("perfusion")
    node.SetSpacing(1.5, 2.0, 8.0)
    node.SetOrigin(3.0, -4.0, 5.0)
    slicer.util.updateVolumeFromArray(node, pixels)
    node.SetAttribute("MultiVolume.FrameLabels", "0,40,80,120,160,200,240")
    node.SetAttribute("MultiVolume.FrameIdentifyingDICOMTagName", "TriggerTime")
    node.SetAttribute("MultiVolume.FrameIdentifyingDICOMTagUnits", "ms")
    sequence = sequenceOfMultiVolume(node)
    cine = cineFromSequence(sequence)
    np.testing.assert_array_equal(cine.frames, np.moveaxis(pixels, -1, 0))
    assert cine.grid.spacing == (1.5, 2.0, 8.0)
    assert sequence.GetAttribute("MultiVolume.FrameLabels") == "0,40,80,120,160,200,240"


def test_the_middle_slice_of_a_stack_is_followed_by_one_click(panel, scene, spin):
    phantom = cine_phantom(seed=2, size=48, spacing=4.0, frames=4).cine
    frames = np.stack([phantom.frames, phantom.frames + 10, phantom.frames + 20], axis=1)
    grid = Grid((48, 48, 3), (4.0, 4.0, 8.0), (1.0, 2.0, 3.0), (1.0, 0.0, 0.0, 0.0, 0.8, -0.6, 0.0, 0.6, 0.8))
    stack = addCine(Cine(frames, grid, phantom.times[:4], name="stack"))
    middle = middleSlice(stack)
    np.testing.assert_array_equal(middle.frames, frames[:, 1])
    point = np.array([[10.0, 20.0]])
    np.testing.assert_allclose(middle.grid.voxel_to_mm(point), grid.voxel_to_mm(np.array([[1.0, 10.0, 20.0]])))
    panel.ui.inputSelector.setCurrentNode(stack)
    quick(panel)
    assert panel.ui.sliceButton.visible
    panel.ui.sliceButton.click()
    spin(lambda: panel.run.job is None)
    assert panel.ui.statusLabel.text == "Done"
    assert panel._parameterNode.inputSequence.GetName() == "stack slice 2"
    assert panel.review.nodes is not None
    assert not panel.ui.sliceButton.visible
