import logging
import sys
from pathlib import Path
from typing import Annotated

import slicer
import vtk
from slicer import vtkMRMLSequenceNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import Choice, parameterNodeWrapper
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

from TemporalRegistrationLib import environment, scene  # noqa: E402

from DeepRegLogic.errors import Cancelled  # noqa: E402
from DeepRegLogic.progress import CancelToken, ProgressCallback  # noqa: E402


class TemporalRegistration(ScriptedLoadableModule):
    """Follows moving anatomy in image sequences.

    Uses ScriptedLoadableModule base class, available at:
    https://github.com/Slicer/Slicer/blob/main/Base/Python/slicer/ScriptedLoadableModule.py
    """

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Temporal Registration")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Registration")]
        self.parent.dependencies = ["Sequences", "Segmentations", "Tables", "Transforms", "Volumes"]
        self.parent.contributors = ["Temporal Registration contributors"]
        self.parent.helpText = _(
            "Follows moving anatomy in a cine (a time sequence of images): a transform for every frame in both "
            "directions, motion-compensated and propagated images, and a measure of the quality of every frame."
        )
        self.parent.acknowledgementText = _(
            "The temporal model is TLRN (Wu et al., Medical Imaging with Deep Learning 2024), the pairwise model is of "
            "the VoxelMorph kind (Balakrishnan et al., IEEE Transactions on Medical Imaging 2019), built with PyTorch "
            "and MONAI."
        )


@parameterNodeWrapper
class TemporalRegistrationParameterNode:
    """What the module was asked to do; saved with the scene.

    inputSequence - The cine: a sequence of images.
    model - Name of a model of the zoo; empty for refinement from zero.
    automaticReference - Whether the reference frame is looked for (end-diastole).
    referenceFrame - The reference frame, where it is not looked for.
    refine - Whether the motion is optimised on this very cine.
    device - Where to compute.
    """

    inputSequence: vtkMRMLSequenceNode
    model: str = "tlrn-cardiac"
    automaticReference: bool = True
    referenceFrame: int = 0
    refine: bool = True
    device: Annotated[str, Choice(["auto", "cpu", "cuda", "mps"])] = "auto"


class TemporalRegistrationWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Uses ScriptedLoadableModuleWidget base class, available at:
    https://github.com/Slicer/Slicer/blob/main/Base/Python/slicer/ScriptedLoadableModule.py
    """

    def __init__(self, parent=None) -> None:
        """Called when the user opens the module the first time and the widget is initialized."""
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self._parameterNode = None
        self._parameterNodeGuiTag = None
        self._cancel: CancelToken | None = None

    def setup(self) -> None:
        """Called when the user opens the module the first time and the widget is initialized."""
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/TemporalRegistration.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.ui.inputSelector.addAttribute("vtkMRMLSequenceNode", "DataNodeClassName", "vtkMRMLScalarVolumeNode")

        self.logic = TemporalRegistrationLogic()
        for name, title in self.logic.models().items():
            self.ui.modelComboBox.addItem(title, name)

        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.ui.modelComboBox.connect("currentIndexChanged(int)", self.onModelSelected)
        self.ui.applyButton.connect("clicked(bool)", self.onApplyButton)
        self.ui.cancelButton.connect("clicked(bool)", self.onCancelButton)
        self.initializeParameterNode()

    def cleanup(self) -> None:
        """Called when the application closes and the module widget is destroyed."""
        self.onCancelButton()
        self.removeObservers()

    def enter(self) -> None:
        """Called each time the user opens this module."""
        self.initializeParameterNode()

    def exit(self) -> None:
        """Called each time the user opens a different module."""
        self.setParameterNode(None)

    def onSceneStartClose(self, caller, event) -> None:
        """Called just before the scene is closed."""
        self.onCancelButton()
        self.setParameterNode(None)

    def onSceneEndClose(self, caller, event) -> None:
        """Called just after the scene is closed."""
        if self.parent.isEntered:
            self.initializeParameterNode()

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
        model = self.ui.modelComboBox.findData(self._parameterNode.model)
        if model < 0:  # a scene made with a model that is not installed here
            model = 0
            self._parameterNode.model = self.ui.modelComboBox.itemData(model)
        self.ui.modelComboBox.setCurrentIndex(model)
        sequenceNode = self._parameterNode.inputSequence
        if sequenceNode:
            self.ui.referenceSpinBox.maximum = max(0, sequenceNode.GetNumberOfDataNodes() - 1)
        self._checkCanApply()

    def _checkCanApply(self) -> None:
        """The button says what is missing."""
        reason = self.logic.whyNot(self._parameterNode)
        self.ui.applyButton.toolTip = reason or _("Follow the motion and add it to the scene")
        self.ui.applyButton.enabled = not reason and self._cancel is None
        self.ui.cancelButton.enabled = self._cancel is not None

    def onModelSelected(self, index: int) -> None:
        """Store the chosen model."""
        if self._parameterNode and index >= 0:
            self._parameterNode.model = self.ui.modelComboBox.itemData(index)

    def onApplyButton(self) -> None:
        """Run the registration when the user clicks "Apply"."""
        with slicer.util.tryWithErrorDisplay(_("The registration failed."), waitCursor=True):
            environment.ensurePackages(self.resourcePath("requirements.txt"))
            self._cancel = CancelToken()
            self.ui.inputsCollapsibleButton.enabled = False
            self._checkCanApply()
            outcome = ""
            try:
                self.logic.process(self._parameterNode, self.onProgress, self._cancel)
                outcome = _("Done")
            except Cancelled as stop:
                outcome = str(stop)
            finally:
                self._cancel = None
                self.ui.inputsCollapsibleButton.enabled = True
                self.ui.progressBar.value = 0
                self.ui.statusLabel.text = outcome
                if self._parameterNode:
                    self._checkCanApply()

    def onCancelButton(self) -> None:
        """Ask the running registration to stop."""
        if self._cancel is not None:
            self._cancel.cancel()

    def onProgress(self, fraction: float, text: str) -> None:
        """Show how far the registration is, and let the user interface live."""
        self.ui.progressBar.value = round(100 * fraction)
        self.ui.statusLabel.text = text
        slicer.app.processEvents()


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

    def models(self) -> dict[str, str]:
        """Titles of the models by name, best first; the empty name is refinement without a model."""
        from DeepRegLogic.zoo import list_models

        return {**{card.name: card.title for card in list_models()}, "": _("No model (refinement alone)")}

    def whyNot(self, parameterNode: TemporalRegistrationParameterNode) -> str:
        """What keeps the registration from being run, in a sentence, or ""."""
        if not parameterNode.inputSequence:
            return _("Select the image sequence to register")
        if parameterNode.inputSequence.GetNumberOfDataNodes() < 2:
            return _("Select a sequence of at least two images")
        if not parameterNode.model and not parameterNode.refine:
            return _("Choose a model, or switch refinement on")
        return ""

    def process(
        self,
        parameterNode: TemporalRegistrationParameterNode,
        progressCallback: ProgressCallback | None = None,
        cancel: CancelToken | None = None,
    ) -> scene.MotionNodes:
        """Do what the parameter node says; see ``registerCine``."""
        return self.registerCine(
            parameterNode.inputSequence,
            model=parameterNode.model or None,
            reference=None if parameterNode.automaticReference else parameterNode.referenceFrame,
            refine=parameterNode.refine,
            device=parameterNode.device,
            progressCallback=progressCallback,
            cancel=cancel,
        )

    def registerCine(
        self,
        sequenceNode: vtkMRMLSequenceNode,
        model: str | None = "tlrn-cardiac",
        reference: int | None = None,
        refine: bool = True,
        device: str = "auto",
        labels: "scene.Labels | None" = None,
        progressCallback: ProgressCallback | None = None,
        cancel: CancelToken | None = None,
        **options: object,
    ) -> scene.MotionNodes:
        """Follow the motion in a sequence of images and add it to the scene.

        Parameters
        ----------
        sequenceNode : a sequence of volumes of one geometry.
        model : name or folder of a model, or None to start the refinement from zero.
        reference : number of the reference frame, or None to look for end-diastole.
        refine : optimise the motion on this very cine.
        device : "auto", "cpu", "cuda", "cuda:1" or "mps".
        labels : a segmentation or label map drawn on the reference frame, to be carried to every frame; give the
            reference frame with it.
        progressCallback : called with a fraction (0 to 1) and a text.
        cancel : its ``cancel()`` stops the work, and the scene stays as it was.
        options : further options of ``DeepRegLogic.register_cine``.

        Raises
        ------
        RegistrationError : with a sentence that says what was wrong and what to do.
        """
        from DeepRegLogic.progress import Reporter
        from DeepRegLogic.register import register_cine

        whole = Reporter(progressCallback, cancel)
        cine = scene.cineFromSequence(sequenceNode)
        for note in cine.notes:
            logging.info(note)
        motion = register_cine(
            cine,
            model=model,
            reference=reference,
            refine=refine,
            device=device,
            progress=whole.part(0.0, 0.9),
            cancel=cancel,
            **options,
        )
        return scene.addMotion(motion, cine, sequenceNode, labels, progress=whole.part(0.9, 1.0), cancel=cancel)

    def registerPair(
        self,
        fixedNode,
        movingNode,
        model: str | None = "voxelmorph-cardiac",
        refine: bool = True,
        device: str = "auto",
        progressCallback: ProgressCallback | None = None,
        cancel: CancelToken | None = None,
        **options: object,
    ) -> scene.PairNodes:
        """Register a moving volume to a fixed one and add the transforms, both ways, and the warped volume.

        The parameters and errors are those of ``registerCine``.
        """
        from DeepRegLogic.register import register_pair

        fixed, moving = scene.imageFromVolume(fixedNode), scene.imageFromVolume(movingNode)
        motion = register_pair(
            fixed,
            moving,
            model=model,
            refine=refine,
            device=device,
            progress=progressCallback,
            cancel=cancel,
            **options,
        )
        return scene.addPairMotion(motion, fixedNode, movingNode)


class TemporalRegistrationTest(ScriptedLoadableModuleTest):
    """Uses ScriptedLoadableModuleTest base class, available at:
    https://github.com/Slicer/Slicer/blob/main/Base/Python/slicer/ScriptedLoadableModule.py
    """

    def setUp(self):
        """Start from an empty scene."""
        slicer.mrmlScene.Clear()

    def runTest(self):
        """Run every test, each on an empty scene."""
        for test in (self.test_phantomIsFollowed, self.test_pairIsRegistered, self.test_emptySequenceIsRefused):
            self.setUp()
            test()

    def _phantom(self):
        """Five frames of a synthetic heart from rest to contraction, made without network or files."""
        from DeepRegLogic.cine import Cine
        from DeepRegLogic.synthetic import cine_phantom

        cine = cine_phantom(seed=1, size=64, spacing=3.0).cine
        return Cine(cine.frames[:10:2], cine.grid, cine.times[:10:2], name="phantom")

    def test_phantomIsFollowed(self):
        """The motion of a synthetic cine is found, and what is added to the scene plays."""
        self.delayDisplay("Registering a synthetic cine")
        sequenceNode = scene.addCine(self._phantom())
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
        cine = self._phantom()
        sequenceNode = scene.addCine(cine)
        volumes = [slicer.mrmlScene.AddNode(sequenceNode.GetNthDataNode(frame)) for frame in (0, 4)]
        nodes = TemporalRegistrationLogic().registerPair(*volumes, model=None, device="cpu")
        fixed, moving, warped = (slicer.util.arrayFromVolume(node).astype(float) for node in (*volumes, nodes.warped))
        self.assertLess(abs(warped - fixed).mean(), 0.8 * abs(moving - fixed).mean())
        self.delayDisplay("Test passed")

    def test_emptySequenceIsRefused(self):
        """A sequence that cannot be registered is refused in a sentence, and the scene stays as it was."""
        sequenceNode = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", "nothing")
        count = slicer.mrmlScene.GetNumberOfNodes()
        with self.assertRaisesRegex(ValueError, "'nothing' is empty"):
            TemporalRegistrationLogic().registerCine(sequenceNode, model=None)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), count)
