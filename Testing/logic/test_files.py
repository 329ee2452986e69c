"""Files and folders of results appear whole or not at all."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import unicodedata
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from writing import (
    PLACES,
    below,
    in_marker,
    listed,
    must_not_run,
    posix,
    tells_no_hidden_place,
    write,
    write_files,
    write_in,
)

from DeepRegLogic import Cancelled, OutputError
from DeepRegLogic.files import MARKER, own_folder, whole_file, whole_folder

# -- what appears ------------------------------------------------------------------------------------------------------


def test_results_take_their_name_at_the_end(tmp_path):
    target = tmp_path / "new" / "out"
    with own_folder(target) as work:
        (work / "done.txt").write_text("1")
        assert not target.exists()
    assert listed(target) == ["done.txt"]
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["out"]


def test_a_file_takes_its_name_at_the_end(tmp_path):
    target = tmp_path / "new" / "cine.seq.nrrd"
    with whole_file(target) as part:
        assert part.name == target.name  # writers choose the format by the name
        part.write_text("1")
        assert not target.exists()
    assert target.read_text() == "1"
    assert below(tmp_path) == ["new/cine.seq.nrrd"]


def test_what_a_whole_folder_gets_is_added_at_the_end(tmp_path):
    (tmp_path / "deep").mkdir()
    for name in ("mine.txt", "same.txt", "deep/mine.txt", "deep/same.txt"):
        (tmp_path / name).write_text("mine")
    with whole_folder(tmp_path) as part:
        assert list(part.iterdir()) == []
        (part / "deep" / "new").mkdir(parents=True)
        for name in ("same.txt", "deep/same.txt", "deep/new/new.txt"):
            (part / name).write_text("new")
        assert (tmp_path / "same.txt").read_text() == "mine"
    assert {name: (tmp_path / name).read_text() for name in below(tmp_path)} == {
        "mine.txt": "mine",
        "same.txt": "new",
        "deep/mine.txt": "mine",
        "deep/same.txt": "new",
        "deep/new/new.txt": "new",
    }


def test_results_are_readable_to_whom_new_files_are(tmp_path):
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain.txt").write_text("1")
    write(tmp_path / "out", done="1")
    with whole_file(tmp_path / "file.txt") as part:
        part.write_text("1")
    mode = {path.name: path.stat().st_mode for path in tmp_path.iterdir()}
    assert mode["out"] == mode["plain"]
    assert mode["file.txt"] == mode["plain.txt"] == (tmp_path / "out" / "done.txt").stat().st_mode


def test_a_marker_lists_every_file_of_the_results(tmp_path):
    with own_folder(tmp_path / "out") as work:
        (work / "deep" / "deeper").mkdir(parents=True)
        (work / "empty").mkdir()
        for name in ("done.txt", "deep/ümlaut.txt", "deep/deeper/.hidden", "deep/with space"):
            (work / name).write_text("1")
    expected = ["deep/deeper/.hidden", "deep/with space", "deep/ümlaut.txt", "done.txt"]
    assert in_marker(tmp_path / "out") == expected
    assert below(tmp_path / "out") == sorted([*expected, MARKER])


def test_whole_files_and_folders_in_an_own_folder_are_listed_by_their_names(tmp_path):
    with own_folder(tmp_path / "out") as work:
        with whole_file(work / "deep" / "a.txt") as part:
            part.write_text("1")
        with whole_folder(work / "frames") as part:
            (part / "0.txt").write_text("1")
    assert in_marker(tmp_path / "out") == ["deep/a.txt", "frames/0.txt"]
    assert below(tmp_path) == sorted([f"out/{MARKER}", "out/deep/a.txt", "out/frames/0.txt"])


@pytest.mark.parametrize(
    "name",
    [
        "out",
        "with spaces",
        "it's",
        pytest.param('"quoted"', marks=posix),
        pytest.param("line\nbreak", marks=posix),
        "Zürich 心臓 сердце",
        "a.b.c",
        "-n",
        "$HOME",
        pytest.param("~nobody-of-this-name", marks=posix),
    ],
)
def test_any_name_of_a_folder_and_of_a_file_will_do(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    for text in ("old", "new"):
        with own_folder(name) as work, whole_file(work / name) as part:
            part.write_text(text)
    assert in_marker(tmp_path / name) == [name]
    assert (tmp_path / name / name).read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.skipif(sys.platform == "win32", reason="whole paths are short there")
@pytest.mark.parametrize("name", ["x" * 250, "é" * 120, "心" * 83, "😀" * 62], ids=["one", "two", "three", "four"])
def test_the_longest_names_will_do(tmp_path, name):
    for text in ("old", "new"):
        with own_folder(tmp_path / name) as work, whole_file(work / name) as part:
            part.write_text(text)
        with whole_folder(tmp_path / "frames" / name) as part:
            (part / name).write_text(text)
    assert (tmp_path / name / name).read_text() == "new"
    (tmp_path / name / "mine.txt").write_text("years of work")
    with pytest.raises(OutputError, match=r"mine\.txt"):
        must_not_run(tmp_path / name)


@pytest.mark.skipif(sys.platform == "win32", reason="the limit is another there")
@PLACES
def test_a_name_that_is_too_long_is_one_sentence(tmp_path, place):
    def write_it() -> None:
        with place(tmp_path / ("x" * 300)) as work:
            write_in(place, work)

    with pytest.raises(OutputError, match=r"could not be written: File name too long\.$"):
        write_it()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="names are text elsewhere")
def test_names_in_another_encoding_are_listed_and_known_again(tmp_path):
    name = os.fsdecode("Müller.txt".encode("latin-1"))
    for text in ("old", "new"):
        with own_folder(tmp_path / os.fsdecode(b"caf\xe9")) as work:
            (work / name).write_text(text)
    assert (tmp_path / os.fsdecode(b"caf\xe9") / name).read_text() == "new"


# letters of one to four bytes, upper and lower, accents apart and together, and what shells and globs take for theirs
_CHARACTERS = "aAbzZ09 ._-,;'()[]{}&%$#@!~^+=éÉe\u0301ßñΩжש心臓か한😀" + ("" if os.name == "nt" else '\\:*?"<>|')
_NAMES = st.text(_CHARACTERS, min_size=1, max_size=12).filter(lambda name: name.strip(". ") == name)
_PATHS = st.lists(_NAMES, min_size=1, max_size=3).map("/".join)


def _plain(path: str) -> str:
    return unicodedata.normalize("NFC", path.casefold())


def _fit_together(paths: list[str]) -> bool:
    """Whether no file has to be a folder as well."""
    plain = [_plain(path) for path in paths]
    return not any(b.startswith(a + "/") for a in plain for b in plain) and MARKER not in plain


_FILES = st.lists(_PATHS, max_size=8, unique_by=_plain).filter(_fit_together)


@settings(deadline=None, max_examples=60)
@given(first=_FILES, second=_FILES)
def test_any_files_are_listed_and_replaced_whole_by_the_next(first, second):
    with tempfile.TemporaryDirectory() as home:
        target = Path(home) / "out"
        for names, text in ((first, "first"), (second, "second")):
            with own_folder(target) as work:
                write_files(work, names, text)
            assert {_plain(name) for name in in_marker(target)} == {_plain(name) for name in names}
            assert {_plain(name) for name in below(target)} == {*map(_plain, names), MARKER}
            assert all((target / name).read_text() == text for name in names)
            assert [p.name for p in Path(home).iterdir()] == ["out"]


@settings(deadline=None, max_examples=60)
@given(ours=_FILES, other=_PATHS)
def test_any_file_that_is_not_listed_stops_the_next_run(ours, other):
    names = [*ours, other]
    assume(_plain(other) not in map(_plain, ours) and _fit_together(names))
    with tempfile.TemporaryDirectory() as home:
        target = Path(home) / "out"
        with own_folder(target) as work:
            write_files(work, ours, "old")
        write_files(target, [other], "years of work")
        with pytest.raises(OutputError, match="holds other files"):
            must_not_run(target)
        assert (target / other).read_text() == "years of work"
        assert all((target / name).read_text() == "old" for name in ours)


@settings(deadline=None, max_examples=60)
@given(there=_FILES, new=_FILES, failing=st.booleans())
def test_a_whole_folder_gets_all_of_the_new_files_or_none(there, new, failing):
    assume(len({*map(_plain, [*there, *new])}) == len({*there, *new}))  # "A" and "a" are one file for some systems
    with tempfile.TemporaryDirectory() as home:
        write_files(Path(home), there, "there")
        fits = _fit_together([*there, *new])
        try:
            with whole_folder(home) as part:
                write_files(part, new, "new")
                if failing:
                    raise ValueError("stop")
        except (ValueError, OutputError):
            assert failing or not fits
            assert all((Path(home) / name).read_text() == "there" for name in there)
            assert {_plain(name) for name in below(Path(home))} == {*map(_plain, there)}
            return
        assert not failing
        found = {_plain(name): (Path(home) / name).read_text() for name in below(Path(home))}
        assert found == {_plain(name): "there" for name in there} | {_plain(name): "new" for name in new}


# -- what is left when it goes wrong -----------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [Cancelled, KeyboardInterrupt, SystemExit, ValueError, RuntimeError, OSError])
@PLACES
def test_nothing_is_left_when_the_work_ends_early(tmp_path, place, error):
    def work_that_stops() -> None:
        with place(tmp_path / "new" / "deep" / "out") as work:
            write_in(place, work)
            raise error("stop")

    with pytest.raises(OutputError if error is RuntimeError and place is not own_folder else error):
        work_that_stops()
    assert list(tmp_path.iterdir()) == []


@PLACES
def test_parents_that_were_there_stay_when_the_work_ends_early(tmp_path, place):
    def work_that_stops() -> None:
        with place(tmp_path / "mine" / "new" / "out"):
            raise ValueError("stop")

    (tmp_path / "mine").mkdir()
    with pytest.raises(ValueError, match="stop"):
        work_that_stops()
    assert [p.name for p in tmp_path.rglob("*")] == ["mine"]


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


@pytest.mark.parametrize("place", [whole_file, whole_folder])
def test_an_earlier_file_is_kept_on_failure(tmp_path, place):
    (tmp_path / "cine.txt").write_text("old")

    def work_that_stops() -> None:
        with place(tmp_path / "cine.txt" if place is whole_file else tmp_path) as work:
            write_in(place, work, "cine.txt")
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        work_that_stops()
    assert (tmp_path / "cine.txt").read_text() == "old"
    assert listed(tmp_path) == ["cine.txt"]


def test_a_file_that_nobody_wrote_is_one_sentence(tmp_path):
    sentence = r"new.cine\.txt' could not be written"
    with pytest.raises(OutputError, match=sentence) as error, whole_file(tmp_path / "new" / "cine.txt"):
        pass
    assert tells_no_hidden_place(error)
    assert list(tmp_path.iterdir()) == []


def test_a_file_and_a_folder_of_one_name_leave_the_folder_as_it_was(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "d").write_text("old")
    (tmp_path / "a.txt").write_text("old")
    for name, sentence in (("b", r"b' could not be written: there is a folder"), ("d/e", "there is a file")):
        with pytest.raises(OutputError, match=sentence) as error, whole_folder(tmp_path) as part:
            write_files(part, ["a.txt", name], "new")
        assert tells_no_hidden_place(error)
        assert {name: (tmp_path / name).read_text() for name in below(tmp_path)} == {"a.txt": "old", "d": "old"}
        assert listed(tmp_path) == ["a.txt", "b", "d"]


@pytest.mark.parametrize("failing", [1, 2])
def test_a_result_that_cannot_take_its_name_leaves_the_earlier_one(tmp_path, monkeypatch, failing):
    target = write(tmp_path / "out", done="old")
    rename, names = Path.rename, []

    def once(self: Path, place: Path) -> Path:
        names.append(self.name)
        if len(names) == failing:
            raise OSError(errno.EACCES, os.strerror(errno.EACCES), str(self))
        return rename(self, place)

    monkeypatch.setattr(Path, "rename", once)
    with pytest.raises(OutputError, match=r"out' could not be written: no permission") as error:
        write(target, done="new")
    assert tells_no_hidden_place(error)
    assert names == [["out"], ["out", "results", "results"]][failing - 1]
    assert (target / "done.txt").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
