"""What a cohort is made of: lists, patterns and folders; and which of its studies are finished."""

from __future__ import annotations

import argparse
import gzip
import json
import multiprocessing
import os
import struct
from dataclasses import dataclass
from pathlib import Path

import pytest

from DeepRegLogic import InputError, ModelError, OutputError
from DeepRegLogic.cli import cohort as command
from DeepRegLogic.cli.manifest import Manifest
from DeepRegLogic.cohort.finished import RECORD, finished, record
from DeepRegLogic.cohort.study import Output, Study
from DeepRegLogic.cohort.table import COLUMNS, Table


def manifest_of(source: object, *words: str) -> Manifest:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    arguments = parser.parse_args([str(source), "--output", "out", *words])
    return Manifest(arguments.manifest, arguments)


def touch(folder: Path, *names: str, text: bytes = b"x") -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
    return folder


def nifti(path: Path, axes: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    head = struct.pack("<i", 348) + bytes(36) + struct.pack("<8h", axes, *[4] * 7)
    path.write_bytes(gzip.compress(head + bytes(348 - len(head))) if path.suffix == ".gz" else head)


# -- lists ------------------------------------------------------------------------------------------------------------


def test_a_row_has_the_options_of_register(tmp_path):
    (tmp_path / "list.csv").write_text(
        "name,input,labels,reference,roi,pair,model,quality,affine,series,refine,memory_gb\n"
        'one,a.nrrd,l.nrrd,3,"4,44,2,38",,tlrn-cardiac,best,,,,2.5\n'
        "two,b.nrrd,,,,c.nrrd,none,,yes,,,\n"
        "three,d,,auto,,,,,,1.2;1.3,no,\n"
    )
    found = manifest_of(tmp_path / "list.csv", "--device", "cpu")
    assert list(found) == ["one", "two", "three"]
    one, two, three = found.values()
    assert (one.source, one.labels) == (tmp_path / "a.nrrd", tmp_path / "l.nrrd")
    assert one.options["roi"] == ((2, 4), (38, 44))
    assert {name: one.options[name] for name in ("reference", "model", "refine", "memory_gb", "device")} == {
        "reference": 3, "model": "tlrn-cardiac", "refine": "best", "memory_gb": 2.5, "device": "cpu",
    }  # fmt: skip
    assert (two.source, two.moving) == (tmp_path / "b.nrrd", tmp_path / "c.nrrd")
    assert two.options == {"model": None, "affine": True, "device": "cpu"}
    assert three.series == ["1.2", "1.3"]
    assert three.options == {"refine": False, "device": "cpu"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("input,colour\na,b\n", "column 'colour'"),
        ("input,reference\na,x\n", "The study 'a': argument --reference: 'x' is neither a frame number nor 'auto'"),
        ("input,quality\na,bst\n", "Did you mean 'best'"),
        ("input,affine\na,perhaps\n", "'perhaps' is neither yes nor no"),
        ("input,affine\na,yes\n", "--affine is for pairs"),
        ("input,pair,reference\na,b,2\n", "leave --reference out"),
        ("name,labels\na,b\n", "Study 1 of"),
        ("input\nnothing-*.nrrd\n", "Nothing fits"),
    ],
)
def test_a_row_that_cannot_be_understood_is_named(text, words, tmp_path):
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(InputError) as caught:
        manifest_of(tmp_path / "list.csv")
    assert words in str(caught.value)


def test_unknown_models_are_told_before_anything_is_read(tmp_path):
    (tmp_path / "list.csv").write_text("input,model\na,tlrn-cardia\n")
    with pytest.raises(ModelError, match="Did you mean 'tlrn-cardiac'"):
        manifest_of(tmp_path / "list.csv")


def test_a_pattern_is_a_study_for_every_file(tmp_path):
    touch(tmp_path, "a/p1/cine.nii.gz", "a/p2/cine.nii.gz", "a/p10/cine.nii.gz", "a/p2/other.nii.gz")
    (tmp_path / "list.csv").write_text("input,labels\na/*/cine.nii.gz,gt/*_gt.nii.gz\n")
    found = manifest_of(tmp_path / "list.csv", "--reference", "0")
    assert list(found) == ["p1", "p10", "p2"]
    assert found["p10"].labels == tmp_path / "gt" / "p10_gt.nii.gz"
    assert list(manifest_of(tmp_path / "a" / "**" / "c?ne.nii.gz")) == ["p1", "p10", "p2"]


