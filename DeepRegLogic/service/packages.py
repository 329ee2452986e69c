"""The Python packages that this one needs, and which of them an environment lacks. Needs the standard library alone."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable

REQUIREMENTS = (
    "numpy>=1.26",
    "torch>=2.4",
    "SimpleITK>=2.3",
    "safetensors>=0.4",
    "pydicom>=2.4",
    "monai>=1.4",
    "pillow>=10",
    "matplotlib>=3.8",
)
"""Those of ``pyproject.toml``. pydicom 2.4 and numpy 2.0 are what Slicer 5.10 has."""


def lacking(requirements: Iterable[str] = REQUIREMENTS) -> list[str]:
    """The requirements ("name>=version") that this Python does not fulfil."""
    return [requirement for requirement in requirements if not _fulfils(requirement)]


def version_of(name: str) -> str:
    """The version of an installed package, "" where it is not there."""
    from importlib import metadata  # takes long to load, and most often nobody asks

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _fulfils(requirement: str) -> bool:
    name, _, wanted = requirement.partition(">=")
    found = version_of(name)
    if not found:  # what an application brings along has no metadata, and sometimes another name
        return importlib.util.find_spec(name) is not None
    return _numbers(found) >= _numbers(wanted)


def _numbers(version: str) -> tuple[int, ...]:
    """The release of a version: 2.13.0+cpu, 2.13.0rc1 -> (2, 13, 0)."""
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in found.group().split(".")) if found else ()
