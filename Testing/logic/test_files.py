"""Files and folders of results appear whole or not at all, and nothing of anybody else's is ever replaced."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import tempfile
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest
import SimpleITK as sitk
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from processes import GUARD, kill, run, started

from DeepRegLogic import Cancelled, InputError, OutputError, files
from DeepRegLogic.files import MARKER, named, own_folder, whole_file, whole_folder, writing

Place = Callable[..., AbstractContextManager[Path]]

PLACES = pytest.mark.parametrize("place", [own_folder, whole_folder, whole_file])
posix = pytest.mark.skipif(os.name != "posix", reason="of POSIX only")


def listed(folder: Path) -> list[str]:
    """What lies in a folder, but for the marker."""
    return sorted(path.name for path in folder.iterdir() if path.name != MARKER)


def below(folder: Path) -> list[str]:
    """Every file in a folder and below it, hidden ones and the marker too."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


def in_marker(folder: Path) -> list[str]:
    """The files that a folder's marker lists."""
    return json.loads((folder / MARKER).read_text(encoding="utf-8"))["files"]


def write(folder: Path | str, **texts: str) -> Path:
    """A folder of results with text files of these names and contents."""
    with own_folder(folder) as work:
        for name, text in texts.items():
            (work / f"{name}.txt").write_text(text)
    return Path(folder)


def write_in(place: Place, work: Path, name: str = "half.bin") -> None:
    """Write what the place is for: the file itself, or one in the folder."""
    (work if place is whole_file else work / name).write_bytes(b"1234")


def must_not_run(folder: Path | str, inputs: list[Path | str] | None = None) -> None:
    """Enter ``own_folder``, whose block must not run."""
    with own_folder(folder, inputs or []):
        pytest.fail("the block must not run")


def tells_no_hidden_place(error: pytest.ExceptionInfo[BaseException]) -> bool:
    """Whether a sentence is one line, and free of the names that only this package gives."""
    text = str(error.value)
    return not any(word in text for word in (".unfinished", ".former", "results", "\n"))


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


