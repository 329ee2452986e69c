"""Kills runs at random moments, fills the disk and takes folders away, and looks at what is left.

    python Testing/benchmarks/faults.py --kills 100 --seed 1

A run, a cohort (several studies), a training and the worker are killed; runs also meet a disk that is full (a limit of
the size of files) and an output whose folder is removed under them. Right is: an output that is whole or absent, an
error in one sentence, nothing left over after the next run, a training that resumes to the very same weights, and a
worker that takes its folder along. Findings are printed; the exit code is 1 where there is any. POSIX only.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
MARKER = ".temporal-registration.json"
TRAINING = """
{name: t, title: t, summary: t, network: NETWORK, arguments: ARGUMENTS,
 data: {source: phantoms, kinds: [short-axis], pool: 2, validation: 1, spacing: 4.8, size: [32, 32], frames: [2, 3]},
 optimiser: {steps: 30, batch: 1, validate_every: 3}}
"""
NETWORKS = {
    "voxelmorph": "{channels: [4, 4, 4, 4], final: [4, 4]}",
    "voxelmorph-probabilistic": "{channels: [4, 4, 4, 4], final: [4, 4]}",
    "tlrn": "{channels: [4, 4]}",
    "dragnet-flow": "{width: 16, fine: 4}",
}
FAST = ["--no-refine", "--device", "cpu"]


class Faults:
    """What the attacks share: a folder, a cine, seeded moments, and the findings."""

    def __init__(self, folder: Path, seed: int) -> None:
        from DeepRegLogic import write_cine
        from DeepRegLogic.synthetic import cine_phantom

        self.folder, self.draw = folder, random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.findings: list[str] = []
        self.cine = folder / "beat.seq.nrrd"
        beat = cine_phantom(seed=1, size=32, spacing=4.0, frames=3).cine
        write_cine(self.cine, beat.frames, beat)

    def command(self, *words: object, limit: int | None = None) -> subprocess.Popen:
        """The command line in a process group of its own."""

        def prepare() -> None:
            if limit is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

        temporary = self.folder / "temporary"
        temporary.mkdir(exist_ok=True)
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TMPDIR": str(temporary)}
        command = [sys.executable, "-W", "ignore", "-m", "DeepRegLogic", *map(str, words)]
        return subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True, preexec_fn=prepare,
        )  # fmt: skip

    def seconds(self, *words: object) -> float:
        """How long a command takes that is left in peace."""
        start = time.monotonic()
        self.ended(self.command(*words), "a run left in peace")
        return time.monotonic() - start

    def ended(self, process: subprocess.Popen, what: str) -> int:
        _, errors = process.communicate()
        if "Traceback" in errors or (process.returncode > 0 and len(errors.strip().splitlines()) != 1):
            self.findings.append(f"{what}: code {process.returncode}, {errors.strip()[-300:]!r}")
        return process.returncode

    def kill(self, process: subprocess.Popen, after: float) -> None:
        try:
            process.communicate(timeout=after)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()

    def nobody_left(self, group: int, what: str) -> None:
        """The processes of a group whose leader was killed end soon."""
        for _ in range(600):
            try:
                os.killpg(group, 0)
            except ProcessLookupError:
                return
            time.sleep(0.1)
        self.findings.append(f"{what}: processes live on without the one that began them")
        os.killpg(group, signal.SIGKILL)

    def whole(self, output: Path, what: str) -> None:
        """A folder of results is absent, or holds what its marker lists."""
        if not output.exists():
            return
        found = {p.relative_to(output).as_posix() for p in output.rglob("*") if p.is_file()} - {MARKER}
        try:
            listed = set(json.loads((output / MARKER).read_text())["files"])
        except (OSError, ValueError):
            listed = set()
        if found != listed:
            self.findings.append(f"{what}: {sorted(found ^ listed)[:3]} in {output}")

    def nothing_left(self, folder: Path, what: str) -> None:
        left = [p.name for p in folder.iterdir() if p.name.startswith(".") and p.name != MARKER]
        if left:
            self.findings.append(f"{what}: {left} left over")


def run(faults: Faults, kills: int) -> None:
    """A headless run is killed, and begun again over what there is."""
    home = faults.folder / "run"
    words = ["register", "--input", faults.cine, "--output", home / "out", *FAST]
    length = faults.seconds(*words)
    for _ in range(kills):
        faults.kill(faults.command(*words), faults.draw.uniform(0, length))
        faults.whole(home / "out", "run killed")
        faults.counts["run"] += 1
    faults.ended(faults.command(*words), "the run after")
    faults.whole(home / "out", "run")
    faults.nothing_left(home, "run")


def cohort(faults: Faults, kills: int) -> None:
    """Three studies in two processes; the coordinator is killed with them, or alone, and they end by themselves."""
    home, source = faults.folder / "cohort", faults.folder / "studies"
    source.mkdir()
    for name in "abc":
        shutil.copy(faults.cine, source / f"{name}.seq.nrrd")
    words = ["cohort", source, "--output", home, "--workers", 2, "--skip-finished", *FAST]
    length = faults.seconds(*words)
    for number in range(kills):
        for name in "abc":
            (home / name / "study.json").unlink(missing_ok=True)  # so that it has to be done again
        process = faults.command(*words)
        if number % 2:
            faults.kill(process, faults.draw.uniform(0, length))
        else:
            time.sleep(faults.draw.uniform(0, length))
            process.kill()
            process.wait()
            faults.nobody_left(process.pid, "cohort")
        for name in "abc":
            if (home / name / "study.json").exists():
                faults.whole(home / name, "cohort killed")
        faults.counts["cohort"] += 1
    faults.ended(faults.command(*words), "the cohort after")
    lines = (home / "studies.csv").read_text().splitlines()
    if [line.split(",")[:2] for line in lines[1:]] != [[name, "ok"] for name in "abc"]:
        faults.findings.append(f"cohort: the table is {lines}")
    for name in "abc":
        faults.whole(home / name, "cohort")
    faults.nothing_left(home, "cohort")


def disk(faults: Faults, kills: int) -> None:
    """Files may not grow beyond a random size, or the folder of the output is removed at a random moment."""
    home = faults.folder / "disk"
    words = ["register", "--input", faults.cine, "--output", home / "out", *FAST]
    length = faults.seconds(*words)
    for number in range(kills):
        shutil.rmtree(home, ignore_errors=True)
        if number % 2:
            process = faults.command(*words)
            time.sleep(faults.draw.uniform(0, length))
            shutil.rmtree(home, ignore_errors=True)
        else:
            process = faults.command(*words, limit=int(10 ** faults.draw.uniform(2, 5)))
        faults.ended(process, "disk full" if number % 2 == 0 else "folder removed")
        faults.whole(home / "out", "disk")
        if home.is_dir():
            faults.nothing_left(home, "disk")
        faults.counts["disk"] += 1


def training(faults: Faults, kills: int) -> None:
    """Each training is killed up to three times and gone on with; its weights are those of one left in peace."""
    done = 0
    while done < kills:
        network = faults.draw.choice(list(NETWORKS))
        home = faults.folder / f"training-{done}"
        home.mkdir()
        text = TRAINING.replace("NETWORK", network).replace("ARGUMENTS", NETWORKS[network])
        (home / "c.yaml").write_text(text)
        words = ["train", "--config", home / "c.yaml", "--device", "cpu", "--quiet", "--cache", faults.folder / "cache"]
        length = faults.seconds(*words, "--output", home / "whole")
        for _ in range(faults.draw.randint(1, 3)):
            resume = ["--resume"] if (home / "cut" / "checkpoints" / "last.ckpt").is_file() else []
            process = faults.command(*words, "--output", home / "cut", *resume)
            faults.kill(process, faults.draw.uniform(0.3, 1.0) * length)
            done += 1
            faults.counts["training"] += 1
        resume = ["--resume"] if (home / "cut" / "checkpoints" / "last.ckpt").is_file() else []
        faults.ended(faults.command(*words, "--output", home / "cut", *resume), f"{network} gone on with")
        weights = [home / name / "model" / "weights.safetensors" for name in ("whole", "cut")]
        if len({hashlib.sha256(path.read_bytes()).hexdigest() for path in weights if path.is_file()}) != 1:
            faults.findings.append(f"training of {network}: other weights after {done} kills")
        faults.nothing_left(home / "cut" / "checkpoints", "training")


def worker(faults: Faults, kills: int) -> None:
    """The worker is killed, or loses the one that it works for; its folder goes with it or with the next."""
    for _ in range(kills):
        scratch = Path(tempfile.mkdtemp(dir=faults.folder))
        command = [sys.executable, "-m", "DeepRegLogic.service.worker", "--scratch", str(scratch)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(command, env=environment, **pipes)
        time.sleep(faults.draw.uniform(0, 4))
        for line in (b"\xff\xfe\n", b"[" * 100_000 + b"\n", b'{"id": "x"}\n', b'{"cancel": {}}\n'):
            try:
                process.stdin.write(line)
                process.stdin.flush()
            except OSError:
                break
        if process.poll() is not None:
            faults.findings.append(f"worker: ended by itself with {process.returncode}")
        if faults.draw.random() < 0.5:
            process.stdin.close()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                faults.findings.append("worker: does not end with its input")
            if scratch.exists():
                faults.findings.append("worker: its folder is left over")
        process.kill()
        process.wait()
        shutil.rmtree(scratch, ignore_errors=True)
        faults.counts["worker"] += 1


ATTACKS: dict[str, Callable[[Faults, int], None]] = {
    "run": run, "cohort": cohort, "disk": disk, "training": training, "worker": worker,
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10, help="of each kind")
    parser.add_argument("--kinds", nargs="+", choices=list(ATTACKS), default=list(ATTACKS))
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        faults = Faults(Path(folder), options.seed)
        for kind in options.kinds:
            ATTACKS[kind](faults, options.kills)
            print(f"{kind}: {faults.counts[kind]} faults, findings so far {len(faults.findings)}", flush=True)
    for finding in faults.findings:
        print(finding)
    return 1 if faults.findings else 0


if __name__ == "__main__":
    sys.exit(main())
