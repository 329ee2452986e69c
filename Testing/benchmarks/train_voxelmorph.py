"""Train VoxelMorph as published, on development seeds of the independent cases, as a peer of ``peers_table.py``.

    python Testing/benchmarks/train_voxelmorph.py --steps 6000

Balakrishnan et al. 2019: local correlation in windows of 9 pixels, and the squared gradient of the displacement with
weight 1. Frames of a cine are registered in pairs, the first of them in half of the items, in any of the eight
orientations. Seeds from 20 on are seen but for 50 to 52, on which settings are compared; no test seed is.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from independent import cases
from independent.cache import drawn
from independent.methods import voxelmorph
from independent.methods.base import scaled
from safetensors.torch import save_file
from torch.nn.functional import pad

from DeepRegLogic import flow
from DeepRegLogic.regularisers import REGULARISERS
from DeepRegLogic.similarities import SIMILARITIES

HELD_OUT = range(50, 53)
SEEDS = [seed for seed in cases.DEVELOPMENT_SEEDS if seed >= 20 and seed not in HELD_OUT]
KINDS = [kind for kind, (_, size, _) in cases.DEFAULTS.items() if len(size) == 2]


def batch(cines: list[torch.Tensor], count: int, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """References and frames ``[count, 1, H, W]``."""
    pairs = []
    for number in rng.integers(len(cines), size=count):
        first, second = rng.choice(len(cines[number]), 2, replace=False)
        images = cines[number][[0 if rng.random() < 0.5 else first, second]]
        if rng.random() < 0.5:
            images = images.flip(-1)
        pairs.append(torch.rot90(images, int(rng.integers(4)), (-2, -1)))
    reference, frames = torch.stack(pairs, dim=1)[:, :, None]
    return reference, frames


def loss_of(field: torch.Tensor, reference: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
    unlike = SIMILARITIES["lncc"].measure(flow.warp(frames, field), reference, window=9)
    return unlike + REGULARISERS["diffusion"](field)


def train(cines: list[torch.Tensor], steps: int, count: int, rate: float, seed: int = 0) -> torch.nn.Module:
    """Cines ``[T, side, side]`` in [0, 1], all of one size."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = voxelmorph.network()
    optimiser = torch.optim.Adam(network.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    total, start = 0.0, time.monotonic()
    for step in range(1, steps + 1):
        reference, frames = batch(cines, count, rng)
        loss = loss_of(network(reference, frames[:, None])[:, 0], reference, frames)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        total += loss.item()
        if step % 200 == 0:
            print(f"step {step:6}  loss {total / 200:.4f}  {time.monotonic() - start:.0f} s", flush=True)
            total = 0.0
    return network


def squared(frames: np.ndarray, side: int = 128) -> torch.Tensor:
    """Frames in [0, 1], padded to ``side`` pixels a side."""
    margins = [side - n for n in frames.shape[:0:-1]]
    padding = [part for margin in margins for part in (margin // 2, margin - margin // 2)]
    return pad(torch.from_numpy(scaled(frames))[None], padding, mode="replicate")[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--frames", type=int, default=8, help="of every cine")
    parser.add_argument("--seeds", type=int, default=len(SEEDS), help="of every kind")
    parser.add_argument("--cache", type=Path, help="a folder that keeps cases for the next run")
    parser.add_argument("--output", type=Path, default=voxelmorph.WEIGHTS)
    arguments = parser.parse_args()
    cines = [
        squared(drawn(arguments.cache, kind, seed, frames=arguments.frames).frames)
        for kind in KINDS
        for seed in SEEDS[: arguments.seeds]
    ]
    print(f"{len(cines)} cines of {arguments.frames} frames", flush=True)
    network = train(cines, arguments.steps, arguments.batch, arguments.rate)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    save_file(network.state_dict(), arguments.output)


if __name__ == "__main__":
    main()
