"""VoxelMorph as published: a U-Net that gives the displacement itself, learned from images alone.

``train_voxelmorph.py`` writes the weights. The network, the similarity and the regulariser are the package's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .base import Found, Run, scaled

if TYPE_CHECKING:
    from DeepRegLogic.networks.voxelmorph import VoxelMorph

WEIGHTS = Path(__file__).resolve().parents[4] / "out" / "voxelmorph.safetensors"


def network() -> VoxelMorph:
    """Four times half the resolution, as published; what it returns is taken as a displacement in voxels."""
    from DeepRegLogic.networks.voxelmorph import VoxelMorph

    return VoxelMorph(ndim=2, channels=(16, 32, 32, 32, 32, 32, 32, 32))


def learned() -> Run:
    def run(frames: np.ndarray, spacing: Sequence[float], times: np.ndarray) -> Found:
        import torch
        from safetensors.torch import load

        weights = WEIGHTS.read_bytes()
        net = network()
        net.load_state_dict(load(weights))
        images = torch.from_numpy(scaled(frames))[:, None]
        with torch.inference_mode():
            forward = net(images[:1], images[None])[0].numpy()
        forward[0] = 0
        return Found(forward, made_with=f"weights {hashlib.sha256(weights).hexdigest()[:12]}")

    return run
