"""Cines made from one frame of unseen phantoms: likeness to the true cine, chamber areas, folds, diversity, speed.

    python Testing/benchmarks/generation.py --json generation.json --figure generation.png

The areas of the chambers, as fractions of that at end-diastole, are compared with the 5 to 95 % band of a population of
other phantoms, at every time. Samples start from the first frame of a phantom, which is at end-diastole.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from monai.metrics.regression import compute_ssim_and_cs

from DeepRegLogic import Cine, Labels
from DeepRegLogic.registration.generate import GeneratedCine, generate_cine
from DeepRegLogic.results.sizes import jacobian, sizes_of
from DeepRegLogic.synthetic import Phantom, cine_phantom

FIRST_SEED, POPULATION_SEED = 2_600_000, 3_000_000
CHAMBERS = {"short-axis": {1: "LV"}, "four-chamber": {1: "LV", 4: "LA", 5: "RA"}}


def ratios(labels: np.ndarray, label: int) -> np.ndarray:
    """Area over time of a label as it was drawn ``[T, H, W]``, as a fraction of the first."""
    areas = (labels == label).sum((1, 2))
    return areas / max(areas[0], 1)


def carried(sample: GeneratedCine, label: int) -> np.ndarray:
    """Area over time of a label that a sample carries along, as a fraction of the first."""
    drawn = Labels.of_map(sample.labels[0] == label)
    areas = sizes_of(jacobian(sample.motion), drawn, sample.motion.grid)[1]
    return areas / areas[0]


def population(view: str, count: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Chamber -> the 5 and 95 % curves of the true cines."""
    labels = [cine_phantom(POPULATION_SEED + k, view).labels for k in range(count)]
    bands = {}
    for label, name in CHAMBERS[view].items():
        curves = np.stack([ratios(each, label) for each in labels if (each[0] == label).sum() > 50])
        bands[name] = tuple(np.percentile(curves, (5, 95), axis=0))
    return bands


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Mean structural similarity of frames ``[T, H, W]`` with a window of 11 pixels."""
    images = [torch.from_numpy(x.astype(np.float32))[:, None] for x in (a, b)]
    span = float(np.ptp(b))
    value, _ = compute_ssim_and_cs(*images, 2, kernel_size=(11, 11), kernel_sigma=(1.5, 1.5), data_range=span)
    return float(value.mean())


def measure_subject(
    phantom: Phantom, samples: tuple[GeneratedCine, ...], bands: dict[str, tuple[np.ndarray, np.ndarray]], view: str
) -> dict[str, float]:
    """What is reported of one subject's samples."""
    likeness = np.mean([ssim(s.cine.frames[1:], phantom.cine.frames[1:]) for s in samples])
    still = np.broadcast_to(phantom.cine.frames[:1], phantom.cine.frames[1:].shape)
    inside, least, spread = [], [], []
    for label, name in CHAMBERS[view].items():
        if (phantom.labels[0] == label).sum() <= 50:
            continue
        low, high = bands[name]
        curves = np.stack([carried(s, label) for s in samples])
        inside.append(((curves >= low - 1e-9) & (curves <= high + 1e-9))[:, 1:].mean())
        least.append(curves.min(1).mean())
        spread.append(curves.min(1).std())
    fields = np.stack([s.motion.displacement for s in samples])
    steps = np.diff(fields, axis=1)
    return {
        "ssim": likeness,
        "ssim_still": ssim(still, phantom.cine.frames[1:]),
        "in_band": float(np.mean(inside)) if inside else np.nan,
        "smallest_area": float(np.mean(least)) if least else np.nan,
        "spread_of_smallest_area": float(np.mean(spread)) if spread else np.nan,
        "smallest_jacobian": float(min(jacobian(s.motion).min() for s in samples)),
        "diversity_mm": float(np.linalg.norm(fields.std(0), axis=1)[:, phantom.heart].mean())
        * phantom.cine.grid.spacing[0],
        "step_mm": float(np.linalg.norm(steps, axis=2)[..., phantom.heart].mean()) * phantom.cine.grid.spacing[0],
    }


