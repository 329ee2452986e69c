"""The still figures of a registered cine. Each function returns a matplotlib figure that needs no display."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

from ..results.curves import CURVES
from ..results.maps import MAPS
from ..results.resample import propagate
from ..results.results import Results
from .style import (
    BLUE,
    GUIDE,
    INK,
    RED,
    draw_contours,
    draw_marks,
    grey_window,
    label_colour,
    new_figure,
    palette,
    show_plane,
)
from .view import SliceView


def shown_frames(results: Results, count: int) -> list[int]:
    """At most ``count`` frame numbers spread over the cine, the reference and the frame that moved most among them."""
    total = len(results.motion)
    if total <= count:
        return list(range(total))
    chosen = [round(n) for n in np.linspace(0, total - 1, count)]
    for wanted in (results.motion.reference, results.key_frame):
        nearest = min(range(count), key=lambda n: abs(chosen[n] - wanted))
        chosen[nearest] = wanted
    return sorted(set(chosen))


def frame_title(results: Results, frame: int) -> str:
    """ "frame 7, 0.27 s", or only its number when the cine has no times."""
    time = f", {results.motion.times[frame]:.2f} s" if results.motion.time_unit else ""
    return f"frame {frame}{time}"


def montage(results: Results, columns: int = 8) -> Figure:
    """Frames, the same frames motion-compensated, and the motion in mm, side by side over time.

    Outlines are the reference labels: carried along in the first row, standing still in the second.
    """
    motion, view = results.motion, SliceView.of(results.motion.grid)
    frames = shown_frames(results, columns)
    low, high = grey_window(results.cine.frames)
    lengths = {t: np.linalg.norm(view.field(motion.displacement[t]), axis=0) for t in frames}
    longest = max(1e-3, *(float(length.max()) for length in lengths.values()))
    outlines = outlines_of(results, view, frames)
    width = 1.6 * len(frames)
    figure = new_figure(width + 0.9, 3 * 1.6 / view.aspect + 0.5)
    axes = figure.subplots(3, len(frames), squeeze=False)
    for column, t in enumerate(frames):
        top, middle, bottom = axes[:, column]
        show_plane(top, view, view.image(results.cine.frames[t]), vmin=low, vmax=high)
        draw_contours(top, view, outlines[t])
        show_plane(middle, view, view.image(results.compensated[t]), vmin=low, vmax=high)
        draw_contours(middle, view, outlines[motion.reference])
        colours = show_plane(bottom, view, lengths[t], cmap=palette("viridis"), vmin=0.0, vmax=longest)
        _arrows(bottom, view, view.field(motion.displacement[t]), shortest=max(0.5, 0.1 * longest))
        name = "\n(reference)" if t == motion.reference else "\n"
        top.set_title(frame_title(results, t) + name, fontsize=8, color=INK)
    draw_marks(axes[0, 0], view)
    titles = ("Frames", "Motion compensated", f"Displacement from\nframe {motion.reference}")
    for ax, text in zip(axes[:, 0], titles, strict=True):
        ax.set_ylabel(text, fontsize=9, color=INK)
    bar = figure.colorbar(colours, ax=axes[2, :], pad=0.01, aspect=14)
    bar.set_label("mm", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    return figure


def outlines_of(results: Results, view: SliceView, frames: Sequence[int]) -> dict[int, dict[int, np.ndarray]]:
    """Per frame, label -> soft mask: the reference's own labels carried by linear warping, which keeps edges smooth."""
    wanted = {*frames, results.motion.reference}
    outlines: dict[int, dict[int, np.ndarray]] = {t: {} for t in wanted}
    if results.labels is not None:
        for label, mask in zip(results.labels.values, results.labels.masks, strict=True):
            carried = propagate(results.motion, mask.astype(np.float32))
            for t in wanted:
                outlines[t][label] = view.image(carried[t])
    return outlines


