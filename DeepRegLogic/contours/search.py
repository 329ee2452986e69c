"""Two borders at once: dynamic programming over a pair of radii along rays, with a spread of every radius.

Min-sum dynamic programming on a polar image, after Geiger et al., "Dynamic programming for detecting, tracking, and
matching deformable contours", IEEE TPAMI 17(3), 1995, with a state of two radii, so that neither border can cross the
other and the wall between them has a thickness that changes slowly.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

_REACH = 2  # steps of a radius from ray to ray


class Borders(NamedTuple):
    """The two borders that cost least.

    Attributes
    ----------
    inner, width : ``[A]`` index of the inner radius and of the width of the wall on every ray.
    inner_spread, outer_spread : ``[A]`` standard deviation of the inner and the outer radius, in steps of the radius.
    cost : of the whole path, without the price of its bends, a ray.
    """

    inner: np.ndarray
    width: np.ndarray
    inner_spread: np.ndarray
    outer_spread: np.ndarray
    cost: float


def best_borders(
    cost: np.ndarray, stiffness: tuple[float, float], closed: bool = True, temperature: float = 1.0
) -> Borders:
    """The pair of borders of least cost.

    Parameters
    ----------
    cost : ``[A, E, W]`` of the inner radius e and the width w of the wall on every ray; inf where there can be none.
    stiffness : price of the square of a step of the inner radius, and of the width, from a ray to the next.
    closed : whether the last ray is followed by the first.
    temperature : the cost that makes a border e times as unlikely, for the spreads.
    """
    rays = len(cost)
    around = np.concatenate([cost, cost]) if closed else cost
    forward = _accumulate(around, stiffness)[-rays:]
    backward = _accumulate(around[::-1], stiffness)[::-1][:rays]
    least = forward + backward - cost  # of all paths through a state: min-marginals
    inner_spread = _spread(least.min(axis=2), temperature)
    outer_spread = _spread(_of_outer(least), temperature)
    start = int(np.argmin(inner_spread)) if closed else 0
    inner, width = _trace(np.roll(cost, -start, axis=0), stiffness, least[start] if closed else None)
    inner, width = np.roll(inner, start), np.roll(width, start)
    taken = cost[np.arange(rays), inner, width]
    return Borders(inner, width, inner_spread, outer_spread, float(taken.mean()))


def _step(before: np.ndarray, stiffness: tuple[float, float]) -> np.ndarray:
    """The least cost of a state of the next ray, but for its own: both penalties are separable, so axis by axis."""
    for axis, price in enumerate(stiffness):
        found = before.copy()
        for shift in range(1, _REACH + 1):
            low, high = [slice(None)] * 2, [slice(None)] * 2
            low[axis], high[axis] = slice(None, -shift), slice(shift, None)
            for here, there in ((low, high), (high, low)):
                np.minimum(found[tuple(here)], before[tuple(there)] + price * shift**2, out=found[tuple(here)])
        before = found
    return before


def _accumulate(cost: np.ndarray, stiffness: tuple[float, float]) -> np.ndarray:
    out = np.empty_like(cost)
    out[0] = cost[0]
    for ray in range(1, len(cost)):
        out[ray] = cost[ray] + _step(out[ray - 1], stiffness)
    return out


def _trace(cost: np.ndarray, stiffness: tuple[float, float], least: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """The path of least cost; with ``least`` of the first ray's states, one that ends where it starts."""
    rays, _, widths = cost.shape
    first = cost[0]
    if least is not None:
        fixed = np.unravel_index(int(np.argmin(least)), least.shape)
        first = np.full_like(cost[0], np.inf)
        first[fixed] = 0.0
        cost = np.concatenate([cost, first[None]])
    totals = _accumulate(np.concatenate([first[None], cost[1:]]), stiffness)
    state = int(np.argmin(totals[-1]))
    path = [state]
    for ray in range(len(cost) - 2, -1, -1):
        e, w = divmod(state, widths)
        e0, w0 = max(e - _REACH, 0), max(w - _REACH, 0)
        near = totals[ray, e0 : e + _REACH + 1, w0 : w + _REACH + 1]
        de = (np.arange(near.shape[0]) + e0 - e)[:, None] ** 2 * stiffness[0]
        dw = (np.arange(near.shape[1]) + w0 - w)[None] ** 2 * stiffness[1]
        i, j = np.unravel_index(int(np.argmin(near + de + dw)), near.shape)
        state = int((e0 + i) * widths + w0 + j)
        path.append(state)
    inner, width = np.divmod(np.array(path[::-1][:rays]), widths)
    return inner, width


def _of_outer(least: np.ndarray) -> np.ndarray:
    """``[A, E + W]``: the least cost of every outer radius, the sum of the other two."""
    rays, radii, widths = least.shape
    out = np.full((rays, radii + widths), np.inf)
    for w in range(widths):
        np.minimum(out[:, w : w + radii], least[:, :, w], out=out[:, w : w + radii])
    return out


def _spread(least: np.ndarray, temperature: float) -> np.ndarray:
    """``[A]`` standard deviation of the index along the last axis, costs taken for negative log-likelihoods."""
    weight = np.exp(-(least - least.min(axis=1, keepdims=True)) / temperature)
    weight /= weight.sum(axis=1, keepdims=True)
    index = np.arange(least.shape[1])
    mean = weight @ index
    return np.sqrt(np.maximum(weight @ index**2 - mean**2, 0.0))
