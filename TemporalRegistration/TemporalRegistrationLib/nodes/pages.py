"""Files of a report (PDF, pictures) in the scene: a text node keeps them, is saved with it, and is exported."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from pathlib import Path

import slicer

from .names import nodeName


def pagesNode(files: Iterable[Path], name: str) -> slicer.vtkMRMLTextNode:
    """A text node, not yet in the scene, that holds files by their names."""
    node = slicer.vtkMRMLTextNode()
    node.SetName(nodeName(name))
    node.SetHideFromEditors(True)
    node.SetText(json.dumps({path.name: base64.b64encode(path.read_bytes()).decode("ascii") for path in files}))
    return node


def pagesOf(node: slicer.vtkMRMLTextNode | None) -> dict[str, bytes]:
    """The files of a node, by name; none of None."""
    if node is None:
        return {}
    return {name: base64.b64decode(text) for name, text in json.loads(node.GetText() or "{}").items()}
