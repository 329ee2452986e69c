"""Where images and labels lie in a folder to train on: ``LAYOUTS`` by name, of one's own and of public data sets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..io.formats import stem_of, suffix_of
from ..registry import Registry


@dataclass(frozen=True)
class Case:
    """One image: its name, what it may be paired with (a group), its file, and the file of its labels."""

    name: str
    group: str
    image: Path
    labels: Path | None = None


Layout = Callable[[Path], list[Case]]
"""The cases in a folder; those that have no file are not listed."""

LAYOUTS: Registry[Layout] = Registry("layout")


def layout(name: str) -> Callable[[Layout], Layout]:
    """Add a layout to ``LAYOUTS``."""

    def add(cases: Layout) -> Layout:
        return LAYOUTS.add(name, cases)

    return add


@layout("folder")
def own_folder(folder: Path) -> list[Case]:
    """Images of one's own in ``images``, labels of the same names in ``labels``; a subfolder is a group."""
    cases = []
    for image in sorted(p for p in (folder / "images").rglob("*") if p.is_file() and not p.name.startswith(".")):
        place = image.relative_to(folder / "images").parent
        name = stem_of(image)
        near = (p for p in (folder / "labels" / place).glob(f"{name}.*") if p.name == name + suffix_of(p))
        cases.append(Case(name, str(place), image, next(near, None)))
    return cases
