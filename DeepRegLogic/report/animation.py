"""The motion as an animated picture: the cine with a grid that moves with the tissue, beside the compensated cine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from PIL import Image

from ..progress import Reporter
from ..results.results import Results
from .figures import frame_title
from .style import INK, ORANGE, draw_marks, grey_window, new_figure, show_plane
from .view import SliceView


def write_animation(path: Path, results: Results, report: Reporter, lines: int = 18) -> None:
    """Write an endless GIF at the cine's own speed: left the frames and the moving grid, right the compensated frames.

    ``lines`` is the number of grid lines along the longer side.
    """
    motion, view = results.motion, SliceView.of(results.motion.grid)
    low, high = grey_window(results.cine.frames)
    figure = new_figure(6.4, 3.2 / view.aspect + 0.4)
    figure.set_dpi(100)
    canvas = FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    shown = [
        show_plane(ax, view, view.image(images[motion.reference]), vmin=low, vmax=high)
        for ax, images in ((left, results.cine.frames), (right, results.compensated))
    ]
    left.set_title("The cine and its motion", fontsize=9, color=INK)
    right.set_title("Motion compensated", fontsize=9, color=INK)
    _, width, height, _ = view.extent
    left.set_xlim(0, width)
    left.set_ylim(height, 0)
    draw_marks(left, view)
    web = LineCollection([], colors=ORANGE, linewidths=0.45, alpha=0.7)
    left.add_collection(web)
    caption = figure.supxlabel("", fontsize=8, color=INK)
    pictures = []
    for t in range(len(motion)):
        report(t / len(motion), f"Drawing frame {t + 1} of {len(motion)}")
        shown[0].set_data(view.image(results.cine.frames[t]))
        shown[1].set_data(view.image(results.compensated[t]))
        web.set_segments(moved_lines(view, motion.displacement[t], lines))
        caption.set_text(frame_title(results, t))
        canvas.draw()
        pictures.append(Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3]))
    palette = pictures[results.key_frame].quantize(128, dither=Image.Dither.NONE)
    pictures = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    pictures[0].save(
        path, save_all=True, append_images=pictures[1:], duration=durations(results), loop=0, optimize=False
    )


def durations(results: Results) -> list[int]:
    """Milliseconds a frame is shown: the cine's own, at least 40 (faster is dropped by viewers), 100 without times."""
    motion = results.motion
    if not motion.time_unit or len(motion) < 2:
        return [100] * len(motion)
    steps = np.diff(motion.times)
    return [round(float(np.clip(1000 * s, 40, 1000))) for s in (*steps, np.median(steps))]


def moved_lines(view: SliceView, displacement: np.ndarray, lines: int) -> list[np.ndarray]:
    """Grid lines of the reference moved to a frame, each ``[points, 2]`` as (x, y) in mm of the picture."""
    rows, columns = view.positions()
    down, across = view.field(displacement)
    x, y = columns[None] + across, rows[:, None] + down
    step = max(1, round(max(view.extent[1], view.extent[2]) / lines / min(view.spacing)))
    points = np.stack([x, y], axis=-1)
    horizontal = [points[row] for row in range(step // 2, view.shape[0], step)]
    vertical = [points[:, column] for column in range(step // 2, view.shape[1], step)]
    return horizontal + vertical
