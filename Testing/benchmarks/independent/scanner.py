"""What a scanner makes of tissue: coil sensitivity, banding, k-space of limited extent, noise, units."""

from __future__ import annotations

import numpy as np

from .appearance import Points, Texture


class Scanner:
    """The settings of one examination. ``margin`` is in pixels: what is rendered around the image and cut off again."""

    factor = 2
    margin = 6

    def __init__(self, rng: np.random.Generator, extent: float):
        self.extent = extent
        self.rng = rng
        self.read, self.phase = rng.uniform(0.85, 1.0), rng.uniform(0.62, 0.95)
        self.turned = bool(rng.uniform() < 0.5)
        self.window = float(rng.choice([0.0, rng.uniform(0.3, 1.0)], p=[0.5, 0.5]))
        self.noise = float(np.exp(rng.uniform(np.log(0.012), np.log(0.06))))
        self.units = float(np.exp(rng.uniform(np.log(120), np.log(2500))))
        self.whole = bool(rng.uniform() < 0.7)
        self.coil = rng.uniform(0.2, 0.7)
        direction = rng.uniform(-np.pi, 0)  # the coils lie on the chest and beside it
        self.coils = 0.9 * extent * np.array([np.sin(direction), np.cos(direction)])
        self.bias = Texture(rng, 0.5 * extent)
        self.banding = float(rng.uniform(0.2, 0.55)) if rng.uniform() < 0.3 else 0.0
        self.off = Texture(rng, 0.45 * extent), rng.uniform(0.6, 1.6), rng.uniform(-1.0, 1.0)
        self.open = float(rng.uniform(0.5, 1.0))  # part of the time between frames over which a frame is acquired
        self.arrival: tuple[float, float, float] | None = None
        if rng.uniform() < 0.2:
            self.arrival = rng.uniform(0.2, 0.5), rng.uniform(0.2, 0.6), rng.uniform(0.08, 0.2)
        self.drift = rng.uniform(-0.06, 0.06) if rng.uniform() < 0.4 else 0.0

    def sensitivity(self, points: Points) -> np.ndarray:
        """Of places in the image (mm from its centre): the coils' and the off-resonance bands'."""
        plane = points[-2:]
        away = np.square(plane[0] - self.coils[0]) + np.square(plane[1] - self.coils[1])
        gain = (1 - self.coil) + self.coil * 1.9 / (1 + away / np.square(0.85 * self.extent))
        gain = gain * (1 + 0.08 * self.bias(plane))
        if self.banding:
            field, strength, offset = self.off
            angle = strength * field(plane) + offset + 1.2 * plane[1] / self.extent
            gain = gain * (1 - self.banding * np.exp(-np.square((np.abs(angle) - 1.8) / 0.22)))
        return gain

    def contrast(self, time: float) -> float:
        """How much of a contrast agent's brightness has arrived at ``time`` in [0, 1] of the cine; 1 without one."""
        if self.arrival is None:
            return 1.0
        depth, middle, width = self.arrival
        return float(1 - depth + depth / (1 + np.exp(-(time - middle) / width)))

    def acquire(self, fine: np.ndarray, size: tuple[int, int], time: float) -> np.ndarray:
        """Images of ``size`` of fine ones, ``factor * (n + 2 margin)``: k-space cut off, complex noise, magnitude."""
        wide = [n + 2 * self.margin for n in size]
        spectrum = np.fft.fft2(fine)
        extents = (self.phase, self.read) if self.turned else (self.read, self.phase)
        keep, weight = [], []
        for n, part in zip(wide, extents, strict=True):
            k = np.fft.fftfreq(n) * n
            reach = part * n / 2
            taper = np.cos(0.5 * np.pi * np.clip(np.abs(k) / reach, 0, 1)) ** 2
            # the first fine sample lies (factor - 1) / 2 of a fine step before the pixel's centre
            centred = np.exp(2j * np.pi * k * (self.factor - 1) / 2 / (self.factor * n))
            keep.append(np.round(k).astype(int) % (self.factor * n))
            weight.append((np.abs(k) < reach) * (self.window * taper + (1 - self.window)) * centred)
        small = spectrum[..., keep[0][:, None], keep[1][None]] * weight[0][:, None] * weight[1][None]
        small /= self.factor**2
        random = self.rng.normal(size=(2, *small.shape)) * self.noise * np.sqrt(wide[0] * wide[1])
        small = small + (random[0] + 1j * random[1]) * np.abs(weight[0])[:, None] * np.abs(weight[1])[None]
        image = np.abs(np.fft.ifft2(small))[..., self.margin : -self.margin, self.margin : -self.margin]
        image = image * self.units * (1 + self.drift * time)
        return (np.round(image) if self.whole else image).astype(np.float32)
