"""The one contract of all networks, their register, and what cine networks share.

A network is one file: a class with the decorator, its ``estimate``, and what it can do.

    @register("tlrn")
    class TLRN(CineNetwork): ...
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar, TypeVar

import torch
import torch.nn.functional as F
from torch import nn

from ..registry import Registry
from ..transformations import StationaryVelocity, Transformation

CONVOLUTION: dict[int, type[nn.Conv2d] | type[nn.Conv3d]] = {2: nn.Conv2d, 3: nn.Conv3d}
SLOPE = 0.2
"""Of every leaky rectifier."""

REGISTER, GENERATE, UNCERTAINTY = "register", "generate", "uncertainty"
PAIR, REGULARITY = "pair", "regularity"
"""What networks can do, as cards list it: "pair" is registering two images that need be no neighbours in a cine."""


class MotionNetwork(nn.Module):
    """What a network takes and gives, what it can do, and what trains it.

    Attributes
    ----------
    ndim : 2 or 3 spatial axes; a network of 2 takes stacks slice by slice.
    divisor : sizes are brought to a multiple of it by the network itself: images of any size may come.
    capabilities : of the class, a share of "register", "pair", "generate", "uncertainty" and "regularity".
    training_task : name of the task in ``training.tasks`` that trains it.
    """

    ndim: int
    divisor: int = 1
    capabilities: ClassVar[frozenset[str]] = frozenset({REGISTER})
    training_task: ClassVar[str] = "registration"

    def estimate(self, reference: torch.Tensor, frames: torch.Tensor) -> Transformation:
        """The motion of N cines.

        Parameters
        ----------
        reference : ``[N, 1, *spatial]`` in [0, 1].
        frames : ``[N, T, 1, *spatial]`` in [0, 1], in time order, without the reference.

        Returns
        -------
        A transformation of N * T frames, those of one cine side by side, with a covariance where the network has the
        capability "uncertainty".

        Raises
        ------
        ValueError : shapes that do not fit.
        """
        raise NotImplementedError

    def estimate_at(self, reference: torch.Tensor, frames: torch.Tensor, regularity: float) -> Transformation:
        """``estimate`` at a regularity from 0 (the softest motion) to 1 (the stiffest); of networks with the
        capability "regularity", which were trained with the weight of the regulariser as an input (Hoopes et al. 2021).
        """
        raise NotImplementedError

    def new_motion(
        self,
        images: torch.Tensor,
        n_frames: int,
        phase: torch.Tensor,
        generator: torch.Generator | None = None,
        independent: bool = False,
    ) -> Iterator[Transformation]:
        """Draw the motion of N cines that begin with real frames; of networks with the capability "generate".

        Parameters
        ----------
        images : ``[N, k, 1, H, W]`` in [0, 1], the first k frames of N cines.
        n_frames : of a cine, the real ones included.
        phase : where the frames are in the cycle, ``[N, n_frames]`` from 0 to 1.
        independent : whether every frame has noise of its own, and its motion is drawn as well; otherwise one noise
            drives a whole cine, and its motion is what is likeliest.

        Yields
        ------
        For the frames 1 to ``n_frames - 1`` a transformation of N frames, with the first frame as reference.
        """
        raise NotImplementedError


NETWORKS: Registry[type[MotionNetwork]] = Registry("network")

_Class = TypeVar("_Class", bound=type[MotionNetwork])


def register(name: str) -> Callable[[_Class], _Class]:
    """Add a class to ``NETWORKS``, under the name that configurations and cards have."""

    def add(network: _Class) -> _Class:
        NETWORKS.add(name, network)
        return network

    return add


def build(name: str, **arguments: object) -> MotionNetwork:
    """A new, untrained network of the register.

    Raises
    ------
    ValueError : a name that is not in the register, or arguments that the network does not take.
    """
    try:
        return NETWORKS.choose(name)(**arguments)
    except TypeError as error:
        raise ValueError(f"The network '{name}' cannot be built with {arguments}: {error}.") from error


def channels_last(x: torch.Tensor) -> torch.Tensor:
    """The same numbers with channels last in memory, in which 2D convolutions are faster."""
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x


def start_near_identity(network: nn.Module, *heads: nn.Conv2d | nn.Conv3d, std: float = 1e-5) -> None:
    """First weights: variance-preserving convolutions (He et al. 2015), the last layers ``heads`` near zero."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Conv3d)):
            nn.init.kaiming_normal_(module.weight, a=SLOPE)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for head in heads:
        nn.init.normal_(head.weight, std=std)


def require_axes(ndim: int) -> None:
    """Raise ValueError for other than 2 or 3 spatial axes."""
    if ndim not in CONVOLUTION:
        raise ValueError(f"A network has 2 or 3 spatial axes, not {ndim}.")


