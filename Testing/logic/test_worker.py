"""The worker process: its protocol, its results, and that it never outlives its use."""

from __future__ import annotations

import json
import mmap
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from made_models import save_generator
from processes import GUARD, run, started, wait_until

from DeepRegLogic import Cine, Labels, Refinement, Results, generate_cine, register_cine
from DeepRegLogic.errors import InputError
from DeepRegLogic.service.exchange import (
    pack_array,
    pack_cine,
    pack_drawn,
    pack_frames,
    unpack_array,
    unpack_cine,
    unpack_drawn,
    unpack_motion,
    unpack_results,
)
from DeepRegLogic.synthetic import cine_phantom

QUICK = {"levels": [[2, 15]]}
posix = pytest.mark.skipif(os.name == "nt", reason="signals and process groups of POSIX")
linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked up in Linux's /proc")


class Client:
    """A worker in a process of its own, and what it said."""

    def __init__(self, process: subprocess.Popen, scratch: Path) -> None:
        self.process, self.scratch = process, scratch
        self.events: queue.Queue[dict] = queue.Queue()
        self.noise: list[str] = []
        self._threads = [
            threading.Thread(target=work, daemon=True)
            for work in (self._read, lambda: self.noise.extend(self.process.stderr))
        ]
        for thread in self._threads:
            thread.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            try:
                self.events.put(json.loads(line))
            except ValueError:
                self.events.put({"event": "not the protocol", "line": line})
        self.events.put({"event": "ended"})

    def send(self, **message) -> None:
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def until(self, *names: str) -> tuple[dict, list[dict]]:
        """The first event of one of the names, and what came before; fails where the worker ends before it."""
        before = []
        while True:
            event = self.events.get(timeout=GUARD)
            if event["event"] in names:
                return event, before
            assert event["event"] not in ("ended", "not the protocol"), (event, before, self.noise[-5:])
            before.append(event)

    def ended(self) -> tuple[int, list[dict]]:
        """The exit code of a worker that ends by itself, and the events that were not looked at."""
        code = self.process.wait(timeout=GUARD)
        for thread in self._threads:
            thread.join(timeout=GUARD)
        left = []
        while not self.events.empty():
            left.append(self.events.get())
        assert left.pop() == {"event": "ended"}
        return code, left

    def folder(self, name: str) -> Path:
        path = self.scratch / name
        path.mkdir()
        return path


@contextmanager
def working(repository: Path, scratch: Path, *options: str, code: str = "", guard: float = GUARD) -> Iterator[Client]:
    """A worker that is gone at the end of the block."""
    scratch.mkdir(exist_ok=True)
    start = f"import sys; {code}\nfrom DeepRegLogic.service import worker\nsys.exit(worker.main())"
    command = [sys.executable, "-c", start, "--scratch", scratch, *options]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    environment = {**os.environ, "PYTHONPATH": str(repository), "OMP_NUM_THREADS": "1"}
    with started(command, guard, env=environment, **pipes) as process:
        yield Client(process, scratch)


@pytest.fixture(scope="module")
def phantom():
    return cine_phantom(seed=4, size=48, spacing=4.0)


@pytest.fixture(scope="module")
def cine(phantom) -> Cine:
    return Cine(phantom.cine.frames[:4], phantom.cine.grid, phantom.cine.times[:4], name="phantom")


@pytest.fixture(scope="module")
def client(repository, tmp_path_factory):
    with working(repository, tmp_path_factory.mktemp("scratch"), guard=10 * GUARD) as client:
        assert client.until("started")[0]["pid"] > 0
        assert client.until("ready")[0]["version"]
        yield client


