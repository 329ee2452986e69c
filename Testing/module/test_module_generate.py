"""The tab Generate and what is shown of uncertainty, driven as a person does, with an untrained model that has both."""

from __future__ import annotations

import json

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("PySide6", reason="PySide6 is not installed")

from driving import choose, composite, names, run  # noqa: E402
from TemporalRegistrationLib.kinds import generate as generation  # noqa: E402
from TemporalRegistrationLib.nodes import segmentations, volumes  # noqa: E402
from TemporalRegistrationLib.nodes.tables import columnOf  # noqa: E402

from DeepRegLogic import Cancelled, Grid, InputError, ModelError, zoo  # noqa: E402
from DeepRegLogic.files import MARKER  # noqa: E402


@pytest.fixture
def generator(ownModels) -> str:
    """The name of a small model that follows, is unsure, and generates."""
    import torch

    from DeepRegLogic.networks import build

    torch.manual_seed(0)
    card = zoo.Card("maker", "Maker", "For tests.", "dragnet-flow", {}, 2, 4.0, ("generate", "register", "uncertainty"))
    zoo.save_model(ownModels / "maker", build("dragnet-flow"), card)
    return "maker"


@pytest.fixture
def ready(generator, panel, small, phantom):
    """The tab, with a frame of the cine, labels and small numbers."""
    ui, grid = panel.ui, phantom.cine.grid
    mask = (phantom.labels[0] == 1).astype(np.uint8)
    part = segmentations.Segment("a", "left ventricle", (1.0, 0.0, 0.0), mask)
    drawn = segmentations.segmentationNodeFromMasks([part], [mask], grid, "drawn")
    ui.inputSelector.setCurrentNode(small)
    ui.taskTabWidget.setCurrentIndex(2)
    choose(ui.modelComboBox, generator)
    ui.generateLabelsSelector.setCurrentNode(slicer.mrmlScene.AddNode(drawn))
    ui.sampleFramesSlider.value = 5
    ui.samplesSlider.value = 3
    return panel


def test_the_tab_starts_from_the_cine_and_says_what_it_will_do(generator, panel, small):
    ui = panel.ui
    ui.taskTabWidget.setCurrentIndex(2)
    assert ui.applyButton.text == "Select a frame to start from"
    ui.taskTabWidget.setCurrentIndex(0)
    ui.inputSelector.setCurrentNode(small)
    ui.taskTabWidget.setCurrentIndex(2)
    assert ui.generateSelector.currentNode() is small
    choose(ui.modelComboBox, "tlrn-cardiac")
    assert ui.applyButton.text == "Choose a model that can generate"
    assert not ui.applyButton.enabled
    choose(ui.modelComboBox, generator)
    assert ui.applyButton.text == "Generate 4 cines of 20 frames from 'heart'"
    ui.samplesSlider.value = 1
    ui.sampleFramesSlider.value = 8
    assert ui.applyButton.text == "Generate a cine of 8 frames from 'heart'"
    assert panel._parameterNode.samples == 1
    assert (ui.samplesSlider.minimum, ui.seedSpinBox.minimum) == (1, 0)
    ui.generateFrameSlider.value = 3
    assert panel._parameterNode.generateFrame == 3
    assert ui.generateFrameSlider.maximum == 5
    volume = slicer.mrmlScene.AddNode(small.GetNthDataNode(0))
    ui.generateSelector.setCurrentNode(volume)
    assert not ui.generateFrameSlider.enabled
    ui.taskTabWidget.setCurrentIndex(0)
    assert panel._parameterNode.model == "tlrn-cardiac"  # every tab has its own


def test_cines_are_made_played_and_browsed(ready, spin, small, phantom):
    panel, ui = ready, ready.ui
    ui.generateFrameSlider.value = 2
    run(panel, spin)
    assert ui.statusLabel.text == "Done"
    nodes = panel.review.nodes
    assert [sample.images.GetName() for sample in nodes.samples] == [f"heart sample {n}" for n in (1, 2, 3)]
    assert nodes == generation.generatedNodesOf(small)
    first = slicer.util.arrayFromVolume(nodes.samples[0].images.GetNthDataNode(0))
    np.testing.assert_array_equal(first, slicer.util.arrayFromVolume(small.GetNthDataNode(2)))
    shown = [nodes.proxy(sample.images).GetID() for sample in nodes.samples]
    segments = [nodes.proxy(sample.labels) for sample in nodes.samples]
    assert composite().GetBackgroundVolumeID() == shown[0]
    nodes.browser.SetSelectedItemNumber(3)
    ui.sampleSlider.value = 3
    assert composite().GetBackgroundVolumeID() == shown[2]
    assert nodes.browser.GetSelectedItemNumber() == 3
    assert [bool(node.GetDisplayNode() and node.GetDisplayNode().GetVisibility()) for node in segments] == [0, 0, 1]
    ui.labelsCheckBox.click()
    assert not segments[2].GetDisplayNode().GetVisibility()
    ui.labelsCheckBox.click()
    assert not any(box.enabled for box in (ui.motionCheckBox, ui.jacobianCheckBox, ui.entropyCheckBox))
    ui.playWidget._buttons[2].click()
    seen = set()
    spin(lambda: seen.add(nodes.browser.GetSelectedItemNumber()) or len(seen) == 5)
    ui.playWidget._buttons[2].click()
    (found,) = segmentations.segmentsOf(segments[1], phantom.cine.grid)
    assert found.name == "left ventricle"
    ui.taskTabWidget.setCurrentIndex(0)
    assert panel.review.nodes is None  # the cine was not registered
    ui.taskTabWidget.setCurrentIndex(2)
    assert composite().GetBackgroundVolumeID() == shown[2]


