"""Cases of known motion, from a seed: ``make(kind, seed)``.

    python -m independent.cases --kinds short-axis --seeds 0 1 2 --output sheet.png      (in Testing/benchmarks)

Seeds 0 to 99 are for development. Seeds from 10 000 on are for tests: nothing may ever be tuned on them, neither
methods nor settings of other programs nor this generator. Written from anatomy and the physics of imaging, with numpy
and scipy; it shares nothing with ``DeepRegLogic.synthetic``.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.ndimage import map_coordinates

from .anatomy import Anatomy
from .joint import joint
from .liver import liver_dome
from .long_axis import four_chamber, two_chamber
from .motions import Chain, Placed, Shift
from .random_flow import random_flow
from .scanner import Scanner
from .short_axis import short_axis, stack
from .vessel import vessel

DEVELOPMENT_SEEDS = range(100)
FIRST_TEST_SEED = 10_000

KINDS: dict[str, Callable[[np.random.Generator], Anatomy]] = {
    "short-axis": short_axis,
    "two-chamber": two_chamber,
    "four-chamber": four_chamber,
    "stack": stack,
    "vessel": vessel,
    "liver-dome": liver_dome,
    "joint": joint,
    "random-flow": random_flow,
}

DEFAULTS: dict[str, tuple[int, tuple[int, ...], tuple[float, ...]]] = {
    "short-axis": (25, (128, 128), (1.8, 1.8)),
    "two-chamber": (25, (128, 128), (1.8, 1.8)),
    "four-chamber": (25, (128, 128), (1.8, 1.8)),
    "stack": (14, (11, 96, 96), (8.0, 2.2, 2.2)),
    "vessel": (20, (128, 128), (0.9, 0.9)),
    "liver-dome": (20, (128, 128), (1.7, 1.7)),
    "joint": (12, (128, 128), (1.2, 1.2)),
    "random-flow": (12, (128, 128), (1.5, 1.5)),
}
"""Frames, size and voxel size in mm of a kind."""


@dataclass
class Case:
    """Images of known motion.

    Attributes
    ----------
    frames : ``[T, (D,) H, W]`` float32, arbitrary units. spacing : mm along the array's axes. times : seconds.
    forward : ``[T, ndim, ...]`` float32 in voxels along the array's axes: takes a point of frame 0 to where its
        tissue is in frame t. inverse : takes a point of frame t back. Both 0 at frame 0.
    labels : ``[T, ...]`` uint8. names : of them. masks : of frame 0: "organ", "wall", "blood", without what
        leaves the image.
    systole : the frame at end-systole, or that which moved most. centre : of the cavity in frame 0 in voxels, or None.
    cyclic : whether the last frame is followed by the first.
    motion : the continuous map, of points in mm from the image's centre, and of phases (``phases[t]``); None where a
        case comes from a file or was made from another.
    """

    kind: str
    seed: int
    frames: np.ndarray
    spacing: tuple[float, ...]
    times: np.ndarray
    forward: np.ndarray
    inverse: np.ndarray
    labels: np.ndarray
    names: dict[int, str]
    masks: dict[str, np.ndarray]
    systole: int
    centre: np.ndarray | None
    facts: dict[str, object]
    cyclic: bool
    motion: Placed | None
    phases: np.ndarray


def generator(kind: str, seed: int) -> np.random.Generator:
    return np.random.default_rng([zlib.crc32(kind.encode()), seed])


def points_of(size: Sequence[int], spacing: Sequence[float], margin: float = 0, step: float = 1) -> np.ndarray:
    """``[ndim, ...]`` places of voxels in mm from the image's centre; margin (in the plane) and step in voxels."""
    axes = []
    for number, (n, h) in enumerate(zip(size, spacing, strict=True)):
        edge = margin if number >= len(size) - 2 else 0
        axes.append((np.arange(-edge, n + edge - 1 + 1e-6, step) - (n - 1) / 2) * h)
    return np.stack(np.meshgrid(*axes, indexing="ij"))


def make(
    kind: str,
    seed: int,
    frames: int | None = None,
    size: Sequence[int] | int | None = None,
    spacing: Sequence[float] | float | None = None,
    noise: float = 1.0,
    drift: float = 0.0,
) -> Case:
    """Draw a case. Left out, frames, size and spacing are those usual for the kind; one size is that in the plane.

    ``noise`` multiplies the scanner's; ``drift`` is by about how many mm the subject slips sideways meanwhile.
    """
    usual_frames, usual_size, usual_spacing = DEFAULTS[kind]
    count, ndim = frames or usual_frames, len(usual_size)
    size = usual_size if size is None else size
    size = (*usual_size[:-2], size, size) if isinstance(size, int) else tuple(size)
    spacing = usual_spacing if spacing is None else spacing
    spacing = (*usual_spacing[:-2], spacing, spacing) if isinstance(spacing, int | float) else tuple(spacing)
    rng = generator(kind, seed)
    anatomy = KINDS[kind](rng)
    scanner = Scanner(rng, 0.5 * usual_size[-1] * usual_spacing[-1])
    scanner.noise *= noise
    if drift:
        slip = Shift(np.array([0.0] * (ndim - 1) + [drift]))
        anatomy.motion = replace(anatomy.motion, motion=Chain([anatomy.motion.motion, slip]))
    phases = np.arange(count) / count if anatomy.cyclic else np.linspace(0, 1, count)
    motion, grid = anatomy.motion, points_of(size, spacing)
    scale = np.asarray(spacing).reshape(-1, *[1] * ndim)
    own = motion.to_own(grid)
    forward, inverse, labels = [], [], []
    for phase in phases:
        back = motion.own_inverse(own, phase)
        labels.append(anatomy.label(back))
        forward.append((motion.to_image(motion.motion.forward(own, phase)) - grid) / scale)
        inverse.append((motion.to_image(back) - grid) / scale)
    forward[0][:] = inverse[0][:] = 0  # but for rounding they are
    labels_ = np.stack(labels)
    forward_ = np.stack(forward).astype(np.float32)
    # tissue that leaves the image cannot be followed
    position = forward_ + np.stack(np.meshgrid(*map(np.arange, size), indexing="ij"))
    last = np.asarray(size).reshape(scale.shape) - 1
    seen = ((position >= 0) & (position <= last)).all(axis=(0, 1))
    masks = {name: np.isin(labels_[0], values) & seen for name, values in anatomy.tissues.items()}
    if anatomy.smallest is not None:
        systole = int((labels_ == anatomy.smallest).reshape(count, -1).sum(1).argmin())
    else:
        length = np.linalg.norm(forward_ * scale, axis=1)
        systole = int(length[:, masks["organ"]].mean(1).argmax())
    centre = None
    if anatomy.hollow:
        centre = np.argwhere(labels_[0] == 1).mean(0)
    return Case(
        kind, seed, _images(anatomy, scanner, phases, size, spacing), tuple(map(float, spacing)), phases *
        anatomy.seconds, forward_, np.stack(inverse).astype(np.float32), labels_, dict(anatomy.names), masks, systole,
        centre, dict(anatomy.facts), anatomy.cyclic and not drift, motion, phases,
    )  # fmt: skip


