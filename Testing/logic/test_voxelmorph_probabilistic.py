"""VoxelMorph with a variance: its prior is that of the grid's graph, and its half grid lies on the images' voxels."""

import numpy as np
import pytest
import torch

from DeepRegLogic.networks import ProbabilisticVoxelMorph
from DeepRegLogic.training.tasks.sampling import smooth_prior_divergence


def laplacian(shape: tuple[int, ...]) -> np.ndarray:
    """Of the neighbourhood graph of a grid, voxel by voxel."""
    numbers = np.arange(np.prod(shape)).reshape(shape)
    matrix = np.zeros((numbers.size, numbers.size))
    for axis in range(len(shape)):
        ends = (np.take(numbers, range(n, shape[axis] - 1 + n), axis).ravel() for n in (0, 1))
        for a, b in zip(*ends, strict=True):
            matrix[[a, b], [a, b]] += 1
            matrix[a, b] -= 1
            matrix[b, a] -= 1
    return matrix


@pytest.mark.parametrize("shape", [(4, 5), (3, 4, 2)])
def test_the_divergence_is_that_from_the_prior_of_the_graph(shape):
    generator = torch.Generator().manual_seed(0)
    mean, log_variance = torch.randn(2, 2, len(shape), *shape, generator=generator)
    precision = 3.0
    matrix = precision * laplacian(shape)
    m, v = (each.reshape(2 * len(shape), -1).double().numpy() for each in (mean, log_variance.exp()))
    expected = 0.5 * (v @ np.diag(matrix) - np.log(v).sum(1) + ((m @ matrix) * m).sum(1)).sum() / m.size
    assert float(smooth_prior_divergence(mean, log_variance, precision)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("size", [(32, 40), (30, 37)])
@torch.inference_mode()
def test_the_velocity_has_half_the_resolution_of_the_images(size):
    torch.manual_seed(0)
    network = ProbabilisticVoxelMorph().eval()
    torch.nn.init.normal_(network.head.weight, std=0.1)
    reference, frames = torch.rand(2, 1, *size), torch.rand(2, 3, 1, *size)
    own, own_log_variance = network.own_distribution(reference, frames)
    assert own.shape == own_log_variance.shape == (6, 2, *(-(-n // 8) * 4 for n in size))
    mean, log_variance = network.distribution(reference, frames)
    assert mean.shape == log_variance.shape == (2, 3, 2, *size)
    odd = [(-n % 8 // 2) % 2 for n in size]  # where the padding shifts the own voxels
    first = [-(-(-n % 8 // 2) // 2) for n in size]
    inner = mean.flatten(0, 1)[..., odd[0] :: 2, odd[1] :: 2]
    part = own[..., first[0] : first[0] + inner.shape[-2], first[1] : first[1] + inner.shape[-1]]
    torch.testing.assert_close(inner, 2 * part)  # twice as many voxels of the images
    variance = log_variance.exp().flatten(0, 1)[..., odd[0] :: 2, odd[1] :: 2]
    part = own_log_variance[..., first[0] : first[0] + inner.shape[-2], first[1] : first[1] + inner.shape[-1]]
    torch.testing.assert_close(variance, 4 * part.exp())


@torch.inference_mode()
def test_a_new_network_hardly_moves_and_is_sure():
    mean, log_variance = ProbabilisticVoxelMorph().distribution(torch.rand(1, 1, 32, 32), torch.rand(1, 2, 1, 32, 32))
    assert mean.abs().max() < 1e-3
    assert log_variance.exp().max() < 1e-3
