"""A scene without the application: boots what the ``slicer-core`` wheel has of 3D Slicer, with no Qt and no display.

    from TemporalRegistrationLib import headless
    headless.boot()

After that ``slicer.mrmlScene``, ``slicer.app``, ``slicer.modules.<name>.logic()`` and the ``load*``/``save*`` functions
of ``slicer.util`` work as they do in the application, and the same code runs in both. In the application itself
``boot()`` changes nothing.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import slicer
import slicer.util
import vtk

_SUFFIXES = {
    "SequenceFile": (".seq.nrrd", ".seq.nhdr", ".seq.nii.gz", ".seq.mrb", ".seq.mha"),
    "SceneFile": (".mrml", ".mrb"),
    "TransformFile": (".h5", ".tfm", ".mat"),
    "VolumeFile": (".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha", ".mhd"),
    "SegmentationFile": (".seg.nrrd",),
    "TableFile": (".csv", ".tsv"),
}

_LOGICS = {
    "Colors": "vtkSlicerColorLogic",
    "Volumes": "vtkSlicerVolumesLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Data": "vtkSlicerDataModuleLogic",
    "Transforms": "vtkSlicerTransformLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "Sequences": "vtkSlicerSequencesLogic",
    "Markups": "vtkSlicerMarkupsLogic",
}


class _InputOutput:
    """What the ``load*`` and ``save*`` functions of ``slicer.util`` ask of the application's input/output manager."""

    def __init__(self, app: _Application) -> None:
        self._app = app

    def fileType(self, fileName: str) -> str:
        matches = [
            (len(suffix), kind)
            for kind, suffixes in _SUFFIXES.items()
            for suffix in suffixes
            if str(fileName).lower().endswith(suffix)
        ]
        return max(matches)[1] if matches else "NoFile"

    def fileWriterFileType(self, node: slicer.vtkMRMLNode) -> str:
        return node.GetClassName()

    def loadNodes(self, fileType: str, properties: Mapping, loaded: vtk.vtkCollection | None = None, messages=None):
        """Load a file of ``fileType``; append the node to ``loaded`` and say whether it worked."""
        fileName = str(properties["fileName"])
        if fileType == "SceneFile":
            return self._loadScene(fileName)
        node = self._loadNode(fileType, fileName, properties)
        if node is not None and properties.get("name"):
            node.SetName(properties["name"])
        if node is not None and loaded is not None:
            loaded.AddItem(node)
        return node is not None

    def _loadScene(self, fileName: str) -> bool:
        scene = self._app.scene
        if fileName.lower().endswith(".mrb"):
            return bool(scene.ReadFromMRB(fileName, False))
        scene.SetURL(fileName)
        return bool(scene.Import())

    def _loadNode(self, fileType: str, fileName: str, properties: Mapping):
        scene, logics = self._app.scene, self._app.logics
        name = Path(fileName).name.split(".")[0]
        if fileType == "VolumeFile":
            return logics["volumes"].AddArchetypeVolume(fileName, name, 1 if properties.get("labelmap") else 0)
        if fileType == "TransformFile":
            return logics["transforms"].AddTransform(fileName, scene)
        if fileType == "TableFile":
            return logics["tables"].AddTable(fileName, name)
        if fileType == "SegmentationFile":
            return logics["segmentations"].LoadSegmentationFromFile(fileName)
        if fileType == "SequenceFile":
            sequence = logics["sequences"].AddSequence(fileName)
            if sequence is not None:
                browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", f"{sequence.GetName()} browser")
                browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
            return sequence
        return None

    def saveNodes(self, fileType: str, properties: Mapping, messages=None) -> bool:
        """Write a node, or the scene where ``fileType`` is "SceneFile"; the file name decides the format."""
        fileName = str(properties["fileName"])
        if fileType == "SceneFile":
            return self._saveScene(fileName)
        node = self._app.scene.GetNodeByID(properties["nodeID"])
        storage = node.GetStorageNode()
        storageClass = node.GetDefaultStorageNodeClassName(fileName)
        if storage is None or (storageClass and storage.GetClassName() != storageClass):
            if not storageClass:
                return False
            storage = self._app.scene.AddNewNodeByClass(storageClass)
            node.SetAndObserveStorageNodeID(storage.GetID())
        storage.SetFileName(fileName)
        if "useCompression" in properties:
            storage.SetUseCompression(int(properties["useCompression"]))
        return bool(storage.WriteData(node))

    def _saveScene(self, fileName: str) -> bool:
        scene = self._app.scene
        if fileName.lower().endswith(".mrb"):
            return bool(scene.WriteToMRB(fileName))
        if fileName.lower().endswith(".mrml"):
            scene.SetURL(fileName)
            scene.SetRootDirectory(str(Path(fileName).resolve().parent))
            return bool(scene.Commit(fileName))
        return bool(scene.SaveSceneToSlicerDataBundleDirectory(fileName))


