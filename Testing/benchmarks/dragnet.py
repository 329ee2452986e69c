"""DragNet against the pairwise baseline on unseen phantoms: fit, smoothness in time, folds, error; and what it costs.

    python Testing/benchmarks/dragnet.py --json dragnet.json

RMSE is the difference to the reference after motion compensation, as a fraction of the intensity range. The temporal
gradient is the mean length, in pixels a frame, of the difference between the displacements of neighbouring frames, the
last being followed by the first; a model that moves too little has a small one, so that of the true motion and that of
the error are given, too. All are of the networks alone, without refinement, and once with every frame against the first
and once between neighbouring frames (as tables 3 and 1 of the paper): there a pairwise model registers each pair on its
own, and a temporal one's fields from the first frame are composed. The VoxelMorph of its paper, learned from
images alone, is trained by ``python -m DeepRegLogic train --config voxelmorph-published --output FOLDER`` and named by
``--models dragnet-cardiac voxelmorph-cardiac FOLDER/model``.

``--published FOLDER/model``, trained by ``--config dragnet-published``, sets the published form beside the one for
users (the first of the models): cines of 7 frames, fields that resample the first frame onto every other, without a
calibration in either.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import real_cines
import torch

from DeepRegLogic import Cine, Motion, flow, register_cine, uncertainty, zoo
from DeepRegLogic.networks import VoxelMorph
from DeepRegLogic.registration.prepare import scaled
from DeepRegLogic.synthetic import cine_phantom

FIRST_SEED = 2_700_000


def gradient(fields: np.ndarray) -> np.ndarray:
    """Length of the difference between neighbouring fields ``[T, 2, H, W]`` of a cycle: ``[T, H, W]``."""
    return np.linalg.norm(np.diff(fields, axis=0, append=fields[:1]), axis=1)


def fit(motion: Motion) -> float:
    return float(np.mean([quality.error_after for t, quality in enumerate(motion.quality) if t != motion.reference]))


def rmse(made: torch.Tensor, images: torch.Tensor) -> float:
    """Root mean square of the difference of images ``[T, 1, H, W]``, the mean over them."""
    return float((made - images).square().mean((1, 2, 3)).sqrt().mean())


def consecutive(cine: Cine, motion: Motion, model: str = "") -> dict[str, float]:
    """Fit and temporal gradient of the fields that resample every frame onto the next, the last onto the first."""
    count = len(cine)
    if model and isinstance(zoo.load_model(model).network, VoxelMorph):
        pairs = (Cine(cine.frames[[t, (t + 1) % count]], cine.grid, name=cine.name) for t in range(count))
        found = [register_cine(pair, model, reference=0, refine=False).inverse[1] for pair in pairs]
        fields = torch.from_numpy(np.stack(found))
    else:
        out, back = (torch.from_numpy(np.array(each)) for each in (motion.displacement, motion.inverse))
        fields = flow.compose(out, back.roll(-1, 0))
    images = scaled(cine, (slice(None),) * 2)
    return {
        "consecutive_rmse": rmse(flow.warp(images, fields), images.roll(-1, 0)),
        "consecutive_temporal_gradient": gradient(fields.numpy()).mean(),
    }


def phantoms(models: list[str], subjects: int) -> dict[str, dict[str, float]]:
    """What is reported of every model, and the temporal gradient of the true motion."""
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in (*models, "truth")}
    for seed in range(FIRST_SEED, FIRST_SEED + subjects):
        phantom = cine_phantom(seed, ("short-axis", "four-chamber")[seed % 2])
        true, heart = phantom.motion.displacement, phantom.heart
        rows["truth"].append(
            {
                "temporal_gradient": gradient(true).mean(),
                "temporal_gradient_heart": gradient(true)[:, heart].mean(),
                **consecutive(phantom.cine, phantom.motion),
            }
        )
        for model in models:
            motion = register_cine(phantom.cine, model, reference=0, refine=False)
            error = motion.displacement - true
            rows[model].append(
                {
                    "rmse": fit(motion),
                    "temporal_gradient": gradient(motion.displacement).mean(),
                    "temporal_gradient_heart": gradient(motion.displacement)[:, heart].mean(),
                    "temporal_gradient_of_error_heart": gradient(error)[:, heart].mean(),
                    "folded": max(quality.folded for quality in motion.quality),
                    "epe_mm": np.linalg.norm(error, axis=1)[1:, heart].mean() * phantom.cine.grid.spacing[0],
                    **consecutive(phantom.cine, motion, model),
                }
            )
    return {name: _summary(found) for name, found in rows.items()}


def real(models: list[str], data: Path) -> dict[str, dict[str, float]]:
    """The same of real cines, without what needs the truth."""
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in models}
    for cine, diastole, *_ in real_cines.cines(data):
        for model in models:
            motion = register_cine(cine, model, reference=diastole, refine=False)
            folded = max(quality.folded for quality in motion.quality)
            rows[model].append(
                {
                    "rmse": fit(motion),
                    "temporal_gradient": gradient(motion.displacement).mean(),
                    "folded": folded,
                    **consecutive(cine, motion, model),
                }
            )
    return {name: _summary(found) for name, found in rows.items()}


@torch.inference_mode()
def forms(models: list[str], subjects: int) -> dict[str, dict[str, float]]:
    """The published form and that for users on the same cines of 7 frames."""
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in models}
    for seed in range(FIRST_SEED, FIRST_SEED + subjects):
        phantom = cine_phantom(seed, ("short-axis", "four-chamber")[seed % 2], frames=7)
        images = scaled(phantom.cine, (slice(None),) * 2)
        for model in models:
            network = zoo.load_model(model).network
            back, steps = images.new_zeros(1, 2, *phantom.cine.grid.shape), []
            for motion in network(images[:1], images[None, 1:])[0, : len(images) - 1]:
                back = network.pull_back(motion[None], back)
                steps.append(back[0])
            fields = torch.stack(steps)
            made = flow.warp(images[:1].expand(len(fields), -1, -1, -1), fields)
            error = np.linalg.norm(fields.numpy() - phantom.motion.inverse[1:], axis=1)[:, phantom.heart]
            rows[model].append(
                {
                    "rmse": rmse(made, images[1:]),
                    "epe_mm": error.mean() * phantom.cine.grid.spacing[0],
                    "folded": float(flow.folding(fields).float().mean((1, 2)).max()),
                }
            )
    return {name: _summary(found) for name, found in rows.items()}


def _summary(rows: list[dict[str, float]]) -> dict[str, float]:
    table = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
    return table | {key: float(max(row[key] for row in rows)) for key in table if key == "folded"}


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
        return uncertainty.propagate_covariance(*uncertainty.velocity_posterior(network, *pair))

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
    parser.add_argument("--data", type=Path, help="the folder of real cines")
    parser.add_argument("--published", help="the published form, to be compared with the first of the models")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    content: dict[str, object] = {"phantoms": phantoms(arguments.models, arguments.subjects)}
    if arguments.data:
        content["real"] = real(arguments.models, arguments.data)
    if arguments.published:
        content["forms"] = forms([arguments.models[0], arguments.published], arguments.subjects)
    content["seconds"] = speed(*arguments.models[:2])
    print(json.dumps(content, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