def test_names_are_safe_and_different_where_case_does_not_tell(tmp_path):
    (tmp_path / "list.csv").write_text("name,input\nA b,x\na_B,x\n../c,x\nc,x\nC,x\n")
    assert list(manifest_of(tmp_path / "list.csv")) == ["A_b", "a_B-2", "c", "c-2", "C-3"]


# -- folders ----------------------------------------------------------------------------------------------------------


def test_acdc(tmp_path):
    for name, ed in (("patient001", 1), ("patient002", 12)):
        touch(tmp_path, f"{name}/{name}_4d.nii.gz", f"{name}/{name}_frame{ed:02}.nii.gz")
        touch(tmp_path, f"{name}/{name}_frame{ed:02}_gt.nii.gz")
        (tmp_path / name / "Info.cfg").write_text(f"ED: {ed}\nES: 20\nGroup: DCM\n")
    touch(tmp_path, "README.txt")
    found = manifest_of(tmp_path)
    assert list(found) == ["patient001", "patient002"]
    assert found["patient002"].options["reference"] == 11
    assert found["patient002"].labels.name == "patient002_frame12_gt.nii.gz"
    assert [path.name for path in found.strays] == ["README.txt"]


def test_bids(tmp_path):
    nifti(tmp_path / "sub-01/ses-1/func/sub-01_ses-1_task-rest_bold.nii.gz", 4)
    nifti(tmp_path / "sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz", 3)
    nifti(tmp_path / "sub-02/cine/sub-02_cine.nii", 4)
    nifti(tmp_path / "sub-02/cine/sub-02_dseg.nii", 3)
    touch(tmp_path, "dataset_description.json", "sub-02/cine/sub-02_cine.json")
    found = manifest_of(tmp_path, "--reference", "0")
    assert list(found) == ["sub-01_ses-1_task-rest_bold", "sub-02_cine"]
    assert found["sub-02_cine"].labels.name == "sub-02_dseg.nii"
    assert {path.name for path in found.strays} == {"dataset_description.json", "sub-01_ses-1_T1w.nii.gz"}


def test_a_folder_of_ones_own(tmp_path):
    touch(tmp_path, "c10.nrrd", "c9.nrrd", "c9.seg.nrrd", "x/1", "notes.txt", "table.csv", ".hidden", "p.png")
    (tmp_path / "empty").mkdir()
    found = manifest_of(tmp_path)
    assert list(found) == ["c9", "c10", "x"]
    assert [path.name for path in found.strays] == ["c9.seg.nrrd", "empty", "notes.txt", "p.png", "table.csv"]
    found = manifest_of(tmp_path, "--reference", "4")
    assert found["c9"].labels.name == "c9.seg.nrrd"
    assert found["c10"].labels is None
    with pytest.raises(InputError, match="holds no study"):
        manifest_of(tmp_path / "empty")


# -- what is finished -------------------------------------------------------------------------------------------------


@pytest.fixture
def study(tmp_path) -> Study:
    touch(tmp_path, "cine.nrrd", "dicom/b", "dicom/a/c")
    return Study(tmp_path / "cine.nrrd", labels=tmp_path / "dicom", options={"reference": 2, "memory_gb": 3.0})


def note(folder: Path, study: Study, output: Output) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / RECORD).write_text(json.dumps({**record(study, output), "figures": {}, "seconds": 1, "summary": ""}))
    return folder


def test_a_study_is_finished_while_nothing_changes(study, tmp_path):
    output = Output(("report",))
    out = note(tmp_path / "out", study, output)

    def known(other: Study = study, how: Output = output, thorough: bool = True) -> bool:
        return finished(other, how, out, thorough) is not None

    def like(**changes: object) -> Study:
        return Study(**{**vars(study), **changes})

    assert known(thorough=False)
    assert known(like(options={"reference": 2}))  # how much memory there is changes nothing
    assert not known(like(options={"reference": 3}))
    assert not known(like(options={"reference": 2, "model": "dragnet-cardiac"}))
    assert not known(like(options={"reference": 2, "model": "no such model"}))
    assert not known(like(series="1.2"))
    assert not known(like(labels=None))
    assert not known(how=Output(("report", "fields")))
    assert not known(how=Output(("report",), half=True))
    os.utime(study.source, (1, 1))
    assert not known(thorough=False)
    assert known()  # its content is the same
    moved = tmp_path / "moved.nrrd"
    moved.write_bytes(b"x")
    assert not known(like(source=moved))  # another name may be another format
    study.source.write_bytes(b"y")
    os.utime(study.source, (1, 1))
    assert not known()
    study.source.write_bytes(b"x")
    assert known()
    touch(study.labels, "d")
    assert not known()
    (study.labels / "d").unlink()
    assert known()
    (out / RECORD).write_text("{}")
    assert not known()


