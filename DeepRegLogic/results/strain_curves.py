"""The curves of a heart's strain from displacements, for the motion and for samples of it alike.

Every function takes displacements ``[S, T, ndim, *spatial]`` in voxels and gives ``[S, T]``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from .. import flow
from .axes import RAYS, CardiacAxes, WallLines
from .deformation import along, derivative
from .segments import Segmentation

GLOBAL = {"circumferential": "GCS", "radial": "GRS", "longitudinal": "GLS"}
"""Direction -> what its global strain is called."""

TENSOR = "mean of the tensor"
LINES = ("endocardial line", "mid-wall line", "epicardial line")
THICKENING = "change of wall thickness"

Key = tuple[str, str]
"""A curve: its name and its definition, such as ("GCS", "mean of the tensor")."""


@dataclass(frozen=True, eq=False)
class Chamber:
    """A line of another chamber, ``[P, ndim]`` in voxels, open where it meets a neighbour."""

    name: str
    line: np.ndarray


@dataclass(frozen=True, eq=False)
class Heart:
    """What is followed: everything on one (cropped) grid with ``spacing`` in mm along the array's axes."""

    axes: CardiacAxes
    segments: Segmentation
    spacing: tuple[float, ...]
    chambers: tuple[Chamber, ...] = ()
    sense: int = 1
    upward: bool = True


def curves_of(displacement: np.ndarray, heart: Heart) -> dict[Key, np.ndarray]:
    """Every curve, in percent where it is a strain: (name, definition) -> ``[S, T]``.

    "segment 7 circumferential" and the like are those of segments.
    """
    found: dict[Key, np.ndarray] = {}
    found |= _of_tensor(displacement, heart)
    moved = [_moved(displacement, line, heart) for line in heart.axes.lines]
    found |= _of_lines(moved, heart)
    found |= _of_size(moved, heart)
    if heart.axes.view == "short-axis":
        found |= _of_turning(moved, heart)
    for chamber in heart.chambers:
        places = _follow(displacement, chamber.line) * heart.spacing
        length = _length(places, closed=False)
        first = _length((chamber.line * heart.spacing)[None, None], closed=False)
        found[chamber.name, "length of the line"] = 100 * (length / first - 1)
    return found


def strain_along(
    displacement: np.ndarray, axes: CardiacAxes, spacing: tuple[float, ...], directions: Sequence[str] = ()
) -> dict[str, np.ndarray]:
    """Green-Lagrange strain in the wall, ``[..., P]`` for its P pixels in the order of ``axes.wall``: by direction."""
    ndim = len(spacing)
    first = displacement.ndim - ndim
    columns = []
    for axis in range(ndim):
        change = derivative(displacement, first + axis, spacing[axis])
        columns.append(
            change.reshape(*change.shape[:-ndim], -1)[..., axes.wall.ravel()]
            * np.asarray(spacing, change.dtype)[:, None]
        )
    gradient = np.stack(columns, axis=-2)  # [..., ndim, ndim, P]
    gradient += np.eye(ndim, dtype=gradient.dtype)[:, :, None]
    return {name: along(gradient, axes.directions[name][:, axes.wall]) for name in directions or axes.directions}


def _of_tensor(displacement: np.ndarray, heart: Heart) -> dict[Key, np.ndarray]:
    found: dict[Key, np.ndarray] = {}
    strains = strain_along(displacement, heart.axes, heart.spacing)
    numbers = heart.segments.map[heart.axes.wall]
    for direction, values in strains.items():
        found[GLOBAL[direction], TENSOR] = 100 * values.mean(-1)
    for direction, values in strains.items():
        for number in heart.segments.names:
            found[f"segment {number} {direction}", TENSOR] = 100 * values[..., numbers == number].mean(-1)
    return found


