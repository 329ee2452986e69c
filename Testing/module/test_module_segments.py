"""Bull's-eyes in the panel: the picture beside the curves, kept where it is whatever the views show."""

from __future__ import annotations

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("PySide6", reason="PySide6 is not installed")

from DeepRegLogic import Labels, Results, register_cine  # noqa: E402
from DeepRegLogic.progress import Reporter  # noqa: E402
from DeepRegLogic.report.bullseye import write_segments  # noqa: E402
from DeepRegLogic.report.page import write_page  # noqa: E402
from DeepRegLogic.results.bullseyes import BULLSEYES, Bullseye, Segment  # noqa: E402


@pytest.fixture
def shown(panel, small, phantom, tmp_path):
    """The panel with results that know something of the segments."""
    from TemporalRegistrationLib.kinds.cine_nodes import motionSteps
    from TemporalRegistrationLib.nodes.annotations import drawnOn
    from TemporalRegistrationLib.nodes.sequences import cineFromSequence
    from TemporalRegistrationLib.steps import runSteps

    cine = cineFromSequence(small)
    motion = register_cine(cine, refine=False, device="cpu", reference=0)
    results = Results(motion, cine, Labels.of_map(phantom.labels[0], phantom.label_names))
    others = dict(BULLSEYES.items())
    for name in others:
        BULLSEYES.remove(name)
    BULLSEYES.add("test", Bullseye("strain", "%", lambda results: {7: Segment("anterior", -18.0, -20.0, -16.0)}))
    try:
        pages = [*write_page(results, tmp_path), *write_segments(results, tmp_path)]
    finally:
        BULLSEYES.remove("test")
        for name, entry in others.items():
            BULLSEYES.add(name, entry)
    drawn = drawnOn(motion.grid, results.labels)
    nodes = runSteps(motionSteps(results, small, drawn, pages), Reporter())
    panel.inputs.choose(small)
    panel.refresh()
    yield panel, nodes
    slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)


def test_a_click_shows_the_curves_and_the_bulls_eyes_beside_the_images(shown):
    from TemporalRegistrationLib.show import layouts

    panel, nodes = shown
    assert nodes.segments.GetImageData().GetNumberOfScalarComponents() == 3
    panel.ui.chartButton.click()
    manager = slicer.app.layoutManager()
    assert manager.layout == layouts.SEGMENTS
    assert manager.plotWidget(0).mrmlPlotViewNode().GetPlotChartNodeID() == nodes.strainChart.GetID()
    composite = slicer.mrmlScene.GetSingletonNode(layouts.SEGMENTS_VIEW, "vtkMRMLSliceCompositeNode")
    assert composite.GetBackgroundVolumeID() == nodes.segments.GetID()
    panel.ui.compensatedCheckBox.click()  # what sets all views
    assert composite.GetBackgroundVolumeID() == nodes.segments.GetID()
    red = slicer.mrmlScene.GetSingletonNode("Red", "vtkMRMLSliceCompositeNode")
    assert red.GetBackgroundVolumeID() == nodes.proxy(nodes.compensated).GetID()
    # upright: the middle of its view shows the picture in its own plane, its top is up
    view = manager.sliceWidget(layouts.SEGMENTS_VIEW).mrmlSliceNode()
    across = [view.GetSliceToRAS().GetElement(row, 2) for row in range(3)]
    assert abs(across[2]) == pytest.approx(1.0)


def test_the_picture_is_upright_and_not_mirrored(shown):
    """The blue segment, the anterior one, is above the middle."""
    _, nodes = shown
    pixels = slicer.util.arrayFromVolume(nodes.segments)[0].astype(float)
    blue = (pixels[..., 2] - pixels[..., 0] > 40) & (np.abs(pixels[..., 2] - pixels[..., 0]) < 200)
    rows, _columns = np.nonzero(blue[:, : int(0.72 * blue.shape[1])])  # without the bar of colours
    toRAS = slicer.util.vtkMatrixFromArray(np.eye(4))
    nodes.segments.GetIJKToRASMatrix(toRAS)
    heights = rows * toRAS.GetElement(1, 1)  # towards the front is up in an axial view
    middle = 0.5 * blue.shape[0] * toRAS.GetElement(1, 1)
    assert len(heights) > 500
    assert heights.min() > middle
    assert toRAS.GetElement(0, 0) < 0  # and the patient's left is on the right


def test_an_export_has_the_pages_and_the_bulls_eyes(shown, tmp_path):
    panel, _ = shown
    folder = tmp_path / "out"
    folder.mkdir()
    panel.ui.exportDirectoryButton.directory = str(folder)
    panel.ui.exportButton.click()
    written = {path.name for path in (folder / "heart motion").iterdir()}
    assert {"report.pdf", "report.png", "segments.png", "report.json"} <= written
