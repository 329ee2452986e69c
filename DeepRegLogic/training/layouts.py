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


@layout("learn2reg")
def learn2reg(folder: Path) -> list[Case]:
    """``imagesTr`` and ``labelsTr`` with the same file names, as Learn2Reg has OASIS (``OASIS_0001_0000.nii.gz``)."""
    return _beside(folder / "imagesTr", folder / "labelsTr", lambda name: name.removesuffix("_0000"))


@layout("ixi")
def ixi(folder: Path) -> list[Case]:
    """IXI: ``IXI012-HH-1211-T1.nii.gz`` and the like; labels beside them as ``..._seg`` or ``..._label``."""
    return _suffixed(folder, ("_seg", "_label"), lambda name: name.split("-")[0])


@layout("acdc")
def acdc(folder: Path) -> list[Case]:
    """ACDC: ``patient001/patient001_frame01.nii.gz`` with ``..._gt.nii.gz``; a patient is a group: ED goes with ES."""
    return [
        case
        for patient in sorted(p for p in folder.rglob("patient*") if p.is_dir())
        for case in _suffixed(patient, ("_gt",), str, group=patient.name)
        if "_4d" not in case.name
    ]


@layout("mnms")
def mnms(folder: Path) -> list[Case]:
    """M&Ms: ``A0S9V9/A0S9V9_sa_ED.nii.gz`` (or ``A0S9V9_SA_ED``) with ``..._gt``; a subject is a group."""
    return [
        case
        for subject in sorted(p for p in folder.rglob("*") if p.is_dir())
        for case in _suffixed(subject, ("_gt",), str, group=subject.name)
        if case.name.upper().endswith(("_ED", "_ES"))
    ]


@layout("lpba40")
def lpba40(folder: Path) -> list[Case]:
    """LPBA40: ``S01.delineation.skullstripped.nii.gz`` with ``S01.delineation.structure.label.nii.gz``."""
    cases = []
    for image in _files(folder):
        if ".skullstripped" in image.name:
            name = image.name.split(".")[0]
            near = (p for p in _files(image.parent) if p.name.startswith(f"{name}.") and ".label" in p.name)
            labels = next(near, None)
            cases.append(Case(name, "", image, labels))
    return cases


def _files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith("."))


def _beside(images: Path, labels: Path, name: Callable[[str], str]) -> list[Case]:
    """Images of one folder, with the labels of the same file names in another."""
    return [
        Case(name(stem_of(image)), "", image, other if (other := labels / image.name).is_file() else None)
        for image in _files(images)
    ]


def _suffixed(folder: Path, suffixes: tuple[str, ...], name: Callable[[str], str], group: str = "") -> list[Case]:
    """Images of a folder whose labels lie beside them, with something more at the end of the name."""
    found = {(path.parent, stem_of(path)): path for path in _files(folder)}
    cases = []
    for (parent, stem), image in found.items():
        if stem.endswith(suffixes):
            continue
        labels = next((found[parent, stem + s] for s in suffixes if (parent, stem + s) in found), None)
        cases.append(Case(name(stem), group, image, labels))
    return cases
