"""The command line: ``temporal-registration <command>``; every command is one file here."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from .. import __version__
from .console import add_console, run_safely
from .parser import PROGRAM, Parser

COMMANDS = (
    "register",
    "cohort",
    "summarise",
    "contours",
    "evaluate",
    "convert",
    "generate",
    "train",
    "calibrate",
    "models",
    "export",
)
"""Modules of this package with HELP, add_arguments(parser) and run(arguments, console) -> exit code."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; whatever goes wrong is told in one sentence."""
    parser = Parser(prog=PROGRAM, description="Follows moving anatomy in image sequences.")
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = parser.add_subparsers(required=True, metavar="command")
    for name in COMMANDS:
        module = import_module(f".{name}", __name__)
        command = commands.add_parser(name, help=module.HELP, description=module.HELP)
        module.add_arguments(command)
        add_console(command)
        command.set_defaults(run=module.run)
    options = parser.parse_args(arguments)
    return run_safely(lambda console: options.run(options, console), options)
