"""Transformations: what a network gives knows its displacement, its inverse and its covariance, however it is made."""

from __future__ import annotations

import math

import pytest
import torch
from made_fields import smooth_field
from made_transformations import FRAMES, KINDS, NEAR, ON_AVERAGE, SHAPES, covariance, distance, steps, velocity

from DeepRegLogic import flow
from DeepRegLogic.registration.presets import Refinement
from DeepRegLogic.registration.refine import FrameTimes, refine
from DeepRegLogic.transformations import (
    Displacement,
    Refined,
    StationaryVelocity,
    Transformation,
    VelocitySteps,
    unfolded,
)

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(params=KINDS)
def transformation(request, ndim) -> Transformation:
    return KINDS[request.param](ndim)


@pytest.fixture(params=KINDS)
def planar(request) -> Transformation:
    return KINDS[request.param](2)


def column(values: list[float], ndim: int) -> torch.Tensor:
    """A vector as a field that is the same everywhere."""
    return torch.tensor(values).view(1, ndim, *[1] * ndim)


def covariance_or_none(transformation: Transformation) -> torch.Tensor | None:
    return transformation.with_covariance()[1] if transformation.is_uncertain else None


# -- there and back ----------------------------------------------------------------------------------------------------


def test_the_inverse_undoes_the_displacement(transformation, ndim):
    there, back = transformation.displacement(), transformation.inverse()
    assert transformation.shape == tuple(there.shape) == tuple(back.shape) == (FRAMES, ndim, *SHAPES[ndim])
    assert len(transformation) == FRAMES
    assert there.norm(dim=1).max() > 1.2
    for left in (flow.compose(back, there), flow.compose(there, back)):
        assert left.norm(dim=1).max() < NEAR
        assert left.norm(dim=1).mean() < ON_AVERAGE
    assert flow.compose(there, there).norm(dim=1).max() > 1  # what a wrong sign would leave


@pytest.mark.parametrize("squarings", [3, 4, 8])
def test_fewer_squarings_are_nearly_as_good(transformation, squarings):
    assert distance(transformation.displacement(squarings), transformation.displacement()) < NEAR
    assert distance(transformation.inverse(squarings), transformation.inverse()) < NEAR


def turning(angle: float) -> torch.Tensor:
    """The velocity of a turn about the middle of a plane of 49 x 49, whose exponential turns by ``angle``."""
    rows, columns = torch.meshgrid(torch.arange(49.0) - 24, torch.arange(49.0) - 24, indexing="ij")
    return angle * torch.stack([-columns, rows])[None]


def turn(angle: float) -> torch.Tensor:
    """Its matrix, of (row, column)."""
    return torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])


def in_the_middle(field: torch.Tensor) -> torch.Tensor:
    """Where no path leaves the image: points ``[P, 2]`` from the middle, and where a field moves them."""
    place = torch.stack(torch.meshgrid(torch.arange(49.0), torch.arange(49.0), indexing="ij")) - 24
    near = place.norm(dim=0) < 14
    return place[:, near].T, (place + field[0])[:, near].T


def test_a_turn_and_then_a_shift_is_not_a_shift_and_then_a_turn():
    angle, shift = 0.4, torch.tensor([5.0, -3.0])
    turns, shifts = turning(angle), shift.view(1, 2, 1, 1).expand(1, 2, 49, 49)
    first_turned = VelocitySteps(torch.stack([turns, shifts]))
    place, found = in_the_middle(first_turned.displacement())
    torch.testing.assert_close(found, place @ turn(angle).T + shift, atol=2e-3, rtol=0)
    place, found = in_the_middle(first_turned.inverse())
    torch.testing.assert_close(found, (place - shift) @ turn(-angle).T, atol=2e-3, rtol=0)
    first_shifted = VelocitySteps(torch.stack([shifts, turns]))
    place, found = in_the_middle(first_shifted.displacement())
    torch.testing.assert_close(found, (place + shift) @ turn(angle).T, atol=2e-3, rtol=0)
    assert distance(first_turned.displacement(), first_shifted.displacement()) > 2


