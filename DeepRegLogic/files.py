"""Writing that ends whole or not at all, once for all rooms: a hidden place beside the target, renamed last.

    with whole_file("cine.nrrd") as part: ...         the file written to ``part`` becomes the target
    with whole_folder("frames") as part: ...          what is written there is added to the folder
    with own_folder("out", [input]) as work: ...      the folder is all ours: a marker in it lists what was written

Whatever is raised inside, nothing is left behind. A hidden place is locked while it is used, so that one left by a run
that was killed is known, and removed by the next. A sentence names the place that the user named, never a hidden one.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from .errors import OutputError, RegistrationError

if sys.platform == "win32":  # where an open file cannot be removed
    fcntl = None
else:
    import fcntl

MARKER = ".temporal-registration.json"
_HELD = ".in-use"
_LITTER = {".DS_Store", "Thumbs.db", "desktop.ini"}

# hidden places in use, outermost first, and what the user calls them
_places: ContextVar[tuple[tuple[Path, Path], ...]] = ContextVar("_places", default=())


def named(path: str | Path) -> Path:
    """What the user calls a path: one in a hidden place is told by the place that was asked for."""
    path = Path(path)
    for hidden, asked in reversed(_places.get()):
        if path.is_relative_to(hidden):
            path = asked / path.relative_to(hidden)
    return path


def _sentence(target: Path, error: Exception) -> str:
    number = getattr(error, "errno", None)
    place = named(target)
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or "No space left" in str(error):
        return f"'{place}' could not be written: the disk is full; free some space or choose another folder."
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"'{place}' could not be written: no permission; choose another folder."
    if number in (errno.ENOTDIR, errno.EEXIST):
        return f"'{place}' could not be written: a part of its path is a file, not a folder; choose another folder."
    lines = [line.strip() for line in (getattr(error, "strerror", None) or str(error)).splitlines() if line.strip()]
    return f"'{place}' could not be written: {(lines[-1] if lines else type(error).__name__).rstrip('.')}."


@contextmanager
def writing(place: str | Path) -> Iterator[None]:
    """Turn what the system or a writer raises inside into an ``OutputError`` that names the file, or ``place``."""
    try:
        yield
    except RegistrationError:
        raise
    except (OSError, RuntimeError) as error:
        file = getattr(error, "filename", None)
        if isinstance(file, str) and any(Path(file).is_relative_to(hidden) for hidden, _ in _places.get()):
            place = file
        raise OutputError(_sentence(Path(place), error)) from error


def _make_folder(folder: Path) -> list[Path]:
    """Make ``folder`` and its parents; returns those that were new, deepest first."""
    new = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        _remove_empty(new)
        raise
    return new


def _remove_empty(folders: Iterable[Path]) -> None:
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()


def _hold(place: Path) -> int:
    """Lock a hidden place for as long as this process lives; the handle lets go of it when closed."""
    if fcntl is None:
        return os.open(place / _HELD, os.O_CREAT | os.O_RDWR)
    handle = os.open(place, os.O_RDONLY)
    with suppress(OSError):  # some network drives have no locks
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return handle


def _is_abandoned(place: Path) -> bool:
    """Whether no living process holds the place."""
    if fcntl is None:
        with suppress(FileNotFoundError):
            try:
                (place / _HELD).unlink()
            except PermissionError:
                return False
        return True
    try:
        handle = os.open(place, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def _remove_abandoned(home: Path, prefix: str) -> None:
    for place in home.iterdir() if home.is_dir() else ():
        if place.name.startswith(prefix) and place.is_dir() and not place.is_symlink() and _is_abandoned(place):
            shutil.rmtree(place, ignore_errors=True)


@contextmanager
def _hidden(home: Path, prefix: str, asked: Path) -> Iterator[Path]:
    """A new hidden folder in ``home``, called ``asked`` in sentences; removed at the end, as are new parents."""
    new: list[Path] = []
    place, handle, token = None, None, None
    try:
        with writing(asked):
            new = _make_folder(home)
            _remove_abandoned(home, prefix)
            place = Path(tempfile.mkdtemp(prefix=prefix, dir=home))
            handle = _hold(place)
        token = _places.set((*_places.get(), (place, asked)))
        yield place
    finally:
        if token is not None:
            _places.reset(token)
        if handle is not None:
            os.close(handle)
        if place is not None:
            shutil.rmtree(place, ignore_errors=True)
        _remove_empty(new)


def _move(source: Path, target: Path) -> None:
    """Move ``source`` to ``target``; a folder's items are moved into a folder that is there already."""
    if source.is_dir() and target.is_dir():
        for item in sorted(source.iterdir()):
            _move(item, target / item.name)
    else:
        os.replace(source, target)


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Gives a path of the same name in a hidden folder beside ``path``; the file written there becomes ``path``.

    Raises
    ------
    OutputError : the place cannot be written or is full. Whatever is raised inside, nothing is left behind.
    """
    path = Path(path).expanduser()
    with _hidden(path.parent, ".unfinished-", path.parent) as place, writing(path):
        yield place / path.name
        os.replace(place / path.name, path)


@contextmanager
def whole_folder(folder: str | Path) -> Iterator[Path]:
    """Gives an empty hidden folder inside ``folder``; what is written there is moved up into ``folder`` at the end.

    Files of the same name are replaced, others stay.

    Raises
    ------
    OutputError : the place cannot be written or is full. Whatever is raised inside, nothing is left behind.
    """
    folder = Path(folder).expanduser()
    with _hidden(folder, ".unfinished-", folder) as place, writing(folder):
        yield place
        for item in sorted(place.iterdir()):
            if item.name != _HELD:
                _move(item, folder / item.name)


@contextmanager
def own_folder(folder: str | Path, inputs: Iterable[str | Path] = (), ours: Iterable[str] = ()) -> Iterator[Path]:
    """Gives a new folder beside ``folder`` to write into; at the end of the block it takes the name ``folder``.

    An earlier result is replaced: a folder whose ``MARKER`` lists every file in it. Anything else in it stops the run.

    Parameters
    ----------
    inputs : what is read; the folder must neither hold nor lie in any of it.
    ours : names of files that are replaced also where no marker lists them.

    Raises
    ------
    OutputError : ``folder`` is something else's, or cannot be made or renamed. Errors of the block itself pass as they
        are; ``writing`` makes sentences of those of writers.
    """
    folder = Path(folder).expanduser()
    target = Path(os.path.abspath(folder))
    _check_owned(folder, target, set(ours))
    _check_apart(folder, target, [Path(place).expanduser() for place in inputs])
    with writing(folder):
        _bring_back(target)
    with _hidden(target.parent, f".{target.name[:60]}.unfinished-", folder) as place:
        work = place / "results"
        with writing(folder):
            work.mkdir()
        token = _places.set((*_places.get(), (work, folder)))
        try:
            yield work
        finally:
            _places.reset(token)
        with writing(folder):
            files = sorted(path.relative_to(work).as_posix() for path in work.rglob("*") if not path.is_dir())
            text = json.dumps({"written by": "TemporalRegistration", "files": files}, indent=1, ensure_ascii=False)
            (work / MARKER).write_text(text + "\n", encoding="utf-8")
            _take_name(work, target)


def _check_owned(folder: Path, target: Path, ours: set[str]) -> None:
    """Raise ``OutputError`` where there is something at the target that no earlier run wrote."""
    if target.is_symlink():
        raise OutputError(f"The output '{folder}' is a link to '{target.resolve()}'; name the folder itself.")
    if target.exists() and not target.is_dir():
        raise OutputError(f"The output '{folder}' is a file; name a folder.")
    with writing(folder):
        found = [
            path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_symlink() or path.is_file()
        ]
    other = sorted(name for name in set(found) - ours - {MARKER} - _listed(target) if Path(name).name not in _LITTER)
    if other:
        names = ", ".join(f"'{name}'" for name in other[:3]) + (f" and {len(other) - 3} more" if other[3:] else "")
        raise OutputError(f"The output folder '{folder}' holds other files ({names}); name a new or an empty folder.")


def _listed(target: Path) -> set[str]:
    """The files of an earlier result, as its marker lists them."""
    try:
        listed = json.loads((target / MARKER).read_text(encoding="utf-8"))["files"]
        return {name for name in listed if isinstance(name, str)}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _check_apart(folder: Path, target: Path, inputs: Iterable[Path]) -> None:
    """Raise ``OutputError`` where the target holds an input, or lies in one."""
    place = target.resolve()
    for path in inputs:
        source = path.resolve()
        if source.is_relative_to(place):
            raise OutputError(f"The output folder '{folder}' holds the input '{path}'; name another folder.")
        if place.is_relative_to(source):
            raise OutputError(f"The output folder '{folder}' lies in the input '{path}'; name a folder outside of it.")


def _former(target: Path) -> str:
    return f".{target.name[:60]}.former-"


def _bring_back(target: Path) -> None:
    """Give an earlier result its name again where a run was killed between taking it away and putting its own there."""
    for place in target.parent.iterdir() if target.parent.is_dir() else ():
        if place.name.startswith(_former(target)) and place.is_dir():
            if not target.exists() and (place / "results").is_dir():
                (place / "results").rename(target)
            shutil.rmtree(place, ignore_errors=True)


def _take_name(work: Path, target: Path) -> None:
    """Rename ``work`` to ``target``; an earlier target comes back when that fails."""
    if not target.exists():
        work.rename(target)
        return
    earlier = Path(tempfile.mkdtemp(prefix=_former(target), dir=target.parent)) / "results"
    target.rename(earlier)
    try:
        work.rename(target)
    except OSError:
        earlier.rename(target)
        _remove_empty([earlier.parent])
        raise
    shutil.rmtree(earlier.parent, ignore_errors=True)
