"""What is looked at before a library opens a file: that it is one, and that its header tells the truth about it.

Some libraries wait for ever for a pipe, take the size of a header for granted, or crash on a damaged one.
"""

from __future__ import annotations

import bz2
import os
import stat
import zlib
from collections.abc import Callable
from pathlib import Path

from ..errors import InputError, MemoryBudgetError
from ..memory import available_gb

_CHUNK = 1 << 20
_KINDS = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}


def check_budget(name: str, size: int, memory_gb: float | None) -> None:
    """Raise ``MemoryBudgetError`` when ``size`` bytes of pixels are more than ``memory_gb``, or than there is."""
    budget = available_gb() if memory_gb is None else memory_gb
    if size > budget * 1e9:
        raise MemoryBudgetError(
            f"'{name}' holds {size / 1e9:.2f} GB of pixels, more than the {budget:.3g} GB that may be used; "
            "crop it, take fewer frames, or allow more memory."
        )


def require_file(path: Path) -> None:
    """Raise ``InputError`` unless ``path`` is a file with something in it that may be read; no pipe, no device."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise InputError(f"The name of '{path!s}' is not in the encoding of this system; rename it.") from error
    try:
        found = os.stat(path)
        mode = stat.S_IFMT(found.st_mode)
        if mode in _KINDS:
            raise InputError(f"'{path}' is {_KINDS[mode]}, not a file; copy what it gives into a file first.")
        if mode == stat.S_IFDIR:
            raise InputError(f"'{path}' is a folder; give its files, or the folder alone.")
        with open(path, "rb") as file:
            empty = not file.read(1)
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"There is no file or folder '{path}'.") from error
    except OSError as error:
        raise InputError(f"'{path}' may not be read: {error.strerror}.") from error
    if empty:
        raise InputError(f"'{path}' is an empty file.")


def require_beside(path: Path, name: str) -> Path:
    """The file of data that a header names, which must be in the header's folder, or below it.

    Raises
    ------
    InputError : it is elsewhere: a header from a stranger could name any file of the computer.
    """
    data = path.parent / name
    folder = path.parent.resolve()
    try:
        inside = name.strip() != "" and data.resolve().is_relative_to(folder)
    except (OSError, ValueError, RuntimeError):
        inside = False
    if not inside:
        raise InputError(f"'{path}' names data outside of its folder ({name[:80]!r}); put the data beside it.")
    require_file(data)
    return data


def disagree(path: Path, more: bool) -> InputError:
    """The error of a file whose header and data do not belong together."""
    if more:
        return InputError(
            f"'{path}' holds more pixels than its header tells; the header is damaged, or another file's."
        )
    return InputError(f"'{path}' is cut short or damaged: it holds fewer pixels than its header tells; copy it again.")


def check_stored(path: Path, data: Path, offset: int, need: int) -> None:
    """Raise ``InputError`` unless ``data`` holds exactly ``need`` bytes from ``offset`` on."""
    have = os.stat(data).st_size - offset
    if have != need:
        raise disagree(path, have > need)


def check_packed(path: Path, data: Path, offset: int, need: int, packing: str) -> None:
    """Raise ``InputError`` unless ``data`` unpacks from ``offset`` on to exactly ``need`` bytes, its checksum right.

    Nothing is kept of it, and no more is unpacked than that. ``packing`` is "zlib" (or gzip) or "bz2".
    """
    start: Callable[[], object] = bz2.BZ2Decompressor if packing == "bz2" else lambda: zlib.decompressobj(wbits=47)
    have, ended = 0, True
    with open(data, "rb") as file:
        file.seek(offset)
        rest = b""
        try:
            while rest := rest or file.read(_CHUNK):
                if ended:  # of one stream; another may follow
                    if have >= need:
                        break
                    stream, ended = start(), False
                have += len(stream.decompress(rest, _CHUNK))  # type: ignore[attr-defined]
                if have > need:
                    raise disagree(path, True)
                rest = stream.unused_data if stream.eof else _unread(stream)  # type: ignore[attr-defined]
                ended = stream.eof  # type: ignore[attr-defined]
        except (zlib.error, OSError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise disagree(path, False) from error
        if have < need or not ended:
            raise disagree(path, False)
        if (rest + file.read(_CHUNK)).strip(b"\0"):
            raise disagree(path, True)


def _unread(stream: object) -> bytes:
    """What a decompressor was given and has not taken yet."""
    return getattr(stream, "unconsumed_tail", b"")
