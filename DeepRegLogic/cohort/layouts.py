"""Where the studies lie in a folder: of one's own, as ACDC has them, or in the manner of BIDS."""

from __future__ import annotations

import gzip
import re
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path

from ..io.dicom.series import is_dicom
from ..io.formats import PAIRS, PICTURES, SUFFIXES, natural, stem_of, suffix_of

_LABELS = ("_labels", "_label", "_seg", "_dseg", "_gt", "_mask")
_NIFTI = (".nii.gz", ".nii")


@dataclass
class Found:
    """What is in a folder.

    Attributes
    ----------
    rows : the studies, each with "name", "input" and, where they are known, "labels" and "reference".
    strays : what belongs to no study.
    """

    rows: list[dict[str, str]] = field(default_factory=list)
    strays: list[Path] = field(default_factory=list)


def find_studies(folder: Path, without: Path, with_labels: bool) -> Found:
    """The studies of a folder, in the natural order of their names.

    ACDC: ``patient001/patient001_4d.nii.gz``, with the labels of the end-diastolic frame that its ``Info.cfg`` names.
    In the manner of BIDS: every image over time (``.nii``, ``.nii.gz``) below ``sub-*``. Else every entry is a study.

    Parameters
    ----------
    without : what is in there is left out: the output.
    with_labels : whether files that end in ``_labels``, ``_seg``, ``_dseg``, ``_gt``, ``_mask`` or ``.seg.nrrd`` are
        labels of the cine of the same name beside them, which one can say who knows on what frame they were drawn.
    """
    without = without.resolve()
    entries = [p for p in folder.iterdir() if not p.name.startswith(".") and not without.is_relative_to(p.resolve())]
    entries.sort(key=natural)
    patients = [p for p in entries if p.is_dir() and (p / f"{p.name}_4d.nii.gz").is_file()]
    if patients:
        return _acdc(entries, patients)
    if any(p.is_dir() and p.name.startswith("sub-") for p in entries):
        return _bids(entries, with_labels)
    return _plain(entries, with_labels)


def _acdc(entries: list[Path], patients: list[Path]) -> Found:
    found = Found(strays=[p for p in entries if p not in patients])
    for patient in patients:
        row = {"name": patient.name, "input": str(patient / f"{patient.name}_4d.nii.gz")}
        about = patient / "Info.cfg"
        drawn = re.search(r"^ED:\s*(\d+)", about.read_text(errors="replace"), re.MULTILINE) if about.is_file() else None
        if drawn:
            labels = patient / f"{patient.name}_frame{int(drawn[1]):02d}_gt.nii.gz"
            if labels.is_file():
                row |= {"labels": str(labels), "reference": str(int(drawn[1]) - 1)}
        found.rows.append(row)
    return found


def _bids(entries: list[Path], with_labels: bool) -> Found:
    subjects = [p for p in entries if p.is_dir() and p.name.startswith("sub-")]
    files = sorted(f for p in subjects for f in p.rglob("*") if f.is_file() and not f.name.startswith("."))
    found = Found(strays=[p for p in entries if p not in subjects])
    images = [path for path in files if suffix_of(path) in _NIFTI]
    cines = [path for path in images if not _is_labels(path) and _axes(path) > 3]
    used = set(cines)
    for path in cines:
        row = {"name": stem_of(path), "input": str(path)}
        labels = _labels_beside(path, images) if with_labels else None
        if labels is not None:
            used.add(labels)
            row["labels"] = str(labels)
        found.rows.append(row)
    found.strays += [path for path in files if path not in used and path.suffix != ".json"]
    return found


def _plain(entries: list[Path], with_labels: bool) -> Found:
    found = Found()
    cines = [path for path in entries if _may_be_cine(path)]
    used = set(cines)
    for path in cines:
        row = {"name": stem_of(path) if path.is_file() else path.name, "input": str(path)}
        labels = _labels_beside(path, entries) if with_labels else None
        if labels is not None:
            used.add(labels)
            row["labels"] = str(labels)
        found.rows.append(row)
    found.strays = [path for path in entries if path not in used]
    return found


def _is_labels(path: Path) -> bool:
    return suffix_of(path) == ".seg.nrrd" or stem_of(path).lower().endswith(_LABELS)


def _labels_beside(cine: Path, files: list[Path]) -> Path | None:
    """The labels that go with a cine: ``a.nii.gz`` with ``a_labels.nii.gz``, ``sub-1_cine`` with ``sub-1_dseg``."""
    stem = stem_of(cine)
    stems = {stem, stem.rpartition("_")[0]} - {""}
    for path in files:
        if path.parent == cine.parent and _is_labels(path):
            own = stem_of(path)
            bare = next((own[: -len(end)] for end in _LABELS if own.lower().endswith(end)), own)
            if bare in stems:
                return path
    return None


def _may_be_cine(path: Path) -> bool:
    if path.is_dir():
        return any(p.is_file() for p in path.rglob("*") if not p.name.startswith("."))
    if not path.is_file() or _is_labels(path) or suffix_of(path) in PICTURES:
        return False
    if suffix_of(path) in (*SUFFIXES, *PAIRS):
        return suffix_of(path) not in (".img", ".img.gz")  # which goes with its header
    return path.stat().st_size > 0 and is_dicom(path)


def _axes(path: Path) -> int:
    """How many axes a NIfTI file has; 4 where that cannot be told, so that its reader says what is wrong with it."""
    try:
        with gzip.open(path) if path.name.endswith(".gz") else open(path, "rb") as file:
            head = file.read(48)
        size = struct.unpack("<i", head[:4])[0]
        order = "<" if size in (348, 540) else ">"
        version2 = 540 in (size, struct.unpack(">i", head[:4])[0])
        axes: int = struct.unpack(order + ("q" if version2 else "h"), head[16:24] if version2 else head[40:42])[0]
    except (OSError, EOFError, zlib.error, struct.error):
        return 4
    return axes
