"""A stand-in for the application: slicer-core's scene and logics, PySide6 for the widgets, and imitations of what only
the application has, as far as this module uses it.

    import application
    application.install()
    widget = application.openModule(path)
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import re
import sys
import unittest
from pathlib import Path
from types import ModuleType, SimpleNamespace

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.path[:0] = [folder for folder in [str(Path(__file__).resolve().parent)] if folder not in sys.path]

import slicer  # noqa: E402
from PySide6 import QtCore, QtWidgets  # noqa: E402

_PLAYBACK_MILLISECONDS = 20

if sys.version_info < (3, 12):
    # PySide6 6.12 releases None, True and False once for every call that returns them, as if they could not end, which
    # holds from Python 3.12 on; before that the interpreter would stop after some ten thousand calls
    for _value in (None, True, False):
        ctypes.c_ssize_t.from_address(id(_value)).value += 1 << 40


class ScriptedLoadableModule:
    def __init__(self, parent) -> None:
        self.parent = parent


class ScriptedLoadableModuleWidget:
    def __init__(self, parent=None) -> None:
        self.parent = parent

    def setup(self) -> None:
        self.layout = self.parent.layout()

    def resourcePath(self, name: str) -> str:
        path = Path(sys.modules[type(self).__module__].__file__).parent / "Resources" / name
        return str(path)

    def onReload(self) -> None:
        """The file of the module anew, and a new widget in place of this one; ``reloaded`` is for the tests."""
        path = Path(sys.modules[type(self).__module__].__file__)
        del sys.modules[path.stem]
        loadModule(path)
        self.cleanup()
        self.reloaded = openModule(path)


class ScriptedLoadableModuleLogic:
    def getParameterNode(self):
        """The module's one parameter node, made when asked for first."""
        node = slicer.mrmlScene.GetSingletonNode("TemporalRegistration", "vtkMRMLScriptedModuleNode")
        if node is None:
            node = slicer.vtkMRMLScriptedModuleNode()
            node.SetSingletonTag("TemporalRegistration")
            node.SetName("TemporalRegistration")
            node = slicer.mrmlScene.AddNode(node)
        node.SetAttribute("ModuleName", "TemporalRegistration")
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    def delayDisplay(self, message: str) -> None:
        print(message)


class LayoutManager:
    """Slice views without windows, one for every name that the module may use, and a plot view that can be clicked.

    As in the application new views get their size when events are handled, not when the layout is chosen; and those
    that were made stay in ``sliceViewNames``.
    """

    USUAL = ("Red", "Yellow", "Green")
    COMPARED = ("TemporalRegistrationMoving", "TemporalRegistrationCompensated", "TemporalRegistrationDifference")
    SEGMENTS = "TemporalRegistrationSegments"
    SIZES = {True: (260, 560), False: (560, 560)}

    def __init__(self, core) -> None:
        self.layout = slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView
        self.shownChart = None
        self._views = {}
        self._layoutNode = core.scene.AddNewNodeByClass("vtkMRMLLayoutNode")
        self._layoutNode.SetSingletonTag("vtkMRMLLayoutNode")
        self._made = self.USUAL
        for name, preset in zip(
            (*self.USUAL, *self.COMPARED, self.SEGMENTS), ("Axial", "Sagittal", "Coronal", *["Axial"] * 4), strict=True
        ):
            logic = slicer.vtkMRMLSliceLogic()
            logic.SetMRMLApplicationLogic(core.applicationLogic())
            core.applicationLogic().GetSliceLogics().AddItem(logic)
            logic.SetMRMLScene(core.scene)
            logic.AddSliceNode(name).SetOrientation(preset)
            self._views[name] = logic
        self._map()
        self._size()
        import pythonqt

        class qMRMLPlotView(QtCore.QObject):
            dataSelected = QtCore.Signal(object, object)

        self._plotView = pythonqt.wrap(qMRMLPlotView)()

    def setLayout(self, layout: int) -> None:
        self.layout = layout
        self._made = tuple(dict.fromkeys((*self._made, *self._shown())))
        self._map()
        QtCore.QTimer.singleShot(0, self._size)

    def _shown(self) -> tuple[str, ...]:
        if self.layout > 1000:
            description = self._layoutNode.GetLayoutDescription(self.layout)
            return tuple(re.findall(r'"vtkMRMLSliceNode" singletontag="(\w+)"', description))
        return self.USUAL[:1] if self.layout == slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView else self.USUAL

    def _map(self) -> None:
        for name, logic in self._views.items():
            logic.GetSliceNode().SetMappedInLayout(name in self._shown())

    def _size(self) -> None:
        for name in self._shown():
            self._views[name].ResizeSliceNode(*self.SIZES[self.layout > 1000])

    def layoutLogic(self):
        return SimpleNamespace(GetLayoutNode=lambda: self._layoutNode)

    def sliceViewNames(self):
        return self._made

    def sliceWidget(self, name: str):
        logic = self._views[name]
        return SimpleNamespace(
            mrmlSliceNode=logic.GetSliceNode,
            sliceLogic=lambda: logic,
            mrmlSliceCompositeNode=logic.GetSliceCompositeNode,
        )

    def mrmlSliceLogics(self):
        return slicer.app.applicationLogic().GetSliceLogics()

    def plotWidget(self, index: int):
        node = slicer.mrmlScene.GetSingletonNode("PlotView1", "vtkMRMLPlotViewNode")
        if node is None:
            node = slicer.vtkMRMLPlotViewNode()
            node.SetSingletonTag("PlotView1")
            node.SetLayoutName("PlotView1")
            node = slicer.mrmlScene.AddNode(node)
        return SimpleNamespace(plotView=lambda: self._plotView, mrmlPlotViewNode=lambda: node)


