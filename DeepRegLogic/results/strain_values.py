"""What strain is reported as: settings, curves, figures with their moments, segments, with units and intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from .segments import LEVELS, LONG_AXES, Segmentation

if TYPE_CHECKING:
    from .axes import CardiacAxes
    from .strain_curves import Key

CORRELATION_MM = 20.0
"""Over which errors of the displacement are alike: the length of ``uncertainty.fields.sample_errors``.

Measured in the wall of two phantoms (``Testing/benchmarks/strain_table.py``, short-axis seeds 0 and 1, quality "fast",
10 frames): 21 and 33 mm, from the correlation at one pixel. The smaller makes the wider intervals.
"""

NORMAL_90 = 1.6449
UNCERTAIN_POINTS, UNCERTAIN_PART = 4.0, 0.5


@dataclass(frozen=True)
class HeartSettings:
    """What a user may say about the heart.

    Attributes
    ----------
    myocardium : value or name of the label of the left ventricle's wall; None: by its name.
    cavity, right : of the blood of the left and of the right ventricle; None: by their names.
    view : "short-axis", "four-chamber", "two-chamber" or "three-chamber"; None: short axis where the wall is a ring.
    level : of a single short-axis slice, "basal", "mid" or "apical"; None: "mid", with a note.
    insertion : anterior insertion point of the right ventricle, LPS mm.
    samples : of the displacement's error.
    correlation : mm, over which errors are alike.
    """

    myocardium: int | str | None = None
    cavity: int | str | None = None
    right: int | str | None = None
    view: str | None = None
    level: str | None = None
    insertion: tuple[float, float, float] | None = None
    samples: int = 48
    correlation: float = CORRELATION_MM

    def __post_init__(self) -> None:
        for name, value, known in (("view", self.view, ("short-axis", *LONG_AXES)), ("level", self.level, LEVELS)):
            if value is not None and value not in known:
                raise InputError(f"There is no {name} '{value}'; there are {', '.join(known)}.")


@dataclass(frozen=True, eq=False)
class StrainCurve:
    """One curve.

    Attributes
    ----------
    name : "GCS", "GRS", "GLS", "twist", "wall thickness", "cavity area", ...
    definition : "mean of the tensor", "length of the endocardial line", ..., or the unit where there is one way alone.
    values : ``[T]`` in ``unit``, 0 (of a strain) at the reference frame.
    unit : "%", "mm", "mm2", "ml", "degrees", "degrees/cm".
    interval : ``[T, 2]``, the 90 % interval; None without a covariance.
    """

    name: str
    definition: str
    values: np.ndarray
    unit: str
    interval: np.ndarray | None = None


@dataclass(frozen=True)
class StrainFigure:
    """One number: ``name`` of the curve, ``what`` ("end-systolic", "peak", ...), value, unit, when, 90 % interval."""

    name: str
    definition: str
    what: str
    value: float
    unit: str
    frame: int | None
    time: float | None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class SegmentRow:
    """Strain of one segment in one direction, percent; ``uncertain`` where the interval is too wide to read."""

    number: int
    name: str
    direction: str
    end_systolic: float
    interval: tuple[float, float] | None
    peak: float
    peak_frame: int
    peak_time: float
    uncertain: bool


@dataclass(frozen=True, eq=False)
class Strain:
    """What ``strain_of`` gives.

    Attributes
    ----------
    axes, segmentation : directions, lines and segments on the reference frame, on the whole grid.
    curves : of the whole heart. segment_curves : (number, direction) -> curve.
    figures : numbers with their moments.
    segments : one row a segment and direction.
    diastole, systole : frames: the reference, and that of the smallest cavity.
    times : ``[T]`` since the reference, in ``time_unit``.
    notes : sentences: what was assumed, left out, or doubtful.
    settings : those it was made with.
    """

    axes: CardiacAxes
    segmentation: Segmentation
    curves: tuple[StrainCurve, ...]
    segment_curves: Mapping[tuple[int, str], StrainCurve]
    figures: tuple[StrainFigure, ...]
    segments: tuple[SegmentRow, ...]
    diastole: int
    systole: int
    times: np.ndarray
    time_unit: str
    notes: tuple[str, ...] = ()
    settings: HeartSettings = field(default_factory=HeartSettings)

    def curve(self, name: str, definition: str | None = None) -> StrainCurve:
        """The curve of that name, the first definition where none is named.

        Raises
        ------
        InputError : there is none.
        """
        for each in self.curves:
            if each.name == name and definition in (None, each.definition):
                return each
        raise InputError(
            f"There is no curve '{name}' here; there are {', '.join(dict.fromkeys(c.name for c in self.curves))}."
        )

    def figure(self, name: str, what: str, definition: str | None = None) -> StrainFigure:
        """The number of that curve, such as ("GCS", "end-systolic").

        Raises
        ------
        InputError : there is none.
        """
        for each in self.figures:
            if (each.name, each.what) == (name, what) and definition in (None, each.definition):
                return each
        raise InputError(f"There is no figure '{name}, {what}' here.")


def interval_of(value: float, samples: np.ndarray | None, skewed: bool = False) -> tuple[float, float] | None:
    """The 90 % interval about a value, of normal samples of it, or of ``skewed`` ones by their percentiles."""
    if samples is None:
        return None
    if skewed:
        low, high = (float(each) for each in np.percentile(samples, (5, 95)))
        return min(low, value), max(high, value)
    half = NORMAL_90 * float(samples.std(ddof=1))
    return value - half, value + half


def too_uncertain(value: float, interval: tuple[float, float] | None) -> bool:
    """Whether half the interval is wider than 4 points and than half of the value."""
    if interval is None:
        return False
    half = 0.5 * (interval[1] - interval[0])
    return half > max(UNCERTAIN_POINTS, UNCERTAIN_PART * abs(value))


UNITS = {"mm": "mm", "mm2": "mm2", "ml by discs": "ml", "ml by the Jacobian": "ml", "degrees": "degrees",
         "degrees per cm": "degrees/cm"}  # fmt: skip


def unit_of(key: Key) -> str:
    """Unit of a curve: "%" of strains."""
    return UNITS.get(key[1], "%")
