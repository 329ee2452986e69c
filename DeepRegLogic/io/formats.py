"""What formats have in common: suffixes, names, units of time, grey values of colours. Needs numpy alone."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
PAIRS = (".img.gz", ".hdr.gz", ".img", ".hdr")
"""NIfTI and Analyze in two files: of either, both are read."""
SUFFIXES = (".seq.nrrd", ".seg.nrrd", ".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", *PICTURES)


_UNITS = {
    1e-9: ("ns", "nsec", "nanosec", "nanosecond"),
    1e-6: ("us", "\u00b5s", "\u03bcs", "usec", "\u00b5sec", "\u03bcsec", "microsec", "microsecond"),
    1e-3: ("ms", "msec", "millisec", "millisecond"),
    1.0: ("s", "sec", "second"),
    60.0: ("min", "minute"),
    3600.0: ("h", "hr", "hour"),
}
_SECONDS = {spelling: factor for factor, names in _UNITS.items() for name in names for spelling in (name, f"{name}s")}
_LONGEST_STEP = 1e9  # s, some thirty years: what is longer is no time between frames

_TIME_TAGS = ("", "TriggerTime", "AcquisitionTime", "SeriesTime", "ContentTime", "DeltaStartTime")
"""The elements by which Slicer's importer of multi-volumes labels frames, as far as they are times."""

_LONGEST = 100  # bytes of a name; systems have 255 for it and what is added to it
_RESERVED = re.compile(r"con|prn|aux|nul|(com|lpt)[0-9¹²³]|conin\$|conout\$", re.IGNORECASE)  # on Windows

LUMINANCE = (0.299, 0.587, 0.114)
"""Weights of red, green and blue (ITU-R BT.601)."""


def suffix_of(path: Path) -> str:
    """The suffix that tells the format, in lower case: ".seq.nrrd" and ".nii.gz" are one suffix each."""
    name = path.name.lower()
    return next((s for s in (*SUFFIXES, *PAIRS) if name.endswith(s)), path.suffix.lower())


def stem_of(path: Path) -> str:
    """The file name without the suffix that tells the format."""
    return path.name[: len(path.name) - len(suffix_of(path))] or path.name


def natural(path: Path) -> list[tuple[int, int | str]]:
    """Sorting key of a path in which "frame 10" comes after "frame 9"."""
    return [(0, int(word)) if word.isdigit() else (1, word.lower()) for word in re.split(r"(\d+)", path.name)]


def safe_name(name: str) -> str:
    """``name`` as a file name on any system: letters, digits, dot, dash and underscore, and not too many."""
    return _short(re.sub(r"[^\w.-]+", "_", name).strip("._")) or "cine"


def safe_title(title: str) -> str:
    """``title``, its blanks kept, as the name of a file or folder on any system.

    One that has to be changed for it gets a mark of its own, which tells it from all others.
    """
    kept = "".join(c if unicodedata.category(c)[0] in "LMN" or c in " .-_()" else "_" for c in title)
    kept = _short(kept.strip(" ._"))
    if kept and kept == title:
        return kept
    mark = hashlib.sha256(title.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{kept}-{mark}".lstrip("-")


def _short(name: str) -> str:
    """Cut to the bytes that a name may have, and no name that a system has for itself."""
    short = name.encode("utf-8", "ignore")[:_LONGEST].decode("utf-8", "ignore").rstrip(" ._")
    return f"_{short}" if _RESERVED.fullmatch(short.partition(".")[0].strip()) else short


def listing(paths: list[Path] | tuple[Path, ...], most: int = 6) -> str:
    """The names of some files for a sentence."""
    names = ", ".join(f"'{path.name}'" for path in paths[:most])
    return names if len(paths) <= most else f"{names} and {len(paths) - most} more"


def luminance(colour: np.ndarray) -> np.ndarray:
    """Red, green, blue ``[..., 3 or more]`` to luminance ``[...]`` of the same type (ITU-R BT.601 weights)."""
    grey = colour[..., 0] * LUMINANCE[0] + colour[..., 1] * LUMINANCE[1] + colour[..., 2] * LUMINANCE[2]
    return (np.rint(grey) if colour.dtype.kind in "ui" else grey).astype(colour.dtype)


def seconds_in(unit: str) -> float | None:
    """How many seconds a unit of time has, by any usual name ("ms", "[s]", "Milli-seconds", "sec."); or None."""
    return _SECONDS.get(re.sub(r"[\s\-._()\[\]{}\"']", "", unit).lower())


def usable_times(
    values: Sequence[float] | np.ndarray | None, unit: str, count: int
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Frame times in seconds, or None (frames are numbered) with the note that says why."""
    if values is None:
        return None, ("The header gives no times of its frames; frames are numbered instead.",)
    times = np.asarray(values, dtype=float)
    if len(times) != count or not np.isfinite(times).all() or np.any(np.diff(times) <= 0):
        return None, ("The frame times in the header do not rise from frame to frame; frames are numbered instead.",)
    factor = seconds_in(unit)
    if factor is None:
        return None, ("The header gives no unit of time for its frames; frames are numbered instead.",)
    times = times * factor
    if count > 1 and np.diff(times).max() > _LONGEST_STEP:
        return None, ("The frame times in the header lie decades apart; frames are numbered instead.",)
    return times, ()


def spelled(times: np.ndarray) -> list[str]:
    """Frame times in as many digits as tell them apart: nine, or all where a clock counts from long ago."""
    short = [f"{time:.9g}" for time in times]
    apart = 1e-3 * np.diff(times).min() if len(times) > 1 else np.inf
    exact = np.abs(np.array(short, dtype=float) - times).max() <= apart
    return short if exact else [repr(float(time)) for time in times]


def multivolume_times(attributes: Mapping[str, str], count: int) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Frame times in seconds by the attributes "MultiVolume.*" that Slicer's importer gives to images over time.

    Its labels may be echo times, flip angles or percentages as well, and where it sorted images by their numbers they
    are multiples of the repetition time: these are no times of frames.
    """
    tag = attributes.get("MultiVolume.FrameIdentifyingDICOMTagName", "")
    if tag not in _TIME_TAGS or "RepetitionTime" in attributes.get("MultiVolume.ParseStrategy", ""):
        told = "multiples of the repetition time" if tag == "Time" else f"'{tag}'"
        return None, (f"The frames are labelled by {told}, which tells no frame times; frames are numbered instead.",)
    labels = re.split(r"[,\s]+", attributes.get("MultiVolume.FrameLabels", "").strip(", \t\n"))
    return usable_times(numbers(labels), attributes.get("MultiVolume.FrameIdentifyingDICOMTagUnits", ""), count)


def numbers(words: Sequence[str]) -> list[float]:
    """The numbers that words spell, none where one of them is no number."""
    try:
        return [float(word) for word in words]
    except ValueError:
        return []
