"""What the views show: planes, sizes, legends; and what the panel and the tables have room for."""

from __future__ import annotations

import importlib
import os

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("PySide6", reason="PySide6 is not installed")

from driving import choose, composite, quick, run  # noqa: E402
from TemporalRegistrationLib.kinds.cine_nodes import addMotion  # noqa: E402
from TemporalRegistrationLib.nodes.names import short  # noqa: E402
from TemporalRegistrationLib.nodes.sequences import addCine, cineFromSequence  # noqa: E402
from TemporalRegistrationLib.show.views import LEGEND_FORMAT, LEGEND_TICKS  # noqa: E402

from DeepRegLogic import Cine, Grid, register_cine  # noqa: E402
from DeepRegLogic.results.maps import overlays  # noqa: E402
from DeepRegLogic.synthetic import cine_phantom  # noqa: E402

OBLIQUE = (0.48, 0.6, 0.64, -0.8, 0.6, 0.0, -0.36 / 0.9375, -0.48 / 0.9375, 0.75)
LONG = "SAX cine bSSFP breath-hold retrospective gating 25 phases s7"  # 60 characters


@pytest.fixture
def views(application):
    os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
    return importlib.import_module("sliceview").SliceView


def stack(slices: int = 5, name: str = "stack") -> slicer.vtkMRMLSequenceNode:
    """An oblique stack that moves a little."""
    matrix, _ = np.linalg.qr(np.array(OBLIQUE).reshape(3, 3))
    phantom = cine_phantom(seed=2, size=48, spacing=4.0, frames=4).cine
    frames = np.repeat(phantom.frames[:, None], slices, axis=1)
    grid = Grid((48, 48, slices), (4.0, 4.0, 8.0), (10.0, -20.0, 30.0), tuple(matrix.ravel()))
    return addCine(Cine(frames, grid, phantom.times[:4], name=name))


def normal(name: str) -> np.ndarray:
    matrix = slicer.app.layoutManager().sliceWidget(name).mrmlSliceNode().GetSliceToRAS()
    return np.array([matrix.GetElement(i, 2) for i in range(3)])


@pytest.fixture
def fourUp(application, scene):
    manager = slicer.app.layoutManager()
    before = manager.layout
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    slicer.app.processEvents()
    yield manager
    manager.setLayout(before)
    slicer.app.processEvents()


def test_a_stack_is_shown_in_its_own_planes(panel, fourUp):
    panel.ui.inputSelector.setCurrentNode(stack())
    import vtk

    axes = vtk.vtkMatrix4x4()
    slicer.mrmlScene.GetNodeByID(composite().GetBackgroundVolumeID()).GetIJKToRASDirectionMatrix(axes)
    directions = np.array([[axes.GetElement(i, j) for j in range(3)] for i in range(3)])
    found = np.abs(np.stack([normal(name) for name in ("Red", "Yellow", "Green")]) @ directions)
    np.testing.assert_allclose(found, [[0, 0, 1], [1, 0, 0], [0, 1, 0]], atol=1e-6)


def followed(sequence: slicer.vtkMRMLSequenceNode):
    cine = cineFromSequence(sequence)
    return addMotion(
        register_cine(cine, model="dragnet-cardiac", reference=0, refine=False, device="cpu"), cine, sequence
    )


@pytest.mark.parametrize("size", [(560, 560), (1200, 800), (300, 500), (900, 300)])
def test_a_legend_is_small_and_in_one_view(panel, small, views, fourUp, size):
    followed(small)
    panel.ui.inputSelector.setCurrentNode(small)
    red, yellow = views("Red", size), views("Yellow", size)
    for box, title in (
        (panel.ui.jacobianCheckBox, "Change of area"),
        (panel.ui.uncertaintyCheckBox, "Uncertainty (mm)"),
    ):
        assert box.text == title.partition(" (")[0]
        box.click()
        legends = red.legends()
        assert list(legends) == [title]
        assert 5 <= legends[title] <= 0.05 * red.height
        assert yellow.legends() == {}
        box.click()
        assert red.legends() == {}


def test_ticks_are_the_values_that_they_stand_for(panel):
    limits = [entry.limits_of(2) for entry in overlays().values() if not entry.advanced]
    for low, high in (*limits, (0.5, 1.5), (-300.0, 300.0), (-0.07, 0.07)):
        for tick in np.linspace(low, high, LEGEND_TICKS):
            assert float(LEGEND_FORMAT % tick) == pytest.approx(tick, abs=1e-9)


