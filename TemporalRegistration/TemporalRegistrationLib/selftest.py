"""The tests that run in the application itself, quickly and offline; ``TemporalRegistrationTest`` takes them in."""

from __future__ import annotations

from dataclasses import replace

import slicer
import slicer.util

from DeepRegLogic.cine import Cine
from DeepRegLogic.errors import Cancelled

from . import sample
from .nodes import sequences


class SelfTest:
    """For a ``ScriptedLoadableModuleTest``; ``logic()`` gives the logic of the module."""

    def logic(self):
        raise NotImplementedError

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
        cine = sequences.cineFromSequence(sample.loadSample())
        slicer.mrmlScene.Clear()
        frames = cine.frames[:10:2, ::2, ::2]
        grid = replace(cine.grid, size=(*frames.shape[:0:-1], 1), spacing=tuple(2 * s for s in cine.grid.spacing))
        return Cine(frames, grid, cine.times[:10:2], name="cine")

    def test_cineIsFollowed(self):
        """The motion of the bundled cine is found, and what is added to the scene plays."""
        self.delayDisplay("Registering the bundled cine")
        sequenceNode = sequences.addCine(self._cine())
        nodes = self.logic().registerCine(sequenceNode, model=None, reference=0, device="cpu")
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
        sequenceNode = sequences.addCine(self._cine())
        volumes = [slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name) for name in ("fixed", "moving")]
        for frame, volume in zip((0, 4), volumes, strict=True):
            volume.CopyContent(sequenceNode.GetNthDataNode(frame))
        nodes = self.logic().registerPair(*volumes, model=None, device="cpu")
        fixed, moving, warped = (slicer.util.arrayFromVolume(node).astype(float) for node in (*volumes, nodes.warped))
        self.assertLess(abs(warped - fixed).mean(), 0.8 * abs(moving - fixed).mean())
        self.delayDisplay("Test passed")

    def test_runIsCancelled(self):
        """A cancelled run leaves the scene as it was."""
        sequenceNode = sequences.addCine(self._cine())
        count = slicer.mrmlScene.GetNumberOfNodes()
        job = self.logic().registerCine(sequenceNode, model=None, device="cpu", wait=False)
        job.cancel()
        with self.assertRaises(Cancelled):
            job.wait()
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), count)

    def test_emptySequenceIsRefused(self):
        """A sequence that cannot be registered is refused in a sentence, and the scene stays as it was."""
        sequenceNode = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", "nothing")
        count = slicer.mrmlScene.GetNumberOfNodes()
        with self.assertRaisesRegex(ValueError, "'nothing' is empty"):
            self.logic().registerCine(sequenceNode, model=None)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), count)
