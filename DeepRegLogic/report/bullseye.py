"""The bull's-eye of the segments of the left ventricle.

Cerqueira et al., "Standardized myocardial segmentation and nomenclature for tomographic imaging of the heart",
Circulation 105(4), 2002: base outside, apex in the middle, the anterior wall up, the septum to the left.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Annulus, Circle, PathPatch, Wedge
from matplotlib.path import Path as Outline
from matplotlib.patheffects import withStroke

from ..results.bullseyes import BULLSEYES, Bullseye, Segment, Segments
from ..results.results import Results
from .style import GUIDE, INK, new_figure, palette, save

PICTURE = "segments.png"

_RINGS = ((1, 6, 1.0, 0.72), (7, 6, 0.72, 0.45), (13, 4, 0.45, 0.2))
"""First segment, number of segments, outer and inner radius, from base to apex."""

_APEX = 17
_FIRST = {6: 60.0, 4: 45.0}  # degrees where the anterior segment starts, counter-clockwise from the right
_DOUBTFUL = "////"
_NONE = "#E4E4E4"


def bulls_eye(axes: Axes, entry: Bullseye, segments: Segments) -> None:
    """Draw what an entry of ``bullseyes.BULLSEYES`` says of the segments.

    Under every value is half the width of its interval; segments whose interval is too wide to be read are hatched, and
    those without a value grey.
    """
    colours, norm = palette(entry.palette), Normalize(*entry.limits)
    for number, patch, (x, y) in _patches():
        _, value, low, high, uncertain = segments.get(number, Segment("", np.nan))
        colour = colours(norm(value)) if np.isfinite(value) else _NONE
        patch.set(facecolor=colour, edgecolor="white", linewidth=1.2)
        axes.add_patch(patch)
        if not np.isfinite(value):
            continue
        dark = float(np.dot(colour[:3], (0.299, 0.587, 0.114))) < 0.55
        ink = "white" if dark else INK
        if uncertain:
            for looks in (
                {"hatch": _DOUBTFUL, "edgecolor": ink, "linewidth": 0.0, "alpha": 0.4},
                {"edgecolor": "white"},
            ):
                over = _copy(patch)
                over.set(facecolor="none", **{"linewidth": 1.2, **looks})
                axes.add_patch(over)
        texts = [axes.text(x, y + 0.015, signed(value, entry.digits), fontsize=8)]
        if np.isfinite(high - low):
            texts.append(axes.text(x, y - 0.085, f"±{0.5 * (high - low):.{entry.digits}f}", fontsize=5.5))
        for text in texts:  # readable over the hatches
            text.set(color=ink, ha="center", va="center", path_effects=[withStroke(linewidth=2.5, foreground=colour)])
    axes.set_xlim(-1.05, 1.05)
    axes.set_ylim(-1.05, 1.05)
    axes.set_aspect("equal")
    axes.set_axis_off()
    axes.set_title(textwrap.fill(entry.title, 44), fontsize=9, color=INK)
    bar = axes.figure.colorbar(ScalarMappable(norm, colours), cax=axes.inset_axes((1.02, 0.15, 0.05, 0.7)))
    bar.set_label(entry.unit, fontsize=8)
    bar.ax.tick_params(labelsize=7)
    if any(segment.uncertain for segment in segments.values()):
        axes.text(0.0, -1.12, "hatched: too uncertain to be read", fontsize=6.5, color=GUIDE, ha="center", va="top")


def bulls_eyes(results: Results) -> Figure:
    """All of them side by side."""
    figure = new_figure(3.9 * len(results.bullseyes), 3.7)
    for axes, (name, segments) in zip(
        figure.subplots(1, len(results.bullseyes), squeeze=False)[0], results.bullseyes.items(), strict=True
    ):
        bulls_eye(axes, BULLSEYES[name], segments)
    return figure


def write_segments(results: Results, folder: Path) -> list[Path]:
    """Write ``segments.png`` into ``folder``, where something is known of segments; the files."""
    if not results.bullseyes:
        return []
    save(bulls_eyes(results), folder / PICTURE)
    return [folder / PICTURE]


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
