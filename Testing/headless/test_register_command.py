"""The register command on files: what it writes, what it refuses, and that it never leaves half a result."""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import json
import os
import re
import signal
import sys
from pathlib import Path

import made_dicom
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from processes import run
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid
from safetensors.numpy import save

from DeepRegLogic import zoo
from DeepRegLogic.files import MARKER
from DeepRegLogic.networks import build

QUICK = ["--model", "none", "--device", "cpu"]


def write_cine(path: Path, frames: np.ndarray, spacing: tuple[float, ...] = (1.5, 1.5, 8.0, 0.05)) -> Path:
    """A one-slice cine ``[T, H, W]`` as a 4D file."""
    image = sitk.GetImageFromArray(frames[:, None], isVector=False)
    image.SetSpacing(spacing)
    sitk.WriteImage(image, str(path))
    return path


def write_labels(path: Path, labels: np.ndarray, cine: Path) -> Path:
    """A label map ``[H, W]`` of the first slice of the 4D file ``cine``."""
    image = sitk.GetImageFromArray(labels[None])
    image.SetSpacing(sitk.ReadImage(str(cine)).GetSpacing()[:3])
    sitk.WriteImage(image, str(path))
    return path


@pytest.fixture(scope="module")
def frames(beating) -> np.ndarray:
    return beating[0].frames.astype(np.float32)


@pytest.fixture(scope="module")
def sample(tmp_path_factory, frames) -> Path:
    return write_cine(tmp_path_factory.mktemp("sample") / "disc.nii.gz", frames)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, script, sample, beating) -> Path:
    """The results of one whole run with labels."""
    folder = tmp_path_factory.mktemp("finished")
    labels = write_labels(folder / "labels.nii.gz", beating[2], sample)
    arguments = ["--input", str(sample), "--labels", str(labels), "--reference", "1", *QUICK]
    assert script.main([*arguments, "--output", str(folder / "out")]) == 0
    return folder / "out"


def test_everything_is_written(finished):
    report = json.loads((finished / "report.json").read_text(encoding="utf-8"))
    found = {p.relative_to(finished).as_posix() for p in finished.rglob("*") if p.is_file()}
    assert found == {*report["files"], "report.json", MARKER}
    assert set(json.loads((finished / MARKER).read_text(encoding="utf-8"))["files"]) == found - {MARKER}
    figures = {"montage.png", "checkerboard_before.png", "checkerboard_after.png", "curves.png", "jacobian.png"}
    assert {f"figures/{name}" for name in (*figures, "motion.gif")} <= found
    assert "frames.csv" in found
    assert [p.name for p in finished.parent.iterdir() if p.name.startswith(".")] == []
    if importlib.util.find_spec("slicer") is not None:
        assert "scene.mrb" in found


def test_scene_plays_after_reload(finished):
    slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
    slicer.mrmlScene.Clear()
    slicer.util.loadScene(str(finished / "scene.mrb"))
    browser = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSequenceBrowserNode")
    sequences = slicer.util.getNodesByClass("vtkMRMLSequenceNode")
    # cine, compensated, difference, propagated image and labels, transforms both ways, Jacobian
    assert len(sequences) == 8
    for sequence in sequences:
        assert sequence.GetNumberOfDataNodes() == 6
        assert browser.IsSynchronizedSequenceNode(sequence, True)
    slicer.mrmlScene.Clear()


def test_report_says_what_was_done_and_how_well(finished, sample):
    report = json.loads((finished / "report.json").read_text(encoding="utf-8"))
    assert report["input"]["source"] == str(sample)
    assert report["input"]["frames"] == 6
    assert report["input"]["spacing_mm"] == pytest.approx([1.5, 1.5, 8.0])
    assert report["reference"] == 1
    assert report["settings"]["model"] is None
    assert set(report["labels"]) == {"1", "2"}
    assert set(report["seconds"]) == {"read", "register", "write"}
    moved = report["frames"][3]
    assert moved["error_after"] < 0.5 * moved["error_before"]
    assert all(frame["folded"] == 0 for frame in report["frames"])