def test_a_refinement_turns_first_and_the_prediction_shifts_after_it():
    angle, shift = -0.3, torch.tensor([4.0, 2.0])
    prediction = Displacement(shift.view(1, 2, 1, 1).expand(1, 2, 49, 49))
    refined = prediction.refined(turning(angle))
    place, found = in_the_middle(refined.displacement())
    torch.testing.assert_close(found, place @ turn(angle).T + shift, atol=2e-3, rtol=0)
    place, found = in_the_middle(refined.inverse())
    torch.testing.assert_close(found, (place - shift) @ turn(-angle).T, atol=2e-3, rtol=0)


def test_steps_flow_in_order_and_back_in_reverse(ndim):
    velocities = steps(ndim)
    found = VelocitySteps(velocities)
    first, second = (flow.exp(step) for step in velocities)
    torch.testing.assert_close(found.displacement(), flow.compose(second, first))
    torch.testing.assert_close(found.inverse(), flow.compose(flow.exp(-velocities[0]), flow.exp(-velocities[1])))
    assert torch.equal(found.displacement(5), flow.integrate(velocities, 5))
    assert torch.equal(found.inverse(5), flow.integrate(-velocities.flip(0), 5))
    # the reversed flow, whose own inverse is the flow again, to the last bit
    assert torch.equal(VelocitySteps(-velocities.flip(0)).inverse(), found.displacement())
    assert distance(found.displacement(), flow.compose(first, second)) > 3 * NEAR


def test_equal_steps_are_one_velocity_of_their_sum(ndim):
    part = velocity(ndim) / 4
    found, whole = VelocitySteps(torch.stack([part] * 4)), StationaryVelocity(velocity(ndim))
    assert distance(found.displacement(), whole.displacement()) < NEAR
    assert distance(found.inverse(), whole.inverse()) < NEAR


def test_a_displacement_is_what_was_given_and_so_is_its_known_inverse(ndim):
    field = flow.exp(velocity(ndim))
    assert torch.equal(Displacement(field).displacement(), field)
    assert torch.equal(Displacement(field).inverse(), flow.invert(field)[0])
    found = Displacement.from_inverse(field)
    assert torch.equal(found.inverse(), field)
    assert torch.equal(found.displacement(), flow.invert(field)[0])
    assert distance(found.displacement(), flow.exp(-velocity(ndim))) < NEAR
    assert not found.is_uncertain


def test_a_refinement_is_composed_point_by_point(ndim):
    base, change = VelocitySteps(steps(ndim)), velocity(ndim, 5)
    refined = base.refined(change)
    assert isinstance(refined, Refined)
    inner, outer = flow.exp(change), base.displacement()
    generator = torch.Generator().manual_seed(0)
    points = torch.stack([torch.randint(n, (40,), generator=generator) for n in SHAPES[ndim]], dim=1)
    index = (slice(None), slice(None), *points.T)
    for frame in range(FRAMES):
        step = inner[index][frame]
        onward = flow.sample(outer[frame : frame + 1], points + step.T)[0]
        torch.testing.assert_close(refined.displacement()[index][frame], step + onward, atol=1e-4, rtol=0)


# -- frames ------------------------------------------------------------------------------------------------------------


def test_what_is_joined_and_taken_apart_again_is_the_original(transformation):
    whole = type(transformation).joined([transformation, transformation[1:]])
    assert type(whole) is type(transformation)
    assert len(whole) == 2 * FRAMES - 1
    for frames in (slice(0, FRAMES), [0, 1, 2], torch.tensor([0, 1, 2])):
        again = whole[frames]
        assert type(again) is type(transformation)
        assert torch.equal(again.displacement(), transformation.displacement())
        # where it is looked for, it is for all frames at once, until the worst of them is good enough
        torch.testing.assert_close(again.inverse(), transformation.inverse(), atol=0.02, rtol=0)
        assert again.is_uncertain == transformation.is_uncertain
        if again.is_uncertain:
            assert torch.equal(covariance_or_none(again), covariance_or_none(transformation))


def test_frames_are_taken_in_the_order_asked_for(transformation):
    some = transformation[[2, 0]]
    assert some.shape == (2, *transformation.shape[1:])
    assert torch.equal(some.displacement(), transformation.displacement()[[2, 0]])
    torch.testing.assert_close(some.inverse(), transformation.inverse()[[2, 0]], atol=0.02, rtol=0)
    if some.is_uncertain:
        assert torch.equal(covariance_or_none(some), covariance_or_none(transformation)[[2, 0]])


