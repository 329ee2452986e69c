"""Phase congruency of an image (Kovesi 1999), with the parameters of the feature similarity of Zhang et al. 2011."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

_SCALES, _ORIENTATIONS = 4, 4
_SHORTEST, _FACTOR = 6.0, 2.0  # wave lengths in pixels
_BANDWIDTH = 0.55
_ANGLE = np.pi / _ORIENTATIONS / 1.2
_NOISE = 2.0  # standard deviations of the energy of noise above its mean
_TINY = 1e-4


@lru_cache(maxsize=4)
def _filters(shape: tuple[int, int]) -> np.ndarray:
    """Log-Gabor filters ``[orientations, scales, *shape]`` in the frequencies of ``np.fft.fft2``."""
    rows, columns = np.meshgrid(*(np.fft.fftfreq(n) for n in shape), indexing="ij")
    radius, angle = np.hypot(rows, columns), np.arctan2(-rows, columns)
    low_pass = 1 / (1 + (radius / 0.45) ** 30)
    radius[0, 0] = 1.0
    bank = np.empty((_ORIENTATIONS, _SCALES, *shape))
    for scale in range(_SCALES):
        centre = 1 / (_SHORTEST * _FACTOR**scale)
        radial = np.exp(-(np.log(radius / centre) ** 2) / (2 * np.log(_BANDWIDTH) ** 2)) * low_pass
        radial[0, 0] = 0.0
        for number in range(_ORIENTATIONS):
            apart = np.abs(np.angle(np.exp(1j * (angle - number * np.pi / _ORIENTATIONS))))
            bank[number, scale] = radial * np.exp(-(apart**2) / (2 * _ANGLE**2))
    bank.setflags(write=False)
    return bank


def phase_congruency(image: np.ndarray) -> np.ndarray:
    """``[H, W]`` from 0 to 1 of an image ``[H, W]``: where the phases of its waves agree, whatever the contrast."""
    bank = _filters(image.shape)
    spectrum = np.fft.fft2(image)
    energy, amplitude = np.zeros(image.shape), np.zeros(image.shape)
    for filters in bank:
        waves = np.fft.ifft2(spectrum * filters)
        whole = waves.sum(0)
        direction = whole / (np.abs(whole) + _TINY)
        turned = waves * direction.conj()
        agreeing = (turned.real - np.abs(turned.imag)).sum(0)
        energy += np.maximum(agreeing - _noise_energy(waves[0], filters), 0)
        amplitude += np.abs(waves).sum(0)
    return energy / (amplitude + _TINY)


def _noise_energy(finest: np.ndarray, filters: np.ndarray) -> float:
    """The energy that noise is unlikely to exceed, from the amplitudes at the finest scale, which are mostly noise."""
    power = np.median(np.abs(finest) ** 2) / np.log(2) / (filters[0] ** 2).sum()
    kernel = np.fft.ifft2(filters.sum(0)).real * np.sqrt(finest.size)
    spread = np.sqrt(power * (kernel**2).sum())
    mean, deviation = spread * np.sqrt(np.pi / 2), spread * np.sqrt(2 - np.pi / 2)
    return float((mean + _NOISE * deviation) / 1.7)
