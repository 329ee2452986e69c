"""The still figures of a registered cine. Each function returns a matplotlib figure that needs no display."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

from .. import transport
from .results import Results
from .style import BLUE, GUIDE, INK, RED, draw_contours, grey_window, label_colour, new_figure, show_plane
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
    outlines = _outlines(results, view, frames)
    width = 1.6 * len(frames)
    figure = new_figure(width + 0.9, 3 * 1.6 / view.aspect + 0.5)
    axes = figure.subplots(3, len(frames), squeeze=False)
    for column, t in enumerate(frames):
        top, middle, bottom = axes[:, column]
        show_plane(top, view, view.image(results.cine.frames[t]), vmin=low, vmax=high)
        draw_contours(top, view, outlines[t])
        show_plane(middle, view, view.image(results.compensated[t]), vmin=low, vmax=high)
        draw_contours(middle, view, outlines[motion.reference])
        colours = show_plane(bottom, view, lengths[t], cmap="viridis", vmin=0.0, vmax=longest)
        _arrows(bottom, view, view.field(motion.displacement[t]), shortest=max(0.5, 0.1 * longest))
        name = "\n(reference)" if t == motion.reference else "\n"
        top.set_title(frame_title(results, t) + name, fontsize=8, color=INK)
    for ax, text in zip(axes[:, 0], ("Frames", "Motion compensated", "Motion"), strict=True):
        ax.set_ylabel(text, fontsize=9, color=INK)
    bar = figure.colorbar(colours, ax=axes[2, :], pad=0.01, aspect=14)
    bar.set_label("mm", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    return figure


def _outlines(results: Results, view: SliceView, frames: Sequence[int]) -> dict[int, dict[int, np.ndarray]]:
    """Per frame, label -> soft mask: the reference's own labels carried by linear warping, which keeps edges smooth."""
    wanted = {*frames, results.motion.reference}
    outlines: dict[int, dict[int, np.ndarray]] = {t: {} for t in wanted}
    if results.labels is not None:
        drawn = results.labels[results.motion.reference]
        for label in results.label_names:
            carried = transport.propagate(results.motion, (drawn == label).astype(np.float32))
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
    style = {"color": "white", "width": 0.011, "headwidth": 3.5, "headlength": 3.5, "headaxislength": 3.2}
    ax.quiver(
        x[drawn], y[drawn], across[drawn], down[drawn], angles="xy", scale_units="xy", scale=0.5, minlength=0, **style
    )


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
    """Image error, motion, folding and round trip, and the sizes of the labels, over time."""
    motion = results.motion
    x, unit = motion.times, "time, s" if motion.time_unit else "frame"
    values = {name: np.array([getattr(q, name) for q in motion.quality]) for name in vars(motion.quality[0])}
    count = 4 if results.sizes else 3
    figure = new_figure(3.1 * count + 0.4, 2.9)
    axes = figure.subplots(1, count)

    axes[0].plot(x, 100 * values["error_before"], color=GUIDE, label="before")
    axes[0].plot(x, 100 * values["error_after"], color=BLUE, label="after")
    axes[0].set_title("Difference to the reference")
    axes[0].set_ylabel("% of the intensity range")

    axes[1].plot(x, values["motion_max"], color=RED, label="largest")
    axes[1].plot(x, values["motion_mean"], color=BLUE, label="mean")
    axes[1].set_title("Motion")
    axes[1].set_ylabel("mm")

    axes[2].plot(x, values["round_trip_max"], color=RED, label="there and back, largest (voxels)")
    axes[2].plot(x, values["round_trip_mean"], color=BLUE, label="there and back, mean (voxels)")
    axes[2].plot(x, 100 * values["folded"], color=INK, linestyle=":", clip_on=False, label="folded (% of voxels)")
    axes[2].set_title("Consistency")
    axes[2].set_ylim(0, max(0.5, 1.45 * max(values["round_trip_max"].max(), 100 * values["folded"].max())))

    for number, (label, sizes) in enumerate(results.sizes.items()):
        axes[3].plot(x, sizes, color=label_colour(number), label=results.label_names.get(label, f"label {label}"))
    if results.sizes:
        axes[3].set_title("Area of the labels" if motion.grid.ndim == 2 else "Volume of the labels")
        axes[3].set_ylabel(results.size_unit)

    for ax in axes:
        _dress(ax, unit, x[motion.reference])
    return figure


