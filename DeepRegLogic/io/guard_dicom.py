"""What is looked at before a DICOM file is unpacked, and after: how much comes out of it, and what is left over."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from .guard import check_budget, disagree

if TYPE_CHECKING:
    from pydicom import Dataset

_DEFLATED = b"1.2.840.10008.1.2.1.99"
_CHUNK = 1 << 20
_LEAST, _RATIO = 1 << 26, 100  # bytes that any file may unpack to, and how much more than it has


def check_inflated(path: Path) -> None:
    """Look at how much a deflated file unpacks to, which pydicom does at once and as a whole; nothing is kept.

    Raises
    ------
    InputError : more than a hundred times what it is. MemoryBudgetError : more than there is memory.
    """
    with open(path, "rb") as file:
        head = file.read(2048)
        if _DEFLATED not in head or head[128:132] != b"DICM":
            return
        file.seek(144 + struct.unpack("<I", head[140:144])[0])  # after the group of the file's own description
        most, found, inflater = max(_LEAST, _RATIO * path.stat().st_size), 0, zlib.decompressobj(-zlib.MAX_WBITS)
        rest = b""
        try:
            while (rest := rest or file.read(_CHUNK)) and not inflater.eof:
                found += len(inflater.decompress(rest, _CHUNK))
                rest = inflater.unconsumed_tail
                if found > most:
                    raise InputError(
                        f"'{path}' unpacks to more than {most / 1e6:.0f} MB, a hundred times what images do; "
                        "convert it to an uncompressed transfer syntax if it can be trusted."
                    )
        except zlib.error as error:
            raise disagree(path, more=False) from error
    check_budget(str(path), found, None)


def check_left_over(dataset: Dataset, path: Path, expected: int) -> None:
    """Raise ``InputError`` where uncompressed pixels of a row or more are left over by what the header tells of."""
    if dataset.file_meta.TransferSyntaxUID.is_compressed and dataset.file_meta.TransferSyntaxUID != _DEFLATED.decode():
        return
    row = int(dataset.Columns) * max(int(dataset.BitsAllocated) // 8, 1)
    if len(dataset.get("PixelData") or b"") - expected >= max(row, 2):
        raise disagree(path, more=True)
