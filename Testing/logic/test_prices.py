"""Prices of images, fields and pairs of fields against numbers that were worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from made_fields import smooth_field

from DeepRegLogic import InputError, flow
from DeepRegLogic.consistency import (
    CONSISTENCIES,
    consistency,
    gradicon,
    inverse_consistency,
    inverse_consistency_error,
)
from DeepRegLogic.registration.presets import PRESETS, Refinement
from DeepRegLogic.registry import Registry
from DeepRegLogic.regularisers import REGULARISERS, bending, diffusion, elastic, regulariser
from DeepRegLogic.similarities import SIMILARITIES, lncc, local_correlation, mse, similarity

# -- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("registry", "names"),
    [
        (SIMILARITIES, ["lncc", "mse"]),
        (REGULARISERS, ["diffusion", "bending", "elastic"]),
        (CONSISTENCIES, ["inverse", "gradicon"]),
        (PRESETS, ["fast", "standard", "thorough"]),
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
        (SIMILARITIES, "nlcc", "There is no similarity 'nlcc'; there are lncc, mse. Did you mean 'lncc'?"),
        (SIMILARITIES, "LNCC", "There is no similarity 'LNCC'; there are lncc, mse."),
        (REGULARISERS, "blending", "Did you mean 'bending'?"),
        (CONSISTENCIES, "gradcon", "There is no consistency 'gradcon'; there are inverse, gradicon. Did you mean"),
        (
            PRESETS,
            "through",
            "There is no quality 'through'; there are fast, standard, thorough. Did you mean 'thorough'?",
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
    """A chessboard of 0 and 1 with 100 fields has the variance 25 / 99, and half a step squared is 1 / 4."""
    board = (torch.arange(10).view(10, 1) + torch.arange(10)).remainder(2).float()[None, None]
    assert float(mse(board + 0.5, board)) == pytest.approx(0.25)
    assert float(SIMILARITIES["mse"](board + 0.5, board)) == pytest.approx(0.25 / (25 / 99), rel=1e-5)
    assert float(SIMILARITIES["mse"](1 - board, board)) == pytest.approx(1 / (25 / 99), rel=1e-5)
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
@pytest.mark.parametrize("name", ["mse", "lncc"])
@pytest.mark.parametrize("kind", ["texture", "equal", "flat"])
def test_gradients_of_similarities_are_finite(shape, name, kind):
    fixed = texture(*shape)
    moved = {"texture": texture(*shape, seed=1), "equal": fixed.clone(), "flat": torch.full_like(fixed, 0.5)}[kind]
    for other in (fixed, torch.full_like(fixed, 0.25)):
        leaf = moved.clone().requires_grad_()
        SIMILARITIES[name](leaf, other).backward()
        assert leaf.grad.isfinite().all()


# -- fields ------------------------------------------------------------------------------------------------------------

ISOTROPIC = {2: (1.0, 1.0), 3: (1.0, 1.0, 1.0)}
FLAT = {2: (3.0, 2.0), 3: (8.0, 1.25, 2.0)}  # shortest: 2 and 1.25
NUMBERS = {2: [(9, 11), (4, 30)], 3: [(5, 7, 6), (3, 12, 4)]}


@pytest.fixture(params=[2, 3], ids=["plane", "volume"])
def ndim(request) -> int:
    return request.param


@pytest.fixture(params=[ISOTROPIC, FLAT], ids=["cubes", "flat"])
def spacing(request, ndim) -> tuple[float, ...]:
    return request.param[ndim]


def sampled(
    motion: Callable[..., list], shape: tuple[int, ...], spacing: tuple[float, ...], start: float = -2.0
) -> torch.Tensor:
    """A motion in mm of places in mm, as a field ``[1, ndim, *shape]`` in voxels; exact, to a dozen digits."""
    axes = [start + step * torch.arange(n, dtype=torch.float64) for n, step in zip(shape, spacing, strict=True)]
    places = torch.meshgrid(*axes, indexing="ij")
    moved = [torch.as_tensor(part, dtype=torch.float64).expand(shape) for part in motion(*places)]
    return torch.stack([part / step for part, step in zip(moved, spacing, strict=True)])[None]


def linear(matrix: list[list[float]]) -> Callable[..., list]:
    """The motion ``matrix @ x``."""
    return lambda *x: [sum(entry * place for entry, place in zip(row, x, strict=True)) for row in matrix]


def matrix(ndim: int, **entries: float) -> list[list[float]]:
    """A matrix with these entries (``_01`` in row 0, column 1), else zero."""
    rows = [[0.0] * ndim for _ in range(ndim)]
    for name, value in entries.items():
        rows[int(name[1])][int(name[2])] = value
    return rows


def alone(form: Callable[..., torch.Tensor], component: int) -> Callable[..., list]:
    """The motion of which one component has this form, and the others are zero."""
    return lambda *x: [form(*x) if c == component else 0.0 for c in range(len(x))]


def shares(spacing: tuple[float, ...]) -> list[float]:
    """Squared shortest spacing over that of every axis: a component counts in voxels of its own axis."""
    return [(min(spacing) / step) ** 2 for step in spacing]


def test_a_shift_costs_nothing(ndim, spacing):
    for shape in NUMBERS[ndim]:
        shift = sampled(lambda *x: [3.0, -2.0, 0.5][: len(x)], shape, spacing)
        for name, price in REGULARISERS.items():
            assert float(price(shift, spacing)) == 0, name


def test_the_velocity_of_a_turn_has_no_strain_and_no_bending(ndim, spacing):
    """A skew matrix: 0.2 from axis 0 to axis 1, and in a volume 0.3 and -0.1 from them to axis 2."""
    skew = matrix(ndim, _01=-0.2, _10=0.2)
    if ndim == 3:
        skew = matrix(ndim, _01=-0.2, _10=0.2, _02=-0.3, _20=0.3, _12=0.1, _21=-0.1)
    rows = {2: [0.04, 0.04], 3: [0.13, 0.05, 0.10]}[ndim]  # squared entries of every row
    for shape in NUMBERS[ndim]:
        field = sampled(linear(skew), shape, spacing)
        assert float(elastic(field, spacing)) == pytest.approx(0, abs=1e-20)
        assert float(bending(field, spacing)) == pytest.approx(0, abs=1e-20)
        expected = sum(row * share for row, share in zip(rows, shares(spacing), strict=True)) / ndim**2
        assert float(diffusion(field, spacing)) == pytest.approx(expected)


def test_a_turn_by_sixty_degrees_does_not_bend(ndim, spacing):
    """``R - I`` has the rows (-1/2, -s) and (s, -1/2), each of the squared length 1/4 + 3/4 = 1."""
    half, sine = 0.5, math.sqrt(0.75)
    turn = matrix(ndim, _00=half - 1, _01=-sine, _10=sine, _11=half - 1)
    for shape in NUMBERS[ndim]:
        field = sampled(linear(turn), shape, spacing)
        assert float(bending(field, spacing)) == pytest.approx(0, abs=1e-20)
        expected = (shares(spacing)[0] + shares(spacing)[1]) / ndim**2
        assert float(diffusion(field, spacing)) == pytest.approx(expected)
        if spacing == ISOTROPIC[ndim]:
            assert float(diffusion(field)) == pytest.approx({2: 0.5, 3: 2 / 9}[ndim])
        # as a displacement it is no velocity: two strains of -1/2 and the trace -1 have 1/2 + 1/2
        assert float(elastic(field, spacing)) == pytest.approx(1 / ndim**2)


@pytest.mark.parametrize(
    ("entries", "strain_and_trace"),
    [
        ({"_01": 0.2}, (0.02, 0.0)),  # a shear: two strains of 0.1
        ({"_10": 0.2}, (0.02, 0.0)),
        ({"_01": 0.2, "_10": 0.2}, (0.08, 0.0)),  # a pure shear: two strains of 0.2
        ({"_00": 0.2}, (0.04, 0.04)),  # a stretch, whose trace is 0.2
        ({"_00": 0.2, "_11": -0.2}, (0.08, 0.0)),  # one that keeps the volume
        ({"_00": 0.2, "_11": 0.2}, (0.08, 0.16)),  # one in two directions
    ],
)
@pytest.mark.parametrize("dilation", [0.0, 0.5, 3.0])
def test_the_elastic_energy_is_that_of_strain_and_trace(ndim, spacing, entries, strain_and_trace, dilation):
    strain, trace = strain_and_trace
    expected = (strain + dilation * trace) / ndim**2
    for shape in NUMBERS[ndim]:
        field = sampled(linear(matrix(ndim, **entries)), shape, spacing)
        assert float(elastic(field, spacing, dilation)) == pytest.approx(expected)
        assert float(bending(field, spacing)) == pytest.approx(0, abs=1e-20)
        if dilation == 0.5:
            assert float(REGULARISERS["elastic"](field, spacing)) == pytest.approx(expected)


def test_shears_through_the_planes_of_a_stack_cost_as_much_as_in_them():
    for entry in ("_01", "_10", "_02", "_20", "_12", "_21"):
        field = sampled(linear(matrix(3, **{entry: 0.2})), (5, 7, 6), FLAT[3])
        assert float(elastic(field, FLAT[3])) == pytest.approx(0.02 / 9)


def test_bending_is_the_mean_square_of_all_second_derivatives(ndim, spacing):
    """Every pair of axes has one of its own, so that none can stand in for another."""

    def form(*x: torch.Tensor) -> torch.Tensor:
        # second derivatives: 2 along axis 0, 4 along axis 1, 3 mixed (twice)
        part = x[0] ** 2 + 2 * x[1] ** 2 + 3 * x[0] * x[1]
        if ndim == 3:  # and 10 along axis 2, 0.5 and 7 mixed with it
            part = part + 5 * x[2] ** 2 + 0.5 * x[0] * x[2] + 7 * x[1] * x[2]
        return part

    squares = {2: 4 + 16 + 2 * 9, 3: 4 + 16 + 100 + 2 * (9 + 0.25 + 49)}[ndim]
    for component in range(ndim):
        # of voxels of this component's axis, per squared shortest spacing
        unit = min(spacing) ** 2 / spacing[component]
        for shape in NUMBERS[ndim]:
            found = float(bending(sampled(alone(form, component), shape, spacing), spacing))
            assert found == pytest.approx(squares * unit**2 / (ndim * ndim**2))


def test_one_mixed_derivative_counts_twice_and_one_along_an_axis_once():
    assert float(bending(sampled(lambda y, x: [y * x, 0.0], (6, 5), (1.0, 1.0)))) == pytest.approx(2 / 8)
    assert float(bending(sampled(lambda y, x: [0.0, x * x / 2], (6, 5), (1.0, 1.0)))) == pytest.approx(1 / 8)
    assert float(bending(sampled(lambda z, y, x: [0.0, 0.0, z * x], (3, 6, 5), ISOTROPIC[3]))) == pytest.approx(2 / 27)


def test_diffusion_is_the_mean_square_of_all_first_derivatives(ndim, spacing):
    slopes = [[0.1, -0.2, 0.3], [0.4, 0.5, -0.6], [0.7, 0.8, 0.9]]
    slopes = [row[:ndim] for row in slopes[:ndim]]
    rows = {2: [0.05, 0.41], 3: [0.14, 0.77, 1.94]}[ndim]  # squared entries of every row
    expected = sum(row * share for row, share in zip(rows, shares(spacing), strict=True)) / ndim**2
    for shape in NUMBERS[ndim]:
        assert float(diffusion(sampled(linear(slopes), shape, spacing), spacing)) == pytest.approx(expected)


def waves(*x: torch.Tensor) -> list:
    """A smooth motion that is another one along every axis, with the same component for all."""
    phase = sum(place * rate for place, rate in zip(x, (0.05, 0.09, 0.07), strict=False))
    return [torch.sin(phase + shift) for shift in range(len(x))]


@pytest.mark.parametrize("name", REGULARISERS)
def test_without_a_spacing_voxels_are_cubes_and_the_unit_of_a_spacing_does_not_matter(ndim, name):
    field = sampled(waves, NUMBERS[ndim][0], FLAT[ndim])
    price = REGULARISERS[name]
    cubes = float(price(field))
    assert cubes > 0
    for edge in (0.5, 1.0, 20.0):
        assert float(price(field, (edge,) * ndim)) == pytest.approx(cubes)
    in_metres = tuple(step / 1000 for step in FLAT[ndim])
    assert float(price(field, in_metres)) == pytest.approx(float(price(field, FLAT[ndim])))


@pytest.mark.parametrize(("name", "order"), [("diffusion", 0), ("elastic", 0), ("bending", 1)])
def test_one_motion_on_voxels_of_half_the_size_costs_as_much_per_length(ndim, name, order):
    """All slopes are the same; what bends, bends half as much within half the length, to the square."""
    coarse, fine = FLAT[ndim], tuple(step / 2 for step in FLAT[ndim])
    shape = {2: (20, 24), 3: (8, 12, 14)}[ndim]
    finer = tuple(2 * n for n in shape)
    price = REGULARISERS[name]
    per_length = float(price(sampled(waves, finer, fine), fine)) * 4**order
    assert per_length == pytest.approx(float(price(sampled(waves, shape, coarse), coarse)), rel=0.1)


@pytest.mark.parametrize("name", REGULARISERS)
def test_one_motion_on_thinner_slices_costs_as_much_once_its_components_are_in_one_unit(ndim, name):
    """The shortest spacing stays, so slopes do: what changes is the unit of the component along the slices' axis."""

    def form(*x: torch.Tensor) -> torch.Tensor:
        # its derivatives are the same everywhere, those that the price looks at
        return 0.02 * x[0] * x[1] + 0.01 * x[-1] ** 2 if name == "bending" else 0.3 * x[0] - 0.2 * x[1]

    for component in range(ndim):
        found = []
        for thickness in (8.0, 4.0, 2.0):
            spacing = (thickness, *[1.25] * (ndim - 1))
            shape = (int(32 / thickness) + 1, *[13] * (ndim - 1))
            unit = 1.0 if name == "elastic" or component > 0 else (thickness / 1.25) ** 2
            price = float(REGULARISERS[name](sampled(alone(form, component), shape, spacing), spacing))
            found.append(unit * price)
        assert found[0] > 0
        assert found[1:] == pytest.approx(found[:1] * 2)