def require_images(reference: torch.Tensor, frames: torch.Tensor, ndim: int) -> None:
    """Raise ValueError for what ``estimate`` does not take of a network of ``ndim`` spatial axes."""
    spatial = tuple(reference.shape[2:])
    fits = frames.shape == (len(reference), *frames.shape[1:2], 1, *spatial) and reference.shape[1] == 1
    if len(spatial) != ndim or not fits:
        raise ValueError(
            f"A reference of shape {tuple(reference.shape)} and frames of shape {tuple(frames.shape)} do not fit a "
            f"network of {ndim} spatial axes; [N, 1, *spatial] and [N, T, 1, *spatial] are needed."
        )


def pairs_of(reference: torch.Tensor, frames: torch.Tensor, ndim: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Moving and fixed images ``[N * T, 1, *spatial]`` of what ``estimate`` takes: each frame, and its reference.

    Raises
    ------
    ValueError : shapes that do not fit each other or a network of ``ndim`` spatial axes.
    """
    require_images(reference, frames, ndim)
    return frames.flatten(0, 1), reference[:, None].expand_as(frames).flatten(0, 1)


def padded(images: torch.Tensor, divisor: int, over: int = 0) -> torch.Tensor:
    """Images continued evenly at the border, to a size that is a multiple of ``divisor`` plus ``over``."""
    margins = [(over - n) % divisor for n in images.shape[2:]]
    padding = [p for m in margins for p in (m - m // 2, m // 2)][::-1]
    return F.pad(images, padding, mode="replicate")


def cropped(field: torch.Tensor, spatial: Sequence[int]) -> torch.Tensor:
    """The part of ``[N, C, *larger]`` that lies on the images before they were ``padded``."""
    for axis, n in enumerate(spatial, start=2):
        field = field.narrow(axis, (field.shape[axis] - n) // 2, n)
    return field


def neighbours(features: torch.Tensor, reach: int, border: str) -> list[torch.Tensor]:
    """Features ``[N, C, *spatial]`` as they are up to ``reach`` voxels away along every axis, row by row.

    Beyond the border are zeros ("constant") or its own values ("replicate").
    """
    spatial = features.shape[2:]
    around = F.pad(features, (reach,) * (2 * len(spatial)), mode=border)
    found = []
    for offset in itertools.product(range(2 * reach + 1), repeat=len(spatial)):
        near = around
        for axis, (start, n) in enumerate(zip(offset, spatial, strict=True), start=2):
            near = near.narrow(axis, start, n)
        found.append(near)
    return found


class CineNetwork(MotionNetwork):
    """A network that returns one stationary velocity a frame.

    A subclass gives ``features``, and calls ``initialise`` when its layers are there. Images of any size are padded at
    the border to a multiple of ``divisor``, and the velocities cropped again. The last layer starts near zero, so that
    an untrained network is near the identity, and always computes in float32, so that mixed precision does not round
    the velocities.

    Parameters
    ----------
    ndim : number of spatial axes, 2 or 3.
    channels : number of channels that ``features`` returns.
    divisor : what the spatial size inside must be a multiple of.
    """

    def __init__(self, ndim: int, channels: int, divisor: int) -> None:
        super().__init__()
        require_axes(ndim)
        self.ndim = ndim
        self.divisor = divisor
        self.head = CONVOLUTION[ndim](channels, ndim, 3, padding=1)

    def initialise(self) -> None:
        """First weights, see ``start_near_identity``."""
        start_near_identity(self, self.head)

    def features(self, pairs: torch.Tensor, batch: int) -> torch.Tensor:
        """``[batch * T, 2, *spatial]`` pairs (reference, frame), frames of one cine side by side, to features."""
        raise NotImplementedError

    def estimate(self, reference: torch.Tensor, frames: torch.Tensor) -> StationaryVelocity:
        return StationaryVelocity(self(reference, frames).flatten(0, 1))

    def forward(self, reference: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
        """Velocities of the frames, for the images that ``estimate`` takes.

        Returns
        -------
        Stationary velocities ``[N, T, ndim, *spatial]`` in voxels, float32: ``flow.exp(v)`` resamples a frame onto the
        reference, ``flow.exp(-v)`` the reference onto the frame.
        """
        return self.cropped(self.head_output(reference, frames), reference)

    def head_output(self, reference: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
        """What the last layer gives ``[N * T, C, *padded]``, for images padded to a multiple of ``divisor``."""
        moving, fixed = pairs_of(reference, frames, self.ndim)
        pairs = torch.cat([fixed, moving], dim=1)
        features = self.features(channels_last(padded(pairs, self.divisor)), len(frames))
        with torch.autocast(features.device.type, enabled=False):
            return self.head(features.float())

    def cropped(self, padded: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """``[N * T, C, *padded]`` to ``[N, T, C, *spatial]``, the part that the images cover."""
        return cropped(padded, reference.shape[2:]).unflatten(0, (len(reference), -1))
