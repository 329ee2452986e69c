"""``MAPS``: everything that a motion gives as images over time, one entry a map.

Files, tables, figures, the worker, Slicer's sequences, displays, legends, switches and exports go through this list: to
add a map is to add an entry.

    MAPS.add("speed", Map("Speed", "mm/s", lambda results: ..., limits=(0.0, 200.0)))

Needs numpy alone; what entries compute with is imported when they are asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..registry import Registry

if TYPE_CHECKING:
    from .results import Results

Color = tuple[float, float, float]

PALETTES: dict[str, tuple[Color, Color, Color]] = {
    "change": ((0.13, 0.40, 0.67), (0.97, 0.97, 0.97), (0.70, 0.09, 0.17)),  # blue, white, red
    "heat": ((0.16, 0.04, 0.33), (0.80, 0.28, 0.32), (0.99, 0.95, 0.55)),  # dark violet, red, yellow
    "viridis": ((0.27, 0.00, 0.33), (0.13, 0.57, 0.55), (0.99, 0.91, 0.15)),  # violet, green, yellow
}
"""Colours at the lower end, in the middle and at the upper end of the limits."""

IMAGE, DIFFERENCE, OVERLAY = "image", "difference", "overlay"


@dataclass(frozen=True)
class Map:
    """An entry of ``MAPS``.

    Attributes
    ----------
    title : what a user calls it.
    unit : of its values, "" where they have none.
    compute : from results to ``[T, *spatial]`` float32.
    limits : the values at the ends of the palette: the same in every study, so that colours can be compared; or a
        function of the number of axes.
    palette : a name of ``PALETTES``.
    on : "reference", or "frame" where its voxels are those of the frames.
    kind : "image" (shown and written as the cine is), "difference" (of images) or "overlay" (coloured, over the cine).
    explanation : what a switch tells of it.
    noun : what it is called in the names of nodes, the title in lower case where it is "".
    above : whether it can be shown only above the limit that makes a place doubtful.
    file : what stands for it in file names and columns, its name where it is None; "" is not written.
    statistics : figures of every frame for tables, out of "min", "max" (over the frame) and "mean" (over the labels, or
        what moves).
    ratio : whether its values are factors, 1 for no change.
    figure : file name of its picture in a report, "" for none.
    needs_covariance : whether there is one only of a motion with a covariance.
    title_of_slice : the title where images are single slices, ``title`` where it is "".
    advanced : whether it is for those who ask for more: its switch is among the advanced options.
    direction : of a heart, along which it is; there is one only where the heart has that direction, "" for all.
    """

    title: str
    unit: str
    compute: Callable[[Results], np.ndarray]
    limits: tuple[float, float] | Callable[[int], tuple[float, float]] = (0.0, 1.0)
    palette: str = "viridis"
    on: str = "reference"
    kind: str = OVERLAY
    explanation: str = ""
    noun: str = ""
    above: bool = False
    file: str | None = None
    statistics: tuple[str, ...] = ("mean", "max")
    ratio: bool = False
    figure: str | None = None
    needs_covariance: bool = False
    title_of_slice: str = ""
    advanced: bool = False
    direction: str = ""

    def title_of(self, ndim: int) -> str:
        """The title for images of ``ndim`` axes."""
        return self.title_of_slice if ndim == 2 and self.title_of_slice else self.title

    def limits_of(self, ndim: int) -> tuple[float, float]:
        """The limits for images of ``ndim`` axes."""
        return self.limits(ndim) if callable(self.limits) else self.limits


MAPS: Registry[Map] = Registry("map")


def overlays() -> dict[str, Map]:
    """The maps that colour the cine, by name: those that a panel has switches for."""
    return {name: entry for name, entry in MAPS.items() if entry.kind == OVERLAY}


def file_name(name: str) -> str:
    """What stands for a map in file names and columns, "" where it is not written."""
    file = MAPS[name].file
    return name if file is None else file


def column_name(name: str, statistic: str) -> str:
    """The column of a figure of every frame: "jacobian_min", "deviation_mean_mm"."""
    return "_".join(part for part in (file_name(name) or name, statistic, MAPS[name].unit) if part)


def _compensated(results: Results) -> np.ndarray:
    from .resample import compensate

    return compensate(results.motion, results.cine.frames)


def _propagated(results: Results) -> np.ndarray:
    from .resample import propagate

    return propagate(results.motion, results.cine.frames[results.motion.reference])


def _difference(results: Results) -> np.ndarray:
    compensated = results.compensated
    return compensated - np.array(compensated[results.motion.reference])  # whose field is zero


def _jacobian(results: Results) -> np.ndarray:
    from .sizes import jacobian

    return jacobian(results.motion)


def _uncertainty(results: Results) -> np.ndarray:
    from ..uncertainty.covariance import deviations

    covariance = results.motion.covariance
    assert covariance is not None
    return np.stack([deviations(frame[None])[0, 0] for frame in covariance])


def _entropy(results: Results) -> np.ndarray:
    from ..uncertainty.covariance import LEAST_ENTROPY, entropy

    covariance = results.motion.covariance
    assert covariance is not None
    # where the displacement is zero by definition, the entropy is minus infinity: no file has that
    return np.stack([np.maximum(entropy(frame[None])[0], LEAST_ENTROPY) for frame in covariance])


def _entropy_limits(ndim: int) -> tuple[float, float]:
    """Of equal standard deviations of 0.1 to 2 mm in all directions."""
    low, high = (ndim * math.log(math.sqrt(2 * math.pi) * mm) for mm in (0.1, 2.0))
    return low, high


MAPS.add("compensated", Map("motion-compensated", "", _compensated, kind=IMAGE, statistics=(), figure=""))
MAPS.add(
    "difference",
    Map("difference", "", _difference, kind=DIFFERENCE, palette="change", file="", statistics=(), figure=""),
)
MAPS.add("propagated", Map("propagated reference", "", _propagated, on="frame", kind=IMAGE, statistics=(), figure=""))
MAPS.add(
    "jacobian",
    Map(
        "Change of volume",
        "",
        _jacobian,
        limits=(0.0, 2.0),  # a blood pool shrinks to less than half
        palette="change",
        explanation="Color tissue that shrinks (blue) or grows (red): the Jacobian determinant",
        title_of_slice="Change of area",
        noun="Jacobian",
        statistics=("min", "max"),
        ratio=True,
    ),
)
MAPS.add(
    "uncertainty",
    Map(
        "Uncertainty",
        "mm",
        _uncertainty,
        limits=(0.0, 2.0),
        palette="heat",
        explanation="Color where the motion is uncertain, in millimeters",
        above=True,
        file="deviation",
        figure="uncertainty",
        needs_covariance=True,
    ),
)
MAPS.add(
    "entropy",
    Map(
        "Entropy",
        "nats",
        _entropy,
        limits=_entropy_limits,
        explanation="Color the entropy of the motion: its uncertainty in all directions together",
        statistics=(),
        figure="",
        needs_covariance=True,
        advanced=True,
    ),
)


def _strain(direction: str) -> Callable[[Results], np.ndarray]:
    def compute(results: Results) -> np.ndarray:
        strain = results.strain
        assert strain is not None
        from .strain_curves import strain_along

        motion = results.motion
        found = np.zeros((len(motion), *motion.grid.shape), np.float32)
        for t, field in enumerate(motion.displacement):
            values = strain_along(field[None], strain.axes, motion.grid.array_spacing, (direction,))
            found[t][strain.axes.wall] = 100 * values[direction][0]
        return found

    return compute


for _direction, _limit in (("circumferential", 30.0), ("radial", 60.0), ("longitudinal", 30.0)):
    MAPS.add(
        f"{_direction}Strain",
        Map(
            f"{_direction.capitalize()} strain",
            "%",
            _strain(_direction),
            limits=(-_limit, _limit),
            palette="change",
            explanation=f"Color the {_direction} strain of the myocardium: shortening blue, lengthening red",
            file=f"strain_{_direction}",
            statistics=(),
            figure="",
            direction=_direction,
        ),
    )
