"""A cohort through Dask with killed workers and a killed client, beside the same one after the other.

    python Testing/benchmarks/cohort.py --studies 200 --kills 3

Draws small synthetic cines and registers them (1) in one process, (2) on a Dask cluster of two worker processes, of
which one is killed at ``--kills`` moments, the client is killed at another, and a second start goes on; (3) finished
studies are passed over; (4) larger cines in one process, in two and on the cluster, nobody killed, for the speed;
(5) the coordinator does ten thousand studies that are none, for its memory. Right is: the same table and the same
bytes but for what the clock says. The exit code is 1 where they differ. Linux only.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "Testing" / "helpers")]

from cohorts import FAST, differences, table, write_cines  # noqa: E402

PYTHON = [sys.executable, "-W", "ignore"]
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "Testing" / "helpers")]),
    "OMP_NUM_THREADS": "1",
}
COORDINATOR = """
import sys
from pathlib import Path
from DeepRegLogic.cli.cohort import add_arguments
from DeepRegLogic.cli.manifest import Manifest
from DeepRegLogic.cohort.run import register_studies
from DeepRegLogic.cohort.attempt import row_of
import argparse

class Simulated:
    def run(self, tasks, step, cancel):
        for task in tasks:
            yield row_of(task.name, {"figures": {"frames": 20}, "seconds": 1.0, "summary": "One sentence. " * 10})

parser = argparse.ArgumentParser()
add_arguments(parser)
arguments = parser.parse_args([sys.argv[1], "--output", sys.argv[2]])
found = register_studies(Manifest(arguments.manifest, arguments), arguments.output, engine=Simulated())
with open("/proc/self/status") as file:  # the peak of getrusage is that of the parent, too
    peak = next(line.split()[1] for line in file if line.startswith("VmHWM"))
print(found["ok"], int(peak) / 1024)
"""


def command(cines: Path, output: Path, *more: str) -> list[str]:
    return [*PYTHON, "-m", "DeepRegLogic", "cohort", str(cines), "--output", str(output), *FAST, "--quiet", *more]


def timed(words: list[str], codes: tuple[int, ...] = (0,)) -> tuple[float, float]:
    """Seconds and CPU seconds of a program and its own children."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(words, env=ENVIRONMENT, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in codes:
        raise SystemExit(f"{' '.join(words)} ended with {done.returncode}.")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.monotonic() - start, cpu


