"""Where the slices of a stack lie along its normal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...errors import InputError

if TYPE_CHECKING:
    from .stack import Slice

_JITTER = 0.1
"""How far the positions of one slice may lie apart, as a part of the distance to the next slice."""
_SAME = 1e-3  # mm: headers are rounded


def positions_of(depths: np.ndarray, thickness: float, notes: list[str]) -> list[list[int]]:
    """The numbers of the images at each position, positions rising along the normal.

    Images belong to one slice where they lie together in comparison with the next slice (and with the thickness, where
    it is known): of all ways to cut the sorted depths, the coarsest of slices with equally many images, or, where a
    file is missing, the coarsest.

    Parameters
    ----------
    depths : ``[N]`` mm along the normal.
    thickness : of a slice in mm, 0 where it is not known.
    """
    by_depth = np.argsort(depths, kind="stable")
    rising = depths[by_depth]
    steps = np.diff(rising)
    limit = max(_JITTER * thickness, _SAME) if thickness > 0 else np.inf
    possible = []
    for smallest in (np.inf, *np.unique(steps[steps > _SAME])[::-1]):
        cuts = np.flatnonzero(steps >= smallest) + 1
        starts, stops = np.r_[0, cuts], np.r_[cuts, len(rising)]
        spread = float((rising[stops - 1] - rising[starts]).max())
        apart = float(np.diff(rising[starts]).min()) if len(cuts) else thickness or 0.5
        if spread <= max(min(_JITTER * apart, limit), _SAME):
            groups: list[list[int]] = [group.tolist() for group in np.split(by_depth, cuts)]
            possible.append((spread, groups))
            if len({len(group) for group in groups}) == 1:
                break
    else:
        possible = possible[:1]
    spread, groups = possible[-1] if possible else (0.0, [[int(i)] for i in by_depth])
    if spread > _SAME * 10:
        notes.append(f"The positions of one slice differ by up to {spread:.2g} mm; their mean is used.")
    return groups


def gap_between(
    slices: Sequence[Slice], groups: list[list[int]], normal: np.ndarray, name: str, notes: list[str]
) -> float:
    """Distance of neighbouring slices in mm, 0 for a single one.

    Raises
    ------
    InputError : slices that are shifted sideways, or not evenly spaced.
    """
    positions = np.array([s.position for s in slices])
    offset = positions - positions[groups[0][0]]
    sideways = np.linalg.norm(offset - np.outer(offset @ normal, normal), axis=1)
    if sideways.max() > 0.1 * min(slices[0].spacing):
        raise InputError(
            f"The slices of '{name}' are shifted sideways against each other (by {sideways.max():.2f} mm at "
            f"{slices[int(sideways.argmax())].label}); resample them to a straight stack first."
        )
    if len(groups) == 1:
        return 0.0
    depths = positions @ normal
    gaps = np.diff([depths[group].mean() for group in groups])
    mean = float(gaps.mean())
    uneven = float(np.abs(gaps - mean).max())
    if uneven > 0.1 * mean:
        k = int(np.abs(gaps - np.median(gaps)).argmax())
        raise InputError(
            f"The slices of '{name}' are not evenly spaced: {gaps[k]:.2f} mm between {slices[groups[k][0]].label} and "
            f"{slices[groups[k + 1][0]].label}, {np.median(gaps):.2f} mm elsewhere; add the missing slices "
            "or leave some out."
        )
    if uneven > 0.01 * mean:
        notes.append(f"The gaps between slices differ by up to {uneven:.2f} mm; their mean, {mean:.2f} mm, is used.")
    return mean