@pytest.mark.parametrize("name", REGULARISERS)
def test_the_price_of_several_fields_is_their_mean(ndim, name):
    fields = smooth_field({2: (20, 24), 3: (12, 10, 14)}[ndim], 2.0, 2.0, count=3, border=False)
    price = REGULARISERS[name]
    each = [float(price(field[None], FLAT[ndim])) for field in fields]
    assert float(price(fields, FLAT[ndim])) == pytest.approx(sum(each) / 3, rel=1e-5)


@pytest.mark.parametrize("name", REGULARISERS)
def test_prices_are_squares_and_have_no_direction(ndim, name):
    field = smooth_field({2: (20, 24), 3: (12, 10, 14)}[ndim], 2.0, 2.0, border=False).double()
    price = float(REGULARISERS[name](field, FLAT[ndim]))
    assert price > 0
    assert float(REGULARISERS[name](-3 * field, FLAT[ndim])) == pytest.approx(9 * price)
    # mirrored along the first axis, with the component that goes along it
    mirrored = field.flip(2)
    mirrored = torch.cat([-mirrored[:, :1], mirrored[:, 1:]], dim=1)
    assert float(REGULARISERS[name](mirrored, FLAT[ndim])) == pytest.approx(price)


@pytest.mark.parametrize("shape", [(1, 6), (6, 1), (1, 6, 7), (6, 7, 1), (2, 5, 6), (2, 2)])
@pytest.mark.parametrize("name", REGULARISERS)
def test_an_axis_of_one_or_two_voxels_does_not_spoil_a_price(shape, name):
    generator = torch.Generator().manual_seed(0)
    field = torch.randn(1, len(shape), *shape, generator=generator).requires_grad_()
    value = REGULARISERS[name](field, FLAT[len(shape)])
    value.backward()
    assert bool(value.isfinite())
    assert field.grad.isfinite().all()


