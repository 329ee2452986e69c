"""Directions of a heart, from labels: radial, circumferential, longitudinal; and the lines of its wall.

Directions come from a Laplace solution between the borders of the myocardium (0 at the cavity, 1 outside), as in Jones
et al. 2000; it is known on both sides of the wall, so that a wall of one pixel has directions, too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from .. import flow
from ..errors import InputError
from ..grid import Grid

RAYS = 96
_HARMONICS = 9
_THIN_MM_PIXELS = 1.5


@dataclass(frozen=True, eq=False)
class WallLines:
    """The lines of the wall in one slice: ``[P, ndim]`` in voxels on the reference frame, point by point opposite.

    Attributes
    ----------
    slice : number of the slice, 0 in the plane.
    endo, mid, epi : the borders of the wall and the line halfway.
    closed : whether the last point is followed by the first (short axis).
    """

    slice: int
    endo: np.ndarray
    mid: np.ndarray
    epi: np.ndarray
    closed: bool


@dataclass(frozen=True, eq=False)
class CardiacAxes:
    """Directions of a heart on the reference frame.

    Attributes
    ----------
    view : "short-axis" or "long-axis".
    wall : ``[*spatial]`` bool, where there are directions.
    directions : "radial", "circumferential" (short axis), "longitudinal" (long axis and stacks) -> unit vectors
        ``[ndim, *spatial]`` float32, along the array's axes in mm; zero outside the wall. Radial points outward.
    depth : ``[*spatial]`` float32, 0 at the endocardium to 1 at the epicardium.
    along : of a long axis, ``[*spatial]`` float32, 0 at one end of the wall, 1 at the other; None else.
    lines : of every slice that has a closed ring, or of the one open one.
    centres : ``[S, ndim]`` in voxels, of the cavity in the slices of ``lines``.
    notes : sentences about what was left out.
    """

    view: str
    wall: np.ndarray
    directions: dict[str, np.ndarray]
    depth: np.ndarray
    along: np.ndarray | None
    lines: tuple[WallLines, ...]
    centres: np.ndarray
    notes: tuple[str, ...] = ()


def cardiac_axes(
    wall: np.ndarray, grid: Grid, view: str | None = None, cavity: np.ndarray | None = None
) -> CardiacAxes:
    """Directions from a mask of the myocardium ``[*grid.shape]``.

    Parameters
    ----------
    view : "short-axis", "long-axis"; None: short axis where the wall is a closed ring, else long axis (of a slice).
    cavity : mask of the left ventricle's blood, where it is known.

    Raises
    ------
    InputError : no wall, an open ring in a short-axis view, a long-axis view without a cavity.
    """
    wall = np.asarray(wall) > 0
    if not wall.any():
        raise InputError("The myocardium is empty; draw it on the reference frame to get strain.")
    planes = wall[None] if grid.ndim == 2 else wall
    filled = np.stack([_filled(plane) for plane in planes])
    closed = [z for z in range(len(planes)) if (filled[z] & ~planes[z]).sum() >= 4]
    if view is None:
        view = "short-axis" if closed or grid.ndim == 3 else "long-axis"
    if view == "long-axis":
        if grid.ndim == 3:
            raise InputError("A long-axis view is a single slice; choose the short axis for a stack.")
        return _long_axis(wall, grid, cavity)
    if not closed:
        raise InputError(
            "The myocardium is no closed ring around the cavity in any slice; close it, or choose the long axis."
        )
    return _short_axis(planes, filled, closed, grid)


# short axis


def _short_axis(planes: np.ndarray, filled: np.ndarray, closed: list[int], grid: Grid) -> CardiacAxes:
    spacing, plane_spacing = grid.array_spacing, grid.array_spacing[-2:]
    used = np.zeros_like(planes)
    depth = np.zeros(planes.shape, np.float32)
    in_plane = np.zeros((2, *planes.shape), np.float32)
    lines, centres, thin = [], [], []
    for z in closed:
        hole = filled[z] & ~planes[z]
        centre = np.argwhere(hole).mean(0)
        potential = laplace(planes[z], hole, ~filled[z], plane_spacing)
        used[z], depth[z] = planes[z], potential
        in_plane[:, z] = _outward(potential, plane_spacing)
        endo, epi = (_ring(mask, centre, plane_spacing) for mask in (hole, filled[z]))
        thickness = np.linalg.norm((epi - endo) * plane_spacing, axis=1)
        if np.median(thickness) < _THIN_MM_PIXELS * max(plane_spacing):
            thin.append(z)
        inner, middle, outer = (_lift(line, z, grid.ndim) for line in (endo, 0.5 * (endo + epi), epi))
        lines.append(WallLines(z, inner, middle, outer, closed=True))
        centres.append(_lift(centre[None], z, grid.ndim)[0])
    notes = _thin_note(thin, grid.ndim)
    rest = [z for z in range(len(planes)) if planes[z].any() and z not in closed]
    if rest:
        notes.append(
            f"The myocardium is no closed ring in {_slices(rest)}, which {'is' if len(rest) == 1 else 'are'} left out."
        )
    cavity = np.array(centres)
    if grid.ndim == 2:
        radial = in_plane[:, 0] * used[0]
        around = np.stack([-radial[1], radial[0]])
        return CardiacAxes("short-axis", used[0], {"radial": radial, "circumferential": around}, depth[0], None,
                           tuple(lines), cavity, tuple(notes))  # fmt: skip
    axis = _axis(cavity, spacing)
    if len(closed) == 1:
        notes.append("Only one slice has a label: the heart's axis is taken as perpendicular to it.")
    radial = np.concatenate([np.zeros_like(in_plane[:1]), in_plane])
    radial -= np.tensordot(axis, radial, 1) * axis.reshape(3, 1, 1, 1)
    radial /= np.maximum(np.linalg.norm(radial, axis=0), 1e-6)
    around = np.cross(np.broadcast_to(axis.reshape(3, 1, 1, 1), radial.shape), radial, axis=0)
    directions = {"radial": radial, "circumferential": around,
                  "longitudinal": np.broadcast_to(axis.reshape(3, 1, 1, 1), radial.shape)}  # fmt: skip
    directions = {name: (each * used).astype(np.float32) for name, each in directions.items()}
    return CardiacAxes("short-axis", used, directions, depth, None, tuple(lines), cavity, tuple(notes))


def _axis(centres: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """The unit direction of the line through the centres, towards higher slices, along the array's axes in mm."""
    if len(centres) < 3:
        return np.array([1.0, 0.0, 0.0])
    z = centres[:, 0] * spacing[0]
    slopes = [np.polyfit(z, centres[:, axis] * spacing[axis], 1)[0] for axis in (1, 2)]
    direction = np.array([1.0, *slopes])
    return np.asarray(direction / np.linalg.norm(direction))


