"""The ``register`` command: what it accepts, and what it answers."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..cohort.run import register_studies
from ..cohort.study import PARTS, Output, SaveScene, Study, register_study
from ..errors import InputError
from ..io.field_formats import FIELD_FORMATS, choose_format
from ..io.formats import safe_name, stem_of
from ..results.segments import LEVELS, LONG_AXES
from ..results.strain_values import HeartSettings
from .console import Console
from .contours import CLICK, point
from .lists import names_of, read_list
from .method import add_method, method_options, path_argument

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
_SERIES = (
    "series instance UID, where a DICOM folder holds several; several of them, or 'all', are joined: the slices or "
    "phases of one acquisition"
)
_PAIRS = (
    "a list of pairs (CSV) with the columns fixed and moving, and where they are wanted name, labels, moving_labels, "
    "fixed_mask and moving_mask; paths are relative to the list"
)
_REFERENCE = "number of the reference frame, from 0; 'auto' (default) looks for end-diastole"
_FIELDS = f"write the fields for other programs, too: {', '.join(FIELD_FORMATS)}; several with commas"
_DICOM = (
    "write DICOM, too, into the study of the input, a DICOM series: segmentations, curves, motion, compensated images"
)
_WRITE = f"what is kept of a study, out of {','.join(PARTS)} (default: all)"
_MYOCARDIUM = "value or name of the label of the left ventricle's wall; default: the label that is called so"
_INSERTION = "anterior insertion point of the right ventricle in LPS mm; default: from the label of the right ventricle"
_ROI = "region of interest in voxels: first and one past the last along i (columns), j (rows) and k (slices)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``register`` to ``parser``."""
    parser.description, parser.epilog = HELP, EPILOG
    add = parser.add_argument
    path = path_argument()
    add("--input", nargs="+", **path, help=_INPUT)
    add("--studies", action="store_true", help="--input is a folder in which every entry is one study")
    add("--fixed", **path, help="pair mode: the fixed image")
    add("--moving", **path, help="pair mode: the moving image, aligned to the fixed one")
    add("--pairs", **path, help=_PAIRS)
    add("--output", required=True, **path, help=_OUTPUT)
    add("--series", nargs="+", metavar="UID", help=_SERIES)
    add_how(parser)
    add("--labels", **path, help="label map drawn on the reference frame; it is carried to every frame")
    add("--click", nargs="+", type=point, metavar="X,Y,Z", help=f"instead of labels, to find them: {CLICK}")
    heart = parser.add_argument_group("strain", "of the labels on a cine of the heart")
    heart.add_argument("--myocardium", metavar="LABEL", help=_MYOCARDIUM)
    heart.add_argument("--view", choices=("short-axis", *LONG_AXES), help="of the heart; default: by its shape")
    heart.add_argument("--level", choices=LEVELS, help="of a single short-axis slice (default: mid)")
    heart.add_argument("--rv-insertion", type=point, metavar="X,Y,Z", help=_INSERTION)
    add("--moving-labels", **path, help="pairs: label map drawn on the moving image; it is brought onto the fixed one")
    add("--fixed-mask", **path, help="pairs: only what is inside counts")
    add("--moving-mask", **path, help="pairs: only what is inside counts")


def add_how(parser: argparse.ArgumentParser) -> None:
    """Add what a study of a cohort may have, too: the frame, the region, the method, and what is written."""
    add = parser.add_argument
    add("--reference", type=_reference, metavar="N|auto", help=_REFERENCE)
    add("--roi", type=_roi, metavar="I0,I1,J0,J1[,K0,K1]", help=_ROI)
    add_method(parser)
    add("--write", type=_parts, metavar="PART,...", help=_WRITE)
    add("--fields", type=_formats, default=(), metavar="NAME,...", help=_FIELDS)
    add("--html", action="store_true", help="write report.html, too: the study in one file that plays in a browser")
    add("--dicom", action="store_true", help=_DICOM)
    add("--half", action="store_true", help="write fields in the precision of 16 bits; the report tells the error")


def output_of(arguments: argparse.Namespace, save_scene: SaveScene | None) -> Output:
    """What is written, as the arguments of ``add_how`` say.

    Raises
    ------
    InputError : a scene is asked for where none can be written.
    """
    if save_scene is None and "scene" in (arguments.write or ()):
        raise InputError(
            "A scene is written by the scripts of Resources/Scripts, in 3D Slicer or where slicer-core is installed; "
            "leave it out of --write."
        )
    return Output(
        arguments.write or PARTS, arguments.half, save_scene, arguments.fields, arguments.html, arguments.dicom
    )


def _parts(text: str) -> tuple[str, ...]:
    parts = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    try:
        return Output(parts).parts
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _reference(text: str) -> int | None:
    if text == "auto":
        return None
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is neither a frame number nor 'auto'")
    return int(text)


