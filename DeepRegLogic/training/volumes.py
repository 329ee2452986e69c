"""Images with labels to train pairs on, read from the folders of ``layouts`` and turned to one orientation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ..cine import scaled_frames
from ..errors import InputError
from ..files import expanded
from ..grid import Grid
from ..io import read_image, read_labels
from .configuration import DataConfiguration
from .layouts import LAYOUTS, Case


@dataclass(frozen=True, eq=False)
class Volume:
    """An image to train on.

    Attributes
    ----------
    name, group : of the subject, and of what it may be paired with.
    image : ``[*spatial]`` float32 in [0, 1]; the axes of a volume run along S, P and L.
    labels : ``[*spatial]`` int64, or None.
    spacing : mm along the array's axes.
    """

    name: str
    group: str
    image: torch.Tensor
    labels: torch.Tensor | None
    spacing: tuple[float, ...]

    @property
    def extent(self) -> float:
        """The longest side in mm."""
        return max(n * step for n, step in zip(self.image.shape, self.spacing, strict=True))

    @property
    def centre(self) -> torch.Tensor:
        """Centre of what is labelled, or of the brightness where there are no labels, in voxels ``[ndim]``."""
        weight = self.image if self.labels is None else (self.labels > 0).float()
        axes = range(weight.ndim)
        means = []
        for axis in axes:
            profile = weight.sum([other for other in axes if other != axis])
            means.append((profile * torch.arange(len(profile))).sum() / profile.sum().clamp(min=1e-6))
        return torch.stack(means)


def read_volumes(data: DataConfiguration) -> list[Volume]:
    """The images of a configuration's folder but those that it leaves out, in the order of their names.

    Raises
    ------
    InputError : no such folder, no images of the layout in it, a name left out that is not there, or an image or its
        labels that cannot be read or have another number of axes than ``size``.
    """
    folder = expanded(data.folder)
    cases = LAYOUTS.choose(data.layout)(folder) if folder.is_dir() else []
    if not cases:
        raise InputError(f"The folder '{folder}' holds no images in the layout '{data.layout}'.")
    absent = sorted(set(data.left_out) - {case.name for case in cases})
    if absent:
        raise InputError(f"'data.left_out' names {', '.join(absent)}, which the folder '{folder}' does not hold.")
    kept = [case for case in cases if case.name not in data.left_out]
    return [_read(case, len(data.size)) for case in kept]


def _read(case: Case, ndim: int) -> Volume:
    image = read_image(case.image)
    grid = image.grid
    if grid.ndim != ndim:
        raise InputError(f"'{case.image}' has {grid.ndim} spatial axes; 'data.size' asks for {ndim}.")
    pixels, labels = scaled_frames(image.frames)[0], None
    if case.labels is not None:
        labels = torch.from_numpy(_oriented(read_labels(case.labels, grid).astype(np.int64), grid))
    return Volume(
        case.name,
        case.group,
        torch.from_numpy(_oriented(pixels, grid)),
        labels,
        tuple(float(step) for step in np.abs(_axes(grid)) @ grid.array_spacing) if ndim == 3 else grid.array_spacing,
    )


def _axes(grid: Grid) -> np.ndarray:
    """For the anatomical axes S, P, L in turn, which array axis runs along it and which way: ``[3, 3]`` of 0, 1, -1."""
    direction = np.reshape(grid.direction, (3, 3))[::-1, ::-1]  # rows S, P, L; columns the array's axes
    axes = np.zeros((3, 3))
    for _ in range(3):
        free = np.abs(direction) * (np.abs(axes).sum(1, keepdims=True) == 0) * (np.abs(axes).sum(0) == 0)
        place = np.unravel_index(int(free.argmax()), (3, 3))
        axes[place] = np.sign(direction[place])
    return axes


def _oriented(values: np.ndarray, grid: Grid) -> np.ndarray:
    """A volume with its axes along S, P and L, as near as turning by quarters goes; a slice as it is."""
    if grid.ndim == 2:
        return np.ascontiguousarray(values)
    axes = _axes(grid)
    turned = values.transpose([int(np.abs(row).argmax()) for row in axes])
    flipped = tuple(axis for axis, row in enumerate(axes) if row.sum() < 0)
    return np.ascontiguousarray(np.flip(turned, flipped))
