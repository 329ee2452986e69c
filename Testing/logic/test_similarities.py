"""What makes images alike, against analytic values and against MONAI."""

import pytest
import torch

from DeepRegLogic.similarities import SIMILARITIES, lncc, local_correlation, mse


def texture(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(2, 1, 48, 40), (1, 1, 20, 24, 22)])
def test_local_correlation_equals_monai_away_from_the_border(shape: tuple[int, ...]) -> None:
    from monai.losses import LocalNormalizedCrossCorrelationLoss

    a = texture(*shape)
    b = 0.6 * a + 0.4 * texture(*shape, seed=1)
    reference = LocalNormalizedCrossCorrelationLoss(spatial_dims=a.ndim - 2, kernel_size=9, reduction="none")
    inner = (slice(None), slice(None), *(slice(4, -4),) * (a.ndim - 2))
    ours = local_correlation(a, b)
    torch.testing.assert_close(ours[inner], -reference(a, b)[inner], atol=1e-4, rtol=1e-4)
    assert float(lncc(a, b)) == pytest.approx(1 - float(ours.mean()), abs=1e-6)


def test_lncc_sees_through_brightness_and_contrast_up_to_the_border() -> None:
    a = texture(1, 1, 32, 32)
    assert float(lncc(a, 0.2 + 0.5 * a)) < 1e-4
    assert float(lncc(a, 1 - a)) < 1e-4
    assert float(lncc(a, texture(1, 1, 32, 32, seed=9))) > 0.9
    # the window around a corner holds 5 x 5 voxels
    corner = torch.stack([a[0, 0, :5, :5].flatten(), texture(1, 1, 32, 32, seed=9)[0, 0, :5, :5].flatten()])
    expected = float(torch.corrcoef(corner)[0, 1] ** 2)
    assert float(local_correlation(a, texture(1, 1, 32, 32, seed=9))[0, 0, 0, 0]) == pytest.approx(expected, 1e-3)


def test_lncc_of_flat_images_is_one_and_has_a_gradient() -> None:
    flat = torch.full((1, 1, 16, 16), 0.7, requires_grad=True)
    loss = lncc(flat, texture(1, 1, 16, 16))
    loss.backward()
    assert float(loss.detach()) == pytest.approx(1, abs=1e-3)
    assert bool(flat.grad.isfinite().all())


def test_lncc_works_on_an_image_smaller_than_its_window() -> None:
    assert float(lncc(texture(1, 1, 2, 2), texture(1, 1, 2, 2))) < 1e-3


def test_mse_is_the_mean_square() -> None:
    a = texture(2, 1, 8, 8)
    assert float(mse(a, a + 0.5)) == pytest.approx(0.25)


def test_lncc_works_on_a_stack_of_fewer_slices_than_its_window() -> None:
    a = texture(1, 1, 8, 16, 16)
    assert float(lncc(a, a)) < 1e-3


def test_a_squared_difference_is_measured_in_units_of_the_images_own_contrast() -> None:
    a, b = texture(1, 1, 32, 32), texture(1, 1, 32, 32, seed=1)
    assert SIMILARITIES["mse"].squared_intensity
    assert not SIMILARITIES["lncc"].squared_intensity
    for name, entry in SIMILARITIES.items():
        # brighter images of the same anatomy cost as much as darker ones, to a refinement
        assert float(entry(100 * a, 100 * b)) == pytest.approx(float(entry(a, b)), rel=1e-3), name