def test_frames_table_follows_the_disc(finished, beating):
    with open(finished / "frames.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    areas = np.array([float(row["label_2_mm2"]) for row in rows])
    true = np.exp(-2 * np.array([0.15, 0.0, 0.15, 0.3, 0.3, 0.2]))
    np.testing.assert_allclose(areas / areas[1], true, atol=0.08)


def test_an_earlier_result_is_replaced(finished, script, sample):
    before = (finished / "report.json").stat().st_ino
    assert script.main(["--input", str(sample), "--output", str(finished), "--reference", "1", *QUICK]) == 0
    assert (finished / "report.json").stat().st_ino != before


def test_pair(script, tmp_path, frames):
    for name, t in (("fixed", 1), ("moving", 3)):
        image = sitk.GetImageFromArray(frames[t][None])
        image.SetSpacing((1.5, 1.5, 8.0))
        sitk.WriteImage(image, str(tmp_path / f"{name}.nrrd"))
    pair = ["--fixed", str(tmp_path / "fixed.nrrd"), "--moving", str(tmp_path / "moving.nrrd")]
    assert script.main([*pair, "--output", str(tmp_path / "out"), *QUICK]) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert [frame["reference"] for frame in report["frames"]] == [True, False]
    assert report["frames"][1]["error_after"] < 0.5 * report["frames"][1]["error_before"]


def test_region_of_interest_is_given_in_ijk(script, tmp_path, sample):
    arguments = ["--input", str(sample), "--roi", "4,44,2,38", "--output", str(tmp_path / "out"), *QUICK]
    assert script.main(arguments) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert report["settings"]["roi"] == [[2, 4], [38, 44]]


def test_a_folder_of_studies_goes_on_past_a_bad_one(script, tmp_path, frames, capsys):
    studies = tmp_path / "studies"
    studies.mkdir()
    write_cine(studies / "a.nii.gz", frames)
    (studies / "b.nii.gz").write_bytes(b"not an image")
    write_cine(studies / "c.nrrd", frames)
    assert script.main(["--input", str(studies), "--studies", "--output", str(tmp_path / "out"), *QUICK]) == 1
    with open(tmp_path / "out" / "studies.csv", newline="", encoding="utf-8") as file:
        rows = {row["study"]: row for row in csv.DictReader(file)}
    assert {name: row["status"] for name, row in rows.items()} == {"a": "ok", "b": "failed", "c": "ok"}
    assert "b.nii.gz" in rows["b"]["message"]
    assert rows["a"]["frames"] == "6"
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a", "c", "studies.csv"]
    captured = capsys.readouterr()
    assert captured.err.startswith("b: ")
    assert "2 of 3 studies were registered" in captured.out


def _with(frames: np.ndarray, value: float) -> np.ndarray:
    spoilt = frames.copy()
    spoilt[4, 7, 9] = value
    return spoilt


def _images(folder: Path, shapes: list[tuple[int, int]]) -> Path:
    for number, shape in enumerate(shapes):
        image = sitk.GetImageFromArray(np.random.default_rng(number).random(shape).astype(np.float32))
        sitk.WriteImage(image, str(folder / f"image{number}.nrrd"))
    return folder


def _truncated(path: Path, frames: np.ndarray) -> Path:
    image = sitk.GetImageFromArray(frames[:, None], isVector=False)
    sitk.WriteImage(image, str(path), useCompression=False)
    path.write_bytes(path.read_bytes()[:-5000])
    return path


def _dicom(folder: Path, positions: list[float], phases: int, orientations: list[list[float]], series: int = 1) -> Path:
    """Classic cine DICOM: ``series`` series, each of every position x phase; orientations are dealt out in turn."""
    number = 0
    study = generate_uid()
    for _ in range(series):
        uid = generate_uid()
        for position in positions:
            for phase in range(phases):
                data = pydicom.Dataset()
                data.file_meta = pydicom.dataset.FileMetaDataset()
                data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
                data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = MRImageStorage
                data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = generate_uid()
                data.StudyInstanceUID, data.SeriesInstanceUID, data.Modality = study, uid, "MR"
                data.Rows = data.Columns = 16
                data.PixelSpacing, data.SliceThickness = [1.5, 1.5], 8.0
                data.ImageOrientationPatient = orientations[number % len(orientations)]
                data.ImagePositionPatient, data.TriggerTime = [0.0, 0.0, position], 40.0 * phase
                data.InstanceNumber = number
                data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
                data.BitsAllocated = data.BitsStored = 16
                data.HighBit, data.PixelRepresentation = 15, 0
                data.PixelData = np.random.default_rng(number).integers(0, 900, (16, 16), dtype=np.uint16).tobytes()
                made_dicom.save(data, folder / f"{number:03}.dcm")
                number += 1
    return folder


def _drop(folder: Path, name: str) -> Path:
    (folder / name).unlink()
    return folder


FLAT, TURNED = [1.0, 0, 0, 0, 1.0, 0], [0.0, 1.0, 0, -1.0, 0, 0]

BAD_INPUTS = {
    "NaN": (lambda d, f: write_cine(d / "x.nrrd", _with(f, np.nan)), r"Frame 4 .*NaN or infinite"),
    "infinite": (lambda d, f: write_cine(d / "x.nrrd", _with(f, np.inf)), r"Frame 4 .*NaN or infinite"),
    "constant": (lambda d, f: write_cine(d / "x.nrrd", np.full_like(f, 7.0)), r"constant|same (value|intensity)"),
    "one frame": (lambda d, f: write_cine(d / "x.nrrd", f[:1]), r"one (frame|image)"),
    "2x2 pixels": (lambda d, f: write_cine(d / "x.nrrd", f[:, :2, :2]), r"2 ?[x×] ?2|too small|small"),
    "frames of different size": (lambda d, f: _images(d, [(20, 20), (20, 20), (20, 24)]), r"image2|frame 2"),
    "empty folder": (lambda d, f: d, r"empty|no image|nothing|holds no"),
    "missing": (lambda d, f: d / "nowhere.nrrd", r"nowhere\.nrrd"),
    "truncated": (lambda d, f: _truncated(d / "x.nrrd", f), r"x\.nrrd"),
    "several series": (lambda d, f: _dicom(d, [0.0], 4, [FLAT], series=2), r"series"),
    "missing phase": (lambda d, f: _drop(_dicom(d, [0.0, 8.0], 4, [FLAT]), "006.dcm"), r"phase|frames|images"),
    "mixed orientation": (lambda d, f: _dicom(d, [0.0], 4, [FLAT, FLAT, TURNED]), r"orient"),
}


@pytest.mark.parametrize("kind", BAD_INPUTS)
def test_bad_input_is_one_sentence_and_leaves_nothing(kind, script, tmp_path, frames, capsys):
    source = tmp_path / "source"
    source.mkdir()
    make, expected = BAD_INPUTS[kind]
    path = make(source, frames)
    assert script.main(["--input", str(path), "--output", str(tmp_path / "out"), *QUICK]) == 1
    _assert_refused(capsys, expected, tmp_path)


def _assert_refused(capsys, expected: str, folder: Path) -> None:
    message = capsys.readouterr().err.strip()
    assert re.search(expected, message), message
    assert len(message.splitlines()) == 1
    assert "Traceback" not in message
    assert not (folder / "out").exists()
    assert not list(folder.glob(".*"))


def _model(folder: Path, spoil: str) -> Path:
    card = zoo.Card("mine", "Mine", "for tests", "voxelmorph", {}, ndim=2, spacing=1.5)
    zoo.save_model(folder, build("voxelmorph", ndim=2), card)
    weights = folder / zoo.WEIGHTS
    if spoil == "corrupt":
        weights.write_bytes(weights.read_bytes()[:-100])
        return folder
    content = b"\x80\x04\x95" + b"pickle" * 20
    if spoil == "wrong":
        content = save({"encoder.weight": np.zeros((3, 3), np.float32)})
    weights.write_bytes(content)
    fields = json.loads((folder / zoo.CARD).read_text(encoding="utf-8"))
    fields["sha256"] = hashlib.sha256(content).hexdigest()
    (folder / zoo.CARD).write_text(json.dumps(fields), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [("corrupt", "sha256"), ("pickled", "not a safetensors file"), ("wrong", "do not fit the network")],
)
def test_bad_weights_are_refused(spoil, expected, script, sample, tmp_path, capsys):
    model = _model(tmp_path / "mine", spoil)
    assert script.main(["--input", str(sample), "--output", str(tmp_path / "out"), "--model", str(model)]) == 1
    _assert_refused(capsys, expected, tmp_path)


def test_unknown_model_is_refused(script, sample, tmp_path, capsys):
    assert script.main(["--input", str(sample), "--output", str(tmp_path / "out"), "--model", "nonsense"]) == 1
    _assert_refused(capsys, "There is no model 'nonsense'", tmp_path)


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        (["--reference", "6"], r"6"),
        (["--roi", "100,140,0,40"], r"region|roi|ROI"),
        (["--memory-gb", "0.000001"], r"memory|GB"),
        (["--device", "abacus"], r"abacus"),
        (["--labels", "nowhere.nii.gz"], r"nowhere"),
        (["--moving", "x.nrrd"], r"either --input"),
        (["--no-refine", "--quality", "best"], r"--no-refine leaves no refinement"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(extra, expected, script, sample, tmp_path, capsys):
    assert script.main(["--input", str(sample), "--output", str(tmp_path / "out"), *QUICK, *extra]) == 1
    _assert_refused(capsys, expected, tmp_path)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--output", "o", "--roi", "1,2,3"],
        ["--output", "o", "--roi", "5,2,0,9"],
        ["--output", "o", "--reference", "x"],
        ["--output", "o", "--quality", "finest"],
        ["--output", "o", "--similarity", "nncc"],
    ],
)
def test_wrong_arguments_give_code_2(arguments, script, capsys):
    assert script.main(arguments) == 2
    assert "register.py: error:" in capsys.readouterr().err


