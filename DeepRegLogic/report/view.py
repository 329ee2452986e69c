"""How an image is laid on paper: one slice, turned as a clinical viewer shows it, in millimetres."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..grid import IDENTITY, Grid

_OBLIQUE = 0.4  # of a direction cosine that gets a letter


@dataclass(frozen=True)
class SliceView:
    """The plane of a grid that figures show: the only slice of a 2D grid, the middle slice of a 3D one.

    Head (or chest, in an axial slice) is up and the patient's left (or back) is to the right, as near as turning by
    quarters and mirroring allows; pixels are never resampled.

    Attributes
    ----------
    index : number of the slice along the first array axis, None in 2D.
    transpose, flip_rows, flip_columns : what is done to an array, in this order.
    spacing : mm between the shown rows and between the shown columns.
    shape : shown rows and columns.
    letters : which side of the patient is at the left, right, top and bottom of the picture: "R", "L", "A", "P", "H",
        "F", two of them where an axis is oblique; None where the image does not say where it lies.
    """

    index: int | None
    transpose: bool
    flip_rows: bool
    flip_columns: bool
    spacing: tuple[float, float]
    shape: tuple[int, int]
    letters: tuple[str, str, str, str] | None = None

    @classmethod
    def of(cls, grid: Grid) -> SliceView:
        across, down = np.reshape(grid.direction, (3, 3)).T[:2]
        transpose = bool(abs(across[2]) > max(abs(down[2]), 0.5))
        if transpose:
            across, down = down, across
        (row_mm, column_mm), (rows, columns) = grid.array_spacing[-2:], grid.shape[-2:]
        nowhere = grid.direction == IDENTITY and not any(grid.origin)
        right, bottom = across * np.sign(_leading(across)), down * np.sign(_leading(down))
        return cls(
            index=grid.shape[0] // 2 if grid.ndim == 3 else None,
            transpose=transpose,
            flip_rows=_leading(down) < 0,
            flip_columns=_leading(across) < 0,
            spacing=(column_mm, row_mm) if transpose else (row_mm, column_mm),
            shape=(columns, rows) if transpose else (rows, columns),
            letters=None if nowhere else (_side(-right), _side(right), _side(-bottom), _side(bottom)),
        )

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom, top of the picture in mm, for ``imshow``; the first row is at the top."""
        rows, columns = self.shape
        return (0.0, columns * self.spacing[1], rows * self.spacing[0], 0.0)

    @property
    def aspect(self) -> float:
        """Width of the picture divided by its height."""
        _, width, height, _ = self.extent
        return width / height

    def image(self, array: np.ndarray) -> np.ndarray:
        """The shown plane ``[..., rows, columns]`` of an array ``[..., *spatial]`` on the grid."""
        plane = array if self.index is None else array[..., self.index, :, :]
        if self.transpose:
            plane = plane.swapaxes(-1, -2)
        if self.flip_rows:
            plane = plane[..., ::-1, :]
        return plane[..., ::-1] if self.flip_columns else plane

    def field(self, displacement: np.ndarray) -> np.ndarray:
        """In-plane displacement ``[2, rows, columns]`` in mm, down and to the right, of ``[ndim, *spatial]`` voxels."""
        down, across = displacement[-2:][::-1] if self.transpose else displacement[-2:]
        down, across = self.image(down) * self.spacing[0], self.image(across) * self.spacing[1]
        return np.stack([-down if self.flip_rows else down, -across if self.flip_columns else across])

    def positions(self) -> tuple[np.ndarray, np.ndarray]:
        """Distance in mm of every row and of every column of pixel centres from the picture's top left corner."""
        rows, columns = ((np.arange(n) + 0.5) * s for n, s in zip(self.shape, self.spacing, strict=True))
        return rows, columns


def _leading(axis: np.ndarray) -> float:
    """The largest component of an LPS axis, counted from head to foot, right to left, front to back."""
    return float(max(axis * (1.0, 1.0, -1.0), key=abs))


def _side(axis: np.ndarray) -> str:
    """The side of the patient that an LPS axis points to, the main one first."""
    names = [("L", "R"), ("P", "A"), ("H", "F")]
    order = sorted(range(3), key=lambda n: -abs(axis[n]))
    return "".join(names[n][int(axis[n] < 0)] for n in order[:2] if abs(axis[n]) > _OBLIQUE)


def scale_bar(width: float) -> tuple[float, str]:
    """Length in mm and text of a scale bar for a picture ``width`` mm wide: 1, 2 or 5 times a power of ten."""
    most = width / 3
    power = 10.0 ** np.floor(np.log10(most))
    length = float(next(factor * power for factor in (5, 2, 1) if factor * power <= most))
    return length, f"{length / 10:g} cm" if length >= 10 else f"{length:g} mm"
