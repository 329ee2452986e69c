"""Images that SimpleITK reads: NRRD, Slicer's .seq.nrrd, NIfTI, MetaImage, pictures; all in one file or one a frame."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..cine import Cine
from ..errors import InputError, MemoryBudgetError
from ..grid import Grid, three
from .formats import PICTURES, luminance, multivolume_times, numbers, stem_of, suffix_of, usable_times
from .guard import check_budget as check_budget
from .guard import require_file
from .guard_headers import check_metaimage, check_nrrd
from .guard_pictures import check_bitmap
from .integrity import check_complete
from .steps import openable, stored_step


def check_header(path: Path) -> None:
    """Look at the header of an image file before a library does, and at whether the file holds what it tells.

    Raises
    ------
    InputError : not a file, a header that no file can have, or one that is not that of the data.
    """
    require_file(path)
    suffix = suffix_of(path)
    with open(path, "rb") as file:
        start = file.read(4)
    if start == b"NRRD" or suffix in (".nrrd", ".nhdr", ".seq.nrrd", ".seg.nrrd"):
        check_nrrd(path)
    elif suffix in (".mha", ".mhd"):
        check_metaimage(path)
    elif start.startswith(b"BM") or suffix == ".bmp":
        check_bitmap(path)


@dataclass(frozen=True)
class Header:
    """What the header of an image file says.

    Attributes
    ----------
    components : values a pixel (colours, or frames where ``time_axis`` is -1).
    time_axis : index axis that is time, -1 where the components are, None for a single image.
    grid : of one frame.
    dtype : of one value; ``pixel_bytes`` is the size of all.
    """

    path: Path
    size: tuple[int, ...]
    components: int
    time_axis: int | None
    grid: Grid
    dtype: np.dtype
    meta: Mapping[str, str]
    spacing: tuple[float, ...]
    origin: tuple[float, ...]

    @property
    def frames(self) -> int:
        if self.time_axis is None:
            return 1
        return self.components if self.time_axis == -1 else self.size[self.time_axis]

    @property
    def pixel_bytes(self) -> int:
        return int(np.prod(self.size, dtype=np.int64)) * self.components * self.dtype.itemsize


_TYPES = {
    sitk.sitkUInt8: "u1", sitk.sitkInt8: "i1", sitk.sitkUInt16: "u2", sitk.sitkInt16: "i2",
    sitk.sitkUInt32: "u4", sitk.sitkInt32: "i4", sitk.sitkUInt64: "u8", sitk.sitkInt64: "i8",
    sitk.sitkFloat32: "f4", sitk.sitkFloat64: "f8",
    sitk.sitkVectorUInt8: "u1", sitk.sitkVectorInt8: "i1", sitk.sitkVectorUInt16: "u2", sitk.sitkVectorInt16: "i2",
    sitk.sitkVectorUInt32: "u4", sitk.sitkVectorInt32: "i4", sitk.sitkVectorUInt64: "u8", sitk.sitkVectorInt64: "i8",
    sitk.sitkVectorFloat32: "f4", sitk.sitkVectorFloat64: "f8",
}  # fmt: skip


def describe(error: Exception) -> str:
    """The last line of SimpleITK's message, without its file names and addresses."""
    if "determine ImageIO" in str(error):
        return "it is damaged, or of no known image format"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    last = re.sub(r"^.*ERROR: ", "", lines[-1] if lines else type(error).__name__)
    return re.sub(r"^(\[nrrd\] )?\w+(\(0x\w+\))?: ", "", last).rstrip(".")


