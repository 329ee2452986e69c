import sys
from contextlib import suppress
from dataclasses import replace
from math import ceil
from pathlib import Path

import slicer
import vtk
from slicer import (
    vtkMRMLDisplayableNode,
    vtkMRMLMarkupsNode,
    vtkMRMLMarkupsROINode,
    vtkMRMLScalarVolumeNode,
    vtkMRMLSequenceNode,
)
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

_HERE = Path(__file__).resolve().parent
# DeepRegLogic is installed beside this file; in a source checkout it lies one folder up
_LOGIC = _HERE if (_HERE / "DeepRegLogic").is_dir() else _HERE.parent
for _folder in (str(_HERE), str(_LOGIC)):
    if _folder not in sys.path:
        sys.path.append(_folder)

from TemporalRegistrationLib import environment, export, layouts, sample, scene, worker  # noqa: E402
from TemporalRegistrationLib.job import Job, State  # noqa: E402
from TemporalRegistrationLib.review import ReviewPanel  # noqa: E402
from TemporalRegistrationLib.tasks import CineTask, PairTask, refinement  # noqa: E402

from DeepRegLogic.cine import Cine  # noqa: E402
from DeepRegLogic.errors import Cancelled, RegistrationError  # noqa: E402
from DeepRegLogic.zoo import list_models  # noqa: E402


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
        self.parent.helpText = _(
            "Follows moving anatomy in a cine (a time sequence of images): a transform for every frame in both "
            "directions, motion-compensated and propagated images, and a measure of the quality of every frame."
        )
        self.parent.acknowledgementText = _(
            "The temporal model is TLRN (Wu et al., MICCAI 2024), the pairwise model is of "
            "the VoxelMorph kind (Balakrishnan et al., IEEE Transactions on Medical Imaging 2019), built with PyTorch "
            "and MONAI."
        )
        slicer.app.connect("startupCompleted()", self._registerSample)

    def _registerSample(self) -> None:
        sample.registerSample(str(_HERE / "Resources" / "Icons" / "TemporalRegistration.png"))


@parameterNodeWrapper
class TemporalRegistrationParameterNode:
    """What the module was asked to do, and what it shows; saved with the scene.

    inputSequence - The cine: a sequence of images.
    automaticReference - Whether the reference frame is looked for (end-diastole).
    referenceFrame - The reference frame, where it is not looked for.
    regionOfInterest, pairRegionOfInterest - Only what lies in this box is registered.
    labels - A segmentation or label map drawn on the reference frame, to be followed.
    points - Markups drawn on the reference frame, to be followed.
    fixedVolume, movingVolume - The pair.
    task - "cine" or "pair": which tab is open.
    model - Name of a model of the zoo; empty for refinement from zero.
    quality - "fast", "standard" or "thorough".
    device - Where to compute: "auto", "cpu", "cuda:0", ...
    similarity, smoothness - Of the refinement.
    showCompensated ... opacity - The switches of the review.
    """

    inputSequence: vtkMRMLSequenceNode
    automaticReference: bool = True
    referenceFrame: int = 0
    regionOfInterest: vtkMRMLMarkupsROINode
    labels: vtkMRMLDisplayableNode
    points: vtkMRMLMarkupsNode
    fixedVolume: vtkMRMLScalarVolumeNode
    movingVolume: vtkMRMLScalarVolumeNode
    pairRegionOfInterest: vtkMRMLMarkupsROINode
    task: str = "cine"
    model: str = "tlrn-cardiac"
    quality: str = "standard"
    device: str = "auto"
    similarity: str = "lncc"
    smoothness: float = 0.2
    showCompensated: bool = False
    showLabels: bool = True
    showPoints: bool = True
    showMotion: bool = False
    showJacobian: bool = False
    showUncertainty: bool = False
    motionStyle: str = "grid"
    compare: str = "single"
    opacity: float = 0.6


class TemporalRegistrationWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Uses ScriptedLoadableModuleWidget base class, available at:
    https://github.com/Slicer/Slicer/blob/main/Base/Python/slicer/ScriptedLoadableModule.py
    """

    def __init__(self, parent=None) -> None:
        """Called when the user opens the module the first time and the widget is initialized."""
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.review = None
        self._parameterNode = None
        self._parameterNodeGuiTag = None
        self._job: Job | None = None
        self._message = ""
        self._refreshing = False

    def setup(self) -> None:
        """Called when the user opens the module the first time and the widget is initialized."""
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/TemporalRegistration.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.ui.inputSelector.addAttribute("vtkMRMLSequenceNode", "DataNodeClassName", "vtkMRMLScalarVolumeNode")

        self.logic = TemporalRegistrationLogic()
        self.review = ReviewPanel(self.ui, lambda: self._parameterNode)
        self._fillChoices()
        self.ui.pythonPathLineEdit.currentPath = environment.ownPython()

        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.NodeRemovedEvent, self.onNodeRemoved)
        for name in ("model", "quality", "device", "similarity"):
            getattr(self.ui, f"{name}ComboBox").connect("currentIndexChanged(int)", self.onChoice)
        self.ui.taskTabWidget.connect("currentChanged(int)", self.onChoice)
        self.ui.referenceSlider.connect("valueChanged(double)", self.onReferenceFrame)
        self.ui.pythonPathLineEdit.connect("currentPathChanged(QString)", self.onPythonPath)
        self.ui.sampleButton.connect("clicked(bool)", self.onSampleButton)
        self.ui.applyButton.connect("clicked(bool)", self.onApplyButton)
        self.ui.exportButton.connect("clicked(bool)", self.onExportButton)
        self.initializeParameterNode()

    def _fillChoices(self) -> None:
        choices = {
            "model": [(title, name) for name, (title, _summary) in self.logic.models().items()],
            "quality": [(_("Fast"), "fast"), (_("Standard"), "standard"), (_("Thorough"), "thorough")],
            "device": [(_("Automatic"), "auto"), (_("CPU"), "cpu")],
            "similarity": [(_("Local correlation (brightness may change)"), "lncc"), (_("Squared difference"), "mse")],
        }
        for name, items in choices.items():
            for title, value in items:
                getattr(self.ui, f"{name}ComboBox").addItem(title, value)

    def cleanup(self) -> None:
        """Called when the application closes and the module widget is destroyed."""
        self._cancelJob()
        self.setParameterNode(None)
        self.review.close()
        self.removeObservers()
        worker.closeShared()

    def enter(self) -> None:
        """Called each time the user opens this module."""
        self.initializeParameterNode()

    def exit(self) -> None:
        """Called each time the user opens a different module; a running registration goes on."""
        self.setParameterNode(None)

    def onSceneStartClose(self, caller, event) -> None:
        """Called just before the scene is closed."""
        self._cancelJob()
        self.review.setResults(None)
        self.setParameterNode(None)

    def onSceneEndClose(self, caller, event) -> None:
        """Called just after the scene is closed."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    def onNodeRemoved(self, caller, event) -> None:
        """Results or inputs that are gone are not shown any more."""
        if self._parameterNode is not None and self._job is None:
            self._showResults()

    def initializeParameterNode(self) -> None:
        """Make sure that there is a parameter node, and show it."""
        self.setParameterNode(self.logic.getParameterNode())
        if not self._parameterNode.inputSequence:
            firstSequence = self.ui.inputSelector.currentNode() or slicer.mrmlScene.GetFirstNodeByClass(
                "vtkMRMLSequenceNode"
            )
            if firstSequence and firstSequence.GetDataNodeClassName() == "vtkMRMLScalarVolumeNode":
                self._parameterNode.inputSequence = firstSequence

    def setParameterNode(self, parameterNode: TemporalRegistrationParameterNode | None) -> None:
        """Show a parameter node, and follow its changes."""
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self._onParameterNodeModified)
        self._parameterNode = parameterNode
        if self._parameterNode:
            self._parameterNodeGuiTag = self._parameterNode.connectGui(self.ui)
            self.addObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self._onParameterNodeModified)
            self._onParameterNodeModified()

    def _onParameterNodeModified(self, caller=None, event=None) -> None:
        if self._refreshing or self._parameterNode is None:
            return
        self._refreshing = True
        try:
            self._showChoices()
            self._showResults()
            self._checkCanApply()
            self.review.refresh()
        finally:
            self._refreshing = False

    def _showChoices(self) -> None:
        """Put what is not bound to the parameter node by name into the widgets."""
        for name in ("model", "quality", "device", "similarity"):
            box, value = getattr(self.ui, f"{name}ComboBox"), getattr(self._parameterNode, name)
            index = box.findData(value)
            if index < 0:  # a scene made with a model or a device that is not here
                index = 0
                setattr(self._parameterNode, name, box.itemData(0))
            box.setCurrentIndex(index)
        self.ui.taskTabWidget.setCurrentIndex(("cine", "pair").index(self._parameterNode.task))
        self.ui.modelSummaryLabel.text = self.logic.models()[self._parameterNode.model][1]
        sequenceNode = self._parameterNode.inputSequence
        last = max(0, sequenceNode.GetNumberOfDataNodes() - 1) if sequenceNode else 0
        self.ui.referenceSlider.maximum = last
        self.ui.referenceSlider.value = min(self._parameterNode.referenceFrame, last)
        self.ui.referenceSlider.enabled = not self._parameterNode.automaticReference and last > 0

    def _showResults(self) -> None:
        """Review the results of the input, if it has any."""
        if self._parameterNode.task == "cine":
            nodes, fixed = scene.motionNodesOf(self._parameterNode.inputSequence), None
        else:
            fixed = self._parameterNode.fixedVolume
            nodes = scene.pairNodesOf(fixed, self._parameterNode.movingVolume)
        if nodes != self.review.nodes:
            self.review.setResults(nodes, fixed)

    def _checkCanApply(self) -> None:
        """The button says what it will do, or what is missing."""
        running = self._job is not None
        reason = self.logic.whyNot(self._parameterNode)
        button = self.ui.applyButton
        button.text = _("Cancel") if running else reason or self.logic.offer(self._parameterNode)
        button.toolTip = reason or (
            _("Stop; the scene stays as it was") if running else _("Add the motion to the scene")
        )
        button.enabled = running or not reason
        for widget in (self.ui.taskTabWidget, self.ui.methodCollapsibleButton):
            widget.enabled = not running
        self.ui.progressBar.visible = running
        self.ui.statusLabel.text = self._message
        if not reason and not running:
            self.logic.warmUp()

    def onChoice(self, index: int) -> None:
        """Store what was chosen in a list or a tab."""
        if self._parameterNode and not self._refreshing:
            for name in ("model", "quality", "device", "similarity"):
                setattr(self._parameterNode, name, getattr(self.ui, f"{name}ComboBox").currentData)
            self._parameterNode.task = ("cine", "pair")[self.ui.taskTabWidget.currentIndex]

    def onReferenceFrame(self, value: float) -> None:
        """Store the reference frame, and show it."""
        if self._parameterNode and not self._refreshing and self._parameterNode.inputSequence:
            self._parameterNode.referenceFrame = int(value)
            scene.browserOf(self._parameterNode.inputSequence).SetSelectedItemNumber(int(value))

    def onPythonPath(self, path: str) -> None:
        """Remember the Python environment to compute in."""
        environment.setOwnPython(path)

    def onSampleButton(self, checked: bool = False) -> None:
        """Load the bundled cine and show it."""
        with slicer.util.tryWithErrorDisplay(_("The sample could not be loaded."), waitCursor=True):
            sequenceNode = sample.loadSample()
            self._parameterNode.inputSequence = sequenceNode
            proxy = scene.browserOf(sequenceNode).GetProxyNode(sequenceNode)
            slicer.util.setSliceViewerLayers(background=proxy.GetID(), foreground=None, label=None)
            layouts.fit(proxy)

    def onApplyButton(self, checked: bool = False) -> None:
        """Start the registration, or stop it."""
        if self._job is not None:
            self._job.cancel()
            return
        with slicer.util.tryWithErrorDisplay(_("The registration could not be started.")):
            if not environment.ownPython():
                environment.ensurePackages(self.resourcePath("requirements.txt"))
            self._message = ""
            job = self.logic.job(self._parameterNode)
            job.onChanged = self.onJobChanged
            self._job = job
            try:
                job.start()
            except RegistrationError as error:
                self._job, self._message = None, str(error)
                self._checkCanApply()

    def onJobChanged(self, job: Job) -> None:
        """Show how far the registration is, and its results when it is done."""
        if job.isActive:
            left = job.secondsLeft()
            text = (
                job.text if left is None else _("{text} ({seconds} s left)").format(text=job.text, seconds=ceil(left))
            )
            self.ui.progressBar.value = round(1000 * job.fraction)
            self.ui.statusLabel.text = self._message = text
            if job.state is State.STARTING and job.fraction == 0.0 and self._parameterNode:
                self._checkCanApply()
            return
        self._job = None
        self._message = _("Done") if job.state is State.DONE else job.text
        self._listDevices()
        self.ui.progressBar.value = 0
        if self._parameterNode:
            self._onParameterNodeModified()

    def _listDevices(self) -> None:
        """Add the graphics cards that the worker found."""
        for device in worker.shared().devices:
            if self.ui.deviceComboBox.findData(device["name"]) < 0:
                self.ui.deviceComboBox.addItem(device["title"], device["name"])

    def _cancelJob(self) -> None:
        """Stop a running registration and do not listen to it any more."""
        job, self._job = self._job, None
        if job is not None:
            job.onChanged = None
            job.cancel()
            self._message = ""

    def onExportButton(self, checked: bool = False) -> None:
        """Write the results to the folder."""
        self.ui.exportLabel.text = ""
        with slicer.util.tryWithErrorDisplay(_("The results could not be written."), waitCursor=True):
            folder = self.logic.export(self.review.nodes, self.ui.exportDirectoryButton.directory)
            self.ui.exportLabel.text = _("Written to {folder}").format(folder=folder)


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
        cards = {card.name: (card.title, card.summary) for card in list_models()}
        return {**cards, "": (_("No model"), _("The motion is found by refinement alone: for any kind of image."))}

    def whyNot(self, parameterNode: TemporalRegistrationParameterNode) -> str:
        """What keeps the registration from being run, in a few words, or ""."""
        if not parameterNode.model and parameterNode.quality == "fast":
            return _("Choose a model, or a higher quality")
        if parameterNode.task == "pair":
            fixed, moving = parameterNode.fixedVolume, parameterNode.movingVolume
            if not fixed or not moving:
                return _("Select a fixed and a moving volume")
            return _("Select two different volumes") if fixed is moving else ""
        if not parameterNode.inputSequence:
            return _("Select a cine")
        if parameterNode.inputSequence.GetNumberOfDataNodes() < 2:
            return _("Select a cine of at least two frames")
        return ""

    def offer(self, parameterNode: TemporalRegistrationParameterNode) -> str:
        """What the registration will do."""
        if parameterNode.task == "pair":
            text = _("Register '{moving}' to '{fixed}'")
            names = {"moving": parameterNode.movingVolume.GetName(), "fixed": parameterNode.fixedVolume.GetName()}
            return text.format(**names)
        sequenceNode = parameterNode.inputSequence
        text = _("Follow the motion of '{name}' ({count} frames)")
        return text.format(name=sequenceNode.GetName(), count=sequenceNode.GetNumberOfDataNodes())

    def warmUp(self) -> None:
        """Start the worker in advance where it can run, so that the first registration starts at once."""
        if not worker.shared().isRunning and environment.isReady():
            with suppress(RegistrationError):
                worker.shared().start()

    def job(self, parameterNode: TemporalRegistrationParameterNode) -> Job:
        """The job that the parameter node describes, not started yet."""
        options = {
            "model": parameterNode.model or None,
            "refine": refinement(parameterNode.quality, parameterNode.similarity, parameterNode.smoothness),
            "device": parameterNode.device,
        }
        if parameterNode.task == "pair":
            fixed, moving = parameterNode.fixedVolume, parameterNode.movingVolume
            return Job(PairTask(fixed, moving, parameterNode.pairRegionOfInterest, **options))
        return Job(
            CineTask(
                parameterNode.inputSequence,
                labels=parameterNode.labels,
                markups=[parameterNode.points] if parameterNode.points else [],
                roi=parameterNode.regionOfInterest,
                reference=None if parameterNode.automaticReference else parameterNode.referenceFrame,
                **options,
            )
        )

    def process(self, parameterNode: TemporalRegistrationParameterNode, progressCallback=None):
        """Do what the parameter node says, and wait; the nodes that were made."""
        return self._run(self.job(parameterNode), progressCallback, wait=True)

    def registerCine(
        self,
        sequenceNode: vtkMRMLSequenceNode,
        model: str | None = "tlrn-cardiac",
        reference: int | None = None,
        refine: bool | dict = True,
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
        refine : optimise the motion on this very cine; or the fields of a ``DeepRegLogic.Refinement``.
        device : "auto", "cpu", "cuda", "cuda:1" or "mps".
        labels : a segmentation or label map drawn on the reference frame, to be carried to every frame; give the
            reference frame with it.
        markups : Markups nodes drawn on the reference frame, to be followed.
        roi : register only what lies in this box.
        progressCallback : called with a fraction (0 to 1) and a text.
        wait : return the nodes when they are there; otherwise return the running ``Job`` at once.
        options : further options of ``DeepRegLogic.register_cine``.

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
        model: str | None = "voxelmorph-cardiac",
        refine: bool | dict = True,
        device: str = "auto",
        roi: vtkMRMLMarkupsROINode | None = None,
        progressCallback=None,
        wait: bool = True,
        **options: object,
    ):
        """Register a moving volume to a fixed one and add the transforms, both ways, and the warped volume.

        The parameters and errors are those of ``registerCine``.
        """
        settings = {"model": model, "refine": refine, "device": device, **options}
        return self._run(Job(PairTask(fixedNode, movingNode, roi, **settings)), progressCallback, wait)

    def _run(self, job: Job, progressCallback, wait: bool):
        if progressCallback is not None:
            job.onChanged = lambda job: progressCallback(job.fraction, job.text)
        job.start()
        return job.wait() if wait else job

    def export(self, nodes, folder: str) -> Path:
        """Write the nodes of a registration to a folder."""
        return (export.exportPair if isinstance(nodes, scene.PairNodes) else export.exportMotion)(nodes, folder)


