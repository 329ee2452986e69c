"""One more of everything, as somebody would add it from outside the package: one object each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import nn

from DeepRegLogic import Cine, Grid
from DeepRegLogic.io import READERS, Reader, Request
from DeepRegLogic.networks.base import NETWORKS, MotionNetwork, register
from DeepRegLogic.regularisers import REGULARISERS, regulariser
from DeepRegLogic.results.curves import CURVES, Curve
from DeepRegLogic.results.maps import MAPS, Map
from DeepRegLogic.similarities import SIMILARITIES, similarity
from DeepRegLogic.transformations import VelocitySteps

MODEL_ARGUMENTS = {"steps": 2}


def write_toy(path: Path, frames: np.ndarray) -> Path:
    """A file that only the new reader understands."""
    path.write_text("\n".join([" ".join(map(str, frames.shape)), " ".join(f"{v:.6g}" for v in frames.ravel())]))
    return path


@contextmanager
def newcomers() -> Iterator[None]:
    """Within the block there is a similarity, a regulariser, a reader, a network, a map and a curve called toy."""

    @similarity("toy", "Toy similarity", weight=30.0)
    def toy_similarity(moved, fixed, window=9, floor=0.0):
        return (moved - fixed).abs().mean()

    @regulariser("toy", "Toy regulariser", weight=0.03)
    def toy_regulariser(field, spacing=None):
        return field.square().mean()

    def read_toy(request: Request) -> Cine:
        shape, values = request.paths[0].read_text().split("\n")
        frames = np.array(values.split(), np.float32).reshape([int(n) for n in shape.split()])
        return Cine(frames, Grid.of_array(frames.shape[1:], (2.0, 2.0)), 0.1 * np.arange(len(frames)), name="toys")

    READERS.add("toy", Reader(lambda paths: paths[0].suffix == ".toy", read_toy))

    @register("toy")
    class ToyNetwork(MotionNetwork):
        """Everything moves by learned steps, the same at every pixel."""

        def __init__(self, ndim: int = 2, steps: int = 2) -> None:
            super().__init__()
            self.ndim, self.steps = ndim, steps
            self.shift = nn.Parameter(torch.full((ndim,), 0.1))

        def estimate(self, reference, frames):
            count = frames.shape[0] * frames.shape[1]
            shift = self.shift.view(1, 1, -1, *[1] * self.ndim)
            return VelocitySteps(shift.expand(self.steps, count, self.ndim, *frames.shape[3:]))

    MAPS.add("toy", Map("Toy map", "mm", lambda results: results.jacobian + 1.0, limits=(0.0, 4.0), palette="heat"))
    CURVES.add("toy", Curve("toy curve", "mm", lambda results: {"largest": results.jacobian.max((1, 2))}, menu="Toys"))
    try:
        yield
    finally:
        for registry in (SIMILARITIES, REGULARISERS, READERS, NETWORKS, MAPS, CURVES):
            registry.remove("toy")