def _formats(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    try:
        for name in names:
            choose_format(name)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return names


def _heart(arguments: argparse.Namespace) -> HeartSettings | None:
    """What was said of the heart; None where nothing was."""
    names = ("myocardium", "view", "level", "rv_insertion")
    given = {name: value for name in names if (value := getattr(arguments, name)) is not None}
    if given and not arguments.labels:
        raise InputError(f"--{next(iter(given)).replace('_', '-')} needs --labels, with the myocardium.")
    if "rv_insertion" in given:
        given["insertion"] = given.pop("rv_insertion")
    return HeartSettings(**given) if given else None


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
    studies, output = studies_of(arguments), output_of(arguments, save_scene)
    if studies.keys() == {""}:
        content = register_study(studies[""], arguments.output, output, console.progress, console.cancel)
        console.progress.say(f"{content['summary']}\nWritten to {arguments.output}")
        return 0
    found = register_studies(
        studies,
        arguments.output,
        output=output,
        progress=console.progress,
        cancel=console.cancel,
        on_row=console.name_failed,
    )
    console.progress.say(f"{found['ok']} of {len(studies)} studies were registered. Written to {arguments.output}")
    if console.received:
        return console.stopped
    return 0 if found["ok"] == len(studies) else 1


_PAIR_FILES = ("labels", "moving_labels", "fixed_mask", "moving_mask")


def studies_of(arguments: argparse.Namespace) -> dict[str, Study]:
    """The studies asked for by output folder name; a single one has the name ""."""
    pair = (arguments.fixed, arguments.moving)
    given = (arguments.input is not None, pair != (None, None), arguments.pairs is not None)
    if sum(given) != 1 or (given[1] and None in pair):
        raise InputError("Name either --input, or both --fixed and --moving, or --pairs.")
    options = method_options(arguments, pair=arguments.input is None)
    options |= {} if arguments.roi is None else {"roi": arguments.roi}
    if arguments.input is None:
        if arguments.reference is not None:
            raise InputError("The fixed image of a pair is the reference; leave --reference out.")
        if arguments.click is not None:
            raise InputError("--click is for cines; leave it out for a pair.")
        return _pairs(arguments, options)
    if arguments.labels and arguments.click:
        raise InputError("Name either --labels, or --click to find them.")
    extra = [name for name in _PAIR_FILES[1:] if getattr(arguments, name)]
    if extra:
        raise InputError(f"--{extra[0].replace('_', '-')} is for pairs; leave it out for a cine.")
    if arguments.reference is not None:
        options["reference"] = arguments.reference
    return _cines(arguments, options)


def _pairs(arguments: argparse.Namespace, options: dict[str, Any]) -> dict[str, Study]:
    files = {name: getattr(arguments, name) for name in _PAIR_FILES}
    if arguments.pairs is None:
        return {"": Study(arguments.fixed, moving=arguments.moving, options=options, **files)}
    if any(files.values()):
        raise InputError("Labels and masks of several pairs are named in the list; leave them out beside --pairs.")
    rows = read_list(arguments.pairs, ("name", "fixed", "moving", *_PAIR_FILES))
    for number, row in enumerate(rows, start=1):
        if not {"fixed", "moving"} <= set(row):
            raise InputError(f"Pair {number} of '{arguments.pairs}' needs a fixed and a moving image.")
    stems = [f"{stem_of(Path(row['moving']))}-to-{stem_of(Path(row['fixed']))}" for row in rows]
    studies = {}
    for name, row in zip(names_of(rows, stems), rows, strict=True):
        paths: dict[str, Any] = {key: Path(text) for key, text in row.items() if key != "name"}
        studies[safe_name(name)] = Study(paths.pop("fixed"), options=options, **paths)
    return studies


def _cines(arguments: argparse.Namespace, options: dict[str, Any]) -> dict[str, Study]:
    if (arguments.labels or arguments.click) and (arguments.studies or len(arguments.input) > 1):
        raise InputError("--labels and --click belong to one study; register the studies one by one.")
    series = arguments.series[0] if arguments.series and len(arguments.series) == 1 else arguments.series
    clicks = tuple(arguments.click or ())
    rest = {
        "series": series,
        "labels": arguments.labels,
        "clicks": clicks,
        "options": options,
        "heart": _heart(arguments),
    }
    sources = arguments.input
    if arguments.studies:
        if len(sources) != 1 or not sources[0].is_dir():
            raise InputError("--studies needs one --input, a folder that holds the studies.")
        output = arguments.output.resolve()
        entries = (path for path in sources[0].iterdir() if not path.name.startswith("."))
        # results of an earlier run are no study
        sources = sorted(path for path in entries if not output.is_relative_to(path.resolve()))
        if not sources:
            raise InputError(f"The folder '{arguments.input[0]}' is empty.")
    elif len(sources) == 1:
        return {"": Study(sources[0], **rest)}
    names = names_of([{} for _ in sources], [stem_of(source.resolve()) for source in sources])
    return {name: Study(source, **rest) for name, source in zip(names, sources, strict=True)}
