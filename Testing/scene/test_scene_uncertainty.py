"""How sure a motion is, in the scene: maps, curves with a band, ellipses of points, and what is doubtful."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

from DeepRegLogic import Motion, uncertainty

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
from TemporalRegistrationLib.kinds import KINDS  # noqa: E402
from TemporalRegistrationLib.kinds.cine_nodes import addMotion, motionNodesOf  # noqa: E402
from TemporalRegistrationLib.nodes.sequences import addCine  # noqa: E402
from TemporalRegistrationLib.nodes.tables import columnOf  # noqa: E402
from TemporalRegistrationLib.nodes.transaction import findResults  # noqa: E402
from TemporalRegistrationLib.show import doubts, views  # noqa: E402
from vtk.util.numpy_support import vtk_to_numpy  # noqa: E402


def unsure(motion: Motion, provenance: dict | None = None) -> Motion:
    """The motion with deviations of 0.5 mm along rows and 1 mm along columns (and slices), more with every frame."""
    ndim, shape = motion.grid.ndim, motion.grid.shape
    covariance = np.zeros((len(motion), ndim, ndim, *shape), np.float32)
    for t in range(len(motion)):
        for axis in range(ndim):
            covariance[t, axis, axis] = (1.0 if axis == ndim - 1 else 0.25) * (1 + t) ** 2
    covariance[motion.reference] = 0
    return dataclasses.replace(motion, covariance=covariance, provenance=provenance or {})


@pytest.fixture
def drawn(scene, moving):
    """Cine, unsure motion, sequence, labels, and Markups points on the reference frame."""
    cine, motion = moving
    labels = (cine.frames[motion.reference] > 500).astype(np.uint8)
    labels[cine.frames[motion.reference] > 650] = 2
    points = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "marks")
    for part in (0.4, 0.6):
        points.AddControlPoint(*(cine.grid.voxel_to_mm(part * np.array(cine.grid.shape)) * (-1, -1, 1)))
    return cine, unsure(motion, {"unlike_training": [2]}), addCine(cine), labels, points


@pytest.fixture
def added(drawn):
    cine, motion, sequence, labels, points = drawn
    return cine, motion, sequence, addMotion(motion, cine, sequence, labels, [points])


def test_entropy_is_a_sequence_beside_the_uncertainty(added):
    cine, motion, _, nodes = added
    expected = uncertainty.entropy(motion.covariance)
    for frame in (0, 2, 3):
        found = slicer.util.arrayFromVolume(nodes.entropy.GetNthDataNode(frame)).reshape(cine.grid.shape)
        np.testing.assert_allclose(found, expected[frame], rtol=1e-5)
    still = slicer.util.arrayFromVolume(nodes.entropy.GetNthDataNode(motion.reference))
    np.testing.assert_array_equal(still, uncertainty.LEAST_ENTROPY)
    assert nodes.browser.IsSynchronizedSequenceNode(nodes.entropy, True)
    assert nodes.proxy(nodes.entropy).GetName() == "block entropy"
    shown, other = (nodes.proxy(node).GetDisplayNode() for node in (nodes.entropy, nodes.uncertainty))
    assert shown.GetColorNode().GetName() == "block entropy colors"
    assert shown.GetColorNode() is not other.GetColorNode()
    ndim = cine.grid.ndim
    ends = [ndim * np.log(np.sqrt(2 * np.pi) * mm) for mm in (0.1, 2.0)]
    np.testing.assert_allclose([shown.GetWindowLevelMin(), shown.GetWindowLevelMax()], ends, rtol=1e-6)


def test_the_band_over_every_label(added):
    _, motion, _, nodes = added
    table = nodes.labelUncertainty.GetTable()
    columns = [table.GetColumnName(i) for i in range(2, table.GetNumberOfColumns())]
    whats = ("mean", "5th percentile", "95th percentile")
    assert columns == [f"label {label} {what}" for label in (1, 2) for what in whats]
    assert nodes.labelUncertainty.GetColumnUnitLabel(columns[0]) == "mm"
    for frame in range(len(motion)):
        expected = 0.0 if frame == motion.reference else 1.0 + frame
        for column in columns:
            assert table.GetColumnByName(column).GetTuple1(frame) == pytest.approx(expected)
    chart = nodes.labelUncertaintyChart
    series = [chart.GetNthPlotSeriesNode(i) for i in range(6)]
    assert [node.GetYColumnName() for node in series] == columns
    dashed = slicer.vtkMRMLPlotSeriesNode.LineStyleDash
    assert [node.GetLineStyle() == dashed for node in series] == [False, True, True] * 2
    assert series[0].GetColor() == series[2].GetColor() != series[3].GetColor()


def test_percentiles_are_those_of_the_label(scene, slice2d):
    cine, motion = slice2d
    covariance = np.array(unsure(motion).covariance)
    covariance[3] = np.eye(2)[..., None, None] * np.linspace(0.1, 4.0, 28 * 32).reshape(28, 32) ** 2
    motion = dataclasses.replace(motion, covariance=covariance)
    labels = np.zeros(cine.grid.shape, np.uint8)
    labels[5:20, 8:25] = 1
    nodes = addMotion(motion, cine, addCine(cine), labels)
    table = nodes.labelUncertainty.GetTable()
    inside = np.linspace(0.1, 4.0, 28 * 32).reshape(28, 32)[labels == 1]
    found = [table.GetColumn(column).GetTuple1(3) for column in (2, 3, 4)]
    np.testing.assert_allclose(found, [inside.mean(), *np.percentile(inside, (5, 95))], rtol=1e-5)
    # the mean of the frame is that of what was drawn, not of the whole image
    assert columnOf(nodes.table, "uncertainty mean")[3] == pytest.approx(inside.mean(), rel=1e-5)


def test_ellipses_hold_95_percent_of_where_a_point_may_be(added):
    _, motion, _, nodes = added
    (points,), ndim = nodes.points, motion.grid.ndim
    axes = (motion.grid.vector_matrix / np.asarray(motion.grid.array_spacing)) * np.array([[-1], [-1], [1]])
    radius = np.sqrt({2: 5.991, 3: 7.815}[ndim])
    for frame in range(len(motion)):
        mesh = nodes.ellipses.GetNthDataNode(frame).GetPolyData()
        places = vtk_to_numpy(mesh.GetPoints().GetData()).reshape(2, -1, 3)
        for number, around in enumerate(places):
            centre = np.array(points.GetNthDataNode(frame).GetNthControlPointPosition(number))
            along = (around - centre) @ axes  # mm along the array axes
            growth = 0.0 if frame == motion.reference else 1.0 + frame
            reach = [0.5 * growth * radius] * (ndim - 1) + [growth * radius]
            np.testing.assert_allclose(np.abs(along).max(axis=0), reach, rtol=0.03, atol=1e-4)
            if growth:
                np.testing.assert_allclose(((along / reach) ** 2).sum(axis=1), 1.0, atol=1e-4)
    generator = np.random.default_rng(0)
    drawn = generator.standard_normal((100_000, ndim))
    assert np.mean((drawn**2).sum(axis=1) < radius**2) == pytest.approx(0.95, abs=0.003)


def test_ellipses_play_with_the_points_and_are_switched_with_them(added):
    _, motion, _, nodes = added
    proxy = nodes.proxy(nodes.ellipses)
    assert proxy.IsA("vtkMRMLModelNode")
    bounds = []
    for frame in (0, 3):
        nodes.browser.SetSelectedItemNumber(frame)
        bounds.append(proxy.GetPolyData().GetLength())
    assert bounds[1] > 1.5 * bounds[0]
    shown = proxy.GetDisplayNode()
    mode = shown.SliceDisplayProjection if motion.grid.ndim == 2 else shown.SliceDisplayIntersection
    assert shown.GetSliceDisplayMode() == mode
    assert shown.GetVisibility2D()
    KINDS[nodes.kind].show(nodes, views.Shown(points=False), None)
    assert not shown.GetVisibility()
    KINDS[nodes.kind].show(nodes, views.Shown(points=True), None)
    assert shown.GetVisibility()


def test_only_what_is_doubtful_can_be_shown(added):
    _, _, _, nodes = added
    shown = nodes.proxy(nodes.uncertainty).GetDisplayNode()
    KINDS[nodes.kind].show(nodes, views.Shown(colors="uncertainty", above=1.5), None)
    assert shown.GetApplyThreshold()
    assert shown.GetLowerThreshold() == 1.5
    assert shown.GetUpperThreshold() > 1000
    assert shown.GetWindowLevelMax() == pytest.approx(2.0)  # colors keep their meaning
    nodes.browser.SetSelectedItemNumber(3)
    assert shown.GetApplyThreshold()
    KINDS[nodes.kind].show(nodes, views.Shown(colors="entropy"), None)
    assert not shown.GetApplyThreshold()
    legends = slicer.modules.colors.logic()
    assert legends.GetColorLegendDisplayNode(nodes.proxy(nodes.entropy)).GetVisibility()
    assert not legends.GetColorLegendDisplayNode(nodes.proxy(nodes.uncertainty)).GetVisibility()


def test_the_sentence_tells_uncertain_and_unknown_frames(added):
    *_, nodes = added
    table = nodes.table
    for frame in range(4):  # as if nothing else were doubtful
        for column in ("error before", "error after", "folded", "inverse consistency high"):
            table.GetTable().GetColumnByName(column).SetTuple1(frame, 0)
    assert doubts.doubts(table) == {2: ["the motion is uncertain", "it differs from the training images"],
                                     3: ["the motion is uncertain"]}  # fmt: skip
    assert doubts.sentence(table, 3.5) == (
        "2 of 4 frames good. "
        "Doubtful: frame 2 (it differs from the training images); frame 3 (the motion is uncertain)."
    )
    assert doubts.sentence(table, 9.0).startswith("3 of 4 frames good.")


def test_a_motion_that_is_sure_has_none_of_it(scene, slice2d):
    cine, motion = slice2d
    points = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "marks")
    points.AddControlPoint(0, 0, 0)
    nodes = addMotion(motion, cine, addCine(cine), np.ones(cine.grid.shape, np.uint8), [points])
    for role in ("uncertainty", "entropy", "ellipses", "labelUncertainty", "labelUncertaintyChart"):
        assert getattr(nodes, role) is None
    assert not any("ncertain" in reason for reasons in doubts.doubts(nodes.table).values() for reason in reasons)


def test_a_second_run_replaces_it(drawn):
    cine, motion, sequence, labels, points = drawn
    first = addMotion(motion, cine, sequence, labels, [points])
    names = sorted(n.GetClassName() for n in slicer.util.getNodesByClass("vtkMRMLNode"))
    second = addMotion(motion, cine, sequence, labels, [points])
    assert names == sorted(n.GetClassName() for n in slicer.util.getNodesByClass("vtkMRMLNode"))
    for role in ("entropy", "ellipses", "labelUncertainty", "labelUncertaintyChart"):
        assert not slicer.mrmlScene.IsNodePresent(getattr(first, role))
    third = addMotion(dataclasses.replace(motion, covariance=None), cine, sequence)
    assert not slicer.mrmlScene.IsNodePresent(second.entropy)
    assert third.entropy is third.ellipses is None
    assert {"entropy", "ellipses", "labelUncertainty"}.isdisjoint(findResults(sequence))


READER = """
import json, sys
import numpy as np
from TemporalRegistrationLib import headless
headless.boot()
import slicer, slicer.util
from TemporalRegistrationLib.kinds.cine_nodes import motionNodesOf
slicer.util.loadScene(sys.argv[1])
(sequence,) = [n for n in slicer.util.getNodesByClass("vtkMRMLSequenceNode") if n.GetName() == "block"]
nodes = motionNodesOf(sequence)
out = []
for frame in (0, 3):
    nodes.browser.SetSelectedItemNumber(frame)
    entropy, model = (nodes.proxy(getattr(nodes, role)) for role in ("entropy", "ellipses"))
    out.append([float(slicer.util.arrayFromVolume(entropy).mean()), model.GetPolyData().GetLength()])
