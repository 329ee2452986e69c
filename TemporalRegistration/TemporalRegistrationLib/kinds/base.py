"""What a kind of result is to the panel and the module, which name none: one class each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

import slicer

from DeepRegLogic.zoo import Card, damaged_models, list_models

from ..i18n import _
from ..nodes.names import LENGTH
from ..show.views import Shown
from ..steps import Task


def isThere(node: slicer.vtkMRMLNode) -> bool:
    """Whether a node is still in the scene."""
    return bool(slicer.mrmlScene.IsNodePresent(node))


class Kind(ABC):
    """A kind of result: what a tab of the panel asks for, and what is made, shown and written of it.

    ``settings`` is always the parameter node. ``nodes`` is what ``nodesOf`` gave; its ``kind`` is the name of this
    kind, and its ``browser`` plays it, or is None.

    Attributes
    ----------
    name : key of ``KINDS``, and the task of the parameter node.
    modelSetting : the parameter that names the model.
    capability : what a model must be able to do.
    usesQuality : whether a quality can be chosen.
    compares : whether images can be shown side by side or blended.
    """

    name: str
    modelSetting: str
    capability = "register"
    usesQuality = True
    compares = True

    # before

    def models(self) -> dict[str, tuple[str, str]]:
        """Title and summary of the models that can do it, best first; then those that cannot be read, and why."""
        damaged = {name: (_("{name} (damaged)").format(name=name), why) for name, why in damaged_models().items()}
        return {card.name: (card.title, card.summary) for card in list_models() if self.canUse(card)} | damaged

    def canUse(self, card: Card) -> bool:
        """Whether a model can do it, with images of patients."""
        return self.capability in card.capabilities and card.is_for_patients

    @abstractmethod
    def whyNot(self, settings) -> str:
        """What keeps it from being run, in a few words, or ""."""

    @abstractmethod
    def offer(self, settings, length: int | None = LENGTH) -> str:
        """What a run will do; names in at most ``length`` characters."""

    def canSlice(self, settings) -> bool:
        """Whether the middle slice of the input can be followed by itself."""
        return False

    @abstractmethod
    def task(self, settings) -> Task:
        """The work that the parameter node describes."""

    # after

    @abstractmethod
    def nodesOf(self, settings):
        """The results of the last run on the chosen input, or None where there are none, or not all of them."""

    def done(self, settings) -> None:  # noqa: B027  most have nothing to do
        """What becomes of the switches when a run is done."""

    @abstractmethod
    def switches(self, nodes) -> set[str]:
        """The switches that mean something for these results: "compensated", "labels", "points", "motion", and maps."""

    def ndim(self, nodes) -> int:
        """2 where the results are of single slices, else 3: areas or volumes change."""
        return 3

    @abstractmethod
    def mainVolume(self, nodes) -> slicer.vtkMRMLVolumeNode | None:
        """What the views should turn to when results appear; None where they stay."""

    @abstractmethod
    def show(self, nodes, shown: Shown, settings) -> None:
        """Put the views into the state ``shown``; twice does no more than once."""

    def hide(self, nodes) -> None:  # noqa: B027  most have nothing to do
        """Take what lies over the images out of the views, as far as it is still there."""

    def charts(self, nodes):
        """The results where they have a table of quality and charts, or None."""
        return None

    def count(self, nodes) -> int:
        """How many samples there are to choose from."""
        return 0

    @abstractmethod
    def export(self, nodes, folder: str | Path, doubtful: float) -> Path:
        """Write the results into a folder of their own in ``folder``, and return it."""


def refinementModels(models: dict[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
    """The models, and the empty name for refinement without one."""
    return {**models, "": (_("No model"), _("The motion is found by refinement alone: for any kind of image."))}