class _Application:
    """Stands in for ``slicer.app``: the scene, the module logics, the files. The names are the application's."""

    def __init__(self) -> None:
        self.scene = slicer.vtkMRMLScene()
        self.temporaryPath = tempfile.mkdtemp(prefix="TemporalRegistration")
        atexit.register(shutil.rmtree, self.temporaryPath, ignore_errors=True)
        self._applicationLogic = self._startApplicationLogic()
        self._remoteIO, self._dataIO = self._startFileAccess()
        self.logics = {name.lower(): self._startLogic(name, className) for name, className in _LOGICS.items()}
        self._inputOutput = _InputOutput(self)

    def _startApplicationLogic(self) -> slicer.vtkSlicerApplicationLogic:
        crosshair = slicer.vtkMRMLCrosshairNode()
        crosshair.SetCrosshairName("default")
        self.scene.AddNode(crosshair)
        logic = slicer.vtkSlicerApplicationLogic()
        logic.SetMRMLScene(self.scene)
        logic.SetTemporaryPath(self.temporaryPath)
        # the wheel has no colour files; an empty folder of them is looked through without complaint
        Path(self.temporaryPath, "share", "ColorFiles").mkdir(parents=True)
        logic.SetHomeDirectory(self.temporaryPath)
        logic.SetShareDirectory("share")
        logic.GetColorLogic().SetMRMLScene(self.scene)
        logic.GetColorLogic().AddDefaultColorNodes()
        logic.SetSliceLogics(vtk.vtkCollection())
        logic.SetViewLogics(vtk.vtkCollection())
        for factory in (
            slicer.vtkMRMLSliceViewDisplayableManagerFactory,
            slicer.vtkMRMLThreeDViewDisplayableManagerFactory,
        ):
            factory.GetInstance().SetMRMLApplicationLogic(logic)
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(self.scene, True)
        return logic

    def _startFileAccess(self) -> tuple[slicer.vtkMRMLRemoteIOLogic, slicer.vtkDataIOManagerLogic]:
        remoteIO, dataIO = slicer.vtkMRMLRemoteIOLogic(), slicer.vtkDataIOManagerLogic()
        for logic in (remoteIO, dataIO):
            logic.SetMRMLApplicationLogic(self._applicationLogic)
            logic.SetMRMLScene(self.scene)
        cache = Path(self.temporaryPath, "cache")
        cache.mkdir()
        (cache / ".slicer-cache").touch()  # marks a folder that may be emptied
        remoteIO.GetCacheManager().SetRemoteCacheDirectory(str(cache))
        dataIO.SetAndObserveDataIOManager(remoteIO.GetDataIOManager())
        remoteIO.AddDataIOToScene()
        return remoteIO, dataIO

    def _startLogic(self, name: str, className: str) -> slicer.vtkMRMLAbstractLogic:
        logic = getattr(slicer, className)()
        # the order matters: a logic looks for its application when it gets a scene
        logic.SetMRMLApplicationLogic(self._applicationLogic)
        logic.SetMRMLScene(self.scene)
        self._applicationLogic.SetModuleLogic(name, logic)
        return logic

    def coreIOManager(self) -> _InputOutput:
        return self._inputOutput

    ioManager = coreIOManager

    def applicationLogic(self) -> slicer.vtkSlicerApplicationLogic:
        return self._applicationLogic

    def mrmlScene(self) -> slicer.vtkMRMLScene:
        return self.scene

    def processEvents(self) -> None:
        pass

    def testingEnabled(self) -> bool:
        return True

    def pauseRender(self) -> None:
        self._applicationLogic.PauseRender()

    def resumeRender(self) -> None:
        self._applicationLogic.ResumeRender()

    def layoutManager(self) -> None:
        return None


def boot() -> None:
    """Give plain Python a scene; in the application, or when called again, do nothing."""
    if getattr(slicer, "mrmlScene", None) is not None:
        return
    app = _Application()
    slicer.app = app
    slicer.mrmlScene = app.scene
    slicer.modules = SimpleNamespace(
        **{name: SimpleNamespace(logic=lambda logic=logic: logic) for name, logic in app.logics.items()}
    )
