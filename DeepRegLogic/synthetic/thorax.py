"""What surrounds the heart: lungs with vessels, chest wall, diaphragm, liver and bowel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from .canvas import Canvas


@dataclass(frozen=True)
class Thorax:
    """Body around a heart at the origin, in body coordinates (mm).

    Attributes
    ----------
    wall_direction, wall_distance, wall_radius : where the chest wall is nearest, how far, and its curvature.
    muscle, fat : thickness of its layers.
    diaphragm, slope : height below the heart of the diaphragm and its slope; None where the view has none.
    vessels : brightness of the vessels of the lung.
    ribs : phase of the ribs along the wall.
    """

    wall_direction: float
    wall_distance: float
    wall_radius: float
    muscle: float
    fat: float
    diaphragm: float | None
    slope: float
    vessels: float
    ribs: float

    @classmethod
    def draw(cls, rng: np.random.Generator, wall: tuple[float, float], diaphragm: float | None) -> Thorax:
        """``wall`` is the direction (radians) and distance (mm) of the chest wall, to which chance is added."""
        return cls(
            wall_direction=wall[0] + rng.uniform(-0.3, 0.3),
            wall_distance=wall[1] + rng.uniform(-6, 18),
            wall_radius=rng.uniform(105, 190),
            muscle=rng.uniform(7, 14),
            fat=rng.uniform(7, 30),
            diaphragm=None if diaphragm is None else diaphragm + rng.uniform(-3, 9),
            slope=rng.uniform(-0.12, 0.22),
            vessels=rng.uniform(0.15, 0.45),
            ribs=rng.uniform(0, 6.28),
        )

    def paint(self, canvas: Canvas) -> None:
        """Lungs, then what lies below the diaphragm, then the chest wall over both."""
        noise, tissues = canvas.noise, canvas.tissues
        bright = (noise["fine"][0] - 2.0 + 0.5 * noise["broad"][0]).clamp(min=0) * self.vessels
        canvas.image += bright + 0.008 * noise["medium"][0]
        if self.diaphragm is not None:
            self._abdomen(canvas, self.diaphragm)
        self._wall(canvas, tissues.fat)

    def _abdomen(self, canvas: Canvas, diaphragm: float) -> None:
        noise, tissues = canvas.noise, canvas.tissues
        dome = diaphragm + self.slope * canvas.body_x + 0.0014 * (canvas.body_x + 20) ** 2
        edge = dome - canvas.body_y + 2.0 * noise["broad"][1] + 0.5 * noise["coarse"][0]
        liver = canvas.texture(tissues.liver, 0.05, "fine", 1)
        liver = liver + 0.2 * (noise["medium"][1] - 1.6).clamp(min=0)
        canvas.fill(edge, liver)
        # beyond the liver's edge: fat with spleen, stomach and bowel in it, some of it filled with gas
        side = 18 - canvas.body_x + 9 * noise["coarse"][1] + 14 * noise["broad"][1]
        fat = canvas.texture(0.7 * tissues.fat, 0.1, "medium", 2)
        canvas.fill(torch.maximum(edge, side), fat)
        organs = 5.0 - 9.0 * noise["coarse"][2] - 9.0 * noise["broad"][2]
        organ = (0.2 + 0.13 * noise["broad"][0]).clamp(0.02, 0.5) + 0.02 * noise["fine"][1]
        inner = torch.maximum(torch.maximum(edge, side), organs)
        canvas.fill(inner + 2.5, organ)
        canvas.line(inner + 2.5, 0.7, 1.3)
        canvas.line(edge + 0.6, 0.75, 1.2)

    def _wall(self, canvas: Canvas, fat_signal: float) -> None:
        noise, tissues = canvas.noise, canvas.tissues
        cos, sin = float(np.cos(self.wall_direction)), float(np.sin(self.wall_direction))
        centre = self.wall_distance - self.wall_radius
        x, y = canvas.body_x - centre * cos, canvas.body_y - centre * sin
        depth = torch.sqrt(x * x + y * y) - self.wall_radius + 1.6 * noise["broad"][1] + 0.6 * noise["coarse"][0]
        along = (cos * y - sin * x) * (1 / 26) + 0.3 * noise["broad"][2]
        fat = canvas.texture(fat_signal, 0.06, "medium", 3)
        inner_fat = 1.5 + 2.5 * noise["broad"][0].abs()
        canvas.fill(-depth, fat * 0.8)
        muscle = canvas.texture(tissues.muscle, 0.12, "fine", 2)
        band = torch.maximum(inner_fat - depth, depth - inner_fat - self.muscle)
        canvas.fill(band, muscle)
        rib = band + 2.2 + 5.0 * (0.35 - torch.sin(along * 2.2 + self.ribs)).clamp(min=0)
        canvas.fill(rib, 0.45 * fat)
        canvas.fill(inner_fat + self.muscle - depth, fat)
        septa = depth - inner_fat - self.muscle - 0.45 * self.fat + 1.5 * noise["coarse"][3]
        canvas.line(septa, 0.35, 1.2)
        canvas.line(depth, 0.7, 1.2)
        canvas.line(band, 0.5, 1.2)
        skin = inner_fat + self.muscle + self.fat
        canvas.fill(skin - depth, 0.35 * fat)
        canvas.fill(skin + 2.0 - depth, 0.008)
