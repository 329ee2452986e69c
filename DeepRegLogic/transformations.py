"""What a network or an optimiser gives of F frames: a transformation that knows its displacement and its inverse.

``displacement()`` resamples a frame onto the reference (``Motion.displacement``), ``inverse()`` the reference onto the
frame; fields are ``[F, ndim, *spatial]`` in voxels. Where the estimate is a distribution, ``with_covariance()`` carries
its covariance to the displacement. A refinement goes on from any of them: ``refined(velocity)`` composes it with a
stationary velocity, in the manner that suits it.

    StationaryVelocity   u = exp(v)                                     TLRN, VoxelMorph, DragNet with velocities
    VelocitySteps        u = exp(v_S) o ... o exp(v_1), in this order   velocities that change on the way
    Displacement         u itself, its inverse by a fixed point         published networks that give displacements
    Refined              any of them, after exp(v) on the reference     what a refinement makes of the last two
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch

from . import flow
from .uncertainty.covariance import compose as compose_covariances
from .uncertainty.covariance import of_inverse, propagate_covariance
from .uncertainty.covariance import resize as resize_covariance

Index = slice | Sequence[int] | torch.Tensor
Own = TypeVar("Own", bound="Transformation")


class Transformation(ABC):
    """See the module. All are frozen values; their frames are taken with ``[...]`` as those of a tensor."""

    @property
    @abstractmethod
    def field(self) -> torch.Tensor:
        """What was estimated, and what regularisers price: ``[F (times steps), ndim, *spatial]`` in voxels."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Frames, axes and voxels: ``(F, ndim, *spatial)``."""

    @property
    def is_uncertain(self) -> bool:
        """Whether there is a covariance."""
        return False

    def __len__(self) -> int:
        return self.shape[0]

    @abstractmethod
    def __getitem__(self: Own, frames: Index) -> Own:
        """Some of the frames."""

    @classmethod
    @abstractmethod
    def joined(cls: type[Own], parts: Sequence[Own]) -> Own:
        """The frames of several transformations of this kind, one after the other."""

    def without_covariance(self: Own) -> Own:
        """The same as a mere estimate."""
        return self

    @abstractmethod
    def displacement(self, squarings: int = 6) -> torch.Tensor:
        """``[F, ndim, *spatial]``: from a reference point to where it is in the frame."""

    @abstractmethod
    def inverse(self, squarings: int = 6) -> torch.Tensor:
        """``[F, ndim, *spatial]``: from a point of the frame back to the reference."""

    def with_covariance(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The displacement, and its covariance ``[F, ndim, ndim, *spatial]`` in voxels squared.

        Raises
        ------
        ValueError : the estimate has none.
        """
        raise ValueError("This transformation has no covariance.")

    @abstractmethod
    def at(self: Own, fraction: float) -> Own:
        """Where the way from no motion to this transformation is at ``fraction``, from 0 to 1; without a covariance."""

    @abstractmethod
    def resized(self: Own, shape: Sequence[int]) -> Own:
        """Resampled to the spatial ``shape``, corners aligned."""

    @abstractmethod
    def faded(self: Own, weight: torch.Tensor) -> Own:
        """Weaker where ``weight`` is below 1, and still where it is 0; a covariance stays.

        ``weight`` is ``[*spatial]``, or ``[ndim, *spatial]`` where components differ.
        """

    @abstractmethod
    def smoothed(self: Own, sigma: float) -> Own:
        """Smoothed over space by a Gaussian of ``sigma`` voxels; a covariance stays."""

    @abstractmethod
    def mixed(self: Own, weights: torch.Tensor) -> Own:
        """Weighted means over the frames, by ``weights`` ``[F, F]``; a covariance stays."""

    @abstractmethod
    def in_stack(self: Own, slices: int) -> Own:
        """The frames of several slices, one slice after the other, as frames of their stack.

        ``[slices * T, 2, H, W]`` becomes ``[T, 3, slices, H, W]`` with no motion through the planes. What is uncertain
        between slices is not known, so there is no covariance.
        """

    def refinement_start(self) -> torch.Tensor:
        """The stationary velocity ``[F, ndim, *spatial]`` that a refinement begins with."""
        return self.field.new_zeros(self.shape)

    def refined(self, velocity: torch.Tensor) -> Transformation:
        """This transformation after a refinement has arrived at ``velocity``, from ``refinement_start()``."""
        return Refined(self, velocity)


def _stacked(field: torch.Tensor, slices: int) -> torch.Tensor:
    """``[slices * T, 2, H, W]`` to ``[T, 3, slices, H, W]``."""
    field = field.unflatten(0, (slices, -1)).permute(1, 2, 0, 3, 4)
    return torch.cat([torch.zeros_like(field[:, :1]), field], dim=1)


def _cat(parts: Sequence[torch.Tensor | None]) -> torch.Tensor | None:
    """The parts in a row, where there are all of them."""
    known = [part for part in parts if part is not None]
    return torch.cat(known) if len(known) == len(parts) else None


def _mix(weights: torch.Tensor, field: torch.Tensor) -> torch.Tensor:
    return torch.einsum("st,t...->s...", weights, field)


@dataclass(frozen=True, eq=False)
class StationaryVelocity(Transformation):
    """The exponential of a velocity that does not change on the way: a diffeomorphism whose inverse is ``exp(-v)``.

    Attributes
    ----------
    velocity : ``[F, ndim, *spatial]`` in voxels.
    covariance : of the velocity, ``[F, ndim, ndim, *spatial]`` in voxels squared, or None.
    """

    velocity: torch.Tensor
    covariance: torch.Tensor | None = None

    @classmethod
    def with_variances(cls, velocity: torch.Tensor, variances: torch.Tensor) -> StationaryVelocity:
        """Of components ``[F, ndim, *spatial]`` that are independent of each other."""
        return cls(velocity, torch.diag_embed(variances.movedim(1, -1)).movedim((-2, -1), (1, 2)))

    @property
    def field(self) -> torch.Tensor:
        return self.velocity

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.velocity.shape)

    @property
    def is_uncertain(self) -> bool:
        return self.covariance is not None

    def __getitem__(self, frames: Index) -> StationaryVelocity:
        covariance = None if self.covariance is None else self.covariance[frames]
        return StationaryVelocity(self.velocity[frames], covariance)

    @classmethod
    def joined(cls, parts: Sequence[StationaryVelocity]) -> StationaryVelocity:
        return cls(torch.cat([part.velocity for part in parts]), _cat([part.covariance for part in parts]))

    def without_covariance(self) -> StationaryVelocity:
        return StationaryVelocity(self.velocity)

    def displacement(self, squarings: int = 6) -> torch.Tensor:
        return flow.exp(self.velocity, squarings)

    def inverse(self, squarings: int = 6) -> torch.Tensor:
        return flow.exp(-self.velocity, squarings)

    def with_covariance(self) -> tuple[torch.Tensor, torch.Tensor]:
        if self.covariance is None:
            return super().with_covariance()
        return propagate_covariance(self.velocity, self.covariance)

    def at(self, fraction: float) -> StationaryVelocity:
        return StationaryVelocity(fraction * self.velocity)

    def resized(self, shape: Sequence[int]) -> StationaryVelocity:
        covariance = None if self.covariance is None else resize_covariance(self.covariance, shape)
        return StationaryVelocity(flow.resize(self.velocity, shape), covariance)

    def faded(self, weight: torch.Tensor) -> StationaryVelocity:
        return replace(self, velocity=self.velocity * weight)

    def smoothed(self, sigma: float) -> StationaryVelocity:
        return replace(self, velocity=flow.smooth(self.velocity, sigma))

    def mixed(self, weights: torch.Tensor) -> StationaryVelocity:
        return replace(self, velocity=_mix(weights, self.velocity))

    def in_stack(self, slices: int) -> StationaryVelocity:
        return StationaryVelocity(_stacked(self.velocity, slices))

    def refinement_start(self) -> torch.Tensor:
        return self.velocity

    def refined(self, velocity: torch.Tensor) -> StationaryVelocity:
        """The refinement optimises this very velocity."""
        return StationaryVelocity(velocity)


@dataclass(frozen=True, eq=False)
class VelocitySteps(Transformation):
    """The ordered flow of a velocity that is constant in each of S steps; the inverse negates them in reverse order.

    Attributes
    ----------
    velocities : ``[S, F, ndim, *spatial]`` in voxels a step.
    """

    velocities: torch.Tensor

    @property
    def field(self) -> torch.Tensor:
        return self.velocities.flatten(0, 1)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.velocities.shape[1:])

    def __getitem__(self, frames: Index) -> VelocitySteps:
        return VelocitySteps(self.velocities[:, frames])

    @classmethod
    def joined(cls, parts: Sequence[VelocitySteps]) -> VelocitySteps:
        return cls(torch.cat([part.velocities for part in parts], dim=1))

    def displacement(self, squarings: int = 6) -> torch.Tensor:
        return flow.integrate(self.velocities, squarings)

    def inverse(self, squarings: int = 6) -> torch.Tensor:
        return flow.integrate(-self.velocities.flip(0), squarings)

    def at(self, fraction: float) -> VelocitySteps:
        """The first steps, of the last of them a part."""
        steps = len(self.velocities)
        begun = torch.arange(steps, dtype=self.velocities.dtype, device=self.velocities.device)
        weights = (fraction * steps - begun).clamp(0, 1)
        return VelocitySteps(self.velocities * weights.view(-1, *[1] * (self.velocities.ndim - 1)))

    def resized(self, shape: Sequence[int]) -> VelocitySteps:
        return VelocitySteps(flow.resize(self.field, shape).unflatten(0, self.velocities.shape[:2]))

    def faded(self, weight: torch.Tensor) -> VelocitySteps:
        return VelocitySteps(self.velocities * weight)

    def smoothed(self, sigma: float) -> VelocitySteps:
        return VelocitySteps(flow.smooth(self.field, sigma).unflatten(0, self.velocities.shape[:2]))

    def mixed(self, weights: torch.Tensor) -> VelocitySteps:
        return VelocitySteps(torch.stack([_mix(weights, step) for step in self.velocities]))

    def in_stack(self, slices: int) -> VelocitySteps:
        return VelocitySteps(torch.stack([_stacked(step, slices) for step in self.velocities]))


@dataclass(frozen=True, eq=False)
class Displacement(Transformation):
    """A displacement that was estimated as such; it may fold, and then its inverse is only near one.

    Attributes
    ----------
    vectors : the displacement ``[F, ndim, *spatial]`` in voxels.
    back : its inverse where it is known, of the same shape; otherwise found by ``flow.invert`` when it is asked for.
    covariance : of the displacement, ``[F, ndim, ndim, *spatial]`` in voxels squared, or None.
    """

    vectors: torch.Tensor
    back: torch.Tensor | None = None
    covariance: torch.Tensor | None = None

    @classmethod
    def from_inverse(cls, back: torch.Tensor, covariance: torch.Tensor | None = None) -> Displacement:
        """From a field that resamples the reference onto the frames, with the covariance of that field."""
        vectors = flow.invert(back)[0]
        return cls(vectors, back, None if covariance is None else of_inverse(back, covariance, vectors))

    @property
    def field(self) -> torch.Tensor:
        return self.vectors

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.vectors.shape)

    @property
    def is_uncertain(self) -> bool:
        return self.covariance is not None

    def __getitem__(self, frames: Index) -> Displacement:
        back = None if self.back is None else self.back[frames]
        return Displacement(self.vectors[frames], back, None if self.covariance is None else self.covariance[frames])

    @classmethod
    def joined(cls, parts: Sequence[Displacement]) -> Displacement:
        backs, covariances = _cat([part.back for part in parts]), _cat([part.covariance for part in parts])
        return cls(torch.cat([part.vectors for part in parts]), backs, covariances)

    def without_covariance(self) -> Displacement:
        return Displacement(self.vectors, self.back)

    def displacement(self, squarings: int = 6) -> torch.Tensor:
        return self.vectors

    def inverse(self, squarings: int = 6) -> torch.Tensor:
        return flow.invert(self.vectors)[0] if self.back is None else self.back

    def with_covariance(self) -> tuple[torch.Tensor, torch.Tensor]:
        return super().with_covariance() if self.covariance is None else (self.vectors, self.covariance)

    def _changed(self, vectors: torch.Tensor) -> Displacement:
        return Displacement(vectors, None, self.covariance)

    def at(self, fraction: float) -> Displacement:
        """Along straight lines."""
        return Displacement(fraction * self.vectors)

    def resized(self, shape: Sequence[int]) -> Displacement:
        covariance = None if self.covariance is None else resize_covariance(self.covariance, shape)
        return Displacement(flow.resize(self.vectors, shape), None, covariance)

    def faded(self, weight: torch.Tensor) -> Displacement:
        return self._changed(self.vectors * weight)

    def smoothed(self, sigma: float) -> Displacement:
        return self._changed(flow.smooth(self.vectors, sigma))

    def mixed(self, weights: torch.Tensor) -> Displacement:
        return self._changed(_mix(weights, self.vectors))

    def in_stack(self, slices: int) -> Displacement:
        return Displacement(_stacked(self.vectors, slices))


@dataclass(frozen=True, eq=False)
class Refined(Transformation):
    """First the exponential of a stationary velocity on the reference, then the transformation that it refines.

    Attributes
    ----------
    base : what is refined.
    velocity : ``[F, ndim, *spatial]`` in voxels.
    """

    base: Transformation
    velocity: torch.Tensor

    @property
    def field(self) -> torch.Tensor:
        return self.velocity

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.velocity.shape)

    @property
    def is_uncertain(self) -> bool:
        return self.base.is_uncertain

    def __getitem__(self, frames: Index) -> Refined:
        return Refined(self.base[frames], self.velocity[frames])

    @classmethod
    def joined(cls, parts: Sequence[Refined]) -> Refined:
        bases = [part.base for part in parts]
        return cls(bases[0].joined(bases), torch.cat([part.velocity for part in parts]))

    def without_covariance(self) -> Refined:
        return Refined(self.base.without_covariance(), self.velocity)

    def displacement(self, squarings: int = 6) -> torch.Tensor:
        return flow.compose(self.base.displacement(squarings), flow.exp(self.velocity, squarings))

    def inverse(self, squarings: int = 6) -> torch.Tensor:
        return flow.compose(flow.exp(-self.velocity, squarings), self.base.inverse(squarings))

    def with_covariance(self) -> tuple[torch.Tensor, torch.Tensor]:
        """That of the base, carried by the refinement, which is taken for known."""
        outer, covariance = self.base.with_covariance()
        inner = flow.exp(self.velocity)
        return compose_covariances(outer, covariance, inner, torch.zeros_like(covariance))

    def at(self, fraction: float) -> Refined:
        """Both parts on their ways."""
        return Refined(self.base.at(fraction), fraction * self.velocity)

    def resized(self, shape: Sequence[int]) -> Refined:
        return Refined(self.base.resized(shape), flow.resize(self.velocity, shape))

    def faded(self, weight: torch.Tensor) -> Refined:
        return Refined(self.base.faded(weight), self.velocity * weight)

    def smoothed(self, sigma: float) -> Refined:
        return Refined(self.base.smoothed(sigma), flow.smooth(self.velocity, sigma))

    def mixed(self, weights: torch.Tensor) -> Refined:
        return Refined(self.base.mixed(weights), _mix(weights, self.velocity))

    def in_stack(self, slices: int) -> Refined:
        return Refined(self.base.in_stack(slices), _stacked(self.velocity, slices))

    def refinement_start(self) -> torch.Tensor:
        return self.velocity

    def refined(self, velocity: torch.Tensor) -> Refined:
        return Refined(self.base, velocity)


def unfolded(transformation: Transformation, attempts: int = 20) -> tuple[torch.Tensor, torch.Tensor]:
    """Displacements and inverses ``[F, ndim, *spatial]`` without folds.

    In theory no exponential folds; in discrete voxels that of a rough velocity can, as can a displacement. Such frames
    are smoothed, a little more at every attempt, until ``flow.folding`` finds nothing; all others stay as they are.
    """
    forward, inverse = transformation.displacement(), transformation.inverse()
    left = torch.arange(len(forward), device=forward.device)
    for attempt in range(attempts):
        folds = (flow.folding(forward[left]) | flow.folding(inverse[left])).flatten(1).any(dim=1)
        if not folds.any():
            break
        left, transformation = left[folds], transformation[folds].smoothed(0.5 + 0.25 * attempt)
        if attempt == 0:
            forward, inverse = forward.clone(), inverse.clone()
        forward[left], inverse[left] = transformation.displacement(), transformation.inverse()
    return forward, inverse
