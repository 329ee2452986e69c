"""The options of the tab Pair: what they ask for, what appears in the scene, and a live regularity."""

from __future__ import annotations

import pytest
import slicer
from driving import quick, run
from TemporalRegistrationLib.kinds import KINDS

from DeepRegLogic.zoo import Card


@pytest.fixture
def two(panel, small):
    """Two frames of the small cine, chosen as a pair."""
    volumes = [slicer.mrmlScene.AddNode(small.GetNthDataNode(frame)) for frame in (0, 5)]
    panel.ui.taskTabWidget.setCurrentIndex(1)
    panel.ui.fixedSelector.setCurrentNode(volumes[0])
    panel.ui.movingSelector.setCurrentNode(volumes[1])
    quick(panel)
    return volumes


def test_a_pair_is_aligned_and_its_way_can_be_played(panel, two, spin):
    ui = panel.ui
    ui.affineCheckBox.click()
    ui.pairPathCheckBox.click()
    run(panel, spin)
    nodes = panel.review.nodes
    assert nodes.affine is not None
    assert nodes.path.GetNumberOfDataNodes() == 9
    assert ui.playWidget.visible
    assert ui.jacobianCheckBox.enabled
    assert not ui.uncertaintyCheckBox.enabled
    ui.jacobianCheckBox.click()
    composite = slicer.mrmlScene.GetSingletonNode("Red", "vtkMRMLSliceCompositeNode")
    assert composite.GetForegroundVolumeID() == nodes.jacobian.GetID()
    ui.affineCheckBox.click()
    ui.pairPathCheckBox.click()
    run(panel, spin)
    assert panel.review.nodes.path is None
    assert panel.review.nodes.affine is None
    assert not ui.playWidget.visible


def test_a_pair_tells_how_sure_it_is_when_it_is_asked(panel, two, spin):
    ui = panel.ui
    assert KINDS["pair"].task(panel._parameterNode).options["uncertainty"] is False
    ui.findUncertaintyCheckBox.click()
    assert KINDS["pair"].task(panel._parameterNode).options["uncertainty"] is True
    run(panel, spin)
    nodes = panel.review.nodes
    assert ui.uncertaintyCheckBox.enabled
    assert ui.entropyCheckBox.enabled
    assert ui.doubtfulCheckBox.enabled
    assert nodes.uncertainty is not None
    ui.uncertaintyCheckBox.click()
    composite = slicer.mrmlScene.GetSingletonNode("Red", "vtkMRMLSliceCompositeNode")
    assert composite.GetForegroundVolumeID() == nodes.uncertainty.GetID()


def test_the_options_are_those_of_the_task(panel, two):
    settings = panel.ui and panel._parameterNode
    mask = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "mask")
    panel.ui.fixedMaskSelector.setCurrentNode(mask)
    panel.ui.movingLabelsSelector.setCurrentNode(mask)
    panel.ui.affineCheckBox.click()
    task = KINDS["pair"].task(settings)
    assert task.masks == (mask, None)
    assert task.labels is mask
    assert task.options["affine"] is True
    assert task.options["path"] == 0
    assert task.options["regularity"] is None
    assert not panel.ui.regularitySlider.enabled


def test_the_regularity_is_live_for_single_slices_of_a_model_that_can_choose(panel, two, monkeypatch):
    kind, settings, started = KINDS["pair"], panel._parameterNode, []
    card = Card("soft", "Soft", "", "soft", {}, 2, 1.5, ("pair", "regularity"))
    monkeypatch.setattr("TemporalRegistrationLib.kinds.pair.list_models", lambda: (card,))
    monkeypatch.setattr("TemporalRegistrationLib.kinds.base.list_models", lambda: (card,))
    monkeypatch.setattr(panel.run, "follow", lambda: started.append(settings.regularity))
    assert kind.canUse(card)
    settings.pairModel = "soft"
    assert panel.ui.regularitySlider.enabled
    panel.ui.regularitySlider.value = 0.25
    assert settings.regularity == pytest.approx(0.25)
    assert started == []  # there is no result yet
    monkeypatch.setattr(kind, "nodesOf", lambda _settings: object())
    monkeypatch.setattr(panel, "_showResults", lambda: None)
    panel.ui.regularitySlider.value = 0.75
    assert started == [pytest.approx(0.75)]
    assert kind.task(settings).options["regularity"] == pytest.approx(0.75)
