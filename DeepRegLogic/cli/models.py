"""``temporal-registration models``: what there is to choose from."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from .. import zoo
from .console import Console

HELP = "list the models that are installed, or show the card of one"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="a model, of which the whole card is shown")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """List the models and return the exit code, 0.

    Raises
    ------
    ModelError : there is no such model, or its card is damaged.
    """
    if arguments.name is not None:
        print(json.dumps(asdict(zoo.find_card(arguments.name)), indent=2, ensure_ascii=False))
        return 0
    cards = [card for card in zoo.list_models() if card.is_for_patients]
    defaults = {model: task for task, model in zoo.DEFAULTS.items()}
    width = max((len(card.name) for card in cards), default=0)
    for card in cards:
        usual = f" The default for: {defaults[card.name]}." if card.name in defaults else ""
        print(f"{card.name:{width}}  {card.ndim}D  {', '.join(card.capabilities)}")
        print(f"{'':{width}}  {card.summary}{usual}")
    for sentence in zoo.damaged_models().values():
        console.warn(sentence)
    return 0
