"""Cohorts from the command line: whole or absent, killed and gone on with, the same on every engine."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cohorts import FAST, Deadly, content, differences, table, write_cines
from processes import run

from DeepRegLogic import OutputError, Study, register_studies
from DeepRegLogic.cli import cohort as command
from DeepRegLogic.cli import main
from DeepRegLogic.cli.manifest import Manifest
from DeepRegLogic.cohort.engines import Processes
from DeepRegLogic.cohort.study import Output
from DeepRegLogic.cohort.table import Table

posix = pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX")


@pytest.fixture(scope="module")
def cines(tmp_path_factory) -> Path:
    """A folder with three cines, one file that is none, and a note."""
    folder = tmp_path_factory.mktemp("cines")
    write_cines(folder, 3)
    (folder / "broken.nii.gz").write_bytes(b"no image")
    (folder / "notes.txt").write_text("of somebody")
    return folder


@pytest.fixture(scope="module")
def serial(cines, tmp_path_factory) -> Path:
    """The cohort, done one after the other."""
    folder = tmp_path_factory.mktemp("serial") / "out"
    assert main(["cohort", str(cines), "--output", str(folder), *FAST]) == 1
    return folder


def test_every_study_has_its_row_and_its_folder(serial):
    rows = {row["study"]: row for row in table(serial)}
    assert {name: row["status"] for name, row in rows.items()} == {
        "beat-0": "ok", "beat-1": "ok", "beat-2": "ok", "broken": "failed",
    }  # fmt: skip
    assert "broken.nii.gz" in rows["broken"]["message"]
    assert sorted(p.name for p in serial.iterdir()) == ["beat-0", "beat-1", "beat-2", "studies.csv"]
    record = json.loads((serial / "beat-0" / "study.json").read_text())
    assert float(rows["beat-0"]["error_after"]) == pytest.approx(record["figures"]["error_after"], rel=1e-5)
    assert rows["beat-0"]["frames"] == "3"


def test_what_is_written_can_be_chosen(serial):
    names = {p.relative_to(serial / "beat-0").as_posix().split("/")[0] for p in (serial / "beat-0").rglob("*")}
    assert names == {".temporal-registration.json", "fields", "frames.csv", "report.json", "study.json"}


def test_strays_and_failures_are_named(cines, tmp_path, capsys):
    assert main(["cohort", str(cines), "--output", str(tmp_path / "out"), *FAST, "--shard", "4/4"]) == 1
    told = capsys.readouterr()
    assert "'notes.txt'" in told.err
    assert "broken: '" in told.err
    assert "0 of 1 studies are registered" in told.out


def test_finished_studies_are_left_alone_and_others_done_again(cines, serial, tmp_path, capsys):
    out, sources = tmp_path / "out", tmp_path / "cines"
    shutil.copytree(serial, out)
    shutil.copytree(cines, sources, copy_function=shutil.copy)  # other times, the same contents
    before = {p: p.stat().st_ino for p in out.glob("*/study.json")}
    words = ["cohort", str(sources), "--output", str(out), "--skip-finished"]
    assert main([*words, *FAST]) == 1
    assert {p: p.stat().st_ino for p in out.glob("*/study.json")} == before
    assert table(out)[:3] == table(serial)[:3]
    (out / "beat-1" / "study.json").unlink()  # as one of an older version
    shutil.copy(sources / "beat-0.seq.nrrd", sources / "beat-2.seq.nrrd")
    assert main([*words, *FAST]) == 1
    changed = {p.parent.name for p, number in before.items() if p.stat().st_ino != number}
    assert changed == {"beat-1", "beat-2"}
    assert table(out)[0]["error_after"] == table(out)[2]["error_after"] == table(serial)[0]["error_after"]
    before = {p: p.stat().st_ino for p in out.glob("*/study.json")}
    assert main([*words, *FAST, "--write", "report"]) == 1
    assert not {p: p.stat().st_ino for p in out.glob("*/study.json")}.items() & before.items()
    capsys.readouterr()


@posix
@pytest.mark.parametrize("kills", [1, 2])
def test_a_killed_process_is_replaced_and_its_study_tried_again(kills, tmp_path):
    studies = {name: Deadly(tmp_path / name, marks=tmp_path / "marks", kills=kills) for name in "ab"}
    rows = []
    found = register_studies(studies, tmp_path / "out", engine=Processes(1), on_row=rows.append)
    assert found == {"failed": 2}
    assert ("was killed" in rows[0]["message"]) == (kills > 1)  # it was tried twice
    assert [("There is no file" in row["message"]) for row in rows] == [kills == 1, True]
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["studies.csv"]


# kills itself before a row is written, so that a finished study has none
KILLED = """
import os, signal, sys
from DeepRegLogic.cohort.study import Output
from DeepRegLogic.cohort.table import Table
add, count = Table.add, [0]
def once(self, row):
    count[0] += 1
    if count[0] == int(sys.argv[1]):
        with open(self.path, "a") as file:
            file.write("beat-1,ok,3,0.0")  # and in the middle of a line
        os.kill(os.getpid(), signal.SIGKILL)
    add(self, row)
