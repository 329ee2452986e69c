"""The networks of DragNet and the terms of its objective."""

import math

import pytest
import torch

from DeepRegLogic.networks import DragNet, DragNetFlow
from DeepRegLogic.networks.layers import Gaussian, MotionGaussian, SharedNoise
from DeepRegLogic.uncertainty import gaussian


def images(batch=1, frames=3, size=(128, 128), seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.rand(batch, 1, *size, generator=generator),
        torch.rand(batch, frames, 1, *size, generator=generator),
    )


def parameters(module):
    return sum(p.numel() for p in module.parameters())


def test_the_published_network_has_the_published_number_of_parameters():
    network = DragNet()
    assert parameters(network) == 1_218_253
    assert parameters(network.prior_latent) == 131_928
    assert parameters(network.image_features) == 28_064
    assert parameters(network.posterior_latent) == 533_664
    assert parameters(network.latent_features) == 274_992
    assert parameters(network.motion) + parameters(network.head) == 111_173
    assert parameters(network.memory) == 138_432


@pytest.mark.parametrize(("mode", "fields"), [("consecutive", 4), ("reference", 3)])
@torch.inference_mode()
def test_the_published_network_gives_a_field_for_every_step(mode, fields):
    torch.manual_seed(0)
    network = DragNet(mode=mode)
    torch.nn.init.normal_(network.head.factor.weight)
    posterior = network.posterior(*images())
    assert posterior.motion.mean.shape == (1, fields, 2, 128, 128)
    assert posterior.motion.log_variance.shape == (1, fields, 1, 128, 128)
    assert posterior.motion.factor.shape == (1, fields, 2, 128, 128)
    assert posterior.latent.mean.shape == posterior.prior.mean.shape == (1, fields, 64)
    assert (posterior.motion.factor < 0).any()


@torch.inference_mode()
def test_consecutive_mode_closes_the_circle():
    network = DragNet()
    reference, frames = images()
    closing = network(reference, frames)[:, -1]
    # the last field depends on the last frame, which moves, and on the first, which is fixed
    changed = frames.clone()
    changed[:, -1] = 0
    assert (network(reference, changed)[:, -1] - closing).abs().max() > 1e-6


@torch.inference_mode()
def test_an_earlier_frame_is_remembered_and_a_later_one_not_foreseen():
    network = DragNetFlow()
    reference, frames = images(size=(32, 32))
    before = network(reference, frames)
    changed = frames.clone()
    changed[:, 1] = 0
    after = network(reference, changed)
    assert torch.equal(before[:, 0], after[:, 0])
    assert (before[:, 2] - after[:, 2]).abs().max() > 1e-6
    without = DragNetFlow(recurrent=False)
    assert torch.equal(without(reference, frames)[:, 2], without(reference, changed)[:, 2])


@pytest.mark.parametrize(("size", "frames"), [((32, 40), 1), ((37, 50), 4), ((128, 100), 2)])
@torch.inference_mode()
def test_the_form_with_velocities_takes_any_size_and_number(size, frames):
    motion = DragNetFlow().posterior(*images(2, frames, size)).motion
    assert motion.mean.shape == (2, frames, 2, *size)
    assert motion.covariance().shape == (2, frames, 2, 2, *size)


@torch.inference_mode()
def test_the_published_network_takes_other_sizes_through_its_grid():
    network = DragNet()
    assert network(*images(size=(90, 140))).shape == (1, 4, 2, 90, 140)


def test_images_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="do not fit"):
        DragNetFlow()(torch.zeros(1, 1, 32, 32), torch.zeros(1, 2, 1, 32, 24))
    with pytest.raises(ValueError, match="mode"):
        DragNet(mode="both")
    with pytest.raises(ValueError, match="2 spatial axes"):
        DragNet(ndim=3)


@pytest.mark.parametrize("correlation", [0.0, 2.0])
def test_samples_have_the_covariance_of_the_paper(correlation):
    factor = torch.tensor([1.0, -2.0]).view(1, 2, 1, 1).expand(1, 2, 9, 9)
    motion = MotionGaussian(torch.full((30000, 2, 9, 9), 0.5), torch.full((1, 1, 9, 9), 0.7).log(), factor)
    drawn = motion.sample(torch.Generator().manual_seed(3), correlation)
    centred = drawn - drawn.mean(0)
    found = torch.einsum("nihw,njhw->ijhw", centred, centred) / (len(drawn) - 1)
    expected = torch.tensor([[1.7, -2.0], [-2.0, 4.7]])
    torch.testing.assert_close(motion.covariance()[0, :, :, 4, 4], expected)
    assert (found.mean((2, 3)) - expected).abs().max() < 0.03
    assert (found[:, :, 0, 0] - expected).abs().max() < 0.15  # at a corner, too
    neighbours = (centred[:, 0, 4, 4] * centred[:, 0, 4, 5]).mean() / found[0, 0, 4, 4]
    assert neighbours == pytest.approx(0 if correlation == 0 else 0.94, abs=0.02)


