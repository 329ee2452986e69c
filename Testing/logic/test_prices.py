"""Prices by their names, and those of images against numbers that were worked out by hand."""

from __future__ import annotations

import pytest
import torch

from DeepRegLogic import InputError
from DeepRegLogic.consistency import CONSISTENCIES, consistency
from DeepRegLogic.registration.presets import PRESETS, Refinement
from DeepRegLogic.registry import Registry
from DeepRegLogic.regularisers import REGULARISERS, regulariser
from DeepRegLogic.similarities import SIMILARITIES, lncc, local_correlation, mse, similarity

# -- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("registry", "names"),
    [
        (SIMILARITIES, ["lncc", "robust-lncc", "mse"]),
        (REGULARISERS, ["diffusion", "bending", "robust-bending", "elastic"]),
        (CONSISTENCIES, ["inverse", "gradicon"]),
        (PRESETS, ["fast", "standard", "best"]),
    ],
    ids=lambda value: value.what if isinstance(value, Registry) else "",
)
def test_a_registry_lists_what_there_is_in_the_order_of_its_making(registry, names):
    assert list(registry)[: len(names)] == names
    assert len(registry) == len(list(registry)) >= len(names)
    assert all(name in registry and registry.choose(name) is registry[name] for name in names)
    assert registry.get("nonsense") is None


def test_entries_have_titles_for_users():
    for registry in (SIMILARITIES, REGULARISERS, PRESETS):
        titles = [entry.title for entry in registry.values()]
        assert all(titles)
        assert len(set(titles)) == len(titles)


@pytest.mark.parametrize(
    ("registry", "name", "sentence"),
    [
        (
            SIMILARITIES,
            "nlcc",
            "There is no similarity 'nlcc'; there are lncc, robust-lncc, mse, ncc, mi, local-mi, mind. "
            "Did you mean 'ncc'?",
        ),
        (
            SIMILARITIES,
            "LNCC",
            "There is no similarity 'LNCC'; there are lncc, robust-lncc, mse, ncc, mi, local-mi, mind.",
        ),
        (REGULARISERS, "blending", "Did you mean 'bending'?"),
        (CONSISTENCIES, "gradcon", "There is no consistency 'gradcon'; there are inverse, gradicon. Did you mean"),
        (
            PRESETS,
            "bets",
            "There is no quality 'bets'; there are fast, standard, best. Did you mean 'best'?",
        ),
    ],
)
def test_an_unknown_name_is_one_sentence_that_lists_and_guesses(registry, name, sentence):
    with pytest.raises(InputError) as error:
        registry.choose(name)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)
    assert isinstance(error.value, ValueError)


def test_a_name_like_none_other_gets_no_guess():
    with pytest.raises(InputError, match=r"^There is no similarity 'xyz'; there are [^?]*\.$"):
        SIMILARITIES.choose("xyz")


def test_a_name_is_given_once():
    registry: Registry[int] = Registry("thing")
    assert registry.add("one", 1) == 1
    with pytest.raises(ValueError, match=r"^There is a thing 'one' already\.$"):
        registry.add("one", 2)
    assert dict(registry) == {"one": 1}
    registry.remove("one")
    assert registry.add("one", 2) == 2
    with pytest.raises(KeyError):
        registry["two"]
    with pytest.raises(KeyError):
        registry.remove("two")


def test_a_decorated_function_is_an_entry_and_stays_a_function():
    @similarity("largest", "Largest difference")
    def largest(moved, fixed, window=9, floor=0.0):
        return (moved - fixed).abs().max()

    @regulariser("length", "Length")
    def length(field, spacing=None):
        return field.square().mean()

    @consistency("sum")
    def together(displacement, inverse):
        return (displacement + inverse).square().mean()

    try:
        a = torch.arange(4.0).view(1, 1, 2, 2)
        assert SIMILARITIES["largest"](a, 3 * a) == largest(a, 3 * a) == 6
        assert REGULARISERS["length"](2 + 0 * a) == length(2 + 0 * a) == 4
        assert CONSISTENCIES["sum"](a, -a) == together(a, -a) == 0
        assert Refinement(similarity="largest", regulariser="length").similarity == "largest"
        with pytest.raises(ValueError, match="There is a similarity 'mse' already"):
            similarity("mse", "Another")(largest)
        assert SIMILARITIES["mse"].measure is mse
    finally:
        SIMILARITIES.remove("largest")
        REGULARISERS.remove("length")
        CONSISTENCIES.remove("sum")
    with pytest.raises(InputError, match="There is no similarity 'largest'"):
        Refinement(similarity="largest")


# -- images ------------------------------------------------------------------------------------------------------------


