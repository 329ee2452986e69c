"""Writing frames over time: .seq.nrrd as Slicer has it, four-dimensional NIfTI and MetaImage, folders of PNG."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..cine import Cine
from ..errors import InputError
from ..files import expanded, whole_file, whole_folder
from ..grid import Grid
from .formats import PICTURES, spelled, suffix_of
from .integrity import check_complete

_NRRD_TYPES = {
    "int8": "signed char", "uint8": "unsigned char", "int16": "short", "uint16": "unsigned short",
    "int32": "int", "uint32": "unsigned int", "int64": "long long", "uint64": "unsigned long long",
    "float32": "float", "float64": "double",
}  # fmt: skip


_LABEL_SUFFIXES = (".nrrd", ".nii.gz", ".nii", ".mha")
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


def write_cine(path: str | Path, frames: np.ndarray, like: Cine) -> None:
    """Write frames on the grid and at the times of ``like``, in their own type.

    The suffix of ``path`` decides: ``.seq.nrrd`` or ``.nrrd`` (Slicer's sequence format), ``.nii``, ``.nii.gz``,
    ``.mha`` (four axes; these hold evenly spaced times only, so the mean step is written), or no suffix: a folder of
    numbered PNG files (8 or 16 bit slices only, no geometry and no times).

    Parameters
    ----------
    frames : ``[T, *grid.shape]``.

    Raises
    ------
    InputError : frames not on the grid or not finite, an unknown suffix, or pixels that the format cannot hold.
    OutputError : the place cannot be written or is full; nothing is left behind.

    Examples
    --------
    >>> import numpy as np
    >>> from DeepRegLogic import Cine, Grid, read_cine, write_cine
    >>> grid = Grid(size=(30, 20, 1), spacing=(1.5, 1.5, 8.0))
    >>> cine = Cine(np.zeros((3, 20, 30), np.int16), grid, times=[0.0, 0.04, 0.08])
    >>> write_cine("cine.nii.gz", cine.frames, cine)
    >>> read_cine("cine.nii.gz").times.round(3).tolist()
    [0.0, 0.04, 0.08]
    """
    path, grid = expanded(path), like.grid
    frames = np.asarray(frames)
    if frames.shape != (len(like), *grid.shape):
        raise InputError(f"Frames of shape {frames.shape} do not fit '{like.name}' ({len(like)}, *{grid.shape}).")
    if frames.dtype == bool:
        frames = frames.astype(np.uint8)
    if frames.dtype.name not in _NRRD_TYPES:
        raise InputError(f"Pixels of type {frames.dtype} cannot be written; turn them into float32 first.")
    if not np.isfinite(frames).all():
        raise InputError(f"'{path}': frames with NaN or infinite pixels are not written.")
    suffix = suffix_of(path)
    if suffix == "":
        _write_pictures(path, frames, grid)
    elif suffix in (".seq.nrrd", ".nrrd"):
        with whole_file(path) as part:
            part.write_bytes(_sequence_header(frames, like) + _gzip(frames))
    elif suffix in (".nii", ".nii.gz", ".mha"):
        with whole_file(path) as part:
            write_image(part, _four_axes(frames, like))
    else:
        raise InputError(f"'{path}': frames are written as .seq.nrrd, .nrrd, .nii, .nii.gz or .mha, not '{suffix}'.")


def write_labels(path: str | Path, labels: np.ndarray, grid: Grid) -> None:
    """Write a label map ``[*grid.shape]`` as an image of three axes: ``.nrrd``, ``.nii``, ``.nii.gz`` or ``.mha``.

    Raises
    ------
    InputError : labels not on the grid, an unknown suffix.
    OutputError : the place cannot be written or is full; nothing is left behind.
    """
    path = expanded(path)
    if labels.shape != grid.shape:
        raise InputError(f"Labels of shape {labels.shape} do not fit a grid of shape {grid.shape}.")
    if suffix_of(path) not in _LABEL_SUFFIXES:
        raise InputError(f"'{path}': labels are written as {', '.join(_LABEL_SUFFIXES)}.")
    image = placed(sitk.GetImageFromArray(labels.reshape(tuple(reversed(grid.size)))), grid)
    with whole_file(path) as part:
        write_image(part, image)


def placed(image: sitk.Image, grid: Grid) -> sitk.Image:
    """The image itself, of three axes, laid where the grid lies."""
    image.SetSpacing(grid.spacing)
    image.SetOrigin(grid.origin)
    image.SetDirection(grid.direction)
    return image


def write_image(path: Path, image: sitk.Image) -> None:
    """``sitk.WriteImage`` that also fails where ITK writes half a NIfTI file to a full disk without a word."""
    sitk.WriteImage(image, str(path), useCompression=True)
    try:
        check_complete(path)
    except InputError as error:
        raise OSError("No space left on device") from error


def _sequence_header(frames: np.ndarray, like: Cine) -> bytes:
    """The header of Slicer's volume sequence format; the list axis is the last."""
    grid = like.grid

    def vector(values: np.ndarray) -> str:
        return "(" + ",".join(repr(float(v)) for v in values) + ")"

    directions = " ".join(vector(grid.matrix[:3, c]) for c in range(3))
    unit, label = (like.time_unit, "time") if like.time_unit else ("", "frame")
    lines = [
        "NRRD0005",
        f"type: {_NRRD_TYPES[frames.dtype.name]}",
        "dimension: 4",
        "space: left-posterior-superior",
        f"sizes: {' '.join(str(n) for n in grid.size)} {len(frames)}",
        f"space directions: {directions} none",
        "kinds: domain domain domain list",
        f'labels: "" "" "" "{label}"',
        f'units: "" "" "" "{unit}"',
        *(["endian: little"] if frames.dtype.itemsize > 1 else []),
        "encoding: gzip",
        f"space origin: {vector(np.array(grid.origin))}",
        "DataNodeClassName:=vtkMRMLScalarVolumeNode",
        "axis 3 index type:=numeric",
        f"axis 3 index values:={' '.join(spelled(like.times))}",
    ]
    return ("\n".join(lines) + "\n\n").encode("ascii")


def _gzip(frames: np.ndarray) -> bytes:
    squeezer = zlib.compressobj(level=1, wbits=31)
    little = np.ascontiguousarray(frames, dtype=frames.dtype.newbyteorder("<"))
    return b"".join([*(squeezer.compress(frame) for frame in little), squeezer.flush()])


def _four_axes(frames: np.ndarray, like: Cine) -> sitk.Image:
    grid = like.grid
    image = sitk.GetImageFromArray(frames.reshape(len(frames), *reversed(grid.size)), isVector=False)
    step = float(np.diff(like.times).mean()) if len(like) > 1 else 1.0
    direction = np.eye(4)
    direction[:3, :3] = np.reshape(grid.direction, (3, 3))
    image.SetSpacing((*grid.spacing, step))
    image.SetOrigin((*grid.origin, float(like.times[0])))
    image.SetDirection(direction.ravel().tolist())
    image.SetMetaData("TimeUnit", like.time_unit)
    return image


def _write_pictures(folder: Path, frames: np.ndarray, grid: Grid) -> None:
    if grid.ndim != 2 or frames.dtype not in (np.uint8, np.uint16):
        raise InputError(
            f"'{folder}': only slices of 8 or 16 bit are written as PNG; choose .seq.nrrd for these frames."
        )
    digits = max(3, len(str(len(frames) - 1)))
    with whole_folder(folder) as part:
        for t, frame in enumerate(frames):
            sitk.WriteImage(sitk.GetImageFromArray(frame), str(part / f"{folder.name}_{t:0{digits}d}.png"), True)
