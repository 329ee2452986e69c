"""The ``register`` command: what it accepts, and what it answers."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..io.formats import stem_of
from ..registration.presets import DEFAULT_QUALITY, PRESETS, refinement_of
from ..regularisers import REGULARISERS
from ..similarities import SIMILARITIES
from .console import Console, tell
from .studies import SaveScene, Study, register_studies, register_study

HELP = "register a cine, or one image to another, and write its motion, pictures and measurements"
EPILOG = (
    "Exit code: 0 everything was written; 1 a study failed; 2 wrong arguments; 130 or 143 stopped by a signal. "
    "A study is written whole or not at all."
)
_INPUT = (
    "a cine: .seq.nrrd, 4D NRRD, NIfTI or MetaImage, a DICOM file or folder, a folder of image files; several paths "
    "are several studies"
)
_OUTPUT = (
    "a new or empty folder for the results (those of an earlier run are replaced); with several studies, one folder "
    "each and studies.csv"
)
_REFERENCE = "number of the reference frame, from 0; 'auto' (default) looks for end-diastole"
_ROI = "region of interest in voxels: first and one past the last along i (columns), j (rows) and k (slices)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``register`` to ``parser``."""
    parser.description, parser.epilog = HELP, EPILOG
    add = parser.add_argument
    path: dict[str, Any] = {"type": Path, "metavar": "PATH"}
    add("--input", nargs="+", **path, help=_INPUT)
    add("--studies", action="store_true", help="--input is a folder in which every entry is one study")
    add("--fixed", **path, help="pair mode: the fixed image")
    add("--moving", **path, help="pair mode: the moving image, aligned to the fixed one")
    add("--output", required=True, **path, help=_OUTPUT)
    add("--series", metavar="UID", help="series instance UID, where a DICOM folder holds several")
    add("--model", help="name or folder of a model; 'none' for refinement alone")
    add("--reference", type=_reference, metavar="N|auto", help=_REFERENCE)
    add("--roi", type=_roi, metavar="I0,I1,J0,J1[,K0,K1]", help=_ROI)
    add(
        "--refine",
        action=argparse.BooleanOptionalAction,
        help="optimise the motion on this very cine (default), or not",
    )
    add("--quality", choices=list(PRESETS), help=f"how thoroughly to refine (default: {DEFAULT_QUALITY})")
    add("--similarity", choices=list(SIMILARITIES), help="what makes images alike in the refinement")
    add("--regulariser", choices=list(REGULARISERS), help="what makes motion plausible in the refinement")
    add("--device", help="auto (default), cpu, cuda, cuda:1, mps")
    add("--labels", **path, help="label map drawn on the reference frame; it is carried to every frame")
    add("--memory-gb", type=_positive, metavar="GB", help="most memory that may be used")


def _reference(text: str) -> int | None:
    if text == "auto":
        return None
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is neither a frame number nor 'auto'")
    return int(text)


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"'{text}' is not a number above 0")
    return value


def _roi(text: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """``i0,i1,j0,j1[,k0,k1]`` to the array-order pair (start, stop) that ``register_cine`` takes."""
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    starts, stops = tuple(numbers[0::2]), tuple(numbers[1::2])
    if len(numbers) not in (4, 6) or min(numbers) < 0 or any(b <= a for a, b in zip(starts, stops, strict=True)):
        raise argparse.ArgumentTypeError(f"'{text}' is not i0,i1,j0,j1 or i0,i1,j0,j1,k0,k1 with rising pairs")
    return starts[::-1], stops[::-1]


def run(arguments: argparse.Namespace, console: Console, save_scene: SaveScene | None = None) -> int:
    """Do what the arguments ask and return the exit code."""
    studies = _studies(arguments)
    if studies.keys() == {""}:
        content = register_study(studies[""], arguments.output, save_scene, console.progress, console.cancel)
        print(f"{content['summary']}\nWritten to {arguments.output}")
        return 0
    rows = register_studies(studies, arguments.output, save_scene, console.progress, console.cancel)
    bad = [row for row in rows if row["status"] != "ok"]
    for row in bad:
        tell(f"{row['study']}: {row['message']}")
    print(f"{len(rows) - len(bad)} of {len(studies)} studies were registered. Written to {arguments.output}")
    if console.received:
        return console.stopped
    return 1 if bad else 0


def _refinement(arguments: argparse.Namespace) -> object:
    """The argument ``refine`` of ``register_cine``, None where nothing was said of it."""
    changes = {"similarity": arguments.similarity, "regulariser": arguments.regulariser}
    quality, changed = arguments.quality, any(changes.values())
    if arguments.refine is False:
        if quality or changed:
            raise InputError(
                "--no-refine leaves no refinement that --quality, --similarity or --regulariser could set."
            )
        return False
    if quality and PRESETS[quality].refinement is None and (arguments.refine or changed):
        raise InputError(f"--quality {quality} does not refine; leave out --refine, --similarity and --regulariser.")
    return refinement_of(quality or DEFAULT_QUALITY, **changes) if changed else quality or arguments.refine


def _studies(arguments: argparse.Namespace) -> dict[str, Study]:
    """The studies asked for by output folder name; a single one has the name ""."""
    given = {"model": arguments.model, "reference": arguments.reference, "roi": arguments.roi}
    given |= {"refine": _refinement(arguments), "device": arguments.device, "memory_gb": arguments.memory_gb}
    options = {name: value for name, value in given.items() if value is not None}
    if options.get("model") == "none":
        options["model"] = None
    pair = (arguments.fixed, arguments.moving)
    if (arguments.input is None) == (pair == (None, None)) or (pair != (None, None) and None in pair):
        raise InputError("Name either --input, or both --fixed and --moving.")
    if arguments.input is None and arguments.reference is not None:
        raise InputError("With --fixed and --moving the fixed image is the reference; leave --reference out.")
    if arguments.labels and (arguments.studies or len(arguments.input or ()) > 1):
        raise InputError("--labels belongs to one study; register the studies one by one.")
    rest = {"series": arguments.series, "labels": arguments.labels, "options": options}
    if arguments.input is None:
        return {"": Study(arguments.fixed, moving=arguments.moving, **rest)}
    sources = arguments.input
    if arguments.studies:
        if len(sources) != 1 or not sources[0].is_dir():
            raise InputError("--studies needs one --input, a folder that holds the studies.")
        sources = sorted(path for path in sources[0].iterdir() if not path.name.startswith("."))
        if not sources:
            raise InputError(f"The folder '{arguments.input[0]}' is empty.")
    elif len(sources) == 1:
        return {"": Study(sources[0], **rest)}
    studies: dict[str, Study] = {}
    for source in sources:
        name = stem_of(source.resolve())
        number = 2
        while name in studies:
            name, number = f"{stem_of(source.resolve())}-{number}", number + 1
        studies[name] = Study(source, **rest)
    return studies
