"""What can be chosen in the panel, and that it is kept: settings, devices, models, what is followed, the region."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("PySide6", reason="PySide6 is not installed")

import vtk  # noqa: E402
from driving import choose, composite, names, quick, run  # noqa: E402
from TemporalRegistrationLib import kinds  # noqa: E402
from TemporalRegistrationLib.nodes import sequences as bridge  # noqa: E402
from TemporalRegistrationLib.nodes.regions import regionOf  # noqa: E402
from TemporalRegistrationLib.nodes.volumes import volumeNodeFromArray  # noqa: E402
from TemporalRegistrationLib.run import environment  # noqa: E402
from TemporalRegistrationLib.show import doubts  # noqa: E402

from DeepRegLogic import Grid  # noqa: E402
from DeepRegLogic.synthetic import cine_phantom  # noqa: E402


def test_a_model_is_chosen_by_its_title_and_says_what_it_is_for(panel, small):
    ui = panel.ui
    for name, (title, summary) in kinds.models().items():
        choose(ui.modelComboBox, name)
        assert ui.modelComboBox.currentText == title
        assert ui.modelSummaryLabel.text == summary
    choose(ui.modelComboBox, "tlrn-cardiac")
    ui.taskTabWidget.setCurrentIndex(1)
    assert ui.modelComboBox.currentData == "voxelmorph-cardiac"  # pairs have a choice of their own
    choose(ui.modelComboBox, "")
    ui.taskTabWidget.setCurrentIndex(0)
    assert ui.modelComboBox.currentData == "tlrn-cardiac"


def test_graphics_cards_are_offered_by_name_when_they_are_known(panel, small, worker, monkeypatch):
    ui = panel.ui
    panel._parameterNode.device = "cuda:1"  # of a scene from another computer
    assert ui.deviceComboBox.currentText == "cuda:1 (not installed)"
    monkeypatch.setattr(
        worker.shared(), "devices", [{"name": f"cuda:{i}", "title": f"Card of kind {i}"} for i in range(2)]
    )
    worker.shared().onReady()
    assert ui.deviceComboBox.currentText == "Card of kind 1"
    choose(ui.deviceComboBox, "cuda:0")
    assert panel._parameterNode.device == "cuda:0"


def test_a_model_that_is_not_here_is_named_and_kept(panel, small):
    panel.ui.inputSelector.setCurrentNode(small)
    panel._parameterNode.model = "of-a-colleague"
    assert panel.ui.modelComboBox.currentText == "of-a-colleague (not installed)"
    assert panel.ui.applyButton.text == "Choose an installed model"
    assert panel._parameterNode.model == "of-a-colleague"


def test_selectors_offer_only_what_can_be_used(panel, small):
    scene, ui = slicer.mrmlScene, panel.ui
    scene.AddNewNodeByClass("vtkMRMLModelNode", "a model")
    scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "a box")
    for kind in ("Fiducial", "Curve", "ClosedCurve", "Line", "Plane", "Angle"):
        scene.AddNewNodeByClass(f"vtkMRMLMarkups{kind}Node", kind)
    transforms = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "transforms")
    transforms.SetDataNodeAtValue(slicer.vtkMRMLTransformNode(), "0")
    grid = bridge.cineFromSequence(small).grid
    scene.AddNode(volumeNodeFromArray(np.ones(grid.shape, np.uint8), grid, "a map", "vtkMRMLLabelMapVolumeNode"))
    scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "a segmentation").GetSegmentation()

    def offered(selector) -> set[str]:
        return {node.GetName() for node in selector._nodes()}

    assert offered(ui.inputSelector) == {"heart"}
    assert offered(ui.roiSelector) == {"a box"}
    assert offered(ui.labelsSelector) == {"a map", "a segmentation"}
    assert offered(ui.pointsSelector) == {"Fiducial", "Curve", "ClosedCurve", "Line"}
    assert offered(ui.fixedSelector) == {"heart"}  # the frame that is shown
    assert offered(ui.settingsSelector) == {"TemporalRegistration"}


def test_a_closed_curve_and_a_label_map_are_followed(panel, small, phantom, spin):
    ui, grid = panel.ui, phantom.cine.grid
    curve = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsClosedCurveNode", "contour")
    for angle in np.linspace(0, 2 * np.pi, 6, endpoint=False):
        curve.AddControlPoint(
            *(grid.voxel_to_mm(np.array([24, 24]) + 6 * np.array([np.sin(angle), np.cos(angle)])) * (-1, -1, 1))
        )
    mask = volumeNodeFromArray((phantom.labels[0] == 1).astype(np.uint8), grid, "map", "vtkMRMLLabelMapVolumeNode")
    ui.inputSelector.setCurrentNode(small)
    ui.pointsSelector.setCurrentNode(curve)
    ui.labelsSelector.setCurrentNode(slicer.mrmlScene.AddNode(mask))
    ui.automaticReferenceCheckBox.click()
    quick(panel)
    run(panel, spin)
    nodes = panel.review.nodes
    nodes.browser.SetSelectedItemNumber(5)
    followed = nodes.proxy(nodes.points[0])
    assert followed.GetClassName() == "vtkMRMLMarkupsClosedCurveNode"
    assert followed.GetName() == "contour followed"
    moved = slicer.util.arrayFromMarkupsControlPoints(followed) - slicer.util.arrayFromMarkupsControlPoints(curve)
    assert 0.2 < np.linalg.norm(moved, axis=1).max() < 30
    assert nodes.proxy(nodes.labels).GetClassName() == "vtkMRMLLabelMapVolumeNode"
    assert composite().GetLabelVolumeID() == nodes.proxy(nodes.labels).GetID()
    ui.labelsCheckBox.click()
    assert composite().GetLabelVolumeID() is None


def test_outside_the_region_of_interest_nothing_moves(panel, small, phantom, spin):
    ui, grid = panel.ui, phantom.cine.grid
    roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "box")
    roi.SetCenter(*(grid.voxel_to_mm(np.array([24.0, 24.0])) * (-1, -1, 1)))
    roi.SetSize(100.0, 100.0, 100.0)
    ui.inputSelector.setCurrentNode(small)
    ui.roiSelector.setCurrentNode(roi)
    ui.automaticReferenceCheckBox.click()
    quick(panel)
    run(panel, spin)
    transform = panel.review.nodes.toFrame.GetNthDataNode(4)
    field = np.linalg.norm(slicer.util.arrayFromGridTransform(transform), axis=-1)[0]
    assert field[16:32, 16:32].max() > 0.5
    assert field[:3].max() < 0.05
    assert field[:, -3:].max() < 0.05


def test_a_turned_region_is_held_by_the_smallest_box(scene):
    grid = Grid((64, 48, 10), (2.0, 2.0, 5.0), (-10.0, 5.0, 20.0))
    roi = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
    roi.SetSize(20.0, 20.0, 20.0)
    center = grid.voxel_to_mm(np.array([5.0, 20.0, 30.0])) * (-1, -1, 1)
    roi.SetCenter(*center)
    # 10 mm either side are 2 slices, 5 rows and 5 columns
    assert regionOf(roi, grid) == ([3, 15, 25], [8, 26, 36])
    turn = vtk.vtkTransform()
    turn.Translate(*center)
    turn.RotateZ(45)
    roi.SetAndObserveObjectToNodeMatrix(turn.GetMatrix())
    # the diagonal, 14.1 mm, is 7 rows
    assert regionOf(roi, grid) == ([3, 13, 23], [8, 28, 38])


def test_progress_tells_the_step_and_the_time_that_is_left(panel, scene, spin):
    ui = panel.ui
    # large enough to take longer than the half second after which an estimate is no guess any more
    ui.inputSelector.setCurrentNode(bridge.addCine(cine_phantom(seed=2, size=96, frames=10).cine))
    quick(panel)
    choose(ui.qualityComboBox, "best")
    ui.applyButton.click()
    seen = []

    def ended() -> bool:
        seen.append((ui.progressBar.value, ui.statusLabel.text))
        return panel.run.job is None

    spin(ended)
    texts = [text for _, text in seen]
    assert any("s left)" in text for text in texts)
    assert any("frame" in text.lower() for text in texts)
    values = [value for value, _ in seen[:-1]]
    assert values == sorted(values)
    assert len(set(values)) > 10
    assert not ui.progressBar.visible


def test_settings_are_many_and_each_keeps_its_own(panel, small, tmp_path):
    ui = panel.ui
    ui.inputSelector.setCurrentNode(small)
    choose(ui.qualityComboBox, "best")
    first = panel._parameterNode.parameterNode
    ui.settingsSelector.addNode()
    second = panel._parameterNode.parameterNode
    assert second is not first
    assert ui.qualityComboBox.currentData == "standard"
    choose(ui.qualityComboBox, "fast")
    ui.smoothnessSpinBox.value = 0.5
    ui.settingsSelector.setCurrentNode(first)
    assert (ui.qualityComboBox.currentData, ui.smoothnessSpinBox.value) == ("best", 1.0)
    ui.settingsSelector.setCurrentNode(second)
    assert (ui.qualityComboBox.currentData, ui.smoothnessSpinBox.value) == ("fast", 0.5)
    panel.exit()  # to another module
    panel.enter()
    assert panel._parameterNode.parameterNode is second
    path = tmp_path / "scene.mrb"
    assert slicer.util.saveScene(str(path))
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(path))
    found = {node.GetName(): node for node in ui.settingsSelector._nodes()}
    assert len(found) == 2
    assert ui.qualityComboBox.currentData == "best"
    ui.settingsSelector.setCurrentNode(next(node for node in found.values() if node.GetSingletonTag() is None))
    assert ui.smoothnessSpinBox.value == 0.5
    ui.settingsSelector.removeCurrentNode()
    assert ui.qualityComboBox.currentData == "best"
    assert panel._parameterNode.inputSequence.GetName() == "heart"


def test_a_run_goes_on_while_another_module_is_open(panel, small, spin):
    panel.ui.inputSelector.setCurrentNode(small)
    quick(panel)
    panel.ui.applyButton.click()
    panel.exit()
    spin(lambda: panel.run.job is None)
    panel.enter()
    assert panel.ui.statusLabel.text == "Done"
    assert panel.review.nodes is not None


def test_undo_and_redo_leave_the_panel_alive(panel, small, spin):
    scene = slicer.mrmlScene
    panel.ui.inputSelector.setCurrentNode(small)
    quick(panel)
    scene.SetUndoFlag(True)
    try:
        scene.SaveStateForUndo()
        run(panel, spin)
        before = names()
        scene.Undo()
        scene.Redo()
        assert names() == before
        panel.review.nodes.browser.SetSelectedItemNumber(3)
        run(panel, spin)
        assert panel.ui.statusLabel.text == "Done"
        assert names() == before
    finally:
        scene.ClearUndoStack()
        scene.ClearRedoStack()
        scene.SetUndoFlag(False)


def test_an_idle_worker_goes_away_and_comes_again(panel, small, spin, worker, monkeypatch):
    worker.closeShared()
    monkeypatch.setattr(worker, "IDLE_SECONDS", 0.3)
    panel.ui.inputSelector.setCurrentNode(small)
    quick(panel)
    run(panel, spin)
    spin(lambda: not worker.shared().isRunning)
    run(panel, spin)
    assert panel.ui.statusLabel.text == "Done"


def test_doubtful_frames_are_named_with_the_reason(scene):
    table = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode")
    columns = {
        "error before": (0.0, 0.10, 0.10, 0.10, 0.10),
        "error after": (0.0, 0.03, 0.09, 0.03, 0.03),
        "folded": (0.0, 0.0, 0.0, 0.01, 0.0),
        "inverse consistency high": (0.0, 0.1, 0.1, 0.1, 0.1),
        "uncertainty mean": (0.0, 0.4, 0.4, 0.4, 3.0),
    }
    slicer.util.updateTableFromArray(table, [np.array(values) for values in columns.values()], list(columns))
    text = doubts.sentence(table)
    assert text.startswith("2 of 5 frames good.")
    assert "frame 2 (the images still differ)" in text
    assert "frame 3 (the motion folds)" in text
    assert "frame 4 (" in text
    assert "uncertain" in text


@pytest.mark.parametrize(
    ("unit", "words"),
    [("ml", ("EDV 120.0 ml (0.00 s)", "ESV 48.0 ml (0.10 s)", "EF 60\N{NO-BREAK SPACE}%")), ("mm2", ("area",))],
)
def test_ejection_fraction_of_volumes_and_area_change_of_slices(scene, unit, words):
    table = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode")
    arrays = [np.arange(3), np.arange(3) / 10, np.array([120.0, 48.0, 90.0])]
    slicer.util.updateTableFromArray(table, arrays, ["frame", "time", "ventricle"])
    table.SetColumnUnitLabel("ventricle", unit)
    table.SetColumnUnitLabel("time", "s")
    text = doubts.sizesText(table)
    assert all(word in text for word in words)
    assert ("EF" in text) == (unit == "ml")


def test_the_panel_says_what_is_not_installed(application, monkeypatch):
    monkeypatch.delenv("TEMPORAL_REGISTRATION_PYTHON")
    there = set()
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda name: name in there or None)
    assert "install the extension 'PyTorch' in the Extensions Manager" in environment.advice()
    there.add("PyTorchUtils")
    assert "the first registration asks" in environment.advice()
    there.add("torch")
    assert environment.advice() == ""


HOST = """
import sys; sys.path[:0] = ["Testing/host", "TemporalRegistration", "."]
import application; application.install()
from pathlib import Path
import slicer
def spin(condition):
    while not condition():
        slicer.app.processEvents()
