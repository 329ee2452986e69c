"""Maps of the plane or of space that depend on time and go both ways: closed forms, or flows integrated finely.

Points are arrays ``[ndim, ...]`` in mm, axes in the order of the image's. A map's ``forward(points, phase)`` takes
points of the reference (phase 0) to where their tissue is at ``phase``; ``inverse`` takes points of that phase back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

Points = np.ndarray
Scalars = Callable[[float], np.ndarray]


class Map(Protocol):
    def forward(self, points: Points, phase: float) -> Points: ...

    def inverse(self, points: Points, phase: float) -> Points: ...


def solve(function: Callable[[np.ndarray], np.ndarray], values: np.ndarray, reach: float) -> np.ndarray:
    """``x`` with ``function(x) == values`` for a rising function that moves no number by more than ``reach``."""
    low, high = values - reach, values + reach
    x = values.copy()
    for _ in range(60):
        difference = function(x) - values
        low = np.where(difference < 0, x, low)
        high = np.where(difference > 0, x, high)
        slope = (function(x + 1e-4) - values - difference) / 1e-4
        found = x - difference / np.maximum(slope, 1e-3)
        found = np.where((found <= low) | (found >= high), 0.5 * (low + high), found)
        found = np.where(difference == 0, x, found)
        moved = np.abs(found - x).max()
        x = found
        if moved < 1e-7:
            break
    return x


@dataclass
class Chain:
    """Maps, one after the other."""

    maps: Sequence[Map]

    def forward(self, points: Points, phase: float) -> Points:
        for each in self.maps:
            points = each.forward(points, phase)
        return points

    def inverse(self, points: Points, phase: float) -> Points:
        for each in reversed(self.maps):
            points = each.inverse(points, phase)
        return points


@dataclass
class Flow:
    """The flow over a unit of time of the velocity ``sum_k a_k(phase) exp(-|x - c_k|^2 / (2 s_k^2))``.

    ``centres`` and ``sigmas`` are ``[K, ndim]`` in mm, ``amplitudes(phase)`` is ``[K, ndim]`` in mm. Runge-Kutta of
    the fourth order; ``steps`` is chosen from the largest amplitude such that halving the steps changes nothing that
    matters.
    """

    centres: np.ndarray
    sigmas: np.ndarray
    amplitudes: Scalars
    steps: int | None = None

    def _velocity(self, points: Points, amplitudes: np.ndarray) -> Points:
        velocity = np.zeros_like(points)
        for centre, sigma, amplitude in zip(self.centres, self.sigmas, amplitudes, strict=True):
            if not amplitude.any():
                continue
            exponent = np.zeros(points.shape[1:])
            for axis in range(len(points)):
                exponent += np.square((points[axis] - centre[axis]) * (np.sqrt(0.5) / sigma[axis]))
            bump = np.exp(-exponent)
            for axis in np.flatnonzero(amplitude):
                velocity[axis] += amplitude[axis] * bump
        return velocity

    def _integrate(self, points: Points, amplitudes: np.ndarray) -> Points:
        if not amplitudes.any():
            return points
        # the flow's largest stretching bounds the steps that are needed
        rate = (np.abs(amplitudes) / np.asarray(self.sigmas).min(axis=1, keepdims=True)).sum(axis=1).max()
        steps = self.steps or int(np.clip(np.ceil(6 * rate) + 2, 3, 24))
        h = 1.0 / steps
        for _ in range(steps):
            k1 = self._velocity(points, amplitudes)
            k2 = self._velocity(points + 0.5 * h * k1, amplitudes)
            k3 = self._velocity(points + 0.5 * h * k2, amplitudes)
            k4 = self._velocity(points + h * k3, amplitudes)
            points = points + (h / 6) * (k1 + 2 * (k2 + k3) + k4)
        return points

    def forward(self, points: Points, phase: float) -> Points:
        return self._integrate(points, np.asarray(self.amplitudes(phase)))

    def inverse(self, points: Points, phase: float) -> Points:
        return self._integrate(points, -np.asarray(self.amplitudes(phase)))


@dataclass
class Placed:
    """A motion that is described in a frame of its own: bent by a still flow, turned and put somewhere in the image."""

    motion: Map
    rotation: np.ndarray
    centre: np.ndarray
    shape: Flow | None = None

    def to_image(self, points: Points) -> Points:
        if self.shape is not None:
            points = self.shape.forward(points, 0.0)
        return np.tensordot(self.rotation, points, 1) + self.centre.reshape(-1, *[1] * (points.ndim - 1))

    def to_own(self, points: Points) -> Points:
        points = np.tensordot(self.rotation.T, points - self.centre.reshape(-1, *[1] * (points.ndim - 1)), 1)
        return points if self.shape is None else self.shape.inverse(points, 0.0)

    def forward(self, points: Points, phase: float) -> Points:
        return self.to_image(self.motion.forward(self.to_own(points), phase))

    def inverse(self, points: Points, phase: float) -> Points:
        return self.to_image(self.motion.inverse(self.to_own(points), phase))

    def own_inverse(self, own: Points, phase: float) -> Points:
        """From ``to_own`` of points of a phase to the tissue's place in the own frame at the reference."""
        return self.motion.inverse(own, phase)