def _lift(points: np.ndarray, z: int, ndim: int) -> np.ndarray:
    """Points of a plane as points of the image."""
    return points if ndim == 2 else np.column_stack([np.full(len(points), float(z)), points])


def _slices(numbers: list[int]) -> str:
    return ("slice " if len(numbers) == 1 else "slices ") + ", ".join(str(n) for n in numbers)


def _thin_note(thin: list[int], ndim: int) -> list[str]:
    where = "" if ndim == 2 else f" in {_slices(thin)}"
    return [f"The myocardium is thinner than two pixels{where}: radial strain there is uncertain."] if thin else []


def _filled(mask: np.ndarray) -> np.ndarray:
    import SimpleITK as sitk

    if not mask.any():
        return mask
    return sitk.GetArrayFromImage(sitk.BinaryFillhole(sitk.GetImageFromArray(mask.astype(np.uint8)))) > 0


def _largest(mask: np.ndarray) -> np.ndarray:
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    parts = sitk.RelabelComponent(sitk.ConnectedComponent(image), sortByObjectSize=True)
    return sitk.GetArrayFromImage(parts) == 1


def _ring(mask: np.ndarray, centre: np.ndarray, spacing: tuple[float, ...], rays: int = RAYS) -> np.ndarray:
    """The border of a filled mask on rays from a centre, ``[rays, 2]`` in voxels, to parts of a pixel."""
    soft = flow.smooth(torch.from_numpy(mask.astype(np.float64))[None, None], 0.8)
    reach = float(np.linalg.norm(np.array(mask.shape) * spacing))
    steps = np.arange(0.0, reach, 0.2 * min(spacing))
    angles = np.arange(rays) * 2 * np.pi / rays
    rays_mm = np.stack([np.sin(angles), np.cos(angles)], 1)
    places = centre + (rays_mm / spacing)[:, None] * steps[None, :, None]
    values = flow.sample(soft, torch.from_numpy(places.reshape(-1, 2)))[0, 0].numpy().reshape(rays, -1)
    inside = (places >= 0).all(-1) & (places <= np.array(mask.shape) - 1.0).all(-1)
    values = np.where(inside, values, 0.0)
    last = values.shape[1] - 1 - np.argmax(values[:, ::-1] >= 0.5, axis=1)  # the outermost crossing
    last = np.minimum(last, values.shape[1] - 2)
    rows = np.arange(rays)
    above, below = values[rows, last], values[rows, last + 1]
    part = np.clip((above - 0.5) / np.maximum(above - below, 1e-9), 0, 1)
    # a label's border has steps, which a motion would stretch
    waves = np.fft.rfft((last + part) * 0.2 * min(spacing))
    waves[_HARMONICS + 1 :] = 0
    return centre + (rays_mm / spacing) * np.fft.irfft(waves, rays)[:, None]