def test_an_axis_of_one_voxel_has_no_slope():
    """A shear, a stretch and a bend along the one axis that is left; the other's derivatives count as zero."""
    shear = sampled(lambda y, x: [0.2 * x, 0.3 * x], (1, 9), (1.0, 1.0))
    assert float(diffusion(shear)) == pytest.approx((0.04 + 0.09) / 4)
    assert float(elastic(shear)) == pytest.approx((0.02 + 0.09 + 0.5 * 0.09) / 4)
    bend = sampled(lambda y, x: [0.5 * x * x, 0.0], (1, 9), (1.0, 1.0))
    assert float(bending(bend)) == pytest.approx(1 / 8)
    assert [float(price(torch.ones(1, 2, 1, 1))) for price in REGULARISERS.values()] == [0] * len(REGULARISERS)


@pytest.mark.parametrize("name", REGULARISERS)
@pytest.mark.parametrize("amplitude", [0.0, 1e-12, 1.0, 1e6])
def test_gradients_of_regularisers_are_finite(ndim, name, amplitude):
    shape = {2: (20, 24), 3: (12, 10, 14)}[ndim]
    field = (amplitude * smooth_field(shape, 1.0, 2.0, border=False)).requires_grad_()
    REGULARISERS[name](field, FLAT[ndim]).backward()
    assert field.grad.isfinite().all()
    assert bool(field.grad.any()) == (amplitude > 0)


