"""New cines from the command line and from the script: whole folders that say what made them."""

from __future__ import annotations

import csv
import importlib.util
import json
import runpy
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from made_models import save_generator
from PIL import Image

from DeepRegLogic import read_cine
from DeepRegLogic.__main__ import main
from DeepRegLogic.files import MARKER
from DeepRegLogic.io import write_cine


@pytest.fixture(scope="module")
def generator(tmp_path_factory) -> str:
    """An untrained model, which moves a little."""
    return save_generator(tmp_path_factory.mktemp("models") / "generator")


@pytest.fixture
def command(beating, generator, tmp_path) -> list[str]:
    """Arguments that make two cines of four frames from frame 1 of a NIfTI file, with labels."""
    cine, _, labels = beating
    write_cine(tmp_path / "disc.nii.gz", cine.frames, cine)
    still = type(cine)(labels[None], cine.grid)
    write_cine(tmp_path / "labels.nii.gz", still.frames, still)
    return [
        "--input", str(tmp_path / "disc.nii.gz"), "--frame", "1", "--labels", str(tmp_path / "labels.nii.gz"),
        "--output", str(tmp_path / "out"), "--frames", "4", "--samples", "2", "--seed", "7",
        "--model", generator, "--device", "cpu",
    ]  # fmt: skip


def test_a_folder_a_sample_in_the_format_of_the_input(command, beating, tmp_path):
    assert main(["generate", *command]) == 0
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == {
        "sample-001", "sample-002", "samples.csv", "montage.png", "samples.gif", "report.json", MARKER,
    }  # fmt: skip
    for number in (1, 2):
        folder = out / f"sample-{number:03d}"
        assert {path.name for path in folder.iterdir()} == {"cine.nii.gz", "labels.nii.gz", "fields"}
        assert len(list((folder / "fields").iterdir())) == 8
        made = read_cine(folder / "cine.nii.gz")
        assert made.frames.shape == (4, 40, 48)
        np.testing.assert_allclose(made.frames[0], beating[0].frames[1], rtol=1e-5)
        np.testing.assert_array_equal(read_cine(folder / "labels.nii.gz").frames[0], beating[2])
    report = json.loads((out / "report.json").read_text())
    assert report["settings"]["seed"] == 7
    assert report["input"]["frame"] == 1
    assert [sample["model"] for sample in report["samples"]] == ["g", "g"]
    assert len(report["samples"][0]["weights_sha256"]) == 64
    with open(out / "samples.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    assert float(rows[0]["label_2_mm2"]) == pytest.approx((beating[2] == 2).sum() * 3.0)
    with Image.open(out / "samples.gif") as picture:
        assert picture.n_frames == 4
    with Image.open(out / "montage.png") as picture:
        assert np.asarray(picture.convert("L")).std() > 20


def test_the_report_makes_the_same_cines_again(command, tmp_path):
    assert main(["generate", *command]) == 0
    first = read_cine(tmp_path / "out" / "sample-002" / "cine.nii.gz").frames
    settings = json.loads((tmp_path / "out" / "report.json").read_text())["settings"]
    again = [*command, "--seed", str(settings["seed"]), "--output", str(tmp_path / "again")]
    assert main(["generate", *again]) == 0
    np.testing.assert_array_equal(read_cine(tmp_path / "again" / "sample-002" / "cine.nii.gz").frames, first)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (["--samples", "0"], "The number of samples must be a whole number of 1 or more, not 0."),
        (["--seed", "-3"], "The seed must be a whole number of 0 or more, not -3."),
        (["--frames", "1"], "The number of frames must be a whole number of 2 or more, not 1."),
        (["--frame", "9"], "'disc' has frames 0 to 5, not 9."),
        (["--model", "voxelmorph-cardiac"], "The model 'voxelmorph-cardiac' cannot generate"),
    ],
)
def test_bad_input_is_one_sentence_and_writes_nothing(command, tmp_path, capsys, change, sentence):
    assert main(["generate", *command, *change]) == 1
    error = capsys.readouterr().err
    assert error.startswith(sentence)
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_labels_of_another_size(command, tmp_path, beating, capsys):
    from DeepRegLogic import Cine, Grid

    small = Cine(np.ones((1, 20, 20), np.uint8), Grid((20, 20, 1), (1.5, 2.0, 8.0), (10.0, -20.0, 30.0)))
    write_cine(tmp_path / "small.nii.gz", small.frames, small)
    assert main(["generate", *command, "--labels", str(tmp_path / "small.nii.gz")]) == 1
    error = capsys.readouterr().err
    assert "small.nii.gz" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_the_script_writes_a_scene_too(command, tmp_path, repository, scene):
    import slicer
    from TemporalRegistrationLib.kinds.generate import generatedNodesOf

    spec = importlib.util.spec_from_file_location("generate_script", repository / "Resources/Scripts/generate.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.main(["--", *command]) == 0
    scene.Clear(0)
    slicer.util.loadScene(str(tmp_path / "out" / "scene.mrb"))
    (volume,) = (n for n in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") if n.GetName() == "disc")
    nodes = generatedNodesOf(volume)
    assert len(nodes.samples) == 2
    assert nodes.samples[1].labels.GetNumberOfDataNodes() == 4
    assert script.main(["--samples", "two"]) == 2
    assert script.main([*command, "--samples", "0"]) == 1


def test_the_application_ends_with_the_exit_code_of_the_script(repository, monkeypatch, command, tmp_path):
    codes: list[int] = []
    slicer = SimpleNamespace(
        app=SimpleNamespace(commandOptions=lambda: None), mrmlScene=object(), util=SimpleNamespace(exit=codes.append)
    )
    monkeypatch.setitem(sys.modules, "slicer", slicer)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for arguments in (["--speed", "9"], [*command, "--samples", "0"]):
        monkeypatch.setattr(sys, "argv", ["generate.py", "--", *arguments])
        with pytest.raises(SystemExit) as stop:
            runpy.run_path(str(repository / "Resources/Scripts/generate.py"), run_name="__main__")
        assert stop.value.code == codes[-1]
    assert codes == [2, 1]
    assert not (tmp_path / "out").exists()