def read_header(path: Path) -> Header:
    """The header of an image file, without its pixels.

    Raises
    ------
    InputError : not an image that can be read, or its geometry is not one of an image.
    """
    check_header(path)
    reader = sitk.ImageFileReader()
    try:
        with openable(path) as file:
            reader.SetFileName(str(file))
            reader.ReadImageInformation()
    except RuntimeError as error:
        raise InputError(f"'{path}' cannot be read as an image: {describe(error)}.") from error
    if reader.GetPixelID() not in _TYPES:
        raise InputError(f"'{path}' has pixels that are not plain numbers; scalar images are needed.")
    meta = {}
    for key in reader.GetMetaDataKeys():
        # SimpleITK cannot hand over entries whose name or text is not UTF-8
        try:
            meta[key] = reader.GetMetaData(key)
        except (RuntimeError, TypeError, UnicodeError):
            continue
    size, components = tuple(int(n) for n in reader.GetSize()), reader.GetNumberOfComponents()
    spacing, origin = tuple(reader.GetSpacing()), tuple(reader.GetOrigin())
    direction = np.reshape(reader.GetDirection(), (len(size), len(size)))
    while len(size) > 4 and size[-1] == 1:
        size, spacing, origin, direction = size[:-1], spacing[:-1], origin[:-1], direction[:-1, :-1]
    time_axis = _time_axis(path, size, components, meta)
    try:
        grid = _grid(path, size, spacing, origin, direction, time_axis, meta)
    except InputError as error:
        raise InputError(f"'{path}': {error}") from error
    dtype = np.dtype(_TYPES[reader.GetPixelID()])
    return Header(path, size, components, time_axis, grid, dtype, meta, spacing, origin)


def _time_axis(path: Path, size: tuple[int, ...], components: int, meta: Mapping[str, str]) -> int | None:
    for axis in range(len(size)):  # of "list" where colours are the components, as Slicer writes them
        if meta.get(f"NRRD_kinds[{axis}]") in ("time", "list"):
            return axis
    listed = meta.get("NRRD_kinds[pixel]") == "list" or "MultiVolume.FrameLabels" in meta
    if components > 1 and (listed or _index_values(meta) is not None):
        return -1
    if len(size) > 4:
        raise InputError(f"'{path}' has {len(size)} axes {size}; a cine has at most four (X, Y, Z, time).")
    return 3 if len(size) == 4 else None


def _grid(
    path: Path,
    size: tuple[int, ...],
    spacing: tuple[float, ...],
    origin: tuple[float, ...],
    direction: np.ndarray,
    time_axis: int | None,
    meta: Mapping[str, str],
) -> Grid:
    keep = [axis for axis in range(len(size)) if axis != time_axis]
    if len(keep) not in (2, 3):
        raise InputError(f"an image has 2 or 3 axes in space, not {len(keep)}.")
    matrix, start = direction[np.ix_(keep, keep)], np.array([origin[axis] for axis in keep])
    # ITK turns NRRD files into LPS, but not those whose space has time as its fourth axis
    space = meta.get("NRRD_space", "")
    if space.endswith("-time"):
        flip = np.where(["right" in space, "anterior" in space, False][: len(keep)], -1.0, 1.0)
        matrix, start = matrix * flip[:, None], start * flip
    full, where = np.eye(3), np.zeros(3)
    full[: len(keep), : len(keep)], where[: len(keep)] = matrix, start
    step = [1.0 if suffix_of(path) in PICTURES else spacing[axis] for axis in keep]
    return Grid(
        three(tuple(size[axis] for axis in keep) + (1,) * (3 - len(keep))),
        three(tuple(step) + (1.0,) * (3 - len(keep))),
        (0.0, 0.0, 0.0) if suffix_of(path) in PICTURES else three(where),
        tuple(full.ravel()),
    )


def _index_values(meta: Mapping[str, str]) -> tuple[str, str] | None:
    """The axis number and the index values of a Slicer sequence."""
    for key, value in meta.items():
        match = re.fullmatch(r"axis (\d+) index values", key)
        if match:
            return match.group(1), value
    return None


