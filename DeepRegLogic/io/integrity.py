"""What ITK passes over without a word: files that are cut short, and NIfTI pixels that are no numbers."""

from __future__ import annotations

import math
import struct
import zlib
from pathlib import Path

import numpy as np

from ..errors import InputError
from .formats import suffix_of
from .guard import disagree
from .steps import NIFTI, nifti_files, nifti_header, unzipped

_CHUNK = 1 << 22


def check_complete(path: Path) -> None:
    """Look through a NIfTI, JPEG or BMP file, whose faults ITK hides: it reads zeros for what is missing or NaN.

    Raises
    ------
    InputError : the file is cut short, or a frame of it has NaN or infinite pixels.
    """
    suffix = suffix_of(path)
    try:
        if suffix in NIFTI:
            complete = _nifti_complete(path)
        elif suffix in (".jpg", ".jpeg"):
            complete = _jpeg_complete(path)
        elif suffix == ".bmp":
            with open(path, "rb") as file:
                complete = path.stat().st_size >= struct.unpack("<I", file.read(6)[2:])[0]
        else:
            complete = True
    except InputError:
        raise
    except (OSError, EOFError, zlib.error, struct.error, ValueError, OverflowError):
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


def _nifti_complete(path: Path) -> bool:
    head, body = nifti_files(path)
    header = nifti_header(head)
    size, dtype, start = header.size, header.dtype, header.start
    with unzipped(body) as file:
        need, have = math.prod(size) * header.bytes_each, 0
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
