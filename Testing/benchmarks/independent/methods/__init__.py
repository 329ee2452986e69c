"""The methods that are compared: ours, and other programs at settings that were tuned on development seeds.

Behind a setting: what was tried for it on 9 frames of short-axis seeds 50 to 52, four-chamber seeds 50 and 51 and
vessel seed 50, as the mean end-point error in the organ in mm, over the frames / at end-systole.
"""

from __future__ import annotations

from .base import ONE_THREAD, Found, Method
from .demons import demons
from .elastix import bspline, groupwise
from .greedy import greedy
from .ours import ours
from .syn import syn
from .voxelmorph import WEIGHTS, learned

__all__ = ["ONE_THREAD", "PEERS", "Found", "Method", "method_of", "ours"]

PEERS: dict[str, Method] = {
    "demons": Method("SimpleITK demons", demons(), "", "SimpleITK"),
    "syn-cc": Method("ANTs SyN, CC", syn(), "", "ants"),
    "syn-mi": Method("ANTs SyN, MI", syn("mattes", 32), "", "ants"),
    "elastix": Method("elastix, pairwise", bspline(), "", "itk"),
    "elastix-group": Method("elastix, group-wise", groupwise(), "", "itk", ndims=(2,)),
    "greedy": Method("greedy", greedy(), "", "picsl_greedy"),
    "voxelmorph": Method(
        "VoxelMorph as published",
        learned(),
        "displacements, local correlation 9, weight 1, learned on other seeds of these very cases",
        "DeepRegLogic",
        ndims=(2,),
        weights=WEIGHTS,
    ),
}


def method_of(name: str) -> Method:
    """A peer by its name, or ours by "ours TOKEN"."""
    return ours(name.removeprefix("ours ")) if name.startswith("ours ") else PEERS[name]
