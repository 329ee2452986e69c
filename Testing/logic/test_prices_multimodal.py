"""Similarities across contrasts, and prices of a map's Jacobian and of LDDMM, against closed forms."""

import math

import pytest
import torch

from DeepRegLogic.descriptors import self_similarity
from DeepRegLogic.regularisers import folding, hyperelastic, lddmm
from DeepRegLogic.similarities import SIMILARITIES, ncc


def texture(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def test_the_global_correlation():
    a, b = texture(1, 1, 20, 24), texture(1, 1, 20, 24, seed=1)
    expected = 1 - float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1])
    assert float(ncc(a, b)) == pytest.approx(expected, abs=1e-3)
    assert float(ncc(2 * a + 1, a)) == pytest.approx(0, abs=1e-4)
    assert float(ncc(-a, a)) == pytest.approx(2, abs=1e-4)


def test_the_mutual_information_of_grey_values_in_the_bins_is_that_of_their_table():
    generator = torch.Generator().manual_seed(0)
    classes = torch.randint(0, 32, (1, 1, 64, 64), generator=generator)
    classes[0, 0, 0, :32] = torch.arange(32)
    image, other = classes.float() / 31, ((classes * 7) % 32).float() / 31  # a permutation of the grey values
    share = torch.bincount(classes.flatten()) / classes.numel()
    entropy = -float((share * share.log()).sum())
    mi = SIMILARITIES["mi"]
    assert float(mi(image, image)) == pytest.approx(-entropy, abs=1e-4)
    assert float(mi(other, image)) == pytest.approx(-entropy, abs=1e-4)
    independent = torch.arange(64.0).view(1, 1, 64, 1).expand(1, 1, 64, 64)
    rows = independent.transpose(2, 3)
    assert float(mi(independent, rows)) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("name", ["mi", "local-mi", "mind"])
@pytest.mark.parametrize("shape", [(32, 40), (18, 20, 22)])
def test_what_lies_right_is_more_alike_than_what_does_not_in_any_contrast(name, shape):
    measure = SIMILARITIES[name]
    image = torch.nn.functional.interpolate(
        texture(1, 1, *[n // 4 for n in shape]), size=shape, mode="bilinear" if len(shape) == 2 else "trilinear"
    )
    other = (1 - image) ** 2
    moved = other.roll(3, 2).requires_grad_()
    apart = measure(moved, image)
    assert float(measure(other, image)) < float(apart.detach())
    apart.backward()
    assert bool(moved.grad.isfinite().all())
    assert float(moved.grad.abs().max()) > 0


def test_self_similarity_does_not_depend_on_contrast(ndim):
    image = texture(1, 1, *[12] * ndim)
    found = self_similarity(image)
    assert found.shape == (1, 4 if ndim == 2 else 12, *[12] * ndim)
    assert float(found.amax(1).min()) == pytest.approx(1)
    torch.testing.assert_close(self_similarity(2 - 1.5 * image), found, atol=1e-3, rtol=1e-3)


def test_lddmm_has_the_symbol_of_its_operator(ndim):
    n, k = 16, 3
    wave = torch.cos(math.pi * k * (torch.arange(n) + 0.5) / n)  # an eigenvector where the border is continued
    field = torch.zeros(1, ndim, *[n] * ndim)
    field[:, 0] = wave.view(-1, *[1] * (ndim - 1))
    symbol = (2.0 * (2 - 2 * math.cos(math.pi * k / n)) + 0.3) ** 2
    expected = symbol**2 * float(wave.square().mean()) / ndim
    assert float(lddmm(field, alpha=2.0, gamma=0.3)) == pytest.approx(expected, rel=1e-4)
    assert float(lddmm(torch.ones(1, 2, 8, 8), gamma=0.5)) == pytest.approx(0.5**4, rel=1e-5)


def test_hyperelasticity_of_a_stretch(ndim):
    rows = torch.arange(10.0).view(1, 1, -1, *[1] * (ndim - 1)).expand(1, 1, *[10] * ndim)
    field = torch.cat([0.2 * rows, torch.zeros(1, ndim - 1, *[10] * ndim)], dim=1)
    length, volume = 0.5 * 0.2**2, (0.2**2 / 1.2) ** 2
    surface = (1 + 2 * 1.2**2 - 3) ** 2 if ndim == 3 else 0.0  # cofactors 1, 1.2 and 1.2
    assert float(hyperelastic(field)) == pytest.approx(length + surface + volume, rel=1e-4)
    assert float(hyperelastic(0 * field)) == pytest.approx(0, abs=1e-9)


def test_folding_is_priced_by_its_depth():
    rows = torch.arange(10.0).view(1, 1, -1, 1).expand(1, 1, 10, 10)
    field = torch.cat([-1.5 * rows, torch.zeros_like(rows)], dim=1)  # a determinant of -0.5
    assert float(folding(field)) == pytest.approx(0.5)
    assert float(folding(field / 3)) == 0
