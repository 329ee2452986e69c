"""How sure transformations are: covariances come with the displacement, and agree with draws."""

from __future__ import annotations

import pytest
import torch
from made_transformations import FRAMES, KINDS, NEAR, SHAPES, covariance, distance, velocity

from DeepRegLogic import flow
from DeepRegLogic.transformations import Displacement, Refined, StationaryVelocity
from DeepRegLogic.uncertainty import compose as compose_covariances
from DeepRegLogic.uncertainty import propagate_covariance

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "uncertain" not in kind and "from" not in kind])
def test_without_a_covariance_none_is_given(kind, ndim):
    transformation = KINDS[kind](ndim)
    assert not transformation.is_uncertain
    with pytest.raises(ValueError, match="no covariance"):
        transformation.with_covariance()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "uncertain" in kind or "from" in kind])
def test_a_covariance_comes_with_the_displacement_and_can_be_left_behind(kind, ndim):
    transformation = KINDS[kind](ndim)
    assert transformation.is_uncertain
    displacement, found = transformation.with_covariance()
    assert distance(displacement, transformation.displacement()) < NEAR
    assert found.shape == (FRAMES, ndim, ndim, *SHAPES[ndim])
    assert torch.linalg.eigvalsh(found.movedim((1, 2), (-2, -1))).min() > 0
    torch.testing.assert_close(found, found.transpose(1, 2))
    bare = transformation.without_covariance()
    assert type(bare) is type(transformation)
    assert torch.equal(bare.displacement(), transformation.displacement())
    assert torch.equal(bare.inverse(), transformation.inverse())
    with pytest.raises(ValueError, match="no covariance"):
        bare.with_covariance()
    if ndim == 2:
        with pytest.raises(ValueError, match="no covariance"):
            transformation.in_stack(FRAMES).with_covariance()


def test_covariances_are_carried_by_the_rules_of_the_uncertainty_room(ndim):
    unsure = StationaryVelocity(velocity(ndim), covariance(ndim))
    torch.testing.assert_close(unsure.with_covariance(), propagate_covariance(velocity(ndim), covariance(ndim)))
    known = Displacement(flow.exp(velocity(ndim)), covariance=covariance(ndim))
    assert torch.equal(known.with_covariance()[1], covariance(ndim))
    change = velocity(ndim, 4)
    _, carried = known.refined(change).with_covariance()
    expected = compose_covariances(known.vectors, covariance(ndim), flow.exp(change), 0 * covariance(ndim))[1]
    torch.testing.assert_close(carried, expected)


def draws(covariances: torch.Tensor, count: int) -> torch.Tensor:
    """Errors ``[count, 2, H, W]`` of that covariance at every voxel, each alike all over the image up to its size."""
    root = torch.linalg.cholesky(covariances[0].movedim((0, 1), (-2, -1)))
    normal = torch.randn(count, 2, generator=torch.Generator().manual_seed(1))
    return torch.einsum("...ij,kj->ki...", root, normal)


def sampled_covariance(samples: torch.Tensor) -> torch.Tensor:
    away = samples - samples.mean(0)
    return torch.einsum("ki...,kj...->ij...", away, away)[None] / (len(samples) - 1)


DRAWS = 1500  # so that a sampled variance is right to sqrt(2 / 1500) = 4 percent; first order costs some percent more


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    inside = (..., slice(5, -5), slice(5, -5))
    return float((found - expected)[inside].norm() / expected[inside].norm())


def test_the_covariance_of_a_velocity_agrees_with_draws_of_it():
    mean, spread = velocity(count=1), covariance(count=1)
    found = StationaryVelocity(mean, spread).with_covariance()[1]
    expected = sampled_covariance(StationaryVelocity(mean + draws(spread, DRAWS)).displacement())
    assert relative(found, expected) < 0.1
    assert relative(spread, expected) > 0.15  # so that the agreement says something


def test_the_covariance_of_a_refined_velocity_agrees_with_draws_of_it():
    mean, spread, change = velocity(count=1), covariance(count=1), velocity(seed=4, count=1)
    found = Refined(StationaryVelocity(mean, spread), change).with_covariance()[1]
    samples = Refined(StationaryVelocity(mean + draws(spread, DRAWS)), change.expand(DRAWS, -1, -1, -1))
    expected = sampled_covariance(samples.displacement())
    assert relative(found, expected) < 0.1
    assert relative(StationaryVelocity(mean, spread).with_covariance()[1], expected) > 0.1


def test_the_covariance_of_an_inverse_agrees_with_draws_of_it():
    back, spread = flow.exp(velocity(count=1)), 0.3 * covariance(count=1)
    found = Displacement.from_inverse(back, spread).with_covariance()[1]
    samples = Displacement.from_inverse(back + draws(spread, DRAWS // 3))
    expected = sampled_covariance(samples.displacement())
    assert relative(found, expected) < 0.12
    assert relative(spread, expected) > 0.2
