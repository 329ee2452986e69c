"""What makes a motion plausible, against analytic values."""

import pytest
import torch

from DeepRegLogic.regularisers import bending, diffusion, elastic, temporal_bending


def test_diffusion_of_a_linear_field() -> None:
    y, x = torch.meshgrid(torch.arange(10.0), torch.arange(12.0), indexing="ij")
    field = torch.stack([0.3 * y, 0.5 * x])[None].repeat(2, 1, 1, 1)
    # along rows (0.3^2 + 0) / 2, along columns (0 + 0.5^2) / 2, and their mean
    assert float(diffusion(field)) == pytest.approx((0.09 / 2 + 0.25 / 2) / 2)
    # slopes of a component along its own axis have no unit; a shear of voxels does where they are longer along one axis
    assert float(diffusion(field, (1.5, 3.0))) == pytest.approx((0.09 / 2 + 0.25 / 2) / 2)
    shear = torch.stack([0.4 * x, 0 * y])[None]
    assert float(diffusion(shear, (1.5, 3.0))) == pytest.approx((0.4 * 1.5 / 3.0) ** 2 / 4)
    assert float(diffusion(torch.full((1, 3, 4, 5, 6), 2.0))) == 0


def test_temporal_bending_of_straight_and_parabolic_time_courses() -> None:
    time = torch.arange(6.0).view(1, 6, 1, 1, 1)
    ones = torch.ones(2, 6, 2, 4, 4)
    assert float(temporal_bending(3 * time * ones)) == pytest.approx(0, abs=1e-9)
    # second difference of t^2 is 2 in each of two components
    assert float(temporal_bending(time**2 * ones)) == pytest.approx(8)
    assert float(temporal_bending(ones[:, :2])) == 0
    # closing the loop 0 1 2 3 4 5 (0): a jump of -6 at both ends, of six second differences, two components
    assert float(temporal_bending(time * ones, cyclic=True)) == pytest.approx(2 * (36 + 36) / 6)


def turning(spacing: tuple[float, float]) -> torch.Tensor:
    """The velocity of a turn by 0.1 a unit of time, in voxels of such lengths."""
    y, x = torch.meshgrid(torch.arange(10.0), torch.arange(12.0), indexing="ij")
    return 0.1 * torch.stack([-x * spacing[1] / spacing[0], y * spacing[0] / spacing[1]])[None]


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (2.0, 1.0), (1.0, 3.0)])
def test_bending_and_elasticity_leave_turning_free(spacing: tuple[float, float]) -> None:
    field = turning(spacing)
    assert float(diffusion(field, spacing)) > 1e-3
    assert float(bending(field, spacing)) == pytest.approx(0, abs=1e-9)
    assert float(elastic(field, spacing)) == pytest.approx(0, abs=1e-9)


def test_elasticity_of_a_stretch_and_of_a_shear() -> None:
    y, x = torch.meshgrid(torch.arange(10.0), torch.arange(12.0), indexing="ij")
    stretch, shear = torch.stack([0.1 * y, 0 * x])[None], torch.stack([0.1 * x, 0 * y])[None]
    # one strain of 0.1 and its trace, halved; two strains of 0.05 and no trace; a mean over 2 x 2 strains
    assert float(elastic(stretch)) == pytest.approx(1.5 * 0.1**2 / 4)
    assert float(elastic(shear)) == pytest.approx(2 * 0.05**2 / 4)


def test_bending_is_the_mean_square_of_all_second_derivatives() -> None:
    y, x = torch.meshgrid(torch.arange(10.0), torch.arange(12.0), indexing="ij")
    # of the first component, d2/dxdy and d2/dydx are 0.2; of the second, d2/dx2 is 0.6
    field = torch.stack([0.2 * x * y, 0.3 * x**2])[None]
    assert float(bending(field)) == pytest.approx((2 * 0.2**2 + 0.6**2) / (2 * 4))
    assert float(bending(field[..., :2])) == pytest.approx(2 * 0.2**2 / 8)  # two columns do not bend
