"""DICOM slices put in order: by position along their normal, and within each position by the rank of their time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ...errors import InputError
from ...grid import Grid, three
from .order import Decision, decide, readings
from .places import gap_between, positions_of

COMPONENT = "part of the complex image"
"""The kind by which magnitude, phase, real and imaginary images differ."""


@dataclass(frozen=True)
class Slice:
    """One image of a classic series, or one frame of a multi-frame file.

    Attributes
    ----------
    label : how a sentence names it.
    size : columns, rows.
    spacing : mm between columns and between rows, i and j.
    depth : mm to the next slice as the header says, for a single slice; 0 where unknown.
    position : LPS mm of the first pixel's centre.
    orientation : unit vectors of i and j, 6 numbers.
    clocks : what tells its place in time, by the names of ``clocks.CLOCKS``.
    cycle : seconds of a heart beat, or None.
    kinds : what else may differ from image to image (echo time, part of a complex image, ...), by its name.
    part : which series or file it came from.
    """

    label: str
    size: tuple[int, int]
    spacing: tuple[float, float]
    depth: float
    position: tuple[float, ...]
    orientation: tuple[float, ...]
    clocks: Mapping[str, float]
    cycle: float | None = None
    kinds: Mapping[str, object] = field(default_factory=dict)
    part: str = ""


@dataclass(frozen=True, eq=False)
class Arrangement:
    """``order[t, k]`` is the number of the slice at time t and position k; times in seconds or None."""

    grid: Grid
    order: np.ndarray
    times: np.ndarray | None
    notes: tuple[str, ...]


def arrange(slices: Sequence[Slice], name: str) -> Arrangement:
    """Put the slices of one series in order.

    Positions lie along the common normal; phases are matched by rank within each position, since trigger times differ
    a little from slice to slice.

    Raises
    ------
    InputError : mixed sizes, spacings or orientations, slices that do not form a straight, even stack, missing phases,
        or two images of one place and time; the sentence names files.
    """
    first = slices[0]
    _same(slices, "size", "size of", name, 0.0)
    _same(slices, "spacing", "pixel spacing in", name, 1e-3)
    _same(slices, "orientation", "orientation in", name, 1e-3)
    across = np.array(first.orientation[:3]) / np.linalg.norm(first.orientation[:3])
    down = np.array(first.orientation[3:]) / np.linalg.norm(first.orientation[3:])
    normal = np.cross(across, down)
    normal /= np.linalg.norm(normal)
    depths = np.array([s.position for s in slices]) @ normal
    notes: list[str] = []
    groups = positions_of(depths, first.depth, notes)
    decision = _phases(slices, groups, name)
    phases = np.array(groups) if decision is None else np.take_along_axis(np.array(groups), decision.order, axis=1)
    gap = gap_between(slices, groups, normal, name, notes)
    origin = np.mean([slices[i].position for i in groups[0]], axis=0)
    grid = Grid(
        (*first.size, len(groups)),
        (*first.spacing, gap or first.depth or 1.0),
        three(origin),
        tuple(np.stack([across, down, normal], axis=1).ravel()),
    )
    if decision is None:
        return Arrangement(grid, phases.T, None, tuple(notes))
    notes += decision.notes
    notes += _kinds(slices, phases, decision, name)
    times = _times(slices, phases, decision, notes)
    return Arrangement(grid, phases.T, times, tuple(notes))


def _same(slices: Sequence[Slice], attribute: str, words: str, name: str, tolerance: float) -> None:
    values = np.array([getattr(s, attribute) for s in slices], dtype=float)
    other = np.flatnonzero(np.abs(values - values[0]).max(axis=1) > tolerance * max(1.0, np.abs(values[0]).max()))
    if len(other):
        example = slices[other[0]]
        raise InputError(
            f"The images of '{name}' are mixed: the {words} {example.label} is {_short(values[other[0]])}, that of "
            f"{slices[0].label} is {_short(values[0])} ({len(other)} of {len(slices)} images differ); "
            "put images of one kind into a folder of their own."
        )


def _short(values: np.ndarray) -> str:
    return "(" + ", ".join(f"{v:.4g}" for v in values) + ")"


def _phases(slices: Sequence[Slice], groups: list[list[int]], name: str) -> Decision | None:
    """The order of the images of each position; None where there is one image at each."""
    most = max(len(group) for group in groups)
    for k, group in enumerate(groups):
        if len(group) != most:
            raise InputError(
                f"Phases are missing in '{name}': slice {k + 1} of {len(groups)} has {len(group)} images where others "
                f"have {most} (it holds {_labels(slices, group)}); add the missing files, or leave that slice out."
            )
    if most == 1:
        return None
    parts = np.array([[slices[i].part for i in group] for group in groups])
    whole = all(len(set(row)) == most and set(row) == set(parts[0]) for row in parts.tolist())
    found = readings([[slices[i].clocks for i in group] for group in groups])
    decision = decide(found, parts if whole else None)
    for reading in found:
        if reading.clock.family not in ("beat", "position") or reading.repeated is None:
            continue
        if decision and any(reading.told_apart(other) for other in decision.followed):
            continue
        place, twice = reading.repeated
        raise InputError(
            f"'{name}' holds more than one image of the same place and time "
            f"({_labels(slices, [groups[place][i] for i in twice])}), for example magnitude and phase, or two scans; "
            "put one kind into a folder of its own."
        )
    if decision is None:
        raise InputError(f"The images of '{name}' have no times or numbers that tell their order.")
    return decision


def _kinds(slices: Sequence[Slice], phases: np.ndarray, decision: Decision, name: str) -> list[str]:
    """Notes on what differs between the images of one place besides their time; refused where time does not."""
    notes = []
    clocks = any(r.clock.family != "file" and r.repeated is None for r in decision.followed)
    for kind in dict.fromkeys(kind for s in slices for kind in s.kinds):
        values = [{str(slices[i].kinds.get(kind)) for i in row} for row in phases]
        different = max(values, key=len)
        if len(different) < 2:
            continue
        shown = ", ".join(sorted(different)[:4]) + (", ..." if len(different) > 4 else "")
        if kind == COMPONENT or not clocks:
            raise InputError(
                f"The images of '{name}' at one place differ in {kind} ({shown}), and not only in time; put those of "
                "one kind into a folder of their own."
            )
        notes.append(f"The images at one place differ in {kind} ({shown}), too: they may be no frames over time.")
    return notes


def _labels(slices: Sequence[Slice], group: Sequence[int], most: int = 4) -> str:
    names = ", ".join(slices[i].label for i in group[:most])
    return names if len(group) <= most else f"{names} and {len(group) - most} more"


def _times(slices: Sequence[Slice], phases: np.ndarray, decision: Decision, notes: list[str]) -> np.ndarray | None:
    """Seconds of each phase, the mean over the slices, or None."""
    for reading in decision.followed:
        table = np.take_along_axis(reading.values, decision.order, axis=1).T
        if reading.name == "percent" and reading.name not in decision.restarting:
            table, length = table / 100, slices[0].cycle
            if length is None:
                notes.append(
                    "The frames are told by percentages of a heart beat whose length is not stored; frames are "
                    "numbered instead."
                )
                return None
            notes.append(f"Frame times are percentages of a heart beat of {1000 * length:.0f} ms.")
            table = table * length
        elif not reading.clock.timed or reading.name in decision.restarting:
            continue
        if (reading.clock.real and reading.name != "reference") or np.abs(table).max() > 1e6:
            table = table - table[0]  # the time of day, and slices may be scanned one after the other
        times = table.mean(axis=1)
        if np.any(np.diff(table, axis=0) <= 0):
            continue
        if reading.name == "content":
            notes.append("Frame times are content times: when the images were made.")
        _compare(table, times, notes)
        return times
    notes.append("The headers give no usable frame times; frames are numbered instead.")
    return None


def _compare(table: np.ndarray, times: np.ndarray, notes: list[str]) -> None:
    """Notes on frame times ``[T, K]`` that differ between slices, or leave a gap."""
    spread = float(np.abs(table - times[:, None]).max())
    if spread > 1e-4:
        notes.append(f"Frame times differ by up to {1000 * spread:.1f} ms between slices; their mean is used.")
    steps = np.diff(times)
    if steps.max() > 1.8 * np.median(steps):
        t = int(steps.argmax())
        notes.append(
            f"Between frames {t} and {t + 1} lie {1000 * steps[t]:.0f} ms, elsewhere "
            f"{1000 * np.median(steps):.0f} ms: a phase may be missing."
        )
    late = table[0] - np.median(table[0])
    if np.abs(late).max() > 0.75 * np.median(steps):
        k = int(np.abs(late).argmax())
        notes.append(f"Slice {k + 1} begins {1000 * late[k]:.0f} ms from the others: a phase of it may be missing.")
