"""The kinds of results, by name, in the order of the panel's tabs; and what a parameter node asks for."""

from __future__ import annotations

from .base import Kind
from .cine import CineKind
from .generate import GenerateKind
from .pair import PairKind

KINDS: dict[str, Kind] = {kind.name: kind for kind in (CineKind(), PairKind(), GenerateKind())}
TABS = tuple(KINDS)


def kindOf(settings) -> Kind:
    """The kind that the open tab of a parameter node stands for."""
    return KINDS[settings.task]


def models() -> dict[str, tuple[str, str]]:
    """Title and summary of all models that a tab can use, by name, best first."""
    found: dict[str, tuple[str, str]] = {}
    for kind in KINDS.values():
        found |= kind.models()
    return dict(sorted(found.items(), key=lambda item: not item[0]))  # no model comes last
