"""How to register: the arguments that commands share, and the options of ``register_cine`` that they stand for."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .. import zoo
from ..errors import InputError
from ..registration.presets import DEFAULT_QUALITY, PRESETS, refinement_of
from ..regularisers import REGULARISERS
from ..similarities import SIMILARITIES

_AFFINE = "pairs: first align the images by an affine transform, which need not overlap"
_REGULARITY = "pairs: from 0 (soft) to 1 (stiff), of a model that can choose"


def add_method(parser: argparse.ArgumentParser) -> None:
    """Add the arguments to ``parser``."""
    add = parser.add_argument
    add("--model", help="name or folder of a model; 'none' for refinement alone")
    add(
        "--refine",
        action=argparse.BooleanOptionalAction,
        help="optimise the motion on these very images (default), or not",
    )
    add("--quality", choices=list(PRESETS), help=f"how thoroughly to refine (default: {DEFAULT_QUALITY})")
    add("--similarity", choices=list(SIMILARITIES), help="what makes images alike in the refinement")
    add("--regulariser", choices=list(REGULARISERS), help="what makes motion plausible in the refinement")
    add("--uncertainty", action="store_true", help="find out how sure the motion is (takes twice as long)")
    add("--affine", action="store_true", help=_AFFINE)
    add("--regularity", type=_fraction, metavar="0..1", help=_REGULARITY)
    add("--device", help="auto (default), cpu, cuda, cuda:1, mps")
    add("--memory-gb", type=_positive, metavar="GB", help="most memory that may be used")


def method_options(arguments: argparse.Namespace, pair: bool) -> dict[str, Any]:
    """The options of ``register_cine``, or of ``register_pair``; what was not said is left out.

    Raises
    ------
    InputError : arguments that contradict each other, or that only pairs have. ModelError : there is no such model.
    """
    given = {"model": arguments.model, "refine": _refinement(arguments), "device": arguments.device}
    given |= {"memory_gb": arguments.memory_gb, "regularity": arguments.regularity}
    options = {name: value for name, value in given.items() if value is not None}
    if arguments.uncertainty:
        options["uncertainty"] = True
    if arguments.affine:
        options["affine"] = True
    for name in ("affine", "regularity"):
        if name in options and not pair:
            raise InputError(f"--{name} is for pairs; leave it out for a cine.")
    if options.get("model") == "none":
        options["model"] = None
    elif "model" in options:
        zoo.find_card(options["model"])
    return options


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


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"'{text}' is not a number above 0")
    return value


def _fraction(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number from 0 to 1")
    return value


def path_argument(**more: Any) -> dict[str, Any]:
    """What arguments that name a file have in common."""
    return {"type": Path, "metavar": "PATH", **more}
