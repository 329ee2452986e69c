"""Damaged models, hostile names, options of any type, and Pythons that are none: told, and nothing stuck."""

from __future__ import annotations

import os
import stat
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from DeepRegLogic import Cine, Motion, RegistrationError
from DeepRegLogic.errors import InputError

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
posix = pytest.mark.skipif(os.name != "posix", reason="programs with a first line that names their interpreter")

CARDS = ["{", "", "null", "[]", "{}", "\x00", "[" * 100_000, '{"name": 3}', '{"spacing": Infinity}', "9" * 5000, "ÿ"]


@pytest.fixture
def damaged(tmp_path, monkeypatch) -> list[str]:
    """A folder of the user's own models, all of which are damaged."""
    names = [f"mine-{number}" for number in range(len(CARDS))]
    for name, card in zip(names, CARDS, strict=True):
        (tmp_path / name).mkdir()
        (tmp_path / name / "card.json").write_text(card, encoding="utf-8")
    (tmp_path / "a folder" / "card.json").mkdir(parents=True)
    monkeypatch.setenv("TEMPORAL_REGISTRATION_MODELS", str(tmp_path))
    return names


def test_damaged_models_are_named_in_the_list_and_the_rest_is_usable(damaged, panel):
    """Eleven cards that are none, and one that is a folder."""
    box = panel.ui.modelComboBox
    assert box.findData("tlrn-cardiac") >= 0
    for name in damaged:
        index = box.findData(name)
        assert index >= 0, name
        assert box.itemText(index) == f"{name} (damaged)"
    box.setCurrentIndex(box.findData(damaged[0]))
    assert "card" in panel.ui.modelSummaryLabel.text


NAMES = ["../victim", "{home}/absolute", "4CH/SAX", "x" * 300, "é" * 200, "a\x1bb", "CON", "..", "name.", " ", "心臓"]


@pytest.fixture
def results(module, scene, phantom):
    """The nodes of a cine of a name, followed by nothing."""

    def make(name: str):
        from TemporalRegistrationLib.kinds.cine_nodes import addMotion
        from TemporalRegistrationLib.nodes.sequences import addCine

        from DeepRegLogic.results.quality import frame_quality
        from DeepRegLogic.results.results import Results

        cine = Cine(phantom.cine.frames[:3], phantom.cine.grid, name=name)
        still = np.zeros((3, 2, *cine.grid.shape), np.float32)
        motion = Motion(cine.grid, 0, still, still, name=name)
        motion = replace(motion, quality=frame_quality(Results(motion, cine)))
        return addMotion(motion, cine, addCine(cine))

    return make


@pytest.mark.parametrize("name", NAMES)
def test_an_export_stays_in_the_chosen_folder(module, results, tmp_path, name):
    chosen, victim = tmp_path / "chosen", tmp_path / "victim motion"
    for folder in (chosen, victim):
        folder.mkdir()
    (victim / "report.json").write_text("{}")
    nodes = results(name.format(home=tmp_path))
    folder = module.TemporalRegistrationLogic().export(nodes, str(chosen))
    assert folder.parent == chosen
    assert (folder / "report.json").is_file()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["chosen", "victim motion"]
    assert [p.name for p in victim.iterdir()] == ["report.json"]
    assert [p.name for p in chosen.iterdir()] == [folder.name]


@pytest.mark.parametrize(
    "options",
    [
        {"reference": np.int64(0)}, {"reference": np.uint8(1), "memory_gb": np.float32(4)}, {"cyclic": np.bool_(False)},
        {"reference": np.array(0)},
    ],
)  # fmt: skip
def test_numbers_of_numpy_are_options(module, small, options):
    refine = {"levels": np.array([[2, 2]])}
    nodes = module.TemporalRegistrationLogic().registerCine(small, model=None, device="cpu", refine=refine, **options)
    assert nodes.cine is not None


