"""Writing that ends whole or not at all: everything goes into a hidden place beside its target and is renamed last."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import OutputError


def _sentence(target: Path, error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or "No space left" in str(error):
        return f"'{target}' could not be written: the disk is full; free some space or choose another folder."
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"'{target}' could not be written: no permission; choose another folder."
    if number in (errno.ENOTDIR, errno.EEXIST):
        return f"'{target}' could not be written: a part of its path is a file, not a folder; choose another folder."
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"'{target}' could not be written: {lines[-1] if lines else type(error).__name__}."


def _make_folder(folder: Path) -> list[Path]:
    """Make ``folder`` and its parents; returns those that were new, deepest first."""
    new = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        _remove_empty(new)
        raise
    return new


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            return


def _replace(source: Path, target: Path) -> None:
    """Move ``source`` to ``target``; a folder's items are moved into a folder that is there already."""
    if source.is_dir() and target.is_dir():
        for item in sorted(source.iterdir()):
            _replace(item, target / item.name)
    else:
        os.replace(source, target)


@contextmanager
def _staged(target: Path, is_folder: bool) -> Iterator[Path]:
    new: list[Path] = []
    stage = None
    home = target if is_folder else target.parent
    try:
        new = _make_folder(home)
        stage = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=home))
        yield stage
        for item in sorted(stage.iterdir()):
            _replace(item, home / item.name)
    except (OSError, RuntimeError) as error:
        text = str(error) if isinstance(error, OutputError) else _sentence(target, error)
        # a user knows the place asked for, not the hidden one
        raise OutputError(text.replace(str(stage), str(home))) from error
    finally:
        if stage is not None:
            shutil.rmtree(stage, ignore_errors=True)
        _remove_empty(new)


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Gives a path of the same name in a hidden folder beside ``path``; the file written there becomes ``path``.

    Raises
    ------
    OutputError : the place cannot be written or is full. Whatever is raised inside, nothing is left behind.
    """
    path = Path(path).expanduser()
    with _staged(path, is_folder=False) as stage:
        yield stage / path.name


@contextmanager
def whole_folder(folder: str | Path) -> Iterator[Path]:
    """Gives an empty hidden folder inside ``folder``; what is written there is moved up into ``folder`` at the end.

    Files of the same name are replaced, others stay.

    Raises
    ------
    OutputError : the place cannot be written or is full. Whatever is raised inside, nothing is left behind.
    """
    with _staged(Path(folder).expanduser(), is_folder=True) as stage:
        yield stage
