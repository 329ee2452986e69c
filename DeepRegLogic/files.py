"""Writing that ends whole or not at all, once for all rooms: a hidden place beside the target, renamed last.

    with whole_file("cine.nrrd") as part: ...         the file written to ``part`` becomes the target
    with whole_folder("frames") as part: ...          what is written there is added to the folder
    with own_folder("out", [input]) as work: ...      the folder is all ours: a marker in it lists what was written

Whatever is raised inside, nothing is left behind. A hidden place is locked while it is used, so that one left by a run
that was killed is known, and removed by the next. A sentence names the place that the user named, never a hidden one.
"""

from __future__ import annotations

import errno
import hashlib
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
    import msvcrt

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


@contextmanager
def _called(hidden: Path, asked: Path) -> Iterator[None]:
    """Within the block sentences call a hidden place what the user calls it."""
    token = _places.set((*_places.get(), (hidden, asked)))
    try:
        yield
    finally:
        _places.reset(token)


def _sentence(target: Path, error: Exception) -> str:
    number = getattr(error, "errno", None)
    place = named(target)
    text = getattr(error, "strerror", None) or str(error)
    for hidden, asked in reversed(_places.get()):
        text = text.replace(str(hidden), str(asked))
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or "No space left" in str(error):
        return f"'{place}' could not be written: the disk is full; free some space or choose another folder."
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"'{place}' could not be written: no permission; choose another folder."
    if number in (errno.ENOTDIR, errno.EEXIST):
        return f"'{place}' could not be written: a part of its path is a file, not a folder; choose another folder."
    lines = [line.strip() for line in text.splitlines() if line.strip()]
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


def _new_place(home: Path, prefix: str) -> tuple[Path, int]:
    """A new hidden folder, and the handle that locks it for as long as this process lives, or until it is closed."""
    while True:
        place = Path(tempfile.mkdtemp(prefix=prefix, dir=home.absolute()))
        try:
            return place, _hold(place)
        except OSError as error:
            shutil.rmtree(place, ignore_errors=True)
            if not isinstance(error, FileNotFoundError):
                raise


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Within the block no other process is in such a block for the same folder, where the drive has locks."""
    handle = os.open(folder / _HELD, os.O_CREAT | os.O_RDWR) if fcntl is None else os.open(folder, os.O_RDONLY)
    try:
        if sys.platform == "win32":
            msvcrt.locking(handle, msvcrt.LK_LOCK, 1)
        else:
            with suppress(OSError):  # some network drives have no locks
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
        if fcntl is None:
            with suppress(OSError):  # another process holds it
                (folder / _HELD).unlink()


def _hold(place: Path) -> int:
    """Lock a new place; FileNotFoundError where another run took it for abandoned before it was locked."""
    if fcntl is None:
        return os.open(place / _HELD, os.O_CREAT | os.O_RDWR)
    handle = os.open(place, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        lost = not place.exists()
    except BlockingIOError:
        lost = True
    except OSError:  # some network drives have no locks
        lost = False
    if lost:
        os.close(handle)
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(place))
    return handle


def _remove_abandoned(place: Path) -> None:
    """Remove a hidden place unless a living process holds it."""
    if fcntl is None:
        with suppress(PermissionError):
            (place / _HELD).unlink(missing_ok=True)
            shutil.rmtree(place, ignore_errors=True)
        return
    with suppress(OSError):
        handle = os.open(place, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(place, ignore_errors=True)  # still locked, so that a run that has just made it sees
        finally:
            os.close(handle)


def _hidden_name(target: Path, kind: str) -> str:
    """What the names of a target's hidden folders begin with: not those of any other's, and short."""
    name = os.fsencode(target.name)
    short = target.name if len(name) <= 120 else f"{target.name[:30]}-{hashlib.sha256(name).hexdigest()[:16]}"
    return f".{short}.{kind}-"


def _hidden_places(home: Path, prefix: str) -> list[Path]:
    """The folders in ``home`` that are called ``prefix`` and one word more."""
    found = [place for place in home.iterdir() if place.name.startswith(prefix)] if home.is_dir() else []
    return [p for p in found if "." not in p.name[len(prefix) :] and p.is_dir() and not p.is_symlink()]


@contextmanager
def _hidden(home: Path, prefix: str, asked: Path) -> Iterator[Path]:
    """A new hidden folder in ``home``, called ``asked`` in sentences; removed at the end, as are new parents."""
    new: list[Path] = []
    place, handle = None, None
    try:
        with writing(asked):
            new = _make_folder(home)
            for former in _hidden_places(home, prefix):
                _remove_abandoned(former)
            place, handle = _new_place(home, prefix)
        with _called(place, asked):
            yield place
    finally:
        if handle is not None:
            os.close(handle)
        if place is not None:
            shutil.rmtree(place, ignore_errors=True)
        _remove_empty(new)


def expanded(path: str | Path) -> Path:
    """With the home folder for a ``~``; a name that begins with one and is nobody's stays as it is."""
    return Path(os.path.expanduser(path))


