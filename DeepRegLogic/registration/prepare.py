"""Before a registration: what can be registered, which frame is the reference, which pixels, in which scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from .. import flow
from ..cine import Cine, intensity_range, scaled_frames
from ..errors import InputError, MemoryBudgetError
from ..memory import available_gb
from .device import choose_device
from .refine import FrameTimes

SMALLEST = 16
_TAPER = 8
_MOST_COMPARED = 1000

Region = tuple[Sequence[int], Sequence[int]]


@dataclass(frozen=True, eq=False)
class Plan:
    """What a registration works on.

    Attributes
    ----------
    cine : the whole cine.
    reference : number of the reference frame.
    cyclic : whether the last frame is followed by the first.
    start, stop : corners of the region that is registered, in voxels, array axis order.
    images : its frames ``[T, 1, *spatial]`` in [0, 1], on the device that computes.
    taper : ``[ndim, *spatial]``, falls to zero at those borders of the region that lie inside the image; along an axis
        of a few slices only for the component of that axis, so that every slice keeps its motion in the plane.
    """

    cine: Cine
    reference: int
    cyclic: bool
    start: tuple[int, ...]
    stop: tuple[int, ...]
    images: torch.Tensor
    taper: torch.Tensor

    @property
    def box(self) -> tuple[slice, ...]:
        """The region as slices of an array on the cine's grid."""
        return tuple(slice(a, b) for a, b in zip(self.start, self.stop, strict=True))

    @property
    def spatial(self) -> tuple[int, ...]:
        return tuple(self.images.shape[2:])

    @property
    def spacing(self) -> tuple[float, ...]:
        """In mm, array axis order."""
        return self.cine.grid.array_spacing

    @property
    def moving(self) -> list[int]:
        """The numbers of all frames but the reference, in time order."""
        return [t for t in range(len(self.cine)) if t != self.reference]

    @property
    def runs(self) -> list[list[int]]:
        """The moving frames as runs away from the reference in time: once around, or forward and backward."""
        count = len(self.cine)
        if self.cyclic:
            return [[(self.reference + 1 + t) % count for t in range(count - 1)]]
        forward, backward = range(self.reference + 1, count), range(self.reference - 1, -1, -1)
        return [run for run in (list(forward), list(backward)) if run]

    @property
    def times(self) -> FrameTimes:
        return FrameTimes(len(self.cine) - 1, self.reference, self.cyclic)


def plan(
    cine: Cine,
    reference: int | None = None,
    roi: Region | None = None,
    cyclic: bool | None = None,
    device: str = "auto",
    refining: bool = True,
    memory_gb: float | None = None,
    uncertain: bool = False,
) -> Plan:
    """Check a cine and prepare its registration; the arguments are those of ``register_cine``.

    ``refining`` and ``uncertain`` are whether it will be refined, and have a covariance.

    Raises
    ------
    InputError : fewer than two frames, an image too small or constant, a reference or a region outside the cine.
    MemoryBudgetError : too large.
    """
    check(cine)
    chosen = choose_device(device)
    start, stop = region(roi, cine)
    shape = tuple(b - a for a, b in zip(start, stop, strict=True))
    check_memory(cine, shape, refining, memory_gb, uncertain)
    if reference is None:
        reference = find_reference(cine)
    reference = whole(reference, "reference frame")
    if not 0 <= reference < len(cine):
        raise InputError(f"Reference frame {reference} does not exist; '{cine.name}' has frames 0 to {len(cine) - 1}.")
    box = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    return Plan(
        cine,
        reference,
        is_cyclic(cine) if cyclic is None else cyclic,
        start,
        stop,
        scaled(cine, box).to(chosen),
        _taper(start, stop, cine.grid.shape).to(chosen),
    )


def whole(value: object, what: str) -> int:
    """A whole number, of Python's or numpy's own; InputError for anything else."""
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return int(value)
    raise InputError(f"The {what} must be a whole number, not {value!r}.")


def _taper(start: Sequence[int], stop: Sequence[int], whole: Sequence[int]) -> torch.Tensor:
    ndim = len(whole)
    weight = torch.ones(ndim, *(b - a for a, b in zip(start, stop, strict=True)))
    for axis, (a, b, n) in enumerate(zip(start, stop, whole, strict=True)):
        position = torch.arange(b - a, dtype=torch.float32)
        width = min(_TAPER, (b - a) / 4)
        ramp = torch.ones(b - a)
        if a > 0:
            ramp = ramp * (position / width).clamp(max=1)
        if b < n:
            ramp = ramp * (position.flip(0) / width).clamp(max=1)
        tapered = slice(None) if b - a >= SMALLEST else slice(axis, axis + 1)
        weight[tapered] *= (torch.sin(0.5 * torch.pi * ramp) ** 2).view([-1 if i == axis else 1 for i in range(ndim)])
    return weight


def find_reference(cine: Cine) -> int:
    """The frame taken for end-diastole: of the two frames least alike, the one nearer in time to the first frame.

    In a heart the two are end-diastole and end-systole, and a cine starts at the R wave, close to end-diastole. The
    cycle is closed for this: the last frame is one step from the first.
    """
    # of very many frames some, evenly spread: a table of all pairs would not fit into memory
    some = np.unique(np.linspace(0, len(cine) - 1, min(len(cine), _MOST_COMPARED)).round().astype(int))
    pixels = _thinned(cine)[some]
    distance = torch.cdist(pixels, pixels).numpy()
    pair = [int(some[n]) for n in np.unravel_index(int(np.argmax(distance)), distance.shape)]
    return min(pair, key=lambda frame: min(frame, len(cine) - frame))


