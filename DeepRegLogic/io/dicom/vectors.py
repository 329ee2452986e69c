"""What the frames of a plain multi-frame file are: times, slices, gates, energies, a dose grid."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...errors import InputError
from .clocks import known
from .pixels import number, numbers
from .stack import Slice

if TYPE_CHECKING:
    from pydicom import Dataset

_SLICES = ("SliceVector", "SliceLocationVector", "GridFrameOffsetVector")
_TIMES = ("RRIntervalVector", "PhaseVector", "TimeSlotVector", "TimeSliceVector")
_OTHERS = {
    "EnergyWindowVector": "energy windows",
    "DetectorVector": "detectors",
    "RotationVector": "rotations",
    "AngularViewVector": "views from several angles",
    "FramePrimaryAngleVector": "views from several angles",
    "FrameSecondaryAngleVector": "views from several angles",
    "PositionerPrimaryAngleIncrement": "views from several angles",
    "PositionerSecondaryAngleIncrement": "views from several angles",
    "PageNumberVector": "pages",
    "FrameLabelVector": "pictures with labels of their own",
}


def pointed(dataset: Dataset) -> tuple[str, ...]:
    """The keywords of the elements that the header names as what rises from frame to frame."""
    from pydicom.datadict import keyword_for_tag

    pointer = dataset.get("FrameIncrementPointer")
    tags = [] if pointer is None else [pointer] if isinstance(pointer, int) else list(pointer)
    return tuple(keyword_for_tag(tag) for tag in tags)


def slices_of(dataset: Dataset, spacing: tuple[float, float], path: Path) -> tuple[list[Slice] | None, tuple[str, ...]]:
    """The frames as slices with a place and a time, or None where they are one view over time; and notes.

    Raises
    ------
    InputError : frames that differ in something else than place and time.
    """
    count = int(number(dataset, "NumberOfFrames") or 1)
    vectors = _vectors(dataset, count, path)
    for keyword in vectors:
        if keyword in _OTHERS:
            raise InputError(
                f"The frames of '{path}' are {_OTHERS[keyword]}, and not only frames over time or slices; export one "
                "kind of them."
            )
    places = next((keyword for keyword in _SLICES if keyword in vectors), None)
    notes: tuple[str, ...] = ()
    if places is None and not vectors and _is_volume(dataset):
        vectors[places := "SliceVector"] = np.arange(1, count + 1, dtype=float)
        notes = ("The file tells a distance between slices and no times; its frames were taken as slices.",)
    if not vectors:
        return None, ()
    offsets = _offsets(dataset, places, vectors) if places else np.zeros((count, 3))
    position, orientation = _place(dataset)
    times = [vectors[keyword] for keyword in _TIMES if keyword in vectors]
    ranks = _ranks(times) if times else np.zeros(count, int)
    thickness = number(dataset, "SpacingBetweenSlices") or number(dataset, "SliceThickness") or 0.0
    trigger, reference = _gate_times(dataset, vectors, ranks), _phase_times(dataset, ranks)
    return [
        Slice(
            label=f"frame {n + 1}",
            size=(int(dataset.Columns), int(dataset.Rows)),
            spacing=spacing,
            depth=abs(thickness),
            position=tuple(position + offsets[n]),
            orientation=orientation,
            clocks=known({"position": float(ranks[n]), "trigger": _at(trigger, n), "reference": _at(reference, n)}),
        )
        for n in range(count)
    ], notes


def _vectors(dataset: Dataset, count: int, path: Path) -> dict[str, np.ndarray]:
    """The vectors that tell the frames apart: those the header points at, or all where it points at none."""
    found = {}
    named = pointed(dataset)
    for keyword in (*_SLICES, *_TIMES, *_OTHERS):
        value = dataset.get(keyword)
        if value is None or (named and keyword not in named and keyword not in _OTHERS):
            continue
        values = [value] if isinstance(value, (str, int, float)) else list(value)
        if len(values) not in (1, count) or (keyword in named and len(values) != count):
            raise InputError(f"'{path}' has {count} frames but {len(values)} values of {keyword}; export it again.")
        if len(set(values)) > 1:
            try:
                found[keyword] = np.array([float(value) for value in values])
            except (TypeError, ValueError):
                found[keyword] = np.unique([str(value) for value in values], return_inverse=True)[1].astype(float)
    return found


def _is_volume(dataset: Dataset) -> bool:
    """Whether the header tells the distance of frames in space, and nothing of time."""
    timed = ("FrameTime", "FrameTimeVector", "CineRate", "RecommendedDisplayFrameRate")
    apart = number(dataset, "SpacingBetweenSlices")
    return bool(apart) and not any(dataset.get(keyword) for keyword in timed) and dataset.get("Modality") != "US"


def _place(dataset: Dataset) -> tuple[np.ndarray, tuple[float, ...]]:
    """Position of the first frame in LPS mm, and its orientation, the file's own or that of its first detector."""
    detectors = dataset.get("DetectorInformationSequence")
    for header in (dataset, *(detectors or ())[:1]):
        position = numbers(header, "ImagePositionPatient", 3)
        orientation = numbers(header, "ImageOrientationPatient", 6)
        if position is not None and orientation is not None:
            return np.array(position), orientation
    return np.zeros(3), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def _offsets(dataset: Dataset, places: str, vectors: dict[str, np.ndarray]) -> np.ndarray:
    """``[N, 3]`` LPS mm from the first frame to every one."""
    _, orientation = _place(dataset)
    normal = np.cross(orientation[:3], orientation[3:])
    values = vectors[places] - vectors[places][0]
    if places == "SliceVector":
        values = values * (number(dataset, "SpacingBetweenSlices") or number(dataset, "SliceThickness") or 1.0)
    elif places == "GridFrameOffsetVector" and vectors[places][0] != 0:
        normal = np.array((0.0, 0.0, 1.0))  # the planes' own z in the patient
    return np.outer(values, normal)


def _ranks(times: Sequence[np.ndarray]) -> np.ndarray:
    """``[N]``, the number of the time point of every frame, from what rises slowest to what rises fastest."""
    return np.unique(np.stack(times, axis=1), axis=0, return_inverse=True)[1].ravel()


def _gate_times(dataset: Dataset, vectors: dict[str, np.ndarray], ranks: np.ndarray) -> np.ndarray | None:
    """``[N]`` seconds after the trigger of gated frames, or None."""
    if "TimeSlotVector" not in vectors or "RRIntervalVector" in vectors:
        return None
    for gate in dataset.get("GatedInformationSequence") or ():
        for data in gate.get("DataInformationSequence") or ():
            step = number(data, "FrameTime")
            if step:
                return ranks * step / 1000
    return None


def _phase_times(dataset: Dataset, ranks: np.ndarray) -> np.ndarray | None:
    """``[N]`` seconds at which dynamic frames begin, or None."""
    starts: list[float] = []
    clock = 0.0
    for phase in dataset.get("PhaseInformationSequence") or ():
        count, length = number(phase, "NumberOfFramesInPhase"), number(phase, "ActualFrameDuration")
        if not count or not length:
            return None
        clock += number(phase, "PhaseDelay") or 0.0
        for _ in range(int(count)):
            starts.append(clock / 1000)
            clock += length + (number(phase, "PauseBetweenFrames") or 0.0)
    return np.array(starts)[ranks] if len(starts) == int(ranks.max()) + 1 else None


def _at(values: np.ndarray | None, n: int) -> float | None:
    return None if values is None else float(values[n])