Table.add = once
from DeepRegLogic.__main__ import main
main(sys.argv[2:])
"""


@posix
def test_a_killed_cohort_is_gone_on_with(cines, serial, tmp_path, repository):
    out = tmp_path / "out"
    words = ["cohort", str(cines), "--output", str(out), *FAST]
    killed = [sys.executable, "-c", KILLED, "3", *words, "--workers", "2"]
    done = run(killed, env={**os.environ, "PYTHONPATH": str(repository)})
    assert done.returncode == -signal.SIGKILL
    assert 1 <= len(list(out.glob("*/study.json"))) <= 3
    assert main([*words, "--skip-finished"]) == 1
    assert differences(serial, out) == []  # whichever of them processes had done


@posix
def test_a_cohort_that_is_stopped_ends_in_a_sorted_table(cines, tmp_path, monkeypatch, capsys):
    out, add = tmp_path / "out", Table.add

    def add_and_stop(self, row):
        add(self, row)
        if row["status"] == "ok":
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Table, "add", add_and_stop)
    assert main(["cohort", str(cines), "--output", str(out), *FAST]) == 128 + signal.SIGTERM
    assert [row["status"] for row in table(out)] == ["ok"]
    assert [p.name for p in sorted(out.iterdir())] == ["beat-0", "studies.csv"]
    capsys.readouterr()


def test_two_runs_at_once_end_in_the_same(cines, serial, tmp_path):
    studies = Manifest(str(cines), _arguments(["cohort", str(cines), "--output", str(tmp_path / "out"), *FAST]))
    output = Output(("report", "fields"))
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(register_studies, studies, tmp_path / "out", output=output) for _ in range(2)]
    assert [run.result() for run in runs] == [{"ok": 3, "failed": 1}] * 2
    assert differences(serial, tmp_path / "out") == []


def _arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args(words[1:])


def test_shards_share_a_folder(cines, serial, tmp_path, monkeypatch):
    out = tmp_path / "out"
    for number in (12, 10):
        for name, value in (("ID", number), ("COUNT", 2), ("MIN", 10), ("STEP", 2)):
            monkeypatch.setenv(f"SLURM_ARRAY_TASK_{name}", str(value))
        main(["cohort", str(cines), "--output", str(out), *FAST, "--shard"])
    assert differences(serial, out) == []


def test_a_list_says_more_of_its_studies(cines, tmp_path, capsys):
    (tmp_path / "list.csv").write_text(
        "name,input,reference,model,refine,pair\n"
        f"first,{cines}/beat-0.seq.nrrd,1,,no,\n"
        f"second,{cines}/beat-1.seq.nrrd,,voxelmorph-cardiac,no,\n"
    )
    out = tmp_path / "out"
    words = ["cohort", str(tmp_path / "list.csv"), "--output", str(out), "--write", "report", "--half", "--quiet"]
    assert main([*words, "--log", str(tmp_path / "log.txt")]) == 0
    reports = {name: json.loads((out / name / "report.json").read_text()) for name in ("first", "second")}
    assert reports["first"]["reference"] == 1
    assert reports["second"]["provenance"]["model"] == "voxelmorph-cardiac"
    assert 0 < reports["first"]["fields"]["largest_error_mm"] < 0.01
    told = capsys.readouterr()
    assert told.out == told.err == ""
    assert "2 of 2 studies (second: ok)" in (tmp_path / "log.txt").read_text()


def test_a_table_of_something_else_is_left_alone(cines, tmp_path, capsys):
    (tmp_path / "studies.csv").write_text("patient,age\na,50\n")
    with pytest.raises(OutputError, match="of something else"):
        register_studies({"a": Study(cines / "beat-0.seq.nrrd")}, tmp_path)
    assert (tmp_path / "studies.csv").read_text() == "patient,age\na,50\n"


def test_a_summary_has_those_that_stand_out_first(serial, tmp_path, capsys):
    out = tmp_path / "out"
    shutil.copytree(serial, out)
    for number in range(9):  # more of the same, and one that is not
        shutil.copytree(out / "beat-0", out / f"more-{number}")
    path = out / "more-4" / "study.json"
    record = json.loads(path.read_text())
    record["figures"] |= {"error_after": 0.9, "doubtful": 3}
    path.write_text(json.dumps(record))
    assert main(["summarise", str(out)]) == 0
    lines = (out / "summary.csv").read_text().splitlines()
    assert lines[0].startswith("study,status,stands_out,why,frames,error_before,error_after")
    assert [line.split(",")[0] for line in lines[1:3]] == ["broken", "more-4"]
    assert "error_after 0.9 (median" in lines[2]
    assert len(lines) == 1 + 13
    assert (out / "summary.png").read_bytes()[:4] == b"\x89PNG"
    assert "more-4: error_after" in capsys.readouterr().out
    assert main(["summarise", str(tmp_path)]) == 1
    assert "no study" in capsys.readouterr().err


def test_content_of_a_cohort_is_compared_without_the_clock(serial):
    found = content(serial)
    assert "seconds" not in found["beat-0/report.json"]["provenance"]
    assert len(found["beat-0/fields/displacement_001.nrrd"]) > 1000
