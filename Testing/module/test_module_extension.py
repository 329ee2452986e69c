"""A map and a curve that somebody added have a switch and a chart in the panel."""

from __future__ import annotations

import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("PySide6", reason="PySide6 is not installed")

from driving import composite  # noqa: E402
from newcomers import newcomers  # noqa: E402
from TemporalRegistrationLib.kinds.cine_nodes import addMotion  # noqa: E402
from TemporalRegistrationLib.nodes.sequences import cineFromSequence  # noqa: E402

from DeepRegLogic import register_cine  # noqa: E402


@pytest.fixture
def added():
    with newcomers():
        yield


def test_the_panel_offers_a_new_map_and_a_new_curve(added, panel, small):
    cine = cineFromSequence(small)
    addMotion(register_cine(cine, reference=0, refine=False, device="cpu"), cine, small)
    panel.ui.inputSelector.setCurrentNode(small)
    nodes = panel.review.nodes
    assert panel.ui.toyCheckBox.text == "Toy map"
    assert panel.ui.toyCheckBox.enabled
    panel.ui.toyCheckBox.click()
    assert composite().GetForegroundVolumeID() == nodes.proxy(nodes.toy).GetID()
    shown = nodes.proxy(nodes.toy).GetDisplayNode()
    assert (shown.GetWindowLevelMin(), shown.GetWindowLevelMax()) == (0.0, 4.0)
    legend = slicer.modules.colors.logic().GetColorLegendDisplayNode(nodes.proxy(nodes.toy))
    assert legend.GetTitleText() == "Toy map (mm)"
    box = panel.ui.chartComboBox
    assert ("Toys", "toy") in [(box.itemText(i), box.itemData(i)) for i in range(box.count)]
    box.setCurrentIndex(box.findData("toy"))
    panel.ui.chartButton.click()
    assert slicer.app.layoutManager().shownChart is nodes.toyChart
