"""The script ends the application with its exit code: Slicer would wait for a user otherwise."""

from __future__ import annotations

import runpy
import sys
from types import SimpleNamespace

import pytest

from DeepRegLogic import command


@pytest.fixture
def run_in_slicer(repository, monkeypatch):
    """Runs the script as ``Slicer --python-script register.py -- <arguments>`` would; returns the exit codes."""

    def run(*arguments: str) -> list[int]:
        codes: list[int] = []
        application = SimpleNamespace(commandOptions=lambda: None)
        slicer = SimpleNamespace(app=application, mrmlScene=object(), util=SimpleNamespace(exit=codes.append))
        monkeypatch.setitem(sys.modules, "slicer", slicer)
        monkeypatch.setattr(sys, "argv", ["register.py", "--", *arguments])
        monkeypatch.setattr(sys, "path", list(sys.path))
        runpy.run_path(str(repository / "Resources" / "Scripts" / "register.py"), run_name="__main__")
        return codes

    return run


def test_exit_code_of_the_command_is_that_of_the_application(run_in_slicer, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(command, "run", lambda arguments, save_scene: seen.append(arguments) or 7)
    assert run_in_slicer("--input", "cine.nrrd", "--output", str(tmp_path / "out")) == [7]
    assert str(seen[0].input[0]) == "cine.nrrd"


def test_application_ends_after_wrong_arguments_and_faults(run_in_slicer, monkeypatch, capsys):
    assert run_in_slicer("--speed", "9") == [2]

    def fault(*_: object) -> int:
        raise RuntimeError("a fault of the program")

    monkeypatch.setattr(command, "run", fault)
    assert run_in_slicer("--input", "cine.nrrd", "--output", "out") == [1]
    assert "a fault of the program" in capsys.readouterr().err


def test_bad_input_ends_the_application_with_1(run_in_slicer, tmp_path, capsys):
    assert run_in_slicer("--input", str(tmp_path / "nowhere.nrrd"), "--output", str(tmp_path / "out")) == [1]
    assert "nowhere.nrrd" in capsys.readouterr().err
