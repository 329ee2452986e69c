"""Bad command lines: every one ends with its exit code and one sentence, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_models import save_generator

from DeepRegLogic import Cine, Grid
from DeepRegLogic.__main__ import main
from DeepRegLogic.io import read_cine, write_cine
from DeepRegLogic.memory import RAN_OUT, ran_out


def frames(count: int = 3) -> np.ndarray:
    rows, columns = np.mgrid[:32, :32]
    beating = [1000 * np.exp(-((rows - 16) ** 2 + (columns - 16 - t) ** 2) / 60) for t in range(count)]
    return np.stack(beating).astype(np.int16)


@pytest.fixture
def cine(tmp_path) -> Path:
    path = tmp_path / "in" / "c.seq.nrrd"
    path.parent.mkdir()
    write_cine(path, frames(), Cine(frames(), Grid((32, 32, 1), (1.8, 1.8, 8.0))))
    return path


def told(capsys, *words: object) -> str:
    """The sentence that a command ends with, whose exit code is 1."""
    assert main(list(map(str, words))) == 1
    error = capsys.readouterr().err
    assert len(error.strip().splitlines()) == 1, error
    assert "Traceback" not in error
    assert "unexpected error" not in error, error
    return error


BAD_INPUTS = ["a" * 300 + ".nrrd", "~nosuchuser77/x.nrrd", "h\udce9art.nrrd", "x/y/z.nii", "", "a\0b"]
BAD_OUTPUTS = ["o" * 300, "o\udce9", "in/c.seq.nrrd", "in", "in/c.seq.nrrd/x"]
BAD_OPTIONS = [
    ("--model", "m" * 300), ("--model", "../x"), ("--model", "\udce9"), ("--model", "/dev/zero"), ("--device", "meta"),
    ("--device", "hpu"), ("--device", "cuda:99"), ("--device", ""), ("--device", "cpu:x"), ("--labels", "/dev/zero"),
    ("--labels", "l" * 300), ("--memory-gb", "1e-6"), ("--reference", "9" * 40), ("--roi", "0,9,0,9"),
    ("--roi", "0,99999999999999999999,0,5"), ("--series", "1.2.3"),
]  # fmt: skip


@pytest.mark.parametrize("name", BAD_INPUTS)
def test_a_bad_input_is_one_sentence(cine, tmp_path, capsys, name):
    source = name if name.startswith("~") else tmp_path / "in" / name
    if name:
        told(capsys, "register", "--input", source, "--output", tmp_path / "out", "--no-refine", "--device", "cpu")
    assert [p.name for p in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize("name", BAD_OUTPUTS)
def test_a_bad_output_is_one_sentence_before_the_work(cine, tmp_path, capsys, name):
    told(capsys, "register", "--input", cine, "--output", tmp_path / name, "--no-refine", "--device", "cpu")
    assert [p.name for p in tmp_path.iterdir()] == ["in"]
    assert [p.name for p in (tmp_path / "in").iterdir()] == ["c.seq.nrrd"]


@pytest.mark.parametrize(("option", "value"), BAD_OPTIONS)
def test_a_bad_option_is_one_sentence(cine, tmp_path, capsys, option, value):
    """16 options; a DICOM series of a file that is none is no mistake of any weight."""
    words = ["register", "--input", cine, "--output", tmp_path / "out", option, value]
    words += [] if option == "--device" else ["--device", "cpu"]
    if option == "--series":
        assert main([*map(str, words), "--no-refine"]) == 0
        return
    told(capsys, *words, "--no-refine")
    assert [p.name for p in tmp_path.iterdir()] == ["in"]


def test_a_long_name_of_an_input_is_no_matter(tmp_path):
    path = tmp_path / ("x" * 240 + ".seq.nrrd")
    write_cine(path, frames(), Cine(frames(), Grid((32, 32, 1), (1.8, 1.8, 8.0))))
    words = ["register", "--input", path, "--output", tmp_path / "out", "--no-refine", "--device", "cpu"]
    assert main(list(map(str, words))) == 0
    assert len(list((tmp_path / "out").glob("x*_compensated.seq.nrrd"))) == 1


@pytest.mark.parametrize("spacing", [1800.0, 1e30, 1.8e-3, 1.8e-6, 99.0])
def test_a_spacing_in_another_unit_is_told(tmp_path, capsys, cine, spacing):
    content = cine.read_bytes()
    assert b"(1.8," in content
    cine.write_bytes(content.replace(b"1.8,", f"{spacing!r},".encode()).replace(b",1.8,", f",{spacing!r},".encode()))
    error = told(capsys, "register", "--input", cine, "--output", tmp_path / "out", "--no-refine", "--device", "cpu")
    assert "mm" in error
    assert "spacing" in error


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(), RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("CUDA out of memory. Tried to allocate"), RuntimeError("std::bad_alloc"),
        OSError(12, "Cannot allocate memory"), RuntimeError("not enough memory: you tried to allocate 5 bytes"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", ["register", "generate"])
def test_memory_that_ran_out_is_told_as_that(cine, tmp_path, capsys, monkeypatch, error, command):
    """Six ways of libraries to say it, at the door and in a study of many."""

    def full(*_: object, **__: object) -> None:
        raise error

    assert ran_out(error)
    place = "DeepRegLogic.registration.register.follow" if command == "register" else "DeepRegLogic.zoo.load_model"
    monkeypatch.setattr(place, full)
    assert main([command, "--input", str(cine), "--output", str(tmp_path / "out"), "--device", "cpu"]) == 1
    assert capsys.readouterr().err.strip() == RAN_OUT
    if command == "register":
        assert main([command, "--studies", "--input", str(cine.parent), "--output", str(tmp_path / "many")]) == 1
        assert RAN_OUT in capsys.readouterr().err


def test_cines_are_made_from_a_file_of_one_image(tmp_path):
    one = Cine(frames(1), Grid((32, 32, 1), (1.8, 1.8, 8.0)))
    write_cine(tmp_path / "frame.nrrd", one.frames, one)
    model = save_generator(tmp_path / "model")
    words = ["generate", "--input", tmp_path / "frame.nrrd", "--output", tmp_path / "out", "--frames", "3"]
    assert main([*map(str, words), "--model", model, "--device", "cpu"]) == 0
    made = read_cine(tmp_path / "out" / "sample-001" / "cine.nrrd")
    assert made.frames.shape == (3, 32, 32)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--seed", 10**30),
        ("--seed", -1),
        ("--frames", 1),
        ("--frames", 10**30),
        ("--samples", 10**9),
        ("--device", "meta"),
    ],
)
def test_numbers_beyond_reason_make_no_cines(cine, tmp_path, capsys, option, value):
    told(capsys, "generate", "--input", cine, "--output", tmp_path / "out", "--device", "cpu", option, value)
    assert [p.name for p in tmp_path.iterdir()] == ["in"]
