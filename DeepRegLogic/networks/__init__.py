"""Networks: one file a published system, each a ``torch.nn.Module`` that knows tensors and fields and nothing else.

``base.MotionNetwork`` is the contract of all, ``base.NETWORKS`` has them by name; every file in this folder is looked
through for networks when the package is imported.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module

from .base import (
    GENERATE,
    NETWORKS,
    PAIR,
    REGISTER,
    REGULARITY,
    UNCERTAINTY,
    CineNetwork,
    MotionNetwork,
    build,
)
from .dragnet import DragNet
from .dragnet_flow import DragNetFlow
from .tlrn import TLRN
from .voxelmorph import ProbabilisticVoxelMorph, VoxelMorph

for _file in pkgutil.iter_modules(__path__):
    import_module(f".{_file.name}", __name__)

__all__ = [
    "GENERATE",
    "NETWORKS",
    "PAIR",
    "REGISTER",
    "REGULARITY",
    "TLRN",
    "UNCERTAINTY",
    "CineNetwork",
    "DragNet",
    "DragNetFlow",
    "MotionNetwork",
    "ProbabilisticVoxelMorph",
    "VoxelMorph",
    "build",
]
