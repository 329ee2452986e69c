"""An artery that widens with the pulse, beside a vein that it presses, across a neck."""

from __future__ import annotations

import numpy as np

from .anatomy import Anatomy
from .appearance import Blood, Points, Signals, Texture, ellipse, inside, over
from .curves import pulse, wander
from .motions import Annulus, Chain, Flow, Placed, random_bend, turned


class Vessel:
    """A neck across: an artery with its wall, a vein that it presses, muscles, fat, a windpipe, a vertebra."""

    def __init__(self, rng: np.random.Generator):
        self.signals = Signals(rng)
        self.radius = rng.uniform(8, 14)
        self.thick = rng.uniform(1.6, 2.8)
        self.vein = rng.uniform(5.5, 10.0), rng.uniform(0.55, 1.0), np.deg2rad(rng.uniform(-60, 60)), rng.uniform(3, 7)
        self.fibres = Texture(rng, (2.2, 7.0)), Texture(rng, 24.0), Texture(rng, 9.0), Texture(rng, 4.0, sharp=1.0)
        self.cells = rng.uniform(-35, 35, (13, 2)), rng.uniform(0.7, 1.3, 13)
        self.cells[0][:] = [(y, x) for y in (-34, -11, 12, 35) for x in (-36, -12, 12, 36)][:13] + rng.normal(
            0, 5, (13, 2)
        )
        self.airway = (rng.uniform(-12, 8), -rng.uniform(30, 38), rng.uniform(8, 11))
        self.spine = (rng.uniform(28, 40), rng.uniform(-14, 14), rng.uniform(12, 16))
        self.blood = Blood(rng)
        self.inflow = rng.uniform(0.1, 0.45)  # how much the blood's brightness follows its speed
        self.bend = [Texture(rng, 16.0) for _ in range(2)]
        self.material = rng.uniform(0.02, 0.12)
        self.skin = rng.uniform(44, 60)
        self.seconds = rng.uniform(0.7, 1.1)
        self.motion = self._motion(rng)

    def _motion(self, rng: np.random.Generator) -> Placed:
        course, self.peak = pulse(rng)
        late, _ = pulse(rng, delay=rng.uniform(0.02, 0.08))
        grows = rng.uniform(0.15, 0.42)  # of the area
        lobe, at = rng.normal(0, 0.12), rng.uniform(-np.pi, np.pi)
        shift = rng.normal(0, 0.9, 2)
        size, _, turn, gap = self.vein
        apart = self.radius + self.thick + gap + size
        self.vein_at = apart * np.array([np.sin(turn), np.cos(turn)])
        self.facts = {"area grows by": grows, "radius mm": self.radius}
        artery = Annulus(
            lambda phase, z: -grows * course(phase),
            lambda phase, angle, z: -grows * course(phase) * lobe * np.cos(2 * (angle - at)),
            gain=lambda phase: 0.0, twist=lambda phase, z: 0.0,
            inner=lambda z, phase: self.radius, outer=lambda z, phase: self.radius + self.thick,
            reach=lambda angle: np.full_like(angle, 9.0), power=8,
        )  # fmt: skip
        presses = rng.uniform(0.08, 0.3)
        vein = Annulus(
            lambda phase, z: presses * (late(phase) + 0.25 * np.sin(2 * np.pi * phase)),
            lambda phase, angle, z: 0.0 * angle,
            gain=lambda phase: 0.0, twist=lambda phase, z: 0.0,
            inner=lambda z, phase: size, outer=lambda z, phase: size + 0.6,
            reach=lambda angle: np.full_like(angle, 6.0), centre=tuple(self.vein_at), power=8,
        )  # fmt: skip
        swallow = rng.normal(0, 0.7, 2)
        slow = wander(rng)
        bulk = Flow(
            np.array([(0.0, 0.0), (0.0, -30.0), (0.0, 0.0)]), np.array([[13.0] * 2, [16.0] * 2, [40.0] * 2]),
            lambda phase: np.array([shift * course(phase), 0.5 * shift * late(phase), swallow * slow(phase)]),
        )  # fmt: skip
        return Placed(
            Chain([artery, vein, bulk]), turned(rng.uniform(-180, 180)), rng.normal(0, 5, 2), random_bend(rng, 50, 2.0)
        )

    def _distances(self, q: Points) -> tuple[np.ndarray, np.ndarray]:
        size, squeeze, turn, _ = self.vein
        vein = ellipse(q, tuple(self.vein_at), (size, size * squeeze), np.rad2deg(turn))
        return np.hypot(*q) - self.radius, vein

    def label(self, q: Points) -> np.ndarray:
        artery, vein = self._distances(q)
        labels = np.zeros(q.shape[1:], np.uint8)
        labels[vein <= 0] = 3
        labels[artery <= self.thick] = 2
        labels[artery <= 0] = 1
        return labels

    def paint(self, q: Points, now: Points, phase: float, agent: float) -> np.ndarray:
        s = self.signals
        fibres, wide, middle, fine = self.fibres
        bent = q + np.stack([3.0 * b(q) for b in self.bend])
        blotch = wide(bent)
        image = s.fat * (0.8 + 0.08 * middle(q) + 0.05 * fine(q))
        # muscles: cells about scattered places with fat between them
        away = np.sort(
            np.stack([np.hypot(*(bent - c[:, None, None])) / w for c, w in zip(*self.cells, strict=True)]), axis=0
        )
        fascia = 1.2 - (away[1] - away[0]) + 0.8 * np.maximum(blotch, 0)
        muscle = s.muscle * (1 + self.material * (fibres(q) + fine(q))) * (1 + 0.12 * blotch)
        image = over(image, muscle, inside(np.maximum(fascia, away[0] - 21)))
        spine = ellipse(bent, self.spine[:2], (self.spine[2], 1.15 * self.spine[2]))
        image = over(over(image, 0.1, inside(spine - 1.2)), s.bone * (0.8 + 0.12 * fine(q)), inside(spine))
        tube = ellipse(bent, self.airway[:2], (self.airway[2],) * 2)
        image = over(over(image, 0.8 * s.muscle, inside(tube - 2.2)), 0.01, inside(tube))
        skin = np.hypot(*q) - self.skin
        image = over(image, s.fat * (1 + 0.05 * blotch), inside(-skin))
        image = over(image, 0.0, inside(self.skin + 7 - np.hypot(*q)))
        artery, vein = self._distances(q)
        blood = agent * self.blood(now, phase, 0.0)
        bright = 1 - self.inflow + self.inflow * 2 * np.exp(-np.square((phase - self.peak + 0.04) / 0.12))
        profile = 1 - 0.25 * self.inflow * np.square(np.clip(np.hypot(*q) / self.radius, 0, 1))
        image = over(image, 0.8 * s.muscle, inside(vein - 0.8))
        image = over(image, 0.85 * blood, inside(vein))
        image = over(image, s.muscle * 0.9, inside(artery - self.thick))
        return over(image, s.blood * blood * bright * profile * 1.1, inside(artery))


def vessel(rng: np.random.Generator) -> Anatomy:
    subject = Vessel(rng)
    return Anatomy(
        subject.motion, subject.paint, subject.label, {1: "artery", 2: "wall", 3: "vein"},
        {"organ": (1, 2, 3), "wall": (2,), "blood": (1, 3)}, subject.seconds, hollow=True, facts=subject.facts,
    )  # fmt: skip
