"""Transformations: what a network gives knows its displacement, its inverse and its covariance, however it is made."""

from __future__ import annotations

import pytest
import torch
from made_fields import smooth_field

from DeepRegLogic import flow
from DeepRegLogic.transformations import (
    Displacement,
    Refined,
    StationaryVelocity,
    Transformation,
    VelocitySteps,
    unfolded,
)
from DeepRegLogic.uncertainty import compose as compose_covariances
from DeepRegLogic.uncertainty import propagate_covariance

SHAPE = (64, 72)


def velocity(seed: int = 0, count: int = 3, amplitude: float = 3.0) -> torch.Tensor:
    return smooth_field(SHAPE, amplitude, sigma=9.0, seed=seed, count=count)


def covariance(count: int = 3) -> torch.Tensor:
    return 0.2 * torch.eye(2).view(1, 2, 2, 1, 1).expand(count, 2, 2, *SHAPE)


KINDS = {
    "velocity": lambda: StationaryVelocity(velocity()),
    "steps": lambda: VelocitySteps(torch.stack([velocity(1), velocity(2)])),
    "displacement": lambda: Displacement(flow.exp(velocity())),
    "displacement from its inverse": lambda: Displacement.from_inverse(flow.exp(velocity())),
    "refined displacement": lambda: Displacement(flow.exp(velocity())).refined(velocity(4)),
    "refined steps": lambda: VelocitySteps(torch.stack([velocity(1), velocity(2)])).refined(velocity(4)),
}


@pytest.fixture(params=KINDS)
def transformation(request) -> Transformation:
    return KINDS[request.param]()


def distance(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).norm(dim=1).max())


def test_the_inverse_undoes_the_displacement(transformation):
    there, back = transformation.displacement(), transformation.inverse()
    assert transformation.shape == tuple(there.shape) == tuple(back.shape) == (3, 2, *SHAPE)
    assert len(transformation) == 3
    assert there.norm(dim=1).max() > 2
    assert flow.compose(back, there).norm(dim=1).max() < 0.05
    assert flow.compose(there, back).norm(dim=1).max() < 0.05


def test_frames_are_taken_and_joined(transformation):
    parts = transformation.joined([transformation[2:], transformation[[0, 1]]])
    assert type(parts) is type(transformation)
    torch.testing.assert_close(parts.displacement(), transformation.displacement()[[2, 0, 1]])
    torch.testing.assert_close(parts.inverse(), transformation.inverse()[[2, 0, 1]], atol=0.02, rtol=0)


def test_a_change_of_resolution_keeps_the_motion(transformation):
    larger = transformation.resized((127, 143))
    assert larger.shape == (3, 2, 127, 143)
    assert distance(larger.displacement(), flow.resize(transformation.displacement(), (127, 143))) < 0.1


def test_it_fades_where_the_weight_falls(transformation):
    weight = torch.ones(SHAPE)
    weight[:20] = 0
    faded = transformation.faded(weight)
    assert not faded.displacement()[:, :, :10].any()
    assert distance(faded.displacement()[..., 45:, :], transformation.displacement()[..., 45:, :]) < 0.2


def test_means_over_the_frames_and_over_space(transformation):
    mean = transformation.mixed(torch.full((3, 3), 1 / 3))
    torch.testing.assert_close(mean.displacement()[0], mean.displacement()[2])
    rough = transformation.displacement().diff(dim=-1).square().mean()
    assert transformation.smoothed(4.0).displacement().diff(dim=-1).square().mean() < rough


def test_slices_become_a_stack(transformation):
    stack = transformation.in_stack(3)
    assert stack.shape == (1, 3, 3, *SHAPE)
    there = stack.displacement()
    assert not there[:, 0].any()
    assert distance(there[0, 1:].movedim(1, 0), transformation.displacement()) < 0.02


def test_a_refinement_begins_where_the_transformation_is(transformation):
    start = transformation.refinement_start()
    torch.testing.assert_close(transformation.refined(start).displacement(), transformation.displacement())
    more = transformation.refined(start + velocity(5))
    assert distance(more.displacement(), transformation.displacement()) > 1
    assert flow.compose(more.inverse(), more.displacement()).norm(dim=1).max() < 0.1


def test_steps_flow_in_order():
    steps = torch.stack([velocity(1), velocity(2)])
    found = VelocitySteps(steps)
    first, second = (flow.exp(step) for step in steps)
    torch.testing.assert_close(found.displacement(), flow.compose(second, first))
    torch.testing.assert_close(found.inverse(), flow.compose(flow.exp(-steps[0]), flow.exp(-steps[1])))


def test_a_refinement_comes_first_and_the_prediction_after_it():
    prediction, change = Displacement(flow.exp(velocity(1))), velocity(2)
    found = prediction.refined(change)
    assert isinstance(found, Refined)
    torch.testing.assert_close(found.displacement(), flow.compose(prediction.vectors, flow.exp(change)))
    assert found.refined(0 * change).velocity.abs().max() == 0  # the same prediction, another change
    velocities = StationaryVelocity(velocity(1)).refined(change)
    assert isinstance(velocities, StationaryVelocity)
    assert torch.equal(velocities.velocity, change)


def test_covariances_are_carried_to_the_displacement():
    sure = StationaryVelocity(velocity())
    assert not sure.is_uncertain
    with pytest.raises(ValueError, match="no covariance"):
        sure.with_covariance()
    unsure = StationaryVelocity(velocity(), covariance())
    assert unsure.is_uncertain
    torch.testing.assert_close(unsure.with_covariance(), propagate_covariance(velocity(), covariance()))
    assert unsure[1:2].with_covariance()[1].shape == (1, 2, 2, *SHAPE)
    assert not unsure.without_covariance().is_uncertain
    assert not unsure.in_stack(3).is_uncertain
    known = Displacement(flow.exp(velocity()), covariance=covariance())
    assert torch.equal(known.with_covariance()[1], covariance())
    change = velocity(4)
    _, carried = known.refined(change).with_covariance()
    expected = compose_covariances(known.vectors, covariance(), flow.exp(change), 0 * covariance())[1]
    torch.testing.assert_close(carried, expected)
    # twice as many voxels along an axis: twice the deviation in voxels
    resized = unsure.resized([2 * n - 1 for n in SHAPE])
    torch.testing.assert_close(resized.covariance[:, 0, 0], torch.full((3, 127, 143), 0.8))


def test_only_what_folds_is_smoothed():
    generator = torch.Generator().manual_seed(0)
    rough = 30 * flow.smooth(torch.randn(1, 2, 48, 48, generator=generator), 1.5)
    calm = 3 * flow.smooth(torch.randn(1, 2, 48, 48, generator=generator), 6.0)
    assert flow.folding(flow.exp(rough)).any()
    forward, inverse = unfolded(StationaryVelocity(torch.cat([calm, rough])))
    assert torch.equal(forward[:1], flow.exp(calm))
    assert torch.equal(inverse[:1], flow.exp(-calm))
    assert not flow.folding(forward).any()
    assert not flow.folding(inverse).any()
    assert flow.compose(inverse, forward)[:, :, 8:-8, 8:-8].norm(dim=1).mean() < 0.1


def test_a_displacement_that_folds_is_smoothed_until_it_has_an_inverse():
    generator = torch.Generator().manual_seed(0)
    rough = Displacement(6 * flow.smooth(torch.randn(1, 2, 48, 48, generator=generator), 2.0))
    assert flow.folding(rough.displacement()).any()
    forward, inverse = unfolded(rough)
    assert not flow.folding(forward).any()
    assert not flow.folding(inverse).any()
