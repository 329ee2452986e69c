"""A Motion as files: fields both ways, and the images and labels that they carry."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .. import transport
from ..cine import Cine, Motion
from ..errors import InputError
from ..measure import jacobian
from ..progress import CancelToken, ProgressCallback, Reporter
from ..uncertainty import LEAST_ENTROPY, deviations, entropy
from .atomic import whole_folder
from .fields import FIELD_SUFFIXES, write_field
from .names import PICTURES, safe_name
from .write import write_cine

_KEPT = (".seq.nrrd", ".nrrd", ".nii.gz", ".nii", ".mha")


def as_type(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """``values`` in ``dtype``: rounded and clipped to its range where it holds integers."""
    if dtype.kind == "f":
        return values.astype(dtype)
    if dtype.kind == "b":
        return values > 0.5
    limits = np.iinfo(dtype)
    # float32 cannot hold the largest integers of 32 and 64 bits, so clipping is done in double precision and below them
    top = np.nextafter(float(limits.max), 0.0) if limits.bits > 32 else float(limits.max)
    return np.clip(np.rint(values.astype(np.float64)), float(limits.min), top).astype(dtype)


def image_suffix(cine: Cine, frames: np.ndarray) -> str:
    """The suffix in which frames that come from ``cine`` are written: the cine's own where that can be written.

    "" stands for a folder of PNG files (lists of pictures); DICOM becomes ``.seq.nrrd``.
    """
    if cine.suffix in PICTURES and cine.grid.ndim == 2:
        return "" if {frames.dtype, cine.frames.dtype} <= {np.dtype(np.uint8), np.dtype(np.uint16)} else ".seq.nrrd"
    return cine.suffix if cine.suffix in _KEPT else ".seq.nrrd"


def write_motion(
    motion: Motion,
    cine: Cine,
    folder: str | Path,
    *,
    labels: np.ndarray | None = None,
    field_suffix: str = ".nrrd",
    progress: ProgressCallback | None = None,
    cancel: CancelToken | None = None,
) -> list[Path]:
    """Write a motion and what it does to the cine it was found in.

    In ``folder``: ``fields/displacement_000`` ... and ``fields/inverse_000`` ... (one each way and frame, see
    ``write_field``), and, named after the cine, ``_compensated`` (every frame brought onto the reference),
    ``_propagated`` (the reference carried to every frame), ``_jacobian`` (local area or volume relative to the
    reference) and, with ``labels``, ``_labels`` (carried to every frame); of a motion that says how sure it is also
    ``_deviation`` (the largest standard deviation in mm) and ``_entropy`` (eq. 21 of Zakeri et al. 2023, of the
    covariance in mm^2, -20 where the displacement is zero by definition), on the reference frame. Images have the
    cine's format, geometry, times and pixel type; integers are rounded and clipped. All is written, or nothing.

    Parameters
    ----------
    labels : whole numbers ``[*grid.shape]`` drawn on the reference frame.
    field_suffix : ".nrrd", ".nii.gz", ".nii", ".mha", ".h5" or ".tfm".
    progress, cancel : see ``progress.py``.

    Returns
    -------
    The paths written.

    Raises
    ------
    InputError : cine and motion, or labels and motion, do not fit together; an unknown suffix.
    OutputError : the folder cannot be written or is full.
    Cancelled : ``cancel`` was set.
    """
    folder, report = Path(folder).expanduser(), Reporter(progress, cancel)
    if field_suffix not in FIELD_SUFFIXES:
        raise InputError(f"Fields are written as {', '.join(FIELD_SUFFIXES)}, not '{field_suffix}'.")
    if len(cine) != len(motion) or not cine.grid.matches(motion.grid):
        raise InputError(
            f"The motion has {len(motion)} frames on another grid or in another number than '{cine.name}'."
        )
    report(0.0, "Warping images")
    images = _images(motion, cine, labels)
    report(0.3, "Writing")
    written: list[Path] = []
    with whole_folder(folder) as part:
        for name, frames in images.items():
            report.check()
            relative = f"{safe_name(cine.name)}_{name}{image_suffix(cine, frames)}"
            write_cine(part / relative, frames, cine)
            written.append(folder / relative)
        count = len(motion)
        digits = max(3, len(str(count - 1)))
        for t in range(count):
            report(0.4 + 0.6 * t / count, f"Writing fields of frame {t + 1} of {count}")
            for name, fields in (("displacement", motion.displacement), ("inverse", motion.inverse)):
                relative = f"fields/{name}_{t:0{digits}d}{field_suffix}"
                write_field(part / relative, fields[t], motion.grid)
                written.append(folder / relative)
        report(1.0, "Written")
    return written


def _images(motion: Motion, cine: Cine, labels: np.ndarray | None) -> dict[str, np.ndarray]:
    """What is written beside the fields, by name."""
    kind = cine.frames.dtype
    images = {
        "compensated": as_type(transport.compensate(motion, cine.frames), kind),
        "propagated": as_type(transport.propagate(motion, cine.frames[motion.reference]), kind),
        "jacobian": jacobian(motion),
    }
    if labels is not None:
        if np.asarray(labels).dtype.kind not in "bui":
            raise InputError("Labels need to be whole numbers.")
        images["labels"] = transport.propagate(motion, np.asarray(labels), nearest=True)
    if motion.covariance is not None:
        images["deviation"] = deviations(motion.covariance)[:, 0]
        # where the displacement is zero by definition, the entropy is minus infinity: no file has that
        images["entropy"] = np.maximum(entropy(motion.covariance), LEAST_ENTROPY)
    return images
