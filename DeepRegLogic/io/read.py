"""Reading: ``READERS``, each with what it accepts, and ``read_cine`` and its kin, which ask them in turn.

To add a reader is to add an entry; it is asked before those that are there:

    READERS.add("mp4", Reader(lambda paths: paths[0].suffix == ".mp4", read_mp4))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..cine import Cine
from ..errors import InputError
from ..grid import Grid
from ..registry import Registry
from .dicom.classic import read_classic
from .dicom.multiframe import read_multiframe
from .dicom.series import choose_series, find_dicom, holds_places, is_dicom, series_of
from .formats import PICTURES, SUFFIXES, natural, stem_of, suffix_of
from .images import read_file, read_list

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
    InputError : it cannot be read, holds other than whole numbers, or lies on another grid.
    """
    path = Path(path).expanduser()
    image = read_image(path)
    labels = image.frames[0]
    if labels.dtype.kind == "f":
        if not np.array_equal(labels, np.rint(labels)):
            raise InputError(f"'{path}' has non-integer values, so it is not a label map; give one with whole numbers.")
        labels = labels.astype(np.int32)
    if suffix_of(path) == ".seg.nrrd":
        labels = _uncropped(labels, image.grid, grid, path)
    elif suffix_of(path) in PICTURES and image.grid.size == grid.size:
        pass  # pictures store no geometry: the size must do
    elif not image.grid.matches(grid, tolerance=1e-2):
        raise _misplaced(path, image.grid, grid)
    return np.ascontiguousarray(labels)


def read_label_names(path: str | Path) -> dict[int, str]:
    """What a ``.seg.nrrd`` of Slicer calls its labels: value -> name; empty for every other file."""
    path = Path(path).expanduser()
    if suffix_of(path) != ".seg.nrrd":
        return {}
    header = sitk.ImageFileReader()
    header.SetFileName(str(path))
    header.ReadImageInformation()
    keys = [key for key in header.GetMetaDataKeys() if key.startswith("Segment") and key.endswith("_LabelValue")]
    names = {key: key.removesuffix("LabelValue") + "Name" for key in keys}
    return {int(header.GetMetaData(key)): header.GetMetaData(n) for key, n in names.items() if header.HasMetaDataKey(n)}


def _misplaced(path: Path, found: Grid, wanted: Grid) -> InputError:
    def words(grid: Grid) -> str:
        spacing, origin = (", ".join(f"{v:.4g}" for v in values) for values in (grid.spacing, grid.origin))
        return f"{grid.size} voxels, spacing ({spacing}) mm, origin ({origin}) mm"

    return InputError(
        f"The labels in '{path}' lie on another grid ({words(found)}) than the images ({words(wanted)}); "
        "draw them on the reference frame, or resample them to its geometry (nearest neighbour)."
    )


def _uncropped(labels: np.ndarray, found: Grid, grid: Grid, path: Path) -> np.ndarray:
    start = np.rint(np.linalg.solve(grid.matrix, found.matrix[:, 3])[:3]).astype(int)
    origin = tuple(grid.matrix[:3, :3] @ start + grid.origin)
    aligned = Grid(found.size, grid.spacing, origin, grid.direction).matches(found, tolerance=1e-2)
    if not aligned or np.any(start < 0) or np.any(start + found.size > grid.size):
        raise _misplaced(path, found, grid)
    whole = np.zeros(tuple(reversed(grid.size)), labels.dtype)
    place = tuple(slice(s, s + n) for s, n in zip(start[::-1], found.size[::-1], strict=True))
    whole[place] = labels.reshape(tuple(reversed(found.size)))
    return whole.reshape(grid.shape)


def _title(source: Source) -> str:
    if isinstance(source, (str, Path)):
        return str(source)
    return f"{source[0]} ..." if len(source) > 1 else str(source[0])


def _read(source: Source, series: Series, name: str | None, memory_gb: float | None, alone: bool) -> Cine:
    sources = [source] if isinstance(source, (str, Path)) else list(source)
    paths = tuple(Path(path).expanduser() for path in sources)
    if not paths:
        raise InputError("No files were given.")
    for path in paths:
        if len(paths) > 1 or not path.is_dir():
            _check_file(path)
    request = Request(paths, series, name or "", memory_gb, alone)
    reader = next(reader for reader in reversed(list(READERS.values())) if reader.accepts(paths))
    return reader.read(request)


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise InputError(f"'{path}' is a folder; give its files, or the folder alone.")
    if not path.is_file():
        raise InputError(f"There is no file or folder '{path}'.")
    try:
        with open(path, "rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise InputError(f"'{path}' may not be read: {error.strerror}.") from error
    if empty:
        raise InputError(f"'{path}' is an empty file.")


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
    return read_multiframe(info.files, name, memory_gb) if info.multiframe else read_classic(info, name, memory_gb)


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
        _check_file(path)
    return read_list(images, name, request.memory_gb)


# those that accept less come later, and are asked first
READERS.add("image files", Reader(lambda paths: True, _read_image_files))
READERS.add("image file", Reader(lambda paths: len(paths) == 1, _read_image_file))
READERS.add("DICOM files", Reader(lambda paths: all(is_dicom(path) for path in paths), _read_dicom_files))
READERS.add("folder", Reader(lambda paths: len(paths) == 1 and paths[0].is_dir(), _read_folder))
