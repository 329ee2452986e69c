"""Register a cine without a window, in 3D Slicer or in plain Python.

    Slicer --no-splash --no-main-window --python-script register.py -- --input cine.seq.nrrd --output out
    python register.py --input cine.seq.nrrd --output out

``--help`` lists the arguments. The Slicer scene (scene.mrb) is written in Slicer and, in plain Python, where the
package slicer-core is installed. The exit code is 0 only when everything was written.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent))

import slicer_console

if TYPE_CHECKING:
    from DeepRegLogic import Results


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with ``argv`` (default: the program's arguments) and return its exit code."""
    return slicer_console.run_command("register", "register.py", argv, save_scene)


def save_scene(path: Path, results: Results) -> None:
    """Write a scene that holds the cine and everything that was made of it."""
    slicer_console.boot()
    import slicer
    from TemporalRegistrationLib.kinds.cine_nodes import addResults
    from TemporalRegistrationLib.nodes.sequences import addCine

    slicer.mrmlScene.Clear()
    addResults(results, addCine(results.cine))
    slicer_console.write_scene(path)


if __name__ == "__main__":
    slicer_console.run_program(main)