@dataclass(frozen=True)
class Clicked(Study):
    """A study that says something more."""

    clicks: tuple[tuple[float, ...], ...] = ()


def test_whatever_a_study_says_more_belongs_to_it(study, tmp_path):
    one, other = (Clicked(study.source, clicks=((1.0, 2.0, place),)) for place in (3.0, 4.0))
    out = note(tmp_path / "out", one, Output())
    assert finished(one, Output(), out, thorough=False) is not None
    assert finished(other, Output(), out, thorough=True) is None


def test_the_weights_of_a_study_are_those_of_its_model(study, tmp_path):
    from DeepRegLogic import zoo

    assert record(study, Output())["weights"] == zoo.find_card(zoo.DEFAULTS["cine"]).sha256
    pair = Study(study.source, moving=study.source)
    assert record(pair, Output())["weights"] == zoo.find_card(zoo.DEFAULTS["pair"]).sha256
    assert record(Study(study.source, options={"model": None}), Output())["weights"] == ""


# -- the table --------------------------------------------------------------------------------------------------------


def row(name: str, status: str = "ok", **more: object) -> dict[str, object]:
    return {"study": name, "status": status, "seconds": 1.23456789, "message": "said", **more}


def test_the_last_row_of_a_study_counts_and_unfinished_lines_do_not(tmp_path):
    table = Table(tmp_path / "new" / "out")
    for entry in (row("b"), row("a", "failed", message='two\nlines, "quoted"'), row("c"), row("a", frames=3)):
        table.add(entry)
    with open(table.path, "a") as file:
        file.write("b,failed,half a")
    assert [r["study"] for r in table.rows()] == ["b", "a", "c", "a"]
    again = Table(tmp_path / "new" / "out")
    again.add(row("d", "failed"))
    again.sort(["a", "b", "missing"])
    rows = list(again.rows())
    assert [(r["study"], r["status"]) for r in rows] == [("a", "ok"), ("b", "ok"), ("c", "ok"), ("d", "failed")]
    assert (rows[0]["frames"], rows[0]["seconds"], rows[1]["frames"]) == ("3", "1.23457", "")
    assert table.path.read_text().splitlines()[0] == ",".join(COLUMNS)
    assert [p.name for p in table.path.parent.iterdir()] == ["studies.csv"]


def _many(folder: Path, start: int) -> None:
    table = Table(folder)
    for number in range(start, start + 40):
        table.add(row(f"s{number:03}"))
        if number % 10 == 0:
            table.sort([f"s{n:03}" for n in range(start, number)])


def test_runs_at_once_lose_no_row(tmp_path):
    context = multiprocessing.get_context("fork" if os.name == "posix" else "spawn")
    others = [context.Process(target=_many, args=(tmp_path, start)) for start in (0, 40, 80)]
    for process in others:
        process.start()
    for process in others:
        process.join()
    table = Table(tmp_path)
    table.sort([])
    assert [r["study"] for r in table.rows()] == [f"s{n:03}" for n in range(120)]


def test_parts_that_there_are_not():
    with pytest.raises(InputError, match="There is no part 'film'"):
        Output(("film",))


def test_a_folder_that_cannot_be_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="could not be written"):
        Table(tmp_path / "file" / "out")


@pytest.mark.parametrize(
    ("text", "environment", "shard"),
    [
        (None, {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "4"}, (1, 1)),
        ("2/7", {}, (2, 7)),
        ("", {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "4"}, (3, 4)),
        ("", {"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_TASK_COUNT": "4", "SLURM_ARRAY_TASK_MIN": "0"}, (1, 4)),
        ("", {}, "needs a SLURM array"),
        ("8/7", {}, "no shard 8 of 7"),
        ("0/7", {}, "no shard 0 of 7"),
        ("a", {}, "is not i/n"),
    ],
)
def test_shards(text, environment, shard):
    if isinstance(shard, tuple):
        assert command._shard(text, environment) == shard
    else:
        with pytest.raises(InputError, match=shard):
            command._shard(text, environment)
