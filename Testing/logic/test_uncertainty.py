"""Covariances carried on, what is read off them, and their calibration."""

import math

import numpy as np
import pytest
import torch

from DeepRegLogic import flow, uncertainty
from DeepRegLogic.cine import Motion
from DeepRegLogic.errors import InputError
from DeepRegLogic.grid import Grid
from DeepRegLogic.networks import ProbabilisticVoxelMorph
from DeepRegLogic.uncertainty import calibration, gaussian

SIZE = 48


def smooth_field(count, ndim, scale, seed, sigma=6.0, size=SIZE):
    noise = torch.randn(count, ndim, *[size] * ndim, generator=torch.Generator().manual_seed(seed))
    field = flow.smooth(noise, sigma)
    return field * (scale / field.std())


def errors(covariance, draws, seed):
    """Draws of a field whose error is alike everywhere up to its size, which the covariance gives: ``[K, nd, *s]``."""
    ndim = covariance.shape[1]
    root = torch.linalg.cholesky(covariance.movedim((1, 2), (-2, -1)))[0]
    e = torch.randn(draws, ndim, generator=torch.Generator().manual_seed(seed))
    return torch.einsum("...ij,kj->k...i", root, e).movedim(-1, 1)


def smooth_covariance(ndim, deviation, seed, size=SIZE):
    factors = smooth_field(ndim, ndim, deviation, seed, size=size)
    eye = torch.eye(ndim).view(1, ndim, ndim, *[1] * ndim)
    return (factors.unsqueeze(1) * factors.unsqueeze(2)).sum(0, keepdim=True) + 0.3 * deviation**2 * eye


def covariance_of(samples):
    centred = samples - samples.mean(0)
    return torch.einsum("ki...,kj...->ij...", centred, centred)[None] / (len(samples) - 1)


def relative_difference(found, expected, margin=4):
    inner = (..., *[slice(margin, -margin)] * (found.ndim - 3))
    return float((found - expected)[inner].norm() / expected[inner].norm())


@pytest.mark.parametrize("sign", [1, -1])
def test_a_covariance_through_the_exponential_agrees_with_sampling(sign):
    velocity = sign * smooth_field(1, 2, 1.5, seed=1)
    covariance = smooth_covariance(2, 0.3, seed=2)
    displacement, found = uncertainty.propagate_covariance(velocity, covariance)
    torch.testing.assert_close(displacement, flow.exp(velocity), atol=2e-3, rtol=1e-3)
    samples = flow.exp(velocity + errors(covariance, 3000, seed=3))
    assert relative_difference(found, covariance_of(samples)) < 0.1
    # that the covariance was carried at all is worth something here
    assert relative_difference(covariance, covariance_of(samples)) > 0.1


def test_a_covariance_through_the_exponential_in_three_dimensions():
    velocity, covariance = smooth_field(1, 3, 1.0, seed=4, size=20), smooth_covariance(3, 0.2, seed=5, size=20)
    found = uncertainty.propagate_covariance(velocity, covariance)[1]
    samples = flow.exp(velocity + errors(covariance, 1500, seed=6))
    assert relative_difference(found, covariance_of(samples)) < 0.1


def test_the_covariance_of_a_composition_agrees_with_sampling():
    outer, inner = (flow.exp(smooth_field(1, 2, 1.5, seed)) for seed in (7, 8))
    of_outer, of_inner = smooth_covariance(2, 0.3, seed=9), smooth_covariance(2, 0.2, seed=10)
    composed, found = uncertainty.compose(outer, of_outer, inner, of_inner)
    torch.testing.assert_close(composed, flow.compose(outer, inner))
    samples = flow.compose(outer + errors(of_outer, 3000, seed=11), inner + errors(of_inner, 3000, seed=12))
    assert relative_difference(found, covariance_of(samples)) < 0.1