def test_labels_of_another_geometry_are_refused(script, sample, tmp_path, capsys):
    other = sitk.GetImageFromArray(np.ones((1, 30, 30), np.uint8))
    sitk.WriteImage(other, str(tmp_path / "labels.nrrd"))
    labels = ["--labels", str(tmp_path / "labels.nrrd")]
    assert script.main(["--input", str(sample), "--output", str(tmp_path / "out"), *QUICK, *labels]) == 1
    _assert_refused(capsys, "labels", tmp_path)


def test_an_output_that_cannot_be_a_folder_is_refused(script, sample, tmp_path, capsys):
    (tmp_path / "file").write_text("x")
    assert script.main(["--input", str(sample), "--output", str(tmp_path / "file" / "out"), *QUICK]) == 1
    _assert_refused(capsys, "could not be written", tmp_path)


def test_an_output_is_not_made_around_or_in_an_input(script, sample, tmp_path, capsys):
    assert script.main(["--input", str(sample.parent), "--output", str(sample.parent / "out"), *QUICK]) == 1
    _assert_refused(capsys, "lies in the input", sample.parent)
    assert [path.name for path in sample.parent.iterdir()] == [sample.name]


def test_an_output_with_other_files_is_refused(script, sample, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "report.json").write_text("somebody else's")
    assert script.main(["--input", str(sample), "--output", str(tmp_path / "out"), *QUICK]) == 1
    assert "holds other files ('report.json')" in capsys.readouterr().err
    assert [path.read_text() for path in (tmp_path / "out").iterdir()] == ["somebody else's"]