def is_cyclic(cine: Cine) -> bool:
    """Whether the step from the last frame to the first is like the steps between neighbours (at most 1.5 times)."""
    if len(cine) < 5:
        return False
    pixels = _thinned(cine)
    steps = (pixels[1:] - pixels[:-1]).norm(dim=1)
    return bool((pixels[-1] - pixels[0]).norm() <= 1.5 * steps.max())


def _thinned(cine: Cine) -> torch.Tensor:
    """The frames ``[T, P]``, smoothed a little, of about 64 pixels an axis."""
    thin = (slice(None), *(slice(None, None, max(1, n // 64)) for n in cine.grid.shape))
    frames = torch.from_numpy(cine.frames[thin].astype(np.float32))
    return flow.smooth(frames[:, None], 1.0).reshape(len(cine), -1)


def check(cine: Cine) -> None:
    """Raise InputError for what cannot be followed: one frame, tiny images, constant images."""
    if len(cine) < 2:
        raise InputError(f"'{cine.name}' has one frame; at least two frames are needed.")
    if min(cine.grid.shape[-2:]) < SMALLEST:
        size = " x ".join(str(n) for n in cine.grid.shape)
        raise InputError(
            f"The images of '{cine.name}' have {size} pixels; at least {SMALLEST} x {SMALLEST} are needed."
        )
    blank = [t for t, frame in enumerate(cine.frames) if frame.min() == frame.max()]
    if len(blank) == len(cine):
        raise InputError(f"All frames of '{cine.name}' are constant; there is nothing to follow.")
    if blank:
        raise InputError(f"Frame {blank[0]} of '{cine.name}' is constant (blank); remove it from the cine.")


def region(roi: Region | None, cine: Cine) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The corners (start, stop) of a region of interest, kept inside the image; the whole image for None."""
    shape = cine.grid.shape
    if roi is None:
        return (0,) * len(shape), shape
    try:
        start, stop = (tuple(whole(n, "corner of a region of interest") for n in corner) for corner in roi)
    except (TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError("A region of interest is a pair of corners, start and stop.") from error
    if len(start) != len(shape) or len(stop) != len(shape):
        raise InputError(f"The region of interest needs {len(shape)} start and {len(shape)} stop voxels.")
    start = tuple(max(a, 0) for a in start)
    stop = tuple(min(b, n) for b, n in zip(stop, shape, strict=True))
    if min(b - a for a, b in zip(start[-2:], stop[-2:], strict=True)) < SMALLEST or any(
        b <= a for a, b in zip(start, stop, strict=True)
    ):
        raise InputError(
            f"The region of interest covers voxels {start} to {stop} of '{cine.name}'; it needs at least "
            f"{SMALLEST} x {SMALLEST} pixels inside the image."
        )
    return start, stop


def check_memory(
    cine: Cine, shape: Sequence[int], refining: bool, memory_gb: float | None, uncertain: bool = False
) -> None:
    """Raise MemoryBudgetError when the estimated need is above ``memory_gb``, or above what there is.

    The estimate counts what grows with the cine: results, scaled frames, velocities, the tables of all pairs of frames
    that smooth in time, the refinement's work, and covariances with the motions that they are found from.
    """
    whole, part, ndim = cine.frames.size, int(np.prod(shape)) * len(cine), cine.grid.ndim
    floats = whole * 2 * ndim + part * (2 + 3 * ndim) + (part * 4 * ndim if refining else 0)
    floats += whole * ndim**2 + part * ndim if uncertain else 0
    require_memory(cine.name, 0.6 + (floats + 3 * len(cine) ** 2) * 4 / 1e9, memory_gb)


def require_memory(name: str, needed: float, memory_gb: float | None) -> None:
    """Raise MemoryBudgetError when ``needed`` GB are more than ``memory_gb``, or than there is where that is None."""
    if memory_gb is not None and not memory_gb > 0:
        raise InputError(f"The memory that may be used is a number of GB above 0, not {memory_gb}.")
    budget = available_gb() if memory_gb is None else float(memory_gb)
    if needed > budget:
        raise MemoryBudgetError(
            f"Registering '{name}' needs about {needed:.1f} GB, but only {budget:.3g} GB may be used; choose a "
            "smaller region of interest, fewer frames, or a larger budget."
        )


def scaled(cine: Cine, box: tuple[slice, ...]) -> torch.Tensor:
    """Frames ``[T, 1, *spatial]`` in [0, 1]: from the 1st to the 99th percentile of the cine, or of each frame."""
    place = (slice(None), *box)
    frames = cine.frames[place]
    parts = [frames] if cine.one_unit else [frame[None] for frame in frames]
    for part in parts:
        low, high = intensity_range(part)
        if high <= low:
            raise InputError(f"The region of interest of '{cine.name}' is constant; there is nothing to follow.")
    images = torch.cat([torch.from_numpy(scaled_frames(part)) for part in parts])[:, None]
    if not images.isfinite().all():
        raise InputError(f"The pixels of '{cine.name}' go beyond what can be computed with; scale them down first.")
    return images
