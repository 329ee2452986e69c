"""Segments of the left ventricle's wall as the American Heart Association names them (Cerqueira et al. 2002)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..grid import Grid

if TYPE_CHECKING:
    from .axes import CardiacAxes

NAMES: dict[int, str] = {
    1: "basal anterior", 2: "basal anteroseptal", 3: "basal inferoseptal", 4: "basal inferior",
    5: "basal inferolateral", 6: "basal anterolateral", 7: "mid anterior", 8: "mid anteroseptal",
    9: "mid inferoseptal", 10: "mid inferior", 11: "mid inferolateral", 12: "mid anterolateral",
    13: "apical anterior", 14: "apical septal", 15: "apical inferior", 16: "apical lateral", 17: "apex",
}  # fmt: skip

LEVELS = ("basal", "mid", "apical")
FOUR_CHAMBER = (3, 9, 14, 17, 16, 12, 6)
TWO_CHAMBER = (4, 10, 15, 17, 13, 7, 1)
THREE_CHAMBER = (5, 11, 16, 17, 13, 8, 2)
LONG_AXES = {"four-chamber": FOUR_CHAMBER, "two-chamber": TWO_CHAMBER, "three-chamber": THREE_CHAMBER}
"""View -> segments from one end of the open wall to the other, of one wall first (septal, inferior, inferolateral)."""

_NEAR_MM = 8.0
_APEX = np.array([1.0, -1.0, -1.0]) / np.sqrt(3)  # LPS: the apex points left, to the front and down


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Which segment tissue belongs to.

    Attributes
    ----------
    map : ``[*spatial]`` uint8, number of the segment (``NAMES``), 0 outside.
    names : of the segments that there are, by number.
    levels : of a short axis, one of ``LEVELS`` for every slice of ``CardiacAxes.lines``.
    notes : sentences about what was assumed, or why there is none.
    """

    map: np.ndarray
    names: dict[int, str]
    levels: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def levels_of(axes: CardiacAxes, level: str | None) -> tuple[tuple[str, ...], bool]:
    """The level of every slice with a ring, and whether the apex is at the higher ones.

    A stack is cut into thirds, the apex being where the cavity is smaller; ``level`` is that of a single slice.
    """
    count = len(axes.lines)
    if count == 1:
        return (level or "mid",), True
    sizes = [float(np.linalg.norm(line.endo - line.endo.mean(0), axis=1).mean()) for line in axes.lines]
    third = max(count // 3, 1)
    upward = float(np.mean(sizes[-third:])) < float(np.mean(sizes[:third]))
    order = range(count) if upward else range(count - 1, -1, -1)
    found = [""] * count
    for rank, number in enumerate(order):
        found[number] = LEVELS[min(3 * rank // count, 2)] if count >= 3 else LEVELS[min(2 * rank, 2)]
    return tuple(found), upward


def sense_of(axes: CardiacAxes, grid: Grid, upward: bool) -> int:
    """1 where the angle from the column axis to the row axis is counterclockwise as seen from the apex, else -1.

    The apex of a stack is at its higher slices or not (``upward``); that of a single slice lies to the left, in front
    and below, as the patient's axes say.
    """
    direction = np.reshape(grid.direction, (3, 3))
    normal = np.cross(direction[:, 0], direction[:, 1])
    if len(axes.lines) > 1:
        towards = direction[:, 2] * (1 if upward else -1)
    else:
        towards = normal if normal @ _APEX >= 0 else -normal
    return 1 if normal @ towards > 0 else -1


def angles_of(axes: CardiacAxes, grid: Grid) -> np.ndarray:
    """Angle about the cavity's centre from the column axis to the row axis, ``[*spatial]`` in radians."""
    spacing = grid.array_spacing
    centre = _centre_by_slice(axes, grid)
    rows, columns = np.indices(grid.shape[-2:])
    found = np.arctan2(
        (rows - centre[:, 0, None, None]) * spacing[-2], (columns - centre[:, 1, None, None]) * spacing[-1]
    )
    return found.reshape(grid.shape)


def _centre_by_slice(axes: CardiacAxes, grid: Grid) -> np.ndarray:
    """``[slices, 2]``: the nearest slice's centre where a slice has none."""
    numbers = np.array([line.slice for line in axes.lines])
    count = 1 if grid.ndim == 2 else grid.shape[0]
    nearest = np.abs(np.arange(count)[:, None] - numbers).argmin(1)
    return axes.centres[nearest][:, -2:]


def septum_of(
    axes: CardiacAxes, grid: Grid, sense: int, right: np.ndarray | None, insertion: tuple[float, ...] | None
) -> float | None:
    """Angle of the middle of the septum, by the anterior insertion point (LPS mm) or a mask of the right ventricle."""
    if insertion is not None:
        place = grid.mm_to_voxel(np.array(insertion))
        centres = _centre_by_slice(axes, grid)
        z = 0 if grid.ndim == 2 else int(np.clip(round(float(place[0])), 0, len(centres) - 1))
        away = (place[-2:] - centres[z]) * grid.array_spacing[-2:]
        return float(np.arctan2(*away)) + sense * np.pi / 3
    if right is None or not right.any():
        return None
    angle = angles_of(axes, grid)
    near = np.zeros(grid.shape, bool)
    for line in axes.lines:
        plane: tuple[slice | int, ...] = (slice(None),) * 2 if grid.ndim == 2 else (line.slice,)
        points = np.argwhere(right[plane]) * grid.array_spacing[-2:]
        if len(points):
            away = np.linalg.norm(points[:, None] - line.epi[None, :, -2:] * grid.array_spacing[-2:], axis=2).min(1)
            part = np.zeros(right[plane].shape, bool)
            part[right[plane]] = away < _NEAR_MM
            near[plane] = part
    if not near.any():
        return None
    return float(np.angle(np.exp(1j * angle[near]).sum()))


def segment(
    axes: CardiacAxes,
    grid: Grid,
    *,
    right: np.ndarray | None = None,
    insertion: tuple[float, ...] | None = None,
    level: str | None = None,
    long_axis: str | None = None,
) -> Segmentation:
    """The segments of a wall.

    Parameters
    ----------
    right : mask of the right ventricle's blood.
    insertion : the anterior insertion point of the right ventricle in LPS mm.
    level : of a single short-axis slice, "mid" where it is None.
    long_axis : which long-axis view it is ("four-chamber", "two-chamber", "three-chamber").
    """
    empty = np.zeros(grid.shape, np.uint8)
    if axes.view == "long-axis":
        return _segment_long(axes, grid, right, long_axis)
    levels, upward = levels_of(axes, level)
    sense = sense_of(axes, grid, upward)
    septum = septum_of(axes, grid, sense, right, insertion)
    if septum is None:
        note = ("The segments have no names: there is neither a label of the right ventricle nor its insertion point; "
                "mark the anterior insertion point of the right ventricle.")  # fmt: skip
        return Segmentation(empty, {}, levels, (note,))
    turned = np.degrees(sense * (angles_of(axes, grid) - septum))
    sixth = (np.floor((turned + 60) % 360 / 60).astype(int) + 1) % 6  # 0 anterior, 1 anteroseptal, ...
    quarter = (np.floor((turned + 45) % 360 / 90).astype(int) + 1) % 4  # 0 anterior, 1 septal, ...
    found = empty
    for line, name in zip(axes.lines, levels, strict=True):
        place = (slice(None),) * 2 if grid.ndim == 2 else (line.slice,)
        numbers = 13 + quarter[place] if name == "apical" else 1 + 6 * LEVELS.index(name) + sixth[place]
        found[place] = np.where(axes.wall[place], numbers, 0)
    notes = (
        [f"The slice was taken as {levels[0]}; choose another level if it is not."]
        if len(axes.lines) == 1 and not level
        else []
    )
    if len(axes.lines) == 1 or insertion is not None:
        notes.append("Which way round the segments run was taken from the patient's axes in the image.")
    return Segmentation(found, {n: NAMES[n] for n in np.unique(found[found > 0]).tolist()}, levels, tuple(notes))


def _segment_long(axes: CardiacAxes, grid: Grid, right: np.ndarray | None, view: str | None) -> Segmentation:
    """Sevenths of the length of the middle line; the first are septal, inferior or inferolateral."""
    assert axes.along is not None
    along, middle = axes.along, axes.lines[0].mid
    notes: list[str] = []
    swap = False
    if right is not None and right.any():
        view = view or "four-chamber"
        centre = np.argwhere(right).mean(0)
        swap = bool(np.linalg.norm(middle[-1] - centre) < np.linalg.norm(middle[0] - centre))
    else:
        if view is None:
            view = "two-chamber"
            notes.append("The view was taken as two-chamber, having no right ventricle; choose another if it is not.")
        ends = grid.voxel_to_mm(middle[[0, -1]])
        # inferior and inferolateral walls lie lower; the septum lies to the patient's right
        swap = bool(ends[1, 2] < ends[0, 2]) if view != "four-chamber" else bool(ends[1, 0] < ends[0, 0])
        notes.append("Which wall is which was taken from the patient's axes in the image.")
    numbers = np.array(LONG_AXES[view])
    place = np.clip((7 * (1 - along if swap else along)).astype(int), 0, 6)
    found = np.where(axes.wall, numbers[place], 0).astype(np.uint8)
    return Segmentation(found, {int(n): NAMES[int(n)] for n in numbers if (found == n).any()}, (), tuple(notes))