class TemporalRegistrationTest(ScriptedLoadableModuleTest):
    """Uses ScriptedLoadableModuleTest base class, available at:
    https://github.com/Slicer/Slicer/blob/main/Base/Python/slicer/ScriptedLoadableModule.py
    """

    def setUp(self):
        """Start from an empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self):
        """Run every test, each on an empty scene."""
        for test in (
            self.test_cineIsFollowed,
            self.test_pairIsRegistered,
            self.test_runIsCancelled,
            self.test_emptySequenceIsRefused,
        ):
            self.setUp()
            test()

    def _cine(self):
        """Five frames of the bundled cine from rest to contraction, at half the resolution."""
        cine = scene.cineFromSequence(sample.loadSample())
        slicer.mrmlScene.Clear()
        frames = cine.frames[:10:2, ::2, ::2]
        grid = replace(cine.grid, size=(*frames.shape[:0:-1], 1), spacing=tuple(2 * s for s in cine.grid.spacing))
        return Cine(frames, grid, cine.times[:10:2], name="cine")

    def test_cineIsFollowed(self):
        """The motion of the bundled cine is found, and what is added to the scene plays."""
        self.delayDisplay("Registering the bundled cine")
        sequenceNode = scene.addCine(self._cine())
        nodes = TemporalRegistrationLogic().registerCine(sequenceNode, model=None, reference=0, device="cpu")
        errors = {
            name: [nodes.table.GetTable().GetValueByName(frame, name).ToDouble() for frame in range(5)]
            for name in ("error before", "error after", "folded")
        }
        self.assertLess(sum(errors["error after"]), 0.7 * sum(errors["error before"]))
        self.assertEqual(max(errors["folded"]), 0.0)
        for frame in range(5):
            nodes.browser.SetSelectedItemNumber(frame)
            transform = nodes.proxy(nodes.toFrame).GetTransformFromParent()
            grid = slicer.vtkOrientedGridTransform.SafeDownCast(transform).GetDisplacementGrid()
            largest = max(abs(value) for value in grid.GetPointData().GetScalars().GetRange(-1))
            self.assertEqual(largest == 0.0, frame == 0)
        self.delayDisplay("Test passed")

    def test_pairIsRegistered(self):
        """Two volumes are registered, and the warped one is nearer to the fixed one."""
        self.delayDisplay("Registering two volumes")
        sequenceNode = scene.addCine(self._cine())
        volumes = [slicer.mrmlScene.AddNode(sequenceNode.GetNthDataNode(frame)) for frame in (0, 4)]
        nodes = TemporalRegistrationLogic().registerPair(*volumes, model=None, device="cpu")
        fixed, moving, warped = (slicer.util.arrayFromVolume(node).astype(float) for node in (*volumes, nodes.warped))
        self.assertLess(abs(warped - fixed).mean(), 0.8 * abs(moving - fixed).mean())
        self.delayDisplay("Test passed")

    def test_runIsCancelled(self):
        """A cancelled run leaves the scene as it was."""
        sequenceNode = scene.addCine(self._cine())
        count = slicer.mrmlScene.GetNumberOfNodes()
        job = TemporalRegistrationLogic().registerCine(sequenceNode, model=None, device="cpu", wait=False)
        job.cancel()
        with self.assertRaises(Cancelled):
            job.wait()
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), count)

    def test_emptySequenceIsRefused(self):
        """A sequence that cannot be registered is refused in a sentence, and the scene stays as it was."""
        sequenceNode = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", "nothing")
        count = slicer.mrmlScene.GetNumberOfNodes()
        with self.assertRaisesRegex(ValueError, "'nothing' is empty"):
            TemporalRegistrationLogic().registerCine(sequenceNode, model=None)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), count)
