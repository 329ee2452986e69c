"""What a reader gets of a registered cine: figures, an animation, a page and tables. Needs matplotlib and Pillow."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure

from ..progress import Reporter
from ..results.results import Results
from . import animation, figures, style
from .bullseye import PICTURE, bulls_eyes

__all__ = ["write_figures"]


def write_figures(folder: Path, results: Results, report: Reporter | None = None) -> list[Path]:
    """Write every figure of ``results`` into ``folder``, which exists, and return the files.

    ``montage.png``, ``checkerboard_before.png``, ``checkerboard_after.png``, ``curves.png``, one for every map of
    ``maps.MAPS`` that has a figure, ``segments.png`` where something is known of segments, all of them again as vectors
    in ``figures.pdf``, and ``motion.gif``.

    Raises
    ------
    Cancelled : between two figures.
    OSError : a file could not be written.
    """
    report = report or Reporter()
    drawings: dict[str, Callable[[Results], Figure]] = {
        "montage.png": figures.montage,
        "checkerboard_before.png": partial(figures.checkerboard, compensated=False),
        "checkerboard_after.png": partial(figures.checkerboard, compensated=True),
        "curves.png": figures.curves,
    }
    for name, entry in results.maps.items():
        file = name if entry.figure is None else entry.figure
        if file:
            drawings[f"{file}.png"] = partial(figures.ratio_map if entry.ratio else figures.amount_map, name=name)
    if results.bullseyes:
        drawings[PICTURE] = bulls_eyes
    files = []
    with PdfPages(folder / "figures.pdf", metadata={"CreationDate": None}) as pages:
        for number, (name, draw) in enumerate(drawings.items()):
            report(0.5 * number / len(drawings), f"Drawing {name}")
            figure = draw(results)
            style.save(figure, folder / name)
            pages.savefig(figure, bbox_inches="tight")
            files.append(folder / name)
    animation.write_animation(folder / "motion.gif", results, report.part(0.5, 1.0))
    return [*files, folder / "figures.pdf", folder / "motion.gif"]
