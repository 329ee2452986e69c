import sys
from contextlib import suppress
from pathlib import Path

import slicer
import vtk
from slicer import vtkMRMLMarkupsROINode, vtkMRMLScalarVolumeNode, vtkMRMLSequenceNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

OLDEST_SLICER = (5, 10)  # the first with Python 3.12; its pydicom is 2.4, its Qt 5.15
if (slicer.app.majorVersion, slicer.app.minorVersion) < OLDEST_SLICER:
    raise RuntimeError(
        "Temporal Registration needs 3D Slicer {}.{} or later; install a newer Slicer.".format(*OLDEST_SLICER)
    )

DOCUMENTATION = "https://github.com/TemporalRegistration/SlicerTemporalRegistration#readme"

_HERE = Path(__file__).resolve().parent
# DeepRegLogic is installed beside this file; in a source checkout it lies one folder up
_LOGIC = _HERE if (_HERE / "DeepRegLogic").is_dir() else _HERE.parent
for _folder in (str(_HERE), str(_LOGIC)):
    if _folder not in sys.path:
        sys.path.append(_folder)

from TemporalRegistrationLib import sample  # noqa: E402
from TemporalRegistrationLib.kinds import KINDS, kindOf, models  # noqa: E402
from TemporalRegistrationLib.kinds.cine import CineTask  # noqa: E402
from TemporalRegistrationLib.kinds.generate import GenerateTask  # noqa: E402
from TemporalRegistrationLib.kinds.pair import PairTask  # noqa: E402
from TemporalRegistrationLib.nodes.sequences import addCine, middleSlice  # noqa: E402
from TemporalRegistrationLib.panel.contours import ContoursPart  # noqa: E402
from TemporalRegistrationLib.panel.curves import CurvesPart  # noqa: E402
from TemporalRegistrationLib.panel.export import ExportPart  # noqa: E402
from TemporalRegistrationLib.panel.generate import GeneratePart  # noqa: E402
from TemporalRegistrationLib.panel.inputs import InputPart  # noqa: E402
from TemporalRegistrationLib.panel.load import LoadPart  # noqa: E402
from TemporalRegistrationLib.panel.method import MethodPart  # noqa: E402
from TemporalRegistrationLib.panel.pair import PairPart  # noqa: E402
from TemporalRegistrationLib.panel.review import ReviewPart  # noqa: E402
from TemporalRegistrationLib.panel.run import RunPart  # noqa: E402
from TemporalRegistrationLib.parameters import TemporalRegistrationParameterNode  # noqa: E402
from TemporalRegistrationLib.run import environment, worker  # noqa: E402
from TemporalRegistrationLib.run.job import Job, State  # noqa: E402
from TemporalRegistrationLib.selftest import SelfTest  # noqa: E402
from TemporalRegistrationLib.show import layouts  # noqa: E402

from DeepRegLogic.errors import RegistrationError  # noqa: E402
from DeepRegLogic.results.doubts import DOUBTFUL_MM  # noqa: E402
from DeepRegLogic.zoo import DEFAULTS  # noqa: E402


class TemporalRegistration(ScriptedLoadableModule):
    """Follows moving anatomy in image sequences.

    Uses ScriptedLoadableModule base class, available at:
    https://github.com/Slicer/Slicer/blob/main/Base/Python/slicer/ScriptedLoadableModule.py
    """

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Temporal Registration")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Registration")]
        self.parent.dependencies = [
            "Colors",
            "Markups",
            "Plots",
            "Segmentations",
            "Sequences",
            "Tables",
            "Transforms",
            "Volumes",
        ]
        self.parent.contributors = ["Temporal Registration contributors"]
        self.parent.helpText = (
            _(
                "Follows moving anatomy in a cine (a time sequence of images): a transform for every frame in both "
                "directions, motion-compensated and propagated images, and a measure of the quality of every frame."
            )
            + f'<p><a href="{DOCUMENTATION}">{_("Documentation and tutorial")}</a></p>'
        )
        self.parent.acknowledgementText = _(
            "The temporal model is TLRN (Wu et al., MICCAI 2024), the one with uncertainty and new cines DragNet "
            "(Zakeri et al., Medical Image Analysis 2023), the pairwise one of the VoxelMorph kind (Balakrishnan et "
            "al., IEEE Transactions on Medical Imaging 2019), built with PyTorch and MONAI."
        )
        slicer.app.connect("startupCompleted()", self._onStartupCompleted)

    def _onStartupCompleted(self) -> None:
        sample.registerSample(str(_HERE / "Resources" / "Icons" / "FourChamber.png"))
        layouts.register()


class TemporalRegistrationWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel: its parts are in ``TemporalRegistrationLib/panel``, one file a section.

    Uses ScriptedLoadableModuleWidget base class, available at:
    https://github.com/Slicer/Slicer/blob/main/Base/Python/slicer/ScriptedLoadableModule.py
    """

    def __init__(self, parent=None) -> None:
        """Called when the user opens the module the first time and the widget is initialized."""
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self._parameterNode = None
        self._parameterNodeGuiTag = None

    def setup(self) -> None:
        """Called when the user opens the module the first time and the widget is initialized."""
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/TemporalRegistration.ui"))
        self.layout.addWidget(uiWidget)
        generateTab = slicer.util.loadUI(self.resourcePath("UI/Generate.ui"))
        slicer.util.childWidgetVariables(uiWidget).taskTabWidget.addTab(generateTab, _("Generate"))
        pairOptions = slicer.util.loadUI(self.resourcePath("UI/Pair.ui"))
        slicer.util.childWidgetVariables(uiWidget).pairTab.layout().addRow(pairOptions)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        for widget in (uiWidget, generateTab, pairOptions):
            widget.setMRMLScene(slicer.mrmlScene)

        self.logic = TemporalRegistrationLogic()

        def settings():
            return self._parameterNode

        self.inputs = InputPart(self.ui, settings)
        self.generate = GeneratePart(self.ui, settings)
        self.pair = PairPart(self.ui, settings, lambda: self.run.follow(), self.inputs.refresh)
        self.method = MethodPart(self.ui, settings, self.onSettingsChosen)
        self.run = RunPart(self.ui, settings, self.logic, self.resourcePath("requirements.txt"), self.onJobEnded)
        self.load = LoadPart(self.ui, self._startTask, self.run.tell, self.inputs.choose)
        self.contours = ContoursPart(self.ui, settings, self._startTask, self.run.tell)
        self.ui.sliceButton.connect("clicked(bool)", self.onSliceButton)
        self.review = ReviewPart(self.ui, settings)
        self.curves = CurvesPart(self.ui)
        self.exports = ExportPart(self.ui, lambda: self.review.nodes, self._export)
        self._setResults(None)

        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self.onSceneEndImport)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.NodeRemovedEvent, self.onNodeRemoved)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.NodeAddedEvent, self.onNodeAdded)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndBatchProcessEvent, self.onEndBatch)
        self.initializeParameterNode()

    def cleanup(self) -> None:
        """Called when the application closes and the module widget is destroyed."""
        self.contours.close()
        self.run.abandon()
        self.setParameterNode(None)
        self._setResults(None)
        self.method.close()
        self.curves.close()
        self.removeObservers()
        worker.closeShared()

    def enter(self) -> None:
        """Called each time the user opens this module."""
        self.initializeParameterNode()

    def exit(self) -> None:
        """Called each time the user opens a different module; a running registration goes on."""
        self.contours.close()
        self.setParameterNode(None)

    def onReload(self) -> None:
        """Reload the module with its packages, which a reload of this file alone would leave as they were."""
        for name in list(sys.modules):
            if name.partition(".")[0] in ("TemporalRegistrationLib", "DeepRegLogic"):
                del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    def onSceneStartClose(self, caller, event) -> None:
        """Called just before the scene is closed."""
        self.contours.close()
        self.run.abandon()
        self._setResults(None)
        self.setParameterNode(None)

    def onSceneEndClose(self, caller, event) -> None:
        """Called just after the scene is closed."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    def onSceneEndImport(self, caller, event) -> None:
        """What was loaded may be settings of this module, with their results."""
        if self.parent.isEntered and not slicer.mrmlScene.IsClosing():
            self.initializeParameterNode()

    def onNodeRemoved(self, caller, event) -> None:
        """Results, inputs or settings that are gone are not shown any more."""
        if self._parameterNode is None or self.run.job is not None or slicer.mrmlScene.IsClosing():
            return
        if slicer.mrmlScene.IsNodePresent(self._parameterNode.parameterNode):
            self._showResults()
        else:
            self.initializeParameterNode()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onNodeAdded(self, caller, event, node) -> None:
        """A new sequence may hold something else than images, at once or with its first frame."""
        if node.IsA("vtkMRMLSequenceNode"):
            if node.GetNumberOfDataNodes() == 0:
                self.addObserver(node, vtk.vtkCommand.ModifiedEvent, self.onSequenceModified)
            elif not slicer.mrmlScene.IsBatchProcessing():
                self.inputs.listCines()

    def onSequenceModified(self, node, event) -> None:
        """Called while a sequence is empty, and when it gets its first frame."""
        if node.GetNumberOfDataNodes():
            self.removeObserver(node, vtk.vtkCommand.ModifiedEvent, self.onSequenceModified)
            self.inputs.listCines()

    def onEndBatch(self, caller, event) -> None:
        """Called when many nodes were added together."""
        self.inputs.listCines()

    def initializeParameterNode(self) -> None:
        """Make sure that there is a parameter node, and show it: the chosen one, else that of the scene."""
        chosen = self.ui.settingsSelector.currentNode()
        self.setParameterNode(TemporalRegistrationParameterNode(chosen) if chosen else self.logic.getParameterNode())
        self.inputs.chooseFirst()

    def setParameterNode(self, parameterNode: TemporalRegistrationParameterNode | None) -> None:
        """Show a parameter node, and follow its changes."""
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.refresh)
        self._parameterNode = parameterNode
        if self._parameterNode:
            self._parameterNodeGuiTag = self._parameterNode.connectGui(self.ui)
            self.addObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.refresh)
            self.refresh()

    def onSettingsChosen(self, node: slicer.vtkMRMLScriptedModuleNode | None) -> None:
        """Show the settings that the user chose in the list, or made there."""
        if node and self._parameterNode and node is not self._parameterNode.parameterNode:
            self.setParameterNode(TemporalRegistrationParameterNode(node))

    def refresh(self, caller=None, event=None) -> None:
        """Show what the parameter node says."""
        if self._parameterNode:
            for part in (self.inputs, self.contours, self.generate, self.pair, self.method, self.run):
                part.refresh()
            self._showResults()
            self.review.refresh()
            self.curves.setDoubtful(self._parameterNode.doubtfulLimit)

    def onJobEnded(self, job: Job) -> None:
        """Show the results of a registration."""
        self.method.listDevices()
        if self._parameterNode:
            if job.state is State.DONE:
                kindOf(self._parameterNode).done(self._parameterNode)
            self.refresh()

    def onSliceButton(self, _checked: bool = False) -> None:
        """Follow the motion in the middle slice of the stack."""
        with slicer.util.tryWithErrorDisplay(_("The middle slice could not be taken."), waitCursor=True):
            self.inputs.choose(addCine(middleSlice(self._parameterNode.inputSequence)))
            self.run.follow()

    def _startTask(self, task, onEnded) -> None:
        self.run.start(lambda: Job(task), onEnded)

    def _showResults(self) -> None:
        """Review the results of the input, if it has any."""
        nodes = kindOf(self._parameterNode).nodesOf(self._parameterNode)
        if nodes != self.review.nodes:
            self._setResults(nodes)

    def _export(self, nodes, folder: str) -> Path:
        return self.logic.export(nodes, folder, self._parameterNode.doubtfulLimit)

    def _setResults(self, nodes) -> None:
        self.generate.setResults(nodes)
        self.review.setResults(nodes)
        self.curves.setResults(nodes)
        self.exports.setResults(nodes)


