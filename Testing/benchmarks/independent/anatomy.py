"""What every kind of case describes: its motion, what its tissues look like, and where they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from .motions import Placed, Points


@dataclass
class Anatomy:
    """A subject, with points in mm in a frame of its own (``motion.to_own``).

    Attributes
    ----------
    motion : from the reference to every phase, and back.
    paint : ``(q, now, phase, agent)``: brightness of the tissue that comes from ``q`` and is at ``now``,
        both in the own frame; ``agent`` is the brightness of blood by a contrast agent, 1 without one.
    label : labels of tissue at the reference.
    names, tissues : of labels; groups "organ", "wall" and "blood" of labels.
    seconds : length of the cine.
    smallest : label whose extent tells the end of systole; None: the frame that moved most.
    hollow : whether there is a cavity, about whose centre motion is radial or tangential.
    cyclic : whether the last frame is followed by the first.
    """

    motion: Placed
    paint: Callable[[Points, Points, float, float], np.ndarray]
    label: Callable[[Points], np.ndarray]
    names: Mapping[int, str]
    tissues: Mapping[str, tuple[int, ...]]
    seconds: float
    smallest: int | None = None
    hollow: bool = False
    cyclic: bool = True
    facts: dict[str, float] = field(default_factory=dict)


class Heart(Protocol):
    """A heart that can be drawn: what ``Anatomy`` has of the same names."""

    motion: Placed
    facts: dict[str, float]

    def paint(self, q: Points, now: Points, phase: float, agent: float) -> np.ndarray: ...

    def label(self, q: Points) -> np.ndarray: ...


LV, WALL = 1, 2


def beating(heart: Heart, others: Mapping[int, str], rng: np.random.Generator, hollow: bool = False) -> Anatomy:
    """A heart with a left ventricle, its wall, and other cavities by their labels."""
    names = {LV: "left ventricle", WALL: "wall", **others}
    tissues = {"organ": tuple(names), "wall": (WALL,), "blood": tuple(v for v in names if v != WALL)}
    seconds = rng.uniform(0.7, 1.1)
    return Anatomy(
        heart.motion, heart.paint, heart.label, names, tissues, seconds, smallest=LV, hollow=hollow, facts=heart.facts
    )