def _write_files(folder: Path, names: list[str], text: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


@settings(deadline=None, max_examples=60)
@given(first=_FILES, second=_FILES)
def test_any_files_are_listed_and_replaced_whole_by_the_next(first, second):
    with tempfile.TemporaryDirectory() as home:
        target = Path(home) / "out"
        for names, text in ((first, "first"), (second, "second")):
            with own_folder(target) as work:
                _write_files(work, names, text)
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
            _write_files(work, ours, "old")
        _write_files(target, [other], "years of work")
        with pytest.raises(OutputError, match="holds other files"):
            must_not_run(target)
        assert (target / other).read_text() == "years of work"
        assert all((target / name).read_text() == "old" for name in ours)


@settings(deadline=None, max_examples=60)
@given(there=_FILES, new=_FILES, failing=st.booleans())
def test_a_whole_folder_gets_all_of_the_new_files_or_none(there, new, failing):
    assume(len({*map(_plain, [*there, *new])}) == len({*there, *new}))  # "A" and "a" are one file for some systems
    with tempfile.TemporaryDirectory() as home:
        _write_files(Path(home), there, "there")
        fits = _fit_together([*there, *new])
        try:
            with whole_folder(home) as part:
                _write_files(part, new, "new")
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
            _write_files(part, ["a.txt", name], "new")
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


# -- what is somebody else's -------------------------------------------------------------------------------------------


def test_a_folder_with_other_files_is_not_touched(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match=r"holds other files \('thesis\.txt'\); name a new or an empty folder"):
        must_not_run(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("name", ["thesis.txt", "figures/mine.png", ".hidden", "done.txt.bak", f"deep/{MARKER}"])
def test_one_file_among_earlier_results_keeps_them_all(tmp_path, name):
    target = write(tmp_path / "out", done="old")
    _write_files(target, [name], "years of work")
    with pytest.raises(OutputError, match="holds other files") as error:
        must_not_run(target)
    assert f"('{name}')" in str(error.value)
    assert (target / name).read_text() == "years of work"
    assert (target / "done.txt").read_text() == "old"


def test_of_many_other_files_three_are_named(tmp_path):
    _write_files(tmp_path, ["e", "b", "d", "a", "c"], "mine")
    with pytest.raises(OutputError, match=r"\('a', 'b', 'c' and 2 more\)"):
        must_not_run(tmp_path)


@posix
@pytest.mark.parametrize("kind", ["link to a file", "link to a folder", "link to nothing", "pipe"])
def test_what_is_neither_file_nor_folder_is_somebody_elses_too(tmp_path, kind):
    target = write(tmp_path / "out", done="old")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    if kind == "pipe":
        os.mkfifo(target / "odd")
    else:
        to = {"file": "mine/thesis.txt", "folder": "mine", "nothing": "nowhere"}[kind.split()[-1]]
        (target / "odd").symlink_to(tmp_path / to)
    with pytest.raises(OutputError, match=r"holds other files \('odd'\)"):
        must_not_run(target)
    assert os.path.lexists(target / "odd")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def test_a_file_that_comes_while_the_work_goes_on_is_kept(tmp_path):
    target = write(tmp_path / "out", done="old")
    with pytest.raises(OutputError, match=r"holds other files \('thesis\.txt'\)"), own_folder(target):
        (target / "thesis.txt").write_text("years of work")
    assert (target / "thesis.txt").read_text() == "years of work"
    assert (target / "done.txt").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_folder_that_somebody_makes_while_the_work_goes_on_is_kept(tmp_path):
    with pytest.raises(OutputError, match="holds other files"), own_folder(tmp_path / "out"):
        _write_files(tmp_path, ["out/thesis.txt"], "years of work")
    assert below(tmp_path) == ["out/thesis.txt"]


def test_a_listed_file_may_be_gone(tmp_path):
    target = write(tmp_path / "out", done="old", old="old")
    (target / "old.txt").unlink()
    write(target, done="new")
    assert listed(target) == ["done.txt"]


def test_empty_folders_and_what_file_managers_leave_are_nobodys(tmp_path):
    target = write(tmp_path / "out", done="old")
    (target / "figures" / "empty").mkdir(parents=True)
    for name in (".DS_Store", "Thumbs.db", "figures/desktop.ini"):
        (target / name).write_text("litter")
    write(target, done="new")
    assert (target / "done.txt").read_text() == "new"
    assert listed(target) == ["done.txt"]


def test_a_new_folder_with_nothing_but_litter_will_do(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".DS_Store").write_text("litter")
    assert listed(write(tmp_path / "out", done="1")) == ["done.txt"]


@pytest.mark.parametrize("content", [None, "", "[]", '{"files": 3}', '{"files": [1, null]}', "\xff"])
def test_results_whose_marker_is_lost_or_damaged_are_somebody_elses(tmp_path, content):
    target = write(tmp_path / "out", done="old")
    if content is None:
        (target / MARKER).unlink()
    else:
        (target / MARKER).write_text(content, encoding="latin-1")
    with pytest.raises(OutputError, match=r"holds other files \('done\.txt'\)"):
        must_not_run(target)
    with own_folder(target, ours=["done.txt"]) as work:  # of names that nobody else gives
        (work / "done.txt").write_text("new")
    assert (target / "done.txt").read_text() == "new"


def test_a_link_is_not_followed(tmp_path):
    real = write(tmp_path / "real", done="old")
    try:
        (tmp_path / "link").symlink_to(real, target_is_directory=True)
        (tmp_path / "lost").symlink_to(tmp_path / "nowhere", target_is_directory=True)
    except OSError:
        pytest.skip("links cannot be made here")
    for name, to in (("link", real), ("lost", tmp_path / "nowhere")):
        with pytest.raises(OutputError, match="is a link to") as error:
            must_not_run(tmp_path / name)
        assert f"'{tmp_path / name}' is a link to '{to.resolve()}'" in str(error.value)
        assert (tmp_path / name).is_symlink()
    assert (real / "done.txt").read_text() == "old"


@posix
def test_a_folder_behind_a_link_will_do(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for text in ("old", "new"):
        write(tmp_path / "link" / "out", done=text)
    assert below(tmp_path / "real") == [f"out/{MARKER}", "out/done.txt"]
    assert (tmp_path / "link").is_symlink()


@PLACES
def test_a_place_below_a_file_is_refused(tmp_path, place):
    (tmp_path / "file").write_text("x")
    sentence = "a part of its path is a file, not a folder"
    with pytest.raises(OutputError, match=sentence) as error, place(tmp_path / "file" / "deep" / "out"):
        pytest.fail("the block must not run")
    assert tells_no_hidden_place(error)
    assert below(tmp_path) == ["file"]
    assert (tmp_path / "file").read_text() == "x"


def test_an_output_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="is a file; name a folder"):
        must_not_run(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "x"


# -- inputs, and where we are ------------------------------------------------------------------------------------------


def test_an_output_in_an_input_is_refused(tmp_path):
    (tmp_path / "cines").mkdir()
    (tmp_path / "cines" / "a.nrrd").write_text("x")
    for place in (
        tmp_path / "cines" / "out",
        tmp_path / "cines" / "new" / "out",
        tmp_path / "cines" / "a.nrrd" / "out",
    ):
        with pytest.raises(OutputError, match=r"lies in the input '.*'; name a folder outside of it"):
            must_not_run(place, [tmp_path / "other.nrrd", tmp_path / "cines", tmp_path / "cines" / "a.nrrd"])
    assert below(tmp_path) == ["cines/a.nrrd"]


def test_an_output_that_holds_or_is_an_input_is_refused(tmp_path):
    target = write(tmp_path / "out", done="old")
    for source in (target / "done.txt", target, tmp_path / "x" / ".." / "out"):
        with pytest.raises(OutputError, match="holds the input"):
            must_not_run(target, [source])
    assert (target / "done.txt").read_text() == "old"


@posix
def test_an_input_behind_a_link_is_known(tmp_path):
    target = write(tmp_path / "out", done="old")
    (tmp_path / "link.txt").symlink_to(target / "done.txt")
    with pytest.raises(OutputError, match=r"holds the input '.*link\.txt'"):
        must_not_run(target, [tmp_path / "link.txt"])


def test_names_that_begin_alike_do_not_lie_in_one_another(tmp_path):
    (tmp_path / "cine").write_text("x")
    (tmp_path / "cine-out").mkdir()
    with own_folder(tmp_path / "cine-out", [tmp_path / "cine"]) as work:
        (work / "done.txt").write_text("1")
    assert listed(tmp_path / "cine-out") == ["done.txt"]


@pytest.mark.parametrize("name", ["out", "./out", "./sub/../out", "sub/./../out/", "../home/out"])
def test_a_relative_output_is_taken_from_where_we_are(tmp_path, monkeypatch, name):
    (tmp_path / "home" / "sub").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "home")
    for text in ("old", "new"):
        with own_folder(name, ["cine.nrrd", "./sub"]) as work:
            (work / "done.txt").write_text(text)
    assert below(tmp_path) == [f"home/out/{MARKER}", "home/out/done.txt"]
    assert (tmp_path / "home" / "out" / "done.txt").read_text() == "new"
    with pytest.raises(OutputError, match=r"holds the input 'out.done\.txt'"):
        must_not_run(name, ["out/done.txt"])
    with pytest.raises(OutputError, match=r"lies in the input '\.'"):
        must_not_run(name, ["."])


@PLACES
def test_a_sentence_tells_a_relative_path_as_it_was_given(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)

    def write_it() -> None:
        with place("sub/../out") as work, writing("sub/../out"):
            file = work if place is whole_file else work / "a.bin"
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file))

    with pytest.raises(OutputError) as error:
        write_it()
    told = os.path.join("sub/../out", *([] if place is whole_file else ["a.bin"]))
    assert str(error.value).startswith(f"'{Path(told)}' could not be written: the disk is full")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", [".", "./", "../here", "..", "sub/.."])
