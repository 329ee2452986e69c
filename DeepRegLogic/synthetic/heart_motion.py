"""Motions of a heart in closed form: every map here has an exact inverse, and so has every chain of them.

Points are pairs ``(x, y)`` of tensors in mm that broadcast to ``[T, H, W]``. A map moves one coordinate along itself,
by an amount that depends on coordinates it leaves alone; so its inverse is the inverse of monotone maps of a line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

Points = tuple[torch.Tensor, torch.Tensor]
Curve = Callable[[float, float], torch.Tensor]  # (delay, diastasis) to a contraction in time, [T, 1, 1]

_POSITIONS = 384
_AMPLITUDES = 49


def cardiac_curve(phase: np.ndarray, systole: float, delay: float = 0.0, diastasis: float = 0.2) -> np.ndarray:
    """Contraction over the cardiac cycle: 0 at phase 0 (end diastole), 1 at end systole, smooth and periodic.

    Parameters
    ----------
    phase : time as a fraction of the heart beat.
    systole : phase of end systole, 0.3 to 0.45.
    delay : by how much of the beat this part lags behind.
    diastasis : what is left of the contraction between rapid filling and the atrial kick.
    """
    knots = [
        (0.0, 0.0),
        (0.06, 0.07),
        (0.55 * systole, 0.66),
        (systole - 0.02, 1.0),
        (systole + 0.04, 0.98),
        (systole + 0.11, 0.66),
        (systole + 0.20, diastasis + 0.08),
        (systole + 0.27, diastasis),
        (0.87, 0.9 * diastasis),
        (0.97, 0.02),
        (1.0, 0.0),
    ]
    samples = 512
    at, height = np.transpose(knots)
    curve = np.interp(np.arange(samples) / samples, at, height)
    frequency = np.fft.rfftfreq(samples, 1 / samples)
    curve = np.fft.irfft(np.fft.rfft(curve) * np.exp(-0.5 * (2 * np.pi * frequency * 0.022) ** 2), samples)
    curve = np.append(curve, curve[0])
    curve = (curve - curve[0]) / (curve.max() - curve[0])
    grid = np.linspace(0, 1, samples + 1)
    return np.interp((phase - delay) % 1.0, grid, curve) - np.interp(-delay % 1.0, grid, curve)


def smoothstep(x: torch.Tensor, start: float, stop: float) -> torch.Tensor:
    """0 below ``start``, 1 above ``stop``, smooth between."""
    z = ((x - start) / (stop - start)).clamp(0.0, 1.0)
    return z * z * (3.0 - 2.0 * z)


def plateau(x: torch.Tensor, start: float, stop: float, margin: float) -> torch.Tensor:
    """1 between ``start`` and ``stop``, smoothly down to 0 at ``margin`` outside of them."""
    return smoothstep(x, start - margin, start) * (1.0 - smoothstep(x, stop, stop + margin))


class LineMaps:
    """Monotone maps of a line, one for every amplitude, with their inverses.

    Parameters
    ----------
    displacement : takes amplitudes ``[K, 1]`` and positions ``[R]`` to displacements ``[K, R]``.
    span : first and last position; the displacement is continued outside.
    amplitudes : smallest and largest amplitude.
    sigma : the maps are smoothed along the line with this standard deviation.
    mirrored : the line starts at a centre of symmetry, which stays where it is.
    """

    def __init__(
        self,
        displacement: Callable[[np.ndarray, np.ndarray], np.ndarray],
        span: tuple[float, float],
        amplitudes: tuple[float, float],
        sigma: float,
        mirrored: bool = False,
    ) -> None:
        self.span, self.amplitudes = span, amplitudes
        position = np.linspace(*span, _POSITIONS)
        forward = displacement(np.linspace(*amplitudes, _AMPLITUDES)[:, None], position)
        forward = _smooth_rows(forward, sigma / (position[1] - position[0]), mirrored)
        inverse = np.stack([np.interp(position, position + row, position) - position for row in forward])
        self._tables = [torch.from_numpy(table.astype(np.float32))[None, None] for table in (forward, inverse)]

    def __call__(self, position: torch.Tensor, amplitude: torch.Tensor, inverse: bool) -> torch.Tensor:
        """Displacement of ``position`` (or of its inverse map) for ``amplitude``, which broadcast to ``[T, H, W]``."""
        position, amplitude = torch.broadcast_tensors(position, amplitude)
        points = torch.stack([_normalised(position, self.span), _normalised(amplitude, self.amplitudes)], dim=-1)
        found = F.grid_sample(
            self._tables[inverse], points.reshape(1, -1, points.shape[-2], 2), padding_mode="border", align_corners=True
        )
        return found.reshape(points.shape[:-1])


def _normalised(values: torch.Tensor, span: tuple[float, float]) -> torch.Tensor:
    scale = 2.0 / (span[1] - span[0])
    return values * scale - (1.0 + span[0] * scale)


def _smooth_rows(rows: np.ndarray, sigma: float, mirrored: bool) -> np.ndarray:
    radius = int(3 * sigma + 1)
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    left = -rows[:, radius:0:-1] if mirrored else np.repeat(rows[:, :1], radius, 1)
    padded = np.concatenate([left, rows, np.repeat(rows[:, -1:], radius, 1)], 1)
    spectrum = np.fft.rfft(padded) * np.fft.rfft(np.roll(np.pad(kernel, (0, padded.shape[1] - len(kernel))), -radius))
    return np.fft.irfft(spectrum, padded.shape[1])[:, radius : radius + rows.shape[1]]


def slide_maps(knots: list[tuple[float, float]], largest: float, sigma: float) -> LineMaps:
    """Maps that move a line by ``amplitude`` times what ``knots`` (position, displacement) say."""
    position, displacement = np.array(knots).T
    return LineMaps(
        lambda amplitude, x: amplitude * np.interp(x, position, displacement),
        (position[0] - 3 * sigma, position[-1] + 3 * sigma),
        (-0.25 * largest, largest),
        sigma,
    )


def contraction_maps(inner: float, outer: float, shortening: float, thinning: float, reach: float) -> LineMaps:
    """Maps of the radius of a contracting tube whose wall keeps its volume.

    The wall lies between radius ``inner`` and ``outer``; at amplitude 1 the inner radius is shorter by the fraction
    ``shortening`` and the tube by the fraction ``thinning`` along its axis. The wall's area grows as its length
    shrinks: ``R^2 - R_inner^2 = (r^2 - inner^2) / (1 - thinning)``. Outside the motion fades within ``reach``.
    """

    def displacement(amplitude: np.ndarray, r: np.ndarray) -> np.ndarray:
        new_inner = inner * (1 - shortening * amplitude)
        area = 1 / (1 - thinning * amplitude)
        wall = np.sqrt(new_inner**2 + area * (np.clip(r, inner, outer) ** 2 - inner**2)) - np.clip(r, inner, outer)
        fade = np.clip(1 - (r - outer) / reach, 0, 1)
        # flat at the centre, so that neighbouring directions may contract differently without a crease there
        cavity = (new_inner - inner) * (np.hypot(r / inner, 0.18) - 0.18) / (np.hypot(1, 0.18) - 0.18)
        return np.where(r < inner, cavity, wall) * np.where(r > outer, fade**2 * (3 - 2 * fade), 1)

    return LineMaps(displacement, (0.0, outer + reach * 1.1), (-0.3, 1.3), 0.1 * outer, mirrored=True)


@dataclass(frozen=True)
class RadialContraction:
    """Contraction and twist about the origin, for a short axis.

    ``amplitude`` and ``twist`` (radians) are ``[T, 1, 1]``; each sector is (direction, width, amplitude ``[T, 1, 1]``
    to add there): the part of the wall that moves otherwise than the rest.
    """

    maps: LineMaps
    amplitude: torch.Tensor
    twist: torch.Tensor
    twist_radius: float
    sectors: tuple[tuple[float, float, torch.Tensor], ...] = ()

    def __call__(self, points: Points, inverse: bool) -> Points:
        x, y = points
        if not inverse:
            x, y = self._turn(x, y, 1.0)
        radius = torch.sqrt(x * x + y * y + 1e-8)
        amplitude = self.amplitude.expand_as(x)
        for direction, width, extra in self.sectors:
            along = (x * float(np.cos(direction)) + y * float(np.sin(direction))) / radius
            amplitude = amplitude + extra * torch.exp((along - 1.0) / width**2)
        scale = 1.0 + self.maps(radius, amplitude, inverse) / radius
        x, y = x * scale, y * scale
        return self._turn(x, y, -1.0) if inverse else (x, y)

    def _turn(self, x: torch.Tensor, y: torch.Tensor, sign: float) -> Points:
        angle = (sign * self.twist) * torch.exp(-(((x * x + y * y) / self.twist_radius**2) ** 2))
        cos, sin = torch.cos(angle), torch.sin(angle)
        return cos * x - sin * y, sin * x + cos * y


@dataclass(frozen=True)
class AxialContraction:
    """Contraction towards the long axis x = 0 of a ventricle with its apex at y = 0, for a long-axis view.

    ``maps`` are those of a wall of outer radius 1; the wall's true half width is ``half_width`` times a profile.
    ``left`` and ``right`` are the amplitudes ``[T, 1, 1]`` of the walls at x < 0 and x > 0.
    """

    maps: LineMaps
    half_width: float
    length: float
    left: torch.Tensor
    right: torch.Tensor

    def __call__(self, points: Points, inverse: bool) -> Points:
        x, y = points
        profile = self.half_width * (0.45 + 0.55 * smoothstep(y, 0.0, 0.65 * self.length))
        along = smoothstep(y, -0.1 * self.length, 0.3 * self.length)
        along = along * (1.0 - smoothstep(y, 0.75 * self.length, 1.2 * self.length))
        amplitude = torch.where(x < 0, self.left, self.right) * along
        radius = x.abs() / profile
        shift = self.maps(radius, amplitude, inverse) * profile
        return x + torch.where(x < 0, -shift, shift), y


@dataclass(frozen=True)
class Slide:
    """Motion along one axis (0: x, 1: y) within a band ``(start, stop, margin)`` across the other."""

    axis: int
    maps: LineMaps
    amplitude: torch.Tensor
    band: tuple[float, float, float]

    def __call__(self, points: Points, inverse: bool) -> Points:
        along, across = points[self.axis], points[1 - self.axis]
        along = along + self.maps(along, self.amplitude * plateau(across, *self.band), inverse)
        return (across, along) if self.axis else (along, across)


@dataclass(frozen=True)
class Pose:
    """Where the heart lies in the image, and the irregular shape of the body: a rotation, a shift and two waves.

    ``waves`` are (amplitude ``[T, 1, 1]`` mm, wavelength mm, phase), one along x over y and one along y over x; an
    amplitude that changes in time is a slow motion of the whole body. Frame 0 is the reference.
    """

    angle: float
    shift: tuple[float, float]
    waves: tuple[tuple[torch.Tensor, float, float], tuple[torch.Tensor, float, float]]

    def to_image(self, points: Points, frames: slice) -> Points:
        """Points of the heart's own frame to millimetres from the image centre."""
        x, y = points
        cos, sin = float(np.cos(self.angle)), float(np.sin(self.angle))
        x, y = cos * x - sin * y + self.shift[0], sin * x + cos * y + self.shift[1]
        x = x + self._wave(0, y, frames)
        return x, y + self._wave(1, x, frames)

    def from_image(self, points: Points, frames: slice) -> Points:
        """The inverse of ``to_image``."""
        x, y = points
        y = y - self._wave(1, x, frames)
        x = x - self._wave(0, y, frames)
        cos, sin = float(np.cos(self.angle)), float(np.sin(self.angle))
        x, y = x - self.shift[0], y - self.shift[1]
        return cos * x + sin * y, cos * y - sin * x

    def _wave(self, index: int, position: torch.Tensor, frames: slice) -> torch.Tensor:
        amplitude, wavelength, phase = self.waves[index]
        return amplitude[frames] * torch.sin(position * (2 * np.pi / wavelength) + phase)


@dataclass(frozen=True)
class HeartMotion:
    """The motion of one subject: the pose, and the chain of maps that the reference goes through."""

    pose: Pose
    chain: tuple[RadialContraction | AxialContraction | Slide, ...]

    def forward(self, points: Points) -> Points:
        """Where the tissue at ``points`` of the reference image (mm, ``[1, H, W]``) is in every frame ``[T, H, W]``."""
        points = self.pose.from_image(points, slice(0, 1))
        for step in self.chain:
            points = step(points, inverse=False)
        return self.pose.to_image(points, slice(None))

    def backward(self, points: Points) -> Points:
        """Where the tissue at ``points`` of every frame was in the reference image: the inverse of ``forward``."""
        points = self.pose.from_image(points, slice(None))
        for step in reversed(self.chain):
            points = step(points, inverse=True)
        return self.pose.to_image(points, slice(0, 1))
