"""Transformations made for tests, one of every kind, of smooth velocities with or without a covariance."""

from __future__ import annotations

from functools import cache

import torch
from made_fields import smooth_field

from DeepRegLogic import flow
from DeepRegLogic.transformations import Displacement, Refined, StationaryVelocity, VelocitySteps

SHAPES = {2: (48, 56), 3: (22, 26, 24)}
FRAMES = 3

# The fields below are up to 3 voxels long and vary over 7 (1.5 over 5 in a volume): between voxel centres their linear
# interpolation errs by about u'' / 8 along every axis, 0.02 voxels, at each of the two to six compositions of a test.
# Measured are at most 0.11 voxels, and 0.008 on the average; a wrong sign is off by more than 1, a wrong order by
# more than three times NEAR.
NEAR, ON_AVERAGE = 0.15, 0.01


@cache
def velocity(ndim: int = 2, seed: int = 0, count: int = FRAMES) -> torch.Tensor:
    """Smooth velocities that vanish at the border."""
    amplitude, sigma = {2: (3.0, 7.0), 3: (1.5, 5.0)}[ndim]
    return smooth_field(SHAPES[ndim], amplitude, sigma, seed, count)


def steps(ndim: int = 2) -> torch.Tensor:
    return torch.stack([velocity(ndim, 1), 0.7 * velocity(ndim, 2)])


@cache
def covariance(ndim: int = 2, count: int = FRAMES) -> torch.Tensor:
    """Another one at every voxel, positive definite."""
    identity = torch.eye(ndim).view(1, ndim, ndim, *[1] * ndim)
    factor = 0.2 * identity + 0.1 * velocity(ndim, 9, ndim)[None]
    product = torch.einsum("nij...,nkj...->nik...", factor, factor) + 0.02 * identity
    return product.expand(count, ndim, ndim, *SHAPES[ndim])


KINDS = {
    "velocity": lambda n: StationaryVelocity(velocity(n)),
    "uncertain velocity": lambda n: StationaryVelocity(velocity(n), covariance(n)),
    "steps": lambda n: VelocitySteps(steps(n)),
    "displacement": lambda n: Displacement(flow.exp(velocity(n))),
    "uncertain displacement": lambda n: Displacement(flow.exp(velocity(n)), covariance=covariance(n)),
    "displacement from its inverse": lambda n: Displacement.from_inverse(flow.exp(velocity(n)), covariance(n)),
    "refined displacement": lambda n: Displacement(flow.exp(velocity(n))).refined(0.7 * velocity(n, 4)),
    "refined steps": lambda n: VelocitySteps(steps(n)).refined(0.7 * velocity(n, 4)),
    "uncertain refined velocity": lambda n: Refined(StationaryVelocity(velocity(n), covariance(n)), velocity(n, 4)),
}


def distance(a: torch.Tensor, b: torch.Tensor) -> float:
    """The longest difference of two fields."""
    return float((a - b).norm(dim=1).max())
