"""``temporal-registration contours``."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import InputError
from ..files import whole_file
from ..progress import Reporter
from .console import Console
from .method import path_argument

HELP = "find the contours of the left ventricle from one click in it, or from its apex and its annulus"
CLICK = (
    "x,y,z in LPS mm (write --click=-5,10,20 for a negative x): one in the left ventricle of a short axis, or three in "
    "a long axis: the apex of the cavity, and both ends of the mitral annulus"
)
_OUTPUT = "the label map (.nii.gz, .nrrd, .mha): 1 LV blood, 2 LV myocardium"
_TABLE = (
    "a table (CSV): every slice and ray with both contours, their standard deviations and whether the image shows them"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``contours`` to ``parser``."""
    add = parser.add_argument
    add("input", **path_argument(help="a cine or an image"))
    add("--click", nargs="+", required=True, type=point, metavar="X,Y,Z", help=CLICK)
    add("--output", required=True, **path_argument(help=_OUTPUT))
    add("--table", **path_argument(help=_TABLE))
    add("--frame", type=int, help="number of the frame, from 0; without it end-diastole is looked for")
    add("--series", metavar="UID", help="series instance UID, where a DICOM folder holds several")


def point(text: str) -> tuple[float, float, float]:
    """Three coordinates."""
    try:
        x, y, z = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not x,y,z in mm") from None
    return x, y, z


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Find the contours and write them; the exit code."""
    import numpy as np

    from .. import io
    from ..contours import find_contours
    from ..registration.prepare import find_reference
    from ..report import tables

    output: Path = arguments.output
    if arguments.frame is not None and arguments.frame < 0:
        raise InputError("Frames are counted from 0.")
    reporter = Reporter(console.progress, console.cancel)
    reporter(0.0, f"Reading {arguments.input.name}")
    cine = io.read_frames(arguments.input, series=arguments.series)
    frame = arguments.frame
    if frame is None:
        frame = find_reference(cine) if len(cine) > 1 else 0
    contours = find_contours(cine, np.array(arguments.click), frame, reporter.part(0.2, 0.9), console.cancel)
    io.write_labels(output, contours.labels, cine.grid)
    if arguments.table is not None:
        with whole_file(arguments.table) as file:
            tables.write_csv(file, contours.rows())
    drawn = f"in {len(contours.slices)} slice{'s' if len(contours.slices) > 1 else ''} of frame {frame}"
    print(" ".join([f"Contours were found {drawn}.", *contours.notes, f"Written to {output}"]))
    return 0