def test_cine_is_registered_as_in_this_process(client, cine, phantom):
    folder = client.folder("cine")
    masks = (phantom.labels[0] == 1).astype(np.uint8)[None]
    points = phantom.cine.grid.voxel_to_mm(np.array([[20.0, 22.0], [25.0, 30.0]]))
    arguments = {
        "cine": pack_cine(folder, "frames", cine),
        "masks": pack_array(folder, "masks", masks),
        "points": pack_array(folder, "points", points),
        "model": None,
        "reference": 0,
        "refine": QUICK,
        "device": "cpu",
    }
    client.send(id=1, call="register_cine", folder=str(folder), arguments=arguments)
    event, before = client.until("result", "error", "cancelled")
    assert event["event"] == "result", event
    assert event["id"] == 1
    fractions = [e["fraction"] for e in before]
    assert {e["event"] for e in before} == {"progress"}
    assert fractions == sorted(fractions)
    assert fractions[0] == 0.0
    assert fractions[-1] == 1.0
    assert all(e["text"] for e in before)

    motion = unpack_motion(folder / "results", event["result"]["motion"])
    labels = Labels.of_masks(masks)
    results = unpack_results(folder / "results", event["result"]["results"], Results(motion, cine, labels, points))
    here = register_cine(cine, model=None, reference=0, refine=Refinement(levels=((2, 15),)), device="cpu")
    np.testing.assert_allclose(motion.displacement, here.displacement, atol=1e-3)
    np.testing.assert_allclose(motion.inverse, here.inverse, atol=1e-3)
    assert _is_mapped(motion.displacement)
    assert motion.grid == cine.grid
    np.testing.assert_array_equal(motion.times, cine.times)
    assert motion.quality[3].error_after < motion.quality[3].error_before
    expected = Results(motion, cine, labels, points)
    for name in ("compensated", "propagated", "difference", "jacobian"):
        assert _is_mapped(results.map(name))
        np.testing.assert_allclose(results.map(name), expected.map(name), atol=1e-5, err_msg=name)
    for name in ("carried", "followed"):
        assert _is_mapped(getattr(results, name))
        np.testing.assert_allclose(getattr(results, name), getattr(expected, name), atol=1e-5, err_msg=name)
    sizes = results.curve("sizes")[1]
    np.testing.assert_allclose(sizes, expected.sizes[1], atol=1e-5)
    np.testing.assert_array_equal(results.carried[0, 0], masks[0])
    np.testing.assert_allclose(results.followed[0], points, atol=1e-9)
    assert np.abs(results.followed[3] - points).max() > 0.1
    assert sizes[0] == pytest.approx(masks.sum() * 16.0)


def _is_mapped(array: np.ndarray) -> bool:
    while isinstance(array, np.ndarray):
        array = array.base
    return isinstance(array, mmap.mmap)


def test_named_labels_are_carried_along_where_there_are_no_points(client, cine, phantom):
    folder = client.folder("follow")
    labels = Labels.of_masks((phantom.labels[0] == 2).astype(np.uint8)[None], ("wall",))
    drawn = pack_drawn(folder, labels, None)
    assert unpack_drawn(folder, drawn)[0].titles == {1: "wall"}
    arguments = {"cine": pack_cine(folder, "frames", cine), **drawn}
    arguments |= {"model": None, "reference": 0, "refine": QUICK, "device": "cpu"}
    client.send(id=2, call="register_cine", folder=str(folder), arguments=arguments)
    event, _ = client.until("result", "error")
    assert event["event"] == "result", event
    motion = unpack_motion(folder / "results", event["result"]["motion"])
    results = unpack_results(folder / "results", event["result"]["results"], Results(motion, cine, labels))
    np.testing.assert_array_equal(results.carried, Results(motion, cine, labels).carried)
    assert results.followed.shape == (4, 0, 3)


def test_pair_is_registered(client, cine):
    folder = client.folder("pair")
    fixed, moving = (Cine(cine.frames[t : t + 1], cine.grid, name=f"frame {t}") for t in (0, 3))
    arguments = {
        "fixed": pack_cine(folder, "fixed", fixed),
        "moving": pack_cine(folder, "moving", moving),
        "model": None,
        "refine": QUICK,
    }
    client.send(id=3, call="register_pair", folder=str(folder), arguments=arguments)
    event, _ = client.until("result", "error")
    motion = unpack_motion(folder / "results", event["result"]["motion"])
    assert len(motion) == 2
    assert motion.quality[1].error_after < motion.quality[1].error_before