def test_side_by_side_is_fitted_labelled_and_has_a_scale(panel, small, views):
    followed(small)
    panel.ui.inputSelector.setCurrentNode(small)
    manager, grid = slicer.app.layoutManager(), cineFromSequence(small).grid
    shown = {name: views(name) for name in manager.COMPARED}  # as in the application, before there is a legend
    choose(panel.ui.compareComboBox, "sideBySide")
    for _ in range(3):
        slicer.app.processEvents()
    for name in manager.COMPARED:
        node = manager.sliceWidget(name).mrmlSliceNode()
        width, height = node.GetDimensions()[:2]
        fov = node.GetFieldOfView()
        assert (width, height) == manager.SIZES[True]
        assert min(fov[:2]) == pytest.approx(grid.size[0] * grid.spacing[0], rel=0.1)  # all of it, and no more
        assert fov[1] / fov[0] == pytest.approx(height / width, rel=0.01)
    drawn = {name: view.legends() for name, view in shown.items()}
    assert [list(legends) for legends in drawn.values()] == [[], [], ["Difference"]]
    from TemporalRegistrationLib.show import layouts

    assert all(len(label()) <= 2 for label in layouts.VIEWS.values())
    choose(panel.ui.compareComboBox, "single")


def test_long_names_make_nothing_wider(panel, small, spin):
    def width() -> int:
        for _ in range(5):
            slicer.app.processEvents()
        return panel.parent.minimumSizeHint.width()

    quick(panel)
    panel.ui.inputSelector.setCurrentNode(small)
    before = width()
    small.SetName(LONG)
    panel.refresh()
    panel.ui.inputSelector._fill()
    assert width() == before
    assert (
        panel.ui.applyButton.text
        == "Follow the motion of 'SAX cine bSSF\N{HORIZONTAL ELLIPSIS}g 25 phases s7' (6 frames)"
    )
    assert LONG in panel.ui.applyButton.toolTip
    panel.run.tell(f"'/data/{LONG.replace(' ', '_') * 3}.nrrd' cannot be read.")
    assert width() == before
    run(panel, spin)
    names = {node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLSequenceNode")} - {LONG}
    assert max(map(len, names)) < 60
    assert short("abc") == "abc"


def test_the_quality_table_is_short_and_has_units(panel, small):
    followed(small)
    panel.ui.inputSelector.setCurrentNode(small)
    table = panel.ui.qualityTableView
    headers = [table.horizontalHeaderItem(c).text() for c in range(table.columnCount)]
    assert headers == ["#", "time s", "before %", "after %", "moves mm", "folds %", "\N{PLUS-MINUS SIGN} mm"]
    texts = [table.item(3, c).text() for c in range(table.columnCount)]
    assert all(len(text) <= 5 for text in texts), texts
    before = panel.review.nodes.table.GetTable().GetValueByName(3, "error before").ToDouble()
    assert texts[2] == f"{100 * before:.1f}"
    panel.parent.resize(430, 900)
    for _ in range(5):
        slicer.app.processEvents()
    assert table.horizontalHeader().length() <= table.viewport().width()  # no column is cut off
    names = {n.GetName() for n in slicer.util.getNodesByClass("vtkMRMLTableNode") if not n.GetHideFromEditors()}
    assert "heart motion quality" in names


def test_charts_leave_room_for_their_legend(panel, small):
    nodes = followed(small)
    low, high = nodes.motionChart.GetXAxisRange()
    times = cineFromSequence(small).times
    assert low == pytest.approx(times[0])
    assert high > times[-1] + 0.3 * (times[-1] - times[0])
    assert not nodes.motionChart.GetXAxisRangeAuto()


def test_models_of_lemniscates_are_not_offered_and_still_there(panel):
    from DeepRegLogic import list_models

    offered = {panel.ui.modelComboBox.itemData(i) for i in range(panel.ui.modelComboBox.count)}
    assert {card.name for card in list_models() if card.is_for_patients} | {""} == offered
    assert not any("lemniscate" in name for name in offered)
    assert any("lemniscate" in card.name for card in list_models())


def test_a_followed_curve_warns_of_nothing(small, capfd):
    curve = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsClosedCurveNode", "contour")
    grid = cineFromSequence(small).grid
    for angle in np.linspace(0, 2 * np.pi, 6, endpoint=False):
        place = np.array([24, 24]) + 6 * np.array([np.sin(angle), np.cos(angle)])
        curve.AddControlPoint(*(grid.voxel_to_mm(place) * (-1, -1, 1)))
    curve.GetMeasurement("length").SetEnabled(True)  # as the application has it
    capfd.readouterr()
    cine = cineFromSequence(small)
    motion = register_cine(cine, reference=0, refine=False, device="cpu")
    addMotion(motion, cine, small, markups=[curve])
    assert "Warning" not in capfd.readouterr().err
