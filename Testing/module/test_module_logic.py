"""The module's logic and its own test, run on slicer-core."""

from __future__ import annotations

import ast
import subprocess
import sys
import unittest
from types import SimpleNamespace

import numpy as np
import pytest

from DeepRegLogic import Cancelled, Cine, InputError, RegistrationError
from DeepRegLogic.synthetic import cine_phantom

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")

from TemporalRegistrationLib.kinds import kindOf, models  # noqa: E402
from TemporalRegistrationLib.nodes import segmentations  # noqa: E402
from TemporalRegistrationLib.nodes.sequences import addCine  # noqa: E402
from TemporalRegistrationLib.run import environment  # noqa: E402

from DeepRegLogic.service import packages  # noqa: E402


@pytest.fixture(scope="session")
def phantom():
    return cine_phantom(seed=2, size=64, spacing=3.0)


@pytest.fixture
def sequence(scene, phantom):
    """Five frames from rest to contraction in the scene."""
    cine = phantom.cine
    return addCine(Cine(cine.frames[:10:2], cine.grid, cine.times[:10:2], name="phantom"))


def test_module_describes_itself(module):
    parent = SimpleNamespace()
    module.TemporalRegistration(parent)
    assert parent.helpText
    assert parent.acknowledgementText
    assert parent.title == "Temporal Registration"
    assert parent.categories == ["Registration"]
    assert "Sequences" in parent.dependencies


def test_import_is_light_and_the_panel_opens_without_torch(repository):
    code = (
        "import sys; sys.path[:0] = ['Testing/host', 'TemporalRegistration', '.']\n"
        "import application; application.install()\n"
        "import hashlib, queue, subprocess\n"  # the application has these already
        "before = set(sys.modules)\n"
        "import TemporalRegistration\n"
        "print(sorted({name.partition('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)))\n"
        "from pathlib import Path\n"
        "application.openModule(Path('TemporalRegistration/TemporalRegistration.py')).cleanup()\n"
        "print([name for name in ('torch', 'monai', 'SimpleITK') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    light, heavy = done.stdout.strip().splitlines()
    assert heavy == "[]"
    assert set(ast.literal_eval(light)) <= {"DeepRegLogic", "TemporalRegistration", "TemporalRegistrationLib", "vtk"}


def test_the_modules_own_test_passes(module):
    result = unittest.TestResult()
    module.TemporalRegistrationTest("runTest").run(result)
    assert result.testsRun == 1
    assert not result.errors, result.errors[0][1]
    assert not result.failures, result.failures[0][1]


def test_cine_with_labels_and_progress(module, sequence, phantom):
    seen = []
    mask = (phantom.labels[0] == 1).astype(np.uint8)
    part = segmentations.Segment("a", "ventricle", (1.0, 0.0, 0.0), mask)
    drawn = segmentations.segmentationNodeFromMasks([part], [mask], phantom.cine.grid, "drawn")
    nodes = module.TemporalRegistrationLogic().registerCine(
        sequence,
        model=None,
        reference=0,
        device="cpu",
        labels=slicer.mrmlScene.AddNode(drawn),
        progressCallback=lambda fraction, text: seen.append((fraction, text)),
    )
    fractions = [fraction for fraction, _ in seen]
    assert fractions == sorted(fractions)
    assert fractions[0] == 0
    assert fractions[-1] > 0.9
    assert all(text for _, text in seen)
    nodes.browser.SetSelectedItemNumber(4)
    (found,) = segmentations.segmentsOf(nodes.proxy(nodes.labels), phantom.cine.grid)
    truth = phantom.labels[8] == 1
    overlap = 2 * (found.mask & truth).sum() / (found.mask.sum() + truth.sum())
    before = 2 * (mask & truth).sum() / (mask.sum() + truth.sum())
    assert overlap > before + 0.05


def test_process_does_what_the_parameter_node_says(module, sequence):
    logic = module.TemporalRegistrationLogic()
    node = logic.getParameterNode()
    assert (node.automaticReference, node.quality, node.device) == (True, "standard", "auto")
    assert kindOf(node).whyNot(node) == "Select a cine"
    node.inputSequence = sequence
    node.model = ""
    node.quality = "fast"
    assert kindOf(node).whyNot(node) == "Choose a model, or a higher quality"
    node.quality, node.automaticReference, node.referenceFrame, node.device = "standard", False, 3, "cpu"
    assert kindOf(node).whyNot(node) == ""
    assert kindOf(node).offer(node) == "Follow the motion of 'phantom' (5 frames)"
    nodes = logic.process(node)
    transform = nodes.toFrame.GetNthDataNode(3).GetTransformFromParent()
    grid = slicer.vtkOrientedGridTransform.SafeDownCast(transform).GetDisplacementGrid()
    assert grid.GetPointData().GetScalars().GetRange(-1) == (0.0, 0.0)


def test_models_are_offered(module):
    found = models()
    assert list(found)[-1] == ""
    assert all(title and summary for title, summary in found.values())


@pytest.mark.parametrize("when", [0.0, 0.3, 0.9])
def test_cancel_leaves_the_scene_alone(module, sequence, when):
    count = slicer.mrmlScene.GetNumberOfNodes()
    job = module.TemporalRegistrationLogic().registerCine(sequence, model=None, device="cpu", wait=False)
    job.onChanged = lambda job: job.cancel() if job.fraction >= when else None
    with pytest.raises(Cancelled):
        job.wait()
    assert job.state.name == "CANCELLED"
    assert slicer.mrmlScene.GetNumberOfNodes() == count


def test_bad_input_leaves_the_scene_alone(module, sequence):
    logic, count = module.TemporalRegistrationLogic(), slicer.mrmlScene.GetNumberOfNodes()
    with pytest.raises(InputError, match="eference"):
        logic.registerCine(sequence, model=None, reference=99)
    with pytest.raises(RegistrationError, match="no-such-model"):
        logic.registerCine(sequence, model="no-such-model")
    assert slicer.mrmlScene.GetNumberOfNodes() == count


def test_missing_packages_are_named(application, repository, monkeypatch, tmp_path):
    requirements = repository / "TemporalRegistration/Resources/requirements.txt"
    environment.ensurePackages(requirements)  # all are there
    absent = tmp_path / "requirements.txt"
    absent.write_text("# comment\n\nno_such_package>=1\n")
    asked = []
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda text: asked.append(text) or False)
    with pytest.raises(RegistrationError, match="no_such_package>=1 are needed and were not installed"):
        environment.ensurePackages(absent)
    assert "no_such_package>=1" in asked[0]
    real = environment.importlib.util.find_spec
    monkeypatch.setattr(
        environment.importlib.util, "find_spec", lambda name, *rest: None if name == "torch" else real(name, *rest)
    )
    monkeypatch.setattr(environment, "version_of", lambda name: "")
    monkeypatch.setattr(packages, "version_of", lambda name: "")
    with pytest.raises(RegistrationError, match="extension 'PyTorch' in the Extensions Manager"):
        environment.ensurePackages(requirements)


