"""Segmentations of Slicer (.seg.nrrd): segments in layers, which may overlap, stored cropped to what was drawn."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import InputError
from ..grid import Grid
from .images import Header, read_header, read_pixels


class LabelMasks(NamedTuple):
    """Regions that may overlap.

    Attributes
    ----------
    masks : ``[M, *grid.shape]`` uint8.
    values : what stands for each in a label map, all different.
    names : what a reader calls them.
    dtype : of the file's pixels.
    """

    masks: np.ndarray
    values: tuple[int, ...]
    names: tuple[str, ...]
    dtype: np.dtype


class _Segment(NamedTuple):
    layer: int
    value: int
    name: str


def _segments(header: Header) -> list[_Segment]:
    found = []
    for number in range(len(header.meta)):
        prefix = f"Segment{number}_"
        if f"{prefix}LabelValue" not in header.meta:
            continue
        value, layer = header.meta[f"{prefix}LabelValue"], header.meta.get(f"{prefix}Layer", "0")
        if not all(re.fullmatch(r"\s*[0-9]{1,9}\s*", text) for text in (value, layer)):
            raise InputError(
                f"Segment {number} of '{header.path}' has the label '{value[:20]}' in layer '{layer[:20]}', not whole "
                "numbers; save the segmentation again."
            )
        found.append(_Segment(int(layer), int(value), header.meta.get(f"{prefix}Name", f"label {value}")))
    return found


def segment_names(path: Path) -> dict[int, str]:
    """Label value -> name of the segments of a file; of several with one value the first one's."""
    return {segment.value: segment.name for segment in reversed(_segments(read_header(path)))}


def read_segments(path: Path, grid: Grid) -> LabelMasks:
    """The segments of a file on ``grid``; those of several layers that share a value get others, 1 to M.

    Raises
    ------
    InputError : it cannot be read, or lies on another grid.
    """
    header = read_header(path)
    layers, _ = read_pixels(header)
    if layers.dtype.kind == "f":
        raise InputError(f"'{path}' has pixels of type {layers.dtype}, so it is no segmentation; save it again.")
    whole = [_uncropped(layer, header.grid, grid, path) for layer in layers]
    segments = _segments(header)
    if not segments:  # a label map under the name of a segmentation
        pairs = ((n, int(value)) for n, layer in enumerate(whole) for value in np.unique(layer) if value != 0)
        segments = [_Segment(n, value, f"label {value}") for n, value in pairs]
    segments = [s for s in segments if s.layer < len(whole) and np.any(whole[s.layer] == s.value)]
    masks = np.array([whole[s.layer] == s.value for s in segments], np.uint8).reshape(-1, *grid.shape)
    values = tuple(segment.value for segment in segments)
    if len(set(values)) < len(values):
        values = tuple(range(1, len(values) + 1))
    return LabelMasks(masks, values, tuple(segment.name for segment in segments), layers.dtype)


def merged(labels: LabelMasks, path: Path) -> np.ndarray:
    """The regions as one label map; InputError where they overlap."""
    together = labels.masks.sum(axis=0, dtype=np.int64)
    if together.max(initial=0) > 1:
        regions = zip(labels.names, labels.masks, strict=True)
        names = ", ".join(f"'{name}'" for name, mask in regions if mask[together > 1].any())
        raise InputError(
            f"The segments {names} of '{path}' overlap, which no label map can hold; read them one by one (read_masks)."
        )
    kind = np.promote_types(labels.dtype, np.min_scalar_type(max(labels.values, default=0)))
    out = np.zeros(labels.masks.shape[1:], kind)
    for value, mask in zip(labels.values, labels.masks, strict=True):
        out[mask > 0] = value
    return out


def misplaced(path: Path, found: Grid, wanted: Grid) -> InputError:
    """The error of labels that lie elsewhere than the images."""

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
        raise misplaced(path, found, grid)
    whole = np.zeros(tuple(reversed(grid.size)), labels.dtype)
    place = tuple(slice(s, s + n) for s, n in zip(start[::-1], found.size[::-1], strict=True))
    whole[place] = labels.reshape(tuple(reversed(found.size)))
    return whole.reshape(grid.shape)
