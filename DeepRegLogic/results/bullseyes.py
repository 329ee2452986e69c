"""``BULLSEYES``: everything that is given for the segments of the left ventricle, one entry a bull's-eye.

Figures, the page of the report, tables, the worker and Slicer go through this list: to add a bull's-eye is to add an
entry.

    BULLSEYES.add("peak", Bullseye("Peak strain", "%", lambda results: {1: Segment("anterior", -18.0, -20.0, -16.0)}))

The segments are the 17 of the American Heart Association: Cerqueira et al., Circulation 105(4), 2002.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING, NamedTuple

from ..registry import Registry

if TYPE_CHECKING:
    from .results import Results


class Segment(NamedTuple):
    """What is known of a segment.

    Attributes
    ----------
    name : what a reader calls it.
    value : in the unit of the entry.
    low, high : ends of its 90 % interval, NaN where nobody knows them.
    uncertain : whether the interval is too wide for the value to be read.
    """

    name: str
    value: float
    low: float = nan
    high: float = nan
    uncertain: bool = False


Segments = Mapping[int, Segment]
"""Number of a segment, 1 to 17 -> what is known of it."""


@dataclass(frozen=True)
class Bullseye:
    """An entry of ``BULLSEYES``.

    Attributes
    ----------
    title : with its time and its sign convention.
    unit : of the values.
    compute : from results to ``Segments``; empty or None where there is nothing to show.
    limits : the values at the ends of the palette.
    palette : a name of ``maps.PALETTES``.
    digits : shown behind the point.
    """

    title: str
    unit: str
    compute: Callable[[Results], Segments | None]
    limits: tuple[float, float] = (-30.0, 30.0)
    palette: str = "change"
    digits: int = 0


BULLSEYES: Registry[Bullseye] = Registry("bull's-eye")


def _end_systolic(direction: str) -> Callable[[Results], Segments | None]:
    def compute(results: Results) -> Segments | None:
        if results.strain is None:
            return None
        rows = [row for row in results.strain.segments if row.direction == direction]
        return {
            row.number: Segment(row.name, row.end_systolic, *(row.interval or (nan, nan)), uncertain=row.uncertain)
            for row in rows
        }

    return compute


for _direction, _limits, _sign in (
    ("circumferential", 30.0, "negative: shorter"),
    ("radial", 60.0, "positive: thicker"),
    ("longitudinal", 30.0, "negative: shorter"),
):
    BULLSEYES.add(
        _direction,
        Bullseye(
            f"{_direction.capitalize()} strain at end-systole ({_sign} than at the reference)",
            "%",
            _end_systolic(_direction),
            limits=(-_limits, _limits),
        ),
    )
