"""How sure a network without a posterior of its own is: ask it several times, and take the moments of the answers.

``sampled(draw, draws)`` takes any ``draw(k)``: the networks of an ensemble, or the draws that are made here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from .. import flow
from ..errors import InputError

if TYPE_CHECKING:
    from ..networks import CineNetwork, DragNet, ProbabilisticVoxelMorph

Draw = Callable[[int], torch.Tensor]
"""Number k of the draws: a displacement ``[N, ndim, *spatial]`` in voxels."""


def mixture_moments(means: torch.Tensor, covariances: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and covariance of a mixture of K draws, by the law of total covariance.

    Parameters
    ----------
    means : ``[K, N, ndim, *spatial]``, K of 2 or more.
    covariances : of every draw, ``[K, N, ndim, ndim, *spatial]``; None where the draws are exact, as those of an
        ensemble or of dropout are.

    Returns
    -------
    ``[N, ndim, *spatial]``; the mean of the covariances plus the (unbiased) covariance of the means.
    """
    if len(means) < 2:
        raise InputError(f"A covariance needs 2 draws or more, not {len(means)}.")
    mean = means.mean(0)
    difference = means - mean
    spread = torch.einsum("kni...,knj...->nij...", difference, difference) / (len(means) - 1)
    return mean, spread if covariances is None else spread + covariances.mean(0)


def sampled(draw: Draw, draws: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and covariance of any model that can be asked several times, ``draw(k)`` a field ``[N, ndim, *spatial]``.

    For models without a posterior of their own: the seeds of an ensemble, dropout that stays on, flipped images.
    """
    return mixture_moments(torch.stack([draw(k) for k in range(draws)]))


def flips(displaced: Callable[[torch.Tensor], torch.Tensor], images: torch.Tensor) -> Draw:
    """Test-time flips, draws 0 to 3: as they are, and with rows, columns or both of them in reverse order.

    ``displaced`` is any method: images ``[T, 1, (D,) H, W]`` to displacements ``[F, ndim, (D,) H, W]`` in voxels.
    """

    def draw(k: int) -> torch.Tensor:
        axes = [axis for bit, axis in enumerate((-2, -1)) if k >> bit & 1]
        field = displaced(images.flip(axes)).flip(axes)
        signs = field.new_ones(field.shape[1])
        signs[axes] = -1
        return field * signs.view(-1, *[1] * (field.ndim - 2))

    return draw


def dropout(
    network: CineNetwork, reference: torch.Tensor, frames: torch.Tensor, rate: float = 0.1, seed: int = 0
) -> Draw:
    """Draws for ``sampled``: displacements with channels before the last layer dropped at random (Gal 2016)."""

    def draw(k: int) -> torch.Tensor:
        generator = torch.Generator(reference.device).manual_seed(seed + k)

        def drop(_: torch.nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
            (x,) = inputs
            kept = torch.rand(1, x.shape[1], 1, 1, generator=generator, device=x.device) >= rate
            return (x * kept / (1 - rate),)

        hook = network.head.register_forward_pre_hook(drop)
        try:
            return flow.exp(network(reference, frames)[0])
        finally:
            hook.remove()

    return draw


def drawn(network: ProbabilisticVoxelMorph, reference: torch.Tensor, frames: torch.Tensor, seed: int = 0) -> Draw:
    """Draws for ``sampled`` of a network that gives a mean and a variance of the velocity (Dalca et al. 2019)."""
    mean, log_variance = (field[0] for field in network.distribution(reference, frames))
    generator = torch.Generator(mean.device).manual_seed(seed)

    def draw(_: int) -> torch.Tensor:
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        return flow.exp(mean + (0.5 * log_variance).exp() * noise)

    return draw


def velocity_posterior(
    network: DragNet, reference: torch.Tensor, frames: torch.Tensor, draws: int = 0, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean ``[N * T, 2, H, W]`` and covariance of the velocities of a probabilistic cine network.

    With ``draws`` 0 the latents are at their means, and the covariance is the network's own; with more, it is the total
    covariance over so many draws of the latents.
    """
    if not draws:
        motion = network.posterior(reference, frames).motion
        return motion.mean.flatten(0, 1), motion.covariance().flatten(0, 1)
    generator = torch.Generator(reference.device).manual_seed(seed)
    found = [network.posterior(reference, frames, draw=True, generator=generator).motion for _ in range(draws)]
    return mixture_moments(
        torch.stack([motion.mean.flatten(0, 1) for motion in found]),
        torch.stack([motion.covariance().flatten(0, 1) for motion in found]),
    )
