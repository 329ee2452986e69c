"""The panel, driven as a person does, and what becomes of the scene."""

from __future__ import annotations

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("PySide6", reason="PySide6 is not installed")

from driving import choose, composite, names, processOf, quick, run, shownCine  # noqa: E402
from PySide6 import QtCore, QtTest  # noqa: E402
from TemporalRegistrationLib.nodes import segmentations  # noqa: E402
from TemporalRegistrationLib.nodes import sequences as bridge  # noqa: E402

from DeepRegLogic.files import MARKER  # noqa: E402


def test_three_clicks_from_the_sample_to_its_motion(panel, spin, application):
    from TemporalRegistrationLib.run import worker

    ui = panel.ui
    assert ui.applyButton.text == "Select a cine"
    assert not ui.applyButton.enabled
    assert not ui.reviewCollapsibleButton.enabled
    ui.sampleButton.click()
    assert ui.applyButton.text == "Follow the motion of 'four-chamber' (20 frames)"
    assert composite().GetBackgroundVolumeID() is not None
    choose(ui.qualityComboBox, "fast")
    spin(lambda: worker.shared().isReady)
    run(panel, spin)
    assert ui.statusLabel.text == "Done"
    nodes = panel.review.nodes
    assert nodes is not None
    assert ui.reviewCollapsibleButton.enabled
    assert ui.qualityLabel.text.endswith("of 20 frames good.") or "Doubtful" in ui.qualityLabel.text
    assert ui.qualityTableView.rowCount == 20
    play = ui.playWidget
    play._loop.click()
    play._loop.click()
    play._rate.setValue(30)
    play._buttons[2].click()
    seen = set()
    spin(lambda: seen.add(nodes.browser.GetSelectedItemNumber()) or len(seen) == 20)
    play._buttons[2].click()
    pid = processOf(worker)
    run(panel, spin)
    assert processOf(worker) == pid  # the same process, warm
    assert panel.review.nodes.browser is nodes.browser


def test_the_button_says_what_is_missing(panel, small):
    ui, node = panel.ui, panel._parameterNode
    assert ui.applyButton.text == "Select a cine"
    ui.inputSelector.setCurrentNode(small)
    assert node.inputSequence is small
    choose(ui.modelComboBox, "")
    choose(ui.qualityComboBox, "fast")
    assert ui.applyButton.text == "Choose a model, or a higher quality"
    choose(ui.qualityComboBox, "best")
    assert ui.applyButton.text == "Follow the motion of 'heart' (6 frames)"
    ui.taskTabWidget.setCurrentIndex(1)
    assert ui.applyButton.text == "Select a fixed and a moving volume"
    volume = slicer.mrmlScene.AddNode(small.GetNthDataNode(0))
    ui.fixedSelector.setCurrentNode(volume)
    ui.movingSelector.setCurrentNode(volume)
    assert ui.applyButton.text == "Select two different volumes"
    assert not ui.applyButton.enabled


def test_the_reference_slider_shows_its_frame(panel, small):
    ui = panel.ui
    ui.inputSelector.setCurrentNode(small)
    assert not ui.referenceSlider.enabled
    ui.automaticReferenceCheckBox.click()
    assert ui.referenceSlider.enabled
    assert ui.referenceSlider.maximum == 5
    ui.referenceSlider._slider.setValue(4)
    assert panel._parameterNode.referenceFrame == 4
    assert bridge.browserOf(small).GetSelectedItemNumber() == 4


def test_the_open_tab_makes_the_height(panel):
    tabs, heights = panel.ui.taskTabWidget, []
    for index in range(tabs.count):
        tabs.setCurrentIndex(index)
        slicer.app.processEvents()
        heights.append(tabs.height)
    assert heights[1] < min(heights[0], heights[2])
    assert heights[0] != heights[2]


def test_keys_are_not_those_of_the_toolbar(panel):
    import qt

    shortcuts = panel.ui.playWidget.findChildren(qt.QShortcut)
    assert len(shortcuts) == 6
    assert {s.key.toString() for s in shortcuts if s.enabled} == {"Space", "Left", "Right"}


def test_the_views_stay_as_the_user_leaves_them(followed):
    panel, moving = followed, shownCine(followed).GetID()
    composite().SetBackgroundVolumeID(None)
    panel.ui.smoothnessSpinBox.value = 0.5
    panel.exit()
    panel.enter()
    assert composite().GetBackgroundVolumeID() is None
    panel.ui.labelsCheckBox.click()
    assert composite().GetBackgroundVolumeID() == moving


