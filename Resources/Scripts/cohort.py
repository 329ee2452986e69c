"""Register many studies without a window, in plain Python or in 3D Slicer, with a Slicer scene for each.

    python cohort.py studies.csv --output out --workers 8

``--help`` lists the arguments, which are those of ``temporal-registration cohort``. The Slicer scenes (scene.mrb) are
written in Slicer and, in plain Python, where the package slicer-core is installed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import register
import slicer_console


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with ``argv`` (default: the program's arguments) and return its exit code."""
    return slicer_console.run_command("cohort", "cohort.py", argv, register.save_scene)


if __name__ == "__main__":
    slicer_console.run_program(main)
