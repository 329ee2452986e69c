"""What ITK passes over without a word: files that are cut short, and NIfTI pixels that are no numbers."""

from __future__ import annotations

import gzip
import io
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from ..errors import InputError
from .formats import suffix_of
from .guard import disagree

_CHUNK = 1 << 22
_NIFTI_BYTES = {2: 1, 4: 2, 8: 4, 16: 4, 64: 8, 128: 3, 256: 1, 512: 2, 768: 4, 1024: 8, 1280: 8, 2304: 4, 32: 8}
"""Of a pixel, by the code of its type."""


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
            complete = _jpeg_complete(path)
        elif suffix == ".bmp":
            with open(path, "rb") as file:
                complete = path.stat().st_size >= struct.unpack("<I", file.read(6)[2:])[0]
        else:
            complete = True
    except (OSError, EOFError, zlib.error, struct.error):
        complete = False
    if not complete:
        raise InputError(f"'{path}' is cut short or damaged; copy it again.")


def _jpeg_complete(path: Path) -> bool:
    from PIL import Image

    try:
        with Image.open(path) as picture:
            picture.load()
    except Exception:  # it raises almost anything on damaged data
        return False
    return b"\xff\xd9" in path.read_bytes()[-1024:]


def _nifti_header(file: io.BufferedIOBase) -> tuple[tuple[int, ...], np.dtype | None, int, int]:
    """Size, type (None where it is not floating point), bytes a pixel and start of the pixels; NIfTI-1 or NIfTI-2."""
    head = file.read(348)
    order = "<" if struct.unpack("<i", head[:4])[0] in (348, 540) else ">"
    if struct.unpack(order + "i", head[:4])[0] == 540:
        (kind,) = struct.unpack(order + "h", head[12:14])
        dims, start = struct.unpack(order + "8q", head[16:80]), struct.unpack(order + "q", head[168:176])[0]
    else:
        (kind,) = struct.unpack(order + "h", head[70:72])
        dims, start = struct.unpack(order + "8h", head[40:56]), struct.unpack(order + "f", head[108:112])[0]
    dtype = {16: np.dtype(order + "f4"), 64: np.dtype(order + "f8")}.get(kind)
    if not 1 <= dims[0] <= 7 or min(dims[1 : dims[0] + 1]) < 1 or kind not in _NIFTI_BYTES or not 0 <= start < 1 << 40:
        raise EOFError("a header that no file has")
    return dims[1 : dims[0] + 1], dtype, _NIFTI_BYTES[kind], int(start)


def _nifti_complete(path: Path) -> bool:
    with open(path, "rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    with gzip.open(path) if zipped else open(path, "rb") as file:
        size, dtype, bytes_each, start = _nifti_header(file)
        need, have = math.prod(size) * bytes_each, 0
        file.seek(start)
        while have < need and (chunk := file.read(min(_CHUNK, need - have))):
            if dtype is not None:
                pixels = np.frombuffer(chunk[: len(chunk) // dtype.itemsize * dtype.itemsize], dtype)
                wrong = np.flatnonzero(~np.isfinite(pixels))
                if len(wrong):
                    frame = (have // dtype.itemsize + int(wrong[0])) // math.prod(size[:3])
                    raise InputError(
                        f"Frame {frame} of '{path}' has NaN or infinite pixels; replace them (for example with 0)."
                    )
            have += len(chunk)
        if have == need and file.read(1):
            raise disagree(path, more=True)
    return have == need
