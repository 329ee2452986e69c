"""A folder of results appears whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import OutputError, RegistrationError


@contextmanager
def staging(folder: str | Path, marker: str) -> Iterator[Path]:
    """Give a new folder beside ``folder`` to write into; at the end of the block it takes the name ``folder``.

    Whatever ends the block early removes everything that was written. An earlier ``folder`` is replaced only when it
    is empty or holds a file called ``marker``, which every finished result has.

    Raises
    ------
    OutputError : ``folder`` is something else's, or cannot be made or renamed.
    """
    target = Path(os.path.abspath(folder))
    if target.exists() and not target.is_dir():
        raise OutputError(f"The output '{folder}' is a file; name a folder.")
    if target.is_dir() and any(target.iterdir()) and not (target / marker).is_file():
        raise OutputError(f"The output folder '{folder}' holds other files; name a new or an empty folder.")
    work = target.with_name(f".{target.name}.{os.getpid()}.partial")
    made = [parent for parent in target.parents if not parent.exists()]
    try:
        with writing(folder):
            work.mkdir(parents=True)
        yield work
        with writing(folder):
            _replace(work, target)
        made = []
    finally:
        shutil.rmtree(work, ignore_errors=True)
        for parent in made:
            if parent.is_dir() and not any(parent.iterdir()):
                parent.rmdir()


def _replace(work: Path, target: Path) -> None:
    """Rename ``work`` to ``target``; an earlier target comes back when that fails."""
    earlier = work.with_suffix(".earlier")
    if not target.exists():
        work.rename(target)
        return
    target.rename(earlier)
    try:
        work.rename(target)
    except OSError:
        earlier.rename(target)
        raise
    shutil.rmtree(earlier, ignore_errors=True)


@contextmanager
def writing(place: str | Path) -> Iterator[None]:
    """Turn an ``OSError`` of the block into an ``OutputError`` that names ``place`` and the reason."""
    try:
        yield
    except RegistrationError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"The results could not be written to '{place}' ({reason}); free some space or name another folder."
        ) from error
