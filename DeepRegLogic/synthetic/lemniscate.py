"""Sequences of a lemniscate under an affine motion: the simulated data of TLRN (Wu et al. 2024, section 4.1).

The paper gives the curve ``x = a cos(al) / (1 + sin^2 al)``, ``y = a sin(al) cos(al) / (1 + sin^2 al)``, its thickness
``[x +- sigma_x, y +- sigma_y]``, 64 x 64 pixels and 12 frames, but neither the ranges nor the rasterisation. The two
recipes here are those that agree best with the statistics stored in the published weights. Pixels hold the covered
area (3 x 3 samples a pixel).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from .seeds import random_generator

SIZE = 64
FRAMES = 12
_SAMPLES = 3
_FINE = 9  # a multiple of _SAMPLES, so that the samples of frame 0 lie in the middle of fine cells
_CURVE_POINTS = 1024


@dataclass(frozen=True)
class Recipe:
    """Ranges from which a sequence is drawn, uniformly.

    Attributes
    ----------
    name : what the recipe is called.
    half_length : scaling factor a of the curve, in pixels.
    half_width : sigma_x and sigma_y, each drawn on its own, in pixels.
    scale : scale factor of each axis at the last frame.
    rotation : angle at the last frame lies within +- this, in radians.
    translation : shift along each axis at the last frame lies within +- this, in pixels.
    """

    name: str
    half_length: tuple[float, float]
    half_width: tuple[float, float]
    scale: tuple[float, float]
    rotation: float
    translation: float


FIT = Recipe("FIT", (14.0, 24.0), (1.5, 3.0), (0.6, 1.2), 1.2, 4.0)
WIDE = Recipe("WIDE", (14.0, 24.0), (1.5, 3.0), (0.4, 1.8), 0.8, 8.0)
_RECIPES = {recipe.name: recipe for recipe in (FIT, WIDE)}


def lemniscate_sequence(seed: int, recipe: str | Recipe = "FIT") -> np.ndarray:
    """One sequence ``[12, 64, 64]`` float32 in [0, 1]; frame 0 is the undeformed lemniscate.

    The scale, rotation and translation grow linearly in time and reach their drawn values at the last frame.

    Raises
    ------
    InputError : a seed that is negative or not whole; an unknown recipe.
    """
    if not isinstance(recipe, Recipe):
        if recipe not in _RECIPES:
            raise InputError(f"There is no lemniscate recipe {recipe!r}; choose one of {', '.join(_RECIPES)}.")
        recipe = _RECIPES[recipe]
    rng = random_generator(seed)
    shape = _fine_shape(rng.uniform(*recipe.half_length), rng.uniform(*recipe.half_width, size=2))

    progress = np.linspace(0.0, 1.0, FRAMES)
    scale = 1 + (rng.uniform(*recipe.scale, size=2) - 1) * progress[:, None]
    angle = rng.uniform(-recipe.rotation, recipe.rotation) * progress
    shift = rng.uniform(-recipe.translation, recipe.translation, size=2) * progress[:, None]

    centre = (SIZE - 1) / 2
    offset = (np.arange(SIZE * _SAMPLES) + 0.5) / _SAMPLES - 0.5 - centre
    cos, sin = np.cos(angle), np.sin(angle)
    y, x = offset - shift[:, :1], offset - shift[:, 1:]

    def fine_index(along_y: np.ndarray, along_x: np.ndarray, factor: np.ndarray) -> np.ndarray:
        """Where the samples ``[12, 192, 192]`` lie in the fine reference shape, along one of its axes."""
        per_y = (along_y / factor)[:, None] * y * _FINE + SIZE / 2 * _FINE
        per_x = (along_x / factor)[:, None] * x * _FINE
        index = per_y.astype(np.float32)[:, :, None] + per_x.astype(np.float32)[:, None, :]
        return np.clip(index, 0, SIZE * _FINE - 1).astype(np.int32)

    # the inverse of rotation after scaling
    row = fine_index(cos, -sin, scale[:, 0])
    column = fine_index(sin, cos, scale[:, 1])
    return _mean_of_blocks(shape.ravel().take(row * (SIZE * _FINE) + column))


def lemniscate_batch(seeds: Iterable[int], recipe: str | Recipe = "FIT") -> np.ndarray:
    """The sequences of several seeds, ``[N, 12, 64, 64]`` float32."""
    return np.stack([lemniscate_sequence(seed, recipe) for seed in seeds])


def _fine_shape(half_length: float, half_width: np.ndarray) -> np.ndarray:
    """The thick curve on a grid of 1/9 pixel, ``[576, 576]`` uint8: the union of the boxes around its points."""
    angle = np.linspace(0, 2 * np.pi, _CURVE_POINTS, endpoint=False)
    x = half_length * np.cos(angle) / (1 + np.sin(angle) ** 2)
    y = x * np.sin(angle)
    size = SIZE * _FINE
    bounds = []
    for position, half in ((y, half_width[1]), (x, half_width[0])):
        for edge in (position - half, position + half):
            bounds.append(np.clip(np.rint((edge + SIZE / 2) * _FINE).astype(int), 0, size))
    top, bottom, left, right = bounds
    # each box adds +1, -1 at its corners; their running sums count the boxes over a point
    corners = np.concatenate(
        [row * (size + 1) + column for row, column in ((top, left), (bottom, right), (top, right), (bottom, left))]
    )
    signs = np.repeat(np.array([1.0, 1.0, -1.0, -1.0]), _CURVE_POINTS)
    counts = np.bincount(corners, signs, (size + 1) ** 2).astype(np.int16).reshape(size + 1, size + 1)
    return (counts.cumsum(0, dtype=np.int16).cumsum(1, dtype=np.int16)[:size, :size] > 0).astype(np.uint8)


def _mean_of_blocks(samples: np.ndarray) -> np.ndarray:
    rows = samples[:, 0::_SAMPLES] + samples[:, 1::_SAMPLES] + samples[:, 2::_SAMPLES]
    total = rows[:, :, 0::_SAMPLES] + rows[:, :, 1::_SAMPLES] + rows[:, :, 2::_SAMPLES]
    return total.astype(np.float32) / _SAMPLES**2
