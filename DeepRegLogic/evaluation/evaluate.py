"""One motion measured: by labels, landmarks or true fields of its frames, by the images, and by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import flow
from ..cine import Motion, intensity_range
from ..errors import InputError
from ..grid import Grid, require_points
from ..progress import Reporter
from ..results.resample import move_points, points_of, sample_at
from ..results.results import Results
from .deformation import regularity, temporal_gradient
from .intensity import intensity_variance, rmse, similarity
from .overlap import overlap

Row = dict[str, Any]
"""Figures by the names of ``FIGURES``, with what they belong to."""

OVERLAPS = ("dice", "iou", "hd95", "assd", "volume_difference", "dice_before", "dice_carried")


@dataclass(frozen=True, eq=False)
class LabelMap:
    """Whole numbers ``[*grid.shape]``, 0 where there is nothing, on a grid of its own.

    Raises
    ------
    InputError : the array is not on the grid, or there is no label.
    """

    values: np.ndarray
    grid: Grid
    name: str = "labels"

    def __post_init__(self) -> None:
        if self.values.shape != self.grid.shape:
            raise InputError(f"'{self.name}' has shape {self.values.shape}, but its grid {self.grid.shape}.")
        if self.values.dtype.kind not in "bui":
            raise InputError(f"'{self.name}' holds other than whole numbers; give a label map.")
        if not self.values.any():
            raise InputError(f"'{self.name}' is empty; draw what is to be compared.")


@dataclass(frozen=True, eq=False)
class Truth:
    """What a user knows of the frames, by their numbers; the reference frame has to be among labels and points.

    Attributes
    ----------
    labels : label maps, each on a grid of its own.
    points : landmarks ``[P, 3]`` in LPS mm, the same P in every frame.
    fields : true displacements ``[ndim, *grid.shape]`` in voxels from the reference to the frame.
    names : what the labels are called.
    """

    labels: Mapping[int, LabelMap] = field(default_factory=dict)
    points: Mapping[int, np.ndarray] = field(default_factory=dict)
    fields: Mapping[int, np.ndarray] = field(default_factory=dict)
    names: Mapping[int, str] = field(default_factory=dict)

    def check(self, motion: Motion) -> None:
        """Raise InputError for frames that there are not, a reference that lacks, points or fields of other sizes."""
        for what, known in (("labels", self.labels), ("landmarks", self.points), ("fields", self.fields)):
            for frame in known:
                if not 0 <= frame < len(motion):
                    raise InputError(
                        f"There are {what} of frame {frame}, but '{motion.name}' has frames 0 to {len(motion) - 1}."
                    )
            if known and known is not self.fields and motion.reference not in known:
                raise InputError(
                    f"The reference frame {motion.reference} of '{motion.name}' has no {what}; give them, or choose "
                    f"one of the frames {', '.join(map(str, sorted(known)))} as the reference."
                )
        for frame, points in self.points.items():
            count = len(require_points(self.points[motion.reference]))
            if len(require_points(points)) != count:
                raise InputError(f"Frame {frame} has {len(points)} landmarks, but the reference frame {count}.")
        for frame, values in self.fields.items():
            if values.shape != motion.displacement.shape[1:]:
                raise InputError(
                    f"The true field of frame {frame} has shape {values.shape}, but {motion.displacement.shape[1:]} is "
                    "needed."
                )


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What was measured of a case.

    Attributes
    ----------
    name : of the case.
    frames : one row a moving frame: "frame" and figures.
    labels : one row a frame and label: "frame", "label", "name" and figures of overlap.
    case : the means over the frames, and what belongs to the whole.
    """

    name: str
    frames: list[Row]
    labels: list[Row]
    case: Row


