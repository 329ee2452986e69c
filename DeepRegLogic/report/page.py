"""One page for the record of a patient: what was seen, the curves, the segments, the numbers, and how good they are.

write_page(results, folder)        # report.pdf and report.png
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec

from .. import __version__
from ..cine import Motion
from ..contours.contours import BLOOD, NAMES
from ..results.bullseyes import BULLSEYES
from ..results.curves import CURVES
from ..results.results import Results
from .bullseye import bulls_eye, signed
from .figures import draw_curve, frame_title, outlines_of
from .style import DPI, GUIDE, INK, draw_contours, grey_window, show_plane
from .summary import summary
from .view import SliceView

PAGE = "report"
_WIDTH, _HEIGHT = 8.27, 11.69  # inches: A4
_HEART_RATES = (20.0, 300.0)  # beats a minute that a heart can have
_LEFT, _RIGHT = 0.05, 0.95  # of the width
_CURVES_TOP, _CURVES_HEIGHT = 0.635, 0.185  # of the height; of a row of curves
_MOST_CURVES, _ACROSS = 6, 3
_MOST_EYES, _EYES = 1, 0.33  # width, where there are bull's-eyes
_AROUND, _LEAST_MM = 1.0, 40.0  # half the side of the views, in sizes of what was drawn; in mm
_LEGEND = 3  # series that a legend in the axes has room for
_ROW = 0.2  # inches, of the table


def heart_rate(motion: Motion) -> float | None:
    """Beats a minute of a cine of one cycle: from its first frame to one step after its last; None where unknown."""
    if not (motion.cyclic and motion.time_unit and len(motion) > 2):
        return None
    steps = np.diff(motion.times)
    rate = 60.0 / float(motion.times[-1] - motion.times[0] + np.median(steps))
    return rate if _HEART_RATES[0] <= rate <= _HEART_RATES[1] else None


def end_systole(results: Results) -> int:
    """The frame in which the first label is smallest, or where there is none the one that moved most."""
    for sizes in results.sizes.values():
        if sizes.max() > 0:
            return int(np.argmin(sizes))
    return results.key_frame


def write_page(results: Results, folder: Path) -> list[Path]:
    """Write ``report.pdf`` and ``report.png`` into ``folder``, which exists.

    Raises
    ------
    OSError : a file could not be written.
    """
    figure = page(results)
    files = [folder / f"{PAGE}.pdf", folder / f"{PAGE}.png"]
    title = f"Motion of {results.cine.name}"
    figure.savefig(files[0], metadata={"Title": title, "Creator": f"TemporalRegistration {__version__}"})
    figure.savefig(files[1], dpi=DPI)
    return files


def page(results: Results) -> Figure:
    """The page, as a figure of the size of A4."""
    figure = Figure((_WIDTH, _HEIGHT), dpi=DPI, facecolor="white")
    curves = [name for name in results.curves if CURVES[name].figure][:_MOST_CURVES]
    rows = -(-len(curves) // _ACROSS)
    _header(figure, results)
    _views(figure, results, figure.add_gridspec(1, 3, left=_LEFT, right=0.90, top=0.872, bottom=0.672, wspace=0.05))
    below = _CURVES_TOP - rows * _CURVES_HEIGHT
    if rows:
        grid = {
            "left": 0.085,
            "right": _RIGHT,
            "top": _CURVES_TOP,
            "bottom": below + 0.055,
            "hspace": 0.6,
            "wspace": 0.3,
        }
        places = figure.add_gridspec(rows, _ACROSS, **grid)
        for number, name in enumerate(curves):
            ax = figure.add_subplot(places[number])
            draw_curve(ax, results, name)
            if len(results.curves[name]) > _LEGEND and number == len(curves) - 1 and len(curves) % _ACROSS:
                ax.legend(
                    fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(1.02, 1.0)
                )  # into the free place
    eyes = list(results.bullseyes.items())[:_MOST_EYES]
    height, left = below - 0.15, _LEFT
    for number, (name, segments) in enumerate(eyes):
        share = (height - 0.02) / len(eyes)
        place = (_LEFT, 0.135 + (len(eyes) - 1 - number) * share, _EYES, share - 0.045)
        bulls_eye(figure.add_axes(place), BULLSEYES[name], segments)
        left = _LEFT + _EYES + 0.115
    _numbers(figure.add_axes((left, 0.135, _RIGHT - left, height)), results, curves)
    _footer(figure, results)
    return figure


def _header(figure: Figure, results: Results) -> None:
    cine, motion, grid = results.cine, results.motion, results.motion.grid
    rate = heart_rate(motion)
    facts = {
        "Study": cine.study_date or "no date in the file",
        "Heart rate": f"{rate:.0f} beats a minute" if rate is not None else "not known",
        "Frames": f"{len(cine)}" + (f" in {cine.times[-1] - cine.times[0]:.2f} s" if cine.time_unit else ""),
        "Image": f"{' x '.join(map(str, grid.size))} voxels of {' x '.join(f'{s:.3g}' for s in grid.spacing)} mm",
        "Reference": frame_title(results, motion.reference),
    }
    figure.text(_LEFT, 0.965, _shortened(cine.name, 52), fontsize=15, color=INK, fontweight="bold", va="center")
    figure.text(_RIGHT, 0.965, "Motion of the heart", fontsize=10, color=GUIDE, va="center", ha="right")
    places = ((0, 0), (0.36, 0), (0.69, 0), (0, 1), (0.69, 1))
    for (name, value), (x, row) in zip(facts.items(), places, strict=True):
        y = 0.938 - 0.019 * row
        figure.text(_LEFT + x, y, name, fontsize=8.5, color=GUIDE, va="center")
        figure.text(_LEFT + x + 0.085, y, value, fontsize=8.5, color=INK, va="center")


def _views(figure: Figure, results: Results, places: GridSpec) -> None:
    """The reference and end-systole with what was drawn, and the motion between them."""
    motion, cine = results.motion, results.cine
    view, systole = SliceView.of(motion.grid), end_systole(results)
    low, high = grey_window(cine.frames)
    outlines = outlines_of(results, view, (motion.reference, systole))
    axes = [figure.add_subplot(places[number]) for number in range(3)]
    titles = (f"Reference: {frame_title(results, motion.reference)}", f"End-systole: {frame_title(results, systole)}")
    for ax, frame, title in zip(axes, (motion.reference, systole), titles, strict=False):
        show_plane(ax, view, view.image(cine.frames[frame]), vmin=low, vmax=high)
        draw_contours(ax, view, outlines[frame])
        ax.set_title(title, fontsize=8.5, color=INK)
    lengths = np.linalg.norm(view.field(motion.displacement[systole]), axis=0)
    shown = show_plane(axes[2], view, lengths, cmap="viridis", vmin=0.0)
    draw_contours(axes[2], view, outlines[motion.reference])
    axes[2].set_title("Displacement in the plane", fontsize=8.5, color=INK)
    left, right, bottom, top = _window(view, outlines[motion.reference])
    for ax in axes:
        ax.set_xlim(left, right)
        ax.set_ylim(bottom, top)
    bar = figure.colorbar(shown, cax=axes[2].inset_axes((1.03, 0.05, 0.05, 0.9)))
    bar.set_label("mm", fontsize=8)
    bar.ax.tick_params(labelsize=7)


def _window(view: SliceView, masks: Mapping[int, np.ndarray]) -> tuple[float, float, float, float]:
    """Left, right, bottom and top of a square around what was drawn, in mm of the picture; all of it without that."""
    drawn = np.any([mask > 0.5 for mask in masks.values()], axis=0) if masks else np.zeros(view.shape, bool)
    if not drawn.any():
        return view.extent
    (top, bottom), (left, right) = (
        np.flatnonzero(drawn.any(axis=axis))[[0, -1]] * step
        for axis, step in ((1, view.spacing[0]), (0, view.spacing[1]))
    )
    reach = max(_AROUND * max(bottom - top, right - left), _LEAST_MM)
    middle = (0.5 * (left + right), 0.5 * (top + bottom))
    return middle[0] - reach, middle[0] + reach, middle[1] + reach, middle[1] - reach


def _numbers(ax: Axes, results: Results, curves: Sequence[str]) -> None:
    rows = number_rows(results, curves)
    ax.set_axis_off()
    if not rows:
        ax.text(0.0, 0.9, "Without labels nothing is measured but the motion.", fontsize=8.5, color=GUIDE)
        return
    height = ax.get_position().height * _HEIGHT / _ROW
    shown = rows[: max(1, int(height) - 2)]
    _table(ax, shown, 1.0 / height)
    if len(rows) > len(shown):
        ax.text(0.0, 0.0, f"and {len(rows) - len(shown)} more in the tables", fontsize=7.5, color=GUIDE, va="top")


def number_rows(results: Results, curves: Sequence[str]) -> list[tuple[str, ...]]:
    """Quantity, value with its interval, and when: sizes at both ends and their change, of other curves the peaks."""
    found: list[tuple[str, ...]] = []
    for name in curves:
        entry, grid = CURVES[name], results.motion.grid
        unit = entry.unit_of(grid).replace("mm2", "mm²")
        for key, series in results.curves[name].items():
            values = np.reshape(series, (len(series), -1))
            title = results.curve_title(entry, key)
            first, last = (int(pick(values[:, 0])) for pick in (np.argmax, np.argmin))
            if name == "sizes" and values[first, 0] > 0:
                change = 1.0 - values[last, 0] / values[first, 0]
                size = "volume" if grid.ndim == 3 else "area"
                ejection = grid.ndim == 3 and title == NAMES[BLOOD]
                found.append((f"{title}, largest", f"{values[first, 0]:.4g} {unit}", _when(results, first)))
                found.append((f"{title}, smallest", f"{values[last, 0]:.4g} {unit}", _when(results, last)))
                found.append(
                    (f"{title}, {'ejection fraction' if ejection else f'change of {size}'}", f"{change:.0%}", "")
                )
            elif np.ptp(values[:, 0]) > 0:
                peak = int(np.argmax(np.abs(values[:, 0])))
                text = f"{signed(values[peak, 0], 1)} {unit}"
                if values.shape[1] == 3:
                    text += f" ({signed(values[peak, 1], 1)} to {signed(values[peak, 2], 1)})"
                found.append((f"{title}, peak", text, _when(results, peak)))
    return found


def _when(results: Results, frame: int) -> str:
    return f"{results.motion.times[frame]:.2f} s" if results.motion.time_unit else f"frame {frame}"


def _table(ax: Axes, rows: Sequence[tuple[str, ...]], height: float) -> None:
    for number, row in enumerate((("Quantity", "Value", "When"), *rows)):
        y = 1.0 - (number + 0.5) * height
        for x, text in zip((0.0, 0.48, 0.88), row, strict=True):
            ax.text(x, y, text, fontsize=7.5, color=INK if number else GUIDE, va="center", transform=ax.transAxes)
        ax.plot((0.0, 1.0), (y - 0.5 * height,) * 2, color="#DDDDDD", linewidth=0.6, transform=ax.transAxes)
    ax.set_xlim(0.0, 1.0)
    ax.set_ylim(0.0, 1.0)


def _footer(figure: Figure, results: Results) -> None:
    provenance = results.motion.provenance
    model = provenance.get("model") or "no model"
    notes = provenance.get("contours")
    drawn = " ".join(map(str, notes)) if isinstance(notes, (list, tuple)) else ""
    text = textwrap.fill(f"{summary(results)} {drawn}".strip(), 122, max_lines=5, placeholder=" ...")
    figure.text(_LEFT, 0.118, "Quality", fontsize=8.5, color=GUIDE, va="top")
    figure.text(_LEFT, 0.101, text, fontsize=8, color=INK, va="top", linespacing=1.35)
    line = f"TemporalRegistration {__version__}, model: {model}. For research; not for decisions about a patient."
    figure.text(_LEFT, 0.022, line, fontsize=7.5, color=GUIDE, va="bottom")


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}\N{HORIZONTAL ELLIPSIS}"
