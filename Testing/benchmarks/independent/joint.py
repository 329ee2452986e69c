"""A knee or a finger that bends: two rigid bones, and soft tissue between them."""

from __future__ import annotations

import numpy as np

from .anatomy import Anatomy
from .appearance import Points, Signals, Texture, inside, over
from .curves import bending, wander
from .motions import Chain, Flow, Hinge, Placed, random_bend, turned


class Joint:
    """A knee or a finger from the side: two bones with bright marrow and dark cortex, muscle, tendons, fat, skin."""

    def __init__(self, rng: np.random.Generator):
        self.signals = Signals(rng)
        self.width = rng.uniform(11, 15), rng.uniform(10, 14)
        self.flare = rng.uniform(1.15, 1.4), rng.uniform(1.1, 1.35)
        self.gap = rng.uniform(2.0, 3.6)
        self.skin = rng.uniform(32, 42), rng.uniform(30, 40)
        self.marrow = (
            Texture(rng, 4.0, sharp=1.0),
            Texture(rng, 18.0),
            Texture(rng, (1.8, 10.0)),
            Texture(rng, 2.6, sharp=1.0),
        )
        self.tendon = rng.uniform(-24, -18), rng.uniform(1.6, 2.6)
        self.vessel = rng.uniform(18, 26), rng.uniform(2.5, 4)
        self.fluid = rng.uniform(0.6, 1.0)
        self.plate = rng.uniform(18, 26), rng.uniform(0, 1)
        self.grain = rng.uniform(0.04, 0.14)
        self.bend = [Texture(rng, 22.0) for _ in range(2)]
        self.seconds = rng.uniform(2, 6)
        self.motion = self._motion(rng)

    def _motion(self, rng: np.random.Generator) -> Placed:
        course, _ = bending(rng)
        most = np.deg2rad(rng.uniform(10, 25))
        self.facts = {"degrees": float(np.rad2deg(most))}
        wide, narrow = rng.uniform(52, 58), rng.uniform(30, 38)
        wander_ = wander(rng)
        shift = rng.normal(0, 1.5, 2)

        def rigid(radius: np.ndarray) -> np.ndarray:
            return np.deg2rad(narrow + (wide - narrow) * np.exp(-np.square(radius / 26.0)))

        bulge = rng.uniform(0.5, 2.5)
        soft = Flow(
            np.array([(29.0, -28.0), (-3.0, 0.0)]), np.array([[7.0, 15.0], [95.0, 95.0]]),
            lambda phase: np.array([(bulge * course(phase), 0.0), shift * wander_(phase)]),
        )  # fmt: skip
        maps = [Hinge(lambda phase: most * course(phase), rigid), soft]
        return Placed(Chain(maps), turned(rng.uniform(-180, 180)), rng.normal(0, 5, 2), random_bend(rng, 70, 1.6))

    def _bones(self, q: Points) -> tuple[np.ndarray, np.ndarray]:
        """The still bone, about -x, with a rounded end; the moving one, about +x, with a shallow plateau."""
        y, x = q
        found = []
        for side, width, flare in zip((-1, 1), self.width, self.flare, strict=True):
            along = side * x
            half = width * (1 + (flare - 1) * np.exp(-np.square((along - 10) / 14.0)))
            shaft = np.abs(y + 1.5 * side) - half
            end = np.hypot(np.maximum(np.abs(y) - 0.25 * half, 0) * 0.9, along - 18) - 14.5 if side < 0 else None
            if side < 0:
                shaft = np.where(along < 18, np.maximum(end, shaft), shaft)
            else:
                hollow = np.hypot(0.9 * np.maximum(np.abs(y) - 0.25 * half, 0), along + 18) - 18 + 0.5
                shaft = np.maximum(shaft, 5.5 + self.gap - 3.5 - hollow * 0.7)
            found.append(np.maximum(shaft, 3.2 + 0.5 * self.gap - along))
        return found[0], found[1]

    def label(self, q: Points) -> np.ndarray:
        still, moving = self._bones(q)
        labels = np.zeros(q.shape[1:], np.uint8)
        labels[(np.abs(q[0]) < self.skin[0]) & (np.abs(q[1]) < 95)] = 3
        labels[still <= 0] = 1
        labels[moving <= 0] = 2
        return labels

    def paint(self, q: Points, now: Points, phase: float, agent: float) -> np.ndarray:
        s = self.signals
        marrow, wide, fibres, fine = self.marrow
        y, x = q
        bent = q + np.stack([2.0 * b(q) for b in self.bend])
        edge = np.abs(bent[0]) - (self.skin[0] + 2.0 * wide(0.6 * q))
        layer = 5.0 + 2.0 * np.maximum(wide(q), -1)
        muscle = s.muscle * (1 + self.grain * (fibres(bent) + 0.5 * fine(q)))
        streak = np.clip(fibres(np.stack([1.1 * bent[0], 0.7 * bent[1]])) - 1.3, 0, 0.8)
        image = muscle + streak * (s.fat - s.muscle)
        about = np.hypot(1.1 * y, x)
        image = over(
            image, s.fat * (0.85 + 0.1 * fine(q)), inside(about - 23 + 3 * wide(q), 3.0)
        )  # fat about the joint
        image = over(image, s.fat * (0.95 + 0.05 * fine(q)), inside(-edge - layer))
        image = over(image, self.fluid * s.blood, inside(np.hypot(0.55 * y, x) - 8.5, 1.0))
        for at, size in (self.tendon, (-self.tendon[0], self.tendon[1])):
            image = over(image, 0.06, inside(np.abs(bent[0] - at) - size))
        vessel = np.abs(bent[0] - self.vessel[0] - 0.002 * np.square(x)) - self.vessel[1]
        image = over(image, s.blood * 0.8, inside(vessel) * (self.plate[1] > 0.4))
        for bone in self._bones(q):
            image = over(image, 0.75 * s.spleen, inside(bone - 1.8))  # cartilage
            image = over(image, 0.05, inside(bone))
            inner = s.bone * (1.25 + 0.14 * marrow(q) + 0.12 * wide(q))
            plate = np.abs(np.abs(x) - self.plate[0] - 2 * wide(q)) - 0.7
            image = over(image, over(inner, 0.55 * s.bone, inside(plate)), inside(bone + 1.7))
        return over(image, 0.0, inside(-edge))


def joint(rng: np.random.Generator) -> Anatomy:
    subject = Joint(rng)
    return Anatomy(
        subject.motion, subject.paint, subject.label, {1: "still bone", 2: "moving bone", 3: "soft tissue"},
        {"organ": (1, 2, 3), "wall": (3,), "blood": ()}, subject.seconds, cyclic=False, facts=subject.facts,
    )  # fmt: skip
