"""Numbers of the curves of strain: end-systolic and peak values, times, rates, indices; and the table of segments."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..cine import Motion
from .deformation import rate
from .segments import Segmentation
from .strain_curves import TENSOR, Key
from .strain_values import SegmentRow, StrainFigure, interval_of, too_uncertain, unit_of

_LENGTHENS = ("GRS", "left atrial strain")
_STRAINS = ("GCS", "GRS", "GLS", "RV free wall strain", "left atrial strain")
_TURNS = ("rotation", "twist", "torsion")
_RATED = 3  # frames that a rate needs on each side of end-systole

Curves = dict[Key, np.ndarray]


class _Cycle:
    """The frames in their order from the reference, their times since then, and where systole ends among them."""

    def __init__(self, motion: Motion, systole: int, period: float | None):
        count = len(motion)
        self.order = np.roll(np.arange(count), -motion.reference) if period else np.arange(count)
        times = np.asarray(motion.times - motion.times[motion.reference])
        self.times = (times % period if period else times)[self.order]
        self.end = int(np.flatnonzero(self.order == systole)[0])
        self.cyclic = period is not None

    def frame(self, place: int) -> int:
        return int(self.order[place])

    def rates(self, values: np.ndarray) -> np.ndarray:
        """Per unit of time, ``[..., T]`` in the order from the reference."""
        return rate(values[..., self.order], self.times, self.cyclic)


def _peak(values: np.ndarray, name: str) -> np.ndarray:
    """Place of the peak ``[...]`` of curves ``[..., T]``: the longest or shortest by its name; of turns either."""
    if name.startswith(_TURNS):
        return np.asarray(np.abs(values).argmax(-1))
    return np.asarray((values if _lengthens(name) else -values).argmax(-1))


def _at_peak(values: np.ndarray, name: str) -> np.ndarray:
    return np.asarray(np.take_along_axis(values, _peak(values, name)[..., None], -1)[..., 0])


def _lengthens(name: str) -> bool:
    return name in _LENGTHENS or name.endswith("radial")


def figures_of(
    values: Curves, samples: Curves | None, motion: Motion, systole: int, period: float | None, mass: float | None
) -> tuple[StrainFigure, ...]:
    """All numbers; ``period`` is the length of a cycle or None, ``mass`` that of the wall in g or None."""
    cycle = _Cycle(motion, systole, period)
    clock = motion.time_unit or "frames"
    found: list[StrainFigure] = []

    def add(
        key: Key,
        what: str,
        unit: str,
        measure: Callable[[np.ndarray], np.ndarray],
        place: int | None = None,
        skewed: bool = False,
    ) -> None:
        """A number of a curve: ``measure`` of ``[S, T]`` gives ``[S]``."""
        value = float(measure(values[key])[0])
        band = interval_of(value, None if samples is None else measure(samples[key]), skewed)
        frame, time = (None, None) if place is None else (cycle.frame(place), float(cycle.times[place]))
        found.append(StrainFigure(key[0], key[1], what, value, unit, frame, time, band))

    for key, curve in values.items():
        name, unit = key[0], unit_of(key)
        ordered = curve[0][cycle.order]
        place = int(_peak(ordered, name))
        if name in _STRAINS or name == "area change":
            _of_strain(add, key, cycle, ordered, place, clock)
        elif name in _TURNS:
            _value(add, key, "end-systolic", unit, cycle, cycle.end)
            _value(add, key, "peak", unit, cycle, place)
        elif name == "wall thickness":
            _value(add, key, "end-diastolic", unit, cycle, int(np.flatnonzero(cycle.order == motion.reference)[0]))
            _value(add, key, "end-systolic", unit, cycle, cycle.end)
        elif name.startswith("cavity"):
            _of_cavity(add, key, cycle, unit, motion.reference)
    found += _dyssynchrony(values, samples, cycle, clock)
    if mass is not None:
        found.append(StrainFigure("mass", "volume of the wall", "end-diastolic", mass, "g", motion.reference, 0.0))
    return tuple(found)


Add = Callable[..., None]


def _value(add: Add, key: Key, what: str, unit: str, cycle: _Cycle, place: int) -> None:
    frame = cycle.frame(place)
    add(key, what, unit, lambda curve: curve[:, frame], place)


def _of_strain(add: Add, key: Key, cycle: _Cycle, ordered: np.ndarray, place: int, clock: str) -> None:
    name = key[0]
    frame = cycle.frame(cycle.end)
    _value(add, key, "end-systolic", "%", cycle, cycle.end)
    add(key, "peak", "%", lambda c: _at_peak(c[:, cycle.order], name), place)
    add(key, "time to peak", clock, lambda c: cycle.times[_peak(c[:, cycle.order], name)], place, True)
    if name == "left atrial strain":
        _of_atrium(add, key, cycle, ordered, place)
        return

    def index(curve: np.ndarray) -> np.ndarray:
        own = curve[:, cycle.order]
        peak = _at_peak(own, name)
        return np.asarray(100 * (peak - curve[:, frame]) / np.where(np.abs(peak) < 1e-6, np.inf, peak))

    add(key, "post-systolic index", "%", index, place, True)
    end, count = cycle.end, len(cycle.order)
    if end < _RATED or count - end < _RATED:
        return
    sign = 1.0 if _lengthens(name) else -1.0
    rates = sign * cycle.rates(ordered)
    early = end + max((count - end + 1) // 2, 2)
    systolic, diastolic = int(rates[: end + 1].argmax()), end + int(rates[end:early].argmin())
    unit = f"%/{clock}" if clock == "s" else "%/frame"
    add(key, "peak systolic strain rate", unit, lambda c: sign * (sign * cycle.rates(c))[:, : end + 1].max(1), systolic)
    add(
        key,
        "early diastolic strain rate",
        unit,
        lambda c: sign * (sign * cycle.rates(c))[:, end:early].min(1),
        diastolic,
    )


def _of_atrium(add: Add, key: Key, cycle: _Cycle, ordered: np.ndarray, place: int) -> None:
    """Reservoir, conduit and booster strain, relative to the end of the ventricle's diastole (Badano et al. 2018).

    The atrium begins to contract where it empties most slowly between its early and its late emptying.
    """
    count = len(ordered)
    rates = cycle.rates(ordered)
    middle = place + (count - place) // 2
    if count - place < 6:
        return
    early = place + int(rates[place:middle].argmin())
    late = middle + int(rates[middle:].argmin())
    start = early + int(rates[early : late + 1].argmax()) if late > early else late
    peak, onset = cycle.frame(place), cycle.frame(start)
    add(key, "reservoir", "%", lambda c: c[:, peak], place)
    add(key, "conduit", "%", lambda c: c[:, peak] - c[:, onset], start)
    add(key, "booster", "%", lambda c: c[:, onset], start)


def _of_cavity(add: Add, key: Key, cycle: _Cycle, unit: str, reference: int) -> None:
    _value(add, key, "end-diastolic", unit, cycle, int(np.flatnonzero(cycle.order == reference)[0]))
    _value(add, key, "end-systolic", unit, cycle, cycle.end)
    frame = cycle.frame(cycle.end)
    if key[0] == "cavity volume":
        add(key, "ejection fraction", "%", lambda c: 100 * (1 - c[:, frame] / c[:, reference]), cycle.end)


def _dyssynchrony(values: Curves, samples: Curves | None, cycle: _Cycle, clock: str) -> list[StrainFigure]:
    """Standard deviation of the segments' times to peak."""
    found = []
    for direction, name in (("circumferential", "GCS"), ("longitudinal", "GLS")):
        keys = [key for key in values if key[0].startswith("segment ") and key[0].endswith(direction)]
        if len(keys) < 4:
            continue

        def measure(curves: Curves, keys: list[Key] = keys) -> np.ndarray:
            times = [cycle.times[_peak(curves[key][:, cycle.order], key[0])] for key in keys]
            return np.std(times, axis=0, ddof=1)

        value = float(measure(values)[0])
        band = interval_of(value, None if samples is None else measure(samples), skewed=True)
        found.append(StrainFigure(name, TENSOR, "dyssynchrony", value, clock, None, None, band))
    return found


def segment_rows(
    values: Curves, samples: Curves | None, parts: Segmentation, motion: Motion, systole: int, period: float | None
) -> tuple[SegmentRow, ...]:
    """One row a segment and direction."""
    cycle = _Cycle(motion, systole, period)
    rows = []
    for key, curve in values.items():
        if not key[0].startswith("segment "):
            continue
        _, number, direction = key[0].split()
        ordered = curve[0][cycle.order]
        place = int(_peak(ordered, key[0]))
        value = float(curve[0, systole])
        band = interval_of(value, None if samples is None else samples[key][:, systole])
        rows.append(
            SegmentRow(int(number), parts.names[int(number)], direction, value, band, float(ordered[place]),
                       cycle.frame(place), float(cycle.times[place]), too_uncertain(value, band))
        )  # fmt: skip
    return tuple(sorted(rows, key=lambda row: (row.number, row.direction)))
