"""Losses against analytic values and against MONAI."""

import math

import pytest
import torch

from DeepRegLogic import losses


def texture(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(2, 1, 48, 40), (1, 1, 20, 24, 22)])
def test_local_correlation_equals_monai_away_from_the_border(shape: tuple[int, ...]) -> None:
    from monai.losses import LocalNormalizedCrossCorrelationLoss

    a = texture(*shape)
    b = 0.6 * a + 0.4 * texture(*shape, seed=1)
    reference = LocalNormalizedCrossCorrelationLoss(spatial_dims=a.ndim - 2, kernel_size=9, reduction="none")
    inner = (slice(None), slice(None), *(slice(4, -4),) * (a.ndim - 2))
    ours = losses.local_correlation(a, b)
    torch.testing.assert_close(ours[inner], -reference(a, b)[inner], atol=1e-4, rtol=1e-4)
    assert float(losses.lncc(a, b)) == pytest.approx(1 - float(ours.mean()), abs=1e-6)


def test_lncc_sees_through_brightness_and_contrast_up_to_the_border() -> None:
    a = texture(1, 1, 32, 32)
    assert float(losses.lncc(a, 0.2 + 0.5 * a)) < 1e-4
    assert float(losses.lncc(a, 1 - a)) < 1e-4
    assert float(losses.lncc(a, texture(1, 1, 32, 32, seed=9))) > 0.9
    # the window around a corner holds 5 x 5 voxels
    corner = torch.stack([a[0, 0, :5, :5].flatten(), texture(1, 1, 32, 32, seed=9)[0, 0, :5, :5].flatten()])
    expected = float(torch.corrcoef(corner)[0, 1] ** 2)
    assert float(losses.local_correlation(a, texture(1, 1, 32, 32, seed=9))[0, 0, 0, 0]) == pytest.approx(
        expected, 1e-3
    )


def test_lncc_of_flat_images_is_one_and_has_a_gradient() -> None:
    flat = torch.full((1, 1, 16, 16), 0.7, requires_grad=True)
    loss = losses.lncc(flat, texture(1, 1, 16, 16))
    loss.backward()
    assert float(loss.detach()) == pytest.approx(1, abs=1e-3)
    assert bool(flat.grad.isfinite().all())


def test_lncc_works_on_an_image_smaller_than_its_window() -> None:
    assert float(losses.lncc(texture(1, 1, 2, 2), texture(1, 1, 2, 2))) < 1e-3


def test_mse_is_the_mean_square() -> None:
    a = texture(2, 1, 8, 8)
    assert float(losses.mse(a, a + 0.5)) == pytest.approx(0.25)


def test_diffusion_of_a_linear_field() -> None:
    y, x = torch.meshgrid(torch.arange(10.0), torch.arange(12.0), indexing="ij")
    field = torch.stack([0.3 * y, 0.5 * x])[None].repeat(2, 1, 1, 1)
    # along rows (0.3^2 + 0) / 2, along columns (0 + 0.5^2) / 2, and their mean
    assert float(losses.diffusion(field)) == pytest.approx((0.09 / 2 + 0.25 / 2) / 2)
    # voxels twice as long along the columns: half the slope there
    assert float(losses.diffusion(field, (1.5, 3.0))) == pytest.approx((0.09 / 2 + 0.0625 / 2) / 2)
    assert float(losses.diffusion(torch.full((1, 3, 4, 5, 6), 2.0))) == 0


def test_temporal_bending_of_straight_and_parabolic_time_courses() -> None:
    time = torch.arange(6.0).view(1, 6, 1, 1, 1)
    ones = torch.ones(2, 6, 2, 4, 4)
    assert float(losses.temporal_bending(3 * time * ones)) == pytest.approx(0, abs=1e-9)
    # second difference of t^2 is 2 in each of two components
    assert float(losses.temporal_bending(time**2 * ones)) == pytest.approx(8)
    assert float(losses.temporal_bending(ones[:, :2])) == 0
    # closing the loop 0 1 2 3 4 5 (0): a jump of -6 at both ends, of six second differences, two components
    assert float(losses.temporal_bending(time * ones, cyclic=True)) == pytest.approx(2 * (36 + 36) / 6)


def test_lncc_works_on_a_stack_of_fewer_slices_than_its_window() -> None:
    a = texture(1, 1, 8, 16, 16)
    assert float(losses.lncc(a, a)) < 1e-3


def test_divergence_from_the_smooth_prior() -> None:
    log_variance = torch.full((1, 2, 6, 6), 0.5).log()
    still, ramp = torch.zeros(1, 2, 6, 6), torch.zeros(1, 2, 6, 6)
    ramp[:, 0] = 0.3 * torch.arange(6.0)[:, None]
    # 4 neighbours of variance 0.5, weighed by the precision, less the logarithm
    alone = losses.kl_smooth(still, log_variance, precision=3.0)
    assert float(alone) == pytest.approx(0.5 * (3 * 4 * 0.5 + math.log(2)))
    # one of the two components changes by 0.3 from row to row
    assert float(losses.kl_smooth(ramp, log_variance, 3.0) - alone) == pytest.approx(0.5 * 3 * 0.3**2 / 2, rel=1e-4)
    # the variance that costs least is that of the prior's conditional distribution, 1 / (precision * neighbours)
    free = torch.zeros(1, 2, 6, 6, requires_grad=True)
    losses.kl_smooth(still, free - math.log(12.0), 3.0).backward()
    assert float(free.grad.abs().max()) < 1e-8
