"""Nothing of anybody else's is ever replaced, no input either; what cannot be written is told in one sentence."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import SimpleITK as sitk
from processes import run
from writing import PLACES, below, listed, must_not_run, posix, tells_no_hidden_place, write, write_files, write_in

from DeepRegLogic import Cancelled, InputError, OutputError
from DeepRegLogic.files import MARKER, named, own_folder, whole_file, whole_folder, writing

# -- what is somebody else's -------------------------------------------------------------------------------------------


def test_a_folder_with_other_files_is_not_touched(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match=r"holds other files \('thesis\.txt'\); name a new or an empty folder"):
        must_not_run(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("name", ["thesis.txt", "figures/mine.png", ".hidden", "done.txt.bak", f"deep/{MARKER}"])
def test_one_file_among_earlier_results_keeps_them_all(tmp_path, name):
    target = write(tmp_path / "out", done="old")
    write_files(target, [name], "years of work")
    with pytest.raises(OutputError, match="holds other files") as error:
        must_not_run(target)
    assert f"('{name}')" in str(error.value)
    assert (target / name).read_text() == "years of work"
    assert (target / "done.txt").read_text() == "old"


def test_of_many_other_files_three_are_named(tmp_path):
    write_files(tmp_path, ["e", "b", "d", "a", "c"], "mine")
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
        write_files(tmp_path, ["out/thesis.txt"], "years of work")
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