def test_the_covariance_of_an_inverse_agrees_with_sampling():
    displacement = flow.exp(smooth_field(1, 2, 1.5, seed=13))
    covariance = smooth_covariance(2, 0.2, seed=14)
    inverse, _ = flow.invert(displacement, tolerance=1e-3)
    found = uncertainty.of_inverse(displacement, covariance, inverse)
    samples, _ = flow.invert(displacement + errors(covariance, 1500, seed=15), tolerance=1e-3)
    assert relative_difference(found, covariance_of(samples), margin=6) < 0.1


def test_the_total_covariance_has_both_its_parts():
    generator = torch.Generator().manual_seed(0)
    means = 2.0 * torch.randn(20000, 1, 2, 1, 1, generator=generator)
    within = torch.tensor([[1.0, 0.5], [0.5, 3.0]]).view(1, 1, 2, 2, 1, 1).expand(20000, -1, -1, -1, -1, -1)
    mean, covariance = uncertainty.mixture_moments(means, within)
    torch.testing.assert_close(covariance[0, :, :, 0, 0], torch.tensor([[5.0, 0.5], [0.5, 7.0]]), atol=0.1, rtol=0.02)
    assert mean.abs().max() < 0.05
    _, alone = uncertainty.sampled(lambda k: means[k], 20000)
    torch.testing.assert_close(alone[0, :, :, 0, 0], 4 * torch.eye(2), atol=0.1, rtol=0.02)
    with pytest.raises(InputError, match="2 draws"):
        uncertainty.mixture_moments(means[:1])


def test_entropy_is_that_of_equation_21():
    covariance = np.zeros((1, 2, 2, 1, 2), np.float32)
    covariance[0, 0, 0], covariance[0, 1, 1] = 0.04, 0.04
    assert uncertainty.entropy(covariance)[0, 0, 0] == pytest.approx(math.log(2 * math.pi) + math.log(0.04), abs=1e-5)
    exact = torch.distributions.MultivariateNormal(torch.zeros(2), 0.04 * torch.eye(2)).entropy()
    assert uncertainty.entropy(covariance, exact=True)[0, 0, 1] == pytest.approx(float(exact), abs=1e-5)
    # the paper's -1.4 and -0.8 are deviations of 0.2 and 0.27 pixels
    assert uncertainty.entropy(covariance)[0, 0, 0] == pytest.approx(-1.381, abs=1e-3)
    assert uncertainty.entropy(np.zeros_like(covariance))[0, 0, 0] == -np.inf


def test_principal_deviations_and_units():
    turn = torch.tensor([[0.8, -0.6], [0.6, 0.8]])
    matrix = turn @ torch.diag(torch.tensor([4.0, 9.0])) @ turn.T
    covariance = matrix.view(1, 2, 2, 1, 1).expand(3, 2, 2, 5, 6).numpy()
    found = uncertainty.deviations(covariance)
    assert found.shape == (3, 2, 5, 6)
    np.testing.assert_allclose(found[:, 0], 3.0, rtol=1e-5)
    np.testing.assert_allclose(found[:, 1], 2.0, rtol=1e-5)
    grid = Grid.of_array((5, 6), (2.0, 0.5))
    in_mm = uncertainty.to_mm2(torch.from_numpy(covariance.copy()), grid)[0, :, :, 0, 0]
    scale = torch.diag(torch.tensor([2.0, 0.5]))
    torch.testing.assert_close(in_mm, scale @ matrix @ scale)


def test_resizing_keeps_the_covariance_in_mm():
    covariance = torch.eye(2).view(1, 2, 2, 1, 1).expand(1, 2, 2, 11, 21)
    found = uncertainty.resize(covariance, (21, 41))
    torch.testing.assert_close(found, 4 * torch.eye(2).view(1, 2, 2, 1, 1).expand(1, 2, 2, 21, 41))


