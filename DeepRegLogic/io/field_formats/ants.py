"""ANTs' warps: five-dimensional NIfTI, intent "vector" (1007), LPS mm, as ``fields.write_field`` writes ``.nii.gz``."""

from __future__ import annotations

import struct
from pathlib import Path

from ..formats import suffix_of
from ..steps import nifti_header
from .nrrd import read, write, write_affine

__all__ = ["accepts", "read", "sizes", "write", "write_affine"]


def accepts(path: Path) -> bool:
    """Whether it is a NIfTI file of vectors: five axes, the last of three components."""
    return sizes(path)[3:] == (1, 3)


def sizes(path: Path) -> tuple[int, ...]:
    """The sizes along all axes of a NIfTI file; none where it is no such file."""
    if suffix_of(path) not in (".nii", ".nii.gz"):
        return ()
    try:
        return nifti_header(path).size
    except (OSError, EOFError, ValueError, struct.error):
        return ()
