"""Long-axis views of a heart: two chambers (left ventricle and atrium), and four."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import PchipInterpolator

from .anatomy import LV, WALL, Anatomy, beating
from .appearance import Blood, Chest, Points, Ring, Signals, Texture, Wall, ellipse, inside, joined, over
from .curves import contraction, wander
from .motions import Along, Chain, Flow, Placed, Sides, turned

RV, LA, RA = 3, 4, 5


class LongAxis:
    """A subject. Axis 0 of its own frame runs from the apex (0) to the mitral valve (``length``), -x to the septum."""

    def __init__(self, rng: np.random.Generator, chambers: int):
        self.four = chambers == 4
        self.signals = Signals(rng)
        self.radius = rng.uniform(19, 27) + (0 if self.four else 2)
        self.thick = rng.uniform(7, 11)
        self.length = rng.uniform(72, 92)
        self.right = rng.uniform(0.85, 1.15) * 40.0
        self.right_start = rng.uniform(8, 20)
        self.right_wall = rng.uniform(2.5, 4.0)
        self.atrium = rng.uniform(18, 25), rng.uniform(20, 26), rng.uniform(-3, 5)
        self.right_atrium = rng.uniform(19, 25), rng.uniform(18, 25)
        self.partition = rng.uniform(2.5, 4.5)
        self.rough = rng.uniform(0.3, 1.6)
        self.trabeculae = Texture(rng, 5.5, sharp=1.0)
        self.right_trabeculae = Texture(rng, 6.0, sharp=1.0)
        self.papillary = [
            (rng.uniform(0.3, 0.6), side * rng.uniform(0.68, 0.95), rng.uniform(3.0, 5.0)) for side in (-1, 1)
        ]
        self.has_papillary = rng.uniform(size=2) < (0.25, 0.7)
        self.leaf = rng.uniform(0.55, 0.8), rng.uniform(0.8, 1.6), rng.uniform(0.3, 0.9)
        self.fat = rng.uniform(0.5, 4.0), Texture(rng, 16.0), rng.uniform(4, 11, 2)
        self.ink = rng.uniform(0.0, 0.8)
        self.texture, self.blood = Wall(rng), Blood(rng)
        self.veins = [(rng.uniform(0.4, 0.9), rng.uniform(-70, 70), rng.uniform(3.5, 6.0)) for _ in range(2)]
        self.descending = rng.uniform(8, 12), rng.uniform(-8, 16)
        self.has_descending = rng.uniform() < 0.7
        self.view = turned(rng.uniform(-20, 20) + (-38 if self.four else 112))
        self.chest = Chest(
            rng,
            self.signals,
            wall=rng.uniform(62, 78),
            floor=rng.uniform(66, 100) if self.four else rng.uniform(42, 60),
        )
        self.motion = self._motion(rng)
        self.around = Ring(rng, 7)

    # ---- geometry

    def inner(self, z: np.ndarray) -> np.ndarray:
        """The left ventricle's half width: a rounded cone, a little narrower at the valve."""
        part = np.clip(z / self.length, 0.0, 1.0)
        bullet = self.radius * 1.05 * np.power(1 - np.square(1 - part), 0.55)
        return np.maximum(bullet * (1 - 0.22 * np.square(np.clip(part - 0.6, 0, 1) / 0.4)), 0.5)

    def outer(self, z: np.ndarray) -> np.ndarray:
        part = np.clip(z / self.length, 0.0, 1.0)
        cap = np.sqrt(np.clip((z + 6.0) / 12.0, 0.0, 1.0))
        return np.maximum(self.inner(z) + self.thick * (0.6 + 0.4 * np.minimum(2.5 * part, 1.0)) * cap, 1.2)

    # ---- motion

    def _motion(self, rng: np.random.Generator) -> Placed:
        course, self.systole = contraction(rng)
        late, _ = contraction(rng, delay=rng.uniform(-0.05, 0.12))
        descent, extra = rng.uniform(8, 16), rng.uniform(1.0, 1.35) if self.four else rng.uniform(0.85, 1.15)
        fraction = rng.uniform(0.3, 0.62)
        sides = rng.normal(0, 0.12, 2)
        ill = float(rng.choice([0.0, rng.uniform(0.4, 1.3)], p=[0.5, 0.5]))
        place, side, size = rng.uniform(0.1, 0.8), rng.choice([-1, 1]), rng.uniform(0.12, 0.25)
        fill = rng.uniform(0.05, 0.2)
        self.facts = {"descent mm": descent, "ejected": fraction, "segment ill": ill}
        left = -(self.radius + self.thick + (self.right + 8 if self.four else 10))
        right = self.radius + self.thick + 6
        roof = self.length + 1.9 * self.atrium[0] + 14
        rise = PchipInterpolator(
            [-60, -8, 0, 0.35 * self.length, self.length, self.length + 0.5 * self.atrium[0], roof, roof + 60],
            [0, 0, 0.02, 0.36, 1.0, 0.8, 0.0, 0.0], extrapolate=True,
        )  # fmt: skip

        def shift(phase: float, points: Points) -> np.ndarray:
            z, x = points
            tilt = 1 + (extra - 1) * 0.5 * (1 - np.tanh((x + 25) / 18.0)) + sides[0] * np.tanh(x / 15.0)
            fall = np.exp(-np.square(np.maximum(left - x, 0) / 15.0) - np.square(np.maximum(x - right, 0) / 13.0))
            return -descent * course(phase) * rise(np.clip(z, -60, roof + 60)) * tilt * fall

        def origin(z: np.ndarray, phase: float) -> np.ndarray:
            """Where along the axis tissue of the ventricle comes from that is at ``z``."""
            return np.where(z > 0, z * self.length / (self.length - descent * course(phase)), z)

        def ejected(phase: float, points: Points) -> np.ndarray:
            z, x = points
            part = origin(z, phase) / self.length
            ventricle = 0.5 - 0.5 * np.tanh((part - 0.97) / 0.05)
            local = np.exp(-0.5 * np.square((part - place) / size)) * (0.5 + 0.5 * np.tanh(side * x / 8.0))
            even = fraction * (1 + sides[1] * np.tanh(x / 8.0)) * course(phase)
            weak = fraction * ill * local * (0.6 * late(phase) - course(phase)) if ill else 0.0
            atrium = np.exp(-0.5 * np.square((part - 1.3) / 0.14))
            return ventricle * (even + weak) - fill * atrium * course(phase)

        def stretch(phase: float, z: np.ndarray) -> np.ndarray:
            part = origin(z, phase) / self.length
            ventricle = (0.5 + 0.5 * np.tanh((part - 0.06) / 0.04)) * (0.5 - 0.5 * np.tanh((part - 0.97) / 0.05))
            return 1 + ventricle * (self.length / (self.length - descent * course(phase)) - 1)

        sideways = Sides(
            ejected,
            inner=lambda z, phase: self.inner(origin(z, phase)),
            outer=lambda z, phase: self.outer(origin(z, phase)),
            stretch=stretch,
            reach=rng.uniform(10, 15),
        )  # fmt: skip
        maps = [Along(0, shift), sideways, self._bulk(rng, course)]
        centre = rng.normal(0, 4, 2) + (self.view @ np.array([-(0.62 * self.length), 8.0 if self.four else 0.0]))
        return Placed(Chain(maps), self.view, centre, self._shape(rng))

    def _bulk(self, rng: np.random.Generator, course) -> Flow:
        edge = -(self.radius + self.thick + self.right)
        heights = np.array([0.35, 0.6, 0.85]) * self.length
        pull = rng.uniform(2, 5) * np.array([0.7, 1.0, 1.0]) if self.four else np.zeros(3)
        rock, shift = rng.normal(0, 1.5), rng.normal(0, 1.3, 2)
        drift = rng.uniform(0, 4.0) if rng.uniform() < 0.5 else 0.0
        direction = self.view.T @ np.array([1.0, rng.normal(0, 0.25)])
        slow = wander(rng)
        self.facts["drift mm"] = drift
        places = [(h, edge * (0.55 + 0.45 * h / self.length)) for h in heights]
        centres = np.array(
            [*places, (0.1 * self.length, 0.0), (0.55 * self.length, -10.0), (0.55 * self.length, -15.0)]
        )
        sigmas = np.array([[16.0] * 2] * 3 + [[28.0] * 2, [48.0] * 2, [68.0] * 2])

        def amplitudes(phase: float) -> np.ndarray:
            s = course(phase)
            walls = [np.array([-0.1 * p, 0.95 * p]) * s for p in pull]
            return np.array([*walls, (0.0, rock * s), shift * s, drift * slow(phase) * direction])

        return Flow(centres, sigmas, amplitudes)

    def _shape(self, rng: np.random.Generator) -> Flow:
        count = 7
        centres = np.stack([rng.uniform(-10, self.length + 50, count), rng.uniform(-75, 45, count)], 1)
        sigmas = np.repeat(rng.uniform(20, 32, (count, 1)), 2, 1)
        amplitudes = rng.normal(0, 3.0, (count, 2))
        return Flow(centres, sigmas, lambda phase: amplitudes)

    # ---- what is where, in the own frame at the reference

    def _distances(self, q: Points) -> dict[str, np.ndarray]:
        z, x = q
        inner, outer = self.inner(z), self.outer(z)
        slim = 0.85  # about the cosine of the walls' slope
        lv = np.maximum(slim * (np.abs(x) - inner), np.maximum(z - self.length, -z))
        across = slim * (np.abs(x) - inner)
        thick = self.thick * (0.6 + 0.4 * np.clip(2.5 * z / self.length, 0, 1))
        around = np.hypot(np.maximum(across, 0), np.maximum(-z, 0)) + np.minimum(np.maximum(across, -z), 0)
        wall = np.maximum(around - thick, z - self.length)
        long, wide, aside = self.atrium
        la = ellipse(q, (self.length + 1.02 * long, aside), (long, wide))
        la = joined(la, np.maximum(np.abs(x) - 0.8 * inner, np.abs(z - self.length - 3) - 3.0), soft=4.0)
        found = {"lv": lv, "wall": wall, "la": np.maximum(la, self.length - z)}
        heart = joined(wall, la - 2.0, soft=5.0)
        if self.four:
            part = np.clip((z - self.right_start) / (self.length - self.right_start), 0.0, 1.0)
            width = self.right * np.power(part, 0.62) * (1 - 0.12 * part * part)
            edge = -outer - width
            rv = np.maximum(slim * (edge - x), np.maximum(x + outer - 0.5, z - self.length + 3))
            rv = np.maximum(rv, self.right_start - z)
            long, wide = self.right_atrium
            middle = aside - self.atrium[1] - self.partition - wide
            ra = ellipse(q, (self.length + 0.92 * long, middle), (long, wide))
            ring = np.abs(x + self.radius + self.thick + 0.48 * self.right) - 0.36 * self.right
            ra = joined(ra, np.maximum(ring, np.abs(z - self.length - 1) - 4.0), soft=4.0)
            found["ra"] = np.maximum(np.maximum(ra, self.length - 3 - z), self.partition - la)
            found["rv"] = rv
            heart = joined(heart, rv - self.right_wall, found["ra"] - 2.0, soft=5.0)
        found["heart"] = heart
        return found

    def label(self, q: Points) -> np.ndarray:
        d = self._distances(q)
        labels = np.zeros(q.shape[1:], np.uint8)
        for name, value in (("ra", RA), ("la", LA), ("rv", RV), ("wall", WALL), ("lv", LV)):
            if name in d:
                labels[d[name] <= 0] = value
        return labels

    def paint(self, q: Points, now: Points, phase: float, agent: float) -> np.ndarray:
        s, d = self.signals, self._distances(q)
        z, x = q
        flow = self._flow(phase)
        blood = s.blood * agent * self.blood(now, phase, flow)
        muscle = s.muscle * (0.55 + 0.45 * agent) * self.texture(q, now)
        # the chest lies still about the image, not about the heart's axis; the map carries it where it moves
        image = self.chest(
            np.tensordot(self.view, q - np.array([0.6 * self.length, -8.0]).reshape(2, *[1] * (q.ndim - 1)), 1)
        )
        if self.has_descending:
            size, place = self.descending
            vessel = ellipse(
                q, (self.length + 2 * self.atrium[0] + size + 5, place + (12 if self.four else -16)), (size, size)
            )
            image = over(over(image, s.body, inside(vessel - 2)), 0.95 * blood, inside(vessel))
        for high, turn, size in self.veins:  # veins of the lung enter the left atrium
            c, n = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))
            y0, x0 = z - (self.length + self.atrium[0] * 1.1), x - self.atrium[2]
            tube = np.maximum(np.abs(c * x0 - n * y0) - size, self.atrium[1] * high - (c * y0 + n * x0))
            fading = np.clip(2.6 - (c * y0 + n * x0) / self.atrium[1], 0.0, 1.0)
            image = over(image, 0.9 * blood, inside(tube, 1.5) * fading)
        amount, bumps, grooves = self.fat
        layer = np.maximum(amount * (1 + 0.9 * bumps(q)), 0)
        outer = float(self.outer(np.array(self.length)))
        corners = [(self.length + 2, outer + 1)]
        if self.four:
            corners.append((self.length, -outer - 0.85 * self.right - 3))
        else:
            corners.append((self.length + 2, -outer - 1))
        for corner, size in zip(corners, grooves, strict=True):
            layer = layer + size * np.exp(-(np.square(z - corner[0]) + np.square(x - corner[1])) / np.square(11.0))
        image = over(image, 0.5 * s.body, inside(d["heart"] - layer - 1.2))
        image = over(image, s.fat * (0.85 + 0.12 * bumps(3 * q)), inside(d["heart"] - layer))
        image = over(image, muscle * (1 - 0.6 * self.ink), inside(d["heart"] - 0.5))
        image = over(image, muscle, inside(d["heart"] + 0.4))
        image = over(image, muscle, inside(d["wall"]))
        if self.four:
            rough = 1.5 * np.maximum(self.right_trabeculae(q), 0) * np.clip(1.4 - z / self.length, 0.2, 1)
            image = over(image, blood, inside(d["rv"] + rough))
            image = over(image, blood, inside(d["ra"]))
        image = over(image, blood, inside(d["la"]))
        notch = self.rough * np.maximum(self.trabeculae(q), 0) * np.clip(1.6 - 1.4 * z / self.length, 0.1, 1.3)
        image = over(image, blood, inside(d["lv"] + notch))
        for shown, (high, aside, size) in zip(self.has_papillary, self.papillary, strict=True):
            if shown:
                centre = high * self.length, aside * float(self.inner(np.array(high * self.length)))
                blob = ellipse(q, centre, (2.6 * size, 0.8 * size), 8.0 * np.sign(aside))
                image = over(image, muscle, inside(blob) * inside(d["lv"]))
        image = self._valve(image, q, muscle, phase, self.length, 0.0, 0.95 * float(self.inner(np.array(self.length))))
        if self.four:
            middle = -(self.radius + self.thick + 0.48 * self.right)
            image = self._valve(image, q, muscle, phase, self.length - 3, middle, 0.42 * self.right)
        return image

    def _valve(
        self, image: np.ndarray, q: Points, muscle: np.ndarray, phase: float, z: float, middle: float, half: float
    ) -> np.ndarray:
        """Two thin leaflets at the annulus: shut in systole, open while the ventricle fills. They are not material."""
        length, thick, opening = self.leaf
        shut = 1 / (1 + np.exp(-(phase - 0.02) / 0.015)) - 1 / (1 + np.exp(-(phase - self.systole - 0.07) / 0.015))
        turn = np.deg2rad(18 + 55 * opening * (1 - shut))
        for side in (-1, 1):
            y0, x0 = q[0] - z, (q[1] - middle) * side + half
            along = x0 * np.cos(turn) - y0 * np.sin(turn)
            across = x0 * np.sin(turn) + y0 * np.cos(turn)
            leaf = np.maximum(
                np.abs(across) - 0.5 * thick, np.abs(along - 0.5 * length * half * 1.3) - 0.65 * length * half
            )
            image = over(image, 0.8 * muscle, 0.75 * inside(leaf, 1.2))
        return image

    def _flow(self, phase: float) -> float:
        eject = np.exp(-np.square((phase - 0.5 * self.systole) / 0.08))
        return float(eject + np.exp(-np.square((phase - self.systole - 0.14) / 0.06)))


def two_chamber(rng: np.random.Generator) -> Anatomy:
    return beating(LongAxis(rng, 2), {LA: "left atrium"}, rng)


def four_chamber(rng: np.random.Generator) -> Anatomy:
    return beating(LongAxis(rng, 4), {LA: "left atrium", RV: "right ventricle", RA: "right atrium"}, rng)