@contextmanager
def cluster(folder: Path, workers: int) -> Iterator[str]:
    """A scheduler and so many worker processes of one thread; its address."""
    file = folder / "scheduler.json"
    file.unlink(missing_ok=True)
    scheduler = ["distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    worker = ["distributed.cli.dask_worker", "--nworkers", str(workers), "--nthreads", "1", "--no-dashboard"]
    programs = []
    with open(folder / "cluster.log", "a") as log:
        for words in (scheduler, [*worker, "--local-directory", str(folder / "scratch")]):
            words = [*PYTHON, "-m", *words, "--scheduler-file", str(file)]
            programs.append(subprocess.Popen(words, env=ENVIRONMENT, stdout=log, stderr=log, start_new_session=True))
    try:
        from distributed import Client

        while not file.exists():
            time.sleep(0.1)
        with Client(scheduler_file=str(file), timeout="60s") as client:
            client.wait_for_workers(workers, timeout=120)
            address = client.scheduler.address
        yield address
    finally:
        for program in programs:
            os.killpg(program.pid, signal.SIGTERM)
        for program in programs:
            try:
                program.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(program.pid, signal.SIGKILL)
                program.wait()


def kill_a_worker(address: str, draw: random.Random) -> None:
    from distributed import Client

    with Client(address, timeout="60s") as client:
        numbers = list(client.run(os.getpid, on_error="ignore").values())
    os.kill(draw.choice(numbers), signal.SIGKILL)


def wait_for_rows(output: Path, count: int, process: subprocess.Popen) -> None:
    while process.poll() is None and (not (output / "studies.csv").exists() or len(table(output)) < count):
        time.sleep(0.05)


def killed(cines: Path, output: Path, folder: Path, count: int, kills: int, draw: random.Random) -> int:
    """The cohort on the cluster, workers killed ``kills`` times and then the client; how many were done by then."""
    with cluster(folder, 2) as address:
        words = command(cines, output, "--scheduler", address)
        client = subprocess.Popen(words, env=ENVIRONMENT)
        for number in range(kills):
            wait_for_rows(output, count * (number + 1) // (kills + 2), client)
            time.sleep(draw.uniform(0, 0.5))
            kill_a_worker(address, draw)
            print(f"  a worker was killed after {len(table(output))} of {count} studies", flush=True)
        wait_for_rows(output, count * (kills + 1) // (kills + 2), client)
        client.kill()
        client.wait()
        done = len(list(output.glob("*/study.json")))
        print(f"  the client was killed: {done} studies are whole, {len(table(output))} have a row", flush=True)
        seconds, _ = timed([*words, "--skip-finished"])
        print(f"  the second start took {seconds:.0f} s", flush=True)
    return done


def speed(folder: Path, count: int) -> list[str]:
    """Larger cines, refined, in one process, in two, and on the cluster; the names of files that are not the same."""
    cines, found = folder / "larger", []
    write_cines(cines, count, size=96, frames=8)
    refined = [*PYTHON, "-m", "DeepRegLogic", "cohort", str(cines), "--quiet", "--device", "cpu", "--write", "report"]
    one, cpu = timed([*refined, "--output", str(folder / "one")])
    print(f"{count} larger cines, refined: {one:.0f} s, {cpu:.0f} CPU s in one process", flush=True)
    two, cpu = timed([*refined, "--output", str(folder / "two"), "--workers", "2"])
    print(f"  {two:.0f} s, {cpu:.0f} CPU s in two; {one / two:.2f} times as fast", flush=True)
    with cluster(folder, 2) as address:
        dask, _ = timed([*refined, "--output", str(folder / "more"), "--scheduler", address])
    print(f"  {dask:.0f} s on two workers of Dask; {one / dask:.2f} times as fast", flush=True)
    for name in ("two", "more"):
        found += differences(folder / "one", folder / name)
    return found


def memory(folder: Path, count: int) -> float:
    """The most MB of a coordinator of so many studies that take no time."""
    rows = "".join(f"data/patient{n:05}/cine.nii.gz,data/patient{n:05}/labels.nii.gz,0\n" for n in range(count))
    (folder / f"list-{count}.csv").write_text("input,labels,reference\n" + rows)
    words = [*PYTHON, "-c", COORDINATOR, str(folder / f"list-{count}.csv"), str(folder / f"none-{count}")]
    start = time.monotonic()
    done = subprocess.run(words, env=ENVIRONMENT, check=True, capture_output=True, text=True)
    ended, most = done.stdout.split()
    assert int(ended) == count
    print(f"{count} simulated studies: coordinator {float(most):.0f} MB, {time.monotonic() - start:.1f} s", flush=True)
    return float(most)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=200)
    parser.add_argument("--kills", type=int, default=3, help="of workers")
    parser.add_argument("--simulated", type=int, default=10_000)
    parser.add_argument("--size", type=int, default=32, help="pixels a side")
    parser.add_argument("--frames", type=int, default=3)
    parser.add_argument("--timed", type=int, default=12, help="larger studies, for the speed")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    draw, count = random.Random(options.seed), options.studies
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cines = folder / "cines"
        write_cines(cines, count, options.size, options.frames)
        seconds, cpu = timed(command(cines, folder / "serial"))
        print(f"one process: {seconds:.0f} s, {cpu:.0f} CPU s ({cpu / count:.2f} a study)", flush=True)
        print("Dask, two worker processes:", flush=True)
        killed(cines, folder / "dask", folder, count, options.kills, draw)
        other = differences(folder / "serial", folder / "dask")
        files = sum(path.is_file() for path in (folder / "serial").rglob("*"))
        print(f"  {files} files of {count} studies, {len(other)} differ {other[:3]}", flush=True)
        left = [path.name for path in (folder / "dask").iterdir() if path.name.startswith(".")]
        print(f"  left over: {left}", flush=True)
        passed, cpu = timed(command(cines, folder / "dask", "--skip-finished"))
        print(f"--skip-finished over {count}: {passed:.1f} s, {cpu:.1f} CPU s", flush=True)
        other += speed(folder, options.timed)
        few, many = memory(folder, 100), memory(folder, options.simulated)
        print(f"a study more takes {1024 * (many - few) / (options.simulated - 100):.2f} kB of it")
    return 1 if other or left else 0


if __name__ == "__main__":
    sys.exit(main())
