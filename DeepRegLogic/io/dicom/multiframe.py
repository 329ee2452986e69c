"""Multi-frame DICOM files: enhanced ones, ultrasound and angiography over time, gated and dynamic ones, dose grids."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...cine import Cine
from ...errors import InputError
from ...grid import Grid
from ..formats import listing
from ..images import check_budget
from .enhanced import read_enhanced
from .pixels import decode, number, rescale, stored_bytes
from .series import dataset_of, is_enhanced, readable
from .source import source_of
from .spacing import pixel_spacing
from .stack import arrange
from .vectors import pointed, slices_of

if TYPE_CHECKING:
    from pydicom import Dataset


def read_multiframe(paths: Sequence[Path], name: str, memory_gb: float | None = None) -> Cine:
    """The cine of one multi-frame DICOM file, or of several enhanced ones.

    Raises
    ------
    InputError : a file is damaged, its frames have no positions where they should, they form no even stack, or are
        something else than images over time and space; several files that are no parts of one acquisition.
    MemoryBudgetError : more pixels than ``memory_gb``.
    """
    enhanced = []
    for path in paths:
        with readable(path):
            header = dataset_of(path, pixels=False)
            if "Segmentation" in getattr(header.get("SOPClassUID"), "name", ""):
                raise InputError(f"'{path}' is a segmentation; give the images that it was drawn on.")
            check_budget(str(path), stored_bytes(header), memory_gb)
            enhanced.append(is_enhanced(header))
    if all(enhanced):
        return read_enhanced(paths, name, memory_gb)
    if len(paths) > 1:
        raise InputError(f"'{name}' has several files with frames over time ({listing(tuple(paths))}); give one.")
    (path,) = paths
    with readable(path):
        return _read_plain(dataset_of(path), path, name)


def _read_plain(dataset: Dataset, path: Path, name: str) -> Cine:
    columns, rows = int(dataset.Columns), int(dataset.Rows)
    spacing, notes = pixel_spacing(dataset)
    slices, more = slices_of(dataset, spacing, path)
    pixels, colour = decode(dataset, path)
    frames = pixels.reshape(-1, rows, columns)
    dose = number(dataset, "DoseGridScaling")
    if dose is not None:
        frames = rescale(frames, dose, 0.0)
    if slices is not None:
        plan = arrange(slices, name)
        values = frames[plan.order.ravel()].reshape(len(plan.order), *plan.grid.shape)
        notes = (*colour, *notes, *more, *plan.notes)
        source = source_of(dataset, [(path, n) for n in range(len(frames))], plan.order)
        return Cine(values, plan.grid, plan.times, name=name, suffix=".dcm", notes=notes, source=source)
    times, unusable = _frame_times(dataset, len(frames))
    if times is None and len(frames) > 1:
        notes = (*notes, "The header gives no usable frame times; frames are numbered instead.")
    grid = Grid((columns, rows, 1), (*spacing, 1.0))
    notes = (*colour, *notes, *unusable)
    source = source_of(dataset, [(path, n) for n in range(len(frames))], np.arange(len(frames))[:, None])
    return Cine(frames, grid, times, name=name, suffix=".dcm", notes=notes, source=source)


def _frame_times(dataset: Dataset, count: int) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Seconds from the first frame: from each frame's own step, the common step, or the rate; and notes."""
    step = number(dataset, "FrameTime")
    even = np.arange(count) * step / 1000 if step is not None and step > 0 else None
    if even is not None and "FrameTime" in pointed(dataset):
        return even, ()
    notes: tuple[str, ...] = ()
    steps = dataset.get("FrameTimeVector")
    if steps is not None and count > 1:
        try:
            times = np.cumsum([float(step) for step in steps]) / 1000
        except (TypeError, ValueError):
            times = np.empty(0)
        if len(times) == count and np.all(np.diff(times) > 0):
            return times - times[0], ()
        notes = ("The frame time vector does not fit the frames, and was passed over.",)
    if even is not None:
        return even, notes
    for keyword in ("CineRate", "RecommendedDisplayFrameRate"):
        rate = number(dataset, keyword)
        if rate is not None and rate > 0:
            return np.arange(count) / rate, notes
    return None, notes