def test_divergence_of_the_latent_agrees_with_sampling():
    generator = torch.Generator().manual_seed(5)
    mean, prior_mean = torch.tensor([0.3, -1.0]), torch.tensor([0.0, -0.5])
    log_variance, prior_log_variance = torch.tensor([-0.7, 0.2]), torch.tensor([0.1, -0.4])
    closed = gaussian.kl_gaussian(mean, log_variance, prior_mean, prior_log_variance)
    z = Gaussian(mean.expand(400_000, 2), log_variance.expand(400_000, 2)).sample(generator)
    q = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    p = torch.distributions.Normal(prior_mean, (0.5 * prior_log_variance).exp())
    torch.testing.assert_close(closed, (q.log_prob(z) - p.log_prob(z)).mean(0), atol=0.005, rtol=0.01)
    torch.testing.assert_close(closed, torch.distributions.kl_divergence(q, p))


def test_divergence_of_the_motion_agrees_with_torch_and_sampling():
    generator = torch.Generator().manual_seed(6)
    mean, factor = torch.randn(1, 2, 3, 4, generator=generator), torch.randn(1, 2, 3, 4, generator=generator)
    log_variance = torch.randn(1, 1, 3, 4, generator=generator)
    motion = MotionGaussian(mean, log_variance, factor)
    closed = gaussian.kl_motion(mean, log_variance, factor)
    q = torch.distributions.MultivariateNormal(
        mean.movedim(1, -1), covariance_matrix=motion.covariance().movedim((1, 2), (-2, -1))
    )
    p = torch.distributions.MultivariateNormal(torch.zeros(2), torch.eye(2))
    torch.testing.assert_close(closed, torch.distributions.kl_divergence(q, p), atol=1e-4, rtol=1e-4)
    many = MotionGaussian(mean.expand(100_000, -1, -1, -1), log_variance, factor).sample(generator).movedim(1, -1)
    sampled = (q.log_prob(many) - p.log_prob(many)).mean(0)
    torch.testing.assert_close(closed[0], sampled, atol=0.1, rtol=0.05)


def test_likelihood_is_that_of_the_normal_distribution():
    covariance = torch.tensor([[2.0, 0.6], [0.6, 0.5]])
    residual = torch.tensor([0.7, -0.4])
    value = gaussian.gaussian_nll(residual.view(1, 2, 1, 1), covariance.view(1, 2, 2, 1, 1))
    normal = torch.distributions.MultivariateNormal(torch.zeros(2), covariance)
    constant = torch.log(torch.tensor(2 * torch.pi))
    assert float(value) == pytest.approx(float(-normal.log_prob(residual) - constant), abs=1e-5)


def test_one_noise_drives_every_draw_and_its_end_may_be_known():
    known = torch.tensor([[1.0, -2.0]])
    draw = SharedNoise(torch.Generator().manual_seed(0), last=known)
    first = draw(Gaussian(torch.zeros(1, 5), torch.zeros(1, 5)))
    again = draw(Gaussian(torch.ones(1, 5), torch.full((1, 5), 2 * math.log(3.0))))
    torch.testing.assert_close(first[:, 3:], known)
    torch.testing.assert_close(again, 1 + 3 * first)
    assert first[:, :3].abs().min() > 0


@torch.inference_mode()
def test_the_noise_of_a_beat_is_read_off_its_frames():
    torch.manual_seed(0)
    network = DragNetFlow().eval()
    images = torch.rand(2, 4, 1, 40, 56)
    phase = torch.tensor([[0.0, 0.2, 0.5, 0.8], [0.1, torch.nan, torch.nan, torch.nan]])
    latent = network.posterior(images[:, 0], images[:, 1:], phase).latent.mean
    noise = network.beat(latent, phase, (40, 56))
    assert noise.mean.shape == noise.log_variance.shape == (2, network.shared)
    assert noise.mean.isfinite().all()
    assert not torch.allclose(noise.mean[0], noise.mean[1])
    assert not torch.allclose(noise.mean, network.beat(latent.flip(0), phase, (40, 56)).mean)


@torch.inference_mode()
def test_the_first_frame_says_which_beats_are_likely():
    torch.manual_seed(0)
    network = DragNetFlow().eval()
    images, phase = torch.rand(2, 1, 1, 40, 56), torch.tensor([[0.0, 0.5], [0.3, 0.5]])
    likely = network.beat_prior(images[:, 0], phase)
    assert likely.mean.shape == likely.log_variance.shape == (2, network.shared)
    assert not torch.allclose(likely.mean[0], likely.mean[1])
    draw = network.shared_noise(images, phase, torch.Generator().manual_seed(3))
    torch.testing.assert_close(draw.last, likely.sample(torch.Generator().manual_seed(3)))
    assert DragNet().shared_noise(images, phase).last is None
