"""Strain of a heart, as it is reported: curves, figures with their moments, segments, each with a 90 % interval.

    strain = strain_of(results, HeartSettings(myocardium="LV myocardium"))
    strain.curve("GCS").values                # [T] percent
    strain.figure("GCS", "end-systolic")      # value, interval, frame, time
    strain.segments                           # one row a segment

Intervals come from samples of the displacement's error (``uncertainty.fields``), whose covariance is the motion's and
which are alike over ``CORRELATION_MM``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from ..grid import Grid
from .axes import CardiacAxes, WallLines, cardiac_axes
from .labels import Labels, roles_of
from .segments import LONG_AXES, Segmentation, levels_of, segment, sense_of
from .strain_curves import TENSOR, Chamber, Heart, Key, chamber_line, curves_of
from .strain_figures import figures_of, segment_rows
from .strain_values import (
    CORRELATION_MM,
    NORMAL_90,
    HeartSettings,
    SegmentRow,
    Strain,
    StrainCurve,
    StrainFigure,
    unit_of,
)

if TYPE_CHECKING:
    from ..cine import Motion
    from .results import Results

MUSCLE_DENSITY = 1.05  # g/ml
_MARGIN = 4


def strain_of(results: Results, settings: HeartSettings | None = None) -> Strain:
    """Strain of the left ventricle (and what else has labels) of some results.

    Raises
    ------
    InputError : no myocardium among the labels, or one without a cavity.

    Examples
    --------
    >>> from DeepRegLogic import Labels, Results
    >>> from DeepRegLogic.results.strain import strain_of
    >>> from DeepRegLogic.synthetic import cine_phantom
    >>> phantom = cine_phantom(seed=1, size=64, frames=8)
    >>> strain = strain_of(Results(phantom.motion, phantom.cine, Labels.of_map(phantom.labels[0], phantom.label_names)))
    >>> bool(strain.figure("GCS", "end-systolic").value < -5)
    True
    """
    settings = settings or HeartSettings()
    motion, labels = results.motion, results.labels
    heart, full, place, notes = _heart(motion.grid, labels, settings)
    both = (slice(None), slice(None), *place)
    displacement = motion.displacement[both].astype(float)
    values = curves_of(displacement[None], heart)
    samples = _samples(motion, heart, place, displacement, settings)
    reference = motion.reference
    _to_volume(values, samples, results, labels, settings)
    cavity = next(key for key in values if key[0] in ("cavity area", "cavity volume"))
    size = values[cavity][0]
    systole = int(np.argmin(size))
    if size.max() > 1.05 * size[reference]:
        notes.append(
            f"The reference frame {reference} is not end-diastole (frame {int(np.argmax(size))} is): strains are "
            "relative to it; register to end-diastole."
        )
    if samples is None:
        notes.append("The motion does not say how sure it is: there are no intervals.")
    curves, segment_curves = _curves(values, samples)
    period = _period(motion)
    figures = figures_of(values, samples, motion, systole, period, _mass(results, settings))
    rows = segment_rows(values, samples, full[1], motion, systole, period)
    return Strain(full[0], full[1], curves, segment_curves, figures, rows, reference, systole,
                  motion.times - motion.times[reference], motion.time_unit, tuple(notes), settings)  # fmt: skip


def label_of(labels: Labels | None, role: str, chosen: int | str | None) -> np.ndarray | None:
    """Mask ``[*spatial]`` of a part of the heart, by its value or name, or by what its label is called.

    Raises
    ------
    InputError : a label was named that there is not.
    """
    drawn = labels.drawn() if labels is not None else {}
    if chosen is None:
        value = roles_of(labels).get(role)
        return None if value is None else drawn[value]
    titles = labels.titles if labels is not None else {}
    for value, mask in drawn.items():
        if chosen in (value, titles[value]) or str(chosen) == str(value):
            return mask
    raise InputError(
        f"There is no label '{chosen}'; there are {', '.join(f'{v} ({titles[v]})' for v in drawn) or 'none'}."
    )


def _heart(
    grid: Grid, labels: Labels | None, settings: HeartSettings
) -> tuple[Heart, tuple[CardiacAxes, Segmentation], tuple[slice, ...], list[str]]:
    """The heart on the crop around it, its axes and segments on the whole grid, the crop, and notes."""
    wall = label_of(labels, "myocardium", settings.myocardium)
    if wall is None:
        raise InputError("There is no label of the myocardium; name one of the labels as the myocardium.")
    cavity, right = (label_of(labels, r, c) for r, c in (("lv", settings.cavity), ("rv", settings.right)))
    view = None if settings.view is None else "short-axis" if settings.view == "short-axis" else "long-axis"
    axes = cardiac_axes(wall, grid, view, cavity)
    long_axis = settings.view if settings.view in LONG_AXES else None
    parts = segment(axes, grid, right=right, insertion=settings.insertion, level=settings.level, long_axis=long_axis)
    _, upward = levels_of(axes, settings.level)
    chambers = _chambers(labels, wall, grid, right, axes)
    around = axes.wall | np.zeros(grid.shape, bool)
    for chamber in chambers:
        around[tuple(np.clip(np.rint(chamber.line), 0, np.array(grid.shape) - 1).astype(int).T)] = True
    where = np.argwhere(around)
    low = np.maximum(where.min(0) - _MARGIN, 0)
    high = np.minimum(where.max(0) + 1 + _MARGIN, grid.shape)
    place = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    heart = Heart(
        _crop(axes, place, low), replace(parts, map=parts.map[place]), grid.array_spacing,
        tuple(Chamber(c.name, c.line - low) for c in chambers), sense_of(axes, grid, upward), upward,
    )  # fmt: skip
    return heart, (axes, parts), place, [*axes.notes, *parts.notes]


def _crop(axes: CardiacAxes, place: tuple[slice, ...], low: np.ndarray) -> CardiacAxes:
    lines = tuple(
        WallLines(e.slice - (int(low[0]) if len(low) == 3 else 0), e.endo - low, e.mid - low, e.epi - low, e.closed)
        for e in axes.lines
    )
    components = (slice(None), *place)
    return replace(
        axes, wall=axes.wall[place], depth=axes.depth[place], lines=lines, centres=axes.centres - low,
        directions={name: unit[components] for name, unit in axes.directions.items()},
        along=None if axes.along is None else axes.along[place],
    )  # fmt: skip


def _chambers(
    labels: Labels | None, wall: np.ndarray, grid: Grid, right: np.ndarray | None, axes: CardiacAxes
) -> list[Chamber]:
    """Of a long-axis view: the left atrium's wall, and the right ventricle's free wall, where they have labels."""
    if grid.ndim == 3 or axes.view != "long-axis" or labels is None:
        return []
    drawn, roles = labels.drawn(), roles_of(labels)
    found = []
    for role, name, mask in (("la", "left atrial strain", None), ("rv", "RV free wall strain", right)):
        own = mask if mask is not None else drawn[roles[role]] if role in roles else None
        if own is None:
            continue
        others = wall.copy()
        for other, value in roles.items():
            if other != role and not (role == "rv" and other == "lv"):
                others |= drawn[value]
        line = chamber_line(own, others & ~own, grid.array_spacing)
        if len(line):
            found.append(Chamber(name, line))
    return found


def _samples(
    motion: Motion, heart: Heart, place: tuple[slice, ...], displacement: np.ndarray, settings: HeartSettings
) -> dict[Key, np.ndarray] | None:
    """Curves ``[S, T]`` of samples of the motion; None without a covariance."""
    if motion.covariance is None:
        return None
    from ..uncertainty.fields import sample_errors

    spacing = np.asarray(heart.spacing, np.float32).reshape(-1, *[1] * len(heart.spacing))
    whole = (slice(None), slice(None), slice(None), *place)
    covariance = motion.covariance[whole]
    parts: list[dict[Key, np.ndarray]] = []
    chunk = 8 if len(heart.spacing) == 2 else 2
    for start in range(0, settings.samples, chunk):
        count = min(chunk, settings.samples - start)
        errors = sample_errors(covariance, heart.spacing, settings.correlation, count, seed=start)
        parts.append(curves_of(displacement.astype(np.float32) + errors / spacing, heart))
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def _to_volume(
    values: dict[Key, np.ndarray], samples: dict[Key, np.ndarray] | None, results: Results, labels: Labels | None,
    settings: HeartSettings,
) -> None:  # fmt: skip
    """Add the volume of a stack by the Jacobian, where the blood has a label; its spread is that by discs."""
    mask = label_of(labels, "lv", settings.cavity)
    discs = ("cavity volume", "ml by discs")
    if results.motion.grid.ndim == 2 or mask is None or discs not in values:
        return
    voxel = float(np.prod(results.motion.grid.array_spacing)) / 1000
    key = ("cavity volume", "ml by the Jacobian")
    values[key] = (results.jacobian[:, mask].sum(1, dtype=float) * voxel)[None]
    if samples is not None:
        scale = values[key].mean() / values[discs].mean()
        samples[key] = values[key] + (samples[discs] - values[discs]) * scale


def _mass(results: Results, settings: HeartSettings) -> float | None:
    """Mass of the wall of a stack in g."""
    grid = results.motion.grid
    wall = label_of(results.labels, "myocardium", settings.myocardium)
    if grid.ndim == 2 or wall is None:
        return None
    return float(wall.sum() * np.prod(grid.array_spacing) / 1000 * MUSCLE_DENSITY)


def _period(motion: Motion) -> float | None:
    """Length of the cycle in the unit of times; None of a motion that is not one."""
    if not motion.cyclic or len(motion) < 2:
        return None
    return float((motion.times[-1] - motion.times[0]) * len(motion) / (len(motion) - 1))


def _curves(
    values: dict[Key, np.ndarray], samples: dict[Key, np.ndarray] | None
) -> tuple[tuple[StrainCurve, ...], dict[tuple[int, str], StrainCurve]]:
    whole, parts = [], {}
    for key, found in values.items():
        band = None
        if samples is not None:
            half = NORMAL_90 * samples[key].std(0, ddof=1)
            band = np.stack([found[0] - half, found[0] + half], 1)
        curve = StrainCurve(*key, found[0], unit_of(key), band)
        if key[0].startswith("segment "):
            _, number, direction = key[0].split()
            parts[int(number), direction] = curve
        else:
            whole.append(curve)
    return tuple(whole), parts


__all__ = [
    "CORRELATION_MM", "TENSOR", "HeartSettings", "SegmentRow", "Strain", "StrainCurve", "StrainFigure", "strain_of",
]  # fmt: skip
