"""The script ends the application with its exit code: Slicer would wait for a user otherwise."""

from __future__ import annotations

import runpy
import sys
import tempfile
from types import SimpleNamespace

import pytest

from DeepRegLogic.cli import register


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
        with pytest.raises(SystemExit) as stop:
            runpy.run_path(str(repository / "Resources" / "Scripts" / "register.py"), run_name="__main__")
        assert stop.value.code == codes[-1]
        return codes

    return run


def test_exit_code_of_the_command_is_that_of_the_application(run_in_slicer, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(register, "run", lambda arguments, console, save_scene: seen.append(arguments) or 7)
    assert run_in_slicer("--input", "cine.nrrd", "--output", str(tmp_path / "out")) == [7]
    assert str(seen[0].input[0]) == "cine.nrrd"


def test_application_ends_after_wrong_arguments_and_faults(run_in_slicer, monkeypatch, tmp_path, capsys):
    assert run_in_slicer("--speed", "9") == [2]

    def fault(*_: object) -> int:
        raise RuntimeError("a fault of the program")

    monkeypatch.setattr(register, "run", fault)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # where the trace is kept
    assert run_in_slicer("--input", "cine.nrrd", "--output", "out") == [1]
    error = capsys.readouterr().err.splitlines()[-1]
    (log,) = tmp_path.iterdir()
    assert "RuntimeError: a fault of the program" in error
    assert str(log) in error
    assert "Traceback" in log.read_text(encoding="utf-8")


def test_bad_input_ends_the_application_with_1(run_in_slicer, tmp_path, capsys):
    assert run_in_slicer("--input", str(tmp_path / "nowhere.nrrd"), "--output", str(tmp_path / "out")) == [1]
    assert "nowhere.nrrd" in capsys.readouterr().err
