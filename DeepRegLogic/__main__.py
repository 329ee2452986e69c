"""The command line: ``python -m DeepRegLogic <command>``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from .errors import RegistrationError

# command -> module with HELP, add_arguments(parser) and run(arguments) -> exit code; light to import
COMMANDS = {"register": "command", "generate": "generate_command", "train": "training.command"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code: 0 when all was done, 1 after an error that was told in one sentence."""
    parser = argparse.ArgumentParser(prog="DeepRegLogic", description="Follows moving anatomy in image sequences.")
    subparsers = parser.add_subparsers(required=True, metavar="command")
    for name, module_name in COMMANDS.items():
        module = import_module(f".{module_name}", __package__)
        subparser = subparsers.add_parser(name, help=module.HELP, description=module.HELP)
        module.add_arguments(subparser)
        subparser.set_defaults(run=module.run)
    options = parser.parse_args(arguments)
    try:
        return options.run(options) or 0
    except RegistrationError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