display = nodes.proxy(nodes.ellipses).GetDisplayNode()
print(json.dumps({"values": out, "mode": display.GetSliceDisplayMode(), "colors": nodes.proxy(nodes.entropy)
    .GetDisplayNode().GetColorNode().GetName(), "column": nodes.labelUncertainty.GetColumnName(3),
    "series": nodes.labelUncertaintyChart.GetNumberOfPlotSeriesNodes()}))
"""


def test_it_is_alive_after_saving(added, tmp_path, repository, monkeypatch):
    _, _, _, nodes = added
    expected = []
    for frame in (0, 3):
        nodes.browser.SetSelectedItemNumber(frame)
        entropy, model = nodes.proxy(nodes.entropy), nodes.proxy(nodes.ellipses)
        expected.append([slicer.util.arrayFromVolume(entropy).mean(), model.GetPolyData().GetLength()])
    mode = nodes.proxy(nodes.ellipses).GetDisplayNode().GetSliceDisplayMode()
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    monkeypatch.setenv("PYTHONPATH", f"{repository}:{repository / 'TemporalRegistration'}")
    command = [sys.executable, "-c", READER, str(tmp_path / "scene.mrb")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    read = json.loads(done.stdout.splitlines()[-1])
    np.testing.assert_allclose(read["values"], expected, rtol=1e-4)
    assert read["mode"] == mode
    assert read["colors"] == "block entropy colors"
    assert read["column"] == "label 1 5th percentile"
    assert read["series"] == 7


def test_it_is_exported(added, tmp_path):
    _, _, sequence, _ = added
    folder = KINDS["cine"].export(motionNodesOf(sequence), tmp_path, doubtful=3.5)
    written = {path.name for path in folder.iterdir()}
    assert written >= {"uncertainty.seq.nrrd", "entropy.seq.nrrd", "ellipses.seq.mrb", "uncertainty.csv"}
    report = json.loads((folder / "report.json").read_text("utf-8"))
    assert "the motion is uncertain" not in report["doubtful frames"].get("2", [])
    assert "the motion is uncertain" in report["doubtful frames"]["3"]
    header = (folder / "uncertainty.csv").read_text("utf-8").splitlines()[0]
    assert "label 2 95th percentile" in header
