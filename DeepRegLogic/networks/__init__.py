"""Networks: one file a published system, each a ``torch.nn.Module`` and nothing else.

Every cine network is called as ``velocity = network(reference, frames)``; ``base.CineNetwork`` has the contract.
"""

from __future__ import annotations

from .base import CineNetwork
from .dragnet import DragNet
from .dragnet_flow import DragNetFlow
from .tlrn import TLRN
from .voxelmorph import ProbabilisticVoxelMorph, VoxelMorph

NETWORKS: dict[str, type[CineNetwork | DragNet]] = {
    "dragnet": DragNet,
    "dragnet-flow": DragNetFlow,
    "tlrn": TLRN,
    "voxelmorph": VoxelMorph,
    "voxelmorph-probabilistic": ProbabilisticVoxelMorph,
}


def build(name: str, **arguments: object) -> CineNetwork | DragNet:
    """A new, untrained network of the registry.

    Raises
    ------
    ValueError : a name that is not in the registry, or arguments that the network does not take.
    """
    if name not in NETWORKS:
        raise ValueError(f"There is no network '{name}'; there are {', '.join(NETWORKS)}.")
    try:
        return NETWORKS[name](**arguments)
    except TypeError as error:
        raise ValueError(f"The network '{name}' cannot be built with {arguments}: {error}.") from error


__all__ = [
    "NETWORKS",
    "TLRN",
    "CineNetwork",
    "DragNet",
    "DragNetFlow",
    "ProbabilisticVoxelMorph",
    "VoxelMorph",
    "build",
]
