"""Lemniscates: models against each other on 200 held-out sequences of each recipe.

    python Testing/benchmarks/lemniscates.py MODEL [MODEL ...] [--output result.json]

MODEL is a name of the zoo or a folder with a model. The error is the mean squared difference of the reference frame,
carried to every later frame, to that frame (the direction of the TLRN paper), and of the later frames brought onto the
reference. The fields are those that a registration returns, in which the few frames that fold are smoothed; the folds
of the bare exponentials are counted, too ("raw"). Differences are paired, sequence by sequence, against the last
model, with their standard error; a positive one says that the model is better than the last. Without a model the error
of doing nothing is printed.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from DeepRegLogic import RegistrationError, flow, load_model
from DeepRegLogic.synthetic import lemniscate_batch
from DeepRegLogic.training.subjects import TEST_SEED
from DeepRegLogic.transformations import StationaryVelocity, unfolded
from DeepRegLogic.zoo import Model

RECIPES = ("FIT", "WIDE")
DIRECTIONS = ("onto the frames", "onto the reference")
CHUNK = 20


@torch.inference_mode()
def measure(model: Model | None, images: torch.Tensor) -> tuple[np.ndarray, dict[str, int]]:
    """Errors ``[direction, sequence, frame]`` of sequences ``[S, T + 1, H, W]``, and counts of pixels."""
    errors, counts = [], {"folded pixels": 0, "raw folded pixels": 0, "pixels": 0}
    for part in images.split(CHUNK):
        reference, frames = part[:, :1], part[:, 1:, None]
        count = frames.shape[1]
        if model is None:
            velocities = torch.zeros(*frames.shape[:2], 2, *frames.shape[3:], device=images.device)
        else:
            velocities = model.network(reference, frames)
        velocities = velocities.flatten(0, 1)
        fixed = reference[:, None].expand_as(frames).flatten(0, 1)
        frames = frames.flatten(0, 1)
        there, back = unfolded(StationaryVelocity(velocities))
        both = torch.stack([flow.warp(fixed, back) - frames, flow.warp(frames, there) - fixed])
        errors.append(both.square().mean((2, 3, 4)).view(2, -1, count).cpu().numpy())
        for displacement, sign in ((there, 1), (back, -1)):
            counts["folded pixels"] += int(flow.folding(displacement).sum())
            counts["raw folded pixels"] += int(flow.folding(flow.exp(sign * velocities)).sum())
            counts["pixels"] += displacement[:, 0].numel()
    return np.concatenate(errors, axis=1), counts


def paired(difference: np.ndarray) -> dict[str, float]:
    """Mean and standard error of one difference a sequence, and how many are positive."""
    return {
        "mean": float(difference.mean()),
        "standard error": float(difference.std(ddof=1) / np.sqrt(len(difference))),
        "positive": int((difference > 0).sum()),
    }


def evaluate(models: dict[str, Model | None], count: int, device: str) -> dict[str, object]:
    """All figures, recipe by recipe."""
    result: dict[str, object] = {"sequences": count, "first seed": TEST_SEED, "recipes": {}}
    for recipe in RECIPES:
        images = torch.from_numpy(lemniscate_batch(range(TEST_SEED, TEST_SEED + count), recipe)).to(device)
        measured = {name: measure(model, images) for name, model in models.items()}
        last = list(models)[-1]
        table: dict[str, object] = {}
        for name, (errors, counts) in measured.items():
            row: dict[str, object] = dict(counts)
            for direction, own, other in zip(DIRECTIONS, errors, measured[last][0], strict=True):
                gain = other - own
                row[direction] = {
                    "mean": float(own.mean()),
                    "last frame": float(own[:, -1].mean()),
                    "per frame": own.mean(0).tolist(),
                }
                if name not in (last, "none"):
                    row[direction][f"better than {last}"] = {
                        "all frames": paired(gain.mean(1)),
                        "last frame": paired(gain[:, -1]),
                        "per frame": [paired(gain[:, t]) for t in range(gain.shape[1])],
                    }
            table[name] = row
        result["recipes"][recipe] = table
    return result


def show(result: dict[str, object]) -> None:
    """Print the tables."""
    for recipe, table in result["recipes"].items():
        width = max(map(len, table)) + 2
        for direction in DIRECTIONS:
            print(f"\n{recipe}, {result['sequences']} sequences, {direction}: mean squared error x 1000")
            print(f"{'':{width}}    all   last   folds     raw  | frame by frame")
            for name, row in table.items():
                own = row[direction]
                frames = " ".join(f"{1000 * e:6.2f}" for e in own["per frame"])
                print(
                    f"{name:{width}} {1000 * own['mean']:6.3f} {1000 * own['last frame']:6.3f} "
                    f"{row['folded pixels']:7d} {row['raw folded pixels']:7d}  | {frames}"
                )
            for name, row in table.items():
                for other, gains in ((k, v) for k, v in row[direction].items() if k.startswith("better")):
                    for part in ("all frames", "last frame"):
                        gain = gains[part]
                        print(
                            f"  {name} {other}, {part}: {1000 * gain['mean']:+.3f} +- "
                            f"{1000 * gain['standard error']:.3f}, in {gain['positive']} sequences"
                        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--output", type=Path, help="write all figures to this JSON file")
    parser.add_argument("--sequences", type=int, default=200, help="of each recipe (default: 200)")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    try:
        loaded = [load_model(name, options.device) for name in options.models]
    except RegistrationError as error:
        print(error, file=sys.stderr)
        return 1
    models = {"none": None, **{model.card.name: model for model in loaded}}
    result = evaluate(models, options.sequences, options.device)
    show(result)
    if options.output:
        options.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
