"""register_cine and register_pair on small phantoms: accuracy, both directions, regions, bad input, cancelling."""

import numpy as np
import pytest
import torch
from made_fields import rereference
from made_geometry import rotation

from DeepRegLogic import Cancelled, CancelToken, Cine, Grid, InputError, MemoryBudgetError, ModelError, zoo
from DeepRegLogic.registration.pair import pair_cine
from DeepRegLogic.registration.prepare import check_memory, find_reference, is_cyclic
from DeepRegLogic.registration.presets import Refinement
from DeepRegLogic.registration.refine import FrameTimes
from DeepRegLogic.registration.register import register_cine, register_pair
from DeepRegLogic.synthetic import cine_phantom
from DeepRegLogic.transformations import StationaryVelocity

QUICK = Refinement(levels=((4, 25), (2, 25)))


@pytest.fixture(scope="module")
def phantom():
    return cine_phantom(4242, frames=8, size=96)


@pytest.fixture(scope="module")
def motion(phantom):
    return register_cine(phantom.cine, model=None, refine=QUICK, reference=0)


def error_mm(found, truth, mask):
    """Mean end-point error in mm over the frames, inside ``mask``."""
    return np.linalg.norm(found - truth, axis=1)[:, mask].mean() * 1.8


def test_the_motion_of_a_phantom_is_found_both_ways(phantom, motion):
    before = error_mm(0 * phantom.motion.displacement, phantom.motion.displacement, phantom.heart)
    assert error_mm(motion.displacement, phantom.motion.displacement, phantom.heart) < before / 2.5
    assert error_mm(motion.inverse, phantom.motion.inverse, phantom.heart) < before / 2.5


def test_the_reference_frame_has_a_real_zero_field(motion):
    assert not motion.displacement[0].any()
    assert not motion.inverse[0].any()


def test_quality_is_measured_for_every_frame(phantom, motion):
    assert len(motion.quality) == len(phantom.cine)
    for record in motion.quality[1:]:
        assert record.error_after < record.error_before
        assert record.folded == 0
        assert record.inverse_consistency_mean < 0.1
        assert 0 < record.motion_mean < record.motion_max
    worst = motion.quality[3]
    lengths = np.linalg.norm(motion.displacement[3], axis=0) * 1.8
    assert worst.motion_mean == pytest.approx(lengths.mean(), rel=1e-4)
    assert worst.motion_max == pytest.approx(lengths.max(), rel=1e-4)


def test_another_reference_gives_the_motion_from_there(phantom):
    found = register_cine(phantom.cine, model=None, refine=QUICK, reference=3)
    truth = rereference(phantom.motion, 3)
    heart = phantom.labels[3] > 0
    before = error_mm(0 * truth.displacement, truth.displacement, heart)
    assert error_mm(found.displacement, truth.displacement, heart) < before / 2
    assert not found.displacement[3].any()


def test_end_diastole_is_found(phantom):
    assert find_reference(phantom.cine) in (0, 7)
    turned = Cine(np.roll(phantom.cine.frames, 2, axis=0), phantom.cine.grid)
    assert find_reference(turned) in (1, 2)


def test_a_whole_heart_beat_is_cyclic_and_half_of_it_is_not(phantom):
    assert is_cyclic(phantom.cine)
    long = cine_phantom(4242, frames=20, size=64).cine
    assert is_cyclic(long)
    assert not is_cyclic(Cine(long.frames[:8], long.grid))


def test_a_region_of_interest_is_registered_and_its_outside_is_still(phantom):
    start, stop = (16, 20), (80, 84)
    found = register_cine(phantom.cine, model=None, refine=QUICK, reference=0, roi=(start, stop))
    outside = np.ones(phantom.cine.grid.shape, bool)
    outside[16:80, 20:84] = False
    for field in (found.displacement, found.inverse):
        assert not field[:, :, outside].any()
        length = np.linalg.norm(field, axis=1)
        assert length[:, 40:60, 40:60].max() > 1.5
        assert length[:, 16, 20:84].max() < 0.1  # no step where the region begins
    assert max(record.folded for record in found.quality) == 0


@pytest.mark.parametrize("model", [None, "tlrn-cardiac"])
@pytest.mark.parametrize("slices", [(2, 3), (2, 4), (1, 5), (0, 3)], ids=str)
def test_a_region_of_a_few_slices_keeps_its_motion_in_each_of_them(model, slices):
    grid = Grid((40, 36, 6), (1.5, 1.5, 8.0))
    z, y, x = np.indices(grid.shape, dtype=float)
    radii = [11.0, 9.5, 8.0, 9.5]
    frames = np.stack([1000 / (1 + np.exp(np.hypot(y - 18, x - 20) - r - 0.3 * z)) for r in radii])
    roi = ((slices[0], 2, 2), (slices[1], 34, 38))
    found = register_cine(Cine(frames, grid), model=model, refine=QUICK, reference=0, roi=roi)
    moved = np.linalg.norm(found.displacement[2], axis=0).max(axis=(1, 2))
    inside = np.isin(np.arange(6), np.arange(*slices))
    assert (moved[inside] > 1.5).all()
    assert not moved[~inside].any()
    assert np.isfinite(found.displacement).all()
    assert max(record.folded for record in found.quality) == 0


