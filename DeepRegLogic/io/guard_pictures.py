"""The header of a bitmap, which the library that reads it believes to the byte."""

from __future__ import annotations

import struct
from pathlib import Path

from ..errors import InputError
from .guard import disagree

_HEADERS = (40, 52, 56, 108, 124)


def check_bitmap(path: Path) -> None:
    """See ``images.check_header``: uncompressed bitmaps of 8, 24 or 32 bits are read."""
    with open(path, "rb") as file:
        head = file.read(54)
    if len(head) < 54 or head[:2] != b"BM":
        raise InputError(f"'{path}' is cut short or damaged; copy it again.")
    total, start, size, width, height, planes, bits, packing = struct.unpack("<I4xIIiiHHI", head[2:34])
    colours = struct.unpack("<I", head[46:50])[0]
    if size not in _HEADERS or planes != 1 or packing != 0 or bits not in (8, 24, 32) or width < 1 or height == 0:
        raise InputError(f"'{path}' is a bitmap of a kind that is not read, or damaged; save it as PNG.")
    table = 4 * (colours or 256) if bits == 8 else 4 * colours
    need = abs(height) * ((width * bits + 31) // 32 * 4)
    have = path.stat().st_size - start
    if colours > 256 or start < 14 + size + table or total > path.stat().st_size or have < need:
        raise disagree(path, False)
    if have > need + 4:  # some writers fill up the file
        raise disagree(path, True)
