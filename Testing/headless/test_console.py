"""What the command line says: names, near names, progress, and that wrong arguments cost nothing."""

from __future__ import annotations

import json
import os
import re
import sys

import pytest
from cohorts import write_cines
from processes import run

from DeepRegLogic import __version__, zoo
from DeepRegLogic.cli import COMMANDS, bar, main
from DeepRegLogic.cli.console import Progress

NO_TORCH = """
import sys
for name in ("torch", "monai", "SimpleITK", "matplotlib", "pydicom", "distributed"):
    sys.modules[name] = None  # importing it is an error
from DeepRegLogic.cli import main
sys.exit(main(sys.argv[1:]))
"""


def told(capsys, *words: str) -> tuple[int, str, str]:
    """Exit code and what is said."""
    try:
        code = main(list(words))
    except SystemExit as stop:
        code = int(stop.code or 0)
    return code, *capsys.readouterr()


def test_version_and_names(capsys):
    assert told(capsys, "--version") == (0, f"temporal-registration {__version__}\n", "")
    code, out, _ = told(capsys, "--help")
    assert code == 0
    assert out.startswith("usage: temporal-registration ")
    for command in COMMANDS:
        assert re.search(rf"\n    {command}\s", out)
        assert told(capsys, command, "--help")[1].startswith(f"usage: temporal-registration {command} ")


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["regster"], "register"),
        (["register", "--input", "a", "--output", "b", "--modle", "x"], "--model"),
        (["register", "--input", "a", "--output", "b", "--quality", "bset"], "best"),
        (["cohort", "list.csv", "--output", "b", "--skip-finishd"], "--skip-finished"),
    ],
)
def test_a_misspelt_name_is_answered_by_the_near_one(words, meant, capsys):
    code, _, error = told(capsys, *words)
    assert code == 2
    assert error.endswith(f"Did you mean '{meant}'?\n")


def test_models_are_listed(capsys):
    code, out, _ = told(capsys, "models")
    assert code == 0
    for card in zoo.list_models():
        assert (card.name in out.split()) == card.is_for_patients
    assert "The default for: cine." in out
    code, out, _ = told(capsys, "models", "tlrn-cardiac")
    assert json.loads(out)["sha256"] == zoo.find_card("tlrn-cardiac").sha256
    assert told(capsys, "models", "tlrn")[::2] == (1, str(_error("tlrn")) + "\n")


def _error(name: str) -> Exception:
    with pytest.raises(zoo.ModelError) as caught:
        zoo.find_card(name)
    return caught.value


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["register", "--input", "no.nrrd", "--output", "out"], "There is no file or folder 'no.nrrd'."),
        (["register", "--input", "here", "--output", "out", "--model", "x"], "There is no model 'x'"),
        (["register", "--input", "here", "--output", "here"], "holds the input"),
        (["register", "--output", "out"], "Name either --input"),
        (["cohort", "list.csv", "--output", "out"], "Did you mean 'best'"),
        (["cohort", "no.csv", "--output", "out"], "'no.csv' cannot be read"),
        (["cohort", "here", "--output", "out", "--resources", "GPU=1"], "name their --scheduler"),
        (["summarise", "here"], "holds no study of a cohort"),
        (["models", "dragnet"], "Did you mean 'dragnet-cardiac'"),
    ],
)
def test_wrong_arguments_are_told_before_anything_heavy_is_loaded(words, sentence, tmp_path, repository):
    (tmp_path / "here").mkdir()
    (tmp_path / "list.csv").write_text("input,quality\nhere,bets\n")
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    done = run([sys.executable, "-c", NO_TORCH, *words], cwd=tmp_path, env=environment)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_finished_studies_are_told_without_anything_heavy(tmp_path, repository, capsys):
    write_cines(tmp_path / "in", 1)
    words = ["cohort", str(tmp_path / "in"), "--output", str(tmp_path / "out"), "--no-refine", "--write", "report"]
    assert main(words) == 0
    environment = {**os.environ, "PYTHONPATH": str(repository)}
    done = run([sys.executable, "-c", NO_TORCH, *words, "--skip-finished"], env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 of 1 studies are registered" in done.stdout
    capsys.readouterr()


class Terminal:
    """A terminal in the place of stderr."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None: ...

    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_one_bar_and_the_time_that_is_left(monkeypatch, capsys):
    terminal, now = Terminal(), [100.0]
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(bar.time, "monotonic", lambda: now[0])
    progress = Progress()
    progress(0.1, "One")
    now[0] += 60
    progress(0.25, "Two")
    progress.say("Done.")
    lines = terminal.text.split("\r\x1b[K")
    assert lines[1:] == ["[##......................]  10% One", "[######..................]  25% 3 min left  Two", ""]
    assert capsys.readouterr().out == "Done.\n"
    now[0] += 400  # what was long ago says nothing of the speed: 400 s for 25 %
    progress(0.5, "Three")
    assert "50% 13 min left  Three" in terminal.text


def test_quiet_verbose_and_log(tmp_path, capsys):
    Progress(quiet=True)(0.5, "Half")
    Progress(quiet=True).say("All")
    assert capsys.readouterr().out == ""
    progress = Progress(verbose=True, log=tmp_path / "log")
    for fraction in (0.501, 0.502, 0.513):
        progress(fraction, "Half\x1b[2J")
    assert capsys.readouterr().out == "[ 50%] Half\\x1b[2J\n[ 51%] Half\\x1b[2J\n"
    progress.say("All")
    lines = (tmp_path / "log").read_text().splitlines()
    assert [re.sub(r"^\S+ ", "", line) for line in lines] == ["[ 50%] Half\\x1b[2J", "[ 51%] Half\\x1b[2J", "All"]


def test_errors_are_in_the_log_too(tmp_path, capsys):
    words = ["register", "--input", "no.nrrd", "--output", str(tmp_path / "out"), "--log", str(tmp_path / "log")]
    assert main(words) == 1
    assert "There is no file or folder 'no.nrrd'." in (tmp_path / "log").read_text()
    assert main([*words[:-1], str(tmp_path / "none" / "log")]) == 1
    assert "log' could not be written" in capsys.readouterr().err


@pytest.mark.parametrize(("seconds", "words"), [(40.2, "40 s"), (89, "89 s"), (150, "2 min"), (7800, "2 h 10 min")])
def test_lengths_of_time_are_said_as_people_do(seconds, words):
    assert bar.spoken(seconds) == words
