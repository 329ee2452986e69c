"""Nodes as files in a folder of their own, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import slicer

from DeepRegLogic.files import own_folder, writing
from DeepRegLogic.io.formats import safe_title

from ..i18n import _

_REPORT = "report.json"


def suffixOf(sequenceNode: slicer.vtkMRMLSequenceNode) -> str:
    """The suffix that the application reads a sequence of such items by."""
    images = ("vtkMRMLScalarVolumeNode", "vtkMRMLLabelMapVolumeNode", "vtkMRMLTransformNode")
    return ".seq.nrrd" if sequenceNode.GetDataNodeClassName() in images else ".seq.mrb"


def writeNodes(
    home: str | Path,
    title: str,
    files: Mapping[str, slicer.vtkMRMLStorableNode],
    report: Mapping[str, object],
    others: Mapping[str, bytes] | None = None,
) -> Path:
    """Write nodes by their file names, ``others`` as they are, and ``report.json``, into a folder in ``home``.

    The folder may be there from earlier. Whatever ``title`` is, as nodes have names of any kind, the folder is named
    after it, and lies in ``home``.

    Returns the folder.

    Raises
    ------
    OutputError : it cannot be written, or holds something else; nothing was changed.
    """
    folder = Path(home) / safe_title(title)
    with own_folder(folder) as work, writing(folder):
        for name, node in files.items():
            _save(node, work / name)
        for name, content in (others or {}).items():
            (work / name).write_bytes(content)
        (work / _REPORT).write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return folder


def _save(node: slicer.vtkMRMLStorableNode, path: Path) -> None:
    """Write a node through a storage node of its own, so that where the user saves it stays as it is."""
    storage = slicer.mrmlScene.CreateNodeByClass(node.GetDefaultStorageNodeClassName(str(path)))
    storage.UnRegister(None)
    storage.SetScene(slicer.mrmlScene)
    storage.SetFileName(str(path))
    if not storage.WriteData(node) or not path.is_file():
        raise OSError(_("'{name}' could not be written; check the folder and the free space").format(name=path.name))
