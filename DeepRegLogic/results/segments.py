"""``SEGMENTS``: everything that is given for the segments of the left ventricle, one entry a bull's-eye.

Figures, the page of the report, tables, the worker and Slicer go through this list: to add a bull's-eye is to add an
entry.

    SEGMENTS.add("peak", Segmental("Peak strain", "%", lambda results: {1: (-18.0, -20.0, -16.0), ...}))

The segments are the 17 of the American Heart Association: Cerqueira et al., Circulation 105(4), 2002.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..registry import Registry

if TYPE_CHECKING:
    from .results import Results

Values = Mapping[int, tuple[float, float, float]]
"""Number of a segment -> its value and the ends of its 90 % interval; NaN for ends that nobody knows."""

NAMES = {
    1: "basal anterior", 2: "basal anteroseptal", 3: "basal inferoseptal", 4: "basal inferior",
    5: "basal inferolateral", 6: "basal anterolateral", 7: "mid anterior", 8: "mid anteroseptal",
    9: "mid inferoseptal", 10: "mid inferior", 11: "mid inferolateral", 12: "mid anterolateral",
    13: "apical anterior", 14: "apical septal", 15: "apical inferior", 16: "apical lateral", 17: "apex",
}  # fmt: skip


@dataclass(frozen=True)
class Segmental:
    """An entry of ``SEGMENTS``.

    Attributes
    ----------
    title : of the bull's-eye, with its time and its sign convention.
    unit : of the values.
    compute : from results to ``Values``; empty or None where there is nothing to show.
    limits : the values at the ends of the palette.
    palette : a name of ``maps.PALETTES``.
    readable : the widest interval of a segment that can be read; wider ones are hatched.
    digits : shown behind the point.
    """

    title: str
    unit: str
    compute: Callable[[Results], Values | None]
    limits: tuple[float, float] = (-30.0, 30.0)
    palette: str = "change"
    readable: float = 10.0
    digits: int = 0

    def doubtful(self, values: Values) -> list[int]:
        """The segments whose interval is too wide to be read."""
        return [
            number
            for number, (_, low, high) in values.items()
            if np.isfinite(high - low) and high - low > self.readable
        ]


SEGMENTS: Registry[Segmental] = Registry("bull's-eye")
