"""Accuracy on cine phantoms of unseen seeds, where the true motion is known: network alone, refined, and Demons.

    python Testing/benchmarks/phantoms.py --models tlrn-cardiac voxelmorph-cardiac none --json phantoms.json

Errors are mean end-point errors in mm inside the heart, over all frames; the inverse is measured in the heart of each
frame. Seeds are far from those of training (0 to 3000), validation (1 000 000 on) and the tests.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from peers import demons

from DeepRegLogic import Cine, register_cine
from DeepRegLogic.flow import folding
from DeepRegLogic.registration.prepare import scaled
from DeepRegLogic.synthetic import Phantom, cine_phantom

FIRST_SEED = 2_000_000


def errors(phantom: Phantom, displacement: np.ndarray, inverse: np.ndarray | None) -> list[float]:
    """Mean end-point error in mm of a displacement and of its inverse."""
    spacing = phantom.cine.grid.spacing[0]
    forward = np.linalg.norm(displacement - phantom.motion.displacement, axis=1)[:, phantom.heart]
    if inverse is None:
        return [forward.mean() * spacing, np.nan]
    back = np.linalg.norm(inverse - phantom.motion.inverse, axis=1)
    return [
        forward.mean() * spacing,
        np.mean([b[m > 0].mean() for b, m in zip(back, phantom.labels, strict=True)]) * spacing,
    ]


def by_us(cine: Cine, phantom: Phantom, model: str | None, refine: bool) -> list[float]:
    motion = register_cine(cine, model, reference=0, refine=refine)
    quality = motion.quality
    return [
        *errors(phantom, motion.displacement, motion.inverse),
        max(q.inverse_consistency_mean for q in quality),
        max(q.folded for q in quality),
        motion.provenance["seconds"],
    ]


def by_demons(cine: Cine, phantom: Phantom) -> list[float]:
    import torch

    start = time.perf_counter()
    images = scaled(cine, (slice(None),) * cine.grid.ndim)[:, 0].numpy()
    fields = np.stack(
        [demons(images[0], image) if t else np.zeros((2, *image.shape)) for t, image in enumerate(images)]
    )
    seconds = time.perf_counter() - start
    folded = folding(torch.from_numpy(fields).float()).float().mean()
    return [*errors(phantom, fields, None), np.nan, float(folded), seconds]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["tlrn-cardiac", "voxelmorph-cardiac", "none"])
    parser.add_argument("--seeds", type=int, default=32)
    parser.add_argument("--no-peers", action="store_true", help="leave Demons out")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    rows: dict[str, list[list[float]]] = {}
    for number in range(arguments.seeds):
        view = ("short-axis", "four-chamber")[number % 2]
        phantom = cine_phantom(FIRST_SEED + number, view)
        still = np.zeros_like(phantom.motion.displacement)
        rows.setdefault("unregistered", []).append([*errors(phantom, still, still), 0, 0, 0])
        if not arguments.no_peers:
            rows.setdefault("SimpleITK Demons", []).append(by_demons(phantom.cine, phantom))
        for model in arguments.models:
            name = None if model == "none" else model
            if name:
                rows.setdefault(f"{model}, network alone", []).append(by_us(phantom.cine, phantom, name, False))
            rows.setdefault(f"{model}, refined", []).append(by_us(phantom.cine, phantom, name, True))
    print(f"{'':34}{'EPE mm':>8}{'worst':>8}{'inverse':>9}{'cons. px':>9}{'folded':>9}{'s':>7}")
    table = {}
    for name, values in rows.items():
        error, inverse, consistency, folded, seconds = np.transpose(values)
        table[name] = {
            "epe_mm": error.mean(), "epe_worst_mm": error.max(), "inverse_epe_mm": inverse.mean(),
            "inverse_consistency_voxels": consistency.max(), "folded": folded.max(), "seconds": seconds.mean(),
        }  # fmt: skip
        e, w, i, c, f, s = table[name].values()
        print(f"{name:34}{e:8.3f}{w:8.3f}{i:9.3f}{c:9.4f}{f:9.5f}{s:7.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"seeds": arguments.seeds, "methods": table}, indent=2, default=float))


if __name__ == "__main__":
    main()
