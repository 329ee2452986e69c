"""The ``export`` command: a model as others share models."""

from __future__ import annotations

import argparse

from .. import zoo
from ..files import whole_file
from .console import Console
from .method import path_argument

HELP = "write a model as a MONAI bundle, or its card as a page for Hugging Face"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--model", required=True, help="name or folder of a model")
    parser.add_argument("--to", required=True, choices=("bundle", "card"), help="a folder, or a page of Markdown")
    parser.add_argument("--output", required=True, **path_argument(), help="the folder of the bundle, or the page")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Export as the arguments say and return the exit code, 0.

    Raises
    ------
    RegistrationError : in one sentence, what was wrong; then nothing was written.
    """
    from ..interchange.bundle import write_bundle
    from ..interchange.model_card import model_card

    if arguments.to == "bundle":
        write_bundle(arguments.model, arguments.output)
    else:
        text = model_card(zoo.find_card(arguments.model))
        with whole_file(arguments.output) as part:
            part.write_text(text, encoding="utf-8")
    console.progress.say(f"Written to {arguments.output}")
    return 0
