"""What runs that were killed have left is removed or given back by the next; what living ones write is left to them."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from processes import GUARD, kill, run, started
from writing import PLACES, Place, in_marker, listed, posix, write, write_files, write_in

from DeepRegLogic import files
from DeepRegLogic.files import own_folder, whole_file, whole_folder

# -- runs that were killed, and those that live ------------------------------------------------------------------------


_HOLDING = """
import sys
from DeepRegLogic import files
with getattr(files, sys.argv[1])(sys.argv[2]) as work:
    part = work if sys.argv[1] == "whole_file" else work / "theirs.bin"
    part.write_bytes(b"theirs")
    print("writing", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other_run(repository) -> Iterator[Callable[[Place, Path], subprocess.Popen]]:
    """Starts another process that is in the middle of writing, until its standard input ends."""
    with ExitStack() as stack:

        def start(place: Place, target: Path) -> subprocess.Popen:
            command = [sys.executable, "-c", _HOLDING, place.__name__, target]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            process = stack.enter_context(started(command, cwd=repository, **pipes))
            assert process.stdout.readline() == "writing\n"
            return process

        yield start


def hidden_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))


@PLACES
def test_what_a_killed_run_left_is_removed_by_the_next(tmp_path, other_run, place):
    target = tmp_path if place is whole_folder else tmp_path / "out"
    process = other_run(place, target)
    kill(process)
    process.wait(GUARD)
    assert len(hidden_in(tmp_path)) == 1
    with place(target) as work:
        assert len(hidden_in(tmp_path)) == 1  # its own
        write_in(place, work, "ours.bin")
    assert hidden_in(tmp_path) == []
    assert not list(tmp_path.rglob("theirs.bin"))


@posix
@PLACES
def test_what_a_living_run_writes_is_left_to_it(tmp_path, other_run, place):
    target = tmp_path if place is whole_folder else tmp_path / "out"
    process = other_run(place, target)
    theirs = hidden_in(tmp_path)
    assert len(theirs) == 1
    with place(target) as work:
        write_in(place, work, "ours.bin")
        assert set(theirs) < set(hidden_in(tmp_path))
    assert hidden_in(tmp_path) == theirs
    process.communicate(timeout=GUARD)  # it goes on, to its end
    assert process.returncode == 0
    assert hidden_in(tmp_path) == []
    content = (target if place is whole_file else target / "theirs.bin").read_bytes()
    assert content == b"theirs"


@posix
def test_a_run_of_another_name_is_left_alone_dead_or_alive(tmp_path, other_run):
    """Long names begin alike, and a name may begin like a hidden folder's."""
    names = ["p" * 200 + "a", "out.unfinished-x"]
    for name in names:
        process = other_run(own_folder, tmp_path / name)
        kill(process)
        process.wait(GUARD)
    left = hidden_in(tmp_path)
    assert len(left) == 2
    for name in ("p" * 200 + "b", "p" * 200, "out"):
        write(tmp_path / name, done="1")
    assert hidden_in(tmp_path) == left


def test_what_is_in_use_in_this_process_stays(tmp_path):
    (tmp_path / ".unfinished-killed").mkdir()
    (tmp_path / ".unfinished-killed" / "half.bin").write_bytes(b"1234")
    with whole_folder(tmp_path) as first:
        assert not (tmp_path / ".unfinished-killed").exists()
        with whole_folder(tmp_path) as second:
            assert first.exists()
            (second / "b.txt").write_text("b")
        (first / "a.txt").write_text("a")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.txt", "b.txt"]


@posix
@PLACES
def test_a_place_that_another_run_removes_before_it_is_locked_is_made_again(tmp_path, monkeypatch, place):
    target = tmp_path if place is whole_folder else tmp_path / "out"
    mkdtemp, made = tempfile.mkdtemp, []

    def make_and_look_away(*arguments, **options) -> str:
        folder = mkdtemp(*arguments, **options)
        made.append(folder)
        if len(made) == 1:  # meanwhile
            with place(target) as work:
                write_in(place, work, "theirs.bin")
            assert not Path(folder).exists()
        return folder

    monkeypatch.setattr(files.tempfile, "mkdtemp", make_and_look_away)
    with place(target) as work:
        write_in(place, work, "ours.bin")
    assert (target if place is whole_file else target / "ours.bin").read_bytes() == b"1234"
    assert hidden_in(tmp_path) == []


