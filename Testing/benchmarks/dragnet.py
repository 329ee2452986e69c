"""DragNet against the pairwise baseline on unseen phantoms: fit, smoothness in time, folds, error; and what it costs.

    python Testing/benchmarks/dragnet.py --json dragnet.json

RMSE is the difference to the reference after motion compensation, as a fraction of the intensity range. The temporal
gradient is the mean length, in pixels a frame, of the difference between the displacements of neighbouring frames, the
last being followed by the first. Both are of the networks alone, without refinement.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from DeepRegLogic import flow, register_cine, uncertainty, zoo
from DeepRegLogic.synthetic import cine_phantom

FIRST_SEED = 2_700_000


def registration(model: str, subjects: int) -> dict[str, float]:
    rows = []
    for seed in range(FIRST_SEED, FIRST_SEED + subjects):
        phantom = cine_phantom(seed, ("short-axis", "four-chamber")[seed % 2])
        motion = register_cine(phantom.cine, model, reference=0, refine=False)
        steps = np.diff(motion.displacement, axis=0, append=motion.displacement[:1])
        error = np.linalg.norm(motion.displacement - phantom.motion.displacement, axis=1)[1:, phantom.heart]
        moved = [quality for t, quality in enumerate(motion.quality) if t]
        rows.append(
            (
                np.mean([quality.error_after for quality in moved]),
                np.linalg.norm(steps, axis=1).mean(),
                np.linalg.norm(steps, axis=1)[:, phantom.heart].mean(),
                max(quality.folded for quality in moved),
                error.mean() * phantom.cine.grid.spacing[0],
            )
        )
    names = ("rmse", "temporal_gradient", "temporal_gradient_heart", "folded", "epe_mm")
    table = dict(zip(names, np.mean(rows, axis=0).tolist(), strict=True))
    table["folded"] = float(np.max(rows, axis=0)[3])
    return table


def seconds(call: Callable[[], object], repeats: int = 15) -> float:
    """Median time of a call."""
    call()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return float(np.median(times))


@torch.inference_mode()
def speed(model: str, baseline: str) -> dict[str, float]:
    """Seconds for a cine of 7 frames of 128 x 128 pixels."""
    phantom = cine_phantom(FIRST_SEED, "four-chamber", frames=7)
    images = torch.from_numpy(phantom.cine.frames.astype(np.float32) / 1000)[:, None]
    pair = images[:1], images[None, 1:]
    network, other = zoo.load_model(model).network, zoo.load_model(baseline).network

    def plain() -> torch.Tensor:
        return flow.exp(network(*pair)[0])

    def with_uncertainty() -> tuple[torch.Tensor, torch.Tensor]:
        return uncertainty.carry(*uncertainty.velocity_posterior(network, *pair))

    table = {
        "network": seconds(lambda: network(*pair)),
        "baseline network": seconds(lambda: other(*pair)),
        "with displacements": seconds(plain),
        "with displacements and covariances": seconds(with_uncertainty),
        "baseline with displacements": seconds(lambda: flow.exp(other(*pair)[0])),
    }
    table["network / baseline"] = table["network"] / table["baseline network"]
    table["uncertainty adds"] = table["with displacements and covariances"] / table["with displacements"] - 1
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["dragnet-cardiac", "voxelmorph-cardiac"])
    parser.add_argument("--subjects", type=int, default=24)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    content: dict[str, object] = {model: registration(model, arguments.subjects) for model in arguments.models}
    content["seconds"] = speed(*arguments.models[:2])
    print(json.dumps(content, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
