"""Pictures of the panel in its states, and of what the slice view shows with every switch, made in the host.

python Testing/host/screenshots.py out/screenshots
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "Testing/host"), str(ROOT / "TemporalRegistration"), str(ROOT)]
os.environ.setdefault("TEMPORAL_REGISTRATION_PYTHON", sys.executable)
os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")

import application  # noqa: E402

application.install()

import numpy as np  # noqa: E402
import slicer  # noqa: E402
import vtk  # noqa: E402
from PIL import Image  # noqa: E402
from plotview import chart_image  # noqa: E402
from sliceview import SliceView  # noqa: E402
from TemporalRegistrationLib.nodes.sequences import addCine  # noqa: E402
from TemporalRegistrationLib.show import layouts  # noqa: E402

from DeepRegLogic import Cine, Grid  # noqa: E402
from DeepRegLogic.synthetic import cine_phantom  # noqa: E402


def save(path: Path, *images: vtk.vtkImageData) -> None:
    """Write images side by side."""
    row = vtk.vtkImageAppend()
    for image in images:
        row.AddInputData(image)
    writer = vtk.vtkPNGWriter()
    writer.SetFileName(str(path))
    writer.SetInputConnection(row.GetOutputPort())
    writer.Write()


def beside(path: Path, *files: Path) -> None:
    """One picture of several."""
    pictures = [Image.open(file) for file in files]
    size = sum(picture.width for picture in pictures), max(picture.height for picture in pictures)
    whole = Image.new("RGB", size, pictures[0].getpixel((0, 0)))
    for number, picture in enumerate(pictures):
        whole.paste(picture, (sum(other.width for other in pictures[:number]), 0))
    whole.save(path)


def spin(condition) -> None:
    """Let the application live until a condition holds, at most ten minutes: machines may be busy."""
    end = time.monotonic() + 600
    while not condition() and time.monotonic() < end:
        slicer.app.processEvents()
        time.sleep(0.002)


def stack() -> Cine:
    """An oblique stack of eight slices, smaller towards the apex."""
    phantom = cine_phantom(seed=2, size=96, frames=4).cine
    fades = np.linspace(1.0, 0.4, 8)[None, :, None, None]
    matrix, _ = np.linalg.qr(np.array([[0.48, 0.6, 0.64], [-0.8, 0.6, 0.0], [-0.384, -0.512, 0.768]]))
    grid = Grid((96, 96, 8), (1.8, 1.8, 8.0), (10.0, -20.0, 30.0), tuple(matrix.ravel()))
    return Cine((phantom.frames[:, None] * fades).astype(np.float32), grid, phantom.times, name="stack")


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    panel = application.openModule(ROOT / "TemporalRegistration/TemporalRegistration.py")
    ui = panel.ui
    panel.parent.resize(460, 1080)
    panel.parent.show()

    def grab(name: str) -> None:
        """The panel as high as it wants to be."""
        panel.parent.resize(460, 100)
        for _ in range(10):
            slicer.app.processEvents()
        panel.parent.resize(460, panel.parent.sizeHint.height())
        for _ in range(10):
            slicer.app.processEvents()
        panel.parent.grab().save(str(folder / f"panel-{name}.png"))

    grab("empty")
    ui.sampleButton.click()
    file = ROOT / "Resources/SampleData/four-chamber.seg.nrrd"
    drawn = slicer.util.loadSegmentation(str(file))
    drawn.SetName("chambers")
    ui.labelsSelector.setMRMLScene(slicer.mrmlScene)  # the host's selector does not follow a name
    ui.labelsSelector.setCurrentNode(drawn)
    ui.automaticReferenceCheckBox.click()
    grab("ready")
    ui.applyButton.click()
    spin(lambda: panel.run.job is None or (panel.run.job.state.name == "RUNNING" and panel.run.job.fraction > 0.4))
    grab("running")
    spin(lambda: panel.run.job is None)
    nodes = panel.review.nodes
    if nodes is None:
        raise SystemExit(f"The registration failed: {ui.statusLabel.text}")
    nodes.browser.SetSelectedItemNumber(8)
    grab("results")
    view = SliceView()
    shown = {"labels": view.image()}
    ui.labelsCheckBox.click()
    for name, switch in (("displacement", ui.motionCheckBox), ("volume-change", ui.jacobianCheckBox)):
        switch.click()
        shown[name] = view.image()
        switch.click()
    save(folder / "views.png", *shown.values())
    compared = [SliceView(name, slicer.app.layoutManager().SIZES[True]) for name in layouts.VIEWS]
    ui.compareComboBox.setCurrentIndex(ui.compareComboBox.findData("sideBySide"))
    for _ in range(3):
        slicer.app.processEvents()
    save(folder / "compare.png", *(view.image() for view in compared))
    ui.compareComboBox.setCurrentIndex(0)
    save(folder / "charts.png", *map(chart_image, (nodes.sizesChart, nodes.motionChart)))
    nodes.cine.SetName("SAX cine bSSFP breath-hold retrospective gating 25 phases s7")
    ui.inputSelector._fill()  # the host's selector does not follow a name
    panel.refresh()
    grab("long-name")
    volumes = [
        slicer.mrmlScene.AddNode(nodes.browser.GetMasterSequenceNode().GetNthDataNode(frame)) for frame in (0, 8)
    ]
    for name, volume in zip(("end-diastole", "end-systole"), volumes, strict=True):
        volume.SetName(name)
    ui.taskTabWidget.setCurrentIndex(1)
    ui.fixedSelector.setCurrentNode(volumes[0])
    ui.movingSelector.setCurrentNode(volumes[1])
    ui.applyButton.click()
    spin(lambda: panel.run.job is None)
    grab("pair")
    beside(folder / "panel.png", *(folder / f"panel-{name}.png" for name in ("running", "results", "pair")))
    ui.taskTabWidget.setCurrentIndex(0)
    ui.modelComboBox.setCurrentIndex(ui.modelComboBox.findData("dragnet-cardiac"))
    ui.qualityComboBox.setCurrentIndex(ui.qualityComboBox.findData("fast"))
    ui.applyButton.click()
    spin(lambda: panel.run.job is None)
    panel.review.nodes.browser.SetSelectedItemNumber(8)
    shown = {}
    for name, switch in (("uncertainty", ui.uncertaintyCheckBox), ("entropy", ui.entropyCheckBox)):
        switch.click()
        shown[name] = view.image()
        grab(name)
        switch.click()
    ui.taskTabWidget.setCurrentIndex(2)
    ui.generateLabelsSelector.setCurrentNode(drawn)
    ui.samplesSlider.value = 8
    ui.applyButton.click()
    spin(lambda: panel.run.job is None)
    panel.review.nodes.browser.SetSelectedItemNumber(8)
    hearts = (8, 1, 6)  # a weak one, an ordinary one and a strong one
    for number in hearts:
        ui.sampleSlider.value = number
        shown[f"sample {number}"] = view.image()
    grab("generate")
    save(folder / "uncertainty.png", *(shown[name] for name in ("uncertainty", "entropy")))
    save(folder / "samples.png", *(shown[f"sample {number}"] for number in hearts))
    slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    slicer.app.processEvents()
    panel.inputs.choose(addCine(stack()))
    save(folder / "stack.png", *(SliceView(name).image() for name in ("Red", "Yellow", "Green")))
    panel.cleanup()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
