"""Train a network: ``python train.py --config tlrn-cardiac --output run``; ``--help`` lists the options."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import slicer_console


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with ``argv`` (default: the program's arguments) and return its exit code."""
    return slicer_console.run_command("train", "train.py", argv)


if __name__ == "__main__":
    slicer_console.run_program(main)
