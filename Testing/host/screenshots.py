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

import slicer  # noqa: E402
import vtk  # noqa: E402

MANAGERS = (
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLTransformsDisplayableManager2D",
    "vtkMRMLColorLegendDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
)


class SliceView:
    """The application's red slice view, drawn off screen."""

    def __init__(self, size: int = 560) -> None:
        self._logic = slicer.app.layoutManager().sliceWidget("Red").sliceLogic()
        self._renderer = vtk.vtkRenderer()
        self._renderer.GetActiveCamera().ParallelProjectionOn()
        self._window = vtk.vtkRenderWindow()
        self._window.SetOffScreenRendering(1)
        self._window.SetSize(size, size)
        self._window.AddRenderer(self._renderer)
        self._interactor = vtk.vtkGenericRenderWindowInteractor()
        self._interactor.SetRenderWindow(self._window)
        factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
        for name in MANAGERS:
            if not factory.IsDisplayableManagerRegistered(name):
                factory.RegisterDisplayableManager(name)
        self._group = slicer.vtkMRMLDisplayableManagerGroup()
        self._group.SetRenderer(self._renderer)
        self._group.Initialize(factory, self._renderer)
        self._group.SetMRMLDisplayableNode(self._logic.GetSliceNode())
        self._mapper = vtk.vtkImageMapper()
        self._mapper.SetColorWindow(255)
        self._mapper.SetColorLevel(127.5)
        actor = vtk.vtkActor2D()
        actor.SetMapper(self._mapper)
        actor.GetProperty().SetDisplayLocationToBackground()
        self._renderer.AddViewProp(actor)
        self._logic.GetSliceNode().SetDimensions(size, size, 1)
        self._logic.ResizeSliceNode(size, size)

    def save(self, path: Path) -> None:
        volume = slicer.mrmlScene.GetNodeByID(self._logic.GetSliceCompositeNode().GetBackgroundVolumeID())
        self._logic.GetSliceNode().RotateToVolumePlane(volume)
        self._logic.FitSliceToBackground()
        self._logic.SnapSliceOffsetToIJK()
        self._mapper.SetInputConnection(self._logic.GetImageDataConnection())
        self._window.Render()
        grab = vtk.vtkWindowToImageFilter()
        grab.SetInput(self._window)
        grab.ReadFrontBufferOff()
        writer = vtk.vtkPNGWriter()
        writer.SetFileName(str(path))
        writer.SetInputConnection(grab.GetOutputPort())
        writer.Write()


def spin(condition) -> None:
    """Let the application live until a condition holds, at most two minutes."""
    end = time.monotonic() + 120
    while not condition() and time.monotonic() < end:
        slicer.app.processEvents()
        time.sleep(0.002)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    panel = application.openModule(ROOT / "TemporalRegistration/TemporalRegistration.py")
    ui = panel.ui
    panel.parent.resize(460, 1080)
    panel.parent.show()

    def grab(name: str, height: int = 640) -> None:
        for _ in range(5):
            slicer.app.processEvents()
        panel.parent.resize(460, height)
        slicer.app.processEvents()
        panel.parent.grab().save(str(folder / f"panel-{name}.png"))

    grab("empty")
    ui.sampleButton.click()
    slicer.util.loadSegmentation(str(ROOT / "Resources/SampleData/four-chamber.seg.nrrd"))
    drawn = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    ui.labelsSelector.setCurrentNode(drawn)
    ui.automaticReferenceCheckBox.click()
    grab("ready")
    ui.applyButton.click()
    spin(lambda: panel._job is None or (panel._job.state.name == "RUNNING" and panel._job.fraction > 0.4))
    grab("running")
    spin(lambda: panel._job is None)
    nodes = panel.review.nodes
    if nodes is None:
        raise SystemExit(f"The registration failed: {ui.statusLabel.text}")
    nodes.browser.SetSelectedItemNumber(8)
    grab("results", 1180)
    view = SliceView()
    view.save(folder / "view-moving.png")
    for name, switch in (("displacement", ui.motionCheckBox), ("volume-change", ui.jacobianCheckBox)):
        switch.click()
        view.save(folder / f"view-{name}.png")
        switch.click()
    ui.compensatedCheckBox.click()
    view.save(folder / "view-motion-taken-out.png")
    panel.cleanup()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
