"""Short-axis views of a heart: one slice, or a stack with its shortening through the slices."""

from __future__ import annotations

import numpy as np

from .anatomy import LV, WALL, Anatomy, beating
from .appearance import Blood, Chest, Points, Ring, Signals, Texture, Wall, ellipse, inside, joined, over
from .curves import contraction, rotation, wander
from .motions import Along, Annulus, Chain, Flow, Placed, turned

RV = 3


class ShortAxis:
    """A subject. In its own frame the left ventricle's axis is the origin, the septum lies towards -x and a little up.

    ``ndim`` 3 makes a stack: axis 0 then runs from the apex (0) to the base (``length``).
    """

    def __init__(self, rng: np.random.Generator, ndim: int = 2):
        self.ndim = ndim
        self.signals = Signals(rng)
        self.radius = rng.uniform(20, 29)
        self.thick = rng.uniform(7.5, 11.5)
        self.length = rng.uniform(72, 92)
        self.septum = np.deg2rad(rng.uniform(180 + 5, 180 + 40))  # from +x towards +y (down); above 180 is up
        self.uneven_wall = Ring(rng, 2, 3)
        self.systole = 0.0
        self.motion = self._motion(rng)
        self.trabeculae = Ring(rng, 11), Ring(rng, 5, 10)
        self.rough = rng.uniform(0.6, 3.2)
        self.papillary = [
            (np.deg2rad(a + rng.uniform(-14, 14)), rng.uniform(0.6, 0.88), rng.uniform(3.0, 6.0), rng.uniform(0.7, 1.8))
            for a in (-45.0, 70.0)
        ]
        self.right = rng.uniform(0.75, 1.0), rng.uniform(0.95, 1.2), rng.uniform(-0.25, 0.1)
        self.right_wall = rng.uniform(2.5, 4.0)
        self.right_rough = Texture(rng, 6.0, sharp=1.0)
        self.band = rng.uniform(0, 1)
        self.fat = rng.uniform(0.5, 5.0), Texture(rng, 16.0), rng.uniform(2, 9, 2)
        self.ink = rng.uniform(0.0, 0.8)
        self.texture, self.blood = Wall(rng, ndim), Blood(rng, ndim)
        self.squeeze = rng.uniform(0.2, 0.8)
        self.chest = Chest(rng, self.signals, wall=rng.uniform(56, 72), floor=rng.uniform(36, 50))
        self.warm = rng.uniform(0.6, 1.3)  # how much brighter or darker the right ventricle's blood is drawn

    # ---- geometry

    def inner(self, z: np.ndarray | None) -> np.ndarray | float:
        """The cavity's radius; the apex is a rounded cone."""
        if z is None:
            return self.radius
        part = np.clip(z / self.length, 0.0, 1.0)
        bullet = self.radius * 1.06 * np.power(1 - np.square(1 - part), 0.55)
        return np.maximum(bullet * (1 - 0.12 * np.square(np.clip(part - 0.6, 0, 1) / 0.4)), 0.8)

    def outer(self, z: np.ndarray | None) -> np.ndarray | float:
        if z is None:
            return self.radius + self.thick
        part = np.clip(z / self.length, 0.0, 1.0)
        cap = np.sqrt(np.clip((z + 7.0) / 14.0, 0.0, 1.0))
        return np.maximum(self.inner(z) + self.thick * (0.65 + 0.35 * np.minimum(2.5 * part, 1.0)) * cap, 1.6)

    # ---- motion

    def _motion(self, rng: np.random.Generator) -> Placed:
        course, self.systole = contraction(rng)
        turn = rotation(rng, self.systole)
        late, _ = contraction(rng, delay=rng.uniform(-0.06, 0.14))
        fraction = rng.uniform(0.3, 0.66)
        ill = float(rng.choice([0.0, rng.uniform(0.4, 0.8), rng.uniform(0.9, 1.35)], p=[0.45, 0.3, 0.25]))
        site, spread = rng.uniform(-np.pi, np.pi), rng.uniform(2.0, 6.0)
        lobes = [(n, rng.normal(0, 0.08 / n), rng.uniform(-np.pi, np.pi)) for n in (1, 2, 3)]
        twist = np.deg2rad(rng.uniform(4, 15) * (1 if rng.uniform() < 0.85 else -1))
        apex, base = np.deg2rad(rng.uniform(5, 14)), np.deg2rad(rng.uniform(-5, -1))
        gain = rng.uniform(0.02, 0.1)
        descent = rng.uniform(7, 14) if self.ndim == 3 else 0.0
        reach_free, reach_septum = rng.uniform(9, 14), rng.uniform(16, 24)
        self.facts = {
            "area ejected": fraction, "segment ill": ill, "descent mm": descent,
            "twist degrees": float(np.rad2deg(twist if self.ndim == 2 else apex - base)),
        }  # fmt: skip

        def material(z: np.ndarray | None, phase: float) -> np.ndarray | None:
            """Where along the axis tissue at ``z`` comes from."""
            return None if z is None else z * self.length / (self.length - descent * course(phase))

        def ejected(phase: float, z: np.ndarray | None) -> np.ndarray | float:
            return fraction * course(phase)

        def uneven(phase: float, angle: np.ndarray, z: np.ndarray | None) -> np.ndarray:
            healthy = sum(a * np.cos(n * (angle - at)) for n, a, at in lobes) * fraction * course(phase)
            bump = np.exp(spread * (np.cos(angle - site) - 1))
            return healthy + bump * fraction * ill * (0.6 * late(phase) - course(phase) if ill else 0.0)

        def twisted(phase: float, z: np.ndarray | None) -> np.ndarray | float:
            if z is None:
                return twist * turn(phase)
            part = np.clip(material(z, phase) / self.length, 0, 1)
            return (apex + (base - apex) * part) * turn(phase)

        def reach(angle: np.ndarray) -> np.ndarray:
            return reach_free + (reach_septum - reach_free) * (0.5 + 0.5 * np.cos(angle - self.septum))

        round_part = Annulus(
            ejected, uneven,
            gain=lambda phase: gain * course(phase) if self.ndim == 2
            else self.length / (self.length - descent * course(phase)) - 1,
            twist=twisted,
            inner=lambda z, phase: self.inner(material(z, phase)),
            outer=lambda z, phase: self.outer(material(z, phase)),
            reach=reach, shear=rng.uniform(0.2, 0.7),
        )  # fmt: skip
        maps = [round_part, self._bulk(rng, course)]
        if self.ndim == 3:

            def shift(phase: float, points: Points) -> np.ndarray:
                part = points[0] / self.length
                # a straight line within the ventricle, fading beyond the valves, within 5 mm of the apex rounded
                rise = np.where(part > 1, np.exp(-np.square((part - 1) / 0.45)), np.logaddexp(0, 24 * part) / 24)
                away = np.hypot(points[1], points[2]) - 42
                return -descent * course(phase) * rise * np.exp(-np.square(np.maximum(away, 0) / 22))

            maps.insert(0, Along(0, shift))
        spot = rng.normal(0, 4, 2) + np.array([6, 12])
        shape = self._shape(rng)
        rotation_matrix = turned(rng.uniform(-14, 14))
        if self.ndim == 3:
            whole = np.eye(3)
            whole[1:, 1:] = rotation_matrix
            # the stack's middle lies at half the ventricle's length
            return Placed(Chain(maps), whole, np.array([-0.5 * self.length + rng.uniform(-3, 3), *spot]), shape)
        return Placed(Chain(maps), rotation_matrix, np.asarray(spot), shape)

    def _bulk(self, rng: np.random.Generator, course) -> Flow:
        """The right ventricle's free wall, the shift of the whole heart, and what breathing is left."""
        towards = np.array([np.sin(self.septum), np.cos(self.septum)])
        along = np.array([towards[1], -towards[0]])
        far = self.radius + self.thick + 30
        places = [0.9 * far * towards + side * along for side in (-22, 0, 22)]
        pull = rng.uniform(2, 5) * np.array([0.75, 1.0, 0.75])
        shift = rng.normal(0, 1.6, 2)
        drift = rng.uniform(0, 4.0) if rng.uniform() < 0.5 else 0.0
        slow = wander(rng)
        direction = np.array([1.0, rng.normal(0, 0.25)])
        centres = np.array([*places, (0.0, 0.0), (0.0, 0.0)])
        sigmas = np.array([[17.0] * 2] * 3 + [[36.0] * 2, [58.0] * 2])
        self.facts["drift mm"] = drift

        def amplitudes(phase: float) -> np.ndarray:
            s = course(phase)
            moved = [-p * s * towards for p in pull] + [shift * s, direction * drift * slow(phase)]
            return np.array(moved) if self.ndim == 2 else np.pad(moved, ((0, 0), (1, 0)))

        if self.ndim == 3:
            centres = np.concatenate([np.full((5, 1), 0.6 * self.length), centres], 1)
            sigmas = np.concatenate([np.array([[38.0]] * 3 + [[70.0], [150.0]]), sigmas], 1)
        return Flow(centres, sigmas, amplitudes)

    def _shape(self, rng: np.random.Generator) -> Flow:
        count = 7
        angles = np.sort(rng.uniform(-np.pi, np.pi, count))
        away = rng.uniform(25, 75, count)
        centres = np.stack([away * np.sin(angles), away * np.cos(angles)], 1)
        sigmas = np.repeat(rng.uniform(20, 32, (count, 1)), 2, 1)
        amplitudes = rng.normal(0, 3.2, (count, 2))
        if self.ndim == 3:
            centres = np.concatenate([rng.uniform(0, self.length, (count, 1)), centres], 1)
            sigmas = np.concatenate([np.full((count, 1), 45.0), sigmas], 1)
            amplitudes = np.concatenate([np.zeros((count, 1)), amplitudes], 1)
        return Flow(centres, sigmas, lambda phase: amplitudes)

    # ---- what is where, in the own frame at the reference

    def _distances(self, q: Points) -> dict[str, np.ndarray]:
        z = q[0] if self.ndim == 3 else None
        y, x = q[-2:]
        radius, angle = np.hypot(y, x), np.arctan2(y, x)
        inner, outer = self.inner(z), self.outer(z)
        outer = outer + 0.7 * self.uneven_wall(angle) * np.minimum((outer - inner) / self.thick, 1)
        open_, wide, low = self.right
        size = self.radius + self.thick
        shrink = (
            1.0 if z is None else np.clip(np.power(np.clip((z - 8) / (0.75 * self.length), 1e-3, 1), 0.5), 0.05, 1.0)
        )
        c, s = np.cos(self.septum + low), np.sin(self.septum + low)
        reach = size * (0.52 + 0.34 * open_) * shrink
        right = ellipse(
            q, (reach * s, reach * c), (0.95 * size * shrink, size * wide * shrink), np.rad2deg(-self.septum - low)
        )
        found = {"radius": radius, "angle": angle, "cavity": radius - inner, "wall": radius - outer}
        if z is not None:
            above = z - self.length
            found["cavity"] = np.maximum(found["cavity"], np.maximum(above, -z))
            found["wall"] = np.maximum(found["wall"], np.maximum(above, -7.0 - z))
            right = np.maximum(right, np.maximum(above - 4.0, 10.0 - z))
        found["right"] = np.maximum(right, -(found["wall"] if z is None else radius - outer) + 0.4)
        found["heart"] = joined(found["wall"], right - self.right_wall, soft=5.0)
        return found

    def label(self, q: Points) -> np.ndarray:
        d = self._distances(q)
        labels = np.zeros(q.shape[1:], np.uint8)
        labels[(d["right"] <= 0) & (d["wall"] > 0)] = RV
        labels[d["wall"] <= 0] = WALL
        labels[d["cavity"] <= 0] = LV
        return labels

    def paint(self, q: Points, now: Points, phase: float, agent: float) -> np.ndarray:
        """Brightness of tissue that comes from ``q`` and is at ``now``; ``agent``: brightness of blood by contrast."""
        s, d = self.signals, self._distances(q)
        plane = q[-2:]
        z = q[0] if self.ndim == 3 else None
        flow = self._flow(phase)
        blood = s.blood * agent * self.blood(now, phase, flow)
        muscle = s.muscle * (0.55 + 0.45 * agent) * self.texture(q, now)
        image = self.chest(q)
        amount, bumps, corners = self.fat
        layer = np.maximum(amount * (1 + 0.9 * bumps(plane)), 0)
        for side, corner in zip((-1, 1), corners, strict=True):  # fat in the grooves between the ventricles
            at = self.septum + side * 0.95
            size = (self.outer(z) if z is not None else self.radius + self.thick) + 2
            away = np.square(plane[0] - size * np.sin(at)) + np.square(plane[1] - size * np.cos(at))
            layer = layer + corner * np.exp(-away / np.square(13.0))
        if z is not None:
            layer = layer * np.clip(1.3 - 0.5 * np.abs(z / self.length - 0.5), 0, 1)
        image = over(image, 0.5 * s.body, inside(d["heart"] - layer - 1.2))
        image = over(image, s.fat * (0.85 + 0.12 * bumps(3 * plane)), inside(d["heart"] - layer))
        image = over(image, muscle * (1 - 0.6 * self.ink), inside(d["heart"] - 0.5))
        image = over(image, muscle, inside(d["heart"] + 0.4))
        rough = np.maximum(self.right_rough(plane), 0) * 1.6
        image = over(image, blood * self.warm**0.3, inside(d["right"] + rough))
        band = ellipse(plane, self._band(), (1.8, 9.0), 25.0) + (0 if z is None else np.abs(z - 0.45 * self.length) / 6)
        if self.band > 0.4:
            image = over(image, muscle, inside(band) * inside(d["right"] + 1.0))
        fine, coarse = self.trabeculae
        notch = self.rough * (np.maximum(fine(d["angle"]), -0.2) + 0.5 * coarse(d["angle"]))
        image = over(image, muscle, inside(d["wall"]))
        # between the trabeculae blood is pressed out during contraction
        depth = d["cavity"] + np.maximum(notch, 0)
        mixed = over(muscle, blood, inside(d["cavity"]) * (1 - self.squeeze * self._emptied(phase)))
        image = over(image, mixed, inside(d["cavity"]))
        image = over(image, blood, inside(depth))
        for angle, where, size, long in self.papillary:
            inner = self.inner(z)
            centre = where * inner * np.sin(angle), where * inner * np.cos(angle)
            c, n = np.cos(angle), np.sin(angle)
            across = c * (plane[0] - centre[0]) - n * (plane[1] - centre[1])
            out = n * (plane[0] - centre[0]) + c * (plane[1] - centre[1])
            fit = 1.0 if z is None else np.clip(1.6 - np.abs(z / self.length - 0.45) / 0.2, 0.01, 1.0)
            blob = (np.hypot(across / (size * fit), out / (size * long * fit)) - 1) * size
            image = over(image, muscle, inside(blob) * inside(d["cavity"]))
        return image

    def _band(self) -> tuple[float, float]:
        far = self.radius + self.thick + 16
        return far * np.sin(self.septum + 0.3), far * np.cos(self.septum + 0.3)

    def _emptied(self, phase: float) -> float:
        """About 1 at the end of systole, 0 at that of diastole."""
        return float(np.exp(-np.square((phase - self.systole) / 0.16)))

    def _flow(self, phase: float) -> float:
        """About how fast blood flows: in ejection and in filling."""
        return float(
            np.exp(-np.square((phase - 0.5 * self.systole) / 0.08))
            + np.exp(-np.square((phase - self.systole - 0.14) / 0.06))
        )


def short_axis(rng: np.random.Generator) -> Anatomy:
    return beating(ShortAxis(rng), {RV: "right ventricle"}, rng, hollow=True)


def stack(rng: np.random.Generator) -> Anatomy:
    return beating(ShortAxis(rng, 3), {RV: "right ventricle"}, rng, hollow=True)
