"""Real images, whose motion is not known: cines, stacks, pairs and ultrasound of a folder, and what can be told of a
field on them.

The folder has ``cine/2d+t`` and ``cine/3d+t`` (cines with labels at end-diastole and end-systole, whose frames
``cine/meta.json`` names), ``edes`` (pairs of such images, with the cavity of the left ventricle) and ``echo``
(ultrasound, without labels). What it lacks is left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from .methods import Found
from .metrics import carried, dice, hausdorff95, identity, inverted, jacobian, sample

PAIR_SPACING = 1.3
"""mm, about, of the pairs, whose files have none."""


@dataclass
class RealCase:
    """Images, the first of them at end-diastole.

    Attributes
    ----------
    frames : ``[T, (D,) H, W]`` float32. spacing : mm along the array's axes. times : seconds.
    systole : the frame at end-systole. labels : those of frame 0 and of that frame ``[2, ...]``, or None.
    """

    kind: str
    name: str
    frames: np.ndarray
    spacing: tuple[float, ...]
    times: np.ndarray
    systole: int = 0
    labels: np.ndarray | None = None


def _image(path: Path) -> tuple[np.ndarray, tuple[float, ...]]:
    """The pixels, and the spacing along their axes; axes of one pixel are left out."""
    image = sitk.ReadImage(str(path))
    pixels = sitk.GetArrayFromImage(image)
    spacing = [step for step, n in zip(image.GetSpacing()[::-1], pixels.shape, strict=True) if n > 1]
    return pixels.squeeze(), tuple(spacing)


def _cines(folder: Path, pattern: str, kind: str) -> Iterator[RealCase]:
    """Cines go round so that they begin at end-diastole."""
    if not folder.is_dir():
        return
    facts = json.loads((folder.parent / "meta.json").read_text(encoding="utf-8"))
    for path in sorted(folder.glob(pattern)):
        subject = path.name.split("_")[0]
        frames, (interval, *spacing) = _image(path)
        first, systole = (facts[subject][f"{phase}_frame"] for phase in ("ED", "ES"))
        labels = [_image(next(folder.glob(f"{subject}_*labels_{phase}.nii.gz")))[0] for phase in ("ED", "ES")]
        yield RealCase(
            kind, subject, np.roll(frames, -first, axis=0).astype(np.float32), tuple(spacing), np.arange(len(frames)) *
            interval, (systole - first) % len(frames), np.stack(labels),
        )  # fmt: skip


def cines(folder: Path) -> Iterator[RealCase]:
    return _cines(folder / "cine" / "2d+t", "*cine2dt*.nii.gz", "cine")


def stacks(folder: Path) -> Iterator[RealCase]:
    return _cines(folder / "cine" / "3d+t", "*cine3dt*.nii.gz", "stack")


def pairs(folder: Path) -> Iterator[RealCase]:
    for path in sorted((folder / "edes").glob("*_ED_im*.png")):
        name = path.name.split("_ED_")[0]
        images = [_image(place)[0] for place in (path, next(path.parent.glob(f"{name}_ES_im*.png")))]
        labels = [_image(path.parent / f"{name}_{phase}_endo.png")[0] > 0 for phase in ("ED", "ES")]
        frames, spacing = np.stack(images).astype(np.float32), (PAIR_SPACING,) * 2
        yield RealCase("pair", name, frames, spacing, np.array([0.0, 0.3]), 1, np.stack(labels).astype(np.uint8))


def ultrasound(folder: Path) -> Iterator[RealCase]:
    for path in sorted((folder / "echo").glob("*.nii.gz")):
        frames, (interval, *spacing) = _image(path)
        times = np.arange(len(frames)) * interval
        yield RealCase("ultrasound", path.name.split(".")[0], frames.astype(np.float32), tuple(spacing), times)


KINDS: dict[str, Callable[[Path], Iterator[RealCase]]] = {
    "cine": cines,
    "pair": pairs,
    "ultrasound": ultrasound,
    "stack": stacks,
}


def measured(case: RealCase, found: Found) -> dict[str, float]:
    """What can be told without the truth, as the table's columns have it; labels where both frames have some."""
    field, grid, ndim = found.forward, identity(case.frames.shape[1:]), len(case.spacing)
    determinants = np.stack([jacobian(each.astype(float), case.spacing) for each in field[1:]])
    scale = np.reshape(case.spacing, (-1, *[1] * ndim))
    low, high = np.percentile(case.frames, (1, 99))
    apart = [
        np.square(sample(image, grid + each) - case.frames[0]).mean()
        for image, each in zip(case.frames[1:], field[1:], strict=True)
    ]
    row = {
        "folded": (determinants <= 0).mean(),
        "sd_log_j": np.mean([np.log(np.maximum(each, 1e-3)).std() for each in determinants]),
        "step": np.linalg.norm(np.diff(field, axis=0) * scale, axis=1).mean(),
        "rmse": np.sqrt(np.mean(apart)) / (high - low),
    }
    if found.inverse is not None:
        trips = [
            np.linalg.norm(each + sample(back, grid + each), axis=0).mean()
            for each, back in zip(field[1:], found.inverse[1:], strict=True)
        ]
        row["inverse_consistency"] = np.mean(trips)
    if case.labels is not None:
        back = inverted(field[case.systole]) if found.inverse is None else found.inverse[case.systole]
        moved, drawn = carried(case.labels[0], back), case.labels[1]
        values = np.intersect1d(case.labels[0], drawn)
        scores = [
            (dice(moved == v, drawn == v), hausdorff95(moved == v, drawn == v, case.spacing)) for v in values if v
        ]
        row["dice_es"], row["hd95_es"] = np.nanmean(scores, axis=0)
    return {name: float(value) for name, value in row.items()}
