"""Peak memory of large cines, each registered in a process of its own with a budget, or refused before the work.

    python Testing/benchmarks/memory.py --memory-gb 4

The levels of the refinement have two iterations each: every iteration takes the same memory.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

CASES = {
    "100 frames of 512 x 512": ((100, 512, 512), (0.7, 0.7)),
    "30 stacks of 14 x 256 x 256": ((30, 14, 256, 256), (8.0, 1.4, 1.4)),
    "2000 frames of 128 x 128": ((2000, 128, 128), (1.8, 1.8)),
    "20000 frames of 16 x 16": ((20000, 16, 16), (1.8, 1.8)),
}


def register(name: str, budget: float, model: str) -> str:
    """Register the case in this process; what came of it."""
    import resource

    import numpy as np

    from DeepRegLogic import Cine, Grid, Refinement, register_cine
    from DeepRegLogic.errors import MemoryBudgetError

    shape, spacing = CASES[name]
    rows, columns = np.mgrid[: shape[-2], : shape[-1]]
    frames = np.empty(shape, np.int16)
    for t in range(shape[0]):
        radius = shape[-1] * (0.3 + 0.05 * np.cos(2 * np.pi * t / 20))
        frames[t] = 1000 / (1 + np.exp(np.hypot(rows - shape[-2] / 2, columns - shape[-1] / 2) - radius)) + rows % 7
    cine = Cine(frames, Grid.of_array(shape[1:], spacing))
    from DeepRegLogic.registration.refine import _levels

    levels = tuple((shrink, 2) for shrink, _ in _levels(min(shape[-2:]), len(shape) - 1))
    start = time.perf_counter()
    try:
        register_cine(cine, model or None, refine=Refinement(levels=levels), device="cpu", memory_gb=budget)
        what = "registered"
    except MemoryBudgetError as error:
        what = f"refused: {error}"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return f"{name}, {model or 'no model'}: peak {peak:.2f} GB, {time.perf_counter() - start:.0f} s, {what}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memory-gb", type=float, default=4.0)
    parser.add_argument("--models", nargs="*", default=["tlrn-cardiac", ""])
    parser.add_argument("--cases", nargs="*", default=list(CASES))
    parser.add_argument("--one", nargs=2, metavar=("CASE", "MODEL"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(register(options.one[0], options.memory_gb, options.one[1]), flush=True)
        return
    for case in options.cases:
        for model in options.models:
            command = [sys.executable, __file__, "--memory-gb", str(options.memory_gb), "--one", case, model]
            code = subprocess.run(command, check=False).returncode
            if code:
                print(f"{case}, {model or 'no model'}: exit code {code}", flush=True)


if __name__ == "__main__":
    main()