def evaluate(
    results: Results, truth: Truth | None = None, name: str = "", reporter: Reporter | None = None
) -> Evaluation:
    """Measure a motion, from the images and the field alone or with what is known of its frames.

    Labels are compared where the reference is, those of the frame brought there by the displacement (nearest
    neighbour); ``dice_carried`` compares the other way round, where the frame is, and ``dice_before`` without motion.
    Figures of overlap are means over the labels that both have. All others are explained in ``FIGURES``.

    Raises
    ------
    InputError : what is known does not belong to the motion. Cancelled : between two frames.

    Examples
    --------
    >>> from DeepRegLogic import Results, evaluate
    >>> from DeepRegLogic.evaluation.evaluate import LabelMap, Truth
    >>> from DeepRegLogic.synthetic import cine_phantom
    >>> phantom = cine_phantom(seed=1, size=64, frames=3)
    >>> maps = {t: LabelMap(drawn, phantom.cine.grid) for t, drawn in enumerate(phantom.labels)}
    >>> truth = Truth(maps, fields=dict(enumerate(phantom.motion.displacement)))
    >>> found = evaluate(Results(phantom.motion, phantom.cine), truth)
    >>> found.case["epe"], bool(found.case["dice"] > found.case["dice_before"])
    (0.0, True)
    """
    truth, reporter, motion = truth or Truth(), reporter or Reporter(), results.motion
    truth.check(motion)
    low, high = intensity_range(results.cine.frames)
    span = max(high - low, float(np.finfo(np.float32).tiny))
    compensated, reference = results.compensated, results.cine.frames[motion.reference]
    speeds = temporal_gradient(np.stack([flow.to_mm(u, motion.grid) for u in motion.displacement]), motion.cyclic)
    frames: list[Row] = []
    labels: list[Row] = []
    for t in range(len(motion)):
        reporter(t / len(motion), f"Measuring frame {t}")
        if t == motion.reference:
            continue
        row: Row = {"frame": t}
        if t in truth.labels:
            own = _overlaps(motion, t, truth)
            labels += own
            row |= {key: _mean([line[key] for line in own], absolute=True) for key in OVERLAPS}
        if t in truth.points:
            row |= _landmarks(motion, t, truth.points)
        if t in truth.fields:
            error = np.linalg.norm(flow.to_mm(motion.displacement[t] - truth.fields[t], motion.grid), axis=0)
            row |= {"epe": float(error.mean()), "epe_95": float(np.percentile(error, 95))}
        row |= similarity(compensated[t], reference, low, high)
        row["rmse_before"] = rmse(results.cine.frames[t].astype(float), reference.astype(float)) / span
        row |= regularity(motion.displacement[t], motion.inverse[t])
        row["temporal_gradient"] = float(speeds[t])
        frames.append(row)
    case: Row = {"frames": len(frames)}
    for key in dict.fromkeys(key for row in frames for key in row if key != "frame"):
        case[key] = _mean([row[key] for row in frames if key in row])
    case["intensity_variance_before"] = intensity_variance(results.cine.frames, low, high)
    case["intensity_variance"] = intensity_variance(compensated, low, high)
    if "seconds" in motion.provenance:
        case["seconds"] = motion.provenance["seconds"]
    reporter(1.0, "Measured")
    return Evaluation(name or motion.name, frames, labels, case)


def _mean(values: list[float], absolute: bool = False) -> float:
    """Of the numbers that are known; NaN where there is none."""
    known = np.array(values, dtype=float)
    known = known[np.isfinite(known)]
    return float((np.abs(known) if absolute else known).mean()) if known.size else float("nan")


def _overlaps(motion: Motion, frame: int, truth: Truth) -> list[Row]:
    """One row a label that the reference or the frame has."""
    grid = motion.grid
    there, here = truth.labels[frame], truth.labels[motion.reference]
    drawn = _at(here, grid, points_of(grid))
    before = _at(there, grid, points_of(grid))
    moved = _at(there, grid, points_of(grid, motion.displacement[frame]))
    carried = _at(here, grid, points_of(grid, motion.inverse[frame]))
    rows: list[Row] = []
    for value in sorted({int(v) for v in np.unique(drawn)} & {int(v) for v in np.unique(there.values)} - {0}):
        row: Row = {"frame": frame, "label": value, "name": truth.names.get(value, f"label {value}")}
        row |= overlap(moved == value, drawn == value, grid.array_spacing)
        row["dice_before"] = _dice(before == value, drawn == value)
        row["dice_carried"] = _dice(carried == value, before == value)
        rows.append(row)
    return rows


def _at(labels: LabelMap, grid: Grid, points: np.ndarray) -> np.ndarray:
    return sample_at(labels.values, labels.grid, points, nearest=True)[0].reshape(grid.shape)


def _dice(a: np.ndarray, b: np.ndarray) -> float:
    total = int(a.sum()) + int(b.sum())
    return 2 * int((a & b).sum()) / total if total else float("nan")


def _landmarks(motion: Motion, frame: int, points: Mapping[int, np.ndarray]) -> Row:
    start, end = points[motion.reference], points[frame]
    after = np.linalg.norm(move_points(motion, start, frame) - end, axis=1)
    before = np.linalg.norm(np.asarray(start) - end, axis=1)
    return {"tre": float(after.mean()), "tre_before": float(before.mean()), "tre_worst": float(after.max())}
