"""The look that all figures share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patheffects import withStroke

from ..results.maps import PALETTES
from .view import SliceView, scale_bar

BLUE, RED, ORANGE = "#0072B2", "#D55E00", "#E69F00"
LABEL_COLOURS = (ORANGE, "#56B4E9", "#009E73", "#CC79A7", RED, BLUE, "#F0E442")
"""Okabe and Ito's palette, which colour-blind readers can tell apart; the brightest on dark images first."""

INK = "#222222"
GUIDE = "#9A9A9A"
DPI = 150
_BACKGROUND = 0.05  # of the range of 95 % of the intensities


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of ``width`` x ``height`` inches that needs no display."""
    return Figure((width, height), dpi=DPI, facecolor="white", layout="constrained")


def palette(name: str) -> LinearSegmentedColormap:
    """The colours of a map, those of the application."""
    return LinearSegmentedColormap.from_list(name, PALETTES[name])


def grey_window(frames: np.ndarray) -> tuple[float, float]:
    """Darkest and brightest shown intensity: the 1st and the 99.5th percentile.

    Where a few pixels are much brighter than the others, tissue would be dark: then twice what 80 % of the pixels above
    the background have at most is shown as white.
    """
    pixels = np.ravel(frames)[:: max(1, frames.size // 1_000_000)].astype(float)
    low, bright, high = np.percentile(pixels, (1.0, 95.0, 99.5))
    tissue = pixels[pixels > low + _BACKGROUND * (bright - low)]
    if tissue.size:
        high = min(high, low + 2.0 * (np.percentile(tissue, 80.0) - low))
    return (float(low), float(high)) if high > low else (float(low), float(low) + 1.0)


def show_plane(ax: Axes, view: SliceView, plane: np.ndarray, **options: Any) -> AxesImage:
    """Draw a plane with its true shape and no ticks; grey unless ``cmap`` is given."""
    options.setdefault("cmap", "gray")
    shown = ax.imshow(plane, extent=view.extent, interpolation="bilinear", **options)
    ax.set_xticks([])
    ax.set_yticks([])
    for side in ax.spines.values():
        side.set_visible(False)
    return shown


def draw_marks(ax: Axes, view: SliceView) -> None:
    """A scale bar, and the letters of the patient's sides where they are known."""
    _, width, height, _ = view.extent
    edge = [withStroke(linewidth=1.6, foreground="black")]
    font: dict[str, Any] = {"color": "white", "fontsize": 6.5, "fontweight": "bold", "path_effects": edge}
    length, text = scale_bar(width)
    right, y = 0.97 * width, 0.95 * height
    ax.plot([right - length, right], [y, y], color="white", linewidth=1.6, solid_capstyle="butt", path_effects=edge)
    ax.text(right - length / 2, 0.93 * height, text, ha="center", va="bottom", **font)
    if view.letters:
        places = ((0.02, 0.5, "left", "center"), (0.98, 0.5, "right", "center"), (0.5, 0.02, "center", "top"),
                  (0.5, 0.98, "center", "bottom"))  # fmt: skip
        for letter, (x, place, across, down) in zip(view.letters, places, strict=True):
            ax.text(x * width, place * height, letter, ha=across, va=down, **font)
    ax.set_xlim(0, width)
    ax.set_ylim(height, 0)


def draw_contours(ax: Axes, view: SliceView, masks: dict[int, np.ndarray]) -> None:
    """Outline masks ``label -> [rows, columns]`` (0 to 1), one colour a label; the first lies on top."""
    rows, columns = view.positions()
    for number, mask in reversed(list(enumerate(masks.values()))):
        if mask.min() < 0.5 < mask.max():
            ax.contour(columns, rows, mask, levels=[0.5], colors=[label_colour(number)], linewidths=1.2)


def label_colour(number: int) -> str:
    """Colour of the ``number``-th label, the same in every figure."""
    return LABEL_COLOURS[number % len(LABEL_COLOURS)]


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, without an empty margin."""
    figure.savefig(path, bbox_inches="tight", pad_inches=0.06)