class TemporalRegistrationLogic(ScriptedLoadableModuleLogic):
    """The work of the module, for the widget, the Python console and scripts.

    In the console:
        logic = slicer.util.getModuleLogic("TemporalRegistration")
        nodes = logic.registerCine(slicer.util.getNode("cine"))

    Uses ScriptedLoadableModuleLogic base class, available at:
    https://github.com/Slicer/Slicer/blob/main/Base/Python/slicer/ScriptedLoadableModule.py
    """

    def getParameterNode(self):
        return TemporalRegistrationParameterNode(super().getParameterNode())

    def models(self) -> dict[str, tuple[str, str]]:
        """Title and summary of the models by name, best first; the empty name is refinement without a model."""
        return models()

    def warmUp(self) -> None:
        """Start the worker in advance where it can run, so that the first registration starts at once."""
        if not worker.shared().isRunning and environment.isReady():
            with suppress(RegistrationError):
                worker.shared().start()

    def job(self, parameterNode: TemporalRegistrationParameterNode) -> Job:
        """The job that the parameter node describes, not started yet."""
        return Job(kindOf(parameterNode).task(parameterNode))

    def process(self, parameterNode: TemporalRegistrationParameterNode, progressCallback=None):
        """Do what the parameter node says, and wait; the nodes that were made."""
        return self._run(self.job(parameterNode), progressCallback, wait=True)

    def registerCine(
        self,
        sequenceNode: vtkMRMLSequenceNode,
        model: str | None = DEFAULTS["cine"],
        reference: int | None = None,
        refine: bool | str | dict = True,
        device: str = "auto",
        labels=None,
        markups=(),
        roi: vtkMRMLMarkupsROINode | None = None,
        progressCallback=None,
        wait: bool = True,
        **options: object,
    ):
        """Follow the motion in a sequence of images and add it to the scene.

        Parameters
        ----------
        sequenceNode : a sequence of volumes of one geometry.
        model : name or folder of a model, or None to start the refinement from zero.
        reference : number of the reference frame, or None to look for end-diastole.
        refine : optimise the motion on this very cine; a quality ("fast", "standard", "best"); or the fields of a
            ``DeepRegLogic.Refinement``.
        device : "auto", "cpu", "cuda", "cuda:1" or "mps".
        labels : a segmentation or label map drawn on the reference frame, to be carried to every frame; give the
            reference frame with it.
        markups : Markups nodes drawn on the reference frame, to be followed.
        roi : register only what lies in this box.
        progressCallback : called with a fraction (0 to 1) and a text.
        wait : return the nodes when they are there; otherwise return the running ``Job`` at once.
        options : further options of ``DeepRegLogic.register_cine``: ``uncertainty`` (whether to find out how sure the
            motion is), ``cyclic``, ``memory_gb``.

        Raises
        ------
        RegistrationError : with a sentence that says what was wrong and what to do.
        """
        settings = {"model": model, "reference": reference, "refine": refine, "device": device, **options}
        return self._run(Job(CineTask(sequenceNode, labels, markups, roi, **settings)), progressCallback, wait)

    def registerPair(
        self,
        fixedNode: vtkMRMLScalarVolumeNode,
        movingNode: vtkMRMLScalarVolumeNode,
        model: str | None = DEFAULTS["pair"],
        refine: bool | str | dict = True,
        device: str = "auto",
        roi: vtkMRMLMarkupsROINode | None = None,
        affine: bool = False,
        fixedMask=None,
        movingMask=None,
        labels=None,
        progressCallback=None,
        wait: bool = True,
        **options: object,
    ):
        """Register a moving volume to a fixed one and add the transforms, both ways, and the warped volume.

        Parameters
        ----------
        affine : first align the volumes, which then need not overlap; the linear transform is added, too.
        fixedMask, movingMask : segmentations or label maps; only what is inside counts.
        labels : a segmentation or label map drawn on the moving volume, to be brought onto the fixed one.
        options : further options of ``DeepRegLogic.register_pair``: ``path`` (steps of the way, which is added as a
            sequence), ``regularity`` (0 to 1, of a model that can choose), ``uncertainty``, ``memory_gb``.

        The other parameters and the errors are those of ``registerCine``.
        """
        settings = {"model": model, "refine": refine, "device": device, "affine": affine, **options}
        task = PairTask(fixedNode, movingNode, roi, (fixedMask, movingMask), labels, **settings)
        return self._run(Job(task), progressCallback, wait)

    def _run(self, job: Job, progressCallback, wait: bool):
        if progressCallback is not None:
            job.onChanged = lambda job: progressCallback(job.fraction, job.text)
        job.start()
        return job.wait() if wait else job

    def generateCine(
        self,
        inputNode: vtkMRMLScalarVolumeNode | vtkMRMLSequenceNode,
        nFrames: int = 20,
        nSamples: int = 1,
        seed: int = 0,
        frame: int = 0,
        labels=None,
        model: str = DEFAULTS["generate"],
        device: str = "auto",
        progressCallback=None,
        wait: bool = True,
        **options: object,
    ):
        """Make new cines of a heart beat from one frame and add them to the scene, in a browser of their own.

        Parameters
        ----------
        inputNode : a volume of a single slice at end-diastole, or a sequence of which ``frame`` is taken.
        nFrames, nSamples : frames of a cine, the real one among them, and number of cines.
        seed : another number makes other cines; the same number makes the same ones again.
        labels : a segmentation or label map drawn on the frame, to be carried to every frame.
        model : name or folder of a model that can generate.

        The other parameters and the errors are those of ``registerCine``; ``options`` are those of
        ``DeepRegLogic.generate_cine``.
        """
        settings = {"n_frames": nFrames, "n_samples": nSamples, "seed": seed, "model": model, "device": device}
        task = GenerateTask(inputNode, frame, labels, **settings, **options)
        return self._run(Job(task), progressCallback, wait)

    def export(self, nodes, folder: str, doubtful: float = DOUBTFUL_MM) -> Path:
        """Write results to a folder; ``doubtful`` is the uncertainty in mm that makes a frame doubtful."""
        return KINDS[nodes.kind].export(nodes, folder, doubtful)


class TemporalRegistrationTest(SelfTest, ScriptedLoadableModuleTest):
    """The tests are in ``TemporalRegistrationLib/selftest.py``.

    Uses ScriptedLoadableModuleTest base class, available at:
    https://github.com/Slicer/Slicer/blob/main/Base/Python/slicer/ScriptedLoadableModule.py
    """

    def logic(self):
        return TemporalRegistrationLogic()
