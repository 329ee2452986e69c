"""What makes images alike, against analytic values and against MONAI."""

import math

import numpy as np
import pytest
import torch

from DeepRegLogic.similarities import SIMILARITIES, lncc, local_correlation, local_likelihood, mse


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


def directly(moved: np.ndarray, fixed: np.ndarray, widths: tuple[int, ...], floor: float) -> float:
    """The local likelihood, window by window: what the best line through its voxels leaves, over the noise."""
    noise = 0.1 * np.sqrt(floor)
    values = []
    for place in np.ndindex(*moved.shape):
        window = tuple(slice(max(0, i - w // 2), i + w // 2 + 1) for i, w in zip(place, widths, strict=True))
        a, b = moved[window].ravel(), fixed[window].ravel()
        # a line whose slope has a prior around zero, as if 0.1 noise were added to the variance of the moved image
        slope = np.mean((a - a.mean()) * (b - b.mean())) / (a.var() + 0.1 * noise)
        left = b.var() - slope * np.mean((a - a.mean()) * (b - b.mean()))
        values.append(0.5 * np.log1p(max(left, 0) / noise))
    return float(np.mean(values))


@pytest.mark.parametrize(("shape", "window"), [((11, 9), 5), ((11, 9), (3, 7)), ((4, 8, 7), 5), ((4, 8, 7), (1, 5, 3))])
@pytest.mark.parametrize("floor", [1e-5, 1e-7])
def test_local_likelihood_is_that_of_a_line_in_every_window(shape, window, floor) -> None:
    moved, fixed = texture(*shape, seed=2), 0.3 * texture(*shape, seed=2) + 0.2 * texture(*shape, seed=3)
    widths = (window,) * len(shape) if isinstance(window, int) else window
    expected = directly(moved.double().numpy(), fixed.double().numpy(), widths, floor)
    found = local_likelihood(moved[None, None], fixed[None, None], window, floor)
    assert float(found) == pytest.approx(expected, rel=1e-4)


def test_a_line_leaves_less_than_noise_and_of_a_sum_of_two_slopes_one() -> None:
    """In a window of 3 x 3 a slope along rows and one along columns are uncorrelated, each of the variance 2 / 3."""
    rows, columns = (ramp[None, None].float() for ramp in torch.meshgrid(*[torch.arange(3)] * 2, indexing="ij"))
    # the prior of the slope holds it back: of a slope of 2 it leaves 2^2 tenths of the noise
    assert float(local_likelihood(rows, 5 - 2 * rows, (5, 5))) == pytest.approx(0.5 * math.log1p(0.4), rel=1e-3)
    # a window of 5 x 5 holds all of the image, wherever it is; s is 0.1
    found = local_likelihood(rows, rows + columns, (5, 5), floor=1.0)
    left = 4 / 3 - (2 / 3) ** 2 / (2 / 3 + 0.01)
    assert float(found) == pytest.approx(0.5 * math.log1p(left / 0.1), rel=1e-5)


def test_local_likelihood_of_equal_images_is_zero_up_to_noise() -> None:
    a = texture(1, 1, 32, 32)
    clean, floor = float(local_likelihood(a, a)), 1e-7
    assert clean == pytest.approx(0.5 * math.log1p(0.1), rel=0.01)  # a tenth of the noise, of the prior of the slope
    assert float(local_likelihood(0.001 * a, 0.001 * a)) < 0.1 * clean  # and less where there is nothing but noise
    # noise of the variance s costs about log(1 + 1) / 2 a window, less what a line of 25 voxels follows of it
    noise = torch.randn(a.shape, generator=torch.Generator().manual_seed(4)) * (0.1 * floor**0.5) ** 0.5
    assert float(local_likelihood(a, a + noise, floor=floor)) == pytest.approx(math.log(2) / 2, rel=0.1)
    assert clean < 0.05 * float(local_likelihood(a, texture(1, 1, 32, 32, seed=1)))


@pytest.mark.parametrize(("gain", "offset"), [(2.0, 0.0), (1.0, 5.0), (-1.0, 1.0), (30.0, -7.0)])
def test_local_likelihood_takes_no_notice_of_brightness_and_contrast_of_the_moved_image(gain, offset) -> None:
    a, b = texture(1, 1, 24, 30), 0.5 * texture(1, 1, 24, 30) + 0.5 * texture(1, 1, 24, 30, seed=1)
    assert float(local_likelihood(gain * a + offset, b)) == pytest.approx(float(local_likelihood(a, b)), rel=2e-3)
    assert float(local_likelihood(a, b + offset)) == pytest.approx(float(local_likelihood(a, b)), rel=2e-3)


def test_local_likelihood_takes_no_notice_of_a_brightness_that_changes_from_place_to_place() -> None:
    a, b = texture(1, 1, 48, 48), texture(1, 1, 48, 48, seed=1)
    left = torch.linspace(0, 1, 48)
    shaded = (1.0 + left) * a + 0.5 * left[:, None]  # by half of a window's contrast over the whole image
    alike, unlike = float(local_likelihood(shaded, a, floor=1e-5)), float(local_likelihood(b, a, floor=1e-5))
    plain = float(local_likelihood(torch.full_like(a, 0.5), a, floor=1e-5))
    assert alike < 0.3 * unlike
    assert unlike == pytest.approx(plain, rel=0.05)  # another texture tells as little as none


def test_local_likelihood_weighs_a_window_by_its_contrast_over_the_noise() -> None:
    a, b = texture(1, 1, 24, 24), texture(1, 1, 24, 24, seed=1)
    values = [float(local_likelihood(scale * a, scale * b)) for scale in (1e-3, 0.01, 0.1, 1.0)]
    assert values[0] < 0.01
    assert values == sorted(values)
    # ten times the contrast: a hundred times the variance that is left, far above the noise
    assert values[3] - values[2] == pytest.approx(math.log(10), rel=0.02)
    # in another unit, with the noise in it
    assert float(local_likelihood(7 * a, 7 * b, floor=7**4 * 1e-7)) == pytest.approx(values[3], rel=1e-4)


@pytest.mark.parametrize("which", ["moved", "fixed", "both"])
def test_gradients_of_local_likelihood_are_finite_where_images_are_constant(which: str) -> None:
    flat, other = torch.full((3, 1, 16, 16), 0.7), texture(3, 1, 16, 16)
    moved = (other if which == "fixed" else flat).clone().requires_grad_()
    fixed = (other if which == "moved" else flat).clone().requires_grad_()
    loss = local_likelihood(moved, fixed)
    loss.backward()
    assert bool(loss.isfinite())
    assert bool(moved.grad.isfinite().all())
    assert bool(fixed.grad.isfinite().all())
    if which != "moved":
        assert float(loss.detach()) == pytest.approx(0, abs=1e-6)  # there is nothing to be explained
