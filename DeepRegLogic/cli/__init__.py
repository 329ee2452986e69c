"""The command line: ``python -m DeepRegLogic <command>``; every command is one file here."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module

from .console import run_safely

COMMANDS = ("register", "evaluate", "generate", "train", "calibrate")
"""Modules of this package with HELP, add_arguments(parser) and run(arguments, console) -> exit code."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; whatever goes wrong is told in one sentence."""
    parser = argparse.ArgumentParser(prog="DeepRegLogic", description="Follows moving anatomy in image sequences.")
    commands = parser.add_subparsers(required=True, metavar="command")
    for name in COMMANDS:
        module = import_module(f".{name}", __name__)
        command = commands.add_parser(name, help=module.HELP, description=module.HELP)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    options = parser.parse_args(arguments)
    return run_safely(lambda console: options.run(options, console))