@pytest.mark.parametrize("kind", [StationaryVelocity, Displacement])
def test_a_covariance_of_some_of_the_joined_is_none_of_the_whole(kind):
    known = kind(velocity(), covariance=covariance())
    assert kind.joined([known, known]).is_uncertain
    assert not kind.joined([known, known.without_covariance()]).is_uncertain


# -- what is made of them ----------------------------------------------------------------------------------------------


FINER = {2: (2, 3), 3: (2, 1, 2)}  # along each axis, with the same corners


def test_a_change_of_resolution_keeps_the_motion_in_millimetres(transformation, ndim):
    spacing = column([2.0, 1.5, 1.2][:ndim], ndim)
    finer = spacing / column([float(factor) for factor in FINER[ndim]], ndim)
    shape = [factor * (n - 1) + 1 for factor, n in zip(FINER[ndim], SHAPES[ndim], strict=True)]
    larger = transformation.resized(shape)
    assert type(larger) is type(transformation)
    assert larger.shape == (FRAMES, ndim, *shape)
    same = (..., *(slice(None, None, factor) for factor in FINER[ndim]))
    assert distance(spacing * transformation.displacement(), (finer * larger.displacement())[same]) < 2 * NEAR
    assert distance(spacing * transformation.inverse(), (finer * larger.inverse())[same]) < 2 * NEAR
    assert larger.is_uncertain == transformation.is_uncertain
    if larger.is_uncertain:
        pairs = spacing.unsqueeze(1) * spacing.unsqueeze(2), finer.unsqueeze(1) * finer.unsqueeze(2)
        before = pairs[0] * covariance_or_none(transformation)
        after = (pairs[1] * covariance_or_none(larger))[same]
        inside = (..., *[slice(3, -3)] * ndim)
        assert (after - before)[inside].norm() < 0.05 * before[inside].norm()


def test_a_change_to_the_same_resolution_changes_nothing(transformation, ndim):
    same = transformation.resized(SHAPES[ndim])
    assert torch.equal(same.displacement(), transformation.displacement())
    if same.is_uncertain:
        torch.testing.assert_close(covariance_or_none(same), covariance_or_none(transformation))


def test_a_turn_stays_a_turn_on_voxels_that_are_not_cubes():
    """A linear field is resampled without loss, so nothing but the units can go wrong."""
    angle = 0.4
    coarse = StationaryVelocity(turning(angle))
    flat = coarse.resized((97, 33))  # voxels half as long, and one and a half times as long
    spacing = torch.tensor([0.5, 1.5])
    place = torch.stack(torch.meshgrid(torch.arange(97.0) - 48, torch.arange(33.0) - 16, indexing="ij"), -1) * spacing
    for field, sign in ((flat.displacement(), 1), (flat.inverse(), -1)):
        found = place + field[0].movedim(0, -1) * spacing
        near = place.norm(dim=-1) < 14
        torch.testing.assert_close(found[near], place[near] @ turn(sign * angle).T, atol=5e-3, rtol=0)


def test_faded_to_nothing_it_is_still_and_unfaded_unchanged(transformation, ndim):
    still = transformation.faded(torch.zeros(SHAPES[ndim]))
    assert type(still) is type(transformation)
    assert not still.displacement().any()
    assert not still.inverse().any()
    whole = transformation.faded(torch.ones(SHAPES[ndim]))
    assert torch.equal(whole.displacement(), transformation.displacement())
    assert still.is_uncertain == whole.is_uncertain == transformation.is_uncertain


def test_it_fades_where_the_weight_falls(planar):
    weight = torch.ones(SHAPES[2])
    weight[:16] = 0
    faded = planar.faded(weight)
    assert not faded.displacement()[:, :, :8].any()
    assert distance(faded.displacement()[..., 34:, :], planar.displacement()[..., 34:, :]) < NEAR