def _dress(ax: Axes, unit: str, reference: float) -> None:
    ax.axvline(reference, color=GUIDE, linewidth=0.8, linestyle="--", zorder=0)
    ax.set_ylim(bottom=0)
    ax.set_xlabel(unit, fontsize=8)
    ax.title.set_fontsize(9.5)
    ax.yaxis.label.set_fontsize(8)
    ax.tick_params(labelsize=7.5)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(fontsize=7, frameon=False)


def jacobian(results: Results, columns: int = 6) -> Figure:
    """Local change of area or volume: orange shrinks, purple grows, a red voxel folds; drawn on the reference."""
    motion, view = results.motion, SliceView.of(results.motion.grid)
    frames = [t for t in shown_frames(results, columns + 1) if t != motion.reference]
    maps = {t: view.image(results.jacobian[t]) for t in frames}
    low, high = grey_window(results.cine.frames)
    logs = {t: np.abs(np.log(np.clip(j, 0.05, 20))) for t, j in maps.items()}
    reach = float(np.exp(np.clip(max(np.percentile(log, 99.5) for log in logs.values()), 0.2, 1.4)))
    norm = LogNorm(1 / reach, reach)
    figure = new_figure(1.9 * len(frames) + 0.9, 1.9 / view.aspect + 0.6)
    axes = figure.subplots(1, len(frames), squeeze=False)[0]
    grey = Normalize(low, high)
    for ax, t in zip(axes, frames, strict=True):
        show_plane(ax, view, view.image(results.cine.frames[motion.reference]), norm=grey)
        strength = np.clip(logs[t] / np.log(reach), 0, 1)
        show_plane(ax, view, np.clip(maps[t], 1e-3, None), cmap="PuOr", norm=norm, alpha=0.9 * strength)
        folded = np.ma.masked_where(maps[t] > 0, np.ones_like(maps[t]))
        ax.imshow(folded, extent=view.extent, cmap="autumn", vmin=1, vmax=2, interpolation="nearest")
        ax.set_title(frame_title(results, t), fontsize=8, color=INK)
    bar = figure.colorbar(ScalarMappable(norm, "PuOr"), ax=axes, extend="both", pad=0.01, aspect=14)
    ticks = [v for v in (0.25, 0.5, 0.7, 0.85, 1.0, 1.2, 1.4, 2.0, 4.0) if 1 / reach <= v <= reach]
    bar.ax.yaxis.set_major_locator(FixedLocator(ticks))
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.yaxis.set_minor_formatter(NullFormatter())
    bar.ax.set_yticklabels([f"{v:g}" for v in ticks], fontsize=7)
    bar.set_label(f"{'area' if motion.grid.ndim == 2 else 'volume'} in the frame\n/ in the reference", fontsize=7.5)
    return figure


def deviation(results: Results, columns: int = 6) -> Figure:
    """How unsure the displacement is, in mm: the largest standard deviation at every pixel, and its mean over time.

    The band goes from the 10th to the 90th percentile over the pixels of the label (or of the whole image).
    """
    motion, view = results.motion, SliceView.of(results.motion.grid)
    frames = [t for t in shown_frames(results, columns + 1) if t != motion.reference]
    highest = float(np.percentile(results.deviation, 99.5))
    figure = new_figure(1.9 * len(frames) + 4.2, max(1.9 / view.aspect + 0.6, 2.6))
    axes = figure.subplots(1, len(frames) + 1, width_ratios=[1.0] * len(frames) + [1.5])
    outlines = _outlines(results, view, [motion.reference])[motion.reference]
    for ax, t in zip(axes, frames, strict=False):
        colours = show_plane(ax, view, view.image(results.deviation[t]), cmap="magma", vmin=0.0, vmax=highest)
        draw_contours(ax, view, outlines)
        ax.set_title(frame_title(results, t), fontsize=8, color=INK)
    bar = figure.colorbar(colours, ax=axes[:-1], pad=0.01, aspect=14)
    bar.set_label("standard deviation, mm", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    x, unit = motion.times, "time, s" if motion.time_unit else "frame"
    regions = {"image": np.ones(motion.grid.shape, bool)}
    if results.labels is not None:
        drawn = results.labels[motion.reference]
        regions = {name: drawn == label for label, name in results.label_names.items()}
    for number, (name, region) in enumerate(regions.items()):
        values = results.deviation[:, region]
        colour = label_colour(number)
        axes[-1].plot(x, values.mean(axis=1), color=colour, label=name)
        axes[-1].fill_between(x, *np.percentile(values, (10, 90), axis=1), color=colour, alpha=0.2, linewidth=0)
    axes[-1].set_title("Mean, 10 to 90 %")
    axes[-1].set_ylabel("mm")
    _dress(axes[-1], unit, x[motion.reference])
    return figure
