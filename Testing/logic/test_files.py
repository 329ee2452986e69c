"""Files and folders of results appear whole or not at all, and nothing of anybody else's is ever replaced."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from DeepRegLogic import Cancelled, OutputError
from DeepRegLogic.files import MARKER, own_folder, whole_file, whole_folder, writing


def listed(folder: Path) -> list[str]:
    """What lies in a folder, but for the marker."""
    return sorted(path.name for path in folder.iterdir() if path.name != MARKER)


def write(folder: Path, **files: str) -> Path:
    """A folder of results with text files of these names and contents."""
    with own_folder(folder) as work:
        for name, text in files.items():
            (work / f"{name}.txt").write_text(text)
    return folder


def test_results_take_their_name_at_the_end(tmp_path):
    target = tmp_path / "new" / "out"
    with own_folder(target) as work:
        (work / "done.txt").write_text("1")
        assert not target.exists()
    assert listed(target) == ["done.txt"]
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["out"]


def test_a_marker_lists_every_file_of_the_results(tmp_path):
    with own_folder(tmp_path / "out") as work:
        (work / "deep").mkdir()
        (work / "deep" / "ümlaut.txt").write_text("1")
        (work / "done.txt").write_text("1")
    content = json.loads((tmp_path / "out" / MARKER).read_text(encoding="utf-8"))
    assert content["files"] == ["deep/ümlaut.txt", "done.txt"]


@pytest.mark.parametrize("error", [Cancelled, KeyboardInterrupt, ValueError])
@pytest.mark.parametrize("place", [own_folder, whole_folder, whole_file])
def test_nothing_is_left_when_the_work_ends_early(tmp_path, place, error):
    def work_that_stops() -> None:
        with place(tmp_path / "new" / "out") as work:
            half = work if place is whole_file else work / "half.bin"
            half.write_bytes(b"1234")
            raise error("stop")

    with pytest.raises(error):
        work_that_stops()
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_result_is_replaced_whole_and_kept_on_failure(tmp_path):
    target = write(tmp_path / "out", done="old", old="old")
    with pytest.raises(ValueError, match="stop"), own_folder(target):
        raise ValueError("stop")
    assert (target / "old.txt").read_text() == "old"
    assert listed(target) == ["done.txt", "old.txt"]
    write(target, done="new")
    assert listed(target) == ["done.txt"]
    assert (target / "done.txt").read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_folder_with_other_files_is_not_touched(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match=r"holds other files \('thesis\.txt'\)"), own_folder(tmp_path):
        pytest.fail("the block must not run")
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("name", ["thesis.txt", "figures/mine.png", ".hidden"])
def test_one_file_among_earlier_results_keeps_them_all(tmp_path, name):
    target = write(tmp_path / "out", done="old")
    (target / name).parent.mkdir(exist_ok=True)
    (target / name).write_text("years of work")
    with pytest.raises(OutputError, match="holds other files"), own_folder(target):
        pytest.fail("the block must not run")
    assert (target / name).read_text() == "years of work"
    assert (target / "done.txt").read_text() == "old"


def test_results_whose_marker_is_lost_or_damaged_are_somebody_elses(tmp_path):
    target = write(tmp_path / "out", done="old")
    for content in (None, "", "[]", '{"files": 3}'):
        (target / MARKER).unlink() if content is None else (target / MARKER).write_text(content)
        with pytest.raises(OutputError, match="holds other files"), own_folder(target):
            pytest.fail("the block must not run")
    with own_folder(target, ours=["done.txt"]) as work:  # of names that nobody else gives
        (work / "done.txt").write_text("new")
    assert (target / "done.txt").read_text() == "new"


def test_an_output_and_an_input_do_not_lie_in_one_another(tmp_path):
    (tmp_path / "cines").mkdir()
    (tmp_path / "cines" / "a.nrrd").write_text("x")
    with pytest.raises(OutputError, match="lies in the input"):
        _enter(tmp_path / "cines" / "out", [tmp_path / "cines"])
    target = write(tmp_path / "out", done="old")
    for source in (target / "done.txt", target):
        with pytest.raises(OutputError, match="holds the input"):
            _enter(target, [source])
    assert listed(tmp_path / "cines") == ["a.nrrd"]
    assert (target / "done.txt").read_text() == "old"


def _enter(folder: Path, inputs: list[Path]) -> None:
    with own_folder(folder, inputs):
        pytest.fail("the block must not run")


def test_a_link_is_not_followed(tmp_path):
    real = write(tmp_path / "real", done="old")
    try:
        (tmp_path / "link").symlink_to(real, target_is_directory=True)
    except OSError:
        pytest.skip("links cannot be made here")
    with pytest.raises(OutputError, match=r"is a link to .*real"), own_folder(tmp_path / "link"):
        pytest.fail("the block must not run")
    assert (real / "done.txt").read_text() == "old"


def test_a_file_or_a_place_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="is a file"), own_folder(tmp_path / "file"):
        pytest.fail("the block must not run")
    with pytest.raises(OutputError, match="could not be written"), own_folder(tmp_path / "file" / "out"):
        pytest.fail("the block must not run")
    assert (tmp_path / "file").read_text() == "x"


def test_a_full_disk_becomes_one_sentence():
    with pytest.raises(OutputError, match=r"the disk is full.*free some space"), writing("out"):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_result_that_cannot_take_its_name_leaves_the_earlier_one(tmp_path, monkeypatch):
    target = write(tmp_path / "out", done="old")
    rename, names = Path.rename, []

    def once(self: Path, place: Path) -> Path:
        names.append(self.name)
        if len(names) == 2:
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        return rename(self, place)

    monkeypatch.setattr(Path, "rename", once)
    with pytest.raises(OutputError, match="no permission"):
        write(target, done="new")
    assert names == ["out", "results", "results"]
    assert (target / "done.txt").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_result_that_was_taken_away_by_a_killed_run_comes_back(tmp_path):
    target = write(tmp_path / "out", done="old")
    (tmp_path / ".out.former-abc").mkdir()
    target.rename(tmp_path / ".out.former-abc" / "results")
    with pytest.raises(ValueError, match="stop"), own_folder(target):
        raise ValueError("stop")
    assert (target / "done.txt").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_what_a_killed_run_left_is_removed_and_what_is_in_use_stays(tmp_path):
    (tmp_path / ".unfinished-killed").mkdir()
    (tmp_path / ".unfinished-killed" / "half.bin").write_bytes(b"1234")
    with whole_folder(tmp_path) as first:
        assert not (tmp_path / ".unfinished-killed").exists()
        with whole_folder(tmp_path) as second:
            assert first.exists()
            (second / "b.txt").write_text("b")
        (first / "a.txt").write_text("a")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.txt", "b.txt"]