@pytest.fixture
def followed(panel, small, phantom, spin):
    """A run with labels and points."""
    ui, grid = panel.ui, phantom.cine.grid
    parts = [
        segmentations.Segment("a", "left ventricle", (1.0, 0.0, 0.0), (phantom.labels[0] == 1).astype(np.uint8)),
        segmentations.Segment("b", "myocardium", (0.0, 1.0, 0.0), (phantom.labels[0] == 2).astype(np.uint8)),
    ]
    drawn = segmentations.segmentationNodeFromMasks(parts, [part.mask for part in parts], grid, "drawn")
    points = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "marks")
    middle = grid.voxel_to_mm(np.array([24.0, 24.0])) * (-1, -1, 1)
    points.AddControlPoint(*middle)
    points.AddControlPoint(middle[0] + 12, middle[1] + 8, middle[2])
    ui.inputSelector.setCurrentNode(small)
    ui.labelsSelector.setCurrentNode(slicer.mrmlScene.AddNode(drawn))
    ui.pointsSelector.setCurrentNode(points)
    ui.automaticReferenceCheckBox.click()
    quick(panel)
    run(panel, spin)
    assert panel.ui.statusLabel.text == "Done"
    return panel


def test_labels_and_points_are_followed(followed, phantom, small):
    panel, nodes = followed, followed.review.nodes
    grid = phantom.cine.grid
    nodes.browser.SetSelectedItemNumber(5)
    found = segmentations.segmentsOf(nodes.proxy(nodes.labels), grid)
    assert [segment.name for segment in found] == ["left ventricle", "myocardium"]
    truth = phantom.labels[5] == 1
    overlap = 2 * (found[0].mask & truth).sum() / (found[0].mask.sum() + truth.sum())
    assert overlap > 2 * ((phantom.labels[0] == 1) & truth).sum() / ((phantom.labels[0] == 1).sum() + truth.sum())
    (sequence,) = nodes.points
    positions = [np.array([sequence.GetNthDataNode(t).GetNthControlPointPosition(1) for t in range(6)]).reshape(6, 3)]
    assert np.abs(positions[0][5] - positions[0][0]).max() > 0.2
    assert nodes.proxy(sequence).GetNumberOfControlPoints() == 2
    sizes = nodes.sizes.GetTable()
    assert sizes.GetColumnName(2) == "left ventricle"
    assert sizes.GetValue(0, 2).ToDouble() == pytest.approx((phantom.labels[0] == 1).sum() * 16.0)
    assert "area" in panel.ui.ejectionLabel.text
    assert "EF" not in panel.ui.ejectionLabel.text


def test_every_switch_changes_what_is_shown(followed):
    panel, ui, nodes = followed, followed.ui, followed.review.nodes
    moving, compensated = shownCine(panel), nodes.proxy(nodes.compensated)
    labels, points = nodes.proxy(nodes.labels).GetDisplayNode(), nodes.proxy(nodes.points[0]).GetDisplayNode()
    assert composite().GetBackgroundVolumeID() == moving.GetID()
    assert labels.GetVisibility()
    assert points.GetVisibility()
    ui.labelsCheckBox.click()
    ui.pointsCheckBox.click()
    assert not labels.GetVisibility()
    assert not points.GetVisibility()
    ui.labelsCheckBox.click()
    motion = nodes.proxy(nodes.toFrame).GetDisplayNode()
    assert not motion.GetVisibility()
    ui.motionCheckBox.click()
    assert motion.GetVisibility()
    assert motion.GetVisualizationMode() == motion.VIS_MODE_GRID
    choose(ui.motionStyleComboBox, "arrows")
    assert motion.GetVisualizationMode() == motion.VIS_MODE_GLYPH
    ui.jacobianCheckBox.click()
    jacobian = nodes.proxy(nodes.jacobian)
    assert composite().GetForegroundVolumeID() == jacobian.GetID()
    assert composite().GetForegroundOpacity() == pytest.approx(0.6)
    ui.opacitySlider.value = 30
    assert composite().GetForegroundOpacity() == pytest.approx(0.3)
    legend = slicer.modules.colors.logic().GetColorLegendDisplayNode(jacobian)
    assert legend.GetVisibility()
    ui.jacobianCheckBox.click()
    assert composite().GetForegroundVolumeID() is None
    assert not legend.GetVisibility()
    ui.compensatedCheckBox.click()
    assert composite().GetBackgroundVolumeID() == compensated.GetID()
    assert not labels.GetVisibility()  # they belong on the moving frames
    assert not motion.GetVisibility()
    choose(ui.compareComboBox, "blended")
    assert composite().GetForegroundVolumeID() == compensated.GetID()
    choose(ui.compareComboBox, "sideBySide")
    shown = [composite(f"TemporalRegistration{view}") for view in ("Moving", "Compensated", "Difference")]
    expected = [moving, compensated, nodes.proxy(nodes.difference)]
    assert [view.GetBackgroundVolumeID() for view in shown] == [volume.GetID() for volume in expected]
    layout = slicer.app.layoutManager().layout
    choose(ui.compareComboBox, "single")
    assert slicer.app.layoutManager().layout != layout
    assert not ui.uncertaintyCheckBox.enabled
    assert "ask how sure" in ui.uncertaintyCheckBox.toolTip
    assert panel._parameterNode.motionStyle == "arrows"


