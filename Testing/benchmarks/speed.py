"""Time and memory of registering a cine of 20 frames of 128 x 128, and the ratio to SimpleITK's diffeomorphic Demons.

    python Testing/benchmarks/speed.py --model tlrn-cardiac --threads 2

All in one process, one after another, the model loaded: medians of five runs (Demons one). Peak memory is that of a
process of its own that registers with refinement, interpreter and libraries included.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from peers import demons

from DeepRegLogic import register_cine
from DeepRegLogic.registration.prepare import scaled
from DeepRegLogic.synthetic import cine_phantom


def median_seconds(work: Callable[[], object], runs: int) -> float:
    """Median wall time of ``work``."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="tlrn-cardiac")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--memory", action="store_true", help="only register once with refinement and print the peak in MB"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    cine = cine_phantom(2_000_000).cine
    if arguments.memory:
        import resource  # of POSIX only

        register_cine(cine, arguments.model, reference=0)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
        return
    register_cine(cine, arguments.model, reference=0, refine=False)
    network = median_seconds(lambda: register_cine(cine, arguments.model, reference=0, refine=False), 5)
    refined = median_seconds(lambda: register_cine(cine, arguments.model, reference=0), 5)
    images = scaled(cine, (slice(None),) * 2)[:, 0].numpy()
    peer = median_seconds(lambda: [demons(images[0], image) for image in images[1:]], 1)
    command = [sys.executable, __file__, "--memory", "--model", arguments.model, "--threads", str(arguments.threads)]
    peak = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    print(f"network alone {network:.2f} s, refined {refined:.2f} s, peak memory {peak} MB")
    print(
        f"SimpleITK Demons, forward direction only: {peer:.2f} s; ratio {peer / network:.1f} and {peer / refined:.1f}"
    )


if __name__ == "__main__":
    main()