panel = application.openModule(Path("TemporalRegistration/TemporalRegistration.py").resolve())
"""


def script(repository, code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", HOST + code], cwd=repository, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_reload_takes_the_packages_along_and_ends_the_worker(repository):
    code = """
from TemporalRegistrationLib.run import worker as before
panel.ui.sampleButton.click()
spin(lambda: before.shared().isReady)
pid = before.shared()._group
panel.onReload()
from TemporalRegistrationLib.run import worker as after
import os
try:
    os.kill(pid, 0)
except ProcessLookupError:
    print("ended")
print(after is not before, panel.reloaded.logic.__class__ is not panel.logic.__class__)
print(panel.reloaded.ui.applyButton.text)
panel.reloaded.cleanup()
"""
    assert script(repository, code).splitlines()[-3:] == [
        "ended",
        "True True",
        "Follow the motion of 'four-chamber' (20 frames)",
    ]


def test_a_saved_scene_plays_and_shows_everything_without_torch(panel, small, spin, tmp_path, repository):
    panel.ui.inputSelector.setCurrentNode(small)
    quick(panel)
    run(panel, spin)
    panel.ui.jacobianCheckBox.click()
    path = tmp_path / "scene.mrb"
    assert slicer.util.saveScene(str(path))
    code = f"""
class Absent:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in ("torch", "monai", "SimpleITK"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
slicer.util.loadScene({str(path)!r})
nodes = panel.review.nodes
seen = set()
panel.ui.playWidget._buttons[2].click()
spin(lambda: seen.add(nodes.browser.GetSelectedItemNumber()) or len(seen) == 6)
panel.ui.playWidget._buttons[2].click()
composite = slicer.mrmlScene.GetSingletonNode("Red", "vtkMRMLSliceCompositeNode")
print(composite.GetForegroundVolumeID() == nodes.proxy(nodes.jacobian).GetID())
panel.ui.compensatedCheckBox.click()
print(composite.GetBackgroundVolumeID() == nodes.proxy(nodes.compensated).GetID())
panel.ui.chartButton.click()
print(slicer.app.layoutManager().shownChart is nodes.motionChart, panel.ui.qualityTableView.rowCount)
print([name for name in ("torch", "monai", "SimpleITK") if name in sys.modules])
panel.cleanup()
"""
    assert script(repository, code).splitlines()[-4:] == ["True", "True", "True 6", "[]"]