def random_bend(rng: np.random.Generator, spread: float, size: float, count: int = 7) -> Flow:
    """A still flow that makes every subject's shapes different."""
    centres = rng.uniform(-spread, spread, (count, 2))
    sigmas = np.repeat(rng.uniform(0.3 * spread, 0.5 * spread, (count, 1)), 2, 1)
    amplitudes = rng.normal(0, size, (count, 2))
    return Flow(centres, sigmas, lambda phase: amplitudes)


def turned(degrees: float) -> np.ndarray:
    """The rotation of the plane (row, column) by an angle, from the row axis towards the column axis."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[c, -s], [s, c]])


def _saturate(q: np.ndarray, power: float) -> np.ndarray:
    """``q`` for small ``q >= 0``, 1 for large."""
    q = np.maximum(q, 1e-12)
    least = np.minimum(q, 1 / q)
    return np.minimum(q, 1) * np.exp(np.log1p(least**power) / -power)


@dataclass
class Annulus:
    """A round hollow organ about the axis ``y = x = 0`` (plus ``centre``), in the last two axes.

    In polar coordinates about the centre the cavity's squared radius loses ``ejected * inner^2``; within the wall
    ``r'^2 = r^2 (1 + gain) - const``, so that its area changes by the factor ``1 + gain`` alone, however much the
    ejection varies around; outside, the displacement falls off with ``reach``. Then everything turns by ``twist``, the
    inner layers by more (``shear``, a fraction between the outer and the inner surface); a turn that depends on the
    radius keeps areas, too.

    ``ejected(phase, z)``: fraction; ``uneven(phase, turn, z)``: what is added to it at an angle. ``gain(phase)``:
    fraction. ``twist(phase, z)``: radians. ``inner(z, phase)`` and ``outer(z, phase)``: radii in mm of the tissue that
    is at ``z`` then, before it contracts. ``reach``: mm, of an angle. ``z`` is None in the plane.
    """

    ejected: Callable[[float, np.ndarray | None], np.ndarray]
    uneven: Callable[[float, np.ndarray, np.ndarray | None], np.ndarray]
    gain: Callable[[float], float]
    twist: Callable[[float, np.ndarray | None], np.ndarray]
    inner: Callable[[np.ndarray | None, float], np.ndarray]
    outer: Callable[[np.ndarray | None, float], np.ndarray]
    reach: Callable[[np.ndarray], np.ndarray]
    shear: float = 0.4
    centre: tuple[float, float] = (0.0, 0.0)
    power: int = 6

    def _polar(self, points: Points) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
        y, x = points[-2] - self.centre[0], points[-1] - self.centre[1]
        return (points[0] if len(points) == 3 else None), np.hypot(y, x), np.arctan2(y, x)

    def _points(self, points: Points, radius: np.ndarray, turn: np.ndarray) -> Points:
        moved = points.copy()
        moved[-2] = radius * np.sin(turn) + self.centre[0]
        moved[-1] = radius * np.cos(turn) + self.centre[1]
        return moved

    def _radial(self, turn: np.ndarray, z: np.ndarray | None, phase: float) -> Callable[[np.ndarray], np.ndarray]:
        """Radius to radius, at angles and heights."""
        inner, outer, reach, gain = self.inner(z, phase), self.outer(z, phase), self.reach(turn), self.gain(phase)
        even, uneven, inner2 = self.ejected(phase, z), self.uneven(phase, turn, z), np.square(inner)

        def moved(radius: np.ndarray) -> np.ndarray:
            s = np.square(radius)
            q = s / inner2
            cavity = _saturate(q, self.power)
            fall = np.exp(-np.square(np.maximum(radius - outer, 0.0) / reach))
            # what differs around the cavity vanishes in its centre, where there is no angle
            changed = inner2 * (gain * (q - cavity) - (even + uneven * q * q / (q * q + 0.06)) * cavity)
            return np.sqrt(np.maximum(s + fall * changed, 1e-12))

        return moved

    def _turn(self, radius: np.ndarray, z: np.ndarray | None, phase: float) -> np.ndarray:
        inner, outer = self.inner(z, phase), self.outer(z, phase)
        depth = np.tanh(2.0 * (outer - radius) / np.maximum(outer - inner, 1.0) - 1.0) / np.tanh(
            1.0
        )  # -1 outside, 1 inside
        fall = np.exp(-np.square(np.maximum(radius - outer, 0.0) / 14.0))
        return self.twist(phase, z) * (1 + 0.5 * self.shear * depth) * fall

    def forward(self, points: Points, phase: float) -> Points:
        z, radius, turn = self._polar(points)
        radius = self._radial(turn, z, phase)(radius)
        return self._points(points, radius, turn + self._turn(radius, z, phase))

    def inverse(self, points: Points, phase: float) -> Points:
        z, radius, turn = self._polar(points)
        turn = turn - self._turn(radius, z, phase)
        radial = self._radial(turn, z, phase)
        radius = solve(lambda r: np.copysign(radial(np.abs(r)), r), radius, 25.0)
        return self._points(points, np.abs(radius), turn)


@dataclass
class Shift:
    """The same displacement everywhere, ``phase`` times ``vector`` in mm."""

    vector: np.ndarray

    def forward(self, points: Points, phase: float) -> Points:
        return points + phase * self.vector.reshape(-1, *[1] * (points.ndim - 1))

    def inverse(self, points: Points, phase: float) -> Points:
        return points - phase * self.vector.reshape(-1, *[1] * (points.ndim - 1))


@dataclass
class Along:
    """A displacement along one axis, ``x_axis + shift(phase, x)``; the shift must rise by less than one mm per mm."""

    axis: int
    shift: Callable[[float, Points], np.ndarray]
    reach: float = 40.0

    def forward(self, points: Points, phase: float) -> Points:
        moved = points.copy()
        moved[self.axis] = points[self.axis] + self.shift(phase, points)
        return moved

    def inverse(self, points: Points, phase: float) -> Points:
        def along(values: np.ndarray) -> np.ndarray:
            trial = points.copy()
            trial[self.axis] = values
            return values + self.shift(phase, trial)

        moved = points.copy()
        moved[self.axis] = solve(along, points[self.axis], self.reach)
        return moved


@dataclass
class Sides:
    """A long section through a hollow organ about the axis ``x = 0`` (last axis); axis 0 runs from apex to base.

    As ``Annulus`` with the organ taken as round about its long axis: ``x'^2 = (x^2 - ejected inner^2) stretch``, where
    ``stretch`` is what the shortening of the axis leaves for the wall: its volume is kept, not its area in the section.
    """

    ejected: Callable[[float, Points], np.ndarray]
    inner: Callable[[np.ndarray, float], np.ndarray]
    outer: Callable[[np.ndarray, float], np.ndarray]
    stretch: Callable[[float, np.ndarray], np.ndarray]
    reach: float = 14.0
    power: int = 6

    def _across(self, x: np.ndarray, z: np.ndarray, phase: float) -> np.ndarray:
        inner, outer = np.maximum(self.inner(z, phase), 0.5), self.outer(z, phase)
        s = np.square(x)
        cavity = _saturate(s / np.square(inner), self.power) * np.square(inner)
        fall = np.exp(-np.square(np.maximum(np.abs(x) - outer, 0.0) / self.reach))
        ejected = self.ejected(phase, np.stack([z, x]))
        gain = self.stretch(phase, z) - 1
        changed = (s - ejected * cavity) * (1 + gain) - s
        return np.copysign(np.sqrt(np.maximum(s + fall * changed, 1e-12)), x)

    def forward(self, points: Points, phase: float) -> Points:
        return np.stack([points[0], self._across(points[1], points[0], phase)])

    def inverse(self, points: Points, phase: float) -> Points:
        x = solve(lambda values: self._across(values, points[0], phase), points[1], 25.0)
        return np.stack([points[0], x])


@dataclass
class Hinge:
    """Two rigid bodies about the origin: tissue at the angle ``turn`` turns by ``angle(phase) * share(radius, turn)``.

    ``share`` is 0 in the still body (about the angle pi), 1 in the moving one (about 0), and in between in the soft
    tissue.
    """

    angle: Callable[[float], float]
    rigid: Callable[[np.ndarray], np.ndarray] = field(default=lambda radius: np.full_like(radius, np.deg2rad(50.0)))

    def _share(self, radius: np.ndarray, turn: np.ndarray) -> np.ndarray:
        half = self.rigid(radius)
        part = np.clip((np.abs(turn) - half) / (np.pi - 2 * half), 0.0, 1.0)
        return 1 - part * part * (3 - 2 * part)

    def forward(self, points: Points, phase: float) -> Points:
        radius, turn = np.hypot(points[0], points[1]), np.arctan2(points[0], points[1])
        turn = turn + self.angle(phase) * self._share(radius, turn)
        return np.stack([radius * np.sin(turn), radius * np.cos(turn)])

    def inverse(self, points: Points, phase: float) -> Points:
        radius, turn = np.hypot(points[0], points[1]), np.arctan2(points[0], points[1])
        angle = self.angle(phase)
        found = solve(lambda values: values + angle * self._share(radius, values), turn, abs(angle) + 1e-3)
        return np.stack([radius * np.sin(found), radius * np.cos(found)])