# -- pairs of fields ---------------------------------------------------------------------------------------------------


def constant(vector: list[float], count: int = 2) -> torch.Tensor:
    ndim = len(vector)
    shape = {2: (7, 9), 3: (5, 7, 6)}[ndim]
    return torch.tensor(vector).view(1, ndim, *[1] * ndim).expand(count, ndim, *shape).contiguous()


@pytest.mark.parametrize("vector", [[1.5, -2.25], [0.5, 3.0, -1.25], [0.0, 0.0]])
def test_opposite_shifts_belong_together(vector):
    shift = constant(vector)
    for name, price in CONSISTENCIES.items():
        assert float(price(shift, -shift)) == pytest.approx(0, abs=1e-12), name
    assert inverse_consistency_error(shift, -shift).max() < 1e-6


@pytest.mark.parametrize(
    ("vector", "left", "length"), [([1.5, -2.0], [0.3, 0.4], 0.5), ([1.0, 0.0, 2.0], [2.0, 1.0, 2.0], 3.0)]
)
def test_what_is_left_of_a_shift_is_priced_by_its_square_and_gradicon_is_blind_to_it(vector, left, length):
    shift, back = constant(vector), constant([b - a for a, b in zip(vector, left, strict=True)])
    assert float(inverse_consistency(shift, back)) == pytest.approx(length**2, rel=1e-5)
    error = inverse_consistency_error(shift, back)
    assert error.shape == (2, *shift.shape[2:])
    torch.testing.assert_close(error, torch.full_like(error, length))
    assert float(gradicon(shift, back)) == pytest.approx(0, abs=1e-10)


