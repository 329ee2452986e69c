"""Networks for pairs: what the papers count, and what each promises of its two directions."""

import pytest
import torch
from made_fields import smooth_field
from torch import nn

from DeepRegLogic import flow
from DeepRegLogic.networks import build
from DeepRegLogic.networks.transmorph import cubic_spline
from DeepRegLogic.transformations import VelocitySteps


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def pair(*spatial: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.rand(2, 1, 1, *spatial, generator=torch.Generator().manual_seed(seed))
    return images[0], images[1]


@pytest.mark.parametrize("size", [(40, 29), (21, 18, 26)])
@torch.inference_mode()
def test_the_symmetric_pyramid_gives_the_inverse_when_the_images_swap(size):
    torch.manual_seed(1)
    network = build("symmetric-pyramid", ndim=len(size), channels=(4, 8, 8))
    for step in network.steps:
        nn.init.normal_(step.head.weight, std=0.1)
    a, b = pair(*size)
    there, back = network.estimate(a, b[:, None]), network.estimate(b, a[:, None])
    assert float(there.field.abs().max()) > 0.2
    torch.testing.assert_close(there.field, -back.field, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(there.inverse(), back.displacement(), atol=1e-3, rtol=1e-3)
    assert float(network.estimate(a, a[:, None]).field.abs().max()) < 1e-6


@pytest.mark.parametrize(
    ("name", "arguments", "parameters"),
    [
        ("transmorph", {"ndim": 3, "size": "tiny"}, 244_527),
        ("transmorph", {"ndim": 3, "size": "small"}, 11_757_195),
        ("transmorph", {"ndim": 3, "size": "base"}, 46_771_251),
        ("transmorph", {"ndim": 3, "size": "large"}, 108_343_907),
        ("transmorph", {"ndim": 2, "size": "tiny"}, 136_730),
        ("transmorph", {"ndim": 2, "size": "small"}, 7_776_650),
        ("transmorph", {"ndim": 2, "size": "base"}, 31_013_570),
        ("transmorph", {"ndim": 2, "size": "large"}, 80_319_954),
        ("transmorph-tvf", {"ndim": 3, "size": "large", "steps": 8}, 108_611_336),
        ("transmorph-tvf", {"ndim": 3, "size": "large", "steps": 12}, 108_989_780),
        # the published 1 077 472 less 264: the widths of the pyramid are not published
        ("dccnn-lstm", {"ndim": 3, "steps": 4}, 1_077_472 - 264),
        ("dccnn-lstm", {"ndim": 3, "steps": 1}, 767_224 - 264),
    ],
)
def test_the_published_sizes(name, arguments, parameters):
    with torch.device("meta"):  # nothing is allocated
        assert count(build(name, **arguments)) == parameters


def test_a_cascade_index_of_the_cells_has_the_published_size():
    with torch.device("meta"):
        assert sum(count(cells[0]) for cells in build("dccnn-lstm", ndim=3).cells) == 103_416


def wake(network: nn.Module, std: float) -> nn.Module:
    """The network in evaluation, with last layers that are not near zero."""
    generator = torch.Generator().manual_seed(3)
    for name, module in network.named_modules():
        if name.endswith("head"):
            nn.init.normal_(module.weight, std=std, generator=generator)
    return network.eval()


@torch.inference_mode()
def test_symmetric_networks_swap_their_fields_when_the_images_swap():
    torch.manual_seed(0)
    for name, arguments in (
        ("symnet", {"channels": [4, 8], "final": [4]}),
        ("dccnn-lstm", {"steps": 2, "widths": [2, 2, 2, 2], "features": [4, 4, 2, 2, 2]}),
    ):
        network = wake(build(name, **arguments), 0.3)
        a, b = pair(32, 48)
        there, back = network.estimate(a, b[:, None]), network.estimate(b, a[:, None])
        assert float(there.displacement().abs().max()) > 0.01, name
        torch.testing.assert_close(there.displacement(), back.inverse(), atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(there.inverse(), back.displacement(), atol=1e-5, rtol=1e-4)


@torch.inference_mode()
def test_the_steps_of_a_time_varying_field_are_composed_in_the_order_in_which_they_were_seen():
    torch.manual_seed(0)
    network = wake(build("transmorph-tvf", size="tiny", steps=3), 0.05)
    a, b = pair(64, 64)
    found = network.estimate(a, b[:, None])
    assert isinstance(found, VelocitySteps)
    assert found.velocities.shape == (3, 1, 2, 64, 64)
    # head k sees what the heads before it have warped, and its flow comes before theirs
    third, second, first = (flow.exp(velocity) for velocity in found.velocities)
    torch.testing.assert_close(found.displacement(), flow.compose(first, flow.compose(second, third)))
    summed = wake(build("transmorph-tvf", size="tiny", steps=3, integration="sum"), 0.05)
    summed.load_state_dict(network.state_dict())
    assert not isinstance(summed.estimate(a, b[:, None]), VelocitySteps)
    with pytest.raises(ValueError, match="composition or sum, not 'product'"):
        build("transmorph-tvf", integration="product")


@torch.inference_mode()
def test_eight_steps_of_three_voxels_are_the_flow_of_the_equation_and_can_be_undone():
    velocities = torch.stack([smooth_field((64, 64), 3.0, sigma=8.0, seed=k) for k in range(8)])
    steps = VelocitySteps(velocities)
    points = flow.identity((64, 64))[None]
    moved = points.clone()
    for velocity in velocities:  # Runge and Kutta's fourth order, 100 steps an interval
        for _ in range(100):
            k1 = flow.warp(velocity, moved - points)
            k2 = flow.warp(velocity, moved + 0.005 * k1 - points)
            k3 = flow.warp(velocity, moved + 0.005 * k2 - points)
            k4 = flow.warp(velocity, moved + 0.01 * k3 - points)
            moved = moved + 0.01 * (k1 + 2 * k2 + 2 * k3 + k4) / 6
    inside = (..., slice(16, 48), slice(16, 48))
    error = (steps.displacement() - (moved - points))[inside].norm(dim=1)
    assert float(error.mean()) < 0.03
    round_trip = flow.compose(steps.inverse(), steps.displacement())[inside].norm(dim=1)
    assert float(round_trip.mean()) < 0.05
    assert not flow.folding(steps.displacement())[inside].any()


def test_a_spline_of_equal_control_points_is_constant_and_of_a_line_a_line():
    matrix = cubic_spline(32, 8)
    torch.testing.assert_close(matrix.sum(1), torch.ones(32, dtype=torch.float64))
    line = matrix @ torch.arange(8, dtype=torch.float64)
    torch.testing.assert_close(line[8:24].diff(), torch.full((15,), 0.25, dtype=torch.float64))


@torch.inference_mode()
def test_a_conditional_network_listens_to_its_smoothness():
    torch.manual_seed(0)
    network = wake(build("conditional", channels=[4, 8]), 0.1)
    a, b = pair(24, 24)
    found = []
    for smoothness in (0.0, 1.0):
        network.smoothness = smoothness
        found.append(network.estimate(a, b[:, None]).field)
    assert float((found[0] - found[1]).abs().max()) > 1e-4


@torch.inference_mode()
def test_a_cascade_of_one_is_its_network():
    torch.manual_seed(0)
    network = wake(build("cascade", arguments={"channels": [4, 4], "final": [4]}, count=1), 0.1)
    a, b = pair(24, 24)
    alone = network.cascades[0].estimate(a, b[:, None])
    torch.testing.assert_close(network.estimate(a, b[:, None]).velocities[0], alone.velocity)
