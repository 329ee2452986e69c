"""``temporal-registration train``."""

from __future__ import annotations

import argparse
from dataclasses import replace

from ..errors import InputError
from .console import Console

HELP = "train a network on synthetic or your own cines"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--config", required=True, help="a YAML file, or the name of a configuration of the package")
    parser.add_argument("--output", required=True, help="folder of the run; the model is written to its folder 'model'")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint in the output folder")
    parser.add_argument("--steps", type=int, help="number of optimiser steps, instead of the configuration's")
    parser.add_argument("--max-minutes", type=float, help="stop after so long and write the model all the same")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda (all GPUs) or cuda:N (default: auto)")
    parser.add_argument("--cache", help="folder for the synthetic subjects (default: the output folder)")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Train as the arguments say and return the exit code, 0.

    Raises
    ------
    RegistrationError : in one sentence, what was wrong.
    """
    try:
        import lightning  # noqa: F401
        import yaml  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"Training needs the package '{error.name}'; install it: pip install lightning pyyaml."
        ) from error
    from ..training.configuration import read_configuration
    from ..training.run import train

    configuration = read_configuration(arguments.config)
    if arguments.steps is not None:
        configuration = replace(configuration, optimiser=replace(configuration.optimiser, steps=arguments.steps))
    card = train(
        configuration,
        arguments.output,
        resume=arguments.resume,
        max_minutes=arguments.max_minutes,
        device=arguments.device,
        cache=arguments.cache,
        progress=not arguments.quiet,
    )
    figures = ", ".join(f"{key} {value:.4g}" for key, value in card.results.items())
    console.progress.say(f"Wrote the model '{card.name}' to {arguments.output}/model ({figures}).")
    return 0
