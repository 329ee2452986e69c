"""A mid-ventricular short axis: its shape, its motion and its picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from .canvas import Canvas
from .heart_motion import Curve, RadialContraction, Slide, contraction_maps, slide_maps
from .thorax import Thorax


@dataclass(frozen=True)
class ShortAxis:
    """One subject; lengths in mm about the centre of the left ventricle, the right ventricle at negative x.

    Attributes
    ----------
    shortening : fraction by which the cavity's radius shortens (smoothing takes about an eighth of it away).
    thinning : fraction by which the ventricle shortens through the slice.
    cavity, wall : radius of the cavity and thickness of the wall at end diastole.
    right_width : width of the right ventricle's cavity.
    sector : (direction, width, amplitude, delay) of a wall segment that moves otherwise.
    """

    shortening: float
    thinning: float
    cavity: float
    wall: float
    right_width: float
    right_height: float
    right_shortening: float
    twist: float
    swing: tuple[float, float]
    delay: float
    sector: tuple[float, float, float, float]
    papillary: tuple[tuple[float, float, float, float], ...]
    trabeculation: float
    fat: float
    aorta: tuple[float, float, float] | None
    thorax: Thorax

    labels = {1: "LV blood", 2: "LV myocardium", 3: "RV blood"}
    turn = 0.0
    centre = (-8.0, 0.0)

    @classmethod
    def draw(cls, rng: np.random.Generator, ejection: float, diseased: bool) -> ShortAxis:
        strength = ejection / 0.6
        cavity = rng.uniform(21, 29) + max(0.4 - ejection, 0) * rng.uniform(10, 40)
        wall = rng.uniform(6.5, 10.5) + (rng.uniform(2, 5) if rng.random() < 0.15 else 0)
        outer = cavity + wall
        thinning = rng.uniform(0.0, 0.18) * min(strength, 1.0)
        if diseased:
            sector = (rng.uniform(-np.pi, np.pi), rng.uniform(0.5, 1.0), rng.uniform(-0.15, 0.5), rng.uniform(0, 0.06))
        else:
            sector = (
                rng.uniform(-np.pi, np.pi),
                rng.uniform(0.7, 1.2),
                rng.uniform(0.8, 1.15),
                rng.uniform(-0.02, 0.02),
            )
        right_width = rng.uniform(20, 38)
        return cls(
            shortening=min((1 - np.sqrt((1 - ejection) / (1 - thinning))) * rng.uniform(1.0, 1.45), 0.54),
            thinning=thinning,
            cavity=cavity,
            wall=wall,
            right_width=right_width,
            right_height=rng.uniform(0.95, 1.25),
            right_shortening=rng.uniform(0.2, 0.5) * min(strength, 1.0),
            twist=np.deg2rad(rng.uniform(-9, 9)) * min(strength, 1.0),
            swing=(rng.uniform(-4.5, 4.5), rng.uniform(-5, 5)),
            delay=rng.uniform(-0.02, 0.03),
            sector=sector,
            papillary=tuple(
                (angle + rng.uniform(-0.3, 0.3), rng.uniform(0.62, 0.86), rng.uniform(2.6, 5.2), rng.uniform(4, 8))
                for angle in (-0.85, 1.05)
            ),
            trabeculation=rng.uniform(0.6, 1.8),
            fat=rng.uniform(0.5, 6.0),
            aorta=(rng.uniform(0.3, 0.9), rng.uniform(32, 60), rng.uniform(9, 13)) if rng.random() < 0.5 else None,
            thorax=Thorax.draw(rng, (-2.35, outer + 0.55 * right_width + 16), outer + 2),
        )

    def chain(self, curve: Curve) -> tuple[RadialContraction | Slide, ...]:
        """The maps of the motion; ``curve(delay, diastasis)`` gives a contraction in time, ``[T, 1, 1]``."""
        outer = self.cavity + self.wall
        direction, width, amplitude, delay = self.sector
        main = curve(0.0, 0.22)
        contraction = RadialContraction(
            maps=contraction_maps(self.cavity, outer, self.shortening, self.thinning, 32.0),
            amplitude=main,
            twist=self.twist * curve(self.delay, 0.1),
            twist_radius=outer + 10,
            sectors=((direction, width, amplitude * curve(delay, 0.3) - main),),
        )
        free_wall = -(outer + 0.95 * self.right_width)
        move = self.right_shortening * self.right_width
        swing_x, swing_y = self.swing
        across = slide_maps(
            [(free_wall - 45, 0), (free_wall - 4, move + swing_x), (free_wall + 3, move + swing_x), (-outer, swing_x),
             (outer, swing_x), (outer + 40, 0)],
            1.2,
            6.0,
        )  # fmt: skip
        along = slide_maps([(-outer - 45, 0), (-outer, swing_y), (outer, swing_y), (outer + 45, 0)], 1.2, 6.0)
        return (
            Slide(0, across, curve(self.delay, 0.28), (-0.7 * outer, 0.7 * outer, 1.1 * outer)),
            contraction,
            Slide(1, along, curve(self.delay + 0.03, 0.15), (free_wall, outer, 42.0)),
        )

    def paint(self, canvas: Canvas) -> torch.Tensor:
        """Paint the subject; returns where the heart is (distance in mm, negative inside)."""
        self.thorax.paint(canvas)
        noise, tissues = canvas.noise, canvas.tissues
        x, y = canvas.x, canvas.y
        outer = self.cavity + self.wall
        radius = torch.sqrt(x * x + y * y)
        cos, sin = x / (radius + 1e-3), y / (radius + 1e-3)

        epicardium = radius - outer - 0.7 * noise["coarse"][0] - 0.04 * outer * (cos * cos - sin * sin)
        # the cavity's edge is ragged where the free wall is trabeculated, smooth along the septum
        ragged = self.trabeculation * (0.35 + 0.65 * torch.sigmoid(4 * cos + 1))
        endocardium = radius - self.cavity - 0.04 * self.cavity * (cos * cos - sin * sin) + 0.5 * noise["coarse"][1]
        blood_edge = endocardium + ragged * (
            0.6 + 0.9 * noise["fine"][1].clamp(-1, 2.5) + 0.8 * noise["medium"][1].clamp(-1, 2)
        )

        wide = outer + self.right_width
        right = canvas.ellipse((-0.42 * wide, -0.08 * outer), (0.60 * wide, self.right_height * outer), 0.12)
        right = right + 1.3 * noise["coarse"][2] + 0.8 * noise["broad"][0]
        right_blood = torch.maximum(right + 2.6 + 0.5 * noise["fine"][2].clamp(-1, 2) + 0.7 * noise["medium"][2],
                                    -epicardium + 0.4)  # fmt: skip
        heart = torch.minimum(epicardium, right)

        around = self.fat + 2.4 * noise["broad"][1] + 1.2 * noise["coarse"][3]
        around = around + 9.0 * torch.exp(-(((x + 0.75 * outer) / 13) ** 2)) * (0.4 + 0.3 * noise["broad"][2]).clamp(
            0, 1
        )
        groove = (
            canvas.ellipse((-wide * 0.8, -0.75 * outer), (18.0, 22.0))
            + 1.5 * noise["coarse"][1]
            + 3 * noise["broad"][2]
        )
        fat = canvas.texture(0.8 * tissues.fat, 0.13, "medium", 3) - 0.15 * noise["fine"][0].clamp(min=0)
        pericardium = torch.minimum(heart - around.clamp(min=0), groove)
        canvas.fill(pericardium, fat, soft=0.6)
        canvas.line(pericardium, 0.45, 1.0)
        if self.aorta:
            angle, gap, size = self.aorta
            place = ((outer + gap) * float(np.cos(angle)), (outer + gap) * float(np.sin(angle)))
            vessel = canvas.ellipse(place, (size, size * 1.05)) + 0.5 * noise["coarse"][0]
            canvas.fill(vessel - 1.6, tissues.muscle)
            canvas.fill(vessel, canvas.texture(tissues.blood, 0.03, "medium"))

        muscle = canvas.texture(tissues.myocardium, 0.06, "fine") * (1 + 0.05 * noise["coarse"][3])
        blood = canvas.texture(tissues.blood, 0.035, "medium") * (1 + 0.05 * noise["broad"][0])
        canvas.fill(heart, muscle, change=0.02)
        canvas.line(heart - 0.4, 0.55, 1.1)
        canvas.fill(
            right_blood, blood * (0.95 - 0.07 * noise["fine"][2].clamp(min=0)), change=-0.05 + 0.05 * noise["medium"][1]
        )
        canvas.fill(epicardium, muscle, change=0.02)
        canvas.fill(blood_edge, blood, change=-0.04 + 0.05 * noise["medium"][2])
        for angle, share, thin, thick in self.papillary:
            centre = (share * self.cavity * float(np.cos(angle)), share * self.cavity * float(np.sin(angle)))
            bump = canvas.ellipse(centre, (thick, thin), angle) + 1.1 * noise["medium"][2] + 0.5 * noise["fine"][1]
            canvas.fill(torch.maximum(bump, endocardium), muscle, change=0.02)

        canvas.labels[epicardium < 0] = 2
        canvas.labels[endocardium + 0.4 < 0] = 1
        canvas.labels[right_blood < 0] = 3
        return heart