def require_text(path: str | Path) -> None:
    """Raise ``OutputError`` for a path that is no text in this system's encoding, which libraries cannot write."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise OutputError(f"The name of '{path}' is not in the encoding of this system; choose another.") from error


def cache_folder() -> Path:
    """Where the user's system keeps what can be made again, a folder of our own in it; it need not be there yet."""
    if sys.platform == "win32":
        home = os.environ.get("LOCALAPPDATA") or os.path.expanduser("~/AppData/Local")
    elif sys.platform == "darwin":
        home = os.path.expanduser("~/Library/Caches")
    else:
        home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(home) / "temporal-registration"


def _files(folder: Path) -> set[str]:
    """The names of all that is in a folder and below, but for the folders themselves."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()}


def _check_kinds(source: Path, target: Path) -> None:
    """Raise ``OutputError`` where a file would have to take the place of a folder, or a folder that of a file."""
    for path in sorted(source.rglob("*")):
        place = target / path.relative_to(source)
        if os.path.lexists(place) and place.is_dir() != path.is_dir():
            kind = "folder" if place.is_dir() else "file"
            raise OutputError(f"'{named(place)}' could not be written: there is a {kind} of that name.")


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
    path = expanded(path)
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
    folder = expanded(folder)
    with _hidden(folder, ".unfinished-", folder) as place, writing(folder):
        yield place
        _check_kinds(place, folder)
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
    folder = expanded(folder)
    target, ours = Path(os.path.abspath(folder)), set(ours)
    with writing(folder):
        _check_owned(folder, target, ours)
        _check_apart(folder, target, [expanded(place) for place in inputs])
        _bring_back(target)
    prefix = _hidden_name(target, "unfinished")
    with _hidden(target.parent, prefix, folder) as place, _called(place / "results", folder):
        work = place / "results"
        with writing(folder):
            work.mkdir()
        yield work
        with writing(folder):
            text = json.dumps({"written by": "TemporalRegistration", "files": sorted(_files(work))}, indent=1)
            (work / MARKER).write_text(text + "\n", encoding="utf-8")
            _check_owned(folder, target, ours)  # it may have got something while the work went on
            _take_name(work, target)


def _check_owned(folder: Path, target: Path, ours: set[str]) -> None:
    """Raise ``OutputError`` where there is something at the target that no earlier run wrote."""
    if target.is_symlink():
        raise OutputError(f"The output '{folder}' is a link to '{target.resolve()}'; name the folder itself.")
    if target.exists() and not target.is_dir():
        raise OutputError(f"The output '{folder}' is a file; name a folder.")
    names = _files(target) - ours - {MARKER} - _listed(target)
    other = sorted(name for name in names if Path(name).name not in _LITTER)
    if other:
        some = ", ".join(f"'{name}'" for name in other[:3]) + (f" and {len(other) - 3} more" if other[3:] else "")
        raise OutputError(f"The output folder '{folder}' holds other files ({some}); name a new or an empty folder.")


def _listed(target: Path) -> set[str]:
    """The files of an earlier result, as its marker lists them."""
    try:
        listed = json.loads((target / MARKER).read_text(encoding="utf-8"))["files"]
        return {name for name in listed if isinstance(name, str)}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _check_apart(folder: Path, target: Path, inputs: Iterable[Path]) -> None:
    """Raise ``OutputError`` where the target holds an input, or lies in one, or is where we are."""
    place = target.resolve()
    if Path.cwd().is_relative_to(place):  # another folder takes its name, and who is in it is nowhere
        raise OutputError(f"The output folder '{folder}' is the one that you are in; name a folder in it or elsewhere.")
    for path in inputs:
        try:
            source = path.resolve()
        except (OSError, ValueError, RuntimeError):  # it is nowhere, as its reader will tell
            continue
        if source.is_relative_to(place):
            raise OutputError(f"The output folder '{folder}' holds the input '{path}'; name another folder.")
        if place.is_relative_to(source):
            raise OutputError(f"The output folder '{folder}' lies in the input '{path}'; name a folder outside of it.")


def _bring_back(target: Path) -> None:
    """Give an earlier result its name again where a run was killed between taking it away and putting its own there."""
    for place in _hidden_places(target.parent, _hidden_name(target, "former")):
        if not target.exists() and (place / "results").is_dir():
            (place / "results").rename(target)
        shutil.rmtree(place, ignore_errors=True)


def _take_name(work: Path, target: Path) -> None:
    """Rename ``work`` to ``target``; an earlier target comes back when that fails."""
    if not target.exists():
        work.rename(target)
        return
    former = Path(tempfile.mkdtemp(prefix=_hidden_name(target, "former"), dir=target.parent))
    earlier = former / "results"
    try:
        target.rename(earlier)
        work.rename(target)
    finally:
        if earlier.exists() and not target.exists():
            earlier.rename(target)
        shutil.rmtree(former, ignore_errors=True)