# long axis


def _long_axis(wall: np.ndarray, grid: Grid, cavity: np.ndarray | None) -> CardiacAxes:
    """Directions of a wall that is open at the base: the mouth is that edge of its convex hull that is not wall."""
    wall = _largest(wall)
    spacing = grid.array_spacing
    hull, (first, second) = _hull_and_mouth(wall)
    hollow = hull & ~wall
    if cavity is not None and (cavity & hollow).any():
        hollow = _largest(hollow & (_dilated(cavity > 0, 1)))
    else:
        hollow = _largest(hollow)
    if hollow.sum() < 9:
        raise InputError("The myocardium of the long-axis view encloses no cavity; draw it from one side of the valve "
                         "to the other.")  # fmt: skip
    rows, columns = np.indices(wall.shape)
    edge = second - first
    side = edge[0] * (columns - first[1]) - edge[1] * (rows - first[0])
    inner = np.sign(side[hollow].mean())
    beyond = side * inner < 0  # of the valve's line: there is no border there
    potential = laplace(wall, hollow, ~wall & ~hollow & ~beyond, spacing)
    ends = _dilated(beyond | _near_line(wall, first, second), 1) & wall
    parts = _two_ends(ends, first, second)
    along = laplace(wall & ~parts[0] & ~parts[1], parts[0], parts[1], spacing)
    radial = _outward(potential, spacing) * wall
    tangent = np.stack([-radial[1], radial[0]])
    lines, along = _open_lines(wall, potential, along, spacing)
    notes = _thin_note([0], 2) if _thickness(lines, spacing) < _THIN_MM_PIXELS * max(spacing) else []
    centre = np.argwhere(hollow).mean(0)[None]
    directions = {"radial": radial, "longitudinal": tangent}
    return CardiacAxes("long-axis", wall, directions, potential, along, (lines,), centre, tuple(notes))


def _thickness(lines: WallLines, spacing: tuple[float, ...]) -> float:
    return float(np.median(np.linalg.norm((lines.epi - lines.endo) * spacing, axis=1)))


def _dilated(mask: np.ndarray, steps: int) -> np.ndarray:
    """A mask grown by a number of pixels."""
    import SimpleITK as sitk

    grown = sitk.BinaryDilate(sitk.GetImageFromArray(mask.astype(np.uint8)), [steps] * mask.ndim)
    return sitk.GetArrayFromImage(grown) > 0


def _hull_and_mouth(mask: np.ndarray) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """The convex hull of a mask, and the ends of the edge of it that runs furthest outside the mask."""
    corners = _convex(np.argwhere(mask))
    rows, columns = np.indices(mask.shape)
    inside = np.ones(mask.shape, bool)
    gaps = []
    for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        cross = (b - a)[0] * (columns - a[1]) - (b - a)[1] * (rows - a[0])
        inside &= cross >= -1e-9
        along = np.linspace(a, b, max(int(np.abs(b - a).max()) * 2, 2)).round().astype(int)
        gaps.append(np.count_nonzero(~_dilated(mask, 1)[tuple(along.T)]))
    widest = int(np.argmax(gaps))
    return inside, (corners[widest].astype(float), corners[(widest + 1) % len(corners)].astype(float))


