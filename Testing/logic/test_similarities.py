"""What makes images alike, against analytic values and against MONAI."""

import pytest
import torch

from DeepRegLogic.similarities import SIMILARITIES, lncc, local_correlation, mse, robust_lncc


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
    for name in ("lncc", "mse"):
        # brighter images of the same anatomy cost as much as darker ones, to a refinement
        entry = SIMILARITIES[name]
        assert float(entry(100 * a, 100 * b)) == pytest.approx(float(entry(a, b)), rel=1e-3), name


@pytest.mark.parametrize("name", SIMILARITIES)
def test_one_fixed_image_serves_many_moved_ones(name: str) -> None:
    moved, fixed = texture(5, 1, 18, 14), texture(1, 1, 18, 14, seed=1)
    entry = SIMILARITIES[name]
    one, many, each = moved.clone(), moved.clone(), moved.clone()
    found = [entry(one.requires_grad_(), fixed), entry(many.requires_grad_(), fixed.expand_as(moved))]
    found.append(torch.stack([entry(image[None], fixed) for image in each.requires_grad_()]).mean())
    for value in found:
        value.backward()
        assert float(value.detach()) == pytest.approx(float(found[0].detach()), rel=1e-5)
    torch.testing.assert_close(many.grad, one.grad, rtol=1e-4, atol=1e-8)
    torch.testing.assert_close(each.grad, one.grad, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("shape", [(2, 1, 24, 30), (1, 1, 10, 12, 11)])
def test_robust_lncc_is_one_minus_the_mean_square_of_the_squared_correlation(shape) -> None:
    a = texture(*shape)
    b = 0.6 * a + 0.4 * texture(*shape, seed=1)
    found = float(robust_lncc(a, b, 5))
    assert found == pytest.approx(1 - float(local_correlation(a, b, 5).square().mean()), abs=1e-6)
    assert float(lncc(a, b, 5)) < found < 1
    assert float(robust_lncc(a, a)) == pytest.approx(0, abs=1e-3)


def test_robust_lncc_strives_in_proportion_to_the_correlation_that_there_is() -> None:
    """One half of the image is noise that is not shared: its share of the gradient is less than that of ``lncc``."""
    a = texture(1, 1, 32, 64)
    b = 0.9 * a + 0.1 * texture(1, 1, 32, 64, seed=1)
    b[..., 32:] = texture(1, 1, 32, 32, seed=2)

    def share(measure) -> float:
        moved = b.clone().requires_grad_()
        measure(moved, a, 5).backward()
        left, right = (float(moved.grad[..., part].abs().sum()) for part in (slice(0, 28), slice(36, 64)))
        return right / (left + right)

    assert share(robust_lncc) < 0.5 * share(lncc)


@pytest.mark.parametrize(("gain", "offset"), [(2.0, 0.0), (1.0, 5.0), (-1.0, 1.0), (30.0, -7.0)])
def test_robust_lncc_takes_no_notice_of_brightness_and_contrast(gain, offset) -> None:
    a, b = texture(1, 1, 24, 30), 0.5 * texture(1, 1, 24, 30) + 0.5 * texture(1, 1, 24, 30, seed=1)
    assert float(robust_lncc(gain * a + offset, b)) == pytest.approx(float(robust_lncc(a, b)), rel=2e-3)
