"""The cine networks: their sizes, their contract, and that VoxelMorph is TLRN without its residual blocks."""

import pytest
import torch
from torch import nn

from DeepRegLogic.networks import NETWORKS, TLRN, UNCERTAINTY, VoxelMorph, build


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def cine(frames: int, *spatial: int, batch: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    images = torch.rand((batch, frames + 1, 1, *spatial), generator=generator)
    return images[:, 0], images[:, 1:]


def awake(network: nn.Module) -> nn.Module:
    """The network with a last layer that is not near zero."""
    nn.init.normal_(network.head.weight, std=0.1, generator=torch.Generator().manual_seed(3))
    return network.eval()


@pytest.mark.parametrize("name", list(NETWORKS))
@torch.inference_mode()
def test_every_network_keeps_the_contract(name: str) -> None:
    torch.manual_seed(0)
    network = build(name).eval()
    reference, moving = cine(3, 48, 40, batch=2)
    found = network.estimate(reference, moving)
    assert found.shape == (6, 2, 48, 40)
    assert found.is_uncertain == (UNCERTAINTY in network.capabilities)
    # the frames of one cine lie side by side
    alone = network.estimate(reference[1:], moving[1:])
    torch.testing.assert_close(found[3:].displacement(), alone.displacement(), atol=1e-4, rtol=1e-3)
    if found.is_uncertain:
        displacement, covariance = found.with_covariance()
        torch.testing.assert_close(displacement, found.displacement(), atol=0.01, rtol=0.01)
        assert bool((torch.linalg.eigvalsh(covariance.movedim((1, 2), (-2, -1))) > 0).all())


def test_the_published_sizes() -> None:
    lemniscate = TLRN(frames=12, norm="batch")
    # the published count of 388 530 has the 2 x 64 x 64 numbers of the sampling grid stored with the weights
    assert count(lemniscate) == 380_338 == 388_530 - 2 * 64 * 64
    assert count(TLRN(frames=7, blocks=3, norm="batch")) == 416_498
    assert count(VoxelMorph()) == 81_458
    assert count(TLRN()) == 81_458 + 29_888


@pytest.mark.parametrize("name", ["tlrn", "voxelmorph"])
@pytest.mark.parametrize(
    ("frames", "spatial"), [(1, (64, 64)), (3, (50, 37)), (2, (2, 2)), (2, (1, 5)), (2, (9, 17, 8)), (4, (3, 40, 21))]
)
def test_any_number_of_frames_and_any_size(name: str, frames: int, spatial: tuple[int, ...]) -> None:
    network = build(name, ndim=len(spatial)).train()
    reference, moving = cine(frames, *spatial)
    velocity = network(reference, moving)
    assert velocity.shape == (1, frames, len(spatial), *spatial)
    assert velocity.dtype == torch.float32
    assert 0 < velocity.abs().max() < 1e-3
    velocity.square().sum().backward()
    # residual blocks have nothing to do for a single frame
    idle = [n for n, p in network.named_parameters() if p.grad is None]
    assert all(n.startswith("temporal") for n in idle)
    assert not idle or frames == 1


@pytest.mark.parametrize("name", ["tlrn", "voxelmorph"])
def test_a_cine_does_not_depend_on_its_neighbours_in_the_batch(name: str) -> None:
    network = awake(build(name)).train()
    reference, moving = cine(4, 24, 32, batch=3)
    together = network(reference, moving)
    for n in range(3):
        torch.testing.assert_close(network(reference[n : n + 1], moving[n : n + 1])[0], together[n])


@pytest.mark.parametrize("name", ["tlrn", "voxelmorph"])
def test_padding_lies_evenly_around_the_image(name: str) -> None:
    network = awake(build(name))
    reference, moving = cine(2, 32, 32)
    whole = network(reference, moving)
    # the border rows are repeated by the padding: two rows less at each end change nothing in these images
    reference[..., :2, :], reference[..., -2:, :] = reference[..., 2:3, :], reference[..., -3:-2, :]
    moving[..., :2, :], moving[..., -2:, :] = moving[..., 2:3, :], moving[..., -3:-2, :]
    whole = network(reference, moving)
    torch.testing.assert_close(network(reference[..., 2:-2, :], moving[..., 2:-2, :]), whole[..., 2:-2, :])


def test_time_flows_forward_through_tlrn_and_not_through_voxelmorph() -> None:
    reference, moving = cine(4, 32, 32)
    changed = moving.clone()
    changed[:, 1] = 1 - changed[:, 1]
    moved = {}
    for name in ("tlrn", "voxelmorph"):
        network = awake(build(name))
        difference = (network(reference, moving) - network(reference, changed)).abs().amax((0, 2, 3, 4))
        moved[name] = [bool(d > 1e-6) for d in difference]
    assert moved == {"tlrn": [False, True, True, True], "voxelmorph": [False, True, False, False]}


def test_the_shared_block_equals_separate_blocks_with_the_same_weights() -> None:
    shared, separate = TLRN(blocks=2), TLRN(frames=5, blocks=2)
    weights = shared.state_dict()
    for t in (1, 2):
        weights |= {k.replace("temporal.0.", f"temporal.{t}."): v for k, v in weights.items() if "temporal.0." in k}
    separate.load_state_dict(weights)
    reference, moving = cine(4, 32, 32)
    torch.testing.assert_close(separate(reference, moving), shared(reference, moving))


def test_voxelmorph_is_tlrn_without_residual_blocks() -> None:
    tlrn, voxelmorph = awake(TLRN()), awake(VoxelMorph())
    sources = [m for m in tlrn.modules() if isinstance(m, nn.Conv2d)]
    sources = [m for m in sources if not any(m is r for block in tlrn.temporal for r in block.modules())]
    targets = [m for m in voxelmorph.modules() if isinstance(m, nn.Conv2d)]
    # the head is registered first in both; behind it the convolutions follow in the order of computation
    for source, target in zip(sources, targets, strict=True):
        weight = source.weight.data
        skip = weight.shape[1] - 32
        if source in [layer[0] for layer in [*tlrn.decoder, *tlrn.remaining]] and skip > 0:
            weight = torch.cat([weight[:, 32:], weight[:, :32]], dim=1)  # ours is (up, skip), MONAI's (skip, up)
        target.weight.data, target.bias.data = weight, source.bias.data
    # a single frame passes TLRN's recurrence untouched
    reference, moving = cine(1, 64, 64, batch=3)
    expected = tlrn(reference, moving)
    assert expected.abs().max() > 1e-3
    torch.testing.assert_close(voxelmorph(reference, moving), expected)


@pytest.mark.parametrize("frames", [5, 12])
def test_the_published_form_refuses_another_number_of_frames(frames: int) -> None:
    network = TLRN(frames=12, norm="batch").eval()
    assert network(*cine(11, 16, 16)).shape == (1, 11, 2, 16, 16)
    with pytest.raises(ValueError, match=rf"built for 12 frames with the reference, not {frames + 1}"):
        network(*cine(frames, 16, 16))


@pytest.mark.parametrize(
    ("reference", "frames"),
    [((1, 1, 16, 16), (1, 2, 1, 16, 8)), ((2, 1, 16, 16), (1, 2, 1, 16, 16)), ((1, 1, 8, 8, 8), (1, 2, 1, 8, 8, 8)),
     ((1, 2, 16, 16), (1, 2, 1, 16, 16)), ((1, 1, 16, 16), (1, 1, 16, 16))],
)  # fmt: skip
def test_shapes_that_do_not_fit(reference: tuple[int, ...], frames: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="do not fit a network of 2 spatial axes"):
        TLRN()(torch.zeros(reference), torch.zeros(frames))


def test_the_registry_names_what_it_does_not_have() -> None:
    with pytest.raises(ValueError, match=r"no network 'unet'; there are .*tlrn, voxelmorph"):
        build("unet")
    with pytest.raises(ValueError, match=r"cannot be built with \{'depth': 3\}"):
        build("tlrn", depth=3)
    with pytest.raises(ValueError, match="2 or 3 spatial axes"):
        build("tlrn", ndim=4)
    with pytest.raises(ValueError, match="at least one block"):
        build("tlrn", blocks=0)
    with pytest.raises(ValueError, match="normalisation"):
        build("tlrn", norm="layer")


def test_mixed_precision_leaves_the_velocity_in_full() -> None:
    network = awake(TLRN())
    reference, moving = cine(3, 32, 32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        velocity = network(reference, moving)
    assert velocity.dtype == torch.float32
    assert (velocity - velocity.bfloat16().float()).abs().max() > 0
