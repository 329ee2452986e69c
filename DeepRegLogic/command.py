"""The ``register`` command: what it accepts, and what it answers."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .batch import SaveScene, Study, register_studies, register_study
from .errors import Cancelled, InputError, RegistrationError
from .progress import CancelToken

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
    path = {"type": Path, "metavar": "PATH"}
    add("--input", nargs="+", **path, help=_INPUT)
    add("--studies", action="store_true", help="--input is a folder in which every entry is one study")
    add("--fixed", **path, help="pair mode: the image that stays")
    add("--moving", **path, help="pair mode: the image that is brought onto it")
    add("--output", required=True, **path, help=_OUTPUT)
    add("--series", metavar="UID", help="series instance UID, where a DICOM folder holds several")
    add("--model", help="name or folder of a model; 'none' for refinement alone")
    add("--reference", type=_reference, metavar="N|auto", help=_REFERENCE)
    add("--roi", type=_roi, metavar="I0,I1,J0,J1[,K0,K1]", help=_ROI)
    add("--refine", action=argparse.BooleanOptionalAction, help="optimise the motion on this very cine, or do not")
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


def run(arguments: argparse.Namespace, save_scene: SaveScene | None = None) -> int:
    """Do what the arguments ask and return the exit code; one sentence on stderr says what was wrong."""

    def register(cancel: CancelToken, received: list[int]) -> int:
        studies = _studies(arguments)
        if studies.keys() == {""}:
            content = register_study(studies[""], arguments.output, save_scene, Progress(), cancel)
            print(f"{content['summary']}\nWritten to {arguments.output}")
            return 0
        rows = register_studies(studies, arguments.output, save_scene, Progress(), cancel)
        bad = [row for row in rows if row["status"] != "ok"]
        for row in bad:
            print(f"{row['study']}: {row['message']}", file=sys.stderr)
        print(f"{len(rows) - len(bad)} of {len(studies)} studies were registered. Written to {arguments.output}")
        if received:
            return 128 + received[0]
        return 1 if bad else 0

    return exit_code_of(register)


def exit_code_of(work: Callable[[CancelToken, list[int]], int]) -> int:
    """Do the work of a command and return its exit code, or that of its error, which is told on stderr.

    ``work`` is given what cancels it, which the first Ctrl-C or SIGTERM does, and the list of the signals that came.
    """
    cancel = CancelToken()
    with _stop_signals(cancel) as received:
        try:
            return work(cancel, received)
        except Cancelled as error:
            print(error, file=sys.stderr)
            return 128 + (received[0] if received else signal.SIGINT)
        except RegistrationError as error:
            print(error, file=sys.stderr)
            return 1
        except ModuleNotFoundError as error:
            print(f"The Python package '{error.name}' is missing: pip install {error.name}", file=sys.stderr)
            return 1


def _studies(arguments: argparse.Namespace) -> dict[str, Study]:
    """The studies asked for by output folder name; a single one has the name ""."""
    given = {"model": arguments.model, "reference": arguments.reference, "roi": arguments.roi}
    given |= {"refine": arguments.refine, "device": arguments.device, "memory_gb": arguments.memory_gb}
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
        name = _stem(source)
        number = 2
        while name in studies:
            name, number = f"{_stem(source)}-{number}", number + 1
        studies[name] = Study(source, **rest)
    return studies


def _stem(path: Path) -> str:
    """A folder name for the results of ``path``: its own name without the suffix of a known kind of file."""
    name = path.resolve().name
    for suffix in (".seq.nrrd", ".nii.gz", ".nrrd", ".nhdr", ".nii", ".mha", ".mhd", ".dcm"):
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return name


class Progress:
    """Prints a line whenever the text changes or a tenth more is done."""

    def __init__(self) -> None:
        self._last = (-1, "")

    def __call__(self, fraction: float, text: str) -> None:
        now = (int(10 * fraction), text)
        if now != self._last:
            print(f"[{fraction:4.0%}] {text}", flush=True)
            self._last = now


@contextmanager
def _stop_signals(cancel: CancelToken) -> Iterator[list[int]]:
    """Within the block the first Ctrl-C or SIGTERM cancels; yields the list of signals that came."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return

    def stop(number: int, _frame: object) -> None:
        received.append(number)
        cancel.cancel()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
