"""Results as DICOM, in the study that the cine came from: ``write_dicom``. Needs pydicom 3 and highdicom."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import InputError
from ...files import expanded, whole_folder
from ...progress import CancelToken, ProgressCallback, Reporter
from ..results import Results

if TYPE_CHECKING:
    from pydicom import Dataset

    from .identity import Identity


def require_packages() -> None:
    """Raise InputError where pydicom 3 or highdicom is missing (3D Slicer brings pydicom 2.4)."""
    found = importlib.util.find_spec("highdicom") is not None
    if found:
        import pydicom

        found = int(pydicom.__version__.split(".")[0]) >= 3
    if not found:
        raise InputError(
            "Writing DICOM needs pydicom 3 and highdicom, in a Python environment of its own where 3D Slicer has "
            'pydicom 2: pip install "temporal-registration[dicom]"'
        )


def write_dicom(
    results: Results, folder: str | Path, progress: ProgressCallback | None = None, cancel: CancelToken | None = None
) -> list[Path]:
    """Write results as DICOM objects of the patient and study of the series that the cine was read from.

    In ``folder``: ``segmentation_000.dcm`` ... (SEG, one a frame, where there are labels), ``measurements.dcm`` (SR,
    TID 1500: the curves), ``motion_000.dcm`` ... (Deformable Spatial Registration: from the reference frame's points to
    those of each frame), and the series ``compensated/`` (every frame brought onto the reference). Of a pair, the
    motion and, where it was aligned first, ``affine_001.dcm`` (Spatial Registration). All, or nothing.

    Returns
    -------
    The paths written.

    Raises
    ------
    InputError : a package is missing, the cine does not come from DICOM, or its headers lack what DICOM asks for.
    OutputError : the folder cannot be written or is full.
    Cancelled : ``cancel`` was set.
    """
    require_packages()
    from pydicom import config

    from .identity import Identity

    report, folder = Reporter(progress, cancel), expanded(folder)
    written: list[Path] = []
    # what the scanner wrote is the identity, valid or not
    with config.disable_value_validation(), whole_folder(folder) as part:
        identity = Identity.of(results)
        for number, (name, make) in enumerate(_objects(results, identity)):
            report(min(0.95, number / (3 * len(results.motion) + 1)), f"Writing {name}")
            (part / name).parent.mkdir(exist_ok=True)
            make().save_as(part / name, enforce_file_format=True)
            written.append(folder / name)
    report(1.0, "Written")
    return written


def _objects(results: Results, identity: Identity) -> Iterator[tuple[str, Callable[[], Dataset]]]:
    """Every object by the name of its file; each is made when it is asked for."""
    from . import derived, measurements, registration, segmentation

    motion = results.motion
    if identity.source.pair:
        yield "motion_001.dcm", partial(registration.deformable, results, identity, 1)
        if (matrix := motion.affine) is not None:
            yield "affine_001.dcm", partial(registration.affine, results, identity, 1, matrix)
        return
    digits = max(3, len(str(len(results.motion) - 1)))
    frames = range(len(results.motion))
    if results.labels is not None:
        for t in frames:
            if any(mask[t].any() for mask in results.carried):
                yield f"segmentation_{t:0{digits}d}.dcm", partial(segmentation.segmentation, results, identity, t)
    if results.curves:
        yield "measurements.dcm", partial(measurements.report, results, identity)
    for t in frames:
        if t != results.motion.reference:
            yield f"motion_{t:0{digits}d}.dcm", partial(registration.deformable, results, identity, t)
    for number, make in enumerate(derived.compensated(results, identity)):
        yield f"compensated/{number:0{digits}d}.dcm", make
