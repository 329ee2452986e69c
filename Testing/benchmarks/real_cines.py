"""Accuracy on real cardiac MR: labels of end-diastole carried to end-systole, Dice with those drawn there.

    python Testing/benchmarks/real_cines.py --data DATA --models tlrn-cardiac none --json real.json

DATA holds ``cine/2d+t`` (cines with ED and ES labels, ``cine/meta.json`` naming the frames) and ``edes`` (pairs of
ED and ES images with endocardial masks).
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from peers import demons

from DeepRegLogic import Cine, flow, propagate, read_cine, read_image, register_cine, register_pair
from DeepRegLogic.registration.pair import pair_cine
from DeepRegLogic.registration.prepare import scaled


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """Overlap of two masks."""
    return 2.0 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def cines(data: Path) -> Iterator[tuple[Cine, int, int, np.ndarray, np.ndarray]]:
    """Cine, ED and ES frame, endocardial masks at ED and ES."""
    meta = json.loads((data / "cine" / "meta.json").read_text())
    for path in sorted((data / "cine" / "2d+t").glob("*cine2dt*.nii.gz")):
        subject = path.name.split("_")[0]
        masks = [
            read_image(next(path.parent.glob(f"{subject}_*labels_{phase}.nii.gz"))).frames[0] == 1
            for phase in ("ED", "ES")
        ]
        yield read_cine(path), meta[subject]["ED_frame"], meta[subject]["ES_frame"], *masks


def pairs(data: Path) -> Iterator[tuple[Cine, Cine, np.ndarray, np.ndarray]]:
    """ED image, ES image, endocardial masks at ED and ES."""
    for path in sorted((data / "edes").glob("*_ED_im*.png")):
        stem = path.name.split("_ED_")[0]
        other = next(path.parent.glob(f"{stem}_ES_im*.png"))
        masks = [read_image(path.parent / f"{stem}_{phase}_endo.png").frames[0] > 0 for phase in ("ED", "ES")]
        yield read_image(path), read_image(other), *masks


def by_demons(cine: Cine, reference: int, frame: int, mask: np.ndarray) -> tuple[np.ndarray, float, float]:
    """The mask carried to ``frame``; the field is found in that direction, so that no inverse is needed."""
    images = scaled(cine, (slice(None),) * cine.grid.ndim)[:, 0].numpy()
    start = time.perf_counter()
    field = torch.from_numpy(demons(images[frame], images[reference]))[None]
    seconds = time.perf_counter() - start
    carried = flow.warp(torch.from_numpy(mask.astype(np.float32))[None, None], field, "nearest")[0, 0] > 0.5
    return carried.numpy(), float(flow.folding(field).float().mean()), seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("TEMPORAL_REGISTRATION_DATA", "../shared/data"))
    )
    parser.add_argument("--models", nargs="+", default=["tlrn-cardiac", "voxelmorph-cardiac", "none"])
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    ways = [(m, r) for m in arguments.models for r in (False, True) if r or m != "none"]
    table: dict[str, dict[str, list[list[float]]]] = {"cines": {}, "pairs": {}}

    def note(kind: str, method: str, overlap: float, folded: float, seconds: float) -> None:
        table[kind].setdefault(method, []).append([overlap, folded, seconds])

    def title(model: str, refine: bool) -> str:
        return f"{model}, {'refined' if refine else 'network alone'}"

    for cine, reference, frame, first, last in cines(arguments.data):
        note("cines", "unregistered", dice(first, last), 0, 0)
        carried, folded, seconds = by_demons(cine, reference, frame, first)
        note("cines", "SimpleITK Demons (one frame)", dice(carried, last), folded, seconds)
        for model, refine in ways:
            motion = register_cine(cine, None if model == "none" else model, reference, refine=refine)
            carried = propagate(motion, first.astype(np.uint8), nearest=True)[frame] > 0
            worst = max(q.folded for q in motion.quality)
            note("cines", title(model, refine), dice(carried, last), worst, motion.provenance["seconds"])
    for fixed, moving, first, last in pairs(arguments.data):
        note("pairs", "unregistered", dice(first, last), 0, 0)
        carried, folded, seconds = by_demons(pair_cine(fixed, moving), 0, 1, first)
        note("pairs", "SimpleITK Demons (one frame)", dice(carried, last), folded, seconds)
        for model, refine in ways:
            motion = register_pair(fixed, moving, None if model == "none" else model, refine=refine)
            carried = propagate(motion, first.astype(np.uint8), nearest=True)[1] > 0
            worst = max(q.folded for q in motion.quality)
            note("pairs", title(model, refine), dice(carried, last), worst, motion.provenance["seconds"])
    for kind, methods in table.items():
        print(f"{kind:36}{'Dice':>7}{'worst':>8}{'folded':>9}{'s':>7}")
        for method, rows in methods.items():
            overlap, folded, seconds = np.transpose(rows)
            each = "  " + " ".join(f"{v:.3f}" for v in overlap) if len(rows) <= 5 else ""
            print(
                f"  {method:34}{overlap.mean():7.4f}{overlap.min():8.3f}{folded.max():9.5f}{seconds.mean():7.2f}{each}"
            )
    if arguments.json:
        arguments.json.write_text(json.dumps(table, indent=2, default=float))


if __name__ == "__main__":
    main()
