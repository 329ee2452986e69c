"""The trained peer learns and registers, and sees neither a test seed nor one that settings are compared on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import train_voxelmorph
from independent import cases, methods
from independent.methods import voxelmorph
from safetensors.torch import save_file


def test_seeds_of_training_are_those_of_development_that_nothing_else_uses() -> None:
    assert set(train_voxelmorph.SEEDS) == {*range(20, 50), *range(53, 100)}
    assert max(train_voxelmorph.SEEDS) < cases.FIRST_TEST_SEED
    assert "stack" not in train_voxelmorph.KINDS


def test_a_shift_is_learned(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    y, x = np.mgrid[:48, :48] - 24.0
    frames = np.stack([np.exp(-np.square(np.hypot(y, x - 2 * t) / 8)) for t in range(2)]).astype(np.float32)
    cine = train_voxelmorph.squared(frames, 48)
    assert cine.shape == (2, 48, 48)
    monkeypatch.setattr(train_voxelmorph, "batch", lambda *_: (cine[None, :1], cine[None, 1:]))
    network = train_voxelmorph.train([cine], steps=40, count=1, rate=2e-3)
    monkeypatch.setattr(voxelmorph, "WEIGHTS", tmp_path / "weights.safetensors")
    save_file(network.state_dict(), voxelmorph.WEIGHTS)
    found = methods.method_of("voxelmorph").run(frames, (1.0, 1.0), np.array([0.0, 1.0]))
    assert not found.forward[0].any()
    inside = frames[0] > 0.5
    assert found.forward[1, 1][inside].mean() == pytest.approx(2, abs=0.6)
    assert abs(found.forward[1, 0][inside].mean()) < 0.4
    assert found.made_with.startswith("weights ")


def test_items_are_pairs_of_one_cine_in_any_orientation() -> None:
    cines = [torch.full((3, 8, 8), float(number)) for number in range(4)]
    reference, frames = train_voxelmorph.batch(cines, 32, np.random.default_rng(0))
    assert reference.shape == frames.shape == (32, 1, 8, 8)
    assert torch.equal(reference, frames)
    assert set(reference.flatten().tolist()) == {0.0, 1.0, 2.0, 3.0}


def test_small_images_are_padded_and_large_ones_cropped() -> None:
    assert train_voxelmorph.squared(np.random.default_rng(0).random((2, 100, 130)), 128).shape == (2, 128, 128)


def test_without_weights_it_is_left_out(tmp_path) -> None:
    peer = methods.PEERS["demons"]
    assert peer.missing == ""
    nowhere = methods.Method("peer", peer.run, "", "SimpleITK", weights=tmp_path / "weights.safetensors")
    assert nowhere.missing == "there is no weights.safetensors"
    assert methods.Method("peer", peer.run, "", "no_such_package").missing == "no_such_package is not installed"