def _follow(displacement: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points ``[P, ndim]`` in voxels, where they are in every frame: ``[S, T, P, ndim]``."""
    fields = torch.from_numpy(displacement.reshape(-1, *displacement.shape[2:]))
    moved = flow.sample(fields, torch.from_numpy(points.copy())).numpy()
    return points + np.moveaxis(moved, 1, 2).reshape(*displacement.shape[:2], *points.shape)


def _moved(displacement: np.ndarray, line: WallLines, heart: Heart) -> dict[str, np.ndarray]:
    """The three lines of a slice in mm in every frame, ``[S, T, P, ndim]``."""
    joined = np.concatenate([line.endo, line.mid, line.epi])
    parts = np.split(_follow(displacement, joined) * heart.spacing, 3, axis=2)
    return dict(zip(LINES, parts, strict=True))


def _length(points: np.ndarray, closed: bool) -> np.ndarray:
    """Length of lines ``[..., P, ndim]``."""
    steps = np.linalg.norm(np.diff(points, axis=-2), axis=-1).sum(-1)
    return steps + (np.linalg.norm(points[..., 0, :] - points[..., -1, :], axis=-1) if closed else 0)


def _still(heart: Heart) -> list[dict[str, np.ndarray]]:
    return [
        dict(zip(LINES, (each[None, None] * heart.spacing for each in (line.endo, line.mid, line.epi)), strict=True))
        for line in heart.axes.lines
    ]


def _of_lines(moved: list[dict[str, np.ndarray]], heart: Heart) -> dict[Key, np.ndarray]:
    """Engineering strain of the lines' length (of all slices together), and of the wall's thickness."""
    found: dict[Key, np.ndarray] = {}
    still = _still(heart)
    closed = heart.axes.view == "short-axis"
    name = "GCS" if closed else "GLS"
    for line in LINES:
        now = np.sum([_length(places[line], closed) for places in moved], axis=0)
        found[name, f"length of the {line}"] = 100 * (now / sum(_length(places[line], closed) for places in still) - 1)
    thick, before = (np.mean([_thickness(places) for places in which], axis=0) for which in (moved, still))
    found["GRS", THICKENING] = 100 * (thick / before - 1)
    found["wall thickness", "mm"] = thick
    return found


def _thickness(places: dict[str, np.ndarray]) -> np.ndarray:
    return np.asarray(np.linalg.norm(places[LINES[2]] - places[LINES[0]], axis=-1).mean(-1))


def _area(points: np.ndarray) -> np.ndarray:
    """Area within closed lines ``[..., P, 2]`` in a plane."""
    y, x = points[..., -2], points[..., -1]
    return np.asarray(0.5 * np.abs((y * np.roll(x, -1, -1) - x * np.roll(y, -1, -1)).sum(-1)))


def _of_size(moved: list[dict[str, np.ndarray]], heart: Heart) -> dict[Key, np.ndarray]:
    """Area of the cavity in mm^2 and its change in percent; of a stack its volume in ml by discs, and the wall's."""
    areas = np.stack([_area(places[LINES[0]]) for places in moved], -1)
    if len(heart.spacing) == 2:
        first = _area(_still(heart)[0][LINES[0]])
        return {("cavity area", "mm2"): areas[..., 0], ("area change", "%"): 100 * (areas[..., 0] / first - 1)}
    heights = np.stack([places[LINES[0]][..., 0].mean(-1) for places in moved], -1)
    thick = heart.spacing[0] * np.ones_like(heights)
    if len(moved) > 1:  # discs are as thick as their slices are apart then
        apart = np.array([line.slice for line in heart.axes.lines]) * heart.spacing[0]
        thick = heart.spacing[0] * np.gradient(heights, axis=-1) / np.gradient(apart)
    return {("cavity volume", "ml by discs"): (areas * thick).sum(-1) / 1000}


def _of_turning(moved: list[dict[str, np.ndarray]], heart: Heart) -> dict[Key, np.ndarray]:
    """Turn of the mid-wall in degrees, counterclockwise as seen from the apex; twist and torsion of a stack."""
    turns, heights = [], []
    for places, still in zip(moved, _still(heart), strict=True):
        now, before = ((p - p.mean(-2, keepdims=True))[..., -2:] for p in (places[LINES[1]], still[LINES[1]]))
        turn = np.angle(
            np.exp(1j * (np.arctan2(now[..., 0], now[..., 1]) - np.arctan2(before[..., 0], before[..., 1])))
        )
        turns.append(np.degrees(turn.mean(-1)) * heart.sense)
        heights.append(float(still[LINES[1]][..., 0].mean()))
    if len(heart.spacing) == 2 or len(moved) < 3:
        return {("rotation", "degrees"): np.mean(turns, axis=0)}
    order = slice(None) if heart.upward else slice(None, None, -1)
    base_to_apex = turns[order]
    third = max(len(turns) // 3, 1)
    twist = np.mean(base_to_apex[-third:], axis=0) - np.mean(base_to_apex[:third], axis=0)
    apart = abs(np.mean(heights[-third:]) - np.mean(heights[:third])) / 10
    return {("twist", "degrees"): twist, ("torsion", "degrees per cm"): twist / apart}


def chamber_line(mask: np.ndarray, neighbours: np.ndarray, spacing: tuple[float, ...], near: float = 5.0) -> np.ndarray:
    """The border of a chamber in a plane, ``[P, 2]`` in voxels, without what lies within ``near`` mm of neighbours.

    It begins and ends at the longest gap. Empty where nothing is free.
    """
    from .axes import _ring

    ring = _ring(mask, np.argwhere(mask).mean(0), spacing)
    others = np.argwhere(neighbours) * spacing
    free = np.ones(RAYS, bool)
    if len(others):
        away = np.linalg.norm(ring[:, None] * spacing - others[None], axis=2).min(1)
        free = away > near
    if free.sum() < 8:
        return np.zeros((0, 2))
    if free.all():
        return np.concatenate([ring, ring[:1]])
    gaps = np.flatnonzero(~free)
    runs = [(int(a), int((b - a - 1) % RAYS)) for a, b in zip(gaps, np.roll(gaps, -1), strict=True)]
    start, length = max(runs, key=lambda run: run[1])
    return ring[(start + 1 + np.arange(length)) % RAYS]
