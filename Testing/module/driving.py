"""What a person does with the panel, and what becomes of the scene."""

from __future__ import annotations

import slicer


def choose(box, value) -> None:
    """Choose an entry of a list by its value."""
    index = box.findData(value)
    assert index >= 0, value
    box.setCurrentIndex(index)


def quick(panel) -> None:
    """The quickest settings that need no model."""
    choose(panel.ui.modelComboBox, "")
    choose(panel.ui.qualityComboBox, "standard")
    choose(panel.ui.deviceComboBox, "cpu")


def run(panel, spin) -> float:
    panel.ui.applyButton.click()
    assert panel.ui.applyButton.text == "Cancel", panel.ui.statusLabel.text
    return spin(lambda: panel.run.job is None)


def composite(tag: str = "Red"):
    return slicer.mrmlScene.GetSingletonNode(tag, "vtkMRMLSliceCompositeNode")


def names() -> list[str]:
    """What is in the scene; display and storage nodes are numbered by the scene, and count by their class."""
    numbered = ("vtkMRMLDisplayNode", "vtkMRMLStorageNode")
    found = [slicer.mrmlScene.GetNthNode(i) for i in range(slicer.mrmlScene.GetNumberOfNodes())]
    return sorted(
        node.GetClassName() + ("" if any(map(node.IsA, numbered)) else f" {node.GetName()}")
        for node in found
        if not node.GetSingletonTag() and not node.IsA("vtkMRMLColorLegendDisplayNode")  # made where it is shown
    )


def shownCine(panel):
    """The node that shows the current frame of the cine that was registered."""
    nodes = panel.review.nodes
    return nodes.browser.GetProxyNode(nodes.cine)


def processOf(worker) -> int:
    """The operating system's number of the process that computes."""
    return worker.shared()._group or worker.shared()._process.processId()