@pytest.mark.parametrize(
    "options",
    [
        {"reference": 0.5}, {"reference": "first"}, {"reference": {1}}, {"reference": object()}, {"reference": 10**30},
        {"memory_gb": float("nan")}, {"memory_gb": -1}, {"model": Path("nowhere")}, {"model": "m" * 300},
        {"device": "meta"}, {"device": "hpu"}, {"device": 7}, {"colour": "red"}, {"refine": {"step": float("inf")}},
        {"refine": {"no": 1}}, {"refine": "often"}, {"roi": 5},
    ],
)  # fmt: skip
def test_options_that_cannot_be_used_are_told_and_the_next_run_starts(module, small, options):
    """17 kinds of options; the last job never keeps the next one from running."""
    logic = module.TemporalRegistrationLogic()
    settings = {"model": None, "device": "cpu", "refine": {"levels": [[2, 2]]}, **options}
    with pytest.raises((RegistrationError, AttributeError, TypeError)) as error:
        logic.registerCine(small, **settings)
    if isinstance(error.value, RegistrationError):
        assert len(str(error.value).splitlines()) == 1
    assert logic.registerCine(small, model=None, device="cpu", refine={"levels": [[2, 2]]}, reference=0) is not None


def program(path: Path, text: str) -> str:
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


BANNERS = {
    "a greeting": "echo 'Welcome to our cluster'",
    "a greeting without an end": "printf 'Welcome '",
    "bytes that are no text": "printf '\\377\\376\\000\\n'",
    "JSON of another kind": "echo '{\"a\": 1}'; echo '[1]'; echo '3'; echo '{\"event\": 5}'",
    "a warning": "echo 'warning: deprecated' >&2",
}


@posix
@pytest.mark.parametrize("banner", BANNERS)
def test_a_python_that_greets_is_used_all_the_same(module, small, worker, tmp_path, monkeypatch, banner):
    worker.closeShared()
    python = program(tmp_path / "python", f'#!/bin/sh\n{BANNERS[banner]}\nexec "{sys.executable}" "$@"\n')
    monkeypatch.setenv("TEMPORAL_REGISTRATION_PYTHON", python)
    nodes = module.TemporalRegistrationLogic().registerCine(
        small, model=None, device="cpu", refine={"levels": [[2, 2]]}
    )
    assert nodes is not None
    worker.closeShared()


@posix
@pytest.mark.parametrize("kind", ["cat", "sleep", "yes"])
def test_a_program_that_is_no_python_is_told(module, small, worker, tmp_path, monkeypatch, kind):
    worker.closeShared()
    monkeypatch.setattr(worker.shared()._starting, "interval", 300)
    worker.shared()._starting.setInterval(300)
    lines = {"cat": "exec cat", "sleep": "exec sleep 600", "yes": "while true; do echo Usage: x; sleep 0.05; done"}
    monkeypatch.setenv("TEMPORAL_REGISTRATION_PYTHON", program(tmp_path / "python", f"#!/bin/sh\n{lines[kind]}\n"))
    with pytest.raises(RegistrationError, match="does not start a computation"):
        module.TemporalRegistrationLogic().registerCine(small, model=None, device="cpu")
    worker.shared()._starting.setInterval(1000 * worker.START_SECONDS)


def test_nothing_is_imported_from_where_the_application_is(module, small, worker, tmp_path, monkeypatch):
    worker.closeShared()
    for name in ("numpy", "json", "DeepRegLogic", "torch", "queue", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text("open('PWNED', 'w').write('x')\nraise SystemExit(3)\n")
    monkeypatch.chdir(tmp_path)
    logic = module.TemporalRegistrationLogic()
    assert logic.registerCine(small, model=None, device="cpu", refine={"levels": [[2, 2]]}) is not None
    assert not (tmp_path / "PWNED").exists()
    worker.closeShared()


def test_what_json_cannot_say_is_one_sentence(worker):
    with pytest.raises(InputError, match="An option cannot be used"):
        worker.Worker().send({"a": object()})
