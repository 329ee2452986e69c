"""A folder of results appears whole or not at all."""

from __future__ import annotations

import errno

import pytest

from DeepRegLogic import Cancelled, OutputError
from DeepRegLogic.staging import staging, writing


def test_results_take_their_name_at_the_end(tmp_path):
    target = tmp_path / "new" / "out"
    with staging(target, "done.txt") as work:
        (work / "done.txt").write_text("1")
        assert not target.exists()
    assert [p.name for p in target.iterdir()] == ["done.txt"]
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["out"]


@pytest.mark.parametrize("error", [Cancelled, KeyboardInterrupt, ValueError])
def test_nothing_is_left_when_the_work_ends_early(tmp_path, error):
    def work_that_stops() -> None:
        with staging(tmp_path / "new" / "out", "done.txt") as work:
            (work / "half.bin").write_bytes(b"1234")
            raise error("stop")

    with pytest.raises(error):
        work_that_stops()
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_result_is_replaced_whole_and_kept_on_failure(tmp_path):
    target = tmp_path / "out"
    target.mkdir()
    (target / "done.txt").write_text("old")
    (target / "old.txt").write_text("old")
    with pytest.raises(ValueError, match="stop"), staging(target, "done.txt"):
        raise ValueError("stop")
    assert (target / "old.txt").read_text() == "old"
    with staging(target, "done.txt") as work:
        (work / "done.txt").write_text("new")
    assert [p.read_text() for p in target.iterdir()] == ["new"]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_folder_with_other_files_is_not_touched(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="holds other files"), staging(tmp_path, "done.txt"):
        pytest.fail("the block must not run")
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_file_or_a_place_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="is a file"), staging(tmp_path / "file", "done.txt"):
        pass
    with pytest.raises(OutputError, match="could not be written"), staging(tmp_path / "file" / "out", "done.txt"):
        pass


def test_a_full_disk_becomes_one_sentence():
    with pytest.raises(OutputError, match=r"No space left on device.*free some space"), writing("out"):
        raise OSError(errno.ENOSPC, "No space left on device")
