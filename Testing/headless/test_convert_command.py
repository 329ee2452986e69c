"""Fields for other programs: ``register --fields`` and ``convert``."""

from __future__ import annotations

import json

import numpy as np
import pytest
from made_fields import image_and_field
from made_geometry import SLICE, VOLUME

from DeepRegLogic import InputError, write_cine, write_motion
from DeepRegLogic.cli import main
from DeepRegLogic.io import read_field, write_field
from DeepRegLogic.io.field_formats import FIELD_FORMATS, read_any_field

ALL = ("itk", "ants", "fsl", "elastix", "x5")


@pytest.fixture(autouse=True)
def _packages():
    pytest.importorskip("nibabel")
    pytest.importorskip("h5py")


def test_register_writes_the_fields_for_other_programs_too(beating, tmp_path, capsys):
    cine = beating[0]
    write_cine(tmp_path / "disc.seq.nrrd", cine.frames, cine)
    arguments = ["--input", str(tmp_path / "disc.seq.nrrd"), "--output", str(tmp_path / "out")]
    assert main(["register", *arguments, "--model", "none", "--device", "cpu", "--fields", ",".join(ALL)]) == 0
    listed = json.loads((tmp_path / "out" / "report.json").read_text())["files"]
    for name in ALL:
        entry = FIELD_FORMATS[name]
        for stem in ("displacement_003", "inverse_003"):
            assert f"fields/{name}/{stem}{entry.suffix}" in listed
            theirs, grid = read_any_field(tmp_path / "out" / "fields" / name / f"{stem}{entry.suffix}")
            ours, where = read_field(tmp_path / "out" / "fields" / f"{stem}.nrrd")
            assert grid.matches(where)
            np.testing.assert_allclose(theirs, ours, atol=5e-5)


def test_a_motion_in_other_formats(beating, tmp_path):
    cine, motion, _ = beating
    written = write_motion(motion, cine, tmp_path, field_formats=["fsl", "elastix"])
    names = {path.relative_to(tmp_path).as_posix() for path in written}
    assert {"fields/fsl/displacement_003.nii.gz", "fields/elastix/inverse_000_field.mha"} <= names
    assert all(path.is_file() for path in written)
    np.testing.assert_allclose(
        read_any_field(tmp_path / "fields/fsl/displacement_003.nii.gz")[0], motion.displacement[3], atol=5e-5
    )
    with pytest.raises(InputError, match="no field format 'fls'"):
        write_motion(motion, cine, tmp_path / "more", field_formats=["fls"])
    assert not (tmp_path / "more").exists()


@pytest.mark.parametrize("to", ALL)
def test_convert_from_every_format_to_every_other(to, tmp_path, capsys):
    for grid in (SLICE, VOLUME):
        _, field = image_and_field(grid)
        source, name = tmp_path / "u.nrrd", f"{grid.ndim}d"
        write_field(source, field, grid)
        assert main(["convert", "--input", str(source), "--to", to, "--output", str(tmp_path / name)]) == 0
        there = tmp_path / name / f"u{FIELD_FORMATS[to].suffix}"
        back = tmp_path / f"{name}-back"
        assert main(["convert", "--input", str(there), "--to", "nrrd", "--output", str(back)]) == 0
        found, where = read_field(back / "u.nrrd")
        assert where.matches(grid)
        np.testing.assert_allclose(found, field, atol=1e-4)


def test_convert_takes_the_fields_of_a_folder_of_results(beating, tmp_path, capsys):
    cine, motion, _ = beating
    write_motion(motion, cine, tmp_path / "out")
    assert main(["convert", "--input", str(tmp_path / "out"), "--to", "ants", "--output", str(tmp_path / "ants")]) == 0
    assert len(list((tmp_path / "ants").iterdir())) == 2 * len(cine)
    assert "Wrote 12 fields for ANTs" in capsys.readouterr().out


def test_convert_refuses_in_one_sentence_and_writes_nothing(beating, tmp_path, capsys):
    _, field = image_and_field(SLICE)
    for folder in ("a", "b"):
        write_field(tmp_path / folder / "u.nrrd", field, SLICE)
    (tmp_path / "empty").mkdir()
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "u.nii.gz").write_text("mine")
    (tmp_path / "bad.nii.gz").write_text("hello")
    for sources, output, words in (
        (["a/u.nrrd", "b/u.nrrd"], "out", "Two of the fields would become"),
        (["empty"], "out", "holds no displacement fields"),
        (["a/u.nrrd"], "there", "is there already"),
        (["a/u.nrrd", "bad.nii.gz"], "out", "no displacement field that is known"),
        (["none.nrrd"], "out", "no file"),
    ):
        paths = [str(tmp_path / source) for source in sources]
        assert main(["convert", "--input", *paths, "--to", "ants", "--output", str(tmp_path / output)]) == 1
        told = capsys.readouterr().err.strip()
        assert words in told
        assert len(told.splitlines()) == 1
        assert not (tmp_path / "out").exists()
    assert (tmp_path / "there" / "u.nii.gz").read_text() == "mine"


def test_a_format_whose_package_is_missing_is_told_before_the_work(beating, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SystemExit):
        main(["register", "--input", "cine.nrrd", "--output", "out", "--fields", "x5"])
    assert "need the package 'h5py': pip install h5py" in " ".join(capsys.readouterr().err.split())
