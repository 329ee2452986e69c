"""What a reader gets of a registered cine: figures, an animation and tables. Needs matplotlib and Pillow."""

from __future__ import annotations

from pathlib import Path

from ..progress import Reporter
from . import animation, figures, style
from .results import Results

__all__ = ["Results", "write_figures"]


def write_figures(folder: Path, results: Results, report: Reporter | None = None) -> list[Path]:
    """Write every figure of ``results`` into ``folder``, which exists, and return the files.

    ``montage.png``, ``checkerboard_before.png``, ``checkerboard_after.png``, ``curves.png``, ``jacobian.png``,
    ``uncertainty.png`` for a motion that says how sure it is, and ``motion.gif``.

    Raises
    ------
    Cancelled : between two figures.
    OSError : a file could not be written.
    """
    report = report or Reporter()
    drawings = {
        "montage.png": figures.montage,
        "checkerboard_before.png": lambda results: figures.checkerboard(results, compensated=False),
        "checkerboard_after.png": lambda results: figures.checkerboard(results, compensated=True),
        "curves.png": figures.curves,
        "jacobian.png": figures.jacobian,
    }
    if results.deviation is not None:
        drawings["uncertainty.png"] = figures.deviation
    files = []
    for number, (name, draw) in enumerate(drawings.items()):
        report(0.5 * number / len(drawings), f"Drawing {name}")
        style.save(draw(results), folder / name)
        files.append(folder / name)
    animation.write_animation(folder / "motion.gif", results, report.part(0.5, 1.0))
    return [*files, folder / "motion.gif"]