def test_curves_mark_the_frame_and_a_click_goes_to_it(followed, spin):
    panel, ui, nodes = followed, followed.ui, followed.review.nodes
    known = [ui.chartComboBox.itemData(i) for i in range(ui.chartComboBox.count)]
    assert known == ["sizes", "strain", "wallThickness", "turn", "motion", "quality"]
    ui.chartComboBox.setCurrentIndex(known.index("sizes"))
    ui.chartButton.click()
    manager = slicer.app.layoutManager()
    assert manager.shownChart is nodes.sizesChart
    import vtk

    def click(row: int, *names: str) -> None:
        """Pick a point of the series that are called so."""
        series, collection = vtk.vtkStringArray(), vtk.vtkCollection()
        for name in names:
            rows = vtk.vtkIdTypeArray()
            rows.InsertNextValue(row)
            collection.AddItem(rows)
            series.InsertNextValue(slicer.util.getNode(name).GetID())
        manager.plotWidget(0).plotView().dataSelected.emit(series, collection)

    click(3, "left ventricle")
    assert nodes.browser.GetSelectedItemNumber() == 3
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", "of another module")
    click(1, "of another module")
    click(0, "current frame")  # the mark itself
    assert nodes.browser.GetSelectedItemNumber() == 3
    click(2, "of another module", "myocardium")
    assert nodes.browser.GetSelectedItemNumber() == 2
    click(3, "left ventricle")
    marker = panel.curves._markers[0].GetTable()
    time3 = nodes.table.GetTable().GetValueByName(3, "time").ToDouble()
    assert marker.GetValue(0, 0).ToDouble() == marker.GetValue(1, 0).ToDouble() == time3


def test_keys_play_and_step(followed, spin):
    panel, browser = followed, followed.review.nodes.browser
    panel.parent.activateWindow()
    spin(seconds=0.1)
    for key, frame in ((QtCore.Qt.Key.Key_Right, 1), (QtCore.Qt.Key.Key_Right, 2), (QtCore.Qt.Key.Key_Left, 1)):
        QtTest.QTest.keyClick(panel.parent, key)
        assert browser.GetSelectedItemNumber() == frame
    QtTest.QTest.keyClick(panel.parent, QtCore.Qt.Key.Key_Space)
    assert browser.GetPlaybackActive()
    QtTest.QTest.keyClick(panel.parent, QtCore.Qt.Key.Key_Space)
    assert not browser.GetPlaybackActive()


def test_a_second_run_replaces_its_own_results_only(followed, spin):
    before = names()
    run(followed, spin)
    assert names() == before
    assert followed.ui.reviewCollapsibleButton.enabled


def test_results_and_switches_survive_saving(followed, tmp_path, spin):
    panel = followed
    panel.ui.jacobianCheckBox.click()
    panel.ui.smoothnessSpinBox.value = 0.7
    path = tmp_path / "scene.mrb"
    assert slicer.util.saveScene(str(path))
    slicer.mrmlScene.Clear(0)
    assert panel.review.nodes is None
    assert panel.ui.applyButton.text == "Select a cine"
    slicer.util.loadScene(str(path))
    panel.initializeParameterNode()
    nodes = panel.review.nodes
    assert nodes is not None
    assert panel._parameterNode.smoothness == 0.7
    assert panel.ui.jacobianCheckBox.checked
    assert composite().GetForegroundVolumeID() == nodes.proxy(nodes.jacobian).GetID()
    nodes.browser.SetSelectedItemNumber(4)
    shown = slicer.util.arrayFromVolume(nodes.proxy(nodes.compensated))
    np.testing.assert_allclose(shown, slicer.util.arrayFromVolume(nodes.compensated.GetNthDataNode(4)))