class _Application:
    """``slicer.app``: the headless application, with events and settings."""

    majorVersion, minorVersion = 5, 10

    def __init__(self, core, qtApplication) -> None:
        self._core, self._qt = core, qtApplication
        self._layoutManager = LayoutManager(core)
        self._settings = QtCore.QSettings(
            str(Path(core.temporaryPath) / "settings.ini"), QtCore.QSettings.Format.IniFormat
        )

    def __getattr__(self, name):
        return getattr(self._core, name)

    @property
    def defaultScenePath(self) -> str:
        return self._core.temporaryPath

    def processEvents(self, *_) -> None:
        self._qt.processEvents()

    def setOverrideCursor(self, cursor) -> None:
        pass

    def restoreOverrideCursor(self) -> None:
        pass

    def layoutManager(self):
        return self._layoutManager

    def settings(self):
        return self._settings

    userSettings = settings

    def connect(self, signature: str, slot) -> None:
        name = signature.partition("(")[0]
        if name != "startupCompleted":  # it is over
            getattr(self._qt, name).connect(slot)

    def startupEnvironment(self):
        return SimpleNamespace(keys=lambda: list(os.environ), value=os.environ.get)

    def translate(self, context: str, text: str) -> str:
        return text


_timer = None


def install() -> None:
    """Make everything importable that a scripted module imports; again does nothing."""
    global _timer
    if _timer is not None:
        return
    from TemporalRegistrationLib import headless

    headless.boot()
    qtApplication = QtWidgets.QApplication.instance() or QtWidgets.QApplication(["host"])
    import pythonqt

    sys.modules["qt"] = pythonqt.qt
    sys.modules["ctk"] = ctk = ModuleType("ctk")
    import parameters
    import widgets

    widgets.install(ctk)
    slicer.app = _Application(slicer.app, qtApplication)
    contents = {
        "ScriptedLoadableModule": {
            cls.__name__: cls
            for cls in (
                ScriptedLoadableModule,
                ScriptedLoadableModuleWidget,
                ScriptedLoadableModuleLogic,
                ScriptedLoadableModuleTest,
            )
        },
        "i18n": {"tr": lambda text: text, "translate": lambda context, text: text},
        "parameterNodeWrapper": {name: getattr(parameters, name) for name in ("parameterNodeWrapper", "WithinRange")},
    }
    for name, members in contents.items():
        module = ModuleType(f"slicer.{name}")
        module.__dict__.update(members)
        sys.modules[module.__name__] = module
        setattr(slicer, name, module)
    show = lambda chart: setattr(slicer.app.layoutManager(), "shownChart", chart)  # noqa: E731
    slicer.modules.plots = SimpleNamespace(logic=lambda: SimpleNamespace(ShowChartInLayout=show))
    # the application's Sequences module plays with a timer of its own
    _timer = QtCore.QTimer()
    _timer.setInterval(_PLAYBACK_MILLISECONDS)
    _timer.timeout.connect(slicer.modules.sequences.logic().UpdateAllProxyNodes)
    _timer.start()


def loadModule(path: Path):
    """Import a module file as the application does."""
    name = path.stem
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


def openModule(path: Path):
    """The module's widget, set up and entered, in a parent of its own."""
    import qt

    module = loadModule(path)
    parent = slicer.qMRMLWidget()
    parent.setLayout(qt.QVBoxLayout())
    parent.setMRMLScene(slicer.mrmlScene)
    parent.__dict__["isEntered"] = True
    widget = getattr(module, f"{path.stem}Widget")(parent)
    widget.setup()
    if hasattr(widget, "enter"):
        widget.enter()
    return widget