def frame_times(header: Header) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Frame times in seconds from the header, or None, and notes."""
    meta, axis, count = header.meta, header.time_axis, header.frames
    if axis is None:
        return None, ()
    unit = meta.get("NRRD_units[pixel]" if axis == -1 else f"NRRD_units[{axis}]") or meta.get("TimeUnit", "")
    indexed = _index_values(meta)
    if indexed is not None:
        number, values = indexed
        return usable_times(numbers(values.split()), meta.get(f"axis {number} index unit") or unit, count)
    if "MultiVolume.FrameLabels" in meta:
        return multivolume_times(meta, count)
    if axis == -1:
        return usable_times(None, unit, count)
    step, nifti_unit = stored_step(header.path, axis + (header.components > 1))
    if step is None:
        return usable_times(None, unit, count)
    if nifti_unit is not None:
        # ITK has already turned NIfTI's milliseconds and microseconds into seconds
        unit = "s" if nifti_unit in ("ms", "us") else nifti_unit
    return usable_times(header.origin[axis] + header.spacing[axis] * np.arange(count), unit, count)


def read_pixels(header: Header) -> tuple[np.ndarray, tuple[str, ...]]:
    """Frames ``[T, *grid.shape]`` in the file's own type, and notes.

    Raises
    ------
    InputError : the file is cut short or damaged, or its pixels are vectors.
    MemoryBudgetError : the computer has not enough memory.
    """
    path = header.path
    check_complete(path)
    try:
        with openable(path) as file:
            image = sitk.ReadImage(str(file))  # the name keeps the image alive as long as the view of its pixels
        pixels = sitk.GetArrayViewFromImage(image)
    except RuntimeError as error:
        raise InputError(f"'{path}' is damaged or cut short: {describe(error)}.") from error
    except MemoryError as error:
        raise MemoryBudgetError(f"'{path}' needs {header.pixel_bytes / 1e9:.2f} GB, which is not free.") from error
    notes: tuple[str, ...] = ()
    if header.components > 1 and header.time_axis != -1:
        pixels, notes = _grey(header, pixels)
    if header.time_axis == -1:
        pixels = np.moveaxis(pixels, -1, 0) if header.components > 1 else pixels[None]
    elif header.time_axis is not None:
        extra = pixels.ndim - len(header.size)
        pixels = np.moveaxis(pixels, extra + len(header.size) - 1 - header.time_axis, extra)
    return np.array(pixels.reshape(header.frames, *header.grid.shape)), notes


def _grey(header: Header, pixels: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    picture = suffix_of(header.path) in PICTURES
    colour = picture or pixels.dtype == np.uint8 or "color" in header.meta.get("NRRD_kinds[pixel]", "")
    if pixels.shape[-1] == 2 and picture:
        return pixels[..., 0], ("The transparency of the pictures was ignored.",)
    if pixels.shape[-1] not in (3, 4) or not colour:
        raise InputError(
            f"'{header.path}' holds vectors of {pixels.shape[-1]} components, not grey values; "
            "give a scalar image (in NRRD, frames over time need an axis of kind 'list')."
        )
    return luminance(pixels), ("Colour was turned into luminance (ITU-R BT.601).",)


def read_file(path: Path, name: str | None = None, memory_gb: float | None = None) -> Cine:
    """The cine, or the single image, of one file."""
    header = read_header(path)
    check_budget(str(path), header.pixel_bytes, memory_gb)
    pixels, notes = read_pixels(header)
    times, time_notes = frame_times(header)
    return _cine(pixels, header, name or stem_of(path), times, (*notes, *time_notes))


def _cine(pixels: np.ndarray, header: Header, name: str, times: np.ndarray | None, notes: tuple[str, ...]) -> Cine:
    suffix = suffix_of(header.path)
    if suffix in PICTURES:
        notes = (*notes, f"A {suffix} file stores no voxel size; 1 mm was assumed.")
    return Cine(pixels, header.grid, times, name=name, suffix=suffix, notes=tuple(dict.fromkeys(notes)))


def read_list(paths: Sequence[Path], name: str, memory_gb: float | None = None) -> Cine:
    """A cine of one image file a frame, in the order given.

    Raises
    ------
    InputError : a file that cannot be read, holds several frames, or differs in size or geometry; it is named.
    """
    headers = [read_header(path) for path in paths]
    first = headers[0]
    for t, header in enumerate(headers):
        if header.frames != 1:
            raise InputError(f"Frame {t} ('{header.path}') holds {header.frames} frames; give one image a frame.")
        if header.grid.size != first.grid.size:
            raise InputError(
                f"Frame {t} ('{header.path}') has {header.grid.size} voxels, but frame 0 ('{first.path.name}') has "
                f"{first.grid.size}; all frames of a cine need one size."
            )
        if not header.grid.matches(first.grid, tolerance=1e-2):
            raise InputError(
                f"Frame {t} ('{header.path}') lies elsewhere than frame 0 ('{first.path.name}'): its spacing, origin "
                "or direction differs; resample the frames onto one geometry."
            )
    check_budget(name, sum(header.pixel_bytes for header in headers), memory_gb)
    frames: list[np.ndarray] = []
    notes: list[str] = []
    for header in headers:
        pixels, extra = read_pixels(header)
        frames.append(pixels[0])
        notes += extra
    return _cine(np.stack(frames), first, name, None, tuple(notes))
