"""Pictures of made cines: a montage over time, one row a sample, and an animation of the samples side by side."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from ..registration.generate import GeneratedCine
from .style import INK, draw_contours, grey_window, new_figure, show_plane
from .view import SliceView

_MOST = 6


def montage(samples: Sequence[GeneratedCine], columns: int = 8) -> Figure:
    """At most six samples, one a row, at frames spread over the cine; their labels, where there are any, outlined."""
    shown = samples[:_MOST]
    view, (low, high) = SliceView.of(shown[0].cine.grid), grey_window(shown[0].cine.frames)
    count = len(shown[0].cine)
    frames = sorted({round(t) for t in np.linspace(0, count - 1, min(columns, count))})
    figure = new_figure(1.5 * len(frames) + 0.4, (1.5 / view.aspect) * len(shown) + 0.4)
    axes = figure.subplots(len(shown), len(frames), squeeze=False)
    for row, (sample, line) in enumerate(zip(shown, axes, strict=True)):
        line[0].set_ylabel(f"sample {row + 1}", fontsize=8, color=INK)
        for ax, t in zip(line, frames, strict=True):
            show_plane(ax, view, view.image(sample.cine.frames[t]), vmin=low, vmax=high)
            draw_contours(ax, view, _masks(sample, t, view))
            if row == 0:
                ax.set_title(f"frame {t}" + (" (real)" if t == 0 else ""), fontsize=8, color=INK)
    return figure


def write_animation(path: Path, samples: Sequence[GeneratedCine], milliseconds: int = 60) -> None:
    """Write an endless GIF of at most six samples side by side, each with its number."""
    shown = samples[:_MOST]
    view, (low, high) = SliceView.of(shown[0].cine.grid), grey_window(shown[0].cine.frames)
    across = min(3, len(shown))
    down = ceil(len(shown) / across)
    figure = new_figure(2.4 * across, down * (2.4 / view.aspect + 0.25))
    figure.set_dpi(100)
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(down, across, squeeze=False).ravel()
    planes = []
    for number, (sample, ax) in enumerate(zip(shown, axes, strict=False), start=1):
        planes.append(show_plane(ax, view, view.image(sample.cine.frames[0]), vmin=low, vmax=high))
        ax.set_title(f"sample {number}", fontsize=8, color=INK)
    for ax in axes[len(shown) :]:
        ax.set_axis_off()
    pictures = []
    for t in range(len(shown[0].cine)):
        for plane, sample in zip(planes, shown, strict=True):
            plane.set_data(view.image(sample.cine.frames[t]))
        canvas.draw()
        pictures.append(Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3]).quantize(128))
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=milliseconds, loop=0, optimize=False)


def _masks(sample: GeneratedCine, t: int, view: SliceView) -> dict[int, np.ndarray]:
    if sample.labels is None:
        return {}
    plane = view.image(sample.labels[t])
    return {int(value): (plane == value).astype(np.float32) for value in np.unique(sample.labels[0]) if value}