def test_the_folder_we_are_in_is_refused(tmp_path, monkeypatch, name):
    """Another folder would take its name, and a shell that is in it would be nowhere."""
    (tmp_path / "up" / "here").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "up" / "here")
    with pytest.raises(OutputError, match="is the one that you are in; name a folder in it or elsewhere"):
        must_not_run(name)
    assert Path.cwd() == (tmp_path / "up" / "here").resolve()
    assert [p.name for p in tmp_path.iterdir()] == ["up"]


@pytest.mark.parametrize("place", [whole_folder, whole_file])
def test_the_folder_we_are_in_gets_files(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    with place("a.bin" if place is whole_file else ".") as work:
        write_in(place, work, "a.bin")
    assert listed(tmp_path) == ["a.bin"]


# -- sentences ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.ENOSPC, "the disk is full; free some space or choose another folder."),
        (errno.EDQUOT, "the disk is full; free some space or choose another folder."),
        (errno.EFBIG, "the disk is full; free some space or choose another folder."),
        (errno.EACCES, "no permission; choose another folder."),
        (errno.EROFS, "no permission; choose another folder."),
        (errno.EIO, f"{os.strerror(errno.EIO)}."),
    ],
)
@pytest.mark.parametrize("with_name", [True, False])
def test_an_error_in_nested_writes_tells_the_path_that_was_asked_for(tmp_path, number, sentence, with_name):
    def write_it() -> None:
        with (
            own_folder(tmp_path / "out") as work,
            whole_folder(work / "deep") as part,
            whole_file(part / "a.nrrd") as a,
        ):
            a.write_text("half")
            raise OSError(number, os.strerror(number), *([str(a)] if with_name else []))

    with pytest.raises(OutputError) as error:
        write_it()
    assert str(error.value) == f"'{tmp_path / 'out' / 'deep' / 'a.nrrd'}' could not be written: {sentence}"
    assert list(tmp_path.iterdir()) == []


