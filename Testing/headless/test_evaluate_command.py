"""The evaluate command and lists of pairs, on files: what is written, what is refused, what goes on past a failure."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from DeepRegLogic import io
from DeepRegLogic.cli import main
from DeepRegLogic.grid import Grid

GRID = Grid((48, 40, 1), (1.5, 1.5, 8.0), (3.0, 4.0, 0.0))
QUICK = ["--model", "none", "--device", "cpu"]


@pytest.fixture(autouse=True)
def one_thread():
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def write(path: Path, pixels: np.ndarray) -> Path:
    image = sitk.GetImageFromArray(pixels.reshape(1, *GRID.shape))
    image.SetSpacing(GRID.spacing)
    image.SetOrigin(GRID.origin)
    sitk.WriteImage(image, str(path))
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """Discs of two radii with their labels and landmarks, and lists of pairs and of cases."""
    folder = tmp_path_factory.mktemp("files")
    rows, columns = np.mgrid[:40, :48]
    for name, radius in (("fixed", 12.0), ("moving", 9.0)):
        distance = np.hypot(rows - 20, columns - 24)
        write(folder / f"{name}.nii.gz", (1 / (1 + np.exp(distance - radius))).astype(np.float32))
        write(folder / f"{name}_labels.nii.gz", (distance < radius).astype(np.uint8))
        rim = GRID.voxel_to_mm(np.array([[20.0, 24 + radius], [20 - radius, 24.0]]))
        lines = ["x,y,z", *(",".join(map(str, point)) for point in rim)]
        (folder / f"{name}.csv").write_text("\n".join(lines))
    (folder / "cases.csv").write_text(
        "name,fixed,moving,fixed_labels,moving_labels,fixed_points,moving_points\n"
        "disc,fixed.nii.gz,moving.nii.gz,fixed_labels.nii.gz,moving_labels.nii.gz,fixed.csv,moving.csv\n"
        "lost,fixed.nii.gz,nowhere.nii.gz,,,,\n"
    )
    (folder / "pairs.csv").write_text(
        "fixed,moving,moving_labels,fixed_mask\n"
        "fixed.nii.gz,moving.nii.gz,moving_labels.nii.gz,\n"
        "fixed.nii.gz,moving.nii.gz,,fixed_labels.nii.gz\n"
    )
    return folder


def table(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def evaluated(files) -> tuple[int, Path]:
    code = main(["evaluate", "--cases", str(files / "cases.csv"), "--output", str(files / "out"), *QUICK])
    return code, files / "out"


def test_cases_are_measured_and_the_failed_one_is_named(evaluated):
    code, out = evaluated
    assert code == 1
    good, bad = table(out / "cases.csv")
    assert (good["status"], bad["status"]) == ("ok", "failed")
    assert "nowhere.nii.gz" in bad["message"]
    assert float(good["dice"]) > 0.95 > float(good["dice_before"])
    assert float(good["dice_carried"]) > 0.95
    assert float(good["tre"]) < 1.0 < float(good["tre_before"])
    assert float(good["folded"]) == 0
    summary = {row["figure"]: row for row in table(out / "summary.csv")}
    assert float(summary["dice"]["mean"]) == pytest.approx(float(good["dice"]), abs=1e-5)
    assert summary["tre"]["unit"] == "mm"
    (label,) = table(out / "labels.csv")
    assert (label["case"], label["label"]) == ("disc", "1")
    assert (out / "summary.png").stat().st_size > 5000
    report = json.loads((out / "report.json").read_text())
    assert report["figures"]["hd95"]["unit"] == "mm"


def test_fields_of_another_program_are_measured_without_registering(files, tmp_path):
    field = np.zeros((2, *GRID.shape), np.float32)
    field[1] = 1.0
    io.write_field(tmp_path / "field.nrrd", field, GRID)
    case = ["--fixed", str(files / "fixed.nii.gz"), "--moving", str(files / "moving.nii.gz")]
    case += ["--fields", str(tmp_path / "field.nrrd"), "--truth", str(tmp_path / "field.nrrd")]
    assert main(["evaluate", *case, "--output", str(tmp_path / "out")]) == 0
    (row,) = table(tmp_path / "out" / "cases.csv")
    assert float(row["epe"]) == 0
    assert float(row["sd_log_j"]) == 0
    assert float(row["inverse_consistency"]) < 0.05
    assert "dice" not in row


def test_a_cine_with_labels_of_two_frames(files, tmp_path):
    frames = np.stack([io.read_image(files / f"{name}.nii.gz").frames[0] for name in ("fixed", "moving", "fixed")])
    image = sitk.GetImageFromArray(frames[:, None], isVector=False)
    image.SetSpacing((*GRID.spacing, 0.1))
    image.SetOrigin((*GRID.origin, 0.0))
    sitk.WriteImage(image, str(tmp_path / "cine.nii.gz"))
    labels = f"0={files / 'fixed_labels.nii.gz'};1={files / 'moving_labels.nii.gz'}"
    case = ["--input", str(tmp_path / "cine.nii.gz"), "--labels", labels, "--reference", "0"]
    assert main(["evaluate", *case, "--output", str(tmp_path / "out"), *QUICK]) == 0
    (row,) = table(tmp_path / "out" / "cases.csv")
    assert float(row["dice"]) > 0.95
    assert row["frames"] == "2"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--fixed", "a.nii"], "needs either an input, or a fixed and a moving image"),
        (["--fixed", "a.nii", "--moving", "b.nii", "--reference", "1"], "leave the reference out"),
        ([], "list of --cases"),
        (["--input", "a.nii", "--affine"], "--affine is for pairs"),
        (["--cases", "nowhere.csv"], "cannot be read"),
    ],
)
def test_what_is_no_case_is_refused_in_one_sentence(arguments, words, tmp_path, capsys):
    assert main(["evaluate", *arguments, "--output", str(tmp_path / "out")]) == 1
    message = capsys.readouterr().err
    assert words in message
    assert message.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_list_of_pairs_is_registered(files, tmp_path, capsys):
    code = main(
        ["register", "--pairs", str(files / "pairs.csv"), "--output", str(tmp_path / "out"), "--affine", *QUICK]
    )
    assert code == 0, capsys.readouterr().err
    rows = table(tmp_path / "out" / "studies.csv")
    assert [row["study"] for row in rows] == ["moving-to-fixed", "moving-to-fixed-2"]
    assert all(row["status"] == "ok" for row in rows)
    first = tmp_path / "out" / "moving-to-fixed"
    labels = io.read_image(next(first.glob("*_moving_labels*")))
    drawn = io.read_image(files / "fixed_labels.nii.gz").frames[0]
    warped = labels.frames[0]
    assert 2 * (warped & drawn).sum() / (warped.sum() + drawn.sum()) > 0.9
    matrix = sitk.ReadTransform(str(first / "fields" / "affine.tfm"))
    total, grid = io.read_field(first / "fields" / "displacement_001.nrrd")
    inner, _ = io.read_field(first / "fields" / "deformation.nrrd")
    place = np.array([20.0, 30.0])
    start, after = (grid.voxel_to_mm(place + field[:, 20, 30]) for field in (inner, total))
    np.testing.assert_allclose(matrix.TransformPoint(start.tolist())[:2], after[:2], atol=1e-3)
    settings = json.loads((tmp_path / "out" / "moving-to-fixed-2" / "report.json").read_text())["settings"]
    assert settings["fixed_mask"].endswith("fixed_labels.nii.gz")
    assert settings["affine"] is True


def test_lists_that_cannot_be_understood(files, tmp_path, capsys):
    for text, words in (
        ("fixed,moving,colour\na,b,c\n", "column 'colour'"),
        ("fixed,moving\n", "has no row"),
        ("fixed,moving\nfixed.nii.gz,\n", "Pair 1"),
        ("fixed,moving\na,b,c\n", "Line 2"),
    ):
        (tmp_path / "list.csv").write_text(text)
        assert main(["register", "--pairs", str(tmp_path / "list.csv"), "--output", str(tmp_path / "out")]) == 1
        assert words in capsys.readouterr().err
