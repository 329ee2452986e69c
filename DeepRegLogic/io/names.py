"""File names: the suffix that tells the format, the stem that tells the name, and the order a human would give them."""

from __future__ import annotations

import re
from pathlib import Path

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
SUFFIXES = (".seq.nrrd", ".seg.nrrd", ".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", *PICTURES)


def suffix_of(path: Path) -> str:
    """The suffix that tells the format, in lower case: ".seq.nrrd" and ".nii.gz" are one suffix each."""
    name = path.name.lower()
    return next((s for s in SUFFIXES if name.endswith(s)), path.suffix.lower())


def stem_of(path: Path) -> str:
    """The file name without the suffix that tells the format."""
    return path.name[: len(path.name) - len(suffix_of(path))] or path.name


def natural(path: Path) -> list[tuple[int, int | str]]:
    """Sorting key of a path in which "frame 10" comes after "frame 9"."""
    return [(0, int(word)) if word.isdigit() else (1, word.lower()) for word in re.split(r"(\d+)", path.name)]


def safe_name(name: str) -> str:
    """``name`` as a file name on any system: letters, digits, dot, dash and underscore."""
    return re.sub(r"[^\w.-]+", "_", name).strip("._") or "cine"


def listing(paths: list[Path] | tuple[Path, ...], most: int = 6) -> str:
    """The names of some files for a sentence."""
    names = ", ".join(f"'{path.name}'" for path in paths[:most])
    return names if len(paths) <= most else f"{names} and {len(paths) - most} more"