@pytest.fixture(scope="module")
def generator(tmp_path_factory) -> str:
    """The folder of an untrained model that can generate."""
    return save_generator(tmp_path_factory.mktemp("models") / "generator")


def test_cines_are_generated_as_in_this_process(client, cine, phantom, generator, tmp_path):
    frame = Cine(cine.frames[:1], cine.grid, name="frame")
    masks = np.stack([(phantom.labels[0] == value).astype(np.uint8) for value in (1, 2)])
    options = {"n_frames": 4, "n_samples": 2, "seed": 5, "model": generator, "device": "cpu"}
    arguments = {"frame": pack_cine(tmp_path, "frame", frame), "masks": pack_array(tmp_path, "masks", masks)}
    client.send(id=8, call="generate_cine", folder=str(tmp_path), arguments={**arguments, **options})
    event, before = client.until("result", "error")
    assert event["event"] == "result", event
    fractions = [e["fraction"] for e in before]
    assert fractions == sorted(fractions)
    here = generate_cine(frame, **options)
    assert len(event["result"]["samples"]) == len(here) == 2
    for found, sample in zip(event["result"]["samples"], here, strict=True):
        place = tmp_path / "results" / found["folder"]
        np.testing.assert_allclose(unpack_cine(place, found["cine"]).frames, sample.cine.frames, atol=1e-2)
        motion = unpack_motion(place, found["motion"])
        np.testing.assert_allclose(motion.inverse, sample.motion.inverse, atol=1e-4)
        assert motion.provenance["seed"] == 5
        carried = unpack_array(place, found["masks"])
        assert carried.shape == (2, 4, *cine.grid.shape)
        np.testing.assert_array_equal(carried[:, 0], masks)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n_samples": 0}, "number of samples must be a whole number of 1 or more, not 0"),
        ({"seed": -1}, "seed must be a whole number of 0 or more, not -1"),
        ({"n_frames": 1}, "number of frames must be a whole number of 2 or more, not 1"),
        ({"model": "voxelmorph-cardiac"}, "'voxelmorph-cardiac' cannot generate"),
        ({"model": "no-such-model"}, "no-such-model"),
    ],
)
def test_what_cannot_be_generated_is_told_in_a_sentence(client, cine, generator, change, words, tmp_path):
    frame = Cine(cine.frames[:1], cine.grid, name="frame")
    arguments = {"frame": pack_cine(tmp_path, "frame", frame), "n_samples": 1, "model": generator, **change}
    client.send(id=9, call="generate_cine", folder=str(tmp_path), arguments=arguments)
    event, _ = client.until("result", "error")
    assert event["event"] == "error"
    assert words in event["text"]
    assert "\n" not in event["text"]


@pytest.mark.parametrize(
    ("call", "change", "kind", "words"),
    [
        ("register_cine", {"reference": 9}, "InputError", "Reference frame 9"),
        ("register_cine", {"model": "no-such-model"}, "ModelError", "no-such-model"),
        ("register_cine", {"memory_gb": 0.001}, "MemoryBudgetError", "smaller region"),
        ("register_cine", {"nonsense": 1}, "RegistrationError", "unexpected"),
        ("no_such_call", {}, "InputError", "no call"),
    ],
)
def test_errors_come_as_a_sentence_and_the_worker_stays(client, cine, call, change, kind, words, tmp_path):
    arguments = {"cine": pack_cine(tmp_path, "frames", cine), "model": None, "refine": QUICK, **change}
    client.send(id=4, call=call, folder=str(tmp_path), arguments=arguments)
    event, _ = client.until("result", "error")
    assert (event["event"], event["kind"]) == ("error", kind)
    assert words in event["text"]
    assert "\n" not in event["text"]


