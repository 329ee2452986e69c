"""Courses over time: 0 at the time 0 of the reference frame, near 1 at their peak."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.interpolate import PchipInterpolator

Curve = Callable[[float], float]


def _periodic(knots: list[float], values: list[float]) -> Curve:
    """A monotone cubic through the knots in [0, 1), which repeats itself; 0 at 0."""
    phases, heights = np.array(knots), np.array(values)
    course = PchipInterpolator(
        np.concatenate([phases - 1, phases, phases + 1]), np.concatenate([heights, heights, heights])
    )
    start = float(course(0.0))
    return lambda phase: float(course(phase % 1.0)) - start


def contraction(rng: np.random.Generator, delay: float = 0.0) -> tuple[Curve, float]:
    """A ventricle: isovolumic contraction, ejection, isovolumic relaxation, rapid filling, diastasis, atrial kick.

    Returns the curve and the phase of its peak. ``delay`` is in fractions of the cycle (dyssynchrony).
    """
    systole = rng.uniform(0.3, 0.42)
    isovolumic = rng.uniform(0.03, 0.06)
    half = isovolumic + (systole - isovolumic) * rng.uniform(0.35, 0.5)
    relaxed = systole + rng.uniform(0.03, 0.06)
    filling = rng.uniform(0.1, 0.16)
    stasis = rng.uniform(0.12, 0.32)
    knots = [0.0, isovolumic, half, systole - 0.05, systole, relaxed, relaxed + filling / 2, relaxed + filling]
    values = [0.0, 0.015, rng.uniform(0.55, 0.7), 0.965, 1.0, 0.965, rng.uniform(0.5, 0.65), stasis]
    knots += [0.86, 0.9, 0.965]
    values += [stasis * 0.8, stasis * 0.72, 0.02]
    course = _periodic(knots, values)
    before = course(-delay)
    return lambda phase: course(phase - delay) - before, (systole + delay) % 1.0


def rotation(rng: np.random.Generator, systole: float) -> Curve:
    """Torsion: a little the other way first, peak just before the end of systole, quick untwisting, slow rest."""
    back = rng.uniform(0.03, 0.12)
    peak = systole - rng.uniform(0.0, 0.03)
    quick = peak + rng.uniform(0.1, 0.15)
    rest = rng.uniform(0.1, 0.3)
    return _periodic([0.0, 0.06, 0.6 * peak, peak, quick, 0.85, 0.97], [0.0, -back, 0.6, 1.0, rest, 0.6 * rest, 0.0])


def pulse(rng: np.random.Generator, delay: float = 0.0) -> tuple[Curve, float]:
    """An artery: steep upstroke, dicrotic notch, slow decay."""
    foot, peak = rng.uniform(0.04, 0.09), rng.uniform(0.18, 0.26)
    notch = rng.uniform(0.38, 0.45)
    values = [0.0, 0.0, 1.0, rng.uniform(0.45, 0.6), rng.uniform(0.5, 0.62), rng.uniform(0.2, 0.3), 0.06]
    course = _periodic([0.0, foot, peak, notch, notch + 0.06, 0.68, 0.9], values)
    before = course(-delay)
    return lambda phase: course(phase - delay) - before, (peak + delay) % 1.0


def breath(rng: np.random.Generator) -> tuple[Curve, float]:
    """Breathing from the end of expiration: a long rest, and inspiration faster than expiration."""
    power = rng.choice([2, 3])
    skew = rng.uniform(-0.12, 0.05)

    def course(phase: float) -> float:
        bent = phase + skew * np.sin(2 * np.pi * phase) / (2 * np.pi)
        return float(np.sin(np.pi * bent) ** (2 * power))

    phases = np.linspace(0, 1, 401)
    return course, float(phases[np.argmax([course(p) for p in phases])])


def bending(rng: np.random.Generator) -> tuple[Curve, float]:
    """A limb that is bent and, in some cases, stretched again; unevenly fast."""
    back = rng.uniform() < 0.5
    peak = rng.uniform(0.45, 0.6) if back else 1.0
    lag = rng.uniform(0.05, 0.15)

    def course(phase: float) -> float:
        part = phase / peak if phase <= peak else max(0.0, (1.0 - phase) / (1.0 - peak))
        return float(0.5 - 0.5 * np.cos(np.pi * (part + lag * np.sin(2 * np.pi * part) / (2 * np.pi))))

    return course, peak


def wander(rng: np.random.Generator, harmonics: int = 2) -> Curve:
    """A slow course of no particular form within about [-1, 1], 0 at the start; it need not come back."""
    amplitudes = rng.normal(size=harmonics) / np.arange(1, harmonics + 1)
    speeds = rng.uniform(0.5, 1.0, harmonics) * np.arange(1, harmonics + 1)
    offsets = rng.uniform(0, 2 * np.pi, harmonics)
    amplitudes /= np.abs(amplitudes).sum()

    def course(phase: float) -> float:
        return float(np.sum(amplitudes * (np.sin(2 * np.pi * speeds * phase + offsets) - np.sin(offsets))))

    return course
