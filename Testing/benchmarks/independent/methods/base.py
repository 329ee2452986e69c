"""What a method of the comparison is, and what the programs that register pairs share."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import SimpleITK as sitk

ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"), "1"
)
"""Variables of the environment that a method's process starts with."""

Pair = tuple[np.ndarray, np.ndarray | None]


class Found(NamedTuple):
    """Displacements ``[T, ndim, ...]`` in voxels from frame 0 to every frame; the way back where a program has one.

    ``made_with`` says what a method chose by itself, such as its model.
    """

    forward: np.ndarray
    inverse: np.ndarray | None = None
    made_with: str = ""


Run = Callable[[np.ndarray, Sequence[float], np.ndarray], Found]


@dataclass(frozen=True)
class Method:
    """A method of the table: of frames ``[T, (D,) H, W]``, spacings in mm along their axes and times in seconds.

    ``setting`` is printed below the table; ``package`` is what must be importable, ``weights`` a file that must exist,
    ``fewest`` how many frames it needs, ``has_calls`` whether pairs and neighbouring frames have calls of their own.
    """

    name: str
    run: Run
    setting: str
    package: str
    ndims: tuple[int, ...] = (2, 3)
    weights: Path | None = None
    fewest: int = 2
    has_calls: bool = False

    @property
    def missing(self) -> str:
        """What the method lacks here, in words; empty if nothing."""
        if importlib.util.find_spec(self.package) is None:
            return f"{self.package} is not installed"
        return f"there is no {self.weights.name}" if self.weights and not self.weights.is_file() else ""


def by_dimension(plane: Run, stack: Run) -> Run:
    """One setting for cines of slices, another for those of stacks, whose slices are few and thick."""

    def run(frames: np.ndarray, spacing: Sequence[float], times: np.ndarray) -> Found:
        return (plane if frames.ndim == 3 else stack)(frames, spacing, times)

    return run


def scaled(frames: np.ndarray) -> np.ndarray:
    """Frames in [0, 1] by the 1st and 99th percentile of the cine, for the programs that want it."""
    low, high = np.percentile(frames, (1, 99))
    return np.clip((frames - low) / max(high - low, 1e-6), 0, 1).astype(np.float32)


def pairwise(frames: np.ndarray, register: Callable[[np.ndarray, np.ndarray], Pair]) -> Found:
    """Every frame registered to frame 0 for itself."""
    images = scaled(frames)
    zero = np.zeros((images.ndim - 1, *images.shape[1:]), np.float32)
    pairs = [(zero, zero), *(register(images[0], image) for image in images[1:])]
    forward = np.stack([pair[0] for pair in pairs]).astype(np.float32)
    if any(pair[1] is None for pair in pairs):
        return Found(forward)
    return Found(forward, np.stack([pair[1] for pair in pairs]).astype(np.float32))


def voxels(vectors: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """``[ndim, ...]`` in voxels along the array's axes of ITK's vectors ``[..., ndim]`` in mm."""
    found = np.moveaxis(np.asarray(vectors), -1, 0)[::-1]
    return found / np.reshape(spacing, (-1, *[1] * (found.ndim - 1)))


def image_of(array: np.ndarray, spacing: Sequence[float]) -> sitk.Image:
    """An image of SimpleITK, with ``spacing`` along the array's axes."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(array)
    image.SetSpacing([float(s) for s in spacing[::-1]])
    return image
