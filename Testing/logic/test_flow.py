"""Flow: what fields do, against analytic truth and against SimpleITK."""

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_fields import smooth_field
from made_geometry import rotation
from scipy.ndimage import gaussian_filter1d, uniform_filter1d

from DeepRegLogic import Grid, flow


@pytest.mark.parametrize("shape", [(17, 33), (9, 12, 15)])
@pytest.mark.parametrize("mode", ["linear", "nearest"])
def test_identity_is_identity_to_the_last_voxel(shape, mode):
    image = torch.rand(2, 3, *shape, generator=torch.Generator().manual_seed(1))
    warped = flow.warp(image, torch.zeros(2, len(shape), *shape), mode)
    assert (warped - image).abs().max() < 1e-5


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("padding", ["border", "zeros"])
@pytest.mark.parametrize("shape", [(32, 32), (8, 10, 12)])
def test_a_displacement_that_is_not_finite_gives_nan_there_and_no_gradient(shape, padding, bad):
    """torch alone gives a number, and the gradient crashes the interpreter."""
    image = torch.rand(2, 1, *shape, requires_grad=True)
    field = torch.zeros(2, len(shape), *shape)
    there = (1, 0, *(n // 2 for n in shape))
    field[there] = bad
    field.requires_grad_()
    warped = flow.warp(image, field, padding=padding)
    expected = torch.ones(2, *shape, dtype=torch.bool)
    expected[(1, *there[2:])] = False
    assert (warped[:, 0].isfinite() == expected).all()
    assert torch.allclose(warped[:, 0][expected], image[:, 0][expected], atol=1e-5)
    warped.nan_to_num().sum().backward()
    assert image.grad.isfinite().all()
    assert field.grad.isfinite().all()
    places = torch.tensor([[bad] * len(shape), [1.0] * len(shape)])
    assert flow.sample(torch.rand(1, 2, *shape), places).isnan()[0].tolist() == [[True, False], [True, False]]


@pytest.mark.parametrize("shape", [(20, 30), (8, 10, 12)])
def test_a_whole_shift_moves_every_voxel(shape):
    image = torch.rand(1, 1, *shape)
    for axis in range(len(shape)):
        shift = torch.zeros(1, len(shape), *shape)
        shift[:, axis] = 2
        expected = image.index_select(axis + 2, (torch.arange(shape[axis]) + 2).clamp(max=shape[axis] - 1))
        assert (flow.warp(image, shift) - expected).abs().max() < 1e-5


def test_a_shift_of_6_4_3_mm_is_found_in_an_oblique_anisotropic_left_handed_grid():
    direction = rotation(0.5, -0.3, 0.2) @ np.diag([1, 1, -1])
    fixed = Grid((26, 24, 20), (1.5, 1.8, 4.0), (-40, 12, 7), tuple(direction.ravel()))
    shift = np.array([6.0, -4.0, 3.0])

    def pattern(points):
        return np.sin(points @ [0.11, 0.07, 0.05]) + np.cos(points @ [-0.04, 0.09, 0.06])

    index = np.moveaxis(np.indices(fixed.shape, dtype=float), 0, -1)
    points = fixed.voxel_to_mm(index)
    moving = torch.from_numpy(pattern(points - shift))[None, None]
    millimetres = np.broadcast_to(shift.reshape(3, 1, 1, 1), (3, *fixed.shape))
    displacement = torch.from_numpy(flow.from_mm(millimetres, fixed))[None]
    assert np.allclose(flow.to_mm(displacement[0], fixed).numpy(), millimetres)
    warped = flow.warp(moving, displacement)[0, 0].numpy()
    inside = (slice(5, -5),) * 3
    assert np.abs(warped - pattern(points))[inside].max() < 0.03  # linear interpolation of the pattern
    unmoved = np.abs(moving[0, 0].numpy() - pattern(points))[inside].max()
    assert unmoved > 0.5


def test_a_slice_keeps_its_through_plane_component_at_zero():
    grid = Grid((12, 10, 1), (2, 3, 8))
    field = torch.randn(4, 2, 10, 12)
    millimetres = flow.to_mm(field, grid)
    assert millimetres.shape == (4, 3, 10, 12)
    assert millimetres[:, 2].abs().max() == 0
    assert torch.allclose(millimetres[:, 0], 2 * field[:, 1])
    assert torch.allclose(millimetres[:, 1], 3 * field[:, 0])
    assert torch.allclose(flow.from_mm(millimetres, grid), field, atol=1e-5)


@pytest.mark.parametrize(("shape", "tolerance"), [((40, 50), 1e-4), ((16, 20, 24), 1e-4)])
def test_warping_agrees_with_simpleitk(shape, tolerance):
    generator = torch.Generator().manual_seed(3)
    image = torch.rand(1, 1, *shape, generator=generator)
    field = smooth_field(shape, 3.0, sigma=3.0, seed=4, border=False)
    turn = np.array([[0.8, -0.6], [0.6, 0.8]]) if len(shape) == 2 else rotation(0.3, 0.4, -0.2)
    spacing = (1.5, 0.7, 4.0)[: len(shape)]

    def placed(array, vector=False):
        result = sitk.GetImageFromArray(array.astype(np.float64), isVector=vector)
        result.SetSpacing(spacing)
        result.SetDirection(turn.ravel())
        result.SetOrigin((5.0, -6.0, 7.0)[: len(shape)])
        return result

    vectors = np.moveaxis(field[0].numpy()[::-1], 0, -1) * spacing @ turn.T
    transform = sitk.DisplacementFieldTransform(placed(vectors, vector=True))
    source = placed(image[0, 0].numpy())
    expected = sitk.GetArrayFromImage(sitk.Resample(source, source, transform, sitk.sitkLinear, -1.0))
    ours = flow.warp(image, field)[0, 0].numpy()
    inside = expected > -0.5  # SimpleITK has a background, we continue the border
    assert inside.mean() > 0.8
    assert np.abs(ours - expected)[inside].max() < tolerance


@pytest.mark.parametrize("shape", [(32, 40), (10, 12, 14)])
def test_a_constant_velocity_integrates_to_itself_up_to_the_border(shape):
    velocity = torch.ones(1, len(shape), *shape) * torch.tensor([1.5, -2.0, 0.7][: len(shape)]).view(
        1, -1, *[1] * len(shape)
    )
    assert (flow.exp(velocity) - velocity).abs().max() < 1e-5
    assert (flow.integrate(torch.stack([velocity, velocity])) - 2 * velocity).abs().max() < 1e-5


def test_exp_of_a_linear_velocity_is_the_matrix_exponential():
    centre = (flow.identity((41, 41)) - 20)[None]
    velocity = 0.2 * torch.stack([-centre[:, 1], centre[:, 0]], dim=1)
    angle = torch.tensor(0.2)
    turned = torch.stack(
        [
            angle.cos() * centre[:, 0] - angle.sin() * centre[:, 1],
            angle.sin() * centre[:, 0] + angle.cos() * centre[:, 1],
        ],
        dim=1,
    )
    error = (flow.exp(velocity) - (turned - centre)).norm(dim=1)
    assert error[:, 10:31, 10:31].max() < 0.01


@pytest.mark.parametrize(("shape", "sigma"), [((160, 160), 16.0), ((112, 112, 112), 20.0)])
def test_exp_of_minus_v_undoes_exp_of_v(shape, sigma):
    velocity = smooth_field(shape, 10.0, sigma=sigma, seed=5)
    assert velocity.abs().max() > 9.9
    there, back = flow.exp(velocity), flow.exp(-velocity)
    assert flow.compose(back, there).norm(dim=1).max() < 0.05
    assert flow.compose(there, back).norm(dim=1).max() < 0.05


@given(st.integers(0, 10_000), st.floats(0.5, 6.0), st.floats(10.0, 14.0))
@settings(max_examples=25, deadline=None)
def test_exponentials_of_smooth_velocities_are_diffeomorphisms(seed, amplitude, sigma):
    velocity = smooth_field((80, 96), amplitude, sigma=sigma, seed=seed)
    there, back = flow.exp(velocity), flow.exp(-velocity)
    assert flow.compose(back, there).norm(dim=1).max() < 0.05
    assert not flow.folding(there).any()
    assert not flow.folding(back).any()
    assert (flow.jacobian_determinant(there) > 0).all()
    # half the velocity twice is the whole velocity
    half = flow.exp(velocity / 2)
    assert (flow.compose(half, half) - there).norm(dim=1).max() < 0.02


def test_an_ordered_flow_is_undone_by_its_inverse_and_depends_on_the_order():
    velocities = torch.stack([smooth_field((96, 96), 3.0, sigma=12.0, seed=s) for s in (1, 2, 3)])
    there, back = flow.integrate(velocities), flow.integrate(-velocities.flip(0))
    assert flow.compose(back, there).norm(dim=1).max() < 0.05
    first, second, third = (flow.exp(v, 4) for v in velocities)
    assert torch.allclose(there, flow.compose(third, flow.compose(second, first)), atol=1e-5)
    assert (flow.integrate(velocities.flip(0)) - there).norm(dim=1).max() > 0.1


def test_a_given_displacement_is_inverted_and_the_residual_reported():
    displacement = torch.cat([flow.exp(smooth_field((120, 120), 10.0, sigma=14.0, seed=s)) for s in (0, 1)])
    inverse, residual = flow.invert(displacement)
    assert residual.max() < 0.01
    assert flow.compose(displacement, inverse).norm(dim=1).max() < 0.011


def test_a_folding_displacement_has_a_residual():
    displacement = smooth_field((64, 64), 12.0, sigma=3.0, seed=2)
    assert flow.folding(displacement).any()
    _, residual = flow.invert(displacement)
    assert residual.max() > 0.5


@pytest.mark.parametrize("ndim", [2, 3])
def test_the_jacobian_of_an_affine_map_is_its_determinant(ndim):
    matrix = torch.tensor([[0.10, 0.05, -0.02], [-0.03, -0.20, 0.04], [0.01, 0.02, 0.30]])[:ndim, :ndim]
    x = flow.identity((9, 11, 13)[:ndim])
    displacement = torch.einsum("ij,j...->i...", matrix, x)[None]
    expected = torch.linalg.det(torch.eye(ndim) + matrix)
    assert torch.allclose(flow.jacobian_determinant(displacement), expected, atol=1e-4)


def test_the_jacobian_of_a_wave():
    x = flow.identity((64, 64))
    k = 2 * torch.pi / 32
    displacement = torch.stack([2 * torch.sin(k * x[0]), torch.zeros(64, 64)])[None]
    expected = 1 + 2 * k * torch.cos(k * x[0])
    assert (flow.jacobian_determinant(displacement)[0] - expected)[1:-1].abs().max() < 0.01


def test_folding_sees_what_central_differences_miss():
    x = flow.identity((32, 32))
    zigzag = torch.stack([0.6 * (x[0] % 2), torch.zeros(32, 32)])[None]
    assert (flow.jacobian_determinant(zigzag)[..., 1:-1, :] > 0).all()
    assert not flow.folding(zigzag).any()
    assert flow.folding(2 * zigzag).float().mean() > 0.9
    assert (flow.jacobian_determinant(2 * zigzag)[..., 1:-1, :] > 0).all()
    assert flow.folding(torch.zeros(1, 3, 5, 6, 7)).sum() == 0


@pytest.mark.parametrize(("shape", "new"), [((33, 41), (17, 81)), ((9, 11, 13), (17, 11, 7))])
def test_resizing_rescales_the_vectors(shape, new):
    # a linear field keeps its meaning: corner to corner in relative coordinates
    x = flow.identity(shape)
    field = 0.1 * x[None]
    scale = torch.tensor([(m - 1) / (n - 1) for n, m in zip(shape, new, strict=True)]).view(1, -1, *[1] * len(shape))
    resized = flow.resize(field, new)
    assert torch.allclose(resized, 0.1 * flow.identity(new)[None], atol=1e-4)
    assert torch.allclose(resized.amax(), (field * scale).amax(), atol=1e-4)


def test_shrinking_an_image_does_not_alias():
    stripes = (torch.arange(128) % 2).float().expand(1, 1, 128, 128).contiguous()
    small = flow.resize_image(stripes, (32, 32))
    assert (small[..., 4:-4] - 0.5).abs().max() < 0.05
    constant = torch.full((1, 1, 40, 40), 3.0)
    assert torch.allclose(flow.resize_image(constant, (13, 29)), torch.full((1, 1, 13, 29), 3.0))


@pytest.mark.parametrize("shape", [(12, 14), (6, 7, 8)])
def test_gradients_flow_through_warp_and_exp(shape):
    velocity = (0.5 * torch.randn(1, len(shape), *shape, dtype=torch.float64)).requires_grad_()
    image = torch.rand(1, 1, *shape, dtype=torch.float64)
    direction = torch.randn(velocity.shape, dtype=torch.float64)

    def energy(v):
        return flow.warp(image, flow.exp(v, 3)).square().sum()

    (gradient,) = torch.autograd.grad(energy(velocity), velocity)
    step = 1e-6
    with torch.no_grad():
        numeric = (energy(velocity + step * direction) - energy(velocity - step * direction)) / (2 * step)
    assert torch.isclose((gradient * direction).sum(), numeric, rtol=1e-3)


def test_what_is_cached_in_inference_mode_serves_training():
    shape = (23, 29)
    with torch.inference_mode():
        flow.smooth(flow.exp(torch.zeros(1, 2, *shape)), 1.7)
    velocity = torch.zeros(1, 2, *shape, requires_grad=True)
    flow.smooth(flow.exp(velocity), 1.7).sum().backward()
    assert velocity.grad is not None


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="needs shape"):
        flow.exp(torch.zeros(1, 3, 8, 8))
    with pytest.raises(ValueError, match="cannot be warped"):
        flow.warp(torch.zeros(1, 1, 8, 9), torch.zeros(1, 2, 8, 8))


@pytest.mark.parametrize("axis", [0, 1, 2, 3])
def test_a_matrix_along_an_axis_is_a_product_there_and_nowhere_else(axis):
    values = torch.randn(3, 4, 5, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    matrix = torch.randn(7, values.shape[axis], generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    expected = np.moveaxis(np.tensordot(matrix.numpy(), values.numpy(), (1, axis)), 0, axis)
    np.testing.assert_allclose(flow.along(matrix, values, axis).numpy(), expected, rtol=1e-12, atol=1e-12)
    strange = values.permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0)  # of another order in memory
    np.testing.assert_allclose(flow.along(matrix, strange, axis).numpy(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("n", "width"), [(12, 5), (12, 1), (3, 9), (1, 5), (40, 39)])
def test_means_over_a_window_are_of_the_elements_inside(n, width):
    values = np.random.default_rng(0).normal(size=n)
    expected = [values[max(0, i - width // 2) : i + width // 2 + 1].mean() for i in range(n)]
    found = flow.mean_matrix(n, width).double().numpy() @ values
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    if n > width:  # away from the ends, where scipy goes on with other values
        inside = slice(width // 2, n - width // 2)
        np.testing.assert_allclose(found[inside], uniform_filter1d(values, width)[inside], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(21, 34), (9, 1, 16)])
@pytest.mark.parametrize("sigma", [0.2, 1.0, 1.5, 4.0, 30.0])
def test_smoothing_agrees_with_scipy_however_far_it_reaches_over_the_border(shape, sigma):
    values = torch.randn(2, 3, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    radius = max(int(3 * sigma + 0.5), 1)
    expected = values.numpy()
    for axis, n in enumerate(shape, start=2):
        if n > 1:
            expected = gaussian_filter1d(expected, sigma, axis, mode="nearest", truncate=radius / sigma)
    np.testing.assert_allclose(flow.smooth(values, sigma).numpy(), expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(flow.smooth(values.float(), sigma).numpy(), expected, rtol=1e-4, atol=1e-5)


def test_smoothing_has_a_sigma_an_axis_and_none_where_it_is_zero():
    values = torch.randn(1, 2, 12, 15, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = gaussian_filter1d(values.numpy(), 2.0, 3, mode="nearest", truncate=3.0)
    np.testing.assert_allclose(flow.smooth(values, (0.0, 2.0)).numpy(), expected, rtol=1e-9, atol=1e-12)
    assert torch.equal(flow.smooth(values, 0), values)