def test_a_stack_is_registered_in_three_dimensions():
    grid = Grid((40, 36, 6), (1.5, 1.5, 8.0))
    z, y, x = np.indices(grid.shape, dtype=float)
    radii = [11.0, 9.5, 8.0, 9.5]
    frames = np.stack([1000 / (1 + np.exp(np.hypot(y - 18, x - 20) - r - 0.3 * z)) for r in radii])
    found = register_cine(Cine(frames, grid), model=None, refine=QUICK, reference=0)
    assert found.displacement.shape == (4, 3, 6, 36, 40)
    assert found.quality[2].error_after < 0.4 * found.quality[2].error_before
    # the wall at radius 11 of the reference is at radius 8 of frame 2
    assert found.displacement[2, 2, 2, 18, 20 + 11] == pytest.approx(-3, abs=1.0)


def test_a_pair_is_registered_across_different_geometries():
    turn = tuple((rotation(0.2, -0.1, 0.3) @ np.diag([1, 1, -1])).ravel())
    fixed = Grid((64, 60, 1), (1.5, 1.5, 8), (-20, 10, 5), turn)
    moving = Grid((50, 52, 1), (2.0, 1.8, 8), tuple(fixed.voxel_to_mm([-2.0, -3.0])), turn)

    def disc(grid, radius):
        points = grid.voxel_to_mm(np.moveaxis(np.indices(grid.shape, dtype=float), 0, -1))
        distance = np.linalg.norm(points - fixed.voxel_to_mm([30.0, 32.0]), axis=-1)
        return Cine(1000 / (1 + np.exp(distance - radius))[None], grid, name=f"disc {radius}")

    found = register_pair(disc(fixed, 20.0), disc(moving, 16.0), model=None)
    assert len(found) == 2
    assert found.grid == fixed
    assert found.quality[1].error_after < 0.3 * found.quality[1].error_before
    # a point on the rim of the fixed disc is 4 mm further in in the moving one
    assert np.linalg.norm(found.displacement[1, :, 30, 32 + 13]) * 1.5 == pytest.approx(4, abs=1.2)


def test_progress_rises_to_one_and_says_what_is_done(phantom):
    seen = []
    register_cine(phantom.cine, model=None, refine=QUICK, progress=lambda part, text: seen.append((part, text)))
    parts = [part for part, _ in seen]
    assert parts == sorted(parts)
    assert parts[-1] == 1.0
    assert any("Refining, level 2 of 2" in text for _, text in seen)


@pytest.mark.parametrize("when", [0.0, 0.1, 0.5, 0.9])
def test_cancelling_stops_at_the_next_step(phantom, when):
    token, after = CancelToken(), []

    def progress(part, text):
        after.append(token.cancelled)
        if part >= when:
            token.cancel()

    with pytest.raises(Cancelled):
        register_cine(phantom.cine, model=None, refine=QUICK, progress=progress, cancel=token)
    assert sum(after) == 0  # nothing was reported after the call


def test_the_energy_says_mse_too(phantom):
    found = register_cine(phantom.cine, model=None, reference=0, refine=Refinement("mse", levels=((4, 25), (2, 25))))
    before = error_mm(0 * phantom.motion.displacement, phantom.motion.displacement, phantom.heart)
    assert error_mm(found.displacement, phantom.motion.displacement, phantom.heart) < before / 2


def test_neighbouring_frames_are_refined_together(phantom):
    def jitter(found):
        return np.linalg.norm(np.diff(found.displacement, n=2, axis=0), axis=1)[:, phantom.heart].mean()

    together, apart = (
        register_cine(phantom.cine, model=None, refine=settings, reference=0)
        for settings in (Refinement(sigma_time=0.06, temporal=0.2), Refinement(sigma_time=0.01, temporal=0.0))
    )
    errors = [error_mm(m.displacement, phantom.motion.displacement, phantom.heart) for m in (together, apart)]
    assert errors[0] < 1.05 * errors[1]
    assert jitter(together) < jitter(apart)


def test_what_is_smoothed_over_time_goes_around_the_cycle():
    assert FrameTimes(1, 0, False).gaussian(1.0).tolist() == [[1.0]]
    open_end, cycle = (FrameTimes(6, 0, cyclic).gaussian(1.0) for cyclic in (False, True))
    torch.testing.assert_close(cycle, cycle.T)
    assert open_end[0, 5] < 1e-5
    assert cycle[0, 5] == cycle[0, 2]  # the reference lies between the last and the first
    assert cycle.sum(1).argmin() in (0, 5)
    torch.testing.assert_close(FrameTimes(6, 3, False).gaussian(0.01), torch.eye(6))