def test_the_covariance_of_a_point_is_turned_into_the_patients_axes():
    direction = (0.0, 0.6, 0.8, 0.0, 0.8, -0.6, -1.0, 0.0, 0.0)  # i along -z, j along (0.6, 0.8, 0)
    grid = Grid((24, 20, 1), (2.0, 1.0, 8.0), (5.0, 0.0, 0.0), direction)
    still = np.zeros((2, 2, 20, 24), np.float32)
    covariance = np.zeros((2, 2, 2, 20, 24), np.float32)
    covariance[1, 0, 0], covariance[1, 1, 1] = 4.0, 1.0  # rows go along j, columns along i
    motion = Motion(grid, 0, still, still, covariance=covariance)
    point = grid.voxel_to_mm(np.array([[10.0, 12.0]]))
    found = uncertainty.of_points(motion, point)
    assert found.shape == (2, 1, 3, 3)
    assert not found[0].any()
    j, i = np.array([0.6, 0.8, 0.0]), np.array([0.0, 0.0, 1.0])
    np.testing.assert_allclose(found[1, 0], 4 * np.outer(j, j) + np.outer(i, i), atol=1e-6)
    with pytest.raises(InputError, match="no uncertainty"):
        uncertainty.of_points(Motion(grid, 0, still, still), point)
    with pytest.raises(InputError, match="Points need"):
        uncertainty.of_points(motion, np.zeros(3))


def of_gradient(images):
    """A method that knows no direction: mirrored images give mirrored motion."""
    smooth = flow.smooth(images[1:] - images[:1], 2.0)[:, 0]
    return torch.stack(torch.gradient(smooth, dim=tuple(range(1, smooth.ndim))), dim=1)


@pytest.mark.parametrize("spatial", [(20, 24), (6, 20, 24)])
def test_mirrored_images_agree_where_the_method_knows_no_direction(spatial):
    images = 10 * torch.rand(4, 1, *spatial, generator=torch.Generator().manual_seed(0))
    draw = uncertainty.flips(of_gradient, images)
    assert draw(0).abs().max() > 0.1
    for k in range(4):
        torch.testing.assert_close(draw(k), draw(0), atol=1e-4, rtol=1e-3)
    covariance = uncertainty.sampled(draw, 4)[1]
    assert covariance.shape == (3, len(spatial), len(spatial), *spatial)
    assert covariance.abs().max() < 1e-6


def test_mirrored_images_differ_where_the_method_prefers_a_direction():
    """One that says "one to the right" whatever it sees says "one to the left" of what was mirrored along the rows."""
    images = torch.rand(3, 1, 16, 16)
    right = torch.tensor([0.0, 1.0]).view(1, 2, 1, 1).expand(2, 2, 16, 16)
    draw = uncertainty.flips(lambda _: right, images)
    _, covariance = uncertainty.sampled(draw, 4)
    assert [float(draw(k)[0, 1, 3, 3]) for k in range(4)] == [1, 1, -1, -1]
    torch.testing.assert_close(covariance[:, 1, 1], torch.full((2, 16, 16), 4 / 3))
    assert not covariance[:, 0].any()


def test_dropout_varies_and_leaves_the_network_as_it_was():
    from DeepRegLogic.networks import VoxelMorph

    torch.manual_seed(0)
    network = VoxelMorph().eval()
    torch.nn.init.normal_(network.head.weight, std=0.1)
    reference, frames = torch.rand(1, 1, 16, 16), torch.rand(1, 2, 1, 16, 16)
    with torch.inference_mode():
        before = network(reference, frames)
        draw = uncertainty.dropout(network, reference, frames)
        _, covariance = uncertainty.sampled(draw, 6)
        torch.testing.assert_close(draw(3), draw(3))
        assert torch.equal(network(reference, frames), before)
    assert covariance[:, 0, 0].mean() > 1e-6


def test_draws_of_a_normal_velocity_have_its_covariance():
    network = ProbabilisticVoxelMorph()
    torch.nn.init.constant_(network.head.bias[2:], -9.0)
    reference, frames = torch.rand(1, 1, 16, 16), torch.rand(1, 2, 1, 16, 16)
    with torch.inference_mode():
        mean, log_variance = network.distribution(reference, frames)
        assert torch.equal(network(reference, frames), mean)
        found, covariance = uncertainty.sampled(uncertainty.drawn(network, reference, frames), 200)
    assert (found - mean[0]).abs().max() < 0.05
    # next to no motion: the displacement varies as the velocity does
    along = covariance.diagonal(dim1=1, dim2=2).movedim(-1, 1)
    assert float((along / log_variance[0].exp()).mean()) == pytest.approx(1, abs=0.1)


