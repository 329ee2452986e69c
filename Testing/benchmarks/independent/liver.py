"""A liver that slides under a breathing lung, along a chest's wall that stays."""

from __future__ import annotations

import numpy as np

from .anatomy import Anatomy
from .appearance import Points, Signals, Texture, ellipse, inside, over
from .curves import breath
from .motions import Along, Chain, Flow, Placed, random_bend, turned


class Liver:
    """A body from the front: lung above, the liver's dome below, at the side the chest's wall, which stays."""

    def __init__(self, rng: np.random.Generator):
        self.signals = Signals(rng)
        self.side = rng.uniform(62, 78)  # the chest's wall
        self.dome = rng.uniform(-18, 4), rng.uniform(0.004, 0.008), rng.uniform(-10, 12)
        self.lowest = rng.uniform(58, 80), rng.uniform(0.25, 0.6)
        self.veins = (
            Texture(rng, rng.uniform(7, 10)),
            Texture(rng, 3.0, sharp=1.0),
            Texture(rng, 30.0),
            Texture(rng, 5.5, sharp=0.6),
        )
        self.lesion = [
            (rng.uniform(15, 45), rng.uniform(-40, 30), rng.uniform(4, 10), rng.uniform(0.5, 1.7)) for _ in range(2)
        ]
        self.bend = [Texture(rng, 30.0) for _ in range(2)]
        self.kidney = rng.uniform(60, 78), rng.uniform(15, 40), rng.uniform(12, 17)
        self.heart = rng.uniform(28, 40)
        self.ribs = rng.uniform(20, 27), rng.uniform(0, 27)
        self.grain = rng.uniform(0.02, 0.09)
        self.flip = rng.uniform() < 0.5
        self.seconds = rng.uniform(3.5, 6.5)
        self.motion = self._motion(rng)

    def _motion(self, rng: np.random.Generator) -> Placed:
        course, _ = breath(rng)
        down = rng.uniform(10, 25)
        slide = rng.uniform(4.5, 8.0)  # mm over which liver that moves and wall that does not are joined
        lag = rng.uniform(0.02, 0.08)
        top = rng.uniform(70, 95)
        low = rng.uniform(60, 110)
        side, heart = self.side, -rng.uniform(52, 66)
        base = self.dome[0]
        self.facts = {"descent mm": down}

        def shift(phase: float, points: Points) -> np.ndarray:
            y, x = points
            above = np.clip((y - base + top) / top, 0.0, 1.0)
            along = np.where(y < base, above * above * (3 - 2 * above), np.exp(-np.square((y - base) / (1.6 * low))))
            across = (0.5 - 0.5 * np.tanh((x - side) / slide)) * (0.5 + 0.5 * np.tanh((x - heart) / (2.2 * slide)))
            dome = 1 - 0.25 * np.square(np.clip((x - 5) / 70.0, -1, 1))  # the dome's middle descends most
            return down * course(phase) * along * across * dome

        deep = rng.normal(0, 1.8, 2)
        centres = np.array([(25.0, -15.0), (30.0, 30.0), (50.0, 0.0)])
        sideways = rng.normal(0, 1.5)

        def amplitudes(phase: float) -> np.ndarray:
            late = course((phase - lag) % 1.0) - course((-lag) % 1.0)
            return np.array(
                [(0.0, deep[0] * late), (0.5 * deep[1] * late, deep[1] * late), (0.0, sideways * course(phase))]
            )

        maps = [Along(0, shift), Flow(centres, np.array([[24.0] * 2, [22.0] * 2, [40.0] * 2]), amplitudes)]
        view = np.diag([1.0, -1.0]) if self.flip else np.eye(2)
        return Placed(Chain(maps), view @ turned(rng.uniform(-6, 6)), rng.normal(0, 5, 2), random_bend(rng, 80, 2.5))

    def _liver(self, q: Points) -> tuple[np.ndarray, np.ndarray]:
        y, x = q
        top, curve, middle = self.dome
        dome = top + curve * np.square(x - middle) - y
        edge = y - self.lowest[0] + self.lowest[1] * (20 - x)
        liver = np.maximum(np.maximum(dome, edge), np.maximum(x - self.side + 3, -52 - x + 0.2 * y))
        return dome, liver

    def label(self, q: Points) -> np.ndarray:
        _, liver = self._liver(q)
        labels = (liver <= 0).astype(np.uint8)
        kidney = ellipse(q, self.kidney[:2], (1.6 * self.kidney[2], self.kidney[2]), 20.0)
        labels[(kidney <= 0) & (labels == 0)] = 2
        return labels

    def paint(self, q: Points, now: Points, phase: float, agent: float) -> np.ndarray:
        s = self.signals
        veins, grain, wide, vessels = self.veins
        dome, liver = self._liver(q)
        bent = q + np.stack([5.0 * b(q) for b in self.bend])
        y, x = q
        lung = s.lung * (1 + 0.3 * wide(q)) + 0.5 * np.clip(vessels(q) - 1.6, 0, 0.9)
        gut = s.fat * (0.75 + 0.12 * wide(bent) + 0.08 * grain(q))
        gut = over(gut, s.spleen * (0.8 + 0.15 * grain(bent)), inside(0.7 - np.abs(wide(1.7 * bent)) * 1.0, 0.5))
        image = over(gut, lung, inside(-dome))
        inner = s.liver * 1.2 * (1 + self.grain * grain(q) + 0.05 * wide(q))
        inner = inner + 0.55 * agent * s.blood * np.clip(veins(bent) - 1.25, 0, 0.6)
        for a, b, size, bright in self.lesion:
            inner = over(inner, s.liver * 1.2 * bright, inside(ellipse(bent, (a, b), (size, 0.8 * size)), 1.2))
        image = over(image, s.fat * 0.6, inside(liver - 1.4))
        image = over(image, inner, inside(liver))
        kidney = ellipse(q, self.kidney[:2], (1.6 * self.kidney[2], self.kidney[2]), 20.0)
        image = over(image, s.fat * 0.95, inside(np.maximum(kidney - 3.5, -liver)))
        core = s.spleen * (1 + 0.1 * grain(q)) * np.where(kidney < -0.45 * self.kidney[2], 0.65, 1.0)
        image = over(image, core, inside(np.maximum(kidney, -liver)))
        heart = ellipse(bent, (self.dome[0] - self.heart * 0.75, -78.0), (self.heart, 1.1 * self.heart))
        pulse_ = 1.2 * np.sin(2 * np.pi * 4.3 * phase)  # the heart beats meanwhile
        image = over(image, s.muscle, inside(np.maximum(heart + pulse_, -dome - 60)))
        image = over(image, s.blood * agent * 0.9, inside(heart + 9 + pulse_))
        # the wall: ribs across, muscle, fat, air
        wall = x - self.side + 0.0012 * np.square(y)
        ribs = np.cos(2 * np.pi * (y + self.ribs[1] + 0.35 * x) / self.ribs[0])
        chest = over(
            s.body * (1 + 0.15 * grain(q)), s.bone, inside(0.4 - ribs, 0.3) * inside(np.abs(wall - 8) - 4, 1.5)
        )
        chest = over(chest, s.fat * (0.95 + 0.06 * wide(q)), inside(16 - wall))
        image = over(image, chest, inside(-wall))
        return over(image, 0.0, inside(30 - wall))


def liver_dome(rng: np.random.Generator) -> Anatomy:
    subject = Liver(rng)
    return Anatomy(
        subject.motion, subject.paint, subject.label, {1: "liver", 2: "kidney"},
        {"organ": (1, 2), "wall": (1,), "blood": ()}, subject.seconds, facts=subject.facts,
    )  # fmt: skip
