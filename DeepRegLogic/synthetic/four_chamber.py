"""A horizontal long axis (four chambers): its shape, its motion and its picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from .canvas import Canvas, bullet
from .heart_motion import AxialContraction, Curve, Slide, contraction_maps, slide_maps
from .thorax import Thorax


@dataclass(frozen=True)
class FourChamber:
    """One subject; lengths in mm, y along the left ventricle's axis from the apex (0) to the mitral valve, right heart
    at negative x.

    Attributes
    ----------
    shortening : fraction by which the cavity narrows (smoothing takes about an eighth of it away).
    lengthwise : fraction by which the ventricles shorten: the valves' plane moves towards the apex.
    cavity, wall, length : half width, wall thickness and length of the left ventricle at end diastole.
    septal, lateral : (amplitude, delay) of the two walls relative to the whole.
    """

    shortening: float
    lengthwise: float
    cavity: float
    wall: float
    length: float
    right_width: float
    right_shortening: float
    swing: float
    septal: tuple[float, float]
    lateral: tuple[float, float]
    left_atrium: tuple[float, float]
    right_atrium: tuple[float, float]
    tilt: float
    opening: float
    trabeculation: float
    papillary: tuple[float, float]
    fat: float
    liver: float | None
    thorax: Thorax

    labels = {1: "LV blood", 2: "LV myocardium", 3: "RV blood", 4: "LA", 5: "RA"}
    turn = 0.8

    @property
    def centre(self) -> tuple[float, float]:
        """The point that lies at the middle of the image."""
        return (-0.45 * self.cavity, 0.78 * self.length)

    @classmethod
    def draw(cls, rng: np.random.Generator, ejection: float, diseased: bool) -> FourChamber:
        strength = ejection / 0.6
        lengthwise = ejection * rng.uniform(0.18, 0.32)
        cavity = rng.uniform(20, 26) + max(0.4 - ejection, 0) * rng.uniform(10, 40)
        walls = [(rng.uniform(0.9, 1.1), rng.uniform(-0.02, 0.02)) for _ in range(2)]
        if diseased:
            walls[int(rng.integers(2))] = (rng.uniform(-0.1, 0.5), rng.uniform(0, 0.06))
        right_width = rng.uniform(28, 42)
        return cls(
            shortening=(1 - np.sqrt((1 - ejection) / (1 - lengthwise))) * 1.15,
            lengthwise=lengthwise,
            cavity=cavity,
            wall=rng.uniform(6, 10) + (rng.uniform(2, 4) if rng.random() < 0.15 else 0),
            length=rng.uniform(78, 94) + 0.4 * (cavity - 23),
            right_width=right_width,
            right_shortening=rng.uniform(0.2, 0.45) * min(strength, 1.0),
            swing=rng.uniform(-3, 3),
            septal=walls[0],
            lateral=walls[1],
            left_atrium=(rng.uniform(21, 29), rng.uniform(19, 27)),
            right_atrium=(rng.uniform(20, 28), rng.uniform(20, 27)),
            tilt=rng.uniform(-0.12, 0.05),
            opening=rng.uniform(0.2, 0.9),
            trabeculation=rng.uniform(0.5, 1.5),
            papillary=(rng.uniform(0.3, 0.5), rng.uniform(2.0, 4.0)),
            fat=rng.uniform(0.0, 5.0),
            liver=rng.uniform(34, 60) if rng.random() < 0.6 else None,
            thorax=Thorax.draw(rng, (-1.35, 70.0), None),
        )

    def chain(self, curve: Curve) -> tuple[AxialContraction | Slide, ...]:
        """The maps of the motion; ``curve(delay, diastasis)`` gives a contraction in time, ``[T, 1, 1]``."""
        outer = self.cavity + self.wall
        contraction = AxialContraction(
            maps=contraction_maps(self.cavity / outer, 1.0, self.shortening, self.lengthwise, 32 / outer),
            half_width=outer,
            length=self.length,
            left=self.septal[0] * curve(self.septal[1], 0.22),
            right=self.lateral[0] * curve(self.lateral[1], 0.22),
        )
        free_wall = -(outer + self.right_width)
        move = self.right_shortening * self.right_width
        across = slide_maps(
            [(free_wall - 45, 0), (free_wall - 4, move + self.swing), (free_wall + 3, move + self.swing),
             (-outer, self.swing), (outer, self.swing), (outer + 40, 0)],
            1.2,
            6.0,
        )  # fmt: skip
        base = -self.lengthwise * self.length
        roof = self.length + 1.8 * self.left_atrium[1]
        along = slide_maps(
            [(-30, 0), (0, 0.06 * base), (0.3 * self.length, 0.25 * base), (self.length - 6, base),
             (self.length + 8, base), (roof, 0.15 * base), (roof + 35, 0)],
            1.2,
            6.0,
        )  # fmt: skip
        return (
            contraction,
            Slide(0, across, curve(0.02, 0.28), (0.2 * self.length, 0.85 * self.length, 0.6 * self.length)),
            Slide(1, along, curve(0.01, 0.2), (free_wall, outer, 40.0)),
        )

    def paint(self, canvas: Canvas) -> torch.Tensor:
        """Paint the subject; returns where the heart is (distance in mm, negative inside)."""
        noise, tissues = canvas.noise, canvas.tissues
        self.thorax.paint(canvas)
        x, y = canvas.x, canvas.y
        outer = self.cavity + self.wall
        middle = 0.66 * self.length
        valve = y - self.length - self.tilt * x
        tricuspid = y - (self.length - 6) - 0.12 * (x + outer)

        epicardium = bullet(x, y - middle, outer, middle, 1.15 * self.length) - 0.6 * noise["coarse"][0]
        inside = bullet(x, y - middle, self.cavity, middle - 0.75 * self.wall, 0.95 * self.length)
        endocardium = inside + 0.5 * noise["coarse"][1]
        ragged = self.trabeculation * (1.1 - y / self.length).clamp(0.25, 1.0)
        blood_edge = endocardium + ragged * (0.5 + 0.9 * noise["fine"][1].clamp(-1, 2.5) + 0.5 * noise["medium"][1])
        left_wall = torch.maximum(epicardium, valve - 1.0)
        left_blood = torch.maximum(blood_edge, valve)

        wide = outer + self.right_width
        # the right ventricle wraps around the septum, not around the free wall of the left
        left_edge, right_edge = -wide, 0.45 * outer
        right = bullet(
            x - 0.5 * (left_edge + right_edge),
            y - 0.72 * self.length,
            0.5 * (right_edge - left_edge),
            0.66 * self.length,
            self.length,
        )
        right = right + 1.2 * noise["coarse"][2] + 0.6 * noise["broad"][0]
        ragged_right = 0.7 * noise["fine"][2].clamp(-1, 2) + 0.8 * noise["medium"][2]
        right_wall = torch.maximum(right, tricuspid - 1.0)
        right_blood = torch.maximum(torch.maximum(right + 3.0 + ragged_right, -epicardium + 0.4), tricuspid)

        width, height = self.left_atrium
        place = (0.02 * outer, self.length + 0.78 * height)
        left_atrium = canvas.ellipse(place, (width, height), -0.1) + 1.6 * noise["coarse"][3] + 1.5 * noise["broad"][2]
        vein = canvas.ellipse((place[0] + width, place[1] + 0.2 * height), (13, 5), 0.35) + 0.5 * noise["coarse"][0]
        left_atrium = torch.minimum(left_atrium, vein)
        left_atrium = torch.maximum(left_atrium, -valve)
        width, height = self.right_atrium
        place = (-outer - 0.5 * self.right_width, self.length - 4 + 0.80 * height)
        right_atrium = canvas.ellipse(place, (width, height), 0.15) + 1.6 * noise["coarse"][1] + 1.5 * noise["broad"][1]
        right_atrium = torch.maximum(torch.maximum(right_atrium, -tricuspid), 2.5 - left_atrium)
        ventricles = torch.minimum(left_wall, right_wall)
        atria = torch.minimum(left_atrium, right_atrium) - 2.0
        heart = torch.minimum(ventricles, atria)

        self._behind(canvas, heart)
        around = self.fat + 2.2 * noise["broad"][1] + 1.2 * noise["coarse"][3]
        grooves = [canvas.ellipse((spot, self.length - 1), (9.0, 8.0)) for spot in (outer + 1, -wide - 1)]
        pericardium = torch.minimum(heart - around.clamp(min=0.0), torch.minimum(*grooves) + 1.5 * noise["broad"][2])
        canvas.fill(pericardium, canvas.texture(0.75 * tissues.fat, 0.13, "medium", 3), soft=0.6)
        canvas.line(pericardium, 0.45, 1.0)

        muscle = canvas.texture(tissues.myocardium, 0.06, "fine") * (1 + 0.05 * noise["coarse"][3])
        blood = canvas.texture(tissues.blood, 0.035, "medium") * (1 + 0.05 * noise["broad"][0])
        canvas.fill(heart, muscle, change=0.02)
        canvas.line(heart - 0.4, 0.5, 1.1)
        canvas.fill(
            right_blood, blood * (0.95 - 0.07 * noise["fine"][2].clamp(min=0)), change=-0.05 + 0.05 * noise["medium"][1]
        )
        canvas.fill(left_wall, muscle, change=0.02)
        canvas.fill(left_blood, blood, change=-0.04 + 0.05 * noise["medium"][2])
        # blood flows on through the valves' rings; only the leaflets part it
        canvas.fill(left_atrium - 1.5 * torch.sigmoid(self.cavity - 1 - x.abs()), 0.95 * blood, change=0.03)
        canvas.fill(right_atrium - 1.5 * torch.sigmoid(-x - outer - 2), 0.92 * blood, change=0.03)
        height, thick = self.papillary
        strand = canvas.ellipse(
            (0.62 * self.cavity, (0.35 + height * 0.5) * self.length), (thick, 0.17 * self.length), 0.22
        )
        canvas.fill(torch.maximum(strand + 0.8 * noise["medium"][2], endocardium), muscle, change=0.02)
        self._valves(canvas, muscle)

        canvas.labels[left_wall < 0] = 2
        canvas.labels[torch.maximum(endocardium + 0.4, valve) < 0] = 1
        canvas.labels[right_blood < 0] = 3
        canvas.labels[left_atrium < 0] = 4
        canvas.labels[right_atrium < 0] = 5
        return heart

    def _valves(self, canvas: Canvas, muscle: torch.Tensor) -> None:
        """Leaflets: thin strips from the rings into the ventricles."""
        outer = self.cavity + self.wall
        reach = 0.26 * self.length
        right_ring = (-outer - self.right_width + 4, -outer + 1)
        for ring, level in (((-self.cavity, self.cavity), self.length), (right_ring, self.length - 6)):
            half = 0.5 * (ring[1] - ring[0])
            for side, start in ((1, ring[0]), (-1, ring[1])):
                end = start + side * half * (1 - 0.75 * self.opening)
                tip = level - reach * (0.35 + 0.55 * self.opening)
                offset = self.tilt * start if level == self.length else 0.0
                strip = _segment(canvas.x, canvas.y, (start, level + offset), (end, tip)) - 0.8
                canvas.fill(strip, 1.1 * muscle, change=0.04)

    def _behind(self, canvas: Canvas, heart: torch.Tensor) -> None:
        """Liver, spine, aorta and the fat between them and the atria."""
        noise, tissues = canvas.noise, canvas.tissues
        cos, sin = float(np.cos(self.turn)), float(np.sin(self.turn))
        back = self.length + 2.1 * self.left_atrium[1]
        x, y = -sin * back, cos * back
        fat = canvas.texture(0.6 * tissues.fat, 0.12, "medium", 3)
        if self.liver is not None:
            side = -self.cavity - self.wall - self.right_width
            beside = (cos * side - sin * self.length - self.liver, sin * side + cos * self.length + 22)
            liver = canvas.ellipse(beside, (self.liver, 0.9 * self.liver), body=True) + 2.5 * noise["broad"][2]
            vessels = 0.2 * (noise["medium"][1] - 1.5).clamp(min=0)
            canvas.fill(liver, canvas.texture(tissues.liver, 0.05, "fine", 1) + vessels)
            canvas.line(liver, 0.5, 1.2)
        spine = canvas.ellipse((x + 8, y + 30), (24, 18), body=True) + 1.2 * noise["coarse"][2]
        around = canvas.ellipse((x + 10, y + 24), (40, 22), 0.1, body=True) + 4 * noise["coarse"][1]
        canvas.fill(around, fat)
        canvas.fill(canvas.ellipse((x + 8, y + 52), (60, 22), body=True) + 2 * noise["coarse"][1],
                    canvas.texture(tissues.muscle, 0.2, "medium", 1))  # fmt: skip
        canvas.fill(spine, canvas.texture(1.2 * tissues.liver, 0.12, "medium", 2))
        canvas.line(spine, 0.6, 1.4)
        aorta = canvas.ellipse((x + 34, y + 16), (11, 11.5), body=True) + 0.4 * noise["coarse"][0]
        canvas.fill(aorta - 1.6, tissues.muscle)
        canvas.fill(aorta, canvas.texture(tissues.blood, 0.03, "medium"))


def _segment(x: torch.Tensor, y: torch.Tensor, start: tuple[float, float], end: tuple[float, float]) -> torch.Tensor:
    """Distance to a straight line from ``start`` to ``end``."""
    along = (end[0] - start[0], end[1] - start[1])
    length = along[0] ** 2 + along[1] ** 2
    part = (((x - start[0]) * along[0] + (y - start[1]) * along[1]) / length).clamp(0, 1)
    return torch.sqrt((x - start[0] - part * along[0]) ** 2 + (y - start[1] - part * along[1]) ** 2)
