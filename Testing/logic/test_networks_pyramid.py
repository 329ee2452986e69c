"""The motion pyramid: shapes, what it must not depend on, and a few steps of its training."""

import pytest
import torch

from DeepRegLogic import flow
from DeepRegLogic.networks import build
from DeepRegLogic.networks.pyramid import MotionPyramid, contrast, local_correlations


@pytest.fixture(scope="module")
def network() -> MotionPyramid:
    torch.manual_seed(0)
    network = build("pyramid", channels=[8, 8], hidden=[8, 8], updates=[1, 2], reach=[1, 1]).eval()
    assert isinstance(network, MotionPyramid)
    for level in network.levels:  # as after a training: far from no motion
        torch.nn.init.normal_(level.head.weight, std=0.02)
    return network


def images(*shape: int, seed: int = 0) -> torch.Tensor:
    noise = torch.rand(shape, generator=torch.Generator().manual_seed(seed))
    return flow.smooth(noise.flatten(0, -4), 1.5).view(shape)


@pytest.mark.parametrize("shape", [(32, 32), (33, 50)])
@torch.inference_mode()
def test_any_size_and_any_number_of_frames(network, shape):
    for count in (1, 5):
        found = network.estimate(images(2, 1, *shape), images(2, count, 1, *shape, seed=1))
        assert found.shape == (2 * count, 2, *shape)
        assert float(found.field.abs().max()) > 0


@torch.inference_mode()
def test_cines_of_a_batch_do_not_see_one_another(network):
    reference, frames = images(2, 1, 32, 32), images(2, 3, 1, 32, 32, seed=1)
    together = network.estimate(reference, frames).field
    apart = torch.cat([network.estimate(reference[n : n + 1], frames[n : n + 1]).field for n in range(2)])
    torch.testing.assert_close(together, apart, atol=1e-5, rtol=1e-4)


@torch.inference_mode()
def test_frames_see_their_neighbours_in_time_both_ways(network):
    torch.nn.init.ones_(network.levels[0].in_time.weight)
    reference, frames = images(1, 1, 32, 32), images(1, 5, 1, 32, 32, seed=1)
    other = frames.clone()
    other[:, 2] = images(1, 1, 32, 32, seed=9)
    change = (network.estimate(reference, frames).field - network.estimate(reference, other).field).abs()
    assert all(float(change[t].max()) > 1e-5 for t in (1, 2, 3))


@torch.inference_mode()
def test_a_change_of_brightness_and_contrast_changes_the_motion_little(network):
    reference, frames = images(1, 1, 48, 48), images(1, 4, 1, 48, 48, seed=1)
    found, brighter = (network.estimate(reference, each).field for each in (frames, 0.1 + 0.7 * frames))
    assert float((found - brighter).norm() / found.norm()) < 0.02


@torch.inference_mode()
def test_levels_go_from_coarse_to_fine(network):
    levels = network.velocities(images(1, 1, 32, 32), images(1, 2, 1, 32, 32, seed=1))
    assert [tuple(each.shape) for each in levels] == [(2, 2, 8, 8), (2, 2, 16, 16), (2, 2, 32, 32)]


def test_correlations_are_those_of_shifted_features():
    fixed, moved = images(1, 3, 6, 6), images(1, 3, 6, 6, seed=1)
    found = local_correlations(fixed, moved, 1)
    assert found.shape == (1, 9, 6, 6)
    assert float(found[0, 5, 2, 2]) == pytest.approx(float((fixed[0, :, 2, 2] * moved[0, :, 2, 3]).mean()))
    assert float(found[0, 0, 0, 0]) == 0  # what lies outside


def test_contrast_of_a_flat_image_is_zero():
    assert float(contrast(torch.full((1, 1, 20, 20), 0.6)).abs().max()) < 1e-2


@pytest.mark.parametrize("arguments", [{"ndim": 3}, {"updates": [0, 1, 1, 1]}, {"hidden": [8]}])
def test_what_it_cannot_be_built_with(arguments):
    with pytest.raises(ValueError, match="motion pyramid"):
        MotionPyramid(**arguments)


def test_images_that_do_not_fit(network):
    with pytest.raises(ValueError, match="do not fit"):
        network.estimate(images(1, 1, 32, 32), images(1, 2, 1, 32, 30))
