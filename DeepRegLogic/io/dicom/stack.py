"""DICOM slices put in order: by position along their normal, and within each position by the rank of their time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...errors import InputError
from ...grid import Grid, three


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
    delay : milliseconds after the trigger, or None.
    index : number of the time point, or None.
    clock : seconds of the day or of an epoch when it was acquired, or None.
    number : the number of the image in its series or file, or None.
    """

    label: str
    size: tuple[int, int]
    spacing: tuple[float, float]
    depth: float
    position: tuple[float, ...]
    orientation: tuple[float, ...]
    delay: float | None
    index: float | None
    clock: float | None
    number: float | None


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
    groups = _positions(slices, normal)
    phases = _phases(slices, groups, name)
    notes: list[str] = []
    gap = _gap(slices, [group[0] for group in groups], normal, name, notes)
    grid = Grid(
        (*first.size, len(groups)),
        (*first.spacing, gap or first.depth or 1.0),
        three(slices[groups[0][0]].position),
        tuple(np.stack([across, down, normal], axis=1).ravel()),
    )
    order = np.array(phases).T
    return Arrangement(grid, order, _times(slices, order, notes), tuple(notes))


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


def _positions(slices: Sequence[Slice], normal: np.ndarray) -> list[list[int]]:
    """The numbers of the slices at each position, positions rising along the normal."""
    depth = np.array([s.position for s in slices]) @ normal
    groups: list[list[int]] = []
    for i in np.argsort(depth, kind="stable"):
        if groups and depth[i] - depth[groups[-1][0]] < 0.05:
            groups[-1].append(int(i))
        else:
            groups.append([int(i)])
    return groups


def _phases(slices: Sequence[Slice], groups: list[list[int]], name: str) -> list[list[int]]:
    """Each group sorted by time."""
    most = max(len(group) for group in groups)
    for k, group in enumerate(groups):
        if len(group) != most:
            raise InputError(
                f"Phases are missing in '{name}': slice {k + 1} of {len(groups)} has {len(group)} images where others "
                f"have {most} (it holds {_labels(slices, group)}); add the missing files, or leave that slice out."
            )
    if most == 1:
        return groups
    for attribute in ("delay", "index", "clock", "number"):
        values = [[getattr(slices[i], attribute) for i in group] for group in groups]
        if any(value is None for row in values for value in row):
            continue
        distinct = [len(set(row)) for row in values]
        if min(distinct) == most:
            return [[group[j] for j in np.argsort(row)] for group, row in zip(groups, values, strict=True)]
        if attribute in ("delay", "index") and max(distinct) > 1:
            k = int(np.argmin(distinct))
            twice = [i for i, value in zip(groups[k], values[k], strict=True) if values[k].count(value) > 1]
            raise InputError(
                f"'{name}' holds more than one image of the same place and time ({_labels(slices, twice)}), for "
                "example magnitude and phase, or two scans; put one kind into a folder of its own."
            )
    raise InputError(f"The images of '{name}' have no times or numbers that tell their order.")


def _labels(slices: Sequence[Slice], group: Sequence[int], most: int = 4) -> str:
    names = ", ".join(slices[i].label for i in group[:most])
    return names if len(group) <= most else f"{names} and {len(group) - most} more"


def _gap(slices: Sequence[Slice], firsts: list[int], normal: np.ndarray, name: str, notes: list[str]) -> float:
    """Distance of neighbouring slices in mm, 0 for a single one."""
    positions = np.array([s.position for s in slices])
    offset = positions - positions[firsts[0]]
    sideways = np.linalg.norm(offset - np.outer(offset @ normal, normal), axis=1)
    if sideways.max() > 0.1 * min(slices[0].spacing):
        raise InputError(
            f"The slices of '{name}' are shifted sideways against each other (by {sideways.max():.2f} mm at "
            f"{slices[int(sideways.argmax())].label}); resample them to a straight stack first."
        )
    if len(firsts) == 1:
        return 0.0
    gaps = np.diff(positions[firsts] @ normal)
    mean = float(gaps.mean())
    uneven = float(np.abs(gaps - mean).max())
    if uneven > 0.1 * mean:
        k = int(np.abs(gaps - np.median(gaps)).argmax())
        raise InputError(
            f"The slices of '{name}' are not evenly spaced: {gaps[k]:.2f} mm between {slices[firsts[k]].label} and "
            f"{slices[firsts[k + 1]].label}, {np.median(gaps):.2f} mm elsewhere; add the missing slices "
            "or leave some out."
        )
    if uneven > 0.01 * mean:
        notes.append(f"The gaps between slices differ by up to {uneven:.2f} mm; their mean, {mean:.2f} mm, is used.")
    return mean


def _times(slices: Sequence[Slice], order: np.ndarray, notes: list[str]) -> np.ndarray | None:
    """Seconds of each phase, the mean over the slices, or None."""
    if len(order) == 1:
        return None
    for attribute, seconds in (("delay", 1e-3), ("clock", 1.0)):
        values = [[getattr(slices[i], attribute) for i in row] for row in order]
        if any(value is None for row in values for value in row):
            continue
        table = np.array(values) * seconds
        if attribute == "clock":
            table = table - table[0]
        times = table.mean(axis=1)
        if np.all(np.diff(times) > 0):
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
            return times
    notes.append("The headers give no usable frame times; frames are numbered instead.")
    return None
