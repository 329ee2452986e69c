"""Register a cine without a window, in 3D Slicer or in plain Python.

    Slicer --no-splash --no-main-window --python-script register.py -- --input cine.seq.nrrd --output out
    python register.py --input cine.seq.nrrd --output out

``--help`` lists the arguments. The Slicer scene (scene.mrb) is written in Slicer and, in plain Python, where the
package slicer-core is installed. The exit code is 0 only when everything was written.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from DeepRegLogic import Cine, Motion

HOME = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(HOME), str(HOME / "TemporalRegistration")]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with ``argv`` (default: the program's arguments) and return its exit code."""
    return run_command("command", "register.py", argv, _save_scene)


def run_command(name: str, title: str, argv: Sequence[str] | None, save_scene: Callable[..., None]) -> int:
    """Run the command of the module ``DeepRegLogic.<name>``; ``save_scene`` writes its scene where that is possible."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        command = import_module(f"DeepRegLogic.{name}")
    except ModuleNotFoundError as error:
        print(
            f"The Python package '{error.name}' is missing; install it with: pip install {error.name}", file=sys.stderr
        )
        return 1
    parser = argparse.ArgumentParser(prog=title)
    command.add_arguments(parser)
    try:
        parsed = parser.parse_args(arguments[1:] if arguments[:1] == ["--"] else arguments)
    except SystemExit as stop:  # --help, or wrong arguments
        return int(stop.code or 0)
    return command.run(parsed, save_scene if _has_scene() else None)


def _has_scene() -> bool:
    """Whether there is a scene to write; a message tells where neither Slicer nor slicer-core is present."""
    try:
        from TemporalRegistrationLib import headless
    except ImportError:
        print("Neither 3D Slicer nor slicer-core is here: everything is written but the scene.")
        return False
    headless.boot()
    return True


def _save_scene(path: Path, cine: Cine, motion: Motion, labels: np.ndarray | None) -> None:
    """Write a scene that holds the cine and everything that was made of it."""
    import slicer
    from TemporalRegistrationLib import scene

    slicer.mrmlScene.Clear()
    scene.addMotion(motion, cine, scene.addCine(cine), labels)
    write_scene(path)


def write_scene(path: Path) -> None:
    """Write the scene to ``path`` (.mrb); raises OutputError where that fails."""
    import slicer

    from DeepRegLogic import OutputError

    if not slicer.util.saveScene(str(path)):
        raise OutputError(f"The scene could not be written to '{path.parent}'; free some space or name another folder.")


def run_program(main: Callable[[], int]) -> None:
    """Run ``main`` and end the program with its exit code, whatever happens; Slicer would wait for a user otherwise."""
    exit_code = 1
    try:
        exit_code = main()
    except BaseException:
        traceback.print_exc()
    finally:
        _leave(exit_code)


def _leave(code: int) -> None:
    sys.stdout.flush()
    app = getattr(sys.modules.get("slicer"), "app", None)
    if hasattr(app, "commandOptions"):  # the application itself, not a stand-in on slicer-core
        sys.modules["slicer"].util.exit(code)
    else:
        sys.exit(code)


if __name__ == "__main__":
    run_program(main)
