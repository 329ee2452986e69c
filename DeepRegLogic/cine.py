"""Cine and Motion: the two values that travel through the house. Needs nothing but numpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from .errors import InputError
from .grid import Grid

if TYPE_CHECKING:
    from .results.quality import FrameQuality

    class Times(Protocol):
        """Frame times: given as numbers, or as None for frame numbers, and read as an array."""

        def __get__(self, value: object, kind: type | None = None) -> np.ndarray: ...

        def __set__(self, value: object, times: np.ndarray | Sequence[float] | None) -> None: ...


_LARGEST = 1e300  # of a pixel: differences stay finite


def intensity_range(frames: np.ndarray) -> tuple[float, float]:
    """The 1st and 99th percentile of (at most a million) pixels, or minimum and maximum where these meet."""
    pixels = np.ravel(frames.view(np.uint8) if frames.dtype == bool else frames)
    pixels = pixels[:: max(1, pixels.size // 1_000_000)]
    low, high = np.percentile(pixels, (1, 99))
    if low == high:
        low, high = pixels.min(), pixels.max()
    return float(low), float(high)


def working_type(frames: np.ndarray) -> np.dtype:
    """The type in which pixels are computed with: float32 where it holds them and tells them apart, else float64."""
    if frames.dtype.itemsize < 4:
        return np.dtype(np.float32)
    low, high = float(frames.min()), float(frames.max())
    largest, span = max(abs(low), abs(high)), high - low
    beyond = largest > 1e37 or 0 < span < 1e-37
    coarse = frames.dtype != np.float32 and largest * float(np.finfo(np.float32).eps) > 1e-4 * span
    return np.dtype(np.float64 if beyond or coarse else np.float32)


def scaled_frames(frames: np.ndarray) -> np.ndarray:
    """Frames as float32 in [0, 1], from the lower to the upper end of ``intensity_range``; constant ones become 0."""
    low, high = intensity_range(frames)
    if high <= low:
        return np.zeros(frames.shape, np.float32)
    if working_type(frames) == np.float32:
        return np.clip((frames.astype(np.float32) - np.float32(low)) / np.float32(high - low), 0.0, 1.0)
    images = ((frame.astype(np.float64) - low) / (high - low) for frame in frames)
    return np.stack([np.clip(image, 0.0, 1.0).astype(np.float32) for image in images])


def _times(times: np.ndarray | Sequence[float] | None, count: int, name: str) -> np.ndarray:
    values = np.arange(count, dtype=float) if times is None else np.asarray(times, dtype=float).ravel()
    if len(values) != count:
        raise InputError(f"'{name}' has {count} frames but {len(values)} frame times.")
    if not np.all(np.isfinite(values)) or np.any(np.diff(values) <= 0):
        raise InputError(f"The frame times of '{name}' do not rise from frame to frame.")
    values.setflags(write=False)
    return values


@dataclass(frozen=True)
class Source:
    """The DICOM series that a cine was read from.

    Attributes
    ----------
    study, series : their instance UIDs.
    modality : "MR", "US", ..., "" where the header has none.
    heart_rate : beats a minute, None where the header tells none.
    images : for every frame the images of its slices in the order of the grid: a file, and its frame there (from 0).
    pair : whether the second frame is another image, on a grid of its own: that of a pair.
    """

    study: str
    series: str
    modality: str
    heart_rate: float | None
    images: tuple[tuple[tuple[Path, int], ...], ...]
    pair: bool = False


@dataclass(frozen=True, eq=False)
class Cine:
    """Images of one anatomy over time, all on one grid. A single image is a cine of one frame.

    Attributes
    ----------
    frames : ``[T, (D,) H, W]`` scalar pixels in their own type and intensity unit; read-only.
    grid : where the voxels lie; ``frames.shape[1:] == grid.shape``.
    times : ``[T]`` rising frame times in seconds, or frame numbers where the source has no times (``time_unit`` "").
    time_unit : "s", or "" for frame numbers.
    name : what a user calls it; output names start with it.
    suffix : file suffix of the source (".nii.gz", ".seq.nrrd", ".dcm", ...), "" when it did not come from a file.
    notes : sentences for the user about what reading changed (colour to luminance, irregular times, ...).
    study_date : day of the study, "2024-05-17" or a part of it, where the source tells it; "" where not.
    one_unit : whether a pixel value means the same in every frame; where not, each frame is scaled by itself.
    source : the DICOM series that it was read from, None where it was not.

    Raises
    ------
    InputError : wrong number of axes, frames not on the grid, complex or colour pixels, NaN, infinite or far too large
        pixels (the sentence names the frame), times that do not rise.
    """

    frames: np.ndarray
    grid: Grid
    times: Times = None  # type: ignore[assignment]  # the default that is given, not the array that is read
    time_unit: str = "s"
    name: str = "cine"
    suffix: str = ""
    notes: tuple[str, ...] = ()
    one_unit: bool = True
    study_date: str = ""
    source: Source | None = None

    def __post_init__(self) -> None:
        frames = np.asarray(self.frames).view()
        if frames.ndim != self.grid.ndim + 1 or frames.shape[1:] != self.grid.shape:
            raise InputError(
                f"'{self.name}' has pixels of shape {frames.shape}, but its grid needs (frames, "
                + ", ".join(str(n) for n in self.grid.shape)
                + ")."
            )
        if len(frames) < 1:
            raise InputError(f"'{self.name}' has no frames.")
        if frames.dtype.kind not in "buif":
            raise InputError(f"'{self.name}' has pixels of type {frames.dtype}; scalar numbers are needed.")
        if frames.dtype.kind == "f":
            for t, frame in enumerate(frames):
                if not np.isfinite(frame).all():
                    raise InputError(
                        f"Frame {t} of '{self.name}' has NaN or infinite pixels; replace them (for example with 0)."
                    )
                largest = max(float(frame.max()), -float(frame.min()))
                if largest > _LARGEST:
                    raise InputError(
                        f"Frame {t} of '{self.name}' has pixels up to {largest:.3g}, too large to compute with; divide "
                        "all frames by one number."
                    )
        frames.setflags(write=False)
        object.__setattr__(self, "frames", frames)
        if self.times is None:
            object.__setattr__(self, "time_unit", "")
        object.__setattr__(self, "times", _times(self.times, len(frames), self.name))

    def __len__(self) -> int:
        return len(self.frames)


@dataclass(frozen=True, eq=False)
class Motion:
    """The motion of a cine: for every frame a displacement field and its inverse, in voxels of ``grid``.

    Attributes
    ----------
    grid : the grid of the reference frame, which is that of every frame.
    reference : number of the reference frame.
    displacement : ``[T, ndim, *grid.shape]`` float32, component c along array axis c. ``displacement[t]`` takes a
        reference point to where that tissue is in frame t: it resamples frame t onto the reference, and moves points.
    inverse : the same shape; ``inverse[t]`` takes a point of frame t back to the reference: it resamples the reference
        image or its labels onto frame t. Both are zero at the reference frame.
    times, time_unit, name : those of the cine.
    cyclic : whether the last frame is followed by the first.
    quality : one ``FrameQuality`` a frame.
    provenance : how the motion was made (model, weights, refinement, version, seconds); JSON-able values.
    covariance : of the displacement's error, ``[T, ndim, ndim, *grid.shape]`` float32 in mm^2, along the array axes;
        None where the model does not say how sure it is. Zero where nothing is estimated: at the reference frame, and
        outside a region of interest.
    affine : of a pair, the matrix ``[4, 4]`` in LPS mm that its displacement ends with: it takes a point of the fixed
        image to the moving image after the deformation; None where no affine step was asked for.
    deformation : of such a pair, displacement and inverse without the matrix, ``[2, ndim, *grid.shape]`` float32: they
        are exact where the inverse, which is known on the fixed grid alone, ends.
    path : of a pair, displacements ``[S + 1, ndim, *grid.shape]`` float32 on the way from no motion to that of frame 1;
        None where they were not asked for.

    Raises
    ------
    InputError : shapes that do not fit together.
    """

    grid: Grid
    reference: int
    displacement: np.ndarray
    inverse: np.ndarray
    times: Times = None  # type: ignore[assignment]  # the default that is given, not the array that is read
    time_unit: str = "s"
    name: str = "cine"
    cyclic: bool = False
    quality: tuple[FrameQuality, ...] = ()
    provenance: Mapping[str, object] = field(default_factory=dict)
    covariance: np.ndarray | None = None
    affine: np.ndarray | None = None
    deformation: np.ndarray | None = None
    path: np.ndarray | None = None

    def __post_init__(self) -> None:
        count = len(self.displacement)
        expected = (count, self.grid.ndim, *self.grid.shape)
        for name in ("displacement", "inverse"):
            values = np.asarray(getattr(self, name), dtype=np.float32).view()
            if values.shape != expected:
                raise InputError(f"The {name} has shape {values.shape} where {expected} was expected.")
            values.setflags(write=False)
            object.__setattr__(self, name, values)
        if self.covariance is not None:
            values = np.asarray(self.covariance, dtype=np.float32).view()
            expected = (count, self.grid.ndim, self.grid.ndim, *self.grid.shape)
            if values.shape != expected:
                raise InputError(f"The covariance has shape {values.shape} where {expected} was expected.")
            values.setflags(write=False)
            object.__setattr__(self, "covariance", values)
        if not 0 <= self.reference < count:
            raise InputError(f"Reference frame {self.reference} is not one of the {count} frames.")
        if self.quality and len(self.quality) != count:
            raise InputError(f"There are {len(self.quality)} quality records for {count} frames.")
        if self.times is None:
            object.__setattr__(self, "time_unit", "")
        object.__setattr__(self, "times", _times(self.times, count, self.name))

    def __len__(self) -> int:
        return len(self.displacement)