def test_another_seed_makes_other_cines_in_place_of_the_first(ready, spin):
    panel, ui = ready, ready.ui
    run(panel, spin)
    before = names()
    first = slicer.util.arrayFromVolume(panel.review.nodes.samples[1].images.GetNthDataNode(4)).copy()
    for seed, same in ((1, False), (0, True)):
        ui.seedSpinBox.value = seed
        run(panel, spin)
        again = slicer.util.arrayFromVolume(panel.review.nodes.samples[1].images.GetNthDataNode(4))
        assert np.array_equal(first, again) is same
        assert names() == before


def test_cancel_leaves_the_scene_alone(ready, spin):
    panel, ui = ready, ready.ui
    ui.samplesSlider.value = 20
    ui.sampleFramesSlider.value = 60
    before = names()
    ui.applyButton.click()
    spin(lambda: panel.run.job.state.name == "RUNNING")
    assert ui.applyButton.text == "Cancel"
    ui.applyButton.click()
    spin(lambda: panel.run.job is None)
    assert ui.statusLabel.text == "Cancelled."
    assert names() == before


def test_labels_of_another_size_are_one_sentence(ready, spin):
    panel, ui = ready, ready.ui
    small = volumes.volumeNodeFromArray(
        np.ones((8, 8), np.uint8), Grid((8, 8, 1), (1.0, 1.0, 1.0)), "small", "vtkMRMLLabelMapVolumeNode"
    )
    ui.generateLabelsSelector.setCurrentNode(slicer.mrmlScene.AddNode(small))
    before = names()
    run(panel, spin)
    assert ui.statusLabel.text == "The label map 'small' does not lie on the frames; resample it onto them."
    assert names() == before
    assert ui.applyButton.enabled


def test_samples_survive_saving_and_are_exported(ready, spin, tmp_path):
    panel, ui = ready, ready.ui
    ui.seedSpinBox.value = 9
    run(panel, spin)
    ui.exportDirectoryButton.directory = str(tmp_path)
    ui.exportButton.click()
    written = {path.name for path in (tmp_path / "heart samples").iterdir()}
    assert len(written - {MARKER}) == 3 * 4 + 1
    assert {"sample-001-images.seq.nrrd", "sample-003-toFrame.seq.nrrd", "report.json"} <= written
    report = json.loads((tmp_path / "heart samples" / "report.json").read_text("utf-8"))
    assert [(sample["seed"], sample["model"]) for sample in report["samples"]] == [(9, "maker")] * 3
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(0)
    assert panel.review.nodes is None
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    panel.initializeParameterNode()
    assert (ui.taskTabWidget.currentIndex, ui.seedSpinBox.value, ui.samplesSlider.value) == (2, 9, 3)
    nodes = panel.review.nodes
    nodes.browser.SetSelectedItemNumber(4)
    sample = nodes.samples[1]
    shown = slicer.util.arrayFromVolume(nodes.proxy(sample.images))
    np.testing.assert_array_equal(shown, slicer.util.arrayFromVolume(sample.images.GetNthDataNode(4)))


