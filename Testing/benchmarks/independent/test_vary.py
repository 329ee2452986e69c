"""Cases made harder keep their truth: labels are carried to where they are painted, and the truth has no error."""

from __future__ import annotations

import numpy as np
import pytest

from . import cases, metrics
from .vary import CLEAN, VARIATIONS

SMALL = {"frames": 6, "spacing": 3.6}
EXACT = [name for name, variation in VARIATIONS.items() if not variation.options and not variation.spacing]


@pytest.fixture(scope="module")
def case() -> cases.Case:
    return cases.make("short-axis", 4, size=64, **SMALL)


@pytest.mark.parametrize("name", EXACT)
def test_the_truth_is_that_of_the_changed_images(case, name):
    changed = VARIATIONS[name].change(case)
    t = changed.systole
    found = metrics.measure(changed, changed.forward, changed.inverse)
    clean = metrics.measure(case, case.forward, case.inverse)
    assert found["epe"] == found["twist_error"] == 0
    assert found["folded"] == 0
    assert found["dice_es"] > clean["dice_es"] - 0.03
    back = metrics.carried(changed.labels[0], changed.inverse[t])
    assert metrics.dice(back > 0, changed.labels[t] > 0) > 0.9
    assert found["inverse_consistency"] < 0.15
    assert changed.forward.shape == changed.inverse.shape == (len(changed.frames), 2, *changed.frames.shape[1:])
    assert len(changed.times) == len(changed.labels) == len(changed.phases) == len(changed.frames)
    assert (np.diff(changed.times) > 0).all()
    assert np.array_equal(changed.frames[t].shape, changed.masks["organ"].shape)


def test_still_images_have_the_same_errors_turned_and_flipped(case):
    clean = metrics.measure(case, case.forward * 0)
    for name in ("turned", "flipped"):
        changed = VARIATIONS[name].change(case)
        found = metrics.measure(changed, changed.forward * 0)
        for figure, value in clean.items():
            assert found[figure] == pytest.approx(value, rel=1e-4, abs=1e-6), (name, figure)


def test_four_quarters_are_a_whole_turn_and_two_flips_are_none(case):
    for name, times in (("turned", 4), ("flipped", 2)):
        changed = case
        for _ in range(times):
            changed = VARIATIONS[name].change(changed)
        assert np.array_equal(changed.frames, case.frames)
        assert np.array_equal(changed.forward, case.forward)
        assert changed.centre == pytest.approx(case.centre)


def test_frames_are_those_that_are_left(case):
    fewer, more = VARIATIONS["missing-frames"].change(case), VARIATIONS["doubled-frames"].change(case)
    assert len(fewer.frames) == 4
    assert np.array_equal(fewer.frames[fewer.systole], case.frames[case.systole])
    assert np.array_equal(more.frames[::2], more.frames[1::2])
    assert more.times[-1] == pytest.approx(case.times[-1] + 0.5 * case.times[1])
    half = VARIATIONS["half-cycle"].change(case)
    assert len(half.frames) == case.systole + 1
    assert not half.cyclic


def test_brightness_rises(case):
    bright = VARIATIONS["brightness"].change(case)
    assert bright.frames[0] == pytest.approx(0.6 * case.frames[0])
    assert bright.frames[-1] == pytest.approx(1.4 * case.frames[-1])


def test_half_the_organ_is_seen(case):
    half = VARIATIONS["half-view"].change(case)
    kept = half.masks["organ"].sum() / case.masks["organ"].sum()
    assert 0.25 < kept < 0.6
    assert half.frames.shape[-1] < case.frames.shape[-1]


def test_a_drift_moves_everything_and_opens_the_cycle(case):
    drifting = cases.make("short-axis", 4, size=64, **SMALL, **VARIATIONS["drift"].options)
    assert case.cyclic
    assert not drifting.cyclic
    moved = (drifting.forward - case.forward)[-1] * 3.6
    length = np.linalg.norm(moved, axis=0)[case.masks["organ"]]
    assert length.mean() == pytest.approx(10 * case.phases[-1], rel=0.15)  # the subject's own shape bends it
    assert length.std() < 0.1 * length.mean()
    found = metrics.measure(drifting, drifting.forward, drifting.inverse)
    assert found["inverse_consistency"] < 0.1
    assert found["dice_es"] > 0.85
    assert metrics.residual(drifting, drifting.forward) < metrics.residual(drifting, case.forward)


def test_noise_is_doubled_and_nothing_else():
    clean, quiet, noisy = (cases.make("vessel", 6, frames=2, size=60, spacing=1.9, noise=n) for n in (1.0, 0.0, 2.0))
    assert np.array_equal(clean.forward, noisy.forward)
    bright = quiet.frames > np.percentile(quiet.frames, 80)  # where magnitudes of noise are as good as even
    ratio = np.std((noisy.frames - quiet.frames)[bright]) / np.std((clean.frames - quiet.frames)[bright])
    assert ratio == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("name", ["fine", "coarse"])
def test_other_pixels_show_the_same_field_of_view(name):
    options = VARIATIONS[name].drawn_with("short-axis", 64)
    assert options["size"] * options["spacing"] == pytest.approx(64 * 1.8, abs=1.5)
    assert VARIATIONS[name].drawn_with("stack", None)["size"] == round(96 * 2.2 / options["spacing"])


def test_options_of_the_others_are_those_of_the_clean_case():
    assert VARIATIONS[CLEAN].drawn_with("vessel", 96) == {"size": 96}
    assert VARIATIONS["noise"].drawn_with("vessel", None) == {"size": None, "noise": 2.0}