@pytest.fixture
def program(repository) -> list[object]:
    """The script as a program of its own."""
    return [sys.executable, repository / "Resources/Scripts/register.py"]


@pytest.mark.skipif(os.name != "posix", reason="file size limits are those of POSIX")
def test_a_full_disk_leaves_nothing(program, sample, tmp_path):
    import resource

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    done = run([*program, "--input", sample, "--output", tmp_path / "out", *QUICK], preexec_fn=small_files)
    assert done.returncode == 1
    assert "written" in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


# as a user would send them, at a moment that does not depend on how fast anything is
SIGNALLED = """
import os, runpy, signal, sys
from DeepRegLogic.cli.console import Progress

moment, number, *sys.argv = sys.argv[1:]
signal.signal(int(number), signal.SIG_DFL)  # a shell may have started the tests with it ignored
report = Progress.__call__

def report_and_signal(self, fraction, text):
    report(self, fraction, text)
    if moment in f"[{fraction:4.0%}] {text}":
        print("a signal is sent", flush=True)
        os.kill(os.getpid(), int(number))

Progress.__call__ = report_and_signal
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX")
@pytest.mark.parametrize(
    ("moment", "name"),
    [
        ("Reading", "SIGINT"),
        ("[ 2", "SIGTERM"),
        ("fields of frame 2", "SIGINT"),
        ("curves", "SIGINT"),
        ("[ 2", "SIGHUP"),
    ],
)
def test_a_signal_stops_the_work_and_leaves_nothing(moment, name, program, repository, tmp_path, frames):
    number = int(getattr(signal, name))
    cine = write_cine(tmp_path / "big.nrrd", np.kron(frames, np.ones((1, 2, 2), np.float32)))
    python, script = program
    arguments = ["--input", cine, "--output", tmp_path / "out", *QUICK]
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    done = run([python, "-c", SIGNALLED, moment, number, script, *arguments], env=environment)
    assert done.returncode == 128 + number, done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("Cancelled")
    assert done.stdout.splitlines().count("a signal is sent") == 1
    assert done.stdout.splitlines()[-1] == "a signal is sent"  # no further step was begun
    assert [p.name for p in tmp_path.iterdir()] == ["big.nrrd"]


@pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX")
def test_a_second_signal_ends_the_program_at_once(program, repository, sample, tmp_path):
    twice = SIGNALLED.replace("int(number))", "int(number)); os.kill(os.getpid(), int(number))")
    python, script = program
    arguments = ["--input", sample, "--output", tmp_path / "out", *QUICK]
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    done = run([python, "-c", twice, "Reading", int(signal.SIGTERM), script, *arguments], env=environment)
    assert done.returncode == -signal.SIGTERM
    assert not (tmp_path / "out").exists()


def test_without_slicer_everything_but_the_scene_is_written(program, sample, tmp_path):
    (tmp_path / "slicer.py").write_text("raise ImportError('there is no slicer')")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = run([*program, "--input", sample, "--output", tmp_path / "out", *QUICK], env=environment)
    assert done.returncode == 0, done.stderr
    assert "everything is written but the scene" in done.stdout
    assert not (tmp_path / "out" / "scene.mrb").exists()
    assert (tmp_path / "out" / "report.json").exists()


def test_module_command_does_the_same_without_a_scene(repository, sample, tmp_path):
    command = [sys.executable, "-m", "DeepRegLogic", "register", "--input", sample, "--output", tmp_path / "out"]
    done = run([*command, *QUICK], env={**os.environ, "PYTHONPATH": str(repository)})
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "report.json").exists()
    assert not (tmp_path / "out" / "scene.mrb").exists()


def test_names_of_a_segmentation_reach_the_report(script, repository, tmp_path):
    samples = repository / "Resources" / "SampleData"
    arguments = ["--input", str(samples / "four-chamber.seq.nrrd"), "--labels", str(samples / "four-chamber.seg.nrrd")]
    assert script.main([*arguments, "--roi", "30,90,20,80", "--output", str(tmp_path / "out"), *QUICK]) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert report["labels"] == {"1": "LV blood", "2": "LV myocardium", "3": "RV blood", "4": "LA", "5": "RA"}


def test_readme_names_every_option(repository, script, capsys):
    assert script.main(["--help"]) == 0
    options = set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) - {"--help"}
    assert "--input" in options
    assert options - set(re.findall(r"--[a-z-]+", (repository / "README.md").read_text(encoding="utf-8"))) == set()


def test_readme_names_every_model(repository):
    text = (repository / "README.md").read_text(encoding="utf-8")
    assert [card.name for card in zoo.list_models() if f"`{card.name}`" not in text] == []
