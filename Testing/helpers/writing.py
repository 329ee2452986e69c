"""What tests of written files share: the ways to write, and what lies in a folder afterwards."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from DeepRegLogic.files import MARKER, own_folder, whole_file, whole_folder

Place = Callable[..., AbstractContextManager[Path]]

PLACES = pytest.mark.parametrize("place", [own_folder, whole_folder, whole_file])
posix = pytest.mark.skipif(os.name != "posix", reason="of POSIX only")


def listed(folder: Path) -> list[str]:
    """What lies in a folder, but for the marker."""
    return sorted(path.name for path in folder.iterdir() if path.name != MARKER)


def below(folder: Path) -> list[str]:
    """Every file in a folder and below it, hidden ones and the marker too."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


def in_marker(folder: Path) -> list[str]:
    """The files that a folder's marker lists."""
    return json.loads((folder / MARKER).read_text(encoding="utf-8"))["files"]


def write(folder: Path | str, **texts: str) -> Path:
    """A folder of results with text files of these names and contents."""
    with own_folder(folder) as work:
        for name, text in texts.items():
            (work / f"{name}.txt").write_text(text)
    return Path(folder)


def write_in(place: Place, work: Path, name: str = "half.bin") -> None:
    """Write what the place is for: the file itself, or one in the folder."""
    (work if place is whole_file else work / name).write_bytes(b"1234")


def write_files(folder: Path, names: list[str], text: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def must_not_run(folder: Path | str, inputs: list[Path | str] | None = None) -> None:
    """Enter ``own_folder``, whose block must not run."""
    with own_folder(folder, inputs or []):
        pytest.fail("the block must not run")


def tells_no_hidden_place(error: pytest.ExceptionInfo[BaseException]) -> bool:
    """Whether a sentence is one line, and free of the names that only this package gives."""
    text = str(error.value)
    return not any(word in text for word in (".unfinished", ".former", "results", "\n"))
