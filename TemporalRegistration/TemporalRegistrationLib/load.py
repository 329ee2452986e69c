"""A cine from files or a DICOM folder, read by the package's own readers in the worker, added to the scene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import slicer

from DeepRegLogic.service import exchange

from .i18n import _
from .nodes.sequences import cineSteps
from .steps import Steps


@dataclass(frozen=True)
class Loaded:
    """What was found.

    Attributes
    ----------
    sequenceNode : the cine in the scene, or None where there are several series to choose from.
    notes : what reading changed or missed.
    series : the UID and a title of every series, where there are several.
    """

    sequenceNode: slicer.vtkMRMLSequenceNode | None = None
    notes: tuple[str, ...] = ()
    series: tuple[tuple[str, str], ...] = ()


class LoadTask:
    """Read the cine of one folder, or of one or several files; ``series`` is the UID of one of a folder's series."""

    def __init__(self, paths: Sequence[str | Path], series: str | None = None) -> None:
        self.paths, self.series = tuple(str(path) for path in paths), series

    def inputsAreThere(self) -> bool:
        return True

    def prepare(self, folder: Path) -> Steps[dict]:
        yield 1.0, _("Reading")
        return {"call": "read_cine", "arguments": {"paths": list(self.paths), "series": self.series}}

    def finish(self, folder: Path, result: dict) -> Steps[Loaded]:
        if "series" in result:
            return Loaded(series=tuple((uid, title) for uid, title in result["series"]))
        cine = exchange.unpack_cine(folder, result["cine"])
        return Loaded((yield from cineSteps(cine)), tuple(result["notes"]))