def test_missing_array_and_a_line_that_is_no_request(client, cine, tmp_path):
    arguments = {"cine": {**pack_cine(tmp_path, "frames", cine), "frames": "../frames.npy"}}
    client.process.stdin.write("this is no JSON\n[]\n")
    client.send(id=5, call="register_cine", folder=str(tmp_path), arguments=arguments)
    event, _ = client.until("result", "error")
    assert event["kind"] == "InputError"
    assert "../frames.npy" in event["text"]


def test_cancel_ends_the_work_and_keeps_the_worker(client, cine, tmp_path):
    long = {"levels": [[1, 100]] * 5000}
    arguments = {"cine": pack_cine(tmp_path, "frames", cine), "model": None, "refine": long, "device": "cpu"}
    client.send(id=6, call="register_cine", folder=str(tmp_path), arguments=arguments)
    while "Refining" not in client.until("progress")[0]["text"]:
        pass
    client.send(cancel=6)
    event, before = client.until("cancelled", "result", "error")
    assert event == {"event": "cancelled", "id": 6}
    # it was in the middle of hours of work, and did not come to the end of them
    assert all("Refining" in progress["text"] and progress["fraction"] < 0.5 for progress in before)
    assert client.process.poll() is None
    client.send(id=7, call="no_such_call", folder=str(tmp_path), arguments={})
    assert client.until("error")[0]["id"] == 7


def test_nothing_but_the_protocol_on_standard_output(repository, tmp_path):
    noisy = "import os, atexit; atexit.register(lambda: os.write(1, b'late'))"
    with working(repository, tmp_path / "scratch", code=noisy) as client:
        client.until("ready")
        client.send(id=1, call="register_cine", folder=".", arguments={"cine": {}})
        event, _ = client.until("error")
        assert event["kind"] == "RegistrationError"
        client.process.stdin.close()
        assert client.ended()[1] == []
        assert any("Traceback" in line for line in client.noise)


@posix
def test_the_worker_ends_with_its_input_and_takes_its_scratch_along(repository, tmp_path):
    # its packages would be loading for ever
    endless = """
import sys, time
class Endless:
    def find_spec(self, name, path=None, target=None):
        while name == "torch":
            time.sleep(1)
sys.meta_path.insert(0, Endless())
"""
    with working(repository, tmp_path / "scratch", code=endless) as client:
        client.until("started")
        (client.scratch / "left").write_text("over")
        client.process.stdin.close()
        assert client.ended()[1] == []
        assert not client.scratch.exists()


@posix
def test_the_worker_ends_with_its_parent(repository, tmp_path):
    sleeping = [sys.executable, "-c", f"import time; time.sleep({GUARD})"]
    with (
        started(sleeping) as parent,
        working(repository, tmp_path / "scratch", "--parent", str(parent.pid)) as client,
    ):
        client.until("started")
        parent.kill()
        parent.wait(timeout=GUARD)
        client.ended()
        assert not client.scratch.exists()


def test_the_worker_ends_when_idle(repository, tmp_path):
    with working(repository, tmp_path / "scratch", "--idle", "0.2") as client:
        client.until("ready")
        assert client.ended() == (0, [])
        assert not client.scratch.exists()


@linux
def test_the_whole_group_can_be_killed(repository, tmp_path):
    child = f"""
import subprocess
from DeepRegLogic.service import worker
def child(folder, arguments, progress, cancel):
    return {{"pid": subprocess.Popen(["sleep", "{GUARD:.0f}"]).pid}}
worker.CALLS["child"] = child
"""
    with working(repository, tmp_path / "scratch", code=child) as client:
        pid = client.until("started")[0]["pid"]
        client.until("ready")
        client.send(id=1, call="child", folder=str(tmp_path), arguments={})
        group = [pid, client.until("result", "error")[0]["result"]["pid"]]
        assert sorted(int(p) for p in os.listdir("/proc") if p.isdigit() and _group(int(p)) == pid) == sorted(group)
        os.killpg(pid, signal.SIGKILL)
        client.ended()
        wait_until(lambda: not any(_lives(p, pid) for p in group), "the worker and its child end")


