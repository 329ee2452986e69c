"""Shapes and flows of no particular meaning."""

from __future__ import annotations

import numpy as np

from .anatomy import Anatomy
from .appearance import Points, Texture, inside, over
from .curves import pulse, wander
from .motions import Flow, Placed


def random_flow(rng: np.random.Generator) -> Anatomy:
    """Blobs of random brightness and texture in a random smooth flow."""
    count = int(rng.integers(10, 20))
    centres = rng.uniform(-80, 80, (count, 2))
    sigmas = np.repeat(rng.uniform(13, 34, (count, 1)), 2, 1)
    sizes = rng.normal(0, 1, (count, 2)) * 0.22 * sigmas
    courses = [[wander(rng) for _ in range(2)] for _ in range(count)]
    beat, _ = pulse(rng)
    rhythm = rng.uniform() < 0.5

    def amplitudes(phase: float) -> np.ndarray:
        shared = beat(phase) if rhythm else 0.0
        return np.array(
            [
                [a * (0.6 * c(phase) + 0.6 * shared) for a, c in zip(s, cs, strict=True)]
                for s, cs in zip(sizes, courses, strict=True)
            ]
        )

    levels = Texture(rng, rng.uniform(13, 26)), Texture(rng, rng.uniform(9, 16)), Texture(rng, rng.uniform(25, 40))
    grains = [Texture(rng, rng.uniform(2.0, 6.0), sharp=1.0) for _ in range(2)]
    bright = rng.uniform(0.1, 1.1, 4)
    while np.abs(np.diff(bright)).min() < 0.15:
        bright = rng.uniform(0.1, 1.1, 4)
    strength = rng.uniform(0.0, 0.16, 4)
    cuts = rng.uniform(0.0, 0.5), rng.uniform(0.4, 1.0), rng.uniform(-0.4, 0.3)
    flicker = Texture(rng, 30.0)
    unsteady = rng.uniform(0.0, 0.12)

    def areas(q: Points) -> list[np.ndarray]:
        """Signed distances, about: the levels' slopes are not 1."""
        return [(cut - level(q)) * level.step[0] * 3 for cut, level in zip(cuts, levels, strict=True)]

    def label(q: Points) -> np.ndarray:
        a, b, c = areas(q)
        labels = np.zeros(q.shape[1:], np.uint8)
        labels[c <= 0] = 3
        labels[a <= 0] = 1
        labels[b <= 0] = 2
        return labels

    def paint(q: Points, now: Points, phase: float, agent: float) -> np.ndarray:
        a, b, c = areas(q)
        image = bright[3] * (1 + strength[3] * grains[1](q))
        image = over(image, bright[2] * (1 + strength[2] * grains[1](q)), inside(c))
        image = over(image, bright[0] * (1 + strength[0] * grains[0](q)), inside(a))
        image = over(image, bright[1] * agent * (1 + strength[1] * grains[0](q)), inside(b))
        return image * (1 + unsteady * np.sin(2 * np.pi * phase) * flicker(now))

    names = {1: "first", 2: "second", 3: "third"}
    motion = Placed(Flow(centres, sigmas, amplitudes), np.eye(2), np.zeros(2))
    return Anatomy(
        motion,
        paint,
        label,
        names,
        {"organ": (0, 1, 2, 3), "wall": (1, 2, 3), "blood": ()},
        rng.uniform(0.8, 5.0),
        cyclic=False,
    )
