"""A Motion as files: fields both ways, and the images, maps and labels that follow from it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import numpy as np

from .. import flow
from ..cine import Cine, Motion
from ..errors import InputError
from ..files import expanded, whole_folder
from ..grid import Grid
from ..io.field_formats import FIELD_FORMATS, choose_format, write_field_as
from ..io.fields import FIELD_SUFFIXES, halved, write_affine, write_field
from ..io.formats import safe_name
from ..io.write import as_type, image_suffix, write_cine
from ..progress import CancelToken, ProgressCallback, Reporter
from .labels import Labels
from .maps import IMAGE, file_name
from .resample import points_of, sample_at
from .results import Results

AFFINE = "affine.tfm"


def write_motion(
    motion: Motion,
    cine: Cine,
    folder: str | Path,
    *,
    labels: np.ndarray | None = None,
    field_suffix: str = ".nrrd",
    field_formats: Sequence[str] = (),
    moving: Grid | None = None,
    progress: ProgressCallback | None = None,
    cancel: CancelToken | None = None,
) -> list[Path]:
    """Write a motion and what it does to the cine it was found in.

    In ``folder``: ``fields/displacement_000`` ... and ``fields/inverse_000`` ... (one each way and frame, see
    ``write_field``), and, named after the cine, ``_compensated`` (every frame brought onto the reference),
    ``_propagated`` (the reference carried to every frame), ``_jacobian`` (local area or volume relative to the
    reference) and, with ``labels``, ``_labels`` (carried to every frame); of a motion that says how sure it is also
    ``_deviation`` (the largest standard deviation in mm) and ``_entropy`` (eq. 21 of Zakeri et al. 2023, of the
    covariance in mm^2, -20 where the displacement is zero by definition), on the reference frame; of a pair that was
    aligned first also ``fields/affine.tfm``, the matrix that the fields contain, and ``fields/deformation`` and
    ``fields/deformation_inverse`` without it. Images have the
    cine's format, geometry, times and pixel type; integers are rounded and clipped. All is written, or nothing.

    Parameters
    ----------
    labels : whole numbers ``[*grid.shape]`` drawn on the reference frame.
    field_suffix : ".nrrd", ".nii.gz", ".nii", ".mha", ".h5" or ".tfm".
    field_formats : names of ``io.field_formats.FIELD_FORMATS``, for other programs: the same fields once more in each
        of them, in ``fields/<name>``.
    moving : of a pair, the grid of the moving image, on which the fields of some programs depend.
    progress, cancel : see ``progress.py``.

    Returns
    -------
    The paths written.

    Raises
    ------
    InputError : cine and motion, or labels and motion, do not fit together; an unknown suffix.
    OutputError : the folder cannot be written or is full.
    Cancelled : ``cancel`` was set.

    Examples
    --------
    >>> from DeepRegLogic import write_motion
    >>> from DeepRegLogic.synthetic import cine_phantom
    >>> phantom = cine_phantom(seed=1, size=32, frames=2)
    >>> for path in write_motion(phantom.motion, phantom.cine, "out"):
    ...     print(path.as_posix())
    out/short-axis-phantom-1_compensated.seq.nrrd
    out/short-axis-phantom-1_propagated.seq.nrrd
    out/short-axis-phantom-1_jacobian.seq.nrrd
    out/fields/displacement_000.nrrd
    out/fields/inverse_000.nrrd
    out/fields/displacement_001.nrrd
    out/fields/inverse_001.nrrd
    """
    results = Results(motion, cine, None if labels is None else Labels.of_map(labels))
    return write_results(
        results,
        folder,
        field_suffix=field_suffix,
        field_formats=field_formats,
        moving=moving,
        progress=progress,
        cancel=cancel,
    )


def write_results(
    results: Results,
    folder: str | Path,
    *,
    field_suffix: str = ".nrrd",
    field_formats: Sequence[str] = (),
    moving: Grid | None = None,
    parts: Collection[str] = ("fields", "images"),
    half: bool = False,
    progress: ProgressCallback | None = None,
    cancel: CancelToken | None = None,
) -> list[Path]:
    """``write_motion`` of results, whose labels are carried along; every map of ``maps.MAPS`` that has a file name.

    Parameters
    ----------
    parts : "fields", "images", or both.
    half : see ``write_field``.
    """
    motion, cine = results.motion, results.cine
    folder, report = expanded(folder), Reporter(progress, cancel)
    if field_suffix not in FIELD_SUFFIXES:
        raise InputError(f"Fields are written as {', '.join(FIELD_SUFFIXES)}, not '{field_suffix}'.")
    for name in field_formats:
        choose_format(name)
    report(0.0, "Warping images")
    written: list[Path] = []
    with whole_folder(folder) as part:
        for name, frames in _images(results) if "images" in parts else ():
            report(0.1, f"Writing {name}")
            relative = f"{safe_name(cine.name)}_{name}{image_suffix(cine, frames)}"
            write_cine(part / relative, frames, cine)
            written.append(folder / relative)
        fields, count = list(_fields(motion)) if "fields" in parts else [], len(motion)
        for number, (name, field) in enumerate(fields):
            report(
                0.4 + 0.5 * number / len(fields), f"Writing fields of frame {min(number // 2 + 1, count)} of {count}"
            )
            write_field(part / "fields" / f"{name}{field_suffix}", field, motion.grid, half=half)
            written.append(folder / "fields" / f"{name}{field_suffix}")
        if motion.affine is not None and "fields" in parts:
            write_affine(part / "fields" / AFFINE, motion.affine)
            written.append(folder / "fields" / AFFINE)
        for name in field_formats:
            report(0.95, f"Writing fields for {FIELD_FORMATS[name].title}")
            written += [folder / path for path in _foreign(motion, part, name, moving or motion.grid)]
        report(1.0, "Written")
    return written


def _fields(motion: Motion) -> Iterator[tuple[str, np.ndarray]]:
    """Every field by the name of its file."""
    digits = max(3, len(str(len(motion) - 1)))
    for t in range(len(motion)):
        yield f"displacement_{t:0{digits}d}", motion.displacement[t]
        yield f"inverse_{t:0{digits}d}", motion.inverse[t]
    if motion.deformation is not None:
        yield from zip(("deformation", "deformation_inverse"), motion.deformation, strict=True)


def _foreign(motion: Motion, part: Path, name: str, moving: Grid) -> list[Path]:
    """Write the fields, and the matrix of a pair, in a format of another program; the paths below ``part``."""
    entry, place = FIELD_FORMATS[name], Path("fields", name)
    for stem, field in _fields(motion):
        # what goes back is applied to the fixed image; a deformation alone ends on the fixed grid
        there = moving if stem.startswith("displacement") else motion.grid
        write_field_as(name, part / place / f"{stem}{entry.suffix}", field, motion.grid, there)
    if motion.affine is not None:
        entry.files.write_affine(part / place / f"affine{entry.affine_suffix}", motion.affine, motion.grid, moving)
    return sorted(path.relative_to(part) for path in (part / place).iterdir())


def half_error(results: Results) -> float:
    """How far fields that are written in the precision of 16 bits are at most from those that were found, in mm."""
    grid, motion = results.motion.grid, results.motion
    largest = 0.0
    for fields in (motion.displacement, motion.inverse):
        for field in fields:
            vectors = flow.to_mm(field, grid)
            largest = max(largest, float(np.abs(halved(vectors) - vectors).max()))
    return largest


def _images(results: Results) -> Iterator[tuple[str, np.ndarray]]:
    """What is written beside the fields, by the names of files: the maps, the labels before those of a covariance."""
    kind = results.cine.frames.dtype
    late = [name for name, entry in results.maps.items() if entry.needs_covariance]
    for name in [name for name in results.maps if name not in late]:
        if file_name(name):
            values = results.map(name)
            yield file_name(name), as_type(values, kind) if results.maps[name].kind == IMAGE else values
    if results.labels is not None:
        if results.labels.overlap:
            for value, mask in zip(results.labels.values, results.carried, strict=True):
                yield f"labels_{value}", mask
        else:
            yield "labels", results.labels.as_map(results.carried)
    for name in late:
        if file_name(name):
            yield file_name(name), results.map(name)


def write_warped_labels(results: Results, labels: np.ndarray, grid: Grid, folder: Path) -> Path:
    """Labels ``[*grid.shape]`` of the moving image of a pair, on its own grid, brought onto the fixed image.

    The file is ``<name>_moving_labels`` in ``folder``, in the format of the images.
    """
    motion, cine = results.motion, results.cine
    points = points_of(motion.grid, motion.displacement[1])
    warped = sample_at(labels, grid, points, nearest=True)[0].reshape(1, *motion.grid.shape)
    like = Cine(cine.frames[:1], cine.grid, name=cine.name, suffix=cine.suffix)
    path = folder / f"{safe_name(cine.name)}_moving_labels{image_suffix(like, warped)}"
    write_cine(path, warped, like)
    return path
