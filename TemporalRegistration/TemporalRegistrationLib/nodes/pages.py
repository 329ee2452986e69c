"""Files of a report (PDF, pictures) in the scene: a text node keeps them, is saved with it, and is exported."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from pathlib import Path

import slicer
import vtk

from .names import nodeName


def pagesNode(files: Iterable[Path], name: str) -> slicer.vtkMRMLTextNode:
    """A text node, not yet in the scene, that holds files by their names."""
    node = slicer.vtkMRMLTextNode()
    node.SetName(nodeName(name))
    node.SetHideFromEditors(True)
    node.SetText(json.dumps({path.name: base64.b64encode(path.read_bytes()).decode("ascii") for path in files}))
    return node


def pictureNode(png: Path, name: str) -> slicer.vtkMRMLVectorVolumeNode:
    """A picture as a volume, not yet in the scene, upright in an axial view."""
    reader = vtk.vtkPNGReader()
    reader.SetFileName(str(png))
    colors = vtk.vtkImageExtractComponents()  # without transparency
    colors.SetInputConnection(reader.GetOutputPort())
    colors.SetComponents(0, 1, 2)
    colors.Update()
    node = slicer.vtkMRMLVectorVolumeNode()
    node.SetName(nodeName(name))
    node.SetAndObserveImageData(colors.GetOutput())
    node.SetIJKToRASDirections(-1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)  # its first row is the lowest
    return node


def pagesOf(node: slicer.vtkMRMLTextNode | None) -> dict[str, bytes]:
    """The files of a node, by name; none of None."""
    if node is None:
        return {}
    return {name: base64.b64decode(text) for name, text in json.loads(node.GetText() or "{}").items()}