def texture(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(1, 1, *shape, generator=torch.Generator().manual_seed(seed))


SHAPES = pytest.mark.parametrize("shape", [(24, 30), (10, 14, 12)], ids=["plane", "volume"])


def test_a_squared_difference_is_in_units_of_the_variance():
    """A chessboard of 0 and 1 has the variance 1 / 4, and half a step squared is as much."""
    board = (torch.arange(10).view(10, 1) + torch.arange(10)).remainder(2).float()[None, None]
    assert float(mse(board + 0.5, board)) == pytest.approx(0.25)
    assert float(SIMILARITIES["mse"](board + 0.5, board)) == pytest.approx(1, rel=1e-5)
    assert float(SIMILARITIES["mse"](1 - board, board)) == pytest.approx(4, rel=1e-5)
    assert float(SIMILARITIES["mse"](board, board)) == 0


@SHAPES
@pytest.mark.parametrize(("gain", "offset"), [(1000.0, 0.0), (0.7, 0.0), (40.0, -1000.0), (-1.0, 1.0)])
@pytest.mark.parametrize("name", ["mse", "lncc"])
def test_a_similarity_does_not_depend_on_the_unit_of_intensity(shape, gain, offset, name):
    moved, fixed = texture(*shape), 0.5 * texture(*shape) + 0.5 * texture(*shape, seed=1)
    entry = SIMILARITIES[name]
    expected = float(entry(moved, fixed))
    assert expected > 0.05
    assert float(entry(gain * moved + offset, gain * fixed + offset)) == pytest.approx(expected, rel=2e-3)
    if name == "mse":
        assert entry.squared_intensity
        assert float(mse(gain * moved, gain * fixed)) == pytest.approx(gain**2 * float(mse(moved, fixed)), rel=1e-4)


@SHAPES
def test_lncc_fades_where_the_contrast_comes_near_the_floor(shape):
    """A hundredth of the contrast: variances of about 1e-5 each, whose product is far below the floor."""
    a = texture(*shape)
    assert float(lncc(0.01 * a, 0.01 * a)) > 0.99
    assert float(lncc(0.01 * a, 0.01 * a, floor=0.0)) == pytest.approx(0, abs=1e-3)


@SHAPES
@pytest.mark.parametrize(("gain", "offset"), [(2.0, 0.0), (0.3, 5.0), (-1.0, 1.0), (30.0, -7.0)])
@pytest.mark.parametrize("window", [9, 3])
def test_lncc_takes_no_notice_of_the_brightness_and_the_contrast_of_either_image(shape, gain, offset, window):
    a, b = texture(*shape), 0.5 * texture(*shape) + 0.5 * texture(*shape, seed=1)
    assert float(lncc(gain * a + offset, a, window)) == pytest.approx(0, abs=1e-3)
    for other in (lncc(gain * a + offset, b, window), lncc(a, gain * b + offset, window)):
        assert float(other) == pytest.approx(float(lncc(a, b, window)), abs=1e-3)


@pytest.mark.parametrize("window", [3, (3, 3)])
def test_of_two_parts_of_equal_variance_one_makes_half_of_a_squared_correlation(window):
    """In a window of 3 x 3 a slope along rows and one along columns are uncorrelated, and vary as much."""
    rows, columns = (ramp[None, None].float() for ramp in torch.meshgrid(*[torch.arange(3)] * 2, indexing="ij"))
    middle = (0, 0, 1, 1)
    assert float(local_correlation(rows, columns, window)[middle]) == pytest.approx(0, abs=1e-6)
    assert float(local_correlation(rows, rows + columns, window)[middle]) == pytest.approx(0.5, abs=1e-6)
    assert float(local_correlation(rows, 2 * rows - columns, window)[middle]) == pytest.approx(0.8, abs=1e-6)
    # with a floor as large as the product of the variances, (6 / 9)^2, half is left
    assert float(local_correlation(rows, rows, window, floor=4 / 9)[middle]) == pytest.approx(0.5, abs=1e-6)


@SHAPES
@pytest.mark.parametrize("name", ["mse", "lncc", "robust-lncc"])
@pytest.mark.parametrize("kind", ["texture", "equal", "flat"])
def test_gradients_of_similarities_are_finite(shape, name, kind):
    fixed = texture(*shape)
    moved = {"texture": texture(*shape, seed=1), "equal": fixed.clone(), "flat": torch.full_like(fixed, 0.5)}[kind]
    for other in (fixed, torch.full_like(fixed, 0.25)):
        leaf = moved.clone().requires_grad_()
        SIMILARITIES[name](leaf, other).backward()
        assert leaf.grad.isfinite().all()
