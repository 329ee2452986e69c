"""The energy of a refinement: its weights, its levels, and what is the same in long and short cines."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from made_fields import smooth_field

from DeepRegLogic import flow
from DeepRegLogic.errors import InputError
from DeepRegLogic.progress import Reporter
from DeepRegLogic.registration.presets import Refinement
from DeepRegLogic.registration.refine import FrameTimes, _Level, refine, usual_levels
from DeepRegLogic.regularisers import REGULARISERS, regulariser, temporal_bending
from DeepRegLogic.similarities import SIMILARITIES, similarity
from DeepRegLogic.transformations import StationaryVelocity

SHAPE = (20, 24)

pytestmark = pytest.mark.usefixtures("one_thread")


def texture(count: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 1, *SHAPE, generator=torch.Generator().manual_seed(seed))


def energy(
    settings: Refinement, velocity: torch.Tensor, times: FrameTimes | None = None, spacing=(1.0, 1.0), flat: bool = True
) -> float:
    """The energy of a velocity from zero, of images of which all are the same grey or each is another texture."""
    count = len(velocity)
    images = torch.full((count + 1, 1, *velocity.shape[2:]), 0.5) if flat else texture(count + 1)
    level = _Level(images[:1], images[1:], spacing, settings, times or FrameTimes(count))
    return level._backward(StationaryVelocity(torch.zeros_like(velocity)), velocity.clone().requires_grad_())


@pytest.mark.parametrize(
    ("side", "shrinks"),
    [
        (8, [1]),
        (32, [2, 1]),
        (64, [4, 2, 1]),
        (128, [8, 4, 2, 1]),
        (256, [8, 4, 2, 1]),
        (287, [8, 4, 2, 1]),
        (300, [16, 8, 4, 2]),
        (575, [16, 8, 4, 2]),
        (600, [32, 16, 8, 4]),
    ],
)
def test_levels_go_from_16_pixels_a_side_to_all_of_them_or_to_half_or_a_quarter_of_many(side, shrinks):
    assert usual_levels(side, 288) == (*((float(shrink), 60) for shrink in shrinks[:-1]), (float(shrinks[-1]), 25))
    assert side < 16 or side / usual_levels(side, 288)[0][0] >= 16


def test_volumes_stop_at_half_the_resolution_of_slices_of_80_pixels_a_side():
    assert [usual_levels(side, 80)[-1] for side in (79, 80, 159, 160)] == [(1, 25), (2, 25), (2, 25), (4, 25)]


@pytest.mark.parametrize("name", [name for name in REGULARISERS if name != "folding"])  # which this costs nothing
def test_smoothness_is_a_multiple_of_the_usual_weight_of_a_regulariser(name):
    velocity = smooth_field(SHAPE, 1.0, 3.0, count=2)
    entry = REGULARISERS[name]
    settings = Refinement("mse", regulariser=name, temporal=0.0)
    one, two = (energy(replace(settings, smoothness=weight), velocity) for weight in (1.0, 2.0))
    expected = entry.weight * 4 * float(entry(velocity, (1.0, 1.0)))  # the sum over two components and two axes
    assert expected > 0
    assert one == pytest.approx(expected, rel=1e-5)
    assert two == pytest.approx(2 * expected, rel=1e-5)


@pytest.mark.parametrize("name", SIMILARITIES)
def test_a_similarity_has_its_usual_weight(name):
    still = torch.zeros(3, 2, *SHAPE)
    images = texture(4)
    entry = SIMILARITIES[name]
    expected = entry.weight * float(entry(images[1:], images[:1], 7, 1e-5))
    assert (expected > 0) == (name not in ("mi", "local-mi"))  # minus an information
    assert energy(Refinement(name), still, flat=False) == pytest.approx(expected, rel=1e-5)


def test_usual_weights_are_those_that_go_together():
    assert {name: entry.weight for name, entry in SIMILARITIES.items()} == {
        "lncc": 15.0,
        "robust-lncc": 12.0,
        "mse": 15.0,
        "ncc": 15.0,
        "mi": 2.0,
        "local-mi": 4.0,
        "mind": 15.0,
    }
    assert {name: entry.weight for name, entry in REGULARISERS.items()} == {
        "diffusion": 3.0,
        "bending": 150.0,
        "robust-bending": 400.0,
        "elastic": 3.0,
        "hyperelastic": 1.0,
        "lddmm": 3.0,
        "folding": 100.0,
    }


def test_newcomers_have_the_weight_that_they_name_or_one():
    velocity = smooth_field(SHAPE, 1.0, 3.0)
    try:
        for name, more in (("plain", {}), ("heavy", {"weight": 7.0})):
            similarity(name, name, **more)(
                lambda moved, fixed, window=9, floor=0.0: (moved - fixed).square().mean() + 1
            )
            regulariser(name, name, **more)(lambda field, spacing=None: field.square().mean())
        price = 4 * float(velocity.square().mean())
        for name, weight in (("plain", 1.0), ("heavy", 7.0)):
            settings = Refinement(name, regulariser=name, smoothness=0.5, temporal=0.0)
            assert energy(settings, velocity) == pytest.approx(weight * (1 + 0.5 * price), rel=1e-5)
    finally:
        for registry in (SIMILARITIES, REGULARISERS):
            for name in ("plain", "heavy"):
                registry.remove(name)


def beating(frames: int) -> torch.Tensor:
    """A motion there and back, once in a cine of so many frames, of which the first is the reference."""
    amplitude = [math.sin(math.pi * t / frames) ** 2 for t in range(1, frames)]
    return torch.tensor(amplitude).view(-1, 1, 1, 1) * smooth_field(SHAPE, 3.0, 3.0)


def test_one_motion_costs_as_much_in_time_in_cines_of_few_and_of_many_frames():
    settings = Refinement("mse", smoothness=0.0, temporal=0.3)
    few, usual, many = (energy(settings, beating(n), FrameTimes(n - 1, cyclic=True)) for n in (10, 20, 40))
    field = smooth_field(SHAPE, 3.0, 3.0)
    # the mean square of the second derivative of (1 - cos 2 pi t) / 2, over 20 frames
    expected = 0.3 * float(field.square().sum(1).mean()) * (math.pi / 10) ** 4 / 8
    assert usual == pytest.approx(expected, rel=0.02)
    assert few == pytest.approx(usual, rel=0.05)
    assert many == pytest.approx(usual, rel=0.02)


def test_the_temporal_weight_of_a_cine_of_twenty_frames_is_that_of_a_second_difference():
    velocity = smooth_field(SHAPE, 1.0, 3.0, count=19)
    for times in (FrameTimes(19, 0, True), FrameTimes(19, 7, False)):
        expected = 0.02 * float(temporal_bending(times.with_reference(velocity), times.cyclic))
        settings = Refinement("mse", smoothness=0.0, temporal=0.02)
        assert energy(settings, velocity, times) == pytest.approx(expected, rel=1e-5)


@pytest.fixture
def reach(monkeypatch: pytest.MonkeyPatch) -> dict[str, list]:
    """The standard deviations that refinements ask for, in frames and in voxels of the level."""
    seen: dict[str, list] = {"frames": [], "voxels": []}
    in_time, in_space = FrameTimes.gaussian, flow.smooth

    def gaussian(times: FrameTimes, sigma: float) -> torch.Tensor:
        seen["frames"].append(sigma)
        return in_time(times, sigma)

    def smooth(values: torch.Tensor, sigma) -> torch.Tensor:
        if values.requires_grad:  # and is not an image that is made smaller
            seen["voxels"].append(sigma)
        return in_space(values, sigma)

    monkeypatch.setattr(FrameTimes, "gaussian", gaussian)
    monkeypatch.setattr(flow, "smooth", smooth)
    return seen


def refined(settings: Refinement, frames: int, shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
    images = torch.rand(frames, 1, *shape, generator=torch.Generator().manual_seed(0))
    start = StationaryVelocity(torch.zeros(frames - 1, len(shape), *shape))
    refine(images[:1], images[1:], start, settings, FrameTimes(frames - 1), spacing)


def test_the_gaussian_in_time_is_a_fraction_of_the_cine(reach):
    for frames in (10, 40):
        refined(Refinement("mse", sigma_time=0.1, levels=((1.0, 1),)), frames, (16, 16), (1.0, 1.0))
    assert reach["frames"] == pytest.approx([1.0, 4.0])


def test_the_gaussian_in_space_is_as_long_in_every_direction(reach):
    """In voxels of the level along the short axes, and fewer of the long ones."""
    refined(Refinement("mse", sigma=4.0, levels=((2.0, 1), (1.0, 1))), 3, (5, 33, 33), (8.0, 1.6, 1.6))
    evaluations = 2  # of a level of one step: before and after it
    assert [list(sigmas) for sigmas in reach["voxels"][::evaluations]] == [
        pytest.approx([4 * 3.2 / 8, 4, 4]),
        pytest.approx([4 * 1.6 / 8, 4, 4]),
    ]


def test_the_price_of_a_motion_is_in_voxels_of_the_image_at_every_level():
    """The same motion at half the resolution, where it is of half as many voxels."""
    settings = Refinement("mse", temporal=0.0)
    whole = smooth_field((41, 49), 2.0, 5.0)
    half = whole[..., ::2, ::2] / 2
    for name in (name for name in REGULARISERS if name != "lddmm"):  # which prices fourth derivatives
        named = replace(settings, regulariser=name)
        assert energy(named, half, spacing=(2.0, 2.0)) == pytest.approx(energy(named, whole), rel=0.15), name


def test_a_level_ends_where_fifteen_steps_gain_less_than_the_tolerance_of_its_start():
    steps: list[float] = []

    class Counting(Reporter):
        def __call__(self, part: float, text: str) -> None:
            steps.append(part)

    images = texture(3)
    for tolerance, fewest, most in ((10.0, 16, 16), (1e-9, 17, 41)):
        steps.clear()
        settings = Refinement("mse", levels=((1.0, 40),), tolerance=tolerance)
        level = _Level(images[:1], images[1:], (1.0, 1.0), settings, FrameTimes(2))
        level.minimise(StationaryVelocity(torch.zeros(2, 2, *SHAPE)), 40, Counting(), "")
        assert fewest <= len(steps) <= most


def test_a_level_never_ends_worse_than_it_began():
    """The first steps are as long as ``step`` everywhere, and may overshoot a start that is nearly right."""
    images = texture(1).expand(3, -1, -1, -1)
    level = _Level(images[:1], images[1:], (1.0, 1.0), Refinement("mse", step=2.0, temporal=0.0), FrameTimes(2))
    still = StationaryVelocity(torch.zeros(2, 2, *SHAPE))
    assert not level.minimise(still, 3, Reporter(), "").velocity.any()


@pytest.mark.parametrize("similarity", list(SIMILARITIES))
def test_a_refinement_that_comes_to_no_number_is_one_sentence(similarity):
    images, times = texture(4), FrameTimes(3)
    start = torch.zeros(3, 2, *SHAPE)
    start[1, 0, 9, 9] = torch.nan
    with pytest.raises(InputError, match="came to no number"):
        refine(images[:1], images[1:], StationaryVelocity(start), Refinement(similarity=similarity), times)


@pytest.mark.parametrize("field", ["smoothness", "temporal", "sigma", "sigma_time", "step", "tolerance"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0, 1e38])
def test_weights_and_steps_are_finite_and_within_reason(field, value):
    with pytest.raises(InputError, match="weights of a refinement"):
        Refinement(**{field: value})