def test_smoothing_lessens_the_slopes_and_keeps_what_has_none(transformation, ndim):
    smoother = transformation.smoothed(3.0)
    assert type(smoother) is type(transformation)
    assert smoother.shape == transformation.shape
    assert smoother.is_uncertain == transformation.is_uncertain
    for field, before in (
        (smoother.displacement(), transformation.displacement()),
        (smoother.inverse(), transformation.inverse()),
    ):
        assert field.diff(dim=-1).square().mean() < 0.8 * before.diff(dim=-1).square().mean()
    shift = column([1.0, -2.0, 0.5][:ndim], ndim).expand(1, ndim, *SHAPES[ndim])
    for kind in (StationaryVelocity(shift), VelocitySteps(shift[None]), Displacement(shift), Refined(*_halves(shift))):
        torch.testing.assert_close(kind.smoothed(2.0).displacement(), shift, atol=1e-4, rtol=0)


def _halves(field: torch.Tensor) -> tuple[Transformation, torch.Tensor]:
    return Displacement(field / 2), field / 2


def test_frames_are_mixed_by_weights(transformation, ndim):
    same = transformation.mixed(torch.eye(FRAMES))
    assert type(same) is type(transformation)
    assert torch.equal(same.displacement(), transformation.displacement())
    assert distance(same.inverse(), transformation.inverse()) < NEAR
    assert same.is_uncertain == transformation.is_uncertain
    turned = transformation.mixed(torch.eye(FRAMES).roll(1, 0))
    assert torch.equal(turned.displacement(), transformation.displacement().roll(1, 0))
    mean = transformation.mixed(torch.full((FRAMES, FRAMES), 1 / FRAMES))
    torch.testing.assert_close(mean.displacement()[0], mean.displacement()[2])


def test_mixing_weighs_the_fields_themselves():
    first, second = torch.ones(1, 2, 8, 8), torch.full((1, 2, 8, 8), 3.0)
    weights = torch.tensor([[0.25, 0.75], [2.0, -1.0]])
    mixed = StationaryVelocity(torch.cat([first, second])).mixed(weights)
    assert mixed.velocity[:, 0, 0, 0].tolist() == [2.5, -1.0]
    mixed = VelocitySteps(torch.stack([torch.cat([first, second]), torch.cat([second, first])])).mixed(weights)
    assert mixed.velocities[:, :, 0, 0, 0].tolist() == [[2.5, -1.0], [1.5, 5.0]]


def test_slices_become_a_stack_that_does_not_move_through_its_planes(planar):
    for slices in (1, 3):
        stack = planar.in_stack(slices)
        assert type(stack) is type(planar)
        frames = FRAMES // slices
        assert stack.shape == (frames, 3, slices, *SHAPES[2])
        for found, flat in ((stack.displacement(), planar.displacement()), (stack.inverse(), planar.inverse())):
            assert not found[:, 0].any()
            for time in range(frames):
                for position in range(slices):
                    assert distance(found[time : time + 1, 1:, position], flat[position * frames + time][None]) < NEAR
        assert not stack.is_uncertain


# -- what a refinement makes of them -----------------------------------------------------------------------------------


def test_a_refinement_begins_where_the_transformation_is(transformation, ndim):
    start = transformation.refinement_start()
    assert start.shape == transformation.shape
    begun = transformation.refined(start)
    torch.testing.assert_close(begun.displacement(), transformation.displacement(), atol=1e-5, rtol=0)
    torch.testing.assert_close(begun.inverse(), transformation.inverse(), atol=1e-5, rtol=0)
    more = transformation.refined(start + velocity(ndim, 5))
    assert distance(more.displacement(), transformation.displacement()) > 1
    assert flow.compose(more.inverse(), more.displacement()).norm(dim=1).max() < 2 * NEAR
    torch.testing.assert_close(more.refined(more.refinement_start()).displacement(), more.displacement())


def test_what_refines_a_refinement_takes_the_place_of_its_velocity():
    prediction, change = Displacement(flow.exp(velocity(2, 1))), velocity(2, 2)
    found = prediction.refined(velocity(2, 3)).refined(change)
    assert found.base is prediction
    assert torch.equal(found.displacement(), prediction.refined(change).displacement())
    velocities = StationaryVelocity(velocity(2, 1), covariance()).refined(change)
    assert isinstance(velocities, StationaryVelocity)
    assert torch.equal(velocities.velocity, change)
    assert not velocities.is_uncertain  # that of the prediction is not that of the refinement