def _images(
    anatomy: Anatomy, scanner: Scanner, phases: np.ndarray, size: tuple[int, ...], spacing: tuple[float, ...]
) -> np.ndarray:
    """Frames as a scanner sees them: fine points, over the time and the thickness that a frame or a slice takes."""
    motion, ndim = anatomy.motion, len(size)
    coarse = points_of(size, spacing, scanner.margin, 1)
    wide = coarse.shape[-2:]
    spread = [_finer(n, scanner.factor) for n in wide]

    def finer(values: np.ndarray) -> np.ndarray:
        return spread[0] @ values @ spread[1].T

    fine = finer(coarse)
    sensitivity = scanner.sensitivity(fine)
    shutter = scanner.open * min(phases[1] - phases[0], 0.05)  # fewer frames are fewer, not longer
    # early or late in the frame, low or high in the slice
    offsets = [(-1 / 3, 0.0), (0.0, 0.0), (1 / 3, 0.0)] if ndim == 2 else [(-0.25, -0.25), (0.25, 0.25)]
    frames = []
    thick = spacing[0] if ndim == 3 else 0.0
    own_of = {}
    for _, depth in offsets:
        if depth not in own_of:
            shifted = coarse.copy()
            if ndim == 3:
                shifted[0] += depth * thick
            at = motion.to_own(shifted)
            own_of[depth] = at, finer(at)
    for phase in phases:
        total = 0.0
        for early, depth in offsets:
            moment = phase + early * shutter
            if not anatomy.cyclic:
                moment = min(max(moment, 0.0), 1.0)
            at, now = own_of[depth]
            q = now + finer(motion.own_inverse(at, moment) - at)
            total = total + anatomy.paint(q, now, moment % 1.0 if anatomy.cyclic else moment, scanner.contrast(phase))
        frames.append(scanner.acquire(total / len(offsets) * sensitivity, size[-2:], phase))
    return np.stack(frames)


def _finer(n: int, factor: int) -> np.ndarray:
    """The matrix from ``n`` samples to ``factor n`` that share the pixels evenly: cubic, straight at the ends."""
    places = (np.arange(factor * n) + 0.5) / factor - 0.5
    margin = 8
    padded = np.zeros((n + 2 * margin, n))
    for number in range(n):  # beyond the ends samples go on straight
        padded[margin + number, number] = 1
    steps = np.arange(1, margin + 1)
    padded[margin - steps, 0] += 1 + steps
    padded[margin - steps, 1] -= steps
    padded[margin + n - 1 + steps, n - 1] += 1 + steps
    padded[margin + n - 1 + steps, n - 2] -= steps
    columns = [map_coordinates(column, (places + margin)[None], order=3, mode="nearest") for column in padded.T]
    return np.stack(columns, axis=1)


def sheet(kinds: Sequence[str], seeds: Sequence[int], path: Path, frames: int | None = None, columns: int = 5) -> None:
    """A montage to look at: rows of cases, columns of frames."""
    from matplotlib.figure import Figure

    rows = [make(kind, seed, frames) for kind in kinds for seed in seeds]
    figure = Figure((2.6 * columns, 2.7 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for case, line in zip(rows, axes, strict=True):
        chosen = np.unique(np.linspace(0, case.systole, columns - 1).astype(int)).tolist()
        chosen = [*chosen, len(case.frames) - 1 - (len(case.frames) - case.systole) // 3][:columns]
        for axis in line:
            axis.axis("off")
        if case.frames.ndim == 4:
            depth = case.frames.shape[1]
            views = [(t, d) for t in (0, case.systole) for d in np.linspace(1, depth - 2, columns).astype(int)]
            views = views[::2][:columns]
        else:
            views = [(t, None) for t in chosen]
        for axis, (t, d) in zip(line, views, strict=False):
            image = case.frames[t] if d is None else case.frames[t, d]
            axis.imshow(image, cmap="gray", vmin=0, vmax=np.percentile(case.frames, 99.7))
            axis.set_title(f"{case.kind} {case.seed}, frame {t}" + ("" if d is None else f", slice {d}"), fontsize=8)
    figure.savefig(path, dpi=75)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kinds", nargs="+", default=list(KINDS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--frames", type=int)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    sheet(arguments.kinds, arguments.seeds, arguments.output, arguments.frames)


if __name__ == "__main__":
    main()
