"""Reading: ``READERS``, each with what it accepts, and ``read_cine`` and its kin, which ask them in turn.

To add a reader is to add an entry; it is asked before those that are there:

    READERS.add("mp4", Reader(lambda paths: paths[0].suffix == ".mp4", read_mp4))
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..cine import Cine
from ..errors import InputError
from ..files import expanded
from ..grid import Grid
from ..registry import Registry
from .dicom.classic import read_classic
from .dicom.multiframe import read_multiframe
from .dicom.series import choose_series, find_dicom, holds_places, is_dicom, series_of, study_date
from .formats import PICTURES, SUFFIXES, natural, stem_of, suffix_of
from .guard import require_file
from .images import read_file, read_list
from .segments import LabelMasks, merged, misplaced, read_segments, segment_names

Source = str | Path | Sequence[str | Path]
Series = str | Sequence[str] | None


@dataclass(frozen=True)
class Request:
    """What is to be read.

    Attributes
    ----------
    paths : one file or folder, or several files in the order of time.
    series : which DICOM series of several; several UIDs, or "all", to be read as one.
    name : of the cine, "" for that of the file or folder.
    memory_gb : refuse, before pixels are read, what holds more gigabytes of them.
    alone : take a DICOM file by itself, and not for the series that it is one of.
    """

    paths: tuple[Path, ...]
    series: Series = None
    name: str = ""
    memory_gb: float | None = None
    alone: bool = False


@dataclass(frozen=True)
class Reader:
    """An entry of ``READERS``: whether it accepts paths (one file or folder, or several files), and what it reads."""

    accepts: Callable[[tuple[Path, ...]], bool]
    read: Callable[[Request], Cine]


READERS: Registry[Reader] = Registry("reader")


def read_cine(
    source: Source, *, series: Series = None, name: str | None = None, memory_gb: float | None = None
) -> Cine:
    """Read frames over time.

    Parameters
    ----------
    source : a ``.seq.nrrd``, four-dimensional NRRD, NIfTI or MetaImage file, a multi-frame DICOM file (Enhanced MR,
        ultrasound), a folder of DICOM or of image files, or a list of image files in the order of time. One image of
        a DICOM series stands for its series in its folder.
    series : SeriesInstanceUID to take from a DICOM folder that holds several (see ``list_series``); several of them,
        or "all", are joined where they are the slices or phases of one acquisition.
    name : name of the cine; by default that of the file or folder.
    memory_gb : refuse, before pixels are read, what holds more gigabytes of them.

    Returns
    -------
    The frames in the type of the file, with its geometry (LPS mm) and its frame times in seconds, or frame numbers
    where it has no usable ones. ``notes`` says what reading changed.

    Raises
    ------
    InputError : what is there cannot be read, is damaged, does not fit together, or is a single image.
    MemoryBudgetError : more than ``memory_gb``.

    Examples
    --------
    >>> from DeepRegLogic import read_cine, write_cine
    >>> from DeepRegLogic.synthetic import cine_phantom
    >>> beat = cine_phantom(seed=1, size=32, frames=3).cine
    >>> write_cine("beat.seq.nrrd", beat.frames, beat)
    >>> cine = read_cine("beat.seq.nrrd")
    >>> cine.frames.shape, cine.grid.spacing, cine.time_unit
    ((3, 32, 32), (1.8, 1.8, 1.0), 's')
    """
    cine = _read(source, series, name, memory_gb, alone=False)
    if len(cine) < 2:
        raise InputError(
            f"'{_title(source)}' holds one image of {cine.grid.size} voxels, not frames over time. Give a .seq.nrrd or "
            "four-dimensional file, a DICOM series with several phases, or a list of image files; if its third axis is "
            "time, save it with four axes as (X, Y, 1, time)."
        )
    return cine


def read_frames(source: Source, *, series: Series = None, name: str | None = None) -> Cine:
    """Read frames over time, or one image as a cine of one frame; else as ``read_cine``."""
    return _read(source, series, name, None, alone=False)


def read_image(path: Source, *, series: Series = None, name: str | None = None, memory_gb: float | None = None) -> Cine:
    """Read one image, 2D or 3D, as a cine of one frame: an image file, a DICOM file, or a folder of DICOM slices.

    Parameters and errors are those of ``read_cine``; more than one frame is an ``InputError``.
    """
    image = _read(path, series, name, memory_gb, alone=True)
    if len(image) > 1:
        raise InputError(f"'{_title(path)}' holds {len(image)} frames where one image is needed; save one frame of it.")
    return image


def read_labels(path: str | Path, grid: Grid) -> np.ndarray:
    """Read a label map that lies on ``grid``: integers ``[*grid.shape]``.

    A ``.seg.nrrd`` of Slicer, which is stored cropped to its segments, is put back into the whole grid (0 around it).

    Raises
    ------
    InputError : it cannot be read, holds other than whole numbers, lies on another grid, or is a segmentation whose
        segments overlap (``read_masks`` reads those).
    """
    path = expanded(path)
    if suffix_of(path) == ".seg.nrrd":
        return merged(read_masks(path, grid), path)
    image = read_image(path)
    labels = image.frames[0]
    if labels.dtype.kind == "f":
        if not np.array_equal(labels, np.rint(labels)):
            raise InputError(f"'{path}' has non-integer values, so it is not a label map; give one with whole numbers.")
        labels = labels.astype(np.int32)
    if suffix_of(path) in PICTURES and image.grid.size == grid.size:
        pass  # pictures store no geometry: the size must do
    elif not image.grid.matches(grid, tolerance=1e-2):
        raise misplaced(path, image.grid, grid)
    return np.ascontiguousarray(labels)


def read_masks(path: str | Path, grid: Grid) -> LabelMasks:
    """Read regions that lie on ``grid``, one by one: those of a ``.seg.nrrd`` may overlap. Raises as ``read_labels``.

    ``Labels(*read_masks(path, grid))`` are the labels that results carry along.
    """
    path = expanded(path)
    if suffix_of(path) == ".seg.nrrd":
        return read_segments(path, grid)
    labels = read_labels(path, grid)
    values = tuple(int(value) for value in np.unique(labels) if value != 0)
    masks = np.array([labels == value for value in values], np.uint8).reshape(-1, *labels.shape)
    return LabelMasks(masks, values, tuple(f"label {value}" for value in values), labels.dtype)


def read_label_names(path: str | Path) -> dict[int, str]:
    """What a ``.seg.nrrd`` of Slicer calls its labels: value -> name; empty for every other file."""
    path = expanded(path)
    return segment_names(path) if suffix_of(path) == ".seg.nrrd" else {}


def _title(source: Source) -> str:
    if isinstance(source, (str, Path)):
        return str(source)
    return f"{source[0]} ..." if len(source) > 1 else str(source[0])


def _read(source: Source, series: Series, name: str | None, memory_gb: float | None, alone: bool) -> Cine:
    sources = [source] if isinstance(source, (str, Path)) else list(source)
    paths = tuple(expanded(path) for path in sources)
    if not paths:
        raise InputError("No files were given.")
    for path in paths:
        if len(paths) > 1 or not os.path.isdir(path):
            require_file(path)
    request = Request(paths, series, name or "", memory_gb, alone)
    reader = next(reader for reader in reversed(list(READERS.values())) if reader.accepts(paths))
    return reader.read(request)


def _read_image_file(request: Request) -> Cine:
    (path,) = request.paths
    if suffix_of(path) in (".dcm", ".ima"):
        raise InputError(f"'{path}' is not a DICOM file, or its header is damaged.")
    return read_file(path, request.name or None, request.memory_gb)


def _read_image_files(request: Request) -> Cine:
    name = request.name or stem_of(request.paths[0]).rstrip("0123456789-_. ") or "cine"
    return read_list(request.paths, name, request.memory_gb)


def _read_dicom_files(request: Request) -> Cine:
    first, series = request.paths[0], request.series
    if len(request.paths) > 1:
        return _read_series(request.paths, series, request.name or first.parent.name, request.memory_gb)
    name = request.name or first.stem
    files = (first,) if request.alone else _files_of_series(first)
    cine = _read_series(files, None, name, request.memory_gb)
    if len(files) == 1:
        return cine
    note = f"'{first.name}' is one of {len(files)} files of its series; all were read."
    return replace(cine, notes=(note, *cine.notes))


def _files_of_series(path: Path) -> tuple[Path, ...]:
    """A file with all others of its series in its folder; alone where it holds frames over time of one view."""
    (info,) = series_of([path]) or (None,)
    if info is None or (info.multiframe and not holds_places(path)):
        return (path,)
    beside = [other for other in path.parent.iterdir() if other.is_file() and is_dicom(other)]
    same = [other for other in series_of(sorted(beside, key=natural)) if other.uid == info.uid]
    return same[0].files if same else (path,)


def _read_series(paths: Sequence[Path], series: Series, name: str, memory_gb: float | None) -> Cine:
    info = choose_series(series_of(paths), series, name)
    cine = read_multiframe(info.files, name, memory_gb) if info.multiframe else read_classic(info, name, memory_gb)
    return replace(cine, study_date=study_date(info.files[0]))


def _read_folder(request: Request) -> Cine:
    (folder,) = request.paths
    name = request.name or folder.resolve().name
    dicom = find_dicom(folder)
    if dicom:
        return _read_series(dicom, request.series, name, request.memory_gb)
    files = sorted((p for p in folder.iterdir() if p.is_file() and not p.name.startswith(".")), key=natural)
    images = [path for path in files if suffix_of(path) in SUFFIXES]
    if not images:
        what = f"none of its {len(files)} files is an image" if files else "it is empty"
        raise InputError(f"'{folder}' holds no images: {what}.")
    kinds = sorted({suffix_of(path) for path in images})
    if len(kinds) > 1:
        raise InputError(
            f"'{folder}' holds images of several kinds ({', '.join(kinds)}); give the files of the frames."
        )
    if len(images) == 1:
        return read_file(images[0], name, request.memory_gb)
    for path in images:
        require_file(path)
    return read_list(images, name, request.memory_gb)


# those that accept less come later, and are asked first
READERS.add("image files", Reader(lambda paths: True, _read_image_files))
READERS.add("image file", Reader(lambda paths: len(paths) == 1, _read_image_file))
READERS.add("DICOM files", Reader(lambda paths: all(is_dicom(path) for path in paths), _read_dicom_files))
READERS.add("folder", Reader(lambda paths: len(paths) == 1 and paths[0].is_dir(), _read_folder))
