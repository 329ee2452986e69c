"""The ``convert`` command: displacement fields that are there already, in the format of another program."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import InputError, OutputError
from ..files import expanded, whole_folder
from ..io.field_formats import FIELD_FORMATS, choose_format, read_any_field, write_field_as
from ..io.formats import stem_of
from .console import Console
from .method import path_argument

HELP = "write displacement fields in the format of another program"
_INPUT = "fields in any of the formats, or a folder of results, whose folder 'fields' is meant"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``convert`` to ``parser``."""
    add, path = parser.add_argument, path_argument()
    formats = "; ".join(f"{name}: {entry.title}" for name, entry in FIELD_FORMATS.items())
    add("--input", nargs="+", required=True, **path, help=_INPUT)
    add("--to", required=True, choices=list(FIELD_FORMATS), help=formats)
    add("--moving", **path, help="the image that the fields are applied to, where its geometry is not theirs (for FSL)")
    add("--output", required=True, **path, help="folder for the files, which keep their names")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Convert as the arguments say and return the exit code, 0.

    Raises
    ------
    RegistrationError : in one sentence, what was wrong; then nothing was written.
    """
    from ..io import read_frames

    entry, output = choose_format(arguments.to), expanded(arguments.output)
    sources = _sources([expanded(path) for path in arguments.input])
    targets = [output / f"{stem_of(path)}{entry.suffix}" for path in sources]
    for number, target in enumerate(targets):
        if target in targets[:number]:
            raise InputError(f"Two of the fields would become '{target}'; convert them one by one.")
        if target.exists():
            raise OutputError(f"'{target}' is there already; name another folder.")
    moving = read_frames(arguments.moving).grid if arguments.moving else None
    with whole_folder(output) as part:
        for number, (source, target) in enumerate(zip(sources, targets, strict=True)):
            console.cancel.check()
            console.progress(number / len(sources), f"Converting {source.name}")
            displacement, grid = read_any_field(source, moving)
            write_field_as(arguments.to, part / target.name, displacement, grid, moving)
    console.progress.say(f"Wrote {len(sources)} fields for {entry.title} to {arguments.output}")
    return 0


def _sources(paths: list[Path]) -> list[Path]:
    """The files of fields that are meant: those that are named, and those in folders of results."""
    files = []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        folder = path / "fields" if (path / "fields").is_dir() else path
        found = sorted(file for file in folder.iterdir() if file.is_file() and _is_field(file))
        if not found:
            raise InputError(f"'{path}' holds no displacement fields.")
        files += found
    return files


def _is_field(path: Path) -> bool:
    return stem_of(path) != "affine" and any(entry.files.accepts(path) for entry in FIELD_FORMATS.values())
