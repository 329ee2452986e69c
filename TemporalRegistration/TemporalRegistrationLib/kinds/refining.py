"""What cines and pairs ask of a refinement."""

from __future__ import annotations

from dataclasses import asdict

from DeepRegLogic.registration.presets import PRESETS, refinement_of

from ..i18n import _


def refinementOf(settings) -> bool | dict[str, object]:
    """The argument ``refine`` for the chosen quality, similarity, regulariser and smoothness, as JSON has it."""
    changes = {name: getattr(settings, name) for name in ("similarity", "regulariser", "smoothness")}
    refinement = refinement_of(settings.quality, **changes)
    return False if refinement is None else asdict(refinement)


def whyNotRefine(model: str, settings) -> str:
    """What is missing where neither a model nor a refinement is chosen, or ""."""
    if not model and PRESETS.choose(settings.quality).refinement is None:
        return _("Choose a model, or a higher quality")
    return ""
