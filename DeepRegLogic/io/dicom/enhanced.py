"""Enhanced DICOM files (MR, CT, PET), whose frames have places and times of their own; one, or several of a series."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...cine import Cine
from ...errors import InputError
from ..images import check_budget
from .clocks import clocks_of, frame_clocks
from .pixels import decode, number, numbers, rescale, stored_bytes
from .series import dataset_of, readable
from .source import source_of
from .stack import COMPONENT, Slice, arrange

if TYPE_CHECKING:
    from pydicom import Dataset

_FRAME_TYPES = ("MRImageFrameTypeSequence", "CTImageFrameTypeSequence", "PETFrameTypeSequence")


def read_enhanced(paths: Sequence[Path], name: str, memory_gb: float | None = None) -> Cine:
    """The cine of the frames of one enhanced file, or of several (a file a phase, or a file a slice).

    Raises
    ------
    InputError : frames without positions, or that form no even stack; a damaged file.
    MemoryBudgetError : more pixels than ``memory_gb``.
    """
    slices: dict[Path, list[Slice]] = {}
    size, seen, notes = 0, set(), []
    for path in paths:
        with readable(path):
            header = dataset_of(path, pixels=False)
            uid = str(header.get("SOPInstanceUID", path))
            if uid in seen:
                notes.append("Copies of the same image were left out.")
                continue
            seen.add(uid)
            size += stored_bytes(header)
            slices[path] = _slices(header, path, f" of '{path.name}'" if len(paths) > 1 else "")
    check_budget(name, size, memory_gb)
    plan = arrange([image for part in slices.values() for image in part], name)
    images: list[np.ndarray] = []
    for path in slices:
        with readable(path):
            pixels, extra = _pixels(dataset_of(path), path)
            images += pixels
            notes += extra
    values = np.stack([images[i] for i in plan.order.ravel()]).reshape(len(plan.order), *plan.grid.shape)
    notes = list(dict.fromkeys((*notes, *plan.notes)))
    places = [(path, n) for path, part in slices.items() for n in range(len(part))]
    first = next(iter(slices))
    with readable(first):
        source = source_of(dataset_of(first, pixels=False), places, plan.order, slices[first][0].cycle)
    return Cine(values, plan.grid, plan.times, name=name, suffix=".dcm", notes=tuple(notes), source=source)


class _Groups:
    """The functional groups of one frame: its own, or those of all frames."""

    def __init__(self, dataset: Dataset, frame: Dataset) -> None:
        shared = dataset.get("SharedFunctionalGroupsSequence")
        self._places = (frame, shared[0]) if shared else (frame,)

    def __call__(self, keyword: str) -> Dataset:
        """The group of that name; empty where there is none."""
        from pydicom import Dataset

        for place in self._places:
            if sequence := place.get(keyword):
                group: Dataset = sequence[0]
                return group
        return Dataset()


def _frames(dataset: Dataset, path: Path) -> list[_Groups]:
    count = int(number(dataset, "NumberOfFrames") or 1)
    frames = list(dataset.get("PerFrameFunctionalGroupsSequence") or ())
    if len(frames) != count:
        raise InputError(
            f"'{path}' has {count} frames but gives positions for {len(frames)} (per-frame functional groups); "
            "its geometry is lost, export it again from its source."
        )
    return [_Groups(dataset, frame) for frame in frames]


def _slices(dataset: Dataset, path: Path, of: str) -> list[Slice]:
    file = clocks_of(dataset)
    return [_slice(dataset, group, n, file, path, of) for n, group in enumerate(_frames(dataset, path))]


def _slice(dataset: Dataset, group: _Groups, n: int, file: dict[str, float], path: Path, of: str) -> Slice:
    position = numbers(group("PlanePositionSequence"), "ImagePositionPatient", 3)
    orientation = numbers(group("PlaneOrientationSequence"), "ImageOrientationPatient", 6)
    measures = group("PixelMeasuresSequence")
    spacing = numbers(measures, "PixelSpacing", 2)
    if position is None or orientation is None or spacing is None:
        raise InputError(f"Frame {n + 1} of '{path}' has no position, orientation or pixel spacing; export it again.")
    clocks, cycle = frame_clocks(group, n, file)
    return Slice(
        label=f"frame {n + 1}{of}",
        size=(int(dataset.Columns), int(dataset.Rows)),
        spacing=(spacing[1], spacing[0]),
        depth=abs(number(measures, "SpacingBetweenSlices") or number(measures, "SliceThickness") or 0.0),
        position=position,
        orientation=orientation,
        clocks=clocks,
        cycle=cycle,
        kinds=_kinds(dataset, group),
        part=str(path),
    )


def _kinds(dataset: Dataset, group: _Groups) -> dict[str, object]:
    """What else than its time may make a frame another one of its place."""
    kinds = [group(keyword).get("ComplexImageComponent") for keyword in _FRAME_TYPES]
    component = next((kind for kind in kinds if kind), dataset.get("ComplexImageComponent"))
    return {
        COMPONENT: str(component or "").lower(),
        "echo time": group("MREchoSequence").get("EffectiveEchoTime"),
        "b-value": group("MRDiffusionSequence").get("DiffusionBValue"),
        "tube voltage": group("CTXRayDetailsSequence").get("KVP"),
    }


def _pixels(dataset: Dataset, path: Path) -> tuple[list[np.ndarray], tuple[str, ...]]:
    """The frames ``[rows, columns]`` of a file, each scaled by its own rule."""
    pixels, notes = decode(dataset, path, apply_scale=False)
    images = []
    for image, group in zip(pixels.reshape(-1, *pixels.shape[-2:]), _frames(dataset, path), strict=True):
        transform = group("PixelValueTransformationSequence")
        slope, intercept = number(transform, "RescaleSlope"), number(transform, "RescaleIntercept")
        images.append(rescale(image, 1.0 if slope is None else slope, intercept or 0.0))
    return images, notes