def test_from_the_console(generator, module, small, phantom):
    logic, seen = module.TemporalRegistrationLogic(), []
    labels = phantom.labels[0]
    nodes = logic.generateCine(
        small,
        nFrames=4,
        nSamples=2,
        seed=3,
        labels=labels,
        model=generator,
        device="cpu",
        progressCallback=lambda fraction, text: seen.append(fraction),
    )
    assert len(nodes.samples) == 2
    assert nodes.browser.GetNumberOfItems() == 4
    assert seen == sorted(seen)
    made = slicer.util.arrayFromVolume(nodes.samples[0].labels.GetNthDataNode(0)).reshape(labels.shape)
    np.testing.assert_array_equal(made, labels)
    volume = slicer.mrmlScene.AddNode(small.GetNthDataNode(3))
    other = logic.generateCine(volume, 3, model=generator)
    assert other.samples[0].images.GetName() == f"{volume.GetName()} sample 1"
    job = logic.generateCine(small, model=generator, wait=False)
    job.onChanged = lambda job: job.cancel() if job.fraction > 0.3 else None
    with pytest.raises(Cancelled):
        job.wait()
    assert generation.generatedNodesOf(small) == nodes


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"nSamples": 0}, InputError, "The number of samples must be a whole number of 1 or more, not 0."),
        ({"seed": -1}, InputError, "The seed must be a whole number of 0 or more, not -1."),
        ({"nFrames": 1}, InputError, "The number of frames must be a whole number of 2 or more, not 1."),
        ({"frame": 9}, InputError, "The sequence 'heart' has 6 frames; there is no frame 9."),
        ({"labels": np.ones((3, 3), int)}, InputError, r"label map has shape \(3, 3\)"),
        ({"model": "tlrn-cardiac"}, InputError, "The model 'tlrn-cardiac' cannot generate"),
        ({"model": "no-such-model"}, ModelError, "no-such-model"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_the_scene_alone(generator, module, small, change, error, sentence):
    before = names()
    options = {"nFrames": 4, "model": generator, **change}
    with pytest.raises(error, match=sentence) as raised:
        module.TemporalRegistrationLogic().generateCine(small, **options)
    assert "\n" not in str(raised.value)
    assert names() == before


def test_a_cine_of_one_frame_cannot_be_registered(generator, module, panel, spin, small):
    sequence = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", "still")
    sequence.SetDataNodeAtValue(small.GetNthDataNode(0), "0")
    panel.ui.inputSelector.setCurrentNode(sequence)
    assert panel.ui.applyButton.text == "Select a cine of at least two frames"
    assert not panel.ui.applyButton.enabled
    with pytest.raises(InputError, match=r"(?i)'still'.*(one|1|two|2).*frame") as raised:
        module.TemporalRegistrationLogic().registerCine(sequence, model=generator)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("mode", ["consecutive", "reference"])
def test_the_published_network_follows_and_generates(ownModels, mode, request, small, spin):
    import torch
    from made_models import card_of

    from DeepRegLogic.networks import build

    torch.manual_seed(0)
    arguments = {"mode": mode}
    zoo.save_model(ownModels / mode, build("dragnet", **arguments), card_of(mode, "dragnet", arguments=arguments))
    panel = request.getfixturevalue("panel")  # it lists the models that there are when it is opened
    ui = panel.ui
    ui.inputSelector.setCurrentNode(small)
    choose(ui.modelComboBox, mode)
    choose(ui.qualityComboBox, "fast")
    run(panel, spin)
    assert ui.statusLabel.text == "Done"
    assert panel.review.nodes.toReference.GetNumberOfDataNodes() == 6
    assert ui.uncertaintyCheckBox.enabled
    ui.taskTabWidget.setCurrentIndex(2)
    choose(ui.modelComboBox, mode)
    ui.sampleFramesSlider.value = 3
    run(panel, spin)
    assert ui.statusLabel.text == "Done"


def test_uncertainty_is_shown_marked_and_told(generator, panel, small, phantom, spin):
    ui = panel.ui
    labels = volumes.volumeNodeFromArray(
        (phantom.labels[0] == 1).astype(np.uint8), phantom.cine.grid, "drawn", "vtkMRMLLabelMapVolumeNode"
    )
    points = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "marks")
    points.AddControlPoint(*(phantom.cine.grid.voxel_to_mm(np.array([24.0, 24.0])) * (-1, -1, 1)))
    ui.inputSelector.setCurrentNode(small)
    ui.labelsSelector.setCurrentNode(slicer.mrmlScene.AddNode(labels))
    ui.pointsSelector.setCurrentNode(points)
    choose(ui.modelComboBox, generator)
    choose(ui.qualityComboBox, "fast")
    run(panel, spin)
    assert ui.statusLabel.text == "Done"
    nodes = panel.review.nodes
    assert all(box.enabled for box in (ui.uncertaintyCheckBox, ui.entropyCheckBox, ui.doubtfulCheckBox))
    ui.entropyCheckBox.click()
    assert composite().GetForegroundVolumeID() == nodes.proxy(nodes.entropy).GetID()
    ui.uncertaintyCheckBox.click()
    uncertainty = nodes.proxy(nodes.uncertainty)
    assert composite().GetForegroundVolumeID() == uncertainty.GetID()
    assert not ui.entropyCheckBox.checked  # only one thing is colored at a time
    assert not uncertainty.GetDisplayNode().GetApplyThreshold()
    ui.doubtfulCheckBox.click()
    ui.doubtfulSpinBox.value = 0.5
    assert uncertainty.GetDisplayNode().GetApplyThreshold()
    assert uncertainty.GetDisplayNode().GetLowerThreshold() == 0.5
    ellipses = nodes.proxy(nodes.ellipses).GetDisplayNode()
    assert ellipses.GetVisibility()
    ui.pointsCheckBox.click()
    assert not ellipses.GetVisibility()
    assert columnOf(nodes.table, "uncertainty mean").max() > 0.1
    ui.doubtfulSpinBox.value = 20
    assert "the motion is uncertain" not in ui.qualityLabel.text
    ui.doubtfulSpinBox.value = 0.1
    assert "the motion is uncertain" in ui.qualityLabel.text
    assert "labelUncertainty" in [ui.chartComboBox.itemData(i) for i in range(ui.chartComboBox.count)]
    ui.labelsCheckBox.click()
    ui.taskTabWidget.setCurrentIndex(2)
    assert not ellipses.GetVisibility()