LINES = [
    b"\xff\xfe\n", b"\x00\n", b"[" * 200_000 + b"\n", b"{" * 100_000 + b"\n", b"\n", b"null\n", b"3\n", b"[]\n",
    b'"id"\n', b'{"id": "1"}\n', b'{"id": null}\n', b'{"cancel": [1]}\n', b'{"cancel": {}}\n',
    b'{"id": 1}\n', b'{"id": 1e400}\n',
    b'{"id": 1, "call": 5, "folder": "x", "arguments": {}}\n',
    b'{"id": 1, "call": "x", "folder": 3, "arguments": {}}\n',
    b'{"id": 1, "call": "x", "folder": "x", "arguments": []}\n', b"9" * 5000 + b"\n", b'{"id": true, "call": "x"}\n',
    b'{"id": 1, "call": "\xff"}\n', b"x" * (1 << 20) + b"\n", b'{"event": "started"}\n', b"%s%n\r\n",
]  # fmt: skip


def test_the_worker_goes_on_after_any_line_and_ends_with_its_input(repository, tmp_path):
    """24 kinds of lines; after them a request is answered, and a cut one is the last."""
    with working(repository, tmp_path / "scratch") as client:
        client.until("ready")
        for line in LINES:
            client.process.stdin.buffer.write(line)
        client.process.stdin.flush()
        client.send(id=7, call="no such call", folder=str(tmp_path), arguments={})
        event, before = client.until("error")
        assert (event["id"], before) == (7, [])
        client.process.stdin.write('{"id": 8, "ca')
        client.process.stdin.close()
        assert client.ended() == (0, [])
        assert not client.scratch.exists()


def _group(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


def _lives(pid: int, group: int) -> bool:
    """Whether the process is still there, in that group, and not a mere entry that nobody asked about yet."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return _group(pid) == group and state != "Z"


def test_missing_packages_are_named_in_a_sentence(repository, tmp_path):
    hide = "sys.modules['torch'] = None; sys.modules['SimpleITK'] = None"
    with working(repository, tmp_path / "scratch", code=hide) as client:
        event, _ = client.until("unusable", "ready")
        assert "torch" in event["text"]
        assert "SimpleITK" in event["text"]
        assert sys.executable in event["text"]
        assert client.ended() == (3, [])


def test_memory_that_runs_out_gives_advice(repository, tmp_path):
    full = """
from DeepRegLogic.service import worker
def full(*a, **k): raise RuntimeError('CUDA out of memory. Tried')
worker.CALLS['full'] = full
"""
    with working(repository, tmp_path / "scratch", code=full) as client:
        client.until("ready")
        client.send(id=1, call="full", folder=str(tmp_path), arguments={})
        event, _ = client.until("error")
        assert event["kind"] == "MemoryBudgetError"
        assert "smaller region of interest" in event["text"]
        assert "CUDA" not in event["text"]


def test_frames_are_packed_one_by_one(tmp_path):
    frames = np.arange(24, dtype=np.int16).reshape(4, 2, 3)
    names = list(pack_frames(tmp_path, "frames", 4, frames))
    assert names == ["frames.npy"] * 4
    found = unpack_array(tmp_path, "frames.npy")
    np.testing.assert_array_equal(found, frames)
    assert found.dtype == np.int16
    np.save(tmp_path / "object.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(InputError, match=r"object\.npy"):
        unpack_array(tmp_path, "object.npy")


def test_exchange_needs_numpy_alone(repository):
    code = (
        "import sys, DeepRegLogic.service.exchange, DeepRegLogic.results.results\n"
        "print([name for name in ('torch', 'SimpleITK', 'monai') if name in sys.modules])"
    )
    done = run([sys.executable, "-c", code], cwd=repository)
    assert done.stdout.strip() == "[]", done.stderr
