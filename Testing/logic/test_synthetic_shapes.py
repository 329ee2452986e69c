"""Random shapes: from a generator, smooth and invertible flows, contrasts that say nothing of what belongs together."""

import pytest
import torch

from DeepRegLogic import flow
from DeepRegLogic.synthetic import shapes


def drawn(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("size", [(49, 33), (33, 25, 29)])
def test_a_pair_shows_the_same_shapes_in_contrasts_of_their_own(size):
    images, labels = shapes.shape_pair(size, drawn(1))
    again, _ = shapes.shape_pair(size, drawn(1))
    assert torch.equal(images, again)
    assert images.shape == labels.shape == (2, *size)
    assert float(images.min()) >= 0
    assert float(images.max()) <= 1
    common = set(labels[0].unique().tolist()) & set(labels[1].unique().tolist())
    assert 4 <= len(common) <= 20
    # the order of the grey values of the shapes differs, their extent stays alike
    volumes = torch.stack([torch.bincount(each.flatten(), minlength=20) for each in labels]).float()
    assert float(torch.corrcoef(volumes)[0, 1]) > 0.7


def test_a_random_flow_can_be_undone(ndim):
    size = (41, 33) if ndim == 2 else (25, 29, 21)
    for seed in range(5):
        field = shapes.random_flow(size, 1.0, drawn(seed))
        assert not flow.folding(field).any()
        assert 0.2 < float(field.norm(dim=1).max()) < 0.5 * max(size)


def test_an_affine_stays_within_its_limits(ndim):
    for seed in range(20):
        matrix = shapes.random_affine(ndim, 10.0, 0.1, drawn(seed))
        scales = torch.linalg.svdvals(matrix)
        assert float(scales.min()) >= 0.9
        assert float(scales.max()) <= 1.1 + 1e-6
        turn = matrix / matrix.norm(dim=0)
        limit = torch.cos(torch.tensor(10.0 * (ndim - 1)).deg2rad())  # about every axis at once in a volume
        assert float(turn.diagonal().min()) >= float(limit) - 1e-6
    still = shapes.random_affine(ndim, 0.0, 0.0, drawn(0))
    assert torch.allclose(still, torch.eye(ndim))


def test_a_random_curve_keeps_what_is_equal_equal():
    image = torch.linspace(0, 1, 11).repeat(3, 1)
    found = shapes.recolour(image, drawn(2))
    assert torch.equal(found[0], found[1])
    assert float(found.min()) >= 0
    assert float(found.max()) <= 1
    knots = shapes.recolour(torch.linspace(0, 1, 6), drawn(2))
    assert torch.allclose(found[0, ::2], knots, atol=1e-6)  # straight between its knots, which lie every 0.2
    assert torch.allclose(found[0, 1], (knots[0] + knots[1]) / 2, atol=1e-6)


def test_a_scan_of_a_constant_is_finite():
    found = shapes.scan(torch.zeros(16, 16), drawn(0))
    assert bool(found.isfinite().all())
