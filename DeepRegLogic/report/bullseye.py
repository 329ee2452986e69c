"""The bull's-eye of the segments of the left ventricle.

Cerqueira et al., "Standardized myocardial segmentation and nomenclature for tomographic imaging of the heart",
Circulation 105(4), 2002: base outside, apex in the middle, the anterior wall up, the septum to the left.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.patches import Annulus, Circle, PathPatch, Wedge
from matplotlib.path import Path as Outline
from matplotlib.patheffects import withStroke

from .style import INK

_RINGS = ((1, 6, 1.0, 0.72), (7, 6, 0.72, 0.45), (13, 4, 0.45, 0.2))
"""First segment, number of segments, outer and inner radius, from base to apex."""

_APEX = 17
_FIRST = {6: 60.0, 4: 45.0}  # degrees where the anterior segment starts, counter-clockwise from the right
_DOUBTFUL = "////"
_NONE = "#E4E4E4"


def segments_of_rings(apex: bool = False) -> range:
    """The numbers of the segments: 1 to 16, or 17 with the apex."""
    return range(1, _APEX + apex)


def bulls_eye(
    axes: Axes,
    values: Mapping[int, float],
    colours: Colormap,
    limits: tuple[float, float],
    *,
    spreads: Mapping[int, float] | None = None,
    doubtful: Collection[int] = (),
    title: str = "",
    unit: str = "",
) -> None:
    """Draw the values of segments 1 to 17, those that there are; the others are grey.

    Parameters
    ----------
    values : number of a segment -> its value.
    limits : the values at the ends of ``colours``.
    spreads : half widths of the intervals, written under the values.
    doubtful : segments that are too uncertain to be read, which are hatched.
    """
    norm = Normalize(*limits)
    for number, patch, (x, y) in _patches():
        known = number in values and np.isfinite(values[number])
        colour = colours(norm(values[number])) if known else _NONE
        patch.set(facecolor=colour, edgecolor="white", linewidth=1.2)
        axes.add_patch(patch)
        if not known:
            continue
        dark = float(np.dot(colour[:3], (0.299, 0.587, 0.114))) < 0.55
        ink = "white" if dark else INK
        if number in doubtful:
            hatched = _copy(patch)
            hatched.set(facecolor="none", edgecolor=ink, linewidth=0.0, hatch=_DOUBTFUL, alpha=0.4)
            axes.add_patch(hatched)
            outline = _copy(patch)
            outline.set(facecolor="none", edgecolor="white", linewidth=1.2)
            axes.add_patch(outline)
        texts = [axes.text(x, y + 0.015, signed(values[number]), fontsize=8)]
        if spreads is not None and number in spreads:
            texts.append(axes.text(x, y - 0.085, f"±{spreads[number]:.0f}", fontsize=5.5))
        for text in texts:  # readable over the hatches
            text.set(color=ink, ha="center", va="center", path_effects=[withStroke(linewidth=2.5, foreground=colour)])
    axes.set_xlim(-1.05, 1.05)
    axes.set_ylim(-1.05, 1.05)
    axes.set_aspect("equal")
    axes.set_axis_off()
    axes.set_title(title, fontsize=9.5, color=INK)
    bar = axes.figure.colorbar(ScalarMappable(norm, colours), cax=axes.inset_axes((1.02, 0.15, 0.05, 0.7)))
    bar.set_label(unit, fontsize=8)
    bar.ax.tick_params(labelsize=7)


def signed(value: float, digits: int = 0) -> str:
    """A number with a real minus sign, and none before zero."""
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "\N{MINUS SIGN}")


def _patches() -> list[tuple[int, PathPatch | Wedge | Circle | Annulus, tuple[float, float]]]:
    """Number, shape and place of the text of every segment."""
    found: list[tuple[int, PathPatch | Wedge | Circle | Annulus, tuple[float, float]]] = []
    for first, count, outer, inner in _RINGS:
        width = 360.0 / count
        for index in range(count):
            start = _FIRST[count] + index * width
            middle, radius = np.deg2rad(start + 0.5 * width), 0.5 * (outer + inner)
            place = (radius * float(np.cos(middle)), radius * float(np.sin(middle)))
            wedge = Wedge((0.0, 0.0), outer, start, start + width, width=outer - inner)
            found.append((first + index, wedge, place))
    return [*found, (_APEX, Circle((0.0, 0.0), _RINGS[-1][3]), (0.0, 0.0))]


def _copy(patch: PathPatch | Wedge | Circle | Annulus) -> PathPatch:
    path = patch.get_path().transformed(patch.get_patch_transform())
    return PathPatch(Outline(path.vertices, path.codes))
