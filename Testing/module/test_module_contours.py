"""Contours without drawing, in the panel: a click in the left ventricle becomes a segmentation that is followed."""

from __future__ import annotations

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("PySide6", reason="PySide6 is not installed")

from driving import quick, run  # noqa: E402

from DeepRegLogic import Cine  # noqa: E402
from DeepRegLogic.grid import flip_lps_ras  # noqa: E402
from DeepRegLogic.synthetic import cine_phantom  # noqa: E402


@pytest.fixture(scope="module")
def beating():
    return cine_phantom(seed=1, size=72, spacing=2.2, frames=5)


@pytest.fixture
def heart(panel, beating):
    """The cine in the scene, chosen."""
    from TemporalRegistrationLib.nodes.sequences import addCine

    cine = beating.cine
    node = addCine(Cine(cine.frames, cine.grid, cine.times, name="heart"))
    panel.inputs.choose(node)
    return node


def waiting():
    """The node that is to get the next click in a view."""
    return slicer.mrmlScene.GetNodeByID(slicer.modules.markups.logic().GetActiveListID())


def click(*places) -> None:
    """What a click in a view does while points are placed: a point more at a place in RAS mm."""
    node = waiting()
    for place in places:
        node.AddControlPoint(*place)


def inside(beating) -> np.ndarray:
    """The middle of the cavity, RAS mm."""
    voxel = np.argwhere(beating.labels[0] == 1).mean(axis=0)
    return flip_lps_ras(beating.cine.grid.voxel_to_mm(voxel[None]))[0]


def contoured(panel, spin, beating) -> None:
    panel.ui.contoursButton.click()
    click(inside(beating))
    spin(lambda: panel._parameterNode.labels is not None)
    spin(lambda: panel.run.job is None)


def masks(node, grid) -> dict[str, np.ndarray]:
    from TemporalRegistrationLib.nodes.segmentations import segmentsOf

    return {segment.name: segment.mask > 0 for segment in segmentsOf(node, grid)}


def test_one_click_gives_a_segmentation_on_the_reference_that_is_followed(panel, spin, heart, beating):
    contoured(panel, spin, beating)
    settings = panel._parameterNode
    assert panel.ui.statusLabel.text.startswith("Contours were found on frame 0.")
    assert (settings.automaticReference, settings.referenceFrame) == (False, 0)
    assert panel.ui.labelsSelector.currentNode() is settings.labels
    assert settings.labels.GetName() == "heart contours"
    found, truth = masks(settings.labels, beating.cine.grid), beating.labels[0]
    assert list(found) == ["LV blood", "LV myocardium", "RV side"]
    for name, value in (("LV blood", 1), ("LV myocardium", 2)):
        drawn = truth == value
        assert 2 * (found[name] & drawn).sum() > (0.9 if value == 1 else 0.75) * (found[name].sum() + drawn.sum())
    interaction = slicer.app.applicationLogic().GetInteractionNode()
    assert interaction.GetCurrentInteractionMode() == interaction.ViewTransform
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLMarkupsFiducialNode") == 0
    quick(panel)
    run(panel, spin)
    assert panel.ui.statusLabel.text == "Done"
    nodes = panel.review.nodes
    assert nodes.labels.GetDataNodeClassName() == "vtkMRMLSegmentationNode"
    (column,) = [name for name in map(nodes.sizes.GetColumnName, range(4)) if "blood" in name]
    blood = slicer.util.arrayFromTableColumn(nodes.sizes, column)
    assert blood.min() < 0.9 * blood[0]


def test_four_clicks_from_a_cine_without_labels_to_curves_and_bulls_eye(panel, spin, heart, beating):
    from TemporalRegistrationLib.show import layouts

    quick(panel)
    panel.ui.contoursButton.click()  # the first
    click(inside(beating))  # the second
    spin(lambda: panel._parameterNode.labels is not None)
    spin(lambda: panel.run.job is None)
    run(panel, spin)  # the third
    nodes = panel.review.nodes
    assert nodes.segments is not None
    panel.ui.chartButton.click()  # the fourth
    manager = slicer.app.layoutManager()
    assert manager.layout == layouts.SEGMENTS
    composite = slicer.mrmlScene.GetSingletonNode(layouts.SEGMENTS_VIEW, "vtkMRMLSliceCompositeNode")
    assert composite.GetBackgroundVolumeID() == nodes.segments.GetID()
    assert manager.plotWidget(0).mrmlPlotViewNode().GetPlotChartNode() is nodes.strainChart
    columns = map(nodes.strain.GetColumnName, range(nodes.strain.GetNumberOfColumns()))
    assert any(column.startswith("GCS") for column in columns)
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)


def test_another_click_replaces_the_contours_and_not_what_a_user_drew(panel, spin, heart, beating):
    own = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "mine")
    contoured(panel, spin, beating)
    first = panel._parameterNode.labels
    panel._parameterNode.labels = None
    contoured(panel, spin, beating)
    names = [node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode")]
    assert sorted(names) == ["heart contours", "mine"]
    assert slicer.mrmlScene.IsNodePresent(own)
    assert not slicer.mrmlScene.IsNodePresent(first)


def test_the_button_again_stops_waiting_for_clicks(panel, spin, heart):
    panel.ui.contoursButton.click()
    interaction = slicer.app.applicationLogic().GetInteractionNode()
    assert interaction.GetCurrentInteractionMode() == interaction.Place
    assert panel.ui.statusLabel.text == "Click in the middle of the left ventricle."
    panel.ui.contoursButton.click()
    assert interaction.GetCurrentInteractionMode() == interaction.ViewTransform
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLMarkupsFiducialNode") == 0
    panel.ui.longAxisButton.click()
    assert interaction.GetPlaceModePersistence() == 1
    slicer.mrmlScene.Clear(0)  # with the panel waiting
    assert panel.contours._clicked is None


def test_a_click_beside_the_heart_is_answered_in_a_sentence(panel, spin, heart):
    panel.ui.contoursButton.click()
    click((1e4, 0.0, 0.0))
    spin(lambda: panel.contours._clicked is None)
    spin(lambda: panel.run.job is None)
    assert "is outside of 'heart'" in panel.ui.statusLabel.text
    assert panel._parameterNode.labels is None


def test_three_clicks_in_a_long_axis(panel, spin):
    from TemporalRegistrationLib.nodes.sequences import addCine

    phantom = cine_phantom(seed=4, view="four-chamber", size=96, spacing=2.5, frames=2)
    panel.inputs.choose(addCine(Cine(phantom.cine.frames, phantom.cine.grid, name="long axis")))
    grid, labels = phantom.cine.grid, phantom.labels[0]
    cavity, atrium = np.argwhere(labels == 1), np.argwhere(labels == 4)
    along = cavity.mean(axis=0) - atrium.mean(axis=0)
    along /= np.linalg.norm(along)
    height, across = cavity @ along, cavity @ (-along[1], along[0])
    base = height < height.min() + 2.0
    places = [cavity[height.argmax()], cavity[base][across[base].argmin()], cavity[base][across[base].argmax()]]
    panel.ui.longAxisButton.click()
    points = flip_lps_ras(grid.voxel_to_mm(np.array(places)))
    click(*points[:2])
    assert panel.contours._clicked is not None
    click(points[2])
    spin(lambda: panel._parameterNode.labels is not None)
    found = masks(panel._parameterNode.labels, grid)["LV blood"]
    assert 2 * (found & (labels == 1)).sum() > 0.88 * (found.sum() + (labels == 1).sum())
