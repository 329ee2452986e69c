import numpy as np
import pytest

from DeepRegLogic.errors import InputError
from DeepRegLogic.synthetic import FIT, WIDE, Recipe, lemniscate_batch, lemniscate_sequence


def _centroid(image):
    rows, columns = np.indices(image.shape)
    return np.array([(rows * image).sum(), (columns * image).sum()]) / image.sum()


@pytest.mark.parametrize("recipe", ["FIT", "WIDE"])
def test_a_sequence_has_12_frames_of_covered_area(recipe):
    sequence = lemniscate_sequence(3, recipe)
    assert sequence.shape == (12, 64, 64)
    assert sequence.dtype == np.float32
    assert sequence.min() == 0
    assert sequence.max() == 1
    assert np.allclose(sequence * 9, np.rint(sequence * 9), atol=1e-5)
    assert 0.02 < np.mean((sequence > 0) & (sequence < 1)) < 0.2


def test_the_recipes_have_the_published_mean_intensities():
    assert lemniscate_batch(range(100), "FIT").mean() == pytest.approx(0.115, abs=0.012)
    assert lemniscate_batch(range(100), "WIDE").mean() == pytest.approx(0.138, abs=0.014)


def test_the_reference_is_a_centred_symmetric_lemniscate():
    image = lemniscate_sequence(5, WIDE)[0]
    assert np.abs(image - image[::-1]).mean() < 2e-3
    assert np.abs(image - image[:, ::-1]).mean() < 2e-3
    assert _centroid(image) == pytest.approx([31.5, 31.5], abs=0.05)
    # the two loops are open and the curve passes through the centre
    assert image[31:33, 31:33].min() == 1
    assert image[31].min() == 0
    assert np.count_nonzero(np.diff((image[31] > 0.5).astype(int))) == 6


def test_width_and_length_are_those_of_the_recipe():
    narrow = Recipe("narrow", (20.0, 20.0), (2.0, 2.0), (1.0, 1.0), 0.0, 0.0)
    image = lemniscate_sequence(0, narrow)[0]
    columns = image.max(axis=0) > 0.5
    rows = image.max(axis=1) > 0.5
    assert columns.sum() == pytest.approx(2 * (20 + 2), abs=1)
    # the height of the curve is a / sqrt(2) in all
    assert rows.sum() == pytest.approx(20 / np.sqrt(2) + 4, abs=1)


def test_scaling_changes_the_area_linearly_in_each_axis():
    halved = Recipe("halved", (20.0, 20.0), (2.0, 2.0), (0.5, 0.5), 0.0, 0.0)
    area = lemniscate_sequence(0, halved).sum(axis=(1, 2))
    expected = (1 - 0.5 * np.arange(12) / 11) ** 2
    assert area / area[0] == pytest.approx(expected, rel=0.03)


def test_translation_is_linear_in_time_and_rotation_keeps_the_area():
    moved = Recipe("moved", (14.0, 18.0), (1.5, 3.0), (1.0, 1.0), 1.0, 8.0)
    sequence = lemniscate_sequence(7, moved)
    path = np.array([_centroid(frame) for frame in sequence]) - 31.5
    assert np.abs(path - path[-1] * np.arange(12)[:, None] / 11).max() < 0.06
    assert np.abs(path[-1]).max() > 1
    area = sequence.sum(axis=(1, 2))
    assert area == pytest.approx(np.full(12, area[0]), rel=0.01)


def test_a_seed_gives_the_same_sequence_and_another_seed_another():
    assert np.array_equal(lemniscate_sequence(11), lemniscate_sequence(11, FIT))
    assert not np.array_equal(lemniscate_sequence(11), lemniscate_sequence(12))
    assert np.array_equal(lemniscate_batch([4, 2])[1], lemniscate_sequence(2))


@pytest.mark.parametrize("seed", [-1, 1.5, "3", None, True])
def test_a_bad_seed_is_refused(seed):
    with pytest.raises(InputError, match="seed"):
        lemniscate_sequence(seed)


def test_an_unknown_recipe_is_refused_with_the_known_names():
    with pytest.raises(InputError, match="FIT, WIDE"):
        lemniscate_sequence(0, "fit")