def test_predictions_of_a_whole_beat_do_not_jitter(monkeypatch):
    class Jittering:
        """A network whose velocity of frame t is (-1)^t; the frames come in time order after the reference, 0."""

        ndim = 2

        def estimate(self, reference, frames):
            count, *spatial = frames.shape[1], *frames.shape[3:]
            signs = (-1.0) ** torch.arange(1, count + 1)
            return StationaryVelocity(signs.view(-1, 1, 1, 1).expand(count, 2, *spatial))

    card = zoo.Card("jitter", "Jitter", "For tests.", "none", {}, ndim=2, spacing=1.0)
    monkeypatch.setattr(zoo, "load_model", lambda *_: zoo.Model(card, Jittering()))
    cine = cine_of(*np.random.default_rng(0).random((20, 32, 32), np.float32))
    still, beat = (
        register_cine(cine, refine=False, reference=0, cyclic=cyclic).displacement[10, 0, 16, 16]
        for cyclic in (False, True)
    )
    assert still == pytest.approx(1.0)
    assert beat == pytest.approx(1 - 4 * np.exp(-2) / (1 + 2 * np.exp(-2)), abs=0.01)


def cine_of(*frames, **more):
    pixels = np.stack(frames)
    return Cine(pixels, Grid.of_array(pixels.shape[1:]), name="study", **more)


NOISE = np.random.default_rng(0).random((2, 32, 32)).astype(np.float32)


@pytest.mark.parametrize(
    ("cine", "options", "error", "words"),
    [
        (cine_of(NOISE[0]), {}, InputError, "one frame"),
        (cine_of(NOISE[0, :2, :2], NOISE[1, :2, :2]), {}, InputError, "2 x 2 pixels"),
        (cine_of(*np.ones((3, 32, 32))), {}, InputError, "All frames of 'study' are constant"),
        (cine_of(NOISE[0], np.ones((32, 32)), NOISE[1]), {}, InputError, "Frame 1 of 'study' is constant"),
        (cine_of(*NOISE), {"reference": 2}, InputError, "Reference frame 2 does not exist"),
        (cine_of(*NOISE), {"model": "nothing-like-it"}, ModelError, "There is no model 'nothing-like-it'"),
        (cine_of(*NOISE), {"refine": False}, InputError, "nothing to do"),
        (cine_of(*NOISE), {"device": "cuda:77"}, InputError, "device 'cuda:77'"),
        (cine_of(*NOISE), {"roi": ((0, 0), (8, 30))}, InputError, "region of interest"),
        (cine_of(*NOISE), {"roi": ((0,), (8,))}, InputError, "2 start and 2 stop"),
    ],
)
def test_bad_input_gets_one_sentence(cine, options, error, words):
    with pytest.raises(error, match=words):
        register_cine(cine, **{"model": None, **options})


def test_four_gigabytes_on_a_small_budget_are_refused_before_any_work():
    frames = np.broadcast_to(NOISE[:1, :, :, None].repeat(64, -1), (16384, 32, 32, 64))  # 4 GB, but not in memory
    cine = cine_of(*NOISE)
    object.__setattr__(cine, "frames", frames)
    object.__setattr__(cine, "grid", Grid.of_array((32, 32, 64)))
    with pytest.raises(MemoryBudgetError, match=r"needs about \d+\.\d GB, but only 1 GB"):
        check_memory(cine, (32, 32, 64), True, 1.0)
    with pytest.raises(MemoryBudgetError, match="smaller region of interest"):
        register_cine(cine_of(*NOISE), model=None, memory_gb=0.1)


def test_pairs_that_do_not_meet_are_refused():
    image = cine_of(NOISE[0])
    far = Cine(NOISE[1:], Grid((32, 32, 1), origin=(500, 0, 0)), name="far")
    above = Cine(NOISE[1:], Grid((32, 32, 1), origin=(0, 0, 50)), name="above")
    volume = Cine(np.zeros((1, 4, 32, 32), np.float32), Grid((32, 32, 4)), name="volume")
    for moving, words in ((far, "no part of space"), (above, r"50\.0 mm apart"), (volume, "both be single slices")):
        with pytest.raises(InputError, match=words):
            pair_cine(image, moving)
    with pytest.raises(InputError, match="has 2 frames"):
        pair_cine(image, cine_of(*NOISE))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"similarity": "ssd"}, "similarity"),
        ({"window": 8}, "odd"),
        ({"smoothness": -1}, "negative"),
        ({"sigma_time": 0}, "positive"),
        ({"levels": ()}, "levels"),
        ({"levels": ((0.5, 10),)}, "levels"),
    ],
)
def test_bad_settings_are_refused(settings, words):
    with pytest.raises(InputError, match=words):
        Refinement(**settings)
