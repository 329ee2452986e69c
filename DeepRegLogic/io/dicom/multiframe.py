"""Multi-frame DICOM files: Enhanced MR and CT, whose frames have places of their own; ultrasound and angiography."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...cine import Cine
from ...errors import InputError
from ...grid import Grid
from ..images import check_budget
from .pixels import decode, number, numbers, rescale, stored_bytes
from .series import is_enhanced, readable, seconds
from .spacing import pixel_spacing
from .stack import Slice, arrange

if TYPE_CHECKING:
    from pydicom import Dataset


def read_multiframe(path: Path, name: str, memory_gb: float | None = None) -> Cine:
    """The cine of one multi-frame DICOM file.

    Raises
    ------
    InputError : the file is damaged, its frames have no positions where they should, or they form no even stack.
    MemoryBudgetError : more pixels than ``memory_gb``.
    """
    from pydicom import dcmread

    with readable(path):
        check_budget(str(path), stored_bytes(dcmread(path, stop_before_pixels=True)), memory_gb)
        dataset = dcmread(path)
        return (_read_enhanced if is_enhanced(dataset) else _read_plain)(dataset, path, name)


def _group(frame: Dataset, shared: Dataset | None, keyword: str) -> Dataset:
    """The functional group of a frame, its own or that of all frames; empty where there is none."""
    from pydicom import Dataset

    for place in (frame, shared):
        sequence = place.get(keyword) if place is not None else None
        if sequence:
            return sequence[0]
    return Dataset()


def _read_enhanced(dataset: Dataset, path: Path, name: str) -> Cine:
    count = int(number(dataset, "NumberOfFrames") or 1)
    frames = dataset.get("PerFrameFunctionalGroupsSequence") or []
    if len(frames) != count:
        raise InputError(
            f"'{path}' has {count} frames but gives positions for {len(frames)} (per-frame functional groups); "
            "its geometry is lost, export it again from its source."
        )
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [None])[0]
    plan = arrange([_enhanced_slice(dataset, frame, shared, n, path) for n, frame in enumerate(frames)], name)
    pixels, notes = decode(dataset, path, apply_scale=False)
    images = []
    for image, frame in zip(pixels.reshape(count, *pixels.shape[-2:]), frames, strict=True):
        transform = _group(frame, shared, "PixelValueTransformationSequence")
        slope, intercept = number(transform, "RescaleSlope"), number(transform, "RescaleIntercept")
        images.append(rescale(image, 1.0 if slope is None else slope, intercept or 0.0))
    values = np.stack(images)[plan.order].reshape(len(plan.order), *plan.grid.shape)
    return Cine(values, plan.grid, plan.times, name=name, suffix=".dcm", notes=(*notes, *plan.notes))


def _enhanced_slice(dataset: Dataset, frame: Dataset, shared: Dataset | None, n: int, path: Path) -> Slice:
    position = numbers(_group(frame, shared, "PlanePositionSequence"), "ImagePositionPatient", 3)
    orientation = numbers(_group(frame, shared, "PlaneOrientationSequence"), "ImageOrientationPatient", 6)
    measures = _group(frame, shared, "PixelMeasuresSequence")
    spacing = numbers(measures, "PixelSpacing", 2)
    if position is None or orientation is None or spacing is None:
        raise InputError(f"Frame {n + 1} of '{path}' has no position, orientation or pixel spacing; export it again.")
    content = _group(frame, shared, "FrameContentSequence")
    trigger = _group(frame, shared, "CardiacSynchronizationSequence")
    delay = number(trigger, "NominalCardiacTriggerDelayTime")
    clock = seconds(content.get("FrameReferenceDateTime"))
    return Slice(
        label=f"frame {n + 1}",
        size=(int(dataset.Columns), int(dataset.Rows)),
        spacing=(spacing[1], spacing[0]),
        depth=number(measures, "SpacingBetweenSlices") or number(measures, "SliceThickness") or 0.0,
        position=position,
        orientation=orientation,
        delay=number(trigger, "ActualCardiacTriggerDelayTime") if delay is None else delay,
        index=number(content, "TemporalPositionIndex"),
        clock=seconds(content.get("FrameAcquisitionDateTime")) if clock is None else clock,
        number=float(n),
    )


def _read_plain(dataset: Dataset, path: Path, name: str) -> Cine:
    """Frames over time of one fixed view."""
    columns, rows = int(dataset.Columns), int(dataset.Rows)
    spacing, notes = pixel_spacing(dataset)
    pixels, colour = decode(dataset, path)
    frames = pixels.reshape(-1, rows, columns)
    times = _frame_times(dataset, len(frames))
    if times is None and len(frames) > 1:
        notes = (*notes, "The header gives no usable frame times; frames are numbered instead.")
    grid = Grid((columns, rows, 1), (*spacing, 1.0))
    return Cine(frames, grid, times, name=name, suffix=".dcm", notes=(*colour, *notes))


def _frame_times(dataset: Dataset, count: int) -> np.ndarray | None:
    """Seconds from the first frame: from each frame's own step, the common step, or the rate."""
    steps = dataset.get("FrameTimeVector")
    if steps is not None and count > 1:
        try:
            times = np.cumsum([float(step) for step in steps]) / 1000
        except (TypeError, ValueError):
            times = np.empty(0)
        if len(times) == count and np.all(np.diff(times) > 0):
            return times - times[0]
    step = number(dataset, "FrameTime")
    if step is not None and step > 0:
        return np.arange(count) * step / 1000
    for keyword in ("CineRate", "RecommendedDisplayFrameRate"):
        rate = number(dataset, keyword)
        if rate is not None and rate > 0:
            return np.arange(count) / rate
    return None