def _arrows(ax: Axes, view: SliceView, field: np.ndarray, shortest: float, count: int = 16) -> None:
    """White arrows from the reference position, twice the true length; motion under ``shortest`` mm has none."""
    rows, columns = view.positions()
    step = max(1, round(max(view.shape) / count))
    some = (slice(step // 2, None, step), slice(step // 2, None, step))
    down, across = field[0][some], field[1][some]
    drawn = np.hypot(down, across) > shortest
    x, y = np.meshgrid(columns[some[1]], rows[some[0]])
    ax.quiver(
        x[drawn], y[drawn], across[drawn], down[drawn], angles="xy", scale_units="xy", scale=0.5, minlength=0,
        color="white", width=0.011, headwidth=3.5, headlength=3.5, headaxislength=3.2,
    )  # fmt: skip


def checkerboard(results: Results, compensated: bool) -> Figure:
    """The reference (bluish squares) and the frame that moved most (orange squares), before or after compensation."""
    motion, t = results.motion, results.key_frame
    view = SliceView.of(motion.grid)
    low, high = grey_window(results.cine.frames)
    moved = (results.compensated if compensated else results.cine.frames)[t]
    fixed, moving = (
        np.clip((view.image(image).astype(float) - low) / (high - low), 0, 1)[..., None]
        for image in (results.cine.frames[motion.reference], moved)
    )
    rows, columns = view.positions()
    square = max(view.extent[1], view.extent[2]) / 10
    odd = (np.floor(rows / square)[:, None] + np.floor(columns / square)[None]) % 2 == 1
    board = np.where(odd[..., None], moving * (1.0, 0.80, 0.55), fixed * (0.70, 0.88, 1.0))
    figure = new_figure(4.6, 4.6 / view.aspect + 0.6)
    ax = figure.subplots()
    ax.imshow(board, extent=view.extent, interpolation="nearest")
    draw_marks(ax, view)
    ax.set_axis_off()
    error = getattr(motion.quality[t], "error_after" if compensated else "error_before")
    state = "after" if compensated else "before"
    ax.set_title(
        f"Frame {motion.reference} (blue) and frame {t} (orange) {state} registration\n"
        f"difference {error:.1%} of the intensity range",
        fontsize=9,
        color=INK,
    )
    return figure


def curves(results: Results) -> Figure:
    """Image error, displacement and consistency, and every curve of ``curves.CURVES``, over time."""
    motion = results.motion
    x, unit = motion.times, "time, s" if motion.time_unit else "frame"
    values = results.quality_columns
    more = [name for name in results.curves if CURVES[name].figure]
    figure = new_figure(3.1 * (3 + len(more)) + 0.4, 2.9)
    axes = figure.subplots(1, 3 + len(more))

    axes[0].plot(x, 100 * values["error_before"], color=GUIDE, label="before")
    axes[0].plot(x, 100 * values["error_after"], color=BLUE, label="after")
    axes[0].set_title("Difference to the reference")
    axes[0].set_ylabel("% of the intensity range")

    axes[1].plot(x, values["motion_max"], color=RED, label="largest")
    axes[1].plot(x, values["motion_mean"], color=BLUE, label="mean")
    axes[1].set_title(f"Displacement from frame {motion.reference}")
    axes[1].set_ylabel("mm")

    high = values["inverse_consistency_high"]
    axes[2].plot(x, high, color=RED, label="inverse consistency, 99 % (voxels)")
    axes[2].plot(x, values["inverse_consistency_mean"], color=BLUE, label="inverse consistency, mean (voxels)")
    axes[2].plot(x, 100 * values["folded"], color=INK, linestyle=":", clip_on=False, label="folded (% of voxels)")
    axes[2].set_title("Consistency")
    axes[2].set_ylim(0, max(0.5, 1.45 * max(high.max(), 100 * values["folded"].max())))

    for ax in axes[:3]:
        _dress(ax, unit, x[motion.reference])
    for name, ax in zip(more, axes[3:], strict=True):
        draw_curve(ax, results, name)
    return figure


def draw_curve(ax: Axes, results: Results, name: str) -> None:
    """The series of one entry of ``curves.CURVES``, with their bands."""
    motion = results.motion
    entry, grid, x = CURVES[name], motion.grid, motion.times
    for number, (key, series) in enumerate(results.curves[name].items()):
        middle, *edges = np.reshape(series, (len(x), -1)).T
        color = label_colour(number)
        ax.plot(x, middle, color=color, label=results.curve_title(entry, key))
        if edges:
            low, high = edges
            ax.fill_between(x, low, high, color=color, alpha=0.2, linewidth=0)
    title, unit = entry.title_of(grid), entry.unit_of(grid).replace("mm2", "mm²")
    ax.set_title(title[:1].upper() + title[1:])
    ax.set_ylabel(unit)
    _dress(ax, "time, s" if motion.time_unit else "frame", x[motion.reference])


def _dress(ax: Axes, unit: str, reference: float) -> None:
    ax.axvline(reference, color=GUIDE, linewidth=0.8, linestyle="--", zorder=0)
    if ax.dataLim.y0 >= 0:
        ax.set_ylim(bottom=0)
    else:
        ax.axhline(0.0, color=GUIDE, linewidth=0.6, zorder=0)
    ax.set_xlabel(unit, fontsize=8)
    ax.title.set_fontsize(9.5)
    ax.yaxis.label.set_fontsize(8)
    ax.tick_params(labelsize=7.5)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(fontsize=7, frameon=False)


def ratio_map(results: Results, name: str, columns: int = 6) -> Figure:
    """A map of factors over the reference: strong colours where they are far from 1; red voxels fold."""
    entry, motion, view = MAPS[name], results.motion, SliceView.of(results.motion.grid)
    frames = [t for t in shown_frames(results, columns + 1) if t != motion.reference]
    maps = {t: view.image(results.map(name)[t]) for t in frames}
    low, high = grey_window(results.cine.frames)
    logs = {t: np.abs(np.log(np.clip(j, 0.05, 20))) for t, j in maps.items()}
    reach = float(np.exp(np.clip(max(np.percentile(log, 99.5) for log in logs.values()), 0.2, 1.4)))
    norm, colours = LogNorm(1 / reach, reach), palette(entry.palette)
    figure = new_figure(1.9 * len(frames) + 0.9, 1.9 / view.aspect + 0.6)
    axes = figure.subplots(1, len(frames), squeeze=False)[0]
    grey = Normalize(low, high)
    for ax, t in zip(axes, frames, strict=True):
        show_plane(ax, view, view.image(results.cine.frames[motion.reference]), norm=grey)
        strength = np.clip(logs[t] / np.log(reach), 0, 1)
        show_plane(ax, view, np.clip(maps[t], 1e-3, None), cmap=colours, norm=norm, alpha=0.9 * strength)
        folded = np.ma.masked_where(maps[t] > 0, np.ones_like(maps[t]))
        ax.imshow(folded, extent=view.extent, cmap="autumn", vmin=1, vmax=2, interpolation="nearest")
        ax.set_title(frame_title(results, t), fontsize=8, color=INK)
    draw_marks(axes[0], view)
    bar = figure.colorbar(ScalarMappable(norm, colours), ax=axes, extend="both", pad=0.01, aspect=14)
    ticks = [v for v in (0.25, 0.5, 0.7, 0.85, 1.0, 1.2, 1.4, 2.0, 4.0) if 1 / reach <= v <= reach]
    bar.ax.yaxis.set_major_locator(FixedLocator(ticks))
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.yaxis.set_minor_formatter(NullFormatter())
    bar.ax.set_yticklabels([f"{v:g}" for v in ticks], fontsize=7)
    bar.set_label(f"{entry.title_of(motion.grid.ndim)}\nframe / reference", fontsize=7.5)
    return figure


def amount_map(results: Results, name: str, columns: int = 6) -> Figure:
    """A map of amounts on its own, and its mean over time.

    The band goes from the 10th to the 90th percentile over the pixels of the label (or of what moves).
    """
    entry, motion, view = MAPS[name], results.motion, SliceView.of(results.motion.grid)
    values = results.map(name)
    frames = [t for t in shown_frames(results, columns + 1) if t != motion.reference]
    lowest, highest = min(entry.limits_of(motion.grid.ndim)[0], 0.0), float(np.percentile(values, 99.5))
    if highest <= lowest:
        highest = entry.limits_of(motion.grid.ndim)[1]
    figure = new_figure(1.9 * len(frames) + 4.2, max(1.9 / view.aspect + 0.6, 2.6))
    axes = figure.subplots(1, len(frames) + 1, width_ratios=[1.0] * len(frames) + [1.5])
    outlines = outlines_of(results, view, [motion.reference])[motion.reference]
    colours = palette(entry.palette)
    for ax, t in zip(axes, frames, strict=False):
        shown = show_plane(ax, view, view.image(values[t]), cmap=colours, vmin=lowest, vmax=highest)
        draw_contours(ax, view, outlines)
        ax.set_title(frame_title(results, t), fontsize=8, color=INK)
    draw_marks(axes[0], view)
    bar = figure.colorbar(shown, ax=axes[:-1], pad=0.01, aspect=14)
    bar.set_label(", ".join(part for part in (entry.title_of(motion.grid.ndim), entry.unit) if part), fontsize=8)
    bar.ax.tick_params(labelsize=7)
    x, unit = motion.times, "time, s" if motion.time_unit else "frame"
    regions = {results.region_name: results.region}
    if results.labels is not None and results.labels.drawn():
        regions = {results.label_names[label]: mask for label, mask in results.labels.drawn().items()}
    for number, (title, region) in enumerate(regions.items()):
        inside = values[:, region]
        colour = label_colour(number)
        axes[-1].plot(x, inside.mean(axis=1), color=colour, label=title)
        axes[-1].fill_between(x, *np.percentile(inside, (10, 90), axis=1), color=colour, alpha=0.2, linewidth=0)
    axes[-1].set_title("Mean, 10 to 90 %")
    axes[-1].set_ylabel(entry.unit)
    _dress(axes[-1], unit, x[motion.reference])
    return figure
