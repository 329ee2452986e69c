"""Contours of the left ventricle at the reference frame, from one click in it, or from its apex and its annulus.

contours = find_contours(cine, [(x, y, z)], frame=0)
contours.labels                    # [*grid.shape] uint8: 1 LV blood, 2 LV myocardium, 3 RV side
contours.notes                     # what the image does not support, in sentences
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..cine import Cine, working_type
from ..errors import InputError
from ..grid import Grid, require_points
from ..progress import CancelToken, ProgressCallback, Reporter
from .long_axis import are_apart, bow_at
from .rays import centroid, filled
from .right_side import right_of
from .short_axis import ring_at
from .tissue import blurred
from .wall import Wall

BLOOD, MUSCLE, RIGHT = 1, 2, 3
NAMES = {BLOOD: "LV blood", MUSCLE: "LV myocardium", RIGHT: "RV side"}
"""Values of the label map, and what they are called."""

_NEIGHBOURS = 0.06  # s: frames as near as this show the same contours
_GAP = 1  # slices without support that are crossed
_SMALLEST = 5.0  # mm, mean radius of a cavity
_FEWEST = 32  # pixels along an axis of a slice
_COARSEST = 4.0  # mm, of a pixel


@dataclass(frozen=True, eq=False)
class Contour:
    """Endocardium and epicardium in a slice, on rays from a point.

    Attributes
    ----------
    slice : its number.
    inner, outer : ``[A, 3]`` LPS mm, the contours' points on the rays; closed, or from annulus to annulus.
    deviation : ``[A, 2]`` mm, standard deviations of both along the rays.
    supported : ``[A, 2]`` whether the image shows an edge there, and but one.
    is_supported : whether the image shows such a contour as a whole.
    """

    slice: int
    inner: np.ndarray
    outer: np.ndarray
    deviation: np.ndarray
    supported: np.ndarray
    is_supported: bool


@dataclass(frozen=True, eq=False)
class Contours:
    """What was found.

    Attributes
    ----------
    labels : ``[*grid.shape]`` uint8, values of ``NAMES``.
    grid, frame : where, and in which frame.
    slices : the contours by slice.
    notes : sentences for the user: slices that the image does not support, and where the stack ends.
    """

    labels: np.ndarray
    grid: Grid
    frame: int
    slices: tuple[Contour, ...]
    notes: tuple[str, ...]

    def rows(self) -> list[dict[str, object]]:
        """One mapping a slice, ray and border: where it is, how sure that is, and whether the image shows it."""
        return [
            {
                "slice": contour.slice, "ray": ray, "border": border, "x_mm": x, "y_mm": y, "z_mm": z,
                "deviation_mm": float(contour.deviation[ray, side]), "supported": bool(contour.supported[ray, side]),
            }
            for contour in self.slices
            for side, (border, points) in enumerate((("endocardium", contour.inner), ("epicardium", contour.outer)))
            for ray, (x, y, z) in enumerate(points.tolist())
        ]  # fmt: skip


def find_contours(
    cine: Cine,
    clicks: np.ndarray,
    frame: int = 0,
    progress: ProgressCallback | None = None,
    cancel: CancelToken | None = None,
) -> Contours:
    """The contours of the left ventricle in a frame.

    Both borders are found together by dynamic programming on a polar image, closed and smooth (``wall``); in a stack
    the centre is carried from slice to slice, both ways, until the image shows no ring of muscle any more. Frames
    within 60 ms are averaged. Blood may be brighter or darker than muscle.

    Parameters
    ----------
    clicks : ``[P, 3]`` LPS mm: one in the cavity of a short axis, or three in a single long-axis slice: the apex of the
        cavity, and both ends of the mitral annulus.

    Raises
    ------
    InputError : another number of clicks, one outside of the image, no blood and muscle around it, pixels that are too
        few or too large.
    Cancelled : between two slices.

    Examples
    --------
    >>> from DeepRegLogic.contours import find_contours
    >>> from DeepRegLogic.synthetic import cine_phantom
    >>> phantom = cine_phantom(seed=1, size=96, frames=2)
    >>> inside = np.argwhere(phantom.labels[0] == 1).mean(axis=0)
    >>> contours = find_contours(phantom.cine, phantom.cine.grid.voxel_to_mm(inside[None]))
    >>> both = (contours.labels == 1) & (phantom.labels[0] == 1)
    >>> bool(2 * both.sum() > 0.9 * ((contours.labels == 1).sum() + (phantom.labels[0] == 1).sum()))
    True
    """
    clicks, reporter = require_points(clicks), Reporter(progress, cancel)
    if not 0 <= frame < len(cine):
        raise InputError(f"Frame {frame} is not one of the {len(cine)} frames of '{cine.name}'.")
    spacing = (cine.grid.array_spacing[-2], cine.grid.array_spacing[-1])
    if min(cine.grid.shape[-2:]) < _FEWEST or max(spacing) > _COARSEST:
        raise InputError(
            f"The slices of '{cine.name}' have {cine.grid.size[0]} x {cine.grid.size[1]} pixels of {spacing[1]:.3g} x "
            f"{spacing[0]:.3g} mm, too coarse for contours of a heart; draw them."
        )
    places = _places(cine, clicks)
    images = _still(cine, frame)
    images = images if cine.grid.ndim == 3 else images[None]
    if len(clicks) == 3:
        if len(images) > 1:
            raise InputError("Three clicks are for a single long-axis slice; click once in the cavity of a stack.")
        if not are_apart(places[:, -2:] * spacing):
            raise InputError(
                "The three clicks are too near to each other; click the apex of the cavity, and both ends of its "
                "annulus."
            )
        found = {0: bow_at(images[0], spacing, places[:, -2:] * spacing)}
        if found[0] is None:
            raise InputError(_NOTHING.format(name=cine.name))
        ended: tuple[str, ...] = ()
    elif len(clicks) == 1:
        start = round(float(places[0, 0])) if cine.grid.ndim == 3 else 0
        found, ended = _stack(images, spacing, start, places[0, -2:] * spacing, cine.name, reporter)
    else:
        raise InputError(
            f"One click in the cavity, or the apex and both ends of the annulus, are needed, not {len(clicks)} clicks."
        )
    return _contours(cine, images, frame, {number: ring for number, ring in found.items() if ring is not None}, ended)


_NOTHING = (
    "There are no blood and muscle to tell apart around the click in '{name}'; click in the middle of the cavity."
)


_SIDE = "The blood beside the wall was taken for the right ventricle, by which segments are named."


def _places(cine: Cine, clicks: np.ndarray) -> np.ndarray:
    """The clicks in voxels; InputError where one is outside."""
    if not np.isfinite(clicks).all():
        raise InputError("The coordinates of a click are not finite.")
    places = cine.grid.mm_to_voxel(clicks)
    last = np.array(cine.grid.shape) - 1
    for click, place in zip(clicks, places, strict=True):
        if np.any(place < -0.5) or np.any(place > last + 0.5):
            where = ", ".join(f"{value:.1f}" for value in click)
            raise InputError(
                f"The click ({where}) mm, in LPS, is outside of '{cine.name}'; click in the left ventricle."
            )
    return places


def _still(cine: Cine, frame: int) -> np.ndarray:
    """A frame with half of each neighbour that is near in time, of one unit."""
    kind = working_type(cine.frames)
    image = cine.frames[frame].astype(kind)
    near = [t for t in (frame - 1, frame + 1) if 0 <= t < len(cine)]
    if not (cine.one_unit and cine.time_unit):
        return image
    near = [t for t in near if abs(cine.times[t] - cine.times[frame]) <= _NEIGHBOURS]
    total: np.ndarray = (image + sum(0.5 * cine.frames[t].astype(kind) for t in near)) / (1 + 0.5 * len(near))
    return total


def _stack(
    images: np.ndarray,
    spacing: tuple[float, float],
    start: int,
    click: np.ndarray,
    name: str,
    reporter: Reporter,
) -> tuple[dict[int, Wall | None], tuple[str, ...]]:
    """The rings of a stack by slice, from the clicked one both ways; and where they end."""
    reporter(0.0, f"Finding contours in slice {start}")
    first = ring_at(images[start], spacing, click)
    if first is None:
        raise InputError(_NOTHING.format(name=name))
    found: dict[int, Wall | None] = {start: first}
    for step in (1, -1):
        near = first
        doubtful: list[tuple[int, Wall]] = []
        for number in range(start + step, len(images) if step > 0 else -1, step):
            reporter(len(found) / len(images), f"Finding contours in slice {number}")
            ring = ring_at(images[number], spacing, centroid(near.rays.points(near.inner)), near)
            if ring is None or ring.inner.mean() < _SMALLEST or len(doubtful) > _GAP:
                break
            if not ring.is_supported:
                doubtful.append((number, ring))
                continue
            found.update(doubtful)
            found[number], near, doubtful = ring, ring, []
    missing = [number for number in range(len(images)) if number not in found]
    if not missing:
        return found, ()
    listed = ", ".join(map(str, missing))
    return found, (f"The image shows no ring of muscle in slice {listed}; nothing was drawn there.",)


def _contours(cine: Cine, images: np.ndarray, frame: int, rings: dict[int, Wall], ended: tuple[str, ...]) -> Contours:
    grid, spacing = cine.grid, np.array(cine.grid.array_spacing[-2:])
    labels = np.zeros((grid.shape[0] if grid.ndim == 3 else 1, *grid.shape[-2:]), np.uint8)
    slices = []
    for number, ring in sorted(rings.items()):
        borders = [ring.rays.points(radius) for radius in (ring.inner, ring.outer)]
        for value, area in ((MUSCLE, borders[1]), (BLOOD, borders[0])):
            labels[number][filled(area, labels[number].shape, spacing)] = value
        right = (
            right_of(blurred(images[number], ring.rays.spacing), ring, _right_and_front(grid)) if ring.closed else None
        )
        if right is not None:
            labels[number][right & (labels[number] == 0)] = RIGHT
        depth = [] if grid.ndim == 2 else [np.full(len(ring.inner), float(number))]
        inner, outer = (grid.voxel_to_mm(np.column_stack([*depth, border / spacing])) for border in borders)
        deviation = np.stack([ring.inner_deviation, ring.outer_deviation], axis=1)
        supported = np.stack([ring.inner_supported, ring.outer_supported], axis=1)
        slices.append(Contour(number, inner, outer, deviation, supported, ring.is_supported))
    notes = (*_doubts(slices, grid.ndim), *ended, *((_SIDE,) if (labels == RIGHT).any() else ()))
    return Contours(labels.reshape(grid.shape), grid, frame, tuple(slices), notes)


def _right_and_front(grid: Grid) -> np.ndarray:
    """``[2]`` along rows and columns: to the patient's right and front."""
    across, down = np.reshape(grid.direction, (3, 3)).T[:2]
    return np.array([-down[0] - down[1], -across[0] - across[1]])


def _doubts(slices: list[Contour], ndim: int) -> Iterator[str]:
    for contour in slices:
        where = f" of slice {contour.slice}" if ndim == 3 else ""
        part = 1.0 - contour.supported.mean(axis=0)
        if not contour.is_supported:
            yield f"The image hardly supports the contours{where}; check them."
        elif part[0] > 0.2 or part[1] > 0.4:
            yield (
                f"The image does not support {part[0]:.0%} of the endocardium and {part[1]:.0%} of the "
                f"epicardium{where}."
            )
