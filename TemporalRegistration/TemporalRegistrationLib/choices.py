"""What a parameter node asks for: what is missing, what it is in words, and the task that does it."""

from __future__ import annotations

from DeepRegLogic.zoo import list_models

from . import generation
from .i18n import _
from .tasks import CineTask, PairTask, Task, refinement

TABS = ("cine", "pair", "generate")  # in the order of the panel


def models() -> dict[str, tuple[str, str]]:
    """Title and summary of the models by name, best first; the empty name is refinement without a model."""
    cards = {card.name: (card.title, card.summary) for card in list_models() if card.task == "cine"}
    return {**cards, "": (_("No model"), _("The motion is found by refinement alone: for any kind of image."))}


def modelSetting(settings) -> str:
    """The parameter that names the model: every tab has its own."""
    return {"cine": "model", "pair": "pairModel", "generate": "generateModel"}[settings.task]


def whyNot(settings) -> str:
    """What keeps the registration from being run, in a few words, or ""."""
    if settings.task == "generate":
        return generation.whyNot(settings)
    model = getattr(settings, modelSetting(settings))
    if not model and settings.quality == "fast":
        return _("Choose a model, or a higher quality")
    if settings.task == "pair":
        fixed, moving = settings.fixedVolume, settings.movingVolume
        if not fixed or not moving:
            return _("Select a fixed and a moving volume")
        if fixed is moving:
            return _("Select two different volumes")
    elif not settings.inputSequence:
        return _("Select a cine")
    elif settings.inputSequence.GetNumberOfDataNodes() < 2:
        return _("Select a cine of at least two frames")
    return "" if model in models() else _("Choose a model that is here")


def offer(settings) -> str:
    """What the registration will do."""
    if settings.task == "generate":
        return generation.offer(settings)
    if settings.task == "pair":
        names = {"moving": settings.movingVolume.GetName(), "fixed": settings.fixedVolume.GetName()}
        return _("Register '{moving}' to '{fixed}'").format(**names)
    name, count = settings.inputSequence.GetName(), settings.inputSequence.GetNumberOfDataNodes()
    return _("Follow the motion of '{name}' ({count} frames)").format(name=name, count=count)


def taskOf(settings) -> Task:
    """The registration that the parameter node describes."""
    if settings.task == "generate":
        return generation.taskOf(settings)
    options = {
        "model": getattr(settings, modelSetting(settings)) or None,
        "refine": refinement(settings.quality, settings.similarity, settings.smoothness),
        "device": settings.device,
    }
    if settings.task == "pair":
        return PairTask(settings.fixedVolume, settings.movingVolume, settings.pairRegionOfInterest, **options)
    return CineTask(
        settings.inputSequence,
        labels=settings.labels,
        markups=[settings.points] if settings.points else [],
        roi=settings.regionOfInterest,
        reference=None if settings.automaticReference else settings.referenceFrame,
        **options,
    )
