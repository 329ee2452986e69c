"""Pairs with an affine step, masks, their way, and a model whose regularity can be chosen."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from made_models import card_of
from made_pairs import Anatomy, affine_matrix
from torch import nn

from DeepRegLogic import Cine, Grid, InputError, Refinement, register_cine, register_pair, zoo
from DeepRegLogic.networks import NETWORKS, PAIR, REGULARITY, MotionNetwork
from DeepRegLogic.networks.base import register
from DeepRegLogic.registration.affine import Mask
from DeepRegLogic.registration.pair import in_voxels
from DeepRegLogic.registration.register import follow_pair
from DeepRegLogic.results.resample import points_of, sample_at
from DeepRegLogic.service import exchange
from DeepRegLogic.transformations import Displacement, Refined, StationaryVelocity, VelocitySteps

pytestmark = pytest.mark.usefixtures("one_thread")

QUICK = Refinement(levels=((4, 10), (2, 10)), similarity="mse", smoothness=10.0)
GRID = Grid((64, 60, 1), (1.5, 1.5, 8.0), (10.0, 20.0, 0.0))
MATRIX = affine_matrix(14.0, 1.15, np.array([30.0, -12.0, 0.0]), np.array([58.0, 64.0, 0.0]))
FAR = Grid((80, 72, 1), (1.3, 1.6, 8.0), (35.0, 0.0, 0.0))


@pytest.fixture(scope="module")
def images() -> tuple[Cine, Cine]:
    anatomy = Anatomy(np.array([58.0, 64.0, 0.0]), 60.0, 2, seed=4)
    return anatomy.image(GRID, name="fixed"), anatomy.image(FAR, np.linalg.inv(MATRIX), name="moving")


@pytest.fixture(scope="module")
def results(images):
    return follow_pair(*images, model=None, refine=QUICK, affine=True, path=4)


def test_the_matrix_is_in_the_result_and_the_result_in_the_matrix(results):
    motion = results.motion
    linear, shift = in_voxels(motion.affine, GRID)
    places = np.indices(GRID.shape, dtype=float)
    exact = np.einsum("ij,jhw->ihw", linear, places) + shift[:, None, None] - places
    left = np.linalg.norm(motion.displacement[1] - exact, axis=0)
    assert left.mean() < 0.5  # what was not affine is small
    assert np.abs(motion.displacement[1]).max() > 15
    assert motion.quality[1].folded == 0
    assert motion.quality[1].inverse_consistency_high < 0.1
    true = in_voxels(MATRIX, GRID)
    wanted = np.einsum("ij,jhw->ihw", true[0], places) + true[1][:, None, None] - places
    assert np.linalg.norm(motion.displacement[1] - wanted, axis=0)[10:-10, 10:-10].mean() < 0.5


def test_the_moving_image_is_sampled_once_from_its_own_grid(images, results):
    _fixed, moving = images
    warped, inside = sample_at(moving.frames[0], moving.grid, points_of(GRID, results.motion.displacement[1]))
    np.testing.assert_array_equal(results.compensated[1].ravel(), warped)
    assert inside.mean() > 0.8
    assert results.motion.quality[1].error_after < 0.2 * results.motion.quality[1].error_before


def test_the_way_begins_with_nothing_and_ends_with_the_motion(results):
    path = results.motion.path
    assert path.shape == (5, 2, *GRID.shape)
    assert np.abs(path[0]).max() < 1e-4
    np.testing.assert_allclose(path[-1], results.motion.displacement[1], atol=1e-4)
    lengths = np.linalg.norm(path, axis=1).mean((1, 2))
    assert np.all(np.diff(lengths) > 0)


def test_matrix_and_way_go_through_the_worker(results, tmp_path):
    packed = exchange.pack_motion(tmp_path, results.motion)
    motion = exchange.unpack_motion(tmp_path, packed)
    np.testing.assert_array_equal(motion.affine, results.motion.affine)
    np.testing.assert_array_equal(motion.path, results.motion.path)


def test_half_the_way_twice_is_the_whole():
    torch.manual_seed(0)
    velocity = 3 * torch.nn.functional.interpolate(torch.randn(1, 2, 4, 4), (32, 32), mode="bicubic")
    whole, half = StationaryVelocity(velocity), StationaryVelocity(velocity).at(0.5)
    from DeepRegLogic import flow

    twice = flow.compose(half.displacement(), half.displacement())
    inner = (..., slice(8, -8), slice(8, -8))
    assert (twice - whole.displacement())[inner].abs().max() < 0.05
    steps = VelocitySteps(torch.stack([velocity, -2 * velocity]))
    assert torch.allclose(steps.at(0.5).displacement(), whole.displacement(), atol=1e-5)
    assert torch.allclose(steps.at(1.0).displacement(), steps.displacement())
    assert torch.equal(Displacement(velocity).at(0.25).vectors, velocity / 4)
    refined = Refined(Displacement(velocity), velocity)
    assert torch.equal(refined.at(0.5).velocity, velocity / 2)
    assert torch.equal(refined.at(0.5).base.vectors, velocity / 2)


def test_what_is_outside_the_masks_does_not_pull():
    rows, columns = np.mgrid[:48, :64]
    grid = Grid((64, 48, 1))

    def discs(left: float, right: float) -> Cine:
        near = [1 / (1 + np.exp(np.hypot(rows - 24, columns - c) - r)) for c, r in ((16, left), (46, right))]
        return Cine((near[0] + near[1])[None].astype(np.float32), grid)

    fixed, inside = discs(8, 8), (columns < 32).astype(np.uint8)
    options = {"model": None, "refine": Refinement(levels=((2, 30), (1, 10)))}
    left, right = (1, 24, 24), (1, 24, 54)  # components along the rows, on the right rims
    free = register_pair(fixed, discs(6, 12), **options).displacement[1]
    assert free[right] > 2
    one, other = (
        register_pair(fixed, discs(6, radius), **options, fixed_mask=Mask(inside, grid)).displacement[1]
        for radius in (12, 7)
    )
    assert one[left] < -1
    near = np.s_[:, :, :26]
    np.testing.assert_allclose(one[near], other[near], atol=0.2)  # whatever lies outside


class Shifts(MotionNetwork):
    """Everything moves along the last axis, the stiffer the less."""

    capabilities = frozenset({PAIR, REGULARITY})

    def __init__(self, ndim: int = 2) -> None:
        super().__init__()
        self.ndim = ndim
        self.length = nn.Parameter(torch.tensor(4.0))

    def estimate(self, reference, frames):
        return self.estimate_at(reference, frames, 0.5)

    def estimate_at(self, reference, frames, regularity):
        velocity = frames.new_zeros(frames.shape[0] * frames.shape[1], self.ndim, *frames.shape[3:])
        velocity[:, -1] = self.length * (1 - regularity)
        return StationaryVelocity(velocity)


@pytest.fixture
def soft_or_stiff(tmp_path, monkeypatch):
    """The name of a model of that network."""
    register("shifts")(Shifts)
    monkeypatch.setenv(zoo.USER_MODELS, str(tmp_path))
    zoo.save_model(tmp_path / "shifts", Shifts(), card_of("shifts", "shifts", spacing=1.5))
    yield "shifts"
    NETWORKS.remove("shifts")


def test_a_model_with_that_capability_takes_a_regularity(images, soft_or_stiff):
    fixed, _ = images
    moving = Cine(np.roll(fixed.frames, 2, -1), GRID)

    def shift(**options) -> float:
        motion = register_pair(fixed, moving, soft_or_stiff, refine=False, **options)
        assert motion.provenance["regularity"] == options.get("regularity")
        return float(motion.displacement[1, 1, 30, 32])

    assert shift() == pytest.approx(2.0, abs=0.01)
    assert shift(regularity=0.0) == pytest.approx(4.0, abs=0.01)
    assert shift(regularity=0.75) == pytest.approx(1.0, abs=0.01)
    with pytest.raises(InputError, match=r"from 0 \(soft\) to 1"):
        shift(regularity=2.0)


def test_a_model_for_pairs_follows_frames_one_by_one(images, soft_or_stiff):
    cine = Cine(np.concatenate([images[0].frames] * 3), GRID)
    motion = register_cine(cine, soft_or_stiff, reference=0, refine=False)
    assert motion.displacement[2, 1, 30, 32] == pytest.approx(2.0, abs=0.01)


def test_a_regularity_that_nobody_can_choose_is_refused(images):
    fixed, _ = images
    for model, words in ((None, "no regularity"), ("voxelmorph-cardiac", "cannot be chosen")):
        with pytest.raises(InputError, match=words):
            register_pair(fixed, Cine(np.roll(fixed.frames, 2, -1), GRID), model, regularity=0.5)