def normal_errors(count, seed, factor=1.0):
    generator = torch.Generator().manual_seed(seed)
    roots = torch.randn(count, 2, 2, generator=generator)
    covariance = roots @ roots.mT * torch.rand(count, 1, 1, generator=generator) + 0.05 * torch.eye(2)
    residual = torch.linalg.cholesky(covariance) @ torch.randn(count, 2, 1, generator=generator)
    return factor * residual[..., 0], covariance


def test_a_true_covariance_is_found_reliable():
    residual, covariance = normal_errors(200_000, seed=1)
    found = calibration.reliability(residual, covariance)
    for level, coverage in found.coverage.items():
        assert coverage == pytest.approx(level, abs=0.005)
    assert found.calibration_error < 0.003
    assert found.rank_correlation > 0.5
    assert found.ause < 0.5 * found.ause_random
    assert found.curves["oracle"][0] == pytest.approx(1.0)


def test_calibration_finds_the_scale_and_the_floor():
    residual, covariance = normal_errors(200_000, seed=2, factor=3.0)
    found = calibration.fit(residual, covariance)
    assert found.scale == pytest.approx(9.0, rel=0.03)
    assert found.floor < 0.05
    calibrated = found(covariance[..., None])[..., 0]
    assert calibration.reliability(residual, calibrated).coverage[0.9] == pytest.approx(0.9, abs=0.005)
    noise = torch.randn(200_000, 2, generator=torch.Generator().manual_seed(4))
    found = calibration.fit(residual / 3 + noise, covariance)
    assert found.floor == pytest.approx(1.0, rel=0.1)
    with pytest.raises(InputError, match="calibration"):
        calibration.Calibration(-1.0, 0.0)


def test_calibration_weighs_what_a_refinement_changed():
    residual, covariance = normal_errors(100_000, seed=5)
    noise = torch.randn(100_000, 2, generator=torch.Generator().manual_seed(6))
    sizes = torch.rand(100_000, 1, generator=torch.Generator().manual_seed(7)) * 2
    change = torch.eye(2) * sizes.square()[..., None]
    found = calibration.fit(residual + 0.5 * sizes * noise, covariance, change)
    assert found.scale == pytest.approx(1.0, rel=0.05)
    assert found.change == pytest.approx(0.25, rel=0.05)
    assert found.floor < 0.02
    calibrated = found(covariance[..., None], change[..., None])[..., 0]
    torch.testing.assert_close(
        calibrated, found.scale * covariance + found.change * change + found.floor * torch.eye(2)
    )


def test_calibration_weighs_what_an_image_shows():
    _, known = normal_errors(100_000, seed=8)
    gradient = torch.randn(100_000, 2, generator=torch.Generator().manual_seed(9))
    structure = gradient[:, :, None] * gradient[:, None]
    truth = torch.linalg.inv(torch.linalg.inv(known) + 3.0 * structure)
    noise = torch.randn(100_000, 2, 1, generator=torch.Generator().manual_seed(10))
    residual = (torch.linalg.cholesky(truth) @ noise)[..., 0]
    found = calibration.fit(residual, known, structure=structure)
    assert (found.scale, found.structure) == pytest.approx((1.0, 3.0), rel=0.05)
    assert found.floor < 0.02
    calibrated = calibration.Calibration(structure=3.0)(known[..., None], structure=structure[..., None])[..., 0]
    torch.testing.assert_close(calibrated, truth, atol=1e-4, rtol=1e-3)


def test_structure_is_across_edges_per_mm():
    rows = torch.arange(64.0).view(1, 1, 64, 1).expand(1, 1, 64, 64)
    found = uncertainty.structure_tensor(0.1 * rows, Grid.of_array((64, 64), (2.0, 3.0)))
    torch.testing.assert_close(found[0, :, :, 32, 32], torch.tensor([[0.0025, 0.0], [0.0, 0.0]]), atol=1e-6, rtol=1e-3)


