"""Cines of anything under random motions: the truth both ways, and that a seed is a seed."""

import numpy as np
import pytest
import torch

from DeepRegLogic import InputError, flow
from DeepRegLogic.synthetic import moving_image
from DeepRegLogic.synthetic.random_motion import random_curve, random_motion

KINDS = ["shapes", "turning-short-axis", "turning-four-chamber", "short-axis"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_moving_image_has_its_motion_both_ways(kind):
    found = moving_image(3, kind, frames=6, size=64, spacing=3.6)
    assert found.frames.shape == found.weight.shape == (6, 64, 64)
    assert found.displacement.shape == found.inverse.shape == (6, 2, 64, 64)
    assert float(found.frames.min()) >= 0
    assert float(found.frames.max()) <= 1
    assert float(found.displacement[0].abs().max()) < 1e-4
    assert float(found.displacement.norm(dim=1).max()) > 0.5
    assert not flow.folding(found.displacement).any()
    there_and_back = flow.compose(found.inverse, found.displacement).norm(dim=1)[..., 8:-8, 8:-8]
    assert float(there_and_back.mean()) < 0.02
    matters = found.weight[0] > 0.5
    before, after = (
        (flow.warp(found.frames[:, None], field)[:, 0] - found.frames[0]).abs()[:, matters].mean(1)
        for field in (torch.zeros_like(found.displacement), found.displacement)
    )
    assert float(after.max()) < float(before.max()) or float(before.max()) < 0.03


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_gives_the_same_cine_again(kind):
    one, again, other = (moving_image(seed, kind, frames=4, size=48, spacing=4.0) for seed in (5, 5, 6))
    assert torch.equal(one.frames, again.frames)
    assert torch.equal(one.displacement, again.displacement)
    assert not torch.equal(one.displacement, other.displacement)


def test_kinds_that_do_not_exist_are_named():
    with pytest.raises(InputError, match="view 'brains'"):
        moving_image(0, "turning-brains")


@pytest.mark.parametrize("seed", range(8))
def test_a_curve_begins_at_rest_and_a_motion_does_not_fold(seed):
    rng = np.random.default_rng(seed)
    curve = random_curve(rng, 20)
    assert curve[0] == pytest.approx(0, abs=1e-9)
    assert np.abs(curve).max() == pytest.approx(1)
    found = random_motion(rng, 5, (64, 64), (32.0, 30.0), 14.0)
    assert not flow.folding(found.displacement).any()
    assert not flow.folding(found.inverse).any()
    assert float(found.displacement[0].abs().max()) < 1e-6
