"""Booleans, extreme doubles, huge offsets and pairs of two units: followed as their plain copies are, or refused."""

from __future__ import annotations

import numpy as np
import pytest

from DeepRegLogic import Cine, Grid, Motion, compensate, propagate, register_cine, register_pair
from DeepRegLogic.cine import scaled_frames, working_type
from DeepRegLogic.errors import InputError
from DeepRegLogic.registration.pair import pair_cine
from DeepRegLogic.registration.refine import Refinement

pytestmark = pytest.mark.usefixtures("one_thread")

QUICK = Refinement(levels=((1, 12),))
GRID = Grid((32, 32, 1))
Y, X = np.mgrid[:32, :32]
BLOB = np.stack([60 + 150 * np.exp(-((X - 14 - t) ** 2 + (Y - 16) ** 2) / 30) for t in range(3)])


def followed(frames):
    return register_cine(Cine(frames, GRID), model=None, refine=QUICK, reference=0, device="cpu")


@pytest.fixture(scope="module")
def plain():
    return followed(BLOB)


EXTREME = {
    "offset of 1e8": (1 / 255, 1e8),
    "negative offset": (1 / 255, -1e8),
    "offset of 1e12": (1.0, 1e12),
    "large": (1e60, 0.0),
    "largest": (1e297, 0.0),
    "beyond float32": (1e37, 0.0),
    "small": (1e-60, 0.0),
    "smaller": (1e-300, 0.0),
    "below float32": (1e-40, 0.0),
}


@pytest.mark.parametrize("case", EXTREME)
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_extreme_doubles_move_as_plain_ones(case, plain):
    scale, offset = EXTREME[case]
    motion = followed(BLOB * scale + offset)
    assert np.abs(plain.displacement).max() > 0.5
    np.testing.assert_allclose(motion.displacement, plain.displacement, atol=2e-2)
    for mine, theirs in zip(motion.quality, plain.quality, strict=True):
        assert mine.error_before == pytest.approx(theirs.error_before, abs=1e-4)
        assert mine.error_after == pytest.approx(theirs.error_after, abs=2e-3)


@pytest.mark.parametrize("value", [1.1e300, -1.7e308])
def test_doubles_whose_differences_overflow_are_refused(value):
    frames = BLOB.copy()
    frames[1, 3, 4] = value
    with pytest.raises(InputError, match=r"Frame 1 of 'cine' has pixels up to .*; divide"):
        Cine(frames, GRID)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8", "uint16", "int32", "int64", "uint64", "float16", "float32"])
def test_pixels_of_every_type_are_scaled(dtype):
    frames = (BLOB > 120).astype(dtype) if dtype == "bool" else (BLOB / 2).astype(dtype)
    scaled = scaled_frames(frames)
    assert (scaled.dtype, scaled.min(), scaled.max()) == (np.float32, 0.0, 1.0)
    assert np.abs(followed(frames).displacement).max() > 0.2


@pytest.mark.parametrize(
    ("frames", "kind"),
    [
        (BLOB, "float32"),
        (BLOB.astype(np.int16), "float32"),
        (BLOB.astype(np.float32) + 1e8, "float32"),
        (BLOB + 1e8, "float64"),
        ((BLOB + 2**30).astype(np.int32), "float64"),
        ((BLOB + 2**40).astype(np.int64), "float64"),
        (BLOB * 1e40, "float64"),
        (BLOB * 1e-45, "float64"),
        (np.zeros((2, 3, 3)), "float32"),
    ],
)
def test_the_type_that_is_computed_with(frames, kind):
    assert working_type(frames) == kind


@pytest.mark.parametrize(("scale", "offset"), [(1.0, 1e8), (1e60, 0.0), (1e-60, 0.0)])
def test_extreme_images_are_resampled_without_loss(scale, offset):
    down = np.zeros((3, 2, 32, 32), np.float32)
    down[1:, 0] = 3.0
    motion = Motion(GRID, 0, down, -down)
    frames = BLOB * scale + offset
    np.testing.assert_allclose(compensate(motion, frames)[1, :-3], frames[1, 3:], rtol=1e-12)
    np.testing.assert_allclose(propagate(motion, frames[0])[2, 3:], frames[0, :-3], rtol=1e-12)


@pytest.mark.parametrize("value", [2**24 + 1, 2**31 - 1])
def test_large_labels_survive(value):
    down = np.zeros((2, 2, 32, 32), np.float32)
    down[1, 0] = 3.0
    labels = np.zeros((32, 32), np.int32)
    labels[5, 8] = value
    carried = propagate(Motion(GRID, 0, down, -down), labels, nearest=True)
    assert (carried.dtype, carried[1, 8, 8]) == (np.int32, value)


def image(pixels, name):
    return Cine(pixels[None], GRID, name=name)


UNITS = [(1 / 255, 0.0), (40.0, -1000.0), (1.0, 5000.0), (1e-3, 1e8), (1e50, 0.0)]


@pytest.mark.parametrize(("scale", "offset"), UNITS)
def test_a_pair_of_two_units_is_followed_as_one_of_one_unit(scale, offset):
    options = {"model": None, "refine": QUICK, "device": "cpu"}
    same = register_pair(image(BLOB[0], "a"), image(BLOB[2], "b"), **options)
    other = register_pair(image(BLOB[0], "a"), image(BLOB[2] * scale + offset, "b"), **options)
    assert np.abs(same.displacement).max() > 0.5
    np.testing.assert_allclose(other.displacement, same.displacement, atol=2e-2)
    assert other.quality[1].error_before == pytest.approx(same.quality[1].error_before, rel=0.02)
    assert other.quality[1].error_after == pytest.approx(same.quality[1].error_after, abs=5e-3)


def test_pairs_of_two_units_are_told():
    one = pair_cine(image(BLOB[0], "a"), image(BLOB[2] * 1.2, "b"))
    assert (one.one_unit, one.notes) == (True, ())
    two = pair_cine(image(BLOB[0], "a"), image(BLOB[2] / 255, "b"))
    assert not two.one_unit
    assert any("'a' and 'b' lie in different ranges" in note for note in two.notes)
    np.testing.assert_allclose(two.frames[1], BLOB[2] / 255, rtol=1e-6)