def test_the_moments_of_a_change_are_local_and_in_mm():
    grid = Grid.of_array((64, 64), (2.0, 3.0))
    before, after = torch.zeros(1, 2, 64, 64), torch.zeros(1, 2, 64, 64)
    after[:, 0, :, :32], after[:, 1, :, :32] = 0.5, -1.0
    moments = uncertainty.of_change(before, after, grid)[0]
    torch.testing.assert_close(moments[:, :, 30, 10], torch.tensor([[1.0, -3.0], [-3.0, 9.0]]), atol=1e-3, rtol=1e-3)
    assert moments[:, :, 30, 50].abs().max() < 1e-3
    assert float(moments[0, 0, 30, 31:33].mean()) == pytest.approx(0.5, abs=0.01)


def test_a_useless_ranking_is_seen():
    residual, covariance = normal_errors(50_000, seed=3)
    shuffled = covariance[torch.randperm(len(covariance), generator=torch.Generator().manual_seed(0))]
    found = calibration.reliability(residual, shuffled)
    assert abs(found.rank_correlation) < 0.02
    assert found.ause == pytest.approx(found.ause_random, rel=0.03)
    assert calibration.spearman(torch.arange(9.0), torch.arange(9.0) ** 3) == pytest.approx(1.0)


def test_ellipsoids_in_three_dimensions():
    residual = torch.randn(100_000, 3, generator=torch.Generator().manual_seed(0))
    found = calibration.reliability(residual, torch.eye(3).expand(100_000, 3, 3))
    assert found.coverage[0.95] == pytest.approx(0.95, abs=0.004)


def student_errors(count, ndim, degrees, seed):
    generator = torch.Generator().manual_seed(seed)
    normal = torch.randn(count, ndim, generator=generator, dtype=torch.float64)
    chi = torch.randn(count, int(degrees), generator=generator, dtype=torch.float64).square().sum(1, keepdim=True)
    return (normal / (chi / degrees).sqrt()).float()


@pytest.mark.parametrize("ndim", [2, 3])
def test_heavy_tails_are_found_and_every_ellipse_holds_what_it_says(ndim):
    """Golden: Student's distribution of 5 degrees of freedom, voxels of 2 mm, of which no covariance says anything."""
    residual = 2 * student_errors(20_000, ndim, 5, 0)
    nothing = torch.full((len(residual), ndim, ndim), 1e-9)
    voxel = 4 * torch.eye(ndim).expand_as(nothing)
    found = calibration.fit(residual, nothing, voxel=voxel)
    assert found.floor == 0
    assert found.degrees in (4, 5, 6)
    covariance = found.of_matrices(nothing, voxel=voxel)
    again = 2 * student_errors(20_000, ndim, 5, 1)
    for level, inside in calibration.reliability(again, covariance, degrees=found.degrees).coverage.items():
        assert inside == pytest.approx(level, abs=0.015)
    normal = calibration.reliability(again, covariance).coverage
    assert normal[0.5] > 0.53
    assert normal[0.9] == pytest.approx(0.9, abs=0.02)


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("degrees", [3.0, 8.0, float("inf")])
def test_radii_and_what_lies_inside_are_inverse_to_each_other(ndim, degrees):
    levels = (0.1, 0.5, 0.8, 0.925, 0.99)
    radii = torch.tensor([uncertainty.squared_radius(level, ndim, degrees) for level in levels])
    inside = gaussian.probability_inside(radii, ndim, degrees)
    np.testing.assert_allclose(inside, levels, atol=1e-4)
    assert float(radii[3]) == pytest.approx(uncertainty.chi_squared_quantile(0.925, ndim), rel=1e-5)


def test_a_share_of_the_voxel_is_longer_along_its_longer_sides():
    share = calibration.Calibration(scale=0.0, voxel=0.25)
    found = share(torch.zeros(1, 3, 3, 2, 2, 2), spacing=(8.0, 2.0, 1.0))[0, :, :, 0, 0, 0]
    np.testing.assert_allclose(found, np.diag([16.0, 1.0, 0.25]))
