"""A method at work in a process of its own: one thread, warm, images in and fields out.

python -m independent.worker METHOD FOLDER      (in Testing/benchmarks)
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from . import methods
from .cases import Case
from .methods import Found


def work(name: str, folder: Path) -> None:
    """Register every ``*.in.npz`` of a folder; fields to ``*.out.npz``, seconds and memory to ``*.json``."""
    method = methods.method_of(name)
    warm = False
    for path in sorted(folder.glob("*.in.npz")):
        with np.load(path) as content:
            frames, spacing, times = content["frames"], content["spacing"].tolist(), content["times"]
        stem = path.name.removesuffix(".in.npz")
        record: dict[str, object] = {}
        try:
            if not warm:
                method.run(_middle(frames[: method.fewest]), spacing, times[: method.fewest])
                warm = True
            used, start = _cpu(), time.perf_counter()
            found = method.run(frames, spacing, times)
            record = {"seconds": time.perf_counter() - start, "cpu_seconds": _cpu() - used}
            record["made_with"] = found.made_with
            fields = {"forward": found.forward} | ({} if found.inverse is None else {"inverse": found.inverse})
            np.savez(folder / f"{stem}.out.npz", **fields)
        except Exception as error:
            record = {"error": " ".join(f"{type(error).__name__}: {error}".split())[:300]}
        peaks = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        record["peak_mb"] = max(peaks) / (2**20 if sys.platform == "darwin" else 2**10)
        (folder / f"{stem}.json").write_text(json.dumps(record))


def _middle(frames: np.ndarray, side: int = 64) -> np.ndarray:
    """At most ``side`` voxels along every axis: enough to have everything loaded."""
    starts = [max(0, (n - side) // 2) for n in frames.shape[1:]]
    return frames[(slice(None), *(slice(start, start + side) for start in starts))]


def _cpu() -> float:
    spent = os.times()
    return time.process_time() + spent.children_user + spent.children_system


def registered(name: str, chosen: list[Case], limit: float) -> Iterator[tuple[dict, Found | None]]:
    """What a method finds for cases of one kind in their order, within ``limit`` seconds for each of them.

    A record has "seconds", "cpu_seconds", "peak_mb" and "made_with", or an "error"; then nothing was found.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for number, case in enumerate(chosen):
            np.savez(folder / f"{number:06}.in.npz", frames=case.frames, spacing=case.spacing, times=case.times)
        end = _run(name, folder, limit * len(chosen))
        for number in range(len(chosen)):
            stem = folder / f"{number:06}"
            record = Path(f"{stem}.json")
            found = json.loads(record.read_text()) if record.is_file() else {"error": end}
            if "error" in found:
                yield found, None
                continue
            with np.load(f"{stem}.out.npz") as content:
                yield found, Found(content["forward"], content.get("inverse"), found["made_with"])


def _run(name: str, folder: Path, limit: float) -> str:
    """Let a worker go through a folder; how it ended."""
    command = [sys.executable, "-m", f"{__package__}.worker", name, str(folder)]
    try:
        done = subprocess.run(
            command,
            cwd=Path(__file__).resolve().parent.parent,
            env=os.environ | methods.ONE_THREAD,
            capture_output=True,
            timeout=limit,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"stopped after {limit:.0f} s"
    trace = done.stderr.decode(errors="replace").strip().splitlines() or [""]
    return f"ended with {done.returncode}: {trace[-1][:300]}"


if __name__ == "__main__":
    work(sys.argv[1], Path(sys.argv[2]))