def test_a_hidden_path_in_a_writers_own_words_is_told_as_the_one_that_was_asked_for(tmp_path):
    def write_it() -> None:
        with own_folder(tmp_path / "out") as work, whole_file(work / "a.png") as part:
            raise RuntimeError(f"libfoo failed:\n  no encoder for '{part}'!\n\n")

    with pytest.raises(OutputError) as error:
        write_it()
    told = tmp_path / "out" / "a.png"
    assert str(error.value) == f"'{told}' could not be written: no encoder for '{told}'!."


@pytest.mark.parametrize("relative", [True, False])
def test_a_format_that_simpleitk_cannot_write_is_told_without_the_hidden_path(tmp_path, monkeypatch, relative):
    monkeypatch.chdir(tmp_path)
    target = Path("a.unknown") if relative else tmp_path / "out" / "a.unknown"
    sentence = r"a\.unknown' could not be written: .*a\.unknown"
    with pytest.raises(OutputError, match=sentence) as error, whole_file(target) as part:
        sitk.WriteImage(sitk.Image(3, 3, sitk.sitkUInt8), str(part))
    assert tells_no_hidden_place(error)
    assert list(tmp_path.iterdir()) == []


def test_a_path_outside_of_the_hidden_places_stays_what_it_is(tmp_path):
    assert named(tmp_path / "a") == tmp_path / "a"
    with own_folder(tmp_path / "out") as work:
        assert named(work / "deep" / "a") == tmp_path / "out" / "deep" / "a"
        assert named(tmp_path / "a") == tmp_path / "a"
        with whole_folder(work / "b") as part:
            assert named(part / "c") == tmp_path / "out" / "b" / "c"
    assert named(work) == work


def test_our_own_errors_and_faults_pass_as_they_are(tmp_path):
    for error in (InputError("no frames"), Cancelled("stopped"), OutputError("full"), ValueError("x"), TypeError("y")):
        with pytest.raises(type(error)) as caught, writing(tmp_path):
            raise error
        assert caught.value is error


def test_an_error_without_words_is_told_by_its_kind(tmp_path):
    with pytest.raises(OutputError, match=r"'out' could not be written: RuntimeError\.$"), writing("out"):
        raise RuntimeError


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may write everywhere, so it is somebody else within the block."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


@posix
@PLACES
def test_a_folder_without_permission_is_one_sentence(tmp_path, place):
    (tmp_path / "locked").mkdir(mode=0o500)
    sentence = "no permission; choose another folder"
    with as_nobody(), pytest.raises(OutputError, match=sentence) as error, place(tmp_path / "locked" / "new" / "out"):
        pytest.fail("the block must not run")
    assert tells_no_hidden_place(error)
    assert list((tmp_path / "locked").iterdir()) == []


_FULL_DISK = """
import resource, sys
from pathlib import Path
from DeepRegLogic.files import own_folder, whole_file
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    with own_folder(sys.argv[1]) as work:
        for number in range(int(sys.argv[2])):
            (work / f"small file number {number}.txt").write_text("x")
        with whole_file(work / "deep" / "big.bin") as part:
            part.write_bytes(bytes(int(sys.argv[3])))
except OSError as error:
    print(type(error).__name__, error)
"""


@posix
@pytest.mark.parametrize(("small", "big", "name"), [(0, 5000, "out/deep/big.bin"), (60, 10, "out")])
def test_a_disk_that_runs_full_leaves_nothing_and_names_the_file(repository, tmp_path, small, big, name):
    """A limit on the size of a file stands in for the disk: in the last case it is the marker that is too large."""
    command = [sys.executable, "-c", _FULL_DISK, tmp_path / "new" / "out", small, big]
    done = run(command, cwd=repository)
    told = tmp_path / "new" / name
    assert done.stdout.strip() == (
        f"OutputError '{told}' could not be written: the disk is full; free some space or choose another folder."
    ), done.stderr
    assert list(tmp_path.iterdir()) == []


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
    _write_files(tmp_path, [".unfinished-other/half.bin", ".unfinished-other/.in-use"], "theirs")
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
