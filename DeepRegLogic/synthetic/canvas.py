"""A canvas on which tissues are painted as bright-blood cine MR (balanced SSFP) shows them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

_SCALES = {"fine": (3.0, 3), "medium": (7.0, 4), "coarse": (18.0, 4), "broad": (50.0, 3)}


@dataclass(frozen=True)
class Tissues:
    """Signal of each tissue; fat near the receiver coil is the brightest."""

    blood: float
    myocardium: float
    fat: float
    muscle: float
    liver: float
    lung: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Tissues:
        blood = rng.uniform(0.62, 0.8)
        return cls(
            blood=blood,
            myocardium=blood * rng.uniform(0.24, 0.44),
            fat=rng.uniform(0.72, 1.0),
            muscle=rng.uniform(0.16, 0.26),
            liver=rng.uniform(0.18, 0.34),
            lung=rng.uniform(0.015, 0.05),
        )


class Canvas:
    """The reference image while it is painted, finer than the pixels of the cine.

    Attributes
    ----------
    x, y : ``[H, W]`` heart coordinates in mm.
    body_x, body_y : ``[H, W]`` the same, turned so that y points from front to back of the body.
    image : ``[H, W]`` signal.
    change : ``[H, W]`` how much of the signal is added at full contraction, by what moves through the slice.
    labels : ``[H, W]`` uint8.
    noise : random textures of standard deviation 1 by name, ``[C, H, W]``; "fine" varies over 3 mm, "medium" over
        7 mm, "coarse" over 18 mm, "broad" over 50 mm.
    """

    def __init__(
        self, x: torch.Tensor, y: torch.Tensor, turn: float, edge: float, tissues: Tissues, rng: np.random.Generator
    ) -> None:
        cos, sin = float(np.cos(turn)), float(np.sin(turn))
        self.x, self.y = x, y
        self.body_x, self.body_y = cos * x - sin * y, sin * x + cos * y
        self.tissues = tissues
        self.image = torch.full_like(x, tissues.lung)
        self.change = torch.zeros_like(x)
        self.labels = torch.zeros_like(x, dtype=torch.uint8)
        self._edge = edge
        extent = float((x[0, -1] - x[0, 0]).hypot(y[0, -1] - y[0, 0]))
        self.noise = {name: _texture(rng, count, extent / scale, x.shape) for name, (scale, count) in _SCALES.items()}

    def fill(
        self, distance: torch.Tensor, value: torch.Tensor | float, change: torch.Tensor | float = 0.0, soft: float = 0.0
    ) -> None:
        """Paint where ``distance`` (mm) is negative, with an edge as soft as a thick slice makes it."""
        coverage = torch.sigmoid(distance * (-2.5 / (self._edge + soft)))
        self.image += coverage * (value - self.image)
        self.change += coverage * (change - self.change)

    def line(self, distance: torch.Tensor, depth: float, width: float) -> None:
        """Darken along ``distance`` = 0, as the boundary of fat and water is dark; ``depth`` 1 is black."""
        self.image *= 1.0 - depth * torch.exp(-((distance / width) ** 2))

    def texture(self, value: float, contrast: float, scale: str, channel: int = 0) -> torch.Tensor:
        """``value`` with a random texture of relative ``contrast``."""
        return value * (1.0 + contrast * self.noise[scale][channel])

    def ellipse(
        self, centre: tuple[float, float], radii: tuple[float, float], angle: float = 0.0, body: bool = False
    ) -> torch.Tensor:
        """Distance (mm, nearly) to an ellipse, negative inside, in heart or body coordinates."""
        x, y = (self.body_x, self.body_y) if body else (self.x, self.y)
        x, y = x - centre[0], y - centre[1]
        if angle:
            cos, sin = float(np.cos(angle)), float(np.sin(angle))
            x, y = cos * x + sin * y, cos * y - sin * x
        return bullet(x, y, radii[0], radii[1], radii[1])


def bullet(x: torch.Tensor, y: torch.Tensor, half_width: float, up: float, down: float) -> torch.Tensor:
    """Distance (mm, nearly) to an ellipse about the origin whose upper and lower halves differ in length."""
    length = torch.where(y < 0, y * (1 / up), y * (1 / down))
    slope = torch.where(y < 0, length * (1 / up), length * (1 / down))
    width = x * (1 / half_width)
    level = torch.sqrt(width * width + length * length)
    gradient = torch.sqrt((width * (1 / half_width)) ** 2 + slope * slope)
    return (level - 1.0) * level / (gradient + 1e-4)


def _texture(rng: np.random.Generator, count: int, cells: float, shape: torch.Size) -> torch.Tensor:
    n = max(int(np.ceil(cells)), 2) + 3
    field = torch.from_numpy(rng.standard_normal((1, count, n, n), dtype=np.float32))
    field = F.interpolate(field, size=tuple(shape), mode="bicubic", align_corners=True)[0]
    return field * 1.35
