"""Every network of the register, tiny: trains for a few steps, goes on, ends as a model, and registers a pair."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from DeepRegLogic import Cine, Grid, register_pair, zoo
from DeepRegLogic.networks import NETWORKS, REGISTER, build
from DeepRegLogic.training.configuration import (
    Configuration,
    DataConfiguration,
    LossConfiguration,
    OptimiserConfiguration,
)
from DeepRegLogic.training.run import train

pytestmark = pytest.mark.usefixtures("one_thread")

TINY = {
    "cascade": {"arguments": {"channels": [4, 4], "final": [4]}, "count": 2},
    "conditional": {"channels": [4, 8]},
    "dccnn-lstm": {"steps": 2, "widths": [2, 2, 2, 2], "features": [4, 2, 2, 2, 2]},
    "dragnet": {"latent": 4},
    "lapirn": {"channels": 4, "blocks": 1},
    "symmetric-pyramid": {"channels": [4, 4]},
    "symnet": {"channels": [4, 4], "final": [4]},
    "tlrn": {"channels": [4, 4]},
    "transmorph": {"size": "tiny"},
    "transmorph-bayes": {"size": "tiny", "passes": 3},
    "transmorph-bspl": {"size": "tiny"},
    "transmorph-diff": {"size": "tiny"},
    "transmorph-tvf": {"size": "tiny", "steps": 2},
    "voxelmorph": {"channels": [4, 4], "final": [4]},
    "voxelmorph-probabilistic": {"channels": [4, 4], "final": [4]},
}
"""Arguments that make them small; others are taken as they are."""
PLANAR = {"dragnet", "dragnet-flow", "pyramid"}  # of two axes alone
CINES = {"dragnet": (128, 128)}  # size of images where only one fits


def _configuration(name: str, ndim: int) -> Configuration:
    size = CINES.get(name, (32, 32) if ndim == 2 else (16, 16, 16))
    data = DataConfiguration("shapes", size=size, validation=1, extent=max(size))
    if name in PLANAR:
        data = DataConfiguration("phantoms", ("short-axis",), pool=2, validation=1, size=size, frames=(2, 2))
        if name == "dragnet":
            data = replace(data, frames=(6, 6))
    arguments = {} if name == "dragnet" else TINY.get(name, {})
    return Configuration(
        "tiny", "Tiny", "For tests.", name, arguments, half=True, data=data,
        loss=LossConfiguration(labels=1.0, smooth=0.1, end_point=1.0, squarings=2),
        optimiser=OptimiserConfiguration(steps=1, batch=1, validate_every=1),
    )  # fmt: skip


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("name", list(NETWORKS))
def test_every_network_trains_goes_on_and_registers(name, ndim, tmp_path):
    if name in PLANAR and ndim == 3:
        with pytest.raises(ValueError, match=r"ndim|ax[ei]s|2"):
            build(name, ndim=3)
        return
    first = _configuration(name, ndim)
    train(first, tmp_path, device="cpu", progress=False)
    second = replace(first, optimiser=replace(first.optimiser, steps=2))
    card = train(second, tmp_path, device="cpu", progress=False, resume=True)
    assert card.training["steps"] in (1, 2)
    model = zoo.load_model(tmp_path / "model")
    assert all(bool(value.isfinite().all()) for value in model.network.state_dict().values())
    if REGISTER not in model.card.capabilities or name == "dragnet":
        return
    size = first.data.size
    images = torch.rand(2, *size, generator=torch.Generator().manual_seed(1)).numpy()
    fixed, moving = (Cine(image[None], Grid.of_array(size)) for image in images)
    motion = register_pair(fixed, moving, model=str(tmp_path / "model"), refine=False)
    assert motion.displacement.shape == (2, ndim, *size)
    assert bool(np.isfinite(motion.displacement).all())
    assert bool(np.isfinite(motion.inverse).all())
    assert (motion.covariance is not None) == ("uncertainty" in card.capabilities)
