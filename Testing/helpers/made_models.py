"""Models made for tests: networks that were never trained, in folders as the zoo has them."""

from __future__ import annotations

from pathlib import Path

import torch

from DeepRegLogic import zoo
from DeepRegLogic.networks import NETWORKS, build


def card_of(name: str, network: str, **more: object) -> zoo.Card:
    """The card of a 2D network of the register, for pixels of 1.8 mm; it can do what the class can."""
    capabilities = tuple(sorted(NETWORKS[network].capabilities))
    values = {"arguments": {}, "ndim": 2, "spacing": 1.8, "capabilities": capabilities}
    return zoo.Card(name, name.title(), "For tests.", network, **{**values, **more})


def save_generator(folder: Path) -> str:
    """An untrained model that can generate, and moves a little; the path of its folder."""
    torch.manual_seed(0)
    zoo.save_model(folder, build("dragnet-flow"), card_of("g", "dragnet-flow"))
    return str(folder)
