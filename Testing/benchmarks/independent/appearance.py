"""What tissue looks like: soft edges, random textures, and the chest around a heart."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import map_coordinates

Points = np.ndarray


class Texture:
    """A random field of mean 0 and standard deviation 1 in space, periodic over a length that is far larger than its
    grain.

    ``grain`` is its correlation length in mm: one number, or one an axis. ``sharp`` mixes in finer detail.
    """

    def __init__(self, rng: np.random.Generator, grain: float | tuple[float, ...], ndim: int = 2, sharp: float = 0.0):
        grains = np.broadcast_to(np.asarray(grain, float), (ndim,))
        side = 192 if ndim == 2 else 64
        self.step = grains / 3.0
        k2 = sum(np.square(f) for f in np.meshgrid(*[np.fft.fftfreq(side)] * ndim, indexing="ij"))
        filters = np.exp(-0.5 * k2 * np.square(2 * np.pi * 1.3)) + sharp * 0.35 * np.exp(
            -0.5 * k2 * np.square(2 * np.pi * 0.6)
        )
        values = np.fft.ifftn(np.fft.fftn(rng.normal(size=(side,) * ndim)) * filters).real
        self.values = ((values - values.mean()) / values.std()).astype(np.float32)

    def __call__(self, points: Points) -> np.ndarray:
        where = points / self.step.reshape(-1, *[1] * (points.ndim - 1))
        return map_coordinates(self.values, where, order=1, mode="grid-wrap", prefilter=False)


class Ring:
    """A random periodic function of an angle, mean 0, standard deviation 1; ``lobes`` is about its number of bumps."""

    def __init__(self, rng: np.random.Generator, lobes: float, highest: int = 24):
        orders = np.arange(1, highest + 1)
        size = np.exp(-0.5 * np.square((orders - lobes) / max(1.0, 0.45 * lobes)))
        self.cos, self.sin = rng.normal(size=(2, highest)) * size
        scale = np.sqrt(0.5 * (np.square(self.cos).sum() + np.square(self.sin).sum()))
        table = np.linspace(-np.pi, np.pi, 721)
        self.table = table
        self.values = (self.cos @ np.cos(np.outer(orders, table)) + self.sin @ np.sin(np.outer(orders, table))) / scale

    def __call__(self, turn: np.ndarray) -> np.ndarray:
        return np.interp(turn, self.table, self.values)


def inside(distance: np.ndarray, width: float = 0.8) -> np.ndarray:
    """1 where a signed distance (mm, negative inside) is inside, 0 outside, over an edge of ``width`` mm."""
    return np.clip(0.5 - distance / width, 0.0, 1.0)


def over(image: np.ndarray, value: np.ndarray | float, cover: np.ndarray) -> np.ndarray:
    """``value`` painted over an image where ``cover`` is 1."""
    return image + cover * (value - image)


def ellipse(points: Points, centre: tuple, axes: tuple, degrees: float = 0.0) -> np.ndarray:
    """About the signed distance in mm to an ellipse, in the last two axes; centre and axes may be arrays."""
    y, x = points[-2] - centre[0], points[-1] - centre[1]
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    a, b = (c * y + s * x) / axes[0], (-s * y + c * x) / axes[1]
    return (np.sqrt(a * a + b * b) - 1) * np.minimum(*axes)


def joined(*distances: np.ndarray, soft: float = 3.0) -> np.ndarray:
    """The signed distance to the union of shapes, its corners rounded."""
    found = distances[0]
    for other in distances[1:]:
        h = np.clip(0.5 + 0.5 * (other - found) / soft, 0.0, 1.0)
        found = other + h * (found - other) - soft * h * (1 - h)
    return found


@dataclass
class Signals:
    """Brightness of tissues, blood about 1: a balanced steady-state sequence, different from case to case."""

    rng: np.random.Generator
    blood: float = 1.0
    muscle: float = field(init=False)
    fat: float = field(init=False)
    lung: float = field(init=False)
    liver: float = field(init=False)
    body: float = field(init=False)
    spleen: float = field(init=False)
    bone: float = field(init=False)

    def __post_init__(self) -> None:
        self.muscle = self.rng.uniform(0.26, 0.42)
        self.fat = self.rng.uniform(0.65, 1.2)
        self.lung = self.rng.uniform(0.02, 0.06)
        self.liver = self.rng.uniform(0.24, 0.5)
        self.body = self.rng.uniform(0.18, 0.3)
        self.spleen = self.rng.uniform(0.35, 0.7)
        self.bone = self.rng.uniform(0.3, 0.6)


class Blood:
    """Inhomogeneity of flowing blood: fields that stay in space and change over the cycle, not with tissue."""

    def __init__(self, rng: np.random.Generator, ndim: int = 2):
        self.strength = rng.uniform(0.02, 0.1)
        self.fields = [Texture(rng, rng.uniform(9, 16), ndim) for _ in range(3)]
        self.dim = rng.uniform(0.0, 0.12)  # while it flows fast

    def __call__(self, points: Points, phase: float, flow: float) -> np.ndarray:
        still, a, b = (each(points) for each in self.fields)
        turn = 2 * np.pi * phase
        return 1 + self.strength * (0.7 * still + a * np.cos(turn) + b * np.sin(turn)) - self.dim * flow


class Wall:
    """Texture of muscle: a part that moves with the tissue, none in some cases, and a part that stays in space."""

    def __init__(self, rng: np.random.Generator, ndim: int = 2):
        self.strength = float(rng.choice([0.0, rng.uniform(0.03, 0.08), rng.uniform(0.08, 0.18)], p=[0.3, 0.4, 0.3]))
        self.material = float(rng.uniform(0.5, 1.0)) if self.strength else 0.0
        grain = rng.uniform(2.5, 5.0)
        self.moving = Texture(rng, grain if ndim == 2 else (10.0, grain, grain), ndim, sharp=1.0)
        self.still = Texture(rng, grain if ndim == 2 else (10.0, grain, grain), ndim)

    def __call__(self, own: Points, now: Points) -> np.ndarray:
        if not self.strength:
            return np.ones(own.shape[1:])
        moving = np.sqrt(self.material) * self.moving(own)
        still = np.sqrt(1 - self.material) * self.still(now) if self.material < 1 else 0.0
        return 1 + self.strength * (moving + still)


class Chest:
    """What surrounds a heart: chest wall above (negative rows), lung, liver or stomach below, vessels in both.

    The heart is at the origin; distances are in mm, the plane is (row, column).
    """

    def __init__(self, rng: np.random.Generator, signals: Signals, wall: float, floor: float, side: float = -1.0):
        self.signals = signals
        self.bend = [Texture(rng, 38.0) for _ in range(2)]
        self.fine = [Texture(rng, 13.0) for _ in range(2)]
        self.grain = Texture(rng, 3.5, sharp=1.0)
        self.vessels = Texture(rng, rng.uniform(5.0, 7.0), sharp=0.5)
        self.veins = Texture(rng, rng.uniform(8.0, 11.0))
        self.blotches = Texture(rng, 22.0)
        self.wall, self.floor, self.side = wall, floor, side
        self.tilt = rng.uniform(-0.25, 0.25) + 0.25 * side
        self.layers = rng.uniform(7, 12), rng.uniform(8, 18), rng.uniform(6, 30)  # pleural fat, muscle, skin's fat
        self.slope = rng.uniform(-0.25, 0.25)
        self.stomach = rng.uniform(25, 60), rng.uniform(0.1, 0.9), rng.uniform(12, 24)
        self.aorta = (rng.uniform(48, 66), rng.uniform(38, 62), rng.uniform(9, 13))
        self.has_aorta = rng.uniform() < 0.6
        self.ribs = rng.uniform(20, 30), rng.uniform(0, 30)

    def __call__(self, q: Points) -> np.ndarray:
        s = self.signals
        q = q[-2:]
        q = q + np.stack([6.0 * b(q) + 1.2 * f(q) for b, f in zip(self.bend, self.fine, strict=True)])
        y, x = q
        grain, blotch = self.grain(q), self.blotches(q)
        lung = s.lung * (1 + 0.4 * blotch) + 0.55 * np.clip(self.vessels(q) - 1.9, 0, 0.9) + 0.01 * np.abs(grain)
        image = lung
        # below: the diaphragm with the liver on one side, stomach and spleen on the other
        dome = self.floor + self.tilt * x + 0.0022 * np.square(x - self.side * 35)
        below = dome - y
        liver = s.liver * (1 + 0.05 * blotch + 0.04 * grain) + 0.35 * np.clip(self.veins(q) - 1.35, 0, 0.6)
        split = -self.side * (x - self.side * -8 - 0.35 * (y - self.floor))
        other = over(s.spleen * (0.75 + 0.1 * blotch + 0.05 * grain), s.fat * 0.9, inside(np.abs(split - 6) - 5, 2.0))
        where = (self.floor + 6 + self.stomach[2], -self.side * self.stomach[0])
        belly = ellipse(q, where, (self.stomach[2], 1.5 * self.stomach[2]), 15.0)
        other = over(over(other, s.body, inside(belly - 4)), self.stomach[1] * (1 + 0.25 * grain), inside(belly))
        organ = over(other, liver, inside(split, 1.5))
        image = over(image, organ, inside(below))
        image = over(
            image, s.fat * (0.8 + 0.1 * grain), inside(np.abs(below) - 1.3 - 1.2 * np.maximum(blotch, -0.5)) * 0.7
        )
        if self.has_aorta:
            vessel = ellipse(q, self.aorta[:2], (self.aorta[2],) * 2)
            image = over(image, s.body, inside(vessel - 2.2))
            image = over(image, 0.95 * s.blood, inside(vessel))
        # above: pleural fat, muscle with ribs, the skin's fat, air
        depth = -(y + self.slope * x + 0.0016 * np.square(x)) - self.wall
        inner, muscle, skin = self.layers
        ribs = np.cos(2 * np.pi * (x + self.ribs[1]) / self.ribs[0])
        chest = s.body * (1 + 0.15 * grain + 0.2 * blotch)
        chest = over(
            chest, s.bone, inside(0.35 - ribs, 0.3) * inside(np.abs(depth - 0.55 * muscle) - 0.3 * muscle, 2.0)
        )
        chest = over(chest, s.fat * (1 + 0.06 * blotch), inside(muscle - depth))
        image = over(
            image, s.fat * (0.75 + 0.12 * grain), inside(-depth - inner * np.clip(0.45 + 0.5 * blotch, 0, 1.3))
        )
        image = over(image, chest, inside(-depth))
        return over(image, 0.0, inside(muscle + skin - depth))