def test_export_writes_everything_and_keeps_what_is_the_users(followed, tmp_path, errors):
    ui = followed.ui
    ui.exportDirectoryButton.directory = str(tmp_path)
    ui.exportButton.click()
    folder = tmp_path / "heart motion"
    assert str(folder) in ui.exportLabel.text
    written = {path.name for path in folder.iterdir()}
    assert written >= {
        "compensated.seq.nrrd",
        "toReference.seq.nrrd",
        "toFrame.seq.nrrd",
        "jacobian.seq.nrrd",
        "quality.csv",
        "sizes.csv",
        "report.json",
        "report.pdf",
        "report.png",
    }
    assert (folder / "report.pdf").read_bytes().startswith(b"%PDF")
    assert {name.partition(".")[0] for name in written} >= {"labels", "points0"}
    assert [path.name for path in tmp_path.iterdir()] == ["heart motion"]
    followed.ui.exportButton.click()  # an earlier export is replaced
    (folder / "thesis.txt").write_text("of the user")
    followed.ui.exportButton.click()
    assert (folder / "quality.csv").exists()
    assert (folder / "thesis.txt").read_text() == "of the user"
    assert "holds other files ('thesis.txt')" in errors.pop()


def test_pair_is_registered(panel, small, spin, tmp_path):
    ui = panel.ui
    volumes = [slicer.mrmlScene.AddNode(small.GetNthDataNode(frame)) for frame in (0, 5)]
    for name, volume in zip(("end-diastole", "end-systole"), volumes, strict=True):
        volume.SetName(name)
    ui.taskTabWidget.setCurrentIndex(1)
    ui.fixedSelector.setCurrentNode(volumes[0])
    ui.movingSelector.setCurrentNode(volumes[1])
    quick(panel)
    assert ui.applyButton.text == "Register 'end-systole' to 'end-diastole'"
    run(panel, spin)
    nodes = panel.review.nodes
    assert nodes.warped.GetName() == "end-systole warped to end-diastole"
    fixed, moving, warped = (
        slicer.util.arrayFromVolume(node).astype(float) for node in (volumes[0], volumes[1], nodes.warped)
    )
    assert np.abs(warped - fixed).mean() < 0.85 * np.abs(moving - fixed).mean()
    assert composite().GetBackgroundVolumeID() == volumes[0].GetID()
    assert composite().GetForegroundVolumeID() == nodes.warped.GetID()
    ui.compensatedCheckBox.click()
    assert composite().GetForegroundVolumeID() == volumes[1].GetID()
    choose(ui.compareComboBox, "sideBySide")
    shown = [composite(f"TemporalRegistration{view}") for view in ("Moving", "Compensated", "Difference")]
    expected = [volumes[1], nodes.warped, nodes.difference]
    assert [view.GetBackgroundVolumeID() for view in shown] == [volume.GetID() for volume in expected]
    choose(ui.compareComboBox, "single")
    ui.motionCheckBox.click()
    assert nodes.toMoving.GetDisplayNode().GetVisibility()
    np.testing.assert_allclose(slicer.util.arrayFromVolume(nodes.difference), warped - fixed, atol=1e-3)
    assert not ui.playWidget.visible
    before = names()
    run(panel, spin)
    assert names() == before
    ui.exportDirectoryButton.directory = str(tmp_path)
    ui.exportButton.click()
    written = {path.name for path in (tmp_path / "end-systole to end-diastole").iterdir()}
    transforms, tables = {"toFixed.h5", "toMoving.h5"}, {"quality.csv", "report.json"}
    assert written - {MARKER} == transforms | tables | {"warped.nrrd", "difference.nrrd", "jacobian.nrrd"}


def test_wrong_input_is_a_sentence_and_the_panel_stays_usable(panel, small, spin):
    pixels = slicer.util.arrayFromVolume(small.GetNthDataNode(2)).astype(np.float32)
    pixels[0, 3, 3] = np.nan
    for frame in range(6):
        node = small.GetNthDataNode(frame)
        slicer.util.updateVolumeFromArray(node, pixels if frame == 2 else pixels * 0 + frame)
    panel.ui.inputSelector.setCurrentNode(small)
    quick(panel)
    before = names()
    run(panel, spin)
    assert "Frame 2 of 'heart' has NaN" in panel.ui.statusLabel.text or "NaN" in panel.ui.statusLabel.text
    assert names() == before
    assert panel.ui.applyButton.enabled
