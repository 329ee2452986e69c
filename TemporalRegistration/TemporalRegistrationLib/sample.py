"""The cine that comes with the module."""

from __future__ import annotations

from pathlib import Path

import slicer
import slicer.util

import DeepRegLogic
from DeepRegLogic.errors import InputError

from .i18n import _

NAME = "four-chamber"


def samplePath() -> Path:
    return Path(DeepRegLogic.__file__).resolve().parent.parent / "Resources" / "SampleData" / f"{NAME}.seq.nrrd"


def loadSample() -> slicer.vtkMRMLSequenceNode:
    """Load the bundled synthetic four-chamber cine; no network is needed.

    Raises
    ------
    InputError : the file is not there, or cannot be read.
    """
    try:
        return slicer.util.loadSequence(str(samplePath()))
    except RuntimeError as error:
        reason = _("The sample '{path}' cannot be read; install the extension again.")
        raise InputError(reason.format(path=samplePath())) from error


def registerSample(thumbnail: str) -> None:
    """Offer the cine in the module Sample Data, too."""
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="Temporal Registration",
        sampleName="SyntheticFourChamberCine",
        thumbnailFileName=thumbnail,
        uris=samplePath().as_uri(),
        fileNames=f"{NAME}.seq.nrrd",
        nodeNames=NAME,
        loadFileTypes="SequenceFile",
    )