@pytest.fixture(scope="module")
def known() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A textured image, two frames in which it has moved by up to 3 voxels, and the velocity of that motion."""
    generator = torch.Generator().manual_seed(7)
    texture = flow.smooth(torch.randn(1, 1, 48, 48, generator=generator), 1.5)
    reference = (texture - texture.amin()) / (texture.amax() - texture.amin())
    moving = smooth_field((48, 48), 3.0, 7.0, seed=3, count=2)
    return reference, flow.warp(reference, flow.exp(-moving)), moving


STARTS = {
    "no motion": lambda v: StationaryVelocity(0 * v),
    "velocity": lambda v: StationaryVelocity(v / 2),
    "steps": lambda v: VelocitySteps(torch.stack([v / 8, 3 * v / 8])),
    "displacement": lambda v: Displacement(flow.exp(v / 2)),
    "displacement from its inverse": lambda v: Displacement.from_inverse(flow.exp(-v / 2)),
    "refinement": lambda v: Displacement(flow.exp(v / 4)).refined(v / 4),
}


@pytest.mark.parametrize("similarity", ["lncc", "mse"])
@pytest.mark.parametrize("kind", STARTS)
def test_a_refinement_finds_a_known_motion_from_every_kind_of_start(known, kind, similarity):
    reference, frames, moving = known
    start, truth = STARTS[kind](moving), flow.exp(moving)
    settings = Refinement(similarity=similarity, temporal=0.0, levels=((2, 25), (1, 25)))
    found = refine(reference, frames, start, settings, FrameTimes(2, reference_index=1))
    assert found.shape == start.shape
    assert isinstance(found, StationaryVelocity if isinstance(start, StationaryVelocity) else Refined)
    inside = truth.norm(dim=1) > 0.5
    before = (start.displacement() - truth).norm(dim=1)[inside].mean()
    after = (found.displacement() - truth).norm(dim=1)[inside].mean()
    assert before > 0.5
    assert after < 0.4 * before
    assert flow.compose(found.inverse(), found.displacement()).norm(dim=1).max() < 2 * NEAR


# -- folds -------------------------------------------------------------------------------------------------------------


def rough_and_calm(ndim: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A velocity whose discrete exponential folds, and one that is far from it."""
    shape = {2: (48, 48), 3: (20, 22, 24)}[ndim]
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(2, ndim, *shape, generator=generator)
    rough, calm = flow.smooth(noise[:1], 1.5), flow.smooth(noise[1:], 5.0)
    return {2: 8, 3: 6}[ndim] * rough / rough.abs().amax(), calm / calm.abs().amax()


FOLDING = {
    "velocity": StationaryVelocity,
    "steps": lambda field: VelocitySteps(torch.stack([field, 0.5 * field])),
    "displacement": Displacement,
    "refined displacement": lambda field: Displacement(0.5 * field).refined(field),
}


@pytest.mark.parametrize("kind", FOLDING)
def test_what_folds_is_smoothed_and_what_is_calm_stays_to_the_last_bit(kind, ndim):
    rough, calm = rough_and_calm(ndim)
    made = FOLDING[kind](torch.cat([calm, rough, calm.flip(-1)]))
    assert [bool(flow.folding(made[[t]].displacement()).any()) for t in range(3)] == [False, True, False]
    forward, inverse = unfolded(made)
    assert not flow.folding(forward).any()
    assert not flow.folding(inverse).any()
    assert torch.equal(forward[[0, 2]], made.displacement()[[0, 2]])
    assert torch.equal(inverse[[0, 2]], made.inverse()[[0, 2]])
    inside = (..., *[slice(5, -5)] * ndim)
    assert flow.compose(inverse, forward)[inside].norm(dim=1).mean() < 0.1
    assert forward[1].norm(dim=0).max() > 0.5  # it was smoothed, not taken away


def test_what_does_not_fold_is_given_as_it_is(transformation):
    forward, inverse = unfolded(transformation)
    assert torch.equal(forward, transformation.displacement())
    assert torch.equal(inverse, transformation.inverse())


def test_attempts_that_do_not_suffice_leave_the_smoothest():
    rough, _ = rough_and_calm(2)
    made = StationaryVelocity(3 * rough)
    once, _ = unfolded(made, attempts=1)
    assert torch.equal(once, made.smoothed(0.5).displacement())
    assert flow.folding(once).sum() < flow.folding(made.displacement()).sum()