def draw(phantom: Phantom, samples: tuple[GeneratedCine, ...], bands: dict, view: str, path: Path) -> None:
    """The true cine and three samples, and the areas of all samples over the population's band."""
    from matplotlib.figure import Figure

    count, shown = len(phantom.cine), list(range(0, len(phantom.cine), 3))
    figure = Figure((1.5 * len(shown), 8.5), layout="constrained")
    grid = figure.add_gridspec(5, len(shown), height_ratios=[1, 1, 1, 1, 1.6])
    rows = [("true", phantom.cine)] + [(f"sample {k + 1}", s.cine) for k, s in enumerate(samples[:3])]
    for row, (name, cine) in enumerate(rows):
        for column, t in enumerate(shown):
            ax = figure.add_subplot(grid[row, column])
            ax.imshow(cine.frames[t], cmap="gray", vmin=0, vmax=1000)
            ax.set(xticks=[], yticks=[])
            if column == 0:
                ax.set_ylabel(name)
            if row == 0:
                ax.set_title(f"frame {t}", fontsize=8)
    axes = figure.add_subfigure(grid[4, :]).subplots(1, len(bands), squeeze=False)[0]
    for ax, (label, name) in zip(axes, CHAMBERS[view].items(), strict=True):
        ax.fill_between(range(count), *bands[name], color="0.85", label="population, 5 to 95 %")
        for s in samples:
            ax.plot(carried(s, label), color="tab:blue", linewidth=0.7, alpha=0.6)
        ax.plot(ratios(phantom.labels, label), color="tab:red", label="true")
        ax.set(title=f"{name} area / end-diastole", xlabel="frame")
        ax.legend(fontsize=7)
    figure.savefig(path, dpi=110)


def save_gif(cines: list[Cine], path: Path) -> None:
    from PIL import Image

    frames = [
        Image.fromarray(np.clip(np.hstack([c.frames[t] for c in cines]) / 1000 * 255, 0, 255).astype(np.uint8))
        for t in range(len(cines[0]))
    ]
    frames = [frame.resize((frame.width * 2, frame.height * 2)) for frame in frames]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=60, loop=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["dragnet-cardiac"])
    parser.add_argument("--subjects", type=int, default=64)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--population", type=int, default=120)
    parser.add_argument("--speed", action="store_true", help="also time 100 cines of 20 frames")
    parser.add_argument("--json", type=Path)
    parser.add_argument(
        "--figure", type=Path, help="a picture of one subject; with .gif beside it, for the first model"
    )
    arguments = parser.parse_args()
    bands = {view: population(view, arguments.population) for view in CHAMBERS}
    content: dict[str, dict[str, float]] = {}
    for model in arguments.models:
        rows = []
        for number in range(arguments.subjects):
            view = list(CHAMBERS)[number % 2]
            phantom = cine_phantom(FIRST_SEED + number, view)
            frame = Cine(phantom.cine.frames[:1], phantom.cine.grid, name=phantom.cine.name)
            options = {"seed": number, "model": model, "labels": phantom.labels[0]}
            samples = generate_cine(frame, len(phantom.cine), arguments.samples, **options)
            rows.append(measure_subject(phantom, samples, bands[view], view))
            if arguments.figure and model == arguments.models[0] and number < 2:
                path = arguments.figure.with_stem(f"{arguments.figure.stem}-{view}")
                draw(phantom, samples, bands[view], view, path)
                save_gif([phantom.cine, *(s.cine for s in samples[:3])], path.with_suffix(".gif"))
        content[model] = {key: float(np.nanmean([row[key] for row in rows])) for key in rows[0]}
        content[model]["smallest_jacobian"] = min(row["smallest_jacobian"] for row in rows)
        content[model]["truth_step_mm"] = float(
            np.mean([_truth_step(FIRST_SEED + k) for k in range(arguments.subjects)])
        )
        if arguments.speed:
            started = time.perf_counter()
            generate_cine(frame, 20, 100, **options)
            content[model]["seconds_for_100"] = time.perf_counter() - started
        print(model, json.dumps(content[model], indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(content, indent=2) + "\n")


def _truth_step(seed: int) -> float:
    phantom = cine_phantom(seed, list(CHAMBERS)[seed % 2])
    steps = np.linalg.norm(np.diff(phantom.motion.displacement, axis=0), axis=1)
    return float(steps[:, phantom.heart].mean()) * phantom.cine.grid.spacing[0]


if __name__ == "__main__":
    main()
