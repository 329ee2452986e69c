"""Names of nodes that can be saved, and opened again; and short ones where room is short."""

from __future__ import annotations

import re

import slicer

from ..i18n import _

LENGTH = 28
_UNSAFE = r"[\x00-\x1f\x7f&]"


def nodeName(name: str) -> str:
    """``name`` without what the application writes into a scene file unescaped, and cannot read from there."""
    return re.sub(_UNSAFE, " ", name.replace("&", "+"))


def nameNotes(node: slicer.vtkMRMLNode) -> tuple[str, ...]:
    """What to tell the user of the name of a node of his."""
    name = node.GetName() or ""
    if not re.search(_UNSAFE, name):
        return ()
    note = _("A scene that holds the name '{name}' is saved, but cannot be opened again; give '{better}' instead.")
    return (note.format(name=name, better=nodeName(name)),)


def short(name: str, length: int | None = LENGTH) -> str:
    """A name of at most ``length`` characters, without its middle where it is longer; None for all of it."""
    if length is None or len(name) <= length:
        return name
    first = (length - 1) // 2
    return f"{name[:first]}\N{HORIZONTAL ELLIPSIS}{name[len(name) - (length - 1 - first) :]}"
