"""Cases of ``evaluate``: from files to a motion and what is known of its frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import io
from ..cine import Cine, Motion
from ..cohort.study import MASKS, masks_of
from ..errors import InputError
from ..evaluation.evaluate import LabelMap, Truth
from ..grid import Grid
from ..io.points import read_points
from ..progress import Reporter
from ..registration.pair import check_pair, in_own_space, pair_cine
from ..registration.register import follow, follow_pair
from ..results.results import Results

PAIR = (
    "fixed",
    "moving",
    "fixed_labels",
    "moving_labels",
    "fixed_points",
    "moving_points",
    "fixed_mask",
    "moving_mask",
)
CINE = ("input", "labels", "points")
COLUMNS = ("name", *CINE, "reference", *PAIR, "truth", "fields")
TEXTS = ("name", "reference")

Case = Mapping[str, str]
"""Paths and texts by the names of ``COLUMNS``."""


def check_case(case: Case, title: str) -> bool:
    """Whether a case is a pair; InputError where it is neither a pair nor a cine, or both."""
    pair, cine = ([name for name in names if name in case] for names in (PAIR, CINE))
    if bool(pair) == bool(cine) or (pair and not {"fixed", "moving"} <= set(pair)) or (cine and "input" not in case):
        raise InputError(f"{title} needs either an input, or a fixed and a moving image.")
    if pair and "reference" in case:
        raise InputError(f"{title}: the fixed image of a pair is the reference; leave the reference out.")
    if "reference" in case and not case["reference"].isdecimal():
        raise InputError(f"{title}: the reference '{case['reference']}' is no frame number.")
    return bool(pair)


def follow_case(case: Case, options: Mapping[str, Any], reporter: Reporter) -> tuple[Results, Truth]:
    """Read a case, register it, or take the fields that it names; its results and what is known of it."""
    work = _pair if "fixed" in case else _cine
    return work(case, options, reporter)


def _pair(case: Case, options: Mapping[str, Any], reporter: Reporter) -> tuple[Results, Truth]:
    fixed, moving = (io.read_image(Path(case[role])) for role in ("fixed", "moving"))
    if "fields" in case:
        check_pair(fixed, moving)
        images = pair_cine(fixed, moving)
        results = in_own_space(Results(_motion(case["fields"], images, 0), images), fixed, moving, None)
    else:
        masks = masks_of({role: Path(case[role]) for role in MASKS if role in case}, (fixed, moving))
        results = follow_pair(fixed, moving, **options, **masks, progress=reporter)
    sides = list(zip((0, 1), ("fixed", "moving"), (fixed.grid, moving.grid), strict=True))
    labels = {t: _labels(case[f"{s}_labels"], grid) for t, s, grid in sides if f"{s}_labels" in case}
    points = {t: read_points(case[f"{s}_points"]) for t, s, _ in sides if f"{s}_points" in case}
    names = io.read_label_names(Path(case["fixed_labels"])) if "fixed_labels" in case else {}
    fields = {1: _field(Path(case["truth"]), fixed.grid)} if "truth" in case else {}
    return results, Truth(labels, points, fields, names)


def _cine(case: Case, options: Mapping[str, Any], reporter: Reporter) -> tuple[Results, Truth]:
    cine = io.read_cine(Path(case["input"]), memory_gb=options.get("memory_gb"))
    reference = int(case["reference"]) if "reference" in case else None
    if "fields" in case:
        results = Results(_motion(case["fields"], cine, reference), cine)
    else:
        results = follow(cine, reference=reference, **options, progress=reporter)
    labels = _cine_labels(case["labels"], cine) if "labels" in case else {}
    points = {t: read_points(path) for t, path in _by_frame(case["points"]).items()} if "points" in case else {}
    fields = {}
    if "truth" in case:
        fields = {t: _field(path, cine.grid) for t, path in _field_files(Path(case["truth"]), "displacement").items()}
    return results, Truth(labels, points, fields)


def _by_frame(text: str) -> dict[int, Path]:
    """``frame=path;frame=path``."""
    found = {}
    for part in text.split(";"):
        frame, _, path = part.partition("=")
        if not frame.strip().isdecimal() or not path:
            raise InputError(f"'{text}' does not name its frames; write 0=first.nii.gz;9=second.nii.gz.")
        found[int(frame)] = Path(path)
    return found


def _cine_labels(text: str, cine: Cine) -> dict[int, LabelMap]:
    """One label map a frame, or a cine of them, in which empty frames are those that nobody drew on."""
    if "=" in text:
        return {t: _labels(str(path), cine.grid) for t, path in _by_frame(text).items()}
    drawn = io.read_cine(Path(text))
    if len(drawn) != len(cine) or not drawn.grid.matches(cine.grid, tolerance=1e-2):
        raise InputError(f"The labels '{text}' have other frames or another grid than the cine; give one map a frame.")
    maps = drawn.frames if drawn.frames.dtype.kind in "bui" else np.rint(drawn.frames).astype(np.int32)
    if not np.array_equal(maps, drawn.frames):
        raise InputError(f"'{text}' has non-integer values, so it is no label map; give one with whole numbers.")
    return {t: LabelMap(frame, cine.grid, text) for t, frame in enumerate(maps) if frame.any()}


def _labels(path: str, grid: Grid) -> LabelMap:
    return LabelMap(io.read_labels(Path(path), grid), grid, path)


def _field(path: Path, grid: Grid) -> np.ndarray:
    field, found = io.read_field(path)
    if not found.matches(grid, tolerance=1e-2):
        raise InputError(f"The field '{path}' lies on another grid than the images; resample it to theirs.")
    return field


def _field_files(folder: Path, name: str) -> dict[int, Path]:
    """``<name>_000`` ... of a folder, or of its folder ``fields``, by their numbers."""
    place = folder / "fields" if (folder / "fields").is_dir() else folder
    found = {}
    for path in sorted(place.glob(f"{name}_*")):
        digits = path.name.removeprefix(f"{name}_").partition(".")[0]
        if digits.isdecimal():
            found[int(digits)] = path
    if not found:
        raise InputError(f"The folder '{folder}' has no fields '{name}_000' and so on.")
    return found


def _motion(text: str, cine: Cine, reference: int | None) -> Motion:
    """A motion from the fields of an earlier registration, ours or another; one field is that of a pair."""
    from .. import flow

    path = Path(text)
    if path.is_dir():
        forward = {t: _field(p, cine.grid) for t, p in _field_files(path, "displacement").items()}
        back = {t: _field(p, cine.grid) for t, p in _field_files(path, "inverse").items()}
    else:
        forward, back = {1: _field(path, cine.grid)}, {}
    zero = np.zeros((cine.grid.ndim, *cine.grid.shape), np.float32)
    still = [t for t in range(len(cine)) if not forward.get(t, zero).any()]
    reference = reference if reference is not None else still[0] if still else 0
    missing = [t for t in range(len(cine)) if t != reference and t not in forward]
    if missing:
        raise InputError(f"'{text}' has no displacement of frame {missing[0]} of '{cine.name}'.")
    forward[reference] = back[reference] = zero
    for t in set(range(len(cine))) - set(back):
        import torch

        back[t] = flow.invert(torch.from_numpy(forward[t])[None])[0][0].numpy()
    motion = Motion(
        cine.grid,
        reference,
        np.stack([forward[t] for t in range(len(cine))]),
        np.stack([back[t] for t in range(len(cine))]),
        name=cine.name,
    )
    return motion if not cine.time_unit else replace(motion, times=cine.times, time_unit=cine.time_unit)