def test_a_result_that_was_taken_away_by_a_killed_run_comes_back(tmp_path):
    target = write(tmp_path / "out", done="old")
    (tmp_path / ".out.former-x").mkdir()
    target.rename(tmp_path / ".out.former-x" / "results")
    with pytest.raises(ValueError, match="stop"), own_folder(target):
        raise ValueError((target / "done.txt").read_text() + " stop")
    assert (target / "done.txt").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_former_result_goes_where_there_is_a_newer_one(tmp_path):
    target = write(tmp_path / "out", done="new")
    (tmp_path / ".out.former-x" / "results").mkdir(parents=True)
    (tmp_path / ".out.former-x" / "results" / "done.txt").write_text("old")
    with pytest.raises(ValueError, match="stop"), own_folder(target):
        raise ValueError("stop")
    assert (target / "done.txt").read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("former", "other"),
    [pytest.param("p" * 200 + "a", "p" * 200 + "b", marks=posix, id="long"), ("out.former-x", "out")],
)
def test_a_former_result_of_another_name_is_left_alone(tmp_path, monkeypatch, former, other):
    """As if a run on ``former`` had been killed between its two renames."""
    write(tmp_path / former, done="old")
    rename = Path.rename

    def killed(self: Path, place: Path) -> Path:
        if self.name == "results":
            raise KeyboardInterrupt
        return rename(self, place)

    monkeypatch.setattr(Path, "rename", killed)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / former, done="new")
    monkeypatch.setattr(Path, "rename", rename)
    assert hidden_in(tmp_path) != []
    write(tmp_path / other, done="other")
    write(tmp_path / other, done="other")
    with pytest.raises(ValueError, match="stop"), own_folder(tmp_path / former):
        raise ValueError("stop")
    assert (tmp_path / former / "done.txt").read_text() == "old"
    assert hidden_in(tmp_path) == []


_KILLED_BETWEEN = """
import os, signal, sys
from pathlib import Path
from DeepRegLogic.files import own_folder
rename = Path.rename
def once(self, place):
    if self.name == "results":
        os.kill(os.getpid(), signal.SIGKILL)
    return rename(self, place)
Path.rename = once
with own_folder(sys.argv[1]) as work:
    (work / "done.txt").write_text("new")
"""


@posix
@pytest.mark.parametrize("name", ["out", "x" * 250])
def test_a_run_that_is_killed_between_the_two_renames_loses_nothing(repository, tmp_path, name):
    target = write(tmp_path / name, done="old")
    done = run([sys.executable, "-c", _KILLED_BETWEEN, target], cwd=repository)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not target.exists()
    with pytest.raises(ValueError, match="stop"), own_folder(target):
        raise ValueError("stop")
    assert (target / "done.txt").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == [name]


# -- systems without the locks of POSIX --------------------------------------------------------------------------------


@pytest.mark.parametrize("in_use", [True, False])
def test_where_an_open_file_is_the_lock_it_is_no_result(tmp_path, monkeypatch, in_use):
    """As Windows has it, where a file that is open cannot be removed."""
    monkeypatch.setattr(files, "fcntl", None)
    unlink = Path.unlink

    def of_windows(self: Path, missing_ok: bool = False) -> None:
        if in_use and self.parent.name == ".unfinished-other":
            raise PermissionError(errno.EACCES, "in use")
        unlink(self, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", of_windows)
    write_files(tmp_path, [".unfinished-other/half.bin", ".unfinished-other/.in-use"], "theirs")
    with whole_folder(tmp_path) as part:
        (part / "a.txt").write_text("a")
    assert (tmp_path / ".unfinished-other" / "half.bin").exists() == in_use
    with own_folder(tmp_path / "out") as work, whole_file(work / "b.txt") as part:
        part.write_text("b")
    assert in_marker(tmp_path / "out") == ["b.txt"]
    assert listed(tmp_path) == [*([".unfinished-other"] if in_use else []), "a.txt", "out"]


@posix
def test_a_drive_without_locks_is_written_and_nothing_on_it_taken_for_abandoned(tmp_path, monkeypatch):
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(files.fcntl, "flock", no_locks)
    (tmp_path / ".unfinished-other").mkdir()
    with whole_file(tmp_path / "a.txt") as part:
        part.write_text("a")
    assert listed(tmp_path) == [".unfinished-other", "a.txt"]
