"""A slice view of the application, drawn off screen by its own displayable managers."""

from __future__ import annotations

import slicer
import slicer.util
import vtk

MANAGERS = (
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLTransformsDisplayableManager2D",
    "vtkMRMLColorLegendDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
)


class SliceView:
    """A slice view of the application, drawn off screen."""

    def __init__(self, name: str = "Red", size: tuple[int, int] | None = None) -> None:
        """``size`` in pixels, None for that of the host's layout."""
        self._logic = slicer.app.layoutManager().sliceWidget(name).sliceLogic()
        self._renderer = vtk.vtkRenderer()
        self._renderer.GetActiveCamera().ParallelProjectionOn()
        self._window = vtk.vtkRenderWindow()
        self._window.SetOffScreenRendering(1)
        if size is not None:
            self._logic.ResizeSliceNode(*size)
        self._window.SetSize(*self._logic.GetSliceNode().GetDimensions()[:2])
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

    @property
    def height(self) -> int:
        return self._window.GetSize()[1]

    def legends(self) -> dict[str, int]:
        """Title -> size of the text in pixels, of every legend of colors that is drawn."""
        self.image()
        for index in range(self._group.GetDisplayableManagerCount()):
            manager = self._group.GetNthDisplayableManager(index)
            if manager.IsA("vtkMRMLColorLegendDisplayableManager"):
                nodes = slicer.util.getNodesByClass("vtkMRMLColorLegendDisplayNode")
                actors = [manager.GetColorLegendActor(node) for node in nodes]
                shown = [actor for actor in actors if actor is not None and actor.GetVisibility()]
                return {actor.GetTitle(): actor.GetTitleTextProperty().GetFontSize() for actor in shown}
        return {}

    def image(self) -> vtk.vtkImageData:
        """What the view shows, as the module left it: nothing is turned or fitted here."""
        self._mapper.SetInputConnection(self._logic.GetImageDataConnection())
        self._window.Render()
        grab = vtk.vtkWindowToImageFilter()
        grab.SetInput(self._window)
        grab.ReadFrontBufferOff()
        grab.Update()
        return grab.GetOutput()
