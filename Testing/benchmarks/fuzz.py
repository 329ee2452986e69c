"""Reads damaged inputs of every kind in processes that may die, and counts what goes wrong.

    python Testing/benchmarks/fuzz.py --inputs 100000 --processes 2 --seed 1 --output out/fuzz

Every input follows from its kind and its number, so that ``--only "bitmap:4711"`` makes one again. Wrong are: a process
that dies, one that takes longer than 10 seconds (twice: the machine may have been busy), an exception that is none of
the package's errors, and an input that is accepted with fewer pixels than the sound one has, without a note. The table
is printed at the end, and written with every finding into ``fuzz.json``; the exit code is 1 where there is any.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import random
import select
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "helpers"), str(Path(__file__).parents[2])]

_SECONDS = 10.0
_MEMORY = 8 << 30
_INPUTS_OF_A_PROCESS = 2000


def serve() -> None:
    """The process that reads: a line is a kind and a number, the answer a line of JSON."""
    import resource
    import warnings

    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    import SimpleITK as sitk
    import torch
    from fuzzing.targets import Examples

    torch.set_num_threads(1)
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    with tempfile.TemporaryDirectory() as folder:
        examples = Examples(Path(folder))
        for line in sys.stdin:
            name, number = json.loads(line)
            examples.sound(name)
            answers.write(json.dumps("sound") + "\n")
            answers.flush()
            answer = examples.attack(name, number)
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            answers.write(json.dumps([answer, grown]) + "\n")
            answers.flush()


def kinds() -> list[str]:
    """The kinds of inputs."""
    from fuzzing.targets import TARGETS

    return list(TARGETS)


class Reader:
    """A process that reads, started anew after it died or hung."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._process, self._done = folder, None, 0

    def _start(self) -> subprocess.Popen:
        if self._process is None or self._process.poll() is not None or self._done >= _INPUTS_OF_A_PROCESS:
            self.close()
            environment = {**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(self._folder)}
            command = [sys.executable, "-W", "ignore", __file__, "--serve"]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
            self._process, self._done = subprocess.Popen(command, env=environment, bufsize=0, **pipes), 0
        return self._process

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def ask(self, name: str, number: int, seconds: float = _SECONDS) -> tuple[str, int]:
        """What became of an input, and the most memory so far in MB."""
        process = self._start()
        process.stdin.write((json.dumps([name, number]) + "\n").encode())
        process.stdin.flush()
        if process.stdout.readline() == b"":
            self.close()
            return "the sound example could not be made", 0
        ready, _, _ = select.select([process.stdout], [], [], seconds)
        line = process.stdout.readline() if ready else b""
        self._done += 1
        if line:
            answer, grown = json.loads(line)
            return answer, grown
        self.close()
        return ("crash" if ready else "hang"), 0


def run(inputs: int, processes: int, seed: int, kinds: list[str]) -> dict[str, object]:
    """Attack with so many inputs; the counts by kind, the findings, and the most memory of a process in MB."""
    from fuzzing.targets import TARGETS

    draw = random.Random(seed)
    shares = [TARGETS[kind].share for kind in kinds]
    work: queue.Queue[tuple[str, int]] = queue.Queue()
    for number, kind in enumerate(draw.choices(kinds, shares, k=inputs)):
        work.put((kind, seed * 10_000_000 + number))
    counts: dict[str, Counter[str]] = {kind: Counter() for kind in kinds}
    findings: list[dict[str, object]] = []
    most, lock = [0], threading.Lock()

    def attack() -> None:
        with tempfile.TemporaryDirectory() as folder:
            reader = Reader(Path(folder))
            while True:
                try:
                    kind, number = work.get_nowait()
                except queue.Empty:
                    reader.close()
                    return
                answer, grown = reader.ask(kind, number)
                if answer == "hang":
                    answer, grown = reader.ask(kind, number)
                with lock:
                    counts[kind][answer.split(":")[0]] += 1
                    most[0] = max(most[0], grown)
                    if answer not in ("refused", "accepted"):
                        findings.append({"kind": kind, "number": number, "what": answer})
                        print(f"{kind}:{number}  {answer}", flush=True)

    threads = [threading.Thread(target=attack) for _ in range(processes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"inputs": inputs, "seed": seed, "most_memory_mb": most[0], "counts": counts, "findings": findings}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", nargs="+", help="attack these kinds only")
    parser.add_argument("--only", help="KIND:NUMBER, one input in this very process, with its trace")
    parser.add_argument("--output", type=Path, default=Path("out/fuzz"))
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.serve:
        serve()
        return 0
    from fuzzing.targets import TARGETS, Examples

    if options.only:
        kind, _, number = options.only.rpartition(":")
        with tempfile.TemporaryDirectory() as folder:
            print(Examples(Path(folder)).attack(kind, int(number)))
        return 0
    result = run(options.inputs, options.processes, options.seed, options.kinds or list(TARGETS))
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "fuzz.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for kind, count in result["counts"].items():
        print(f"{kind:22}", ", ".join(f"{what} {number}" for what, number in sorted(count.items())))
    print(f"{result['inputs']} inputs, {len(result['findings'])} findings, {result['most_memory_mb']} MB at most")
    return 1 if result["findings"] else 0


if __name__ == "__main__":
    sys.exit(main())