def test_requirements_are_the_projects_own(repository):
    tomllib = pytest.importorskip("tomllib")
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]["dependencies"]
    ours = environment._requirements(repository / "TemporalRegistration/Resources/requirements.txt")
    provided = {"numpy", "torch"}  # by the application, and by the extension PyTorch
    assert sorted(ours) == sorted(line for line in project if line.partition(">=")[0] not in provided)
    assert sorted(packages.REQUIREMENTS) == sorted(project)
    assert f"torch{environment.TORCH}" in project


def test_a_package_that_is_too_old_is_missing(monkeypatch):
    versions = {"numpy": "2.0.2", "torch": "2.13.0+cpu", "pydicom": "2.3.1", "SimpleITK": "2.4.0rc1", "monai": "1.4"}
    versions |= {"safetensors": "0.4.5", "pillow": "9.5.0", "matplotlib": "3.9.2"}
    monkeypatch.setattr(packages, "version_of", versions.__getitem__)
    assert packages.lacking() == ["pydicom>=2.4", "pillow>=10"]
    versions["torch"] = "2.3.1"
    monkeypatch.setattr(environment, "version_of", versions.__getitem__)
    with pytest.raises(RegistrationError, match=r"PyTorch 2\.3\.1 is too old, 2\.4 is needed"):
        environment.ensurePackages("")


def test_an_older_application_is_told_which_one_is_needed(module, repository, monkeypatch):
    import importlib.util

    monkeypatch.setattr(type(slicer.app), "minorVersion", 8)
    spec = importlib.util.spec_from_file_location("older", repository / "TemporalRegistration/TemporalRegistration.py")
    with pytest.raises(RuntimeError, match=r"needs 3D Slicer 5\.10 or later"):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    assert ".".join(map(str, module.OLDEST_SLICER)) in (repository / "README.md").read_text(encoding="utf-8")