def _convex(points: np.ndarray) -> np.ndarray:
    """Corners of the convex hull, so that the hull is where every cross product with an edge is not negative."""
    ordered = sorted(map(tuple, points.tolist()))

    def half(sequence: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
        chain: list[tuple[int, ...]] = []
        for p in sequence:
            while len(chain) > 1 and _turn(chain[-2], chain[-1], p) <= 0:
                chain.pop()
            chain.append(p)
        return chain[:-1]

    return np.array(half(ordered) + half(ordered[::-1]))


def _turn(a: tuple[int, ...], b: tuple[int, ...], c: tuple[int, ...]) -> int:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _near_line(mask: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Pixels of a mask within a pixel and a half of a line."""
    rows, columns = np.indices(mask.shape)
    edge = second - first
    away = np.abs(edge[0] * (columns - first[1]) - edge[1] * (rows - first[0])) / np.linalg.norm(edge)
    return mask & (away <= 1.5)


def _two_ends(ends: np.ndarray, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels near the first and near the second end of the mouth."""
    rows, columns = np.indices(ends.shape)
    nearer = np.hypot(rows - first[0], columns - first[1]) < np.hypot(rows - second[0], columns - second[1])
    return ends & nearer, ends & ~nearer


def _open_lines(
    wall: np.ndarray, depth: np.ndarray, along: np.ndarray, spacing: tuple[float, ...], count: int = 64
) -> tuple[WallLines, np.ndarray]:
    """Lines along an open wall: at every place along it the pixels are fitted by a straight line across.

    Also the place along it as a fraction of the length of the middle line.
    """
    places, phi, psi = np.argwhere(wall).astype(float), depth[wall], along[wall]
    order = np.argsort(psi)
    at = np.quantile(psi[order], (np.arange(count) + 0.5) / count)
    width = np.maximum(np.gradient(at), 1e-3)
    weight = np.exp(-0.5 * np.square((psi - at[:, None]) / (1.2 * width[:, None])))
    design = np.stack([np.ones_like(phi), phi - 0.5, np.zeros_like(phi)], 1)[None].repeat(count, 0)
    design[:, :, 2] = (psi - at[:, None]) / width[:, None]
    normal = np.einsum("kpi,kp,kpj->kij", design, weight, design) + 1e-6 * np.eye(3)
    fitted = np.linalg.solve(normal, np.einsum("kpi,kp,pa->kia", design, weight, places))
    middle, across = fitted[:, 0], fitted[:, 1]
    lines = WallLines(0, middle - 0.5 * across, middle, middle + 0.5 * across, closed=False)
    steps = np.linalg.norm(np.diff(middle, axis=0) * spacing, axis=1)
    length = np.concatenate([[0.0], np.cumsum(steps)]) + 0.5 * steps[0]
    length /= length[-1] + 0.5 * steps[-1]
    fraction = np.interp(along, np.concatenate([[0.0], at, [1.0]]), np.concatenate([[0.0], length, [1.0]]))
    return lines, np.where(wall, fraction, 0.0).astype(np.float32)


# the potential


def _outward(potential: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """Unit vectors up a potential, smoothed over a pixel."""
    soft = flow.smooth(torch.from_numpy(potential.astype(np.float64))[None, None], 1.0)[0, 0].numpy()
    up = np.stack(np.gradient(soft, *spacing))
    return (up / np.maximum(np.linalg.norm(up, axis=0), 1e-9)).astype(np.float32)


def laplace(
    free: np.ndarray, zero: np.ndarray, one: np.ndarray, spacing: tuple[float, ...], tolerance: float = 1e-5
) -> np.ndarray:
    """The potential ``[*spatial]`` float32 that is 0 and 1 where these masks say, and harmonic in ``free``.

    Pixels of none of the masks are walls that nothing flows through (their value is that of 0.5). Conjugate gradients.
    """
    known = (zero | one) & ~free
    value = np.full(free.shape, 0.5)
    value[zero & known], value[one & known] = 0.0, 1.0
    part = free | known
    links = []
    for axis, size in enumerate(spacing):
        low = tuple(slice(None, -1) if a == axis else slice(None) for a in range(free.ndim))
        high = tuple(slice(1, None) if a == axis else slice(None) for a in range(free.ndim))
        links.append((low, high, (part[low] & part[high]) / size**2))
    diagonal = np.zeros(free.shape)
    for low, high, weight in links:
        diagonal[low] += weight
        diagonal[high] += weight
    diagonal[diagonal == 0] = 1

    def residual(x: np.ndarray) -> np.ndarray:
        out = diagonal * x
        for low, high, weight in links:
            out[low] -= weight * x[high]
            out[high] -= weight * x[low]
        return np.where(free, out, 0.0)

    left = -residual(value)
    step = left / diagonal
    product = float((left * step).sum())
    for _ in range(4 * int(np.sqrt(free.sum())) + 200):
        if product <= tolerance**2 * max(free.sum(), 1) * diagonal.min():
            break
        moved = residual(step)
        length = product / max(float((step * moved).sum()), 1e-300)
        value += length * step
        left -= length * moved
        new = float((left * left / diagonal).sum())
        step = left / diagonal + new / product * step
        product = new
    return np.clip(value, 0.0, 1.0).astype(np.float32)
