"""Results of a registration as files."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import fields
from pathlib import Path

import slicer

from DeepRegLogic.errors import OutputError

from . import quality, results
from .generation import PROVENANCE, GeneratedNodes
from .i18n import _
from .pairs import PairNodes
from .scene import MotionNodes

_REPORT = "report.json"
_SEQUENCES = (
    "compensated", "difference", "propagated", "jacobian", "uncertainty", "entropy", "labels", "ellipses",
    "toReference", "toFrame",
)  # fmt: skip


def exportMotion(nodes: MotionNodes, folder: str | Path, doubtful: float = quality.DOUBTFUL_MM) -> Path:
    """Write sequences (.seq.nrrd), curves (.csv) and report.json into a new folder "<cine> motion" of ``folder``.

    An earlier export of the same name is replaced; either everything is written or nothing is changed. Frames whose
    uncertainty is above ``doubtful`` mm are reported as doubtful.

    Returns the folder. Raises OutputError where it cannot be written.
    """
    sequences = {role: getattr(nodes, role) for role in _SEQUENCES}
    sequences |= {f"points{number}": node for number, node in enumerate(nodes.points)}
    files = {f"{role}{_suffix(node)}": node for role, node in sequences.items() if node is not None}
    files["quality.csv"] = nodes.table
    if nodes.sizes is not None:
        files["sizes.csv"] = nodes.sizes
    if nodes.labelUncertainty is not None:
        files["uncertainty.csv"] = nodes.labelUncertainty
    name = results.inputOf(nodes.table).GetName()
    report = {
        "cine": name,
        "quality": quality.sentence(nodes.table, doubtful),
        "doubtful frames": quality.doubts(nodes.table, doubtful),
        "sizes": quality.sizesText(nodes.sizes).splitlines() if nodes.sizes is not None else [],
        "provenance": json.loads(nodes.table.GetAttribute("TemporalRegistration.Provenance") or "{}"),
    }
    return _write(Path(folder) / f"{name} motion", files, report)


def exportPair(nodes: PairNodes, folder: str | Path) -> Path:
    """Write both transforms (.h5) and the warped volume (.nrrd); as ``exportMotion``."""
    files = {"toFixed.h5": nodes.toFixed, "toMoving.h5": nodes.toMoving, "warped.nrrd": nodes.warped}
    files["difference.nrrd"] = nodes.difference
    return _write(Path(folder) / nodes.toFixed.GetName(), files, {"transform": nodes.toFixed.GetName()})


def exportGenerated(nodes: GeneratedNodes, folder: str | Path) -> Path:
    """Write the sequences of every sample (.seq.nrrd) and report.json, which says what makes them again."""
    files = {}
    for number, sample in enumerate(nodes.samples, start=1):
        for role, node in ((field.name, getattr(sample, field.name)) for field in fields(sample)):
            if node is not None:
                files[f"sample-{number:03d}-{role}{_suffix(node)}"] = node
    name = results.inputOf(nodes.browser).GetName()
    made = json.loads(nodes.browser.GetAttribute(PROVENANCE) or "[]")
    return _write(Path(folder) / f"{name} samples", files, {"input": name, "samples": made})


def _suffix(sequenceNode: slicer.vtkMRMLSequenceNode) -> str:
    images = ("vtkMRMLScalarVolumeNode", "vtkMRMLLabelMapVolumeNode", "vtkMRMLTransformNode")
    return ".seq.nrrd" if sequenceNode.GetDataNodeClassName() in images else ".seq.mrb"


def _write(folder: Path, files: dict[str, slicer.vtkMRMLStorableNode], report: dict) -> Path:
    if folder.exists() and not (folder / _REPORT).is_file():
        reason = _("'{folder}' exists and is not an earlier export; choose another folder, or rename it.")
        raise OutputError(reason.format(folder=folder))
    temporary = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent))
        for name, node in files.items():
            _save(node, temporary / name)
        (temporary / _REPORT).write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", "utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        temporary.chmod(0o755)
        temporary.replace(folder)
    except OSError as error:
        reason = _("The results cannot be written to '{folder}': {reason}.")
        raise OutputError(reason.format(folder=folder, reason=error.strerror or error)) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _save(node: slicer.vtkMRMLStorableNode, path: Path) -> None:
    """Write a node through a storage node of its own, so that where the user saves it stays as it is."""
    storage = slicer.mrmlScene.CreateNodeByClass(node.GetDefaultStorageNodeClassName(str(path)))
    storage.UnRegister(None)
    storage.SetScene(slicer.mrmlScene)
    storage.SetFileName(str(path))
    if not storage.WriteData(node) or not path.is_file():
        raise OSError(_("'{name}' could not be written; check the folder and the free space").format(name=path.name))
