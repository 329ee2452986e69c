"""What ITK passes over without a word: files that are cut short, and NIfTI pixels that are no numbers."""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from pathlib import Path

import numpy as np

from ..errors import InputError
from .formats import suffix_of

_CHUNK = 1 << 22


def check_complete(path: Path) -> None:
    """Look through a NIfTI, JPEG or BMP file, whose faults ITK hides: it reads zeros for what is missing or NaN.

    Raises
    ------
    InputError : the file is cut short, or a frame of it has NaN or infinite pixels.
    """
    suffix = suffix_of(path)
    try:
        if suffix in (".nii", ".nii.gz"):
            complete = _nifti_complete(path)
        elif suffix in (".jpg", ".jpeg"):
            complete = b"\xff\xd9" in path.read_bytes()[-1024:]
        elif suffix == ".bmp":
            with open(path, "rb") as file:
                complete = path.stat().st_size >= struct.unpack("<I", file.read(6)[2:])[0]
        else:
            complete = True
    except (OSError, EOFError, zlib.error, struct.error):
        complete = False
    if not complete:
        raise InputError(f"'{path}' is cut short or damaged; copy it again.")


def _nifti_header(file: io.BufferedIOBase) -> tuple[tuple[int, ...], np.dtype | None, int, int]:
    """Size, type (None where it is not floating point), bits a pixel and start of the pixels; NIfTI-1 or NIfTI-2."""
    head = file.read(348)
    order = "<" if struct.unpack("<i", head[:4])[0] in (348, 540) else ">"
    if struct.unpack(order + "i", head[:4])[0] == 540:
        kind, bits = struct.unpack(order + "2h", head[12:16])
        dims, start = struct.unpack(order + "8q", head[16:80]), struct.unpack(order + "q", head[168:176])[0]
    else:
        kind, bits = struct.unpack(order + "2h", head[70:74])
        dims, start = struct.unpack(order + "8h", head[40:56]), struct.unpack(order + "f", head[108:112])[0]
    dtype = {16: np.dtype(order + "f4"), 64: np.dtype(order + "f8")}.get(kind)
    return tuple(max(n, 1) for n in dims[1 : dims[0] + 1]), dtype, bits, int(start)


def _nifti_complete(path: Path) -> bool:
    with open(path, "rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    with gzip.open(path) if zipped else open(path, "rb") as file:
        size, dtype, bits, start = _nifti_header(file)
        need, have = int(np.prod(size, dtype=np.int64)) * bits // 8, 0
        if start < 0 or start > 1 << 40:
            return False
        file.seek(start)
        while have < need and (chunk := file.read(_CHUNK)):
            if dtype is not None:
                pixels = np.frombuffer(chunk[: len(chunk) // dtype.itemsize * dtype.itemsize], dtype)
                wrong = np.flatnonzero(~np.isfinite(pixels))
                if len(wrong):
                    frame = (have // dtype.itemsize + int(wrong[0])) // int(np.prod(size[:3], dtype=np.int64))
                    raise InputError(
                        f"Frame {frame} of '{path}' has NaN or infinite pixels; replace them (for example with 0)."
                    )
            have += len(chunk)
    return have >= need
