"""What the scripts beside this file share: where the package is, whether there is a scene, and how a program ends."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

HOME = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(HOME), str(HOME / "TemporalRegistration")]


def run_command(
    name: str, title: str, argv: Sequence[str] | None = None, save_scene: Callable[..., None] | None = None
) -> int:
    """Run the command ``DeepRegLogic.cli.<name>`` with ``argv`` (default: the program's arguments); its exit code.

    Arguments may come after "--", as Slicer passes them on. ``save_scene`` writes the scene, where there can be one.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        from DeepRegLogic.cli.console import add_console, run_safely
        from DeepRegLogic.cli.parser import Parser

        command = import_module(f"DeepRegLogic.cli.{name}")
    except ModuleNotFoundError as error:
        print(f"The Python package '{error.name}' is not installed: pip install {error.name}", file=sys.stderr)
        return 1
    parser = Parser(prog=title)
    command.add_arguments(parser)
    add_console(parser)
    try:
        parsed = parser.parse_args(arguments[1:] if arguments[:1] == ["--"] else arguments)
    except SystemExit as stop:  # --help, or wrong arguments
        return int(stop.code or 0)
    if save_scene is None:
        return run_safely(lambda console: command.run(parsed, console), parsed)
    return run_safely(lambda console: command.run(parsed, console, save_scene if _has_scene() else None), parsed)


def _has_scene() -> bool:
    """Whether there is a scene to write; a message tells where neither Slicer nor slicer-core is present."""
    try:
        boot()
    except ImportError:
        print("Neither 3D Slicer nor slicer-core is installed: everything is written but the scene.")
        return False
    return True


def boot() -> None:
    """Make sure that there is a scene; ImportError is raised where there can be none."""
    from TemporalRegistrationLib import headless

    headless.boot()


def write_scene(path: Path) -> None:
    """Write the scene to ``path`` (.mrb); raises OutputError where that fails."""
    import slicer

    from DeepRegLogic import OutputError
    from DeepRegLogic.files import named

    if not slicer.util.saveScene(str(path)):
        raise OutputError(f"'{named(path)}' could not be written; free some space or choose another folder.")


def run_program(main: Callable[[], int]) -> None:
    """Run ``main`` and end the program with its exit code, whatever happens; Slicer would wait for a user otherwise."""
    exit_code = 1
    try:
        exit_code = main()
    finally:
        sys.stdout.flush()
        app = getattr(sys.modules.get("slicer"), "app", None)
        if hasattr(app, "commandOptions"):  # the application itself, not a stand-in on slicer-core
            sys.modules["slicer"].util.exit(exit_code)
    sys.exit(exit_code)