def test_inverse_consistency_is_the_mean_of_both_ways_round():
    """A shift by one row down, with the row's number for an inverse, in three rows; outside, the border goes on.

    There and back leaves 1 + (1, 2, 2), squared 4 + 9 + 9; back and there leaves (0, 1, 2) + 1, squared 1 + 4 + 9.
    """
    rows = torch.arange(3.0).view(3, 1).expand(3, 3)
    shift = torch.stack([torch.ones(3, 3), torch.zeros(3, 3)])[None]
    numbers = torch.stack([rows, torch.zeros(3, 3)])[None]
    assert float(inverse_consistency(shift, numbers)) == pytest.approx((22 / 3 + 14 / 3) / 2, rel=1e-5)
    error = inverse_consistency_error(shift, numbers)[0]
    torch.testing.assert_close(error, (rows + 2).clamp(max=3))


@pytest.mark.parametrize(
    ("slopes", "squares"),
    [
        ([[0.1, 0.2], [-0.3, 0.05]], 0.01 + 0.04 + 0.09 + 0.0025),
        ([[0.1, 0.0, 0.2], [0.0, 0.3, 0.0], [0.0, 0.0, 0.0]], 0.01 + 0.04 + 0.09),
    ],
)
def test_gradicon_is_the_squared_gradient_of_what_is_left(slopes, squares):
    ndim = len(slopes)
    ramp = sampled(linear(slopes), {2: (7, 9), 3: (5, 7, 6)}[ndim], ISOTROPIC[ndim]).float()
    still = torch.zeros_like(ramp)
    assert float(gradicon(ramp, still)) == pytest.approx(squares, rel=1e-4)
    assert float(gradicon(still, ramp)) == pytest.approx(squares, rel=1e-4)
    assert float(gradicon(ramp + 5.0, still)) == pytest.approx(squares, rel=1e-4)


@pytest.mark.parametrize("shape", [(40, 44), (20, 22, 24)])
@pytest.mark.parametrize("name", CONSISTENCIES)
def test_a_flow_and_its_reverse_belong_together_better_than_two_of_one_direction(shape, name):
    velocity = smooth_field(shape, 2.0, 5.0)
    price = CONSISTENCIES[name]
    there, back = flow.exp(velocity), flow.exp(-velocity)
    assert 0 <= float(price(there, back)) < 0.01 * float(price(there, there))


@pytest.mark.parametrize("name", CONSISTENCIES)
@pytest.mark.parametrize("amplitude", [0.0, 2.0])
def test_gradients_of_consistencies_are_finite_and_lead_downhill(name, amplitude):
    there = (amplitude * smooth_field((24, 28), 1.0, 4.0)).requires_grad_()
    back = (0.1 * smooth_field((24, 28), 1.0, 4.0, seed=1)).requires_grad_()
    price = CONSISTENCIES[name]
    before = price(there, back)
    before.backward()
    before = before.detach()
    assert there.grad.isfinite().all()
    assert back.grad.isfinite().all()
    length = torch.sqrt(there.grad.square().sum() + back.grad.square().sum())
    with torch.no_grad():
        after = price(there - 0.01 * there.grad / length, back - 0.01 * back.grad / length)
    assert float(after) < float(before)
