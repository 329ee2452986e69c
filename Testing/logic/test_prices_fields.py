"""Prices of fields and of pairs of fields against numbers that were worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from made_fields import smooth_field

from DeepRegLogic import flow
from DeepRegLogic.consistency import CONSISTENCIES, gradicon, inverse_consistency, inverse_consistency_error
from DeepRegLogic.regularisers import REGULARISERS, bending, diffusion, elastic, robust_bending

SHIFTED = "lddmm"  # whose operator prices the motion itself, and by fourth derivatives
VOLUMES = ("hyperelastic", "folding")  # which price an expansion and a contraction differently
STRETCHED = tuple(name for name in REGULARISERS if name not in (SHIFTED, "folding"))
"""Those that price the derivatives of any motion, whether it folds or not."""

# -- fields ------------------------------------------------------------------------------------------------------------

ISOTROPIC = {2: (1.0, 1.0), 3: (1.0, 1.0, 1.0)}
FLAT = {2: (3.0, 2.0), 3: (8.0, 1.25, 2.0)}  # shortest: 2 and 1.25
NUMBERS = {2: [(9, 11), (4, 30)], 3: [(5, 7, 6), (3, 12, 4)]}


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


def test_a_shift_costs_nothing(ndim, spacing):
    for shape in NUMBERS[ndim]:
        shift = sampled(lambda *x: [3.0, -2.0, 0.5][: len(x)], shape, spacing)
        for name, price in ((name, REGULARISERS[name]) for name in REGULARISERS if name != SHIFTED):
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
        assert float(robust_bending(field, spacing)) == pytest.approx(0, abs=1e-20)
        assert float(diffusion(field, spacing)) == pytest.approx(sum(rows) / ndim**2)


def test_a_turn_by_sixty_degrees_does_not_bend(ndim, spacing):
    """``R - I`` has the rows (-1/2, -s) and (s, -1/2), each of the squared length 1/4 + 3/4 = 1."""
    half, sine = 0.5, math.sqrt(0.75)
    turn = matrix(ndim, _00=half - 1, _01=-sine, _10=sine, _11=half - 1)
    for shape in NUMBERS[ndim]:
        field = sampled(linear(turn), shape, spacing)
        assert float(bending(field, spacing)) == pytest.approx(0, abs=1e-20)
        assert float(robust_bending(field, spacing)) == pytest.approx(0, abs=1e-20)
        assert float(diffusion(field, spacing)) == pytest.approx(2 / ndim**2)
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
        assert float(robust_bending(field, spacing)) == pytest.approx(0, abs=1e-20)
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
        for shape in NUMBERS[ndim]:
            found = float(bending(sampled(alone(form, component), shape, spacing), spacing))
            assert found == pytest.approx(squares / (ndim * ndim**2))


def test_one_mixed_derivative_counts_twice_and_one_along_an_axis_once():
    assert float(bending(sampled(lambda y, x: [y * x, 0.0], (6, 5), (1.0, 1.0)))) == pytest.approx(2 / 8)
    assert float(bending(sampled(lambda y, x: [0.0, x * x / 2], (6, 5), (1.0, 1.0)))) == pytest.approx(1 / 8)
    assert float(bending(sampled(lambda z, y, x: [0.0, 0.0, z * x], (3, 6, 5), ISOTROPIC[3]))) == pytest.approx(2 / 27)


def test_diffusion_is_the_mean_square_of_all_first_derivatives(ndim, spacing):
    slopes = [[0.1, -0.2, 0.3], [0.4, 0.5, -0.6], [0.7, 0.8, 0.9]]
    slopes = [row[:ndim] for row in slopes[:ndim]]
    rows = {2: [0.05, 0.41], 3: [0.14, 0.77, 1.94]}[ndim]  # squared entries of every row
    for shape in NUMBERS[ndim]:
        found = float(diffusion(sampled(linear(slopes), shape, spacing), spacing))
        assert found == pytest.approx(sum(rows) / ndim**2)


def waves(*x: torch.Tensor) -> list:
    """A smooth motion that is another one along every axis, with the same component for all."""
    phase = sum(place * rate for place, rate in zip(x, (0.05, 0.09, 0.07), strict=False))
    return [torch.sin(phase + shift) for shift in range(len(x))]


SQUARES = ["diffusion", "bending", "elastic"]
UNIT = {"diffusion": 0, "elastic": 0, "bending": -2}  # of a price: this power of a length


@pytest.mark.parametrize("name", SQUARES)
def test_slopes_have_no_unit_and_what_bends_is_per_length(ndim, name):
    """Without a spacing voxels are the lengths."""
    field = sampled(waves, NUMBERS[ndim][0], FLAT[ndim])
    price = REGULARISERS[name]
    cubes = float(price(field))
    assert cubes > 0
    for edge in (0.5, 1.0, 20.0):
        assert float(price(field, (edge,) * ndim)) == pytest.approx(cubes * edge ** UNIT[name])
    in_metres = tuple(step / 1000 for step in FLAT[ndim])
    expected = float(price(field, FLAT[ndim])) * 1000 ** -UNIT[name]
    assert float(price(field, in_metres)) == pytest.approx(expected)


def test_the_threshold_of_robust_bending_has_the_unit_of_a_curvature(ndim):
    field = sampled(waves, NUMBERS[ndim][0], FLAT[ndim])
    found = float(robust_bending(field, FLAT[ndim], 0.003))
    in_metres = tuple(step / 1000 for step in FLAT[ndim])
    assert float(robust_bending(field, in_metres, 3.0)) == pytest.approx(1e6 * found)
    assert float(robust_bending(field)) == pytest.approx(float(robust_bending(field, (1.0,) * ndim)))


@pytest.mark.parametrize("name", STRETCHED)
@pytest.mark.parametrize("fine", [(0.5, 0.5, 0.5), (1.0, 0.5, 0.25)], ids=["finer", "flatter"])
def test_one_motion_costs_as_much_on_coarse_and_on_fine_grids(ndim, name, fine):
    """A bump in the middle, which borders do not touch, in lengths; of a refinement, the lengths are image voxels."""

    def bump(*x: torch.Tensor) -> list:
        height = torch.exp(-0.5 * sum(((place - 20) / 5) ** 2 for place in x))
        return [factor * height for factor in (1.5, -0.7, 0.4)][: len(x)]

    found = []
    for spacing in fine[-ndim:], (1.0,) * ndim:
        shape = tuple(round(40 / edge) + 1 for edge in spacing)
        found.append(float(REGULARISERS[name](sampled(bump, shape, spacing, start=0.0), spacing)))
    assert found[1] > 1e-6
    assert found[0] == pytest.approx(found[1], rel=0.05)


@pytest.mark.parametrize("name", SQUARES)
def test_one_motion_on_voxels_of_half_the_size_costs_as_much(ndim, name):
    coarse, fine = FLAT[ndim], tuple(step / 2 for step in FLAT[ndim])
    shape = {2: (20, 24), 3: (8, 12, 14)}[ndim]
    finer = tuple(2 * n for n in shape)
    price = REGULARISERS[name]
    found = float(price(sampled(waves, finer, fine), fine))
    assert found == pytest.approx(float(price(sampled(waves, shape, coarse), coarse)), rel=0.1)


@pytest.mark.parametrize("name", SQUARES)
def test_one_motion_on_thinner_slices_costs_as_much(ndim, name):
    def form(*x: torch.Tensor) -> torch.Tensor:
        # its derivatives are the same everywhere, those that the price looks at
        return 0.02 * x[0] * x[1] + 0.01 * x[-1] ** 2 if name == "bending" else 0.3 * x[0] - 0.2 * x[1]

    for component in range(ndim):
        found = []
        for thickness in (8.0, 4.0, 2.0):
            spacing = (thickness, *[1.25] * (ndim - 1))
            shape = (int(32 / thickness) + 1, *[13] * (ndim - 1))
            found.append(float(REGULARISERS[name](sampled(alone(form, component), shape, spacing), spacing)))
        assert found[0] > 0
        assert found[1:] == pytest.approx(found[:1] * 2)


def test_robust_bending_is_bending_below_its_threshold_and_linear_above(ndim):
    """A bump whose borders are flat, so that the voxels where a difference is missing cost nothing in either."""
    shape = {2: (40, 44), 3: (24, 26, 28)}[ndim]
    bump = smooth_field(shape, 1.0, 2.0, border=True).double()
    small = [float(robust_bending(factor * bump, FLAT[ndim])) for factor in (1e-5, 2e-5)]
    assert small[1] == pytest.approx(4 * small[0], rel=1e-4)
    assert small[0] == pytest.approx(float(bending(1e-5 * bump, FLAT[ndim])), rel=0.15)  # of n, not of n - 2 voxels
    large = [float(robust_bending(factor * bump, FLAT[ndim])) for factor in (1e6, 2e6, 4e6)]
    assert large[1] == pytest.approx(2 * large[0], rel=1e-4)
    assert large[2] - large[1] == pytest.approx(2 * (large[1] - large[0]), rel=1e-4)
    for factor in (1e-4, 0.1, 1.0, 100.0):  # nowhere more than bending, of which it is a concave function
        every = math.prod(shape) / math.prod(n - 2 for n in shape)
        assert float(robust_bending(factor * bump, FLAT[ndim])) <= every * float(bending(factor * bump, FLAT[ndim]))


@pytest.mark.parametrize("threshold", [0.01, 0.5])
def test_robust_bending_of_a_parabola(ndim, threshold):
    """One second derivative is 0.4 in all voxels but the first and the last along its axis, all others are zero."""
    flat = FLAT[ndim]
    for shape in NUMBERS[ndim]:
        for axis in range(ndim):
            field = sampled(alone(lambda *x, a=axis: 0.2 * x[a] ** 2, 0), shape, flat)
            cost = 2 * threshold * (math.sqrt(0.4**2 + threshold**2) - threshold)
            expected = cost * (shape[axis] - 2) / shape[axis] / ndim**3
            assert float(robust_bending(field, flat, threshold)) == pytest.approx(expected)


def test_a_bend_along_a_line_is_cheaper_than_as_much_all_over_to_the_robust_price_alone():
    """A kink by 1 between two of 32 columns, or by a thirty-second at each: its square is 32 times as dear."""
    place = torch.arange(34.0, dtype=torch.float64).expand(6, 34)
    kink, bow = (place - 16).clamp(min=0), place**2 / 64
    fields = [torch.stack([form, torch.zeros_like(form)])[None] for form in (kink, bow)]
    assert float(bending(fields[0])) == pytest.approx(32 * float(bending(fields[1])))
    costs = [math.sqrt(turn**2 + 0.01**2) - 0.01 for turn in (1, 1 / 32)]
    assert float(robust_bending(fields[0])) == pytest.approx(0.02 * costs[0] / 34 / 8)
    assert float(robust_bending(fields[1])) == pytest.approx(0.02 * costs[1] * 32 / 34 / 8)
    assert float(robust_bending(fields[0])) < 1.5 * float(robust_bending(fields[1]))


@pytest.mark.parametrize("name", REGULARISERS)
def test_the_price_of_several_fields_is_their_mean(ndim, name):
    fields = smooth_field({2: (20, 24), 3: (12, 10, 14)}[ndim], 2.0, 2.0, count=3, border=False)
    price = REGULARISERS[name]
    each = [float(price(field[None], FLAT[ndim])) for field in fields]
    assert float(price(fields, FLAT[ndim])) == pytest.approx(sum(each) / 3, rel=1e-5)


@pytest.mark.parametrize("name", [name for name in REGULARISERS if name not in VOLUMES])
def test_prices_have_no_direction_and_all_but_the_robust_one_are_squares(ndim, name):
    field = smooth_field({2: (20, 24), 3: (12, 10, 14)}[ndim], 2.0, 2.0, border=False).double()
    price = float(REGULARISERS[name](field, FLAT[ndim]))
    assert price > 0
    assert float(REGULARISERS[name](-field, FLAT[ndim])) == pytest.approx(price)
    if name in SQUARES:
        assert float(REGULARISERS[name](-3 * field, FLAT[ndim])) == pytest.approx(9 * price)
    # mirrored along the first axis, with the component that goes along it
    mirrored = field.flip(2)
    mirrored = torch.cat([-mirrored[:, :1], mirrored[:, 1:]], dim=1)
    # the robust one takes forward differences of two axes and central ones of one for those of one voxel
    tolerance = 1e-6 if name in SQUARES else 1e-2
    assert float(REGULARISERS[name](mirrored, FLAT[ndim])) == pytest.approx(price, rel=tolerance)


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
    others = [name for name in REGULARISERS if name != SHIFTED]
    assert [float(REGULARISERS[name](torch.ones(1, 2, 1, 1))) for name in others] == [0] * len(others)


@pytest.mark.parametrize("name", REGULARISERS)
@pytest.mark.parametrize("amplitude", [0.0, 1e-12, 1.0, 1e6])
def test_gradients_of_regularisers_are_finite(ndim, name, amplitude):
    if name == "hyperelastic" and amplitude > 1:
        amplitude = 10.0  # a motion of a million voxels has volumes beyond numbers, and is no motion
    shape = {2: (20, 24), 3: (12, 10, 14)}[ndim]
    field = (amplitude * smooth_field(shape, 1.0, 2.0, border=False)).requires_grad_()
    price = REGULARISERS[name](field, FLAT[ndim])
    price.backward()
    assert field.grad.isfinite().all()
    assert bool(field.grad.any()) == (amplitude > 0 if name != "folding" else float(price.detach()) > 0)


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
