"""Cohorts on a Dask cluster: the same bytes as one after the other, lost workers made up for."""

from __future__ import annotations

import os
import sys

import pytest
from cohorts import Deadly, differences, table, write_cines

from DeepRegLogic import CancelToken, InputError, Study, register_studies
from DeepRegLogic.cohort.study import Output

distributed = pytest.importorskip("distributed", reason="distributed is not installed")

from DeepRegLogic.cohort.dask import Dask  # noqa: E402

REPORT = Output(("report", "fields"))


@pytest.fixture(scope="module")
def client(repository):
    """A client of a cluster with one worker process."""
    paths = [str(repository), str(repository / "Testing" / "helpers")]
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([*paths, *([before] if before else [])])
    options = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": ":0", "resources": {"SLOT": 1}}
    with distributed.LocalCluster(**options, silence_logs="CRITICAL") as cluster, distributed.Client(cluster) as client:
        yield client
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before


@pytest.mark.skipif(sys.platform == "win32", reason="a process kills itself by a signal")
def test_a_cohort_on_dask_is_that_of_one_process(client, tmp_path):
    paths = write_cines(tmp_path, 2)
    studies = {path.name.partition(".")[0]: Study(path, options={"refine": "fast", "reference": 0}) for path in paths}
    studies["lost"] = Deadly(tmp_path / "lost", marks=tmp_path / "marks", kills=1)
    for name, engine in (("serial", None), ("dask", Dask(client, {"SLOT": 1}))):
        if engine is None:
            (tmp_path / "marks").mkdir()
            (tmp_path / "marks" / "0").touch()  # it would kill the tests
        else:
            (tmp_path / "marks" / "0").unlink()
        found = register_studies(studies, tmp_path / name, output=REPORT, engine=engine, threads=1)
        assert found == {"ok": 2, "failed": 1}
    assert (tmp_path / "marks" / "0").exists()  # a worker was killed
    assert differences(tmp_path / "serial", tmp_path / "dask") == []
    assert "There is no file" in table(tmp_path / "dask")[2]["message"]


def test_a_cancelled_cohort_says_what_it_left(client, tmp_path, monkeypatch):
    studies = {str(n): Study(tmp_path / "none") for n in range(3)}
    cancel = CancelToken()
    engine = Dask(client, {"NOBODY HAS IT": 1})  # so that no study is begun
    submit = engine._submit

    def submit_and_stop(task):
        cancel.cancel()
        return submit(task)

    monkeypatch.setattr(engine, "_submit", submit_and_stop)
    found = register_studies(studies, tmp_path / "out", engine=engine, cancel=cancel)
    assert found == {"cancelled": 1}
    assert [row["status"] for row in table(tmp_path / "out")] == ["cancelled"]


def test_a_scheduler_that_is_not_there(monkeypatch):
    monkeypatch.setattr("DeepRegLogic.cohort.dask._PATIENCE", "1s")
    with pytest.raises(InputError, match=r"No Dask scheduler answers at 'tcp://127\.0\.0\.1:9'"):
        Dask("tcp://127.0.0.1:9")
