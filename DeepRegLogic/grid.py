"""Grid: where the voxels of an image lie in the patient, in LPS millimetres as ITK has it.

Every grid lives in three-dimensional space. A single slice is a grid of size (I, J, 1): its arrays are two-dimensional,
its points and vectors in millimetres keep three components. RAS appears only where MRML nodes are touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np

from .errors import InputError

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
_SPACINGS = (1e-4, 1e3)  # mm
_COARSEST, _LEAST = 8.0, 6.0  # of what a model was trained at: a pixel, and a whole image
_COUNTS = "A grid needs 3 sizes, 3 spacings, 3 origin coordinates and 9 direction cosines."

Number = TypeVar("Number", int, float)


def three(values: Iterable[Number]) -> tuple[Number, Number, Number]:
    """The three sizes, spacings or coordinates of a grid; InputError for fewer or more."""
    found = tuple(values)
    if len(found) != 3:
        raise InputError(_COUNTS)
    i, j, k = found
    return i, j, k


def flip_lps_ras(points: np.ndarray) -> np.ndarray:
    """Turn points or vectors ``[..., 3]`` from LPS to RAS or back (the map is its own inverse)."""
    return np.asarray(points, dtype=float) * (-1.0, -1.0, 1.0)


def working_shape(
    shape: Sequence[int], array_spacing: Sequence[float], spacing: float, smallest: int = 2, by_slice: bool = False
) -> tuple[int, ...]:
    """The shape of an array resampled to ``spacing`` mm, corners aligned; with ``by_slice`` along the last two axes.

    Raises
    ------
    InputError : pixels much larger than that, or an image of hardly any: as a rule a spacing in another unit.
    """
    kept = len(shape) - 2 if by_slice else 0
    for n, step in list(zip(shape, array_spacing, strict=True))[-2:]:
        if step > _COARSEST * spacing or (n - 1) * step < _LEAST * spacing:
            raise InputError(
                f"Pixels of {step:.4g} mm ({(n - 1) * step:.4g} mm in all) do not suit a model for pixels of "
                f"{spacing:.4g} mm; correct the spacing in the file's header, or do without a model."
            )
    return tuple(
        n if axis < kept else max(smallest, round((n - 1) * step / spacing) + 1)
        for axis, (n, step) in enumerate(zip(shape, array_spacing, strict=True))
    )


def require_points(points: np.ndarray) -> np.ndarray:
    """Points ``[P, 3]`` in mm as float64; InputError for any other shape."""
    points = np.asarray(points, dtype=float)
    if points.ndim != 2 or points.shape[1] != 3:
        raise InputError(f"Points need shape [P, 3] in mm, not {points.shape}.")
    return points


@dataclass(frozen=True)
class Grid:
    """Size, spacing, origin and direction of an image.

    Attributes
    ----------
    size : number of voxels along i, j, k (ITK order, fastest array axis first); k is 1 for a single slice.
    spacing : distance of voxel centres along i, j, k in mm.
    origin : centre of voxel (0, 0, 0) in LPS mm.
    direction : 3x3 direction cosines, row by row; column c is the unit vector of index axis c. It may be left-handed.

    Raises
    ------
    InputError : a size below 1, a spacing that is not positive or beyond reason, or axes that are not orthonormal.
    """

    size: tuple[int, int, int]
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    direction: tuple[float, ...] = IDENTITY

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", tuple(int(n) for n in self.size))
        for name in ("spacing", "origin", "direction"):
            object.__setattr__(self, name, tuple(float(x) for x in np.asarray(getattr(self, name)).ravel()))
        if (len(self.size), len(self.spacing), len(self.origin), len(self.direction)) != (3, 3, 3, 9):
            raise InputError(_COUNTS)
        if min(self.size) < 1:
            raise InputError(f"An image of {self.size} voxels is empty.")
        if not np.all(np.isfinite(self.spacing)) or min(self.spacing) <= 0:
            raise InputError(f"The voxel spacing {self.spacing} mm is not positive; correct it in the file's header.")
        if min(self.spacing) < _SPACINGS[0] or max(self.spacing) > _SPACINGS[1]:
            raise InputError(
                f"The voxel spacing {self.spacing} mm is not that of an image of a body, but perhaps in another unit; "
                "correct it in the file's header."
            )
        axes = np.reshape(self.direction, (3, 3))
        if not (np.all(np.isfinite(axes)) and np.all(np.isfinite(self.origin))):
            raise InputError("The image's origin or direction holds numbers that are not finite.")
        if not np.allclose(axes.T @ axes, np.eye(3), atol=1e-3):
            raise InputError("The image axes are not at right angles (sheared geometry); resample the image first.")

    @classmethod
    def of_array(cls, shape: Sequence[int], spacing: Sequence[float] | None = None) -> Grid:
        """A grid at the origin for an array of ``shape`` (H, W) or (D, H, W); ``spacing`` in the same order, mm."""
        size = tuple(reversed(tuple(shape)))
        step = (1.0,) * len(size) if spacing is None else tuple(reversed(tuple(spacing)))
        return cls(three(size + (1,) * (3 - len(size))), three(step + (1.0,) * (3 - len(step))))

    @classmethod
    def from_matrix(cls, size: Sequence[int], matrix: np.ndarray) -> Grid:
        """A grid from its 4x4 index-to-LPS matrix."""
        matrix = np.asarray(matrix, dtype=float)
        spacing = np.linalg.norm(matrix[:3, :3], axis=0)
        if not np.all(np.isfinite(spacing)) or np.any(spacing <= 0):
            raise InputError("The image's geometry has an axis of zero length; correct it in the file's header.")
        axes = tuple((matrix[:3, :3] / spacing).ravel())
        return cls(three(size), three(spacing), three(matrix[:3, 3]), axes)

    @classmethod
    def from_ras_matrix(cls, size: Sequence[int], matrix: np.ndarray) -> Grid:
        """A grid from a 4x4 index-to-RAS matrix, as ``vtkMRMLVolumeNode.GetIJKToRASMatrix`` gives it."""
        return cls.from_matrix(size, np.diag((-1.0, -1.0, 1.0, 1.0)) @ np.asarray(matrix, dtype=float))

    @property
    def ndim(self) -> int:
        """Number of array axes of an image on this grid: 2 for a single slice, else 3."""
        return 2 if self.size[2] == 1 else 3

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of an array on this grid, slowest axis first: (J, I) or (K, J, I)."""
        return tuple(reversed(self.size[: self.ndim]))

    @property
    def array_spacing(self) -> tuple[float, ...]:
        """Spacing in mm along the array axes, slowest first."""
        return tuple(reversed(self.spacing[: self.ndim]))

    @cached_property
    def matrix(self) -> np.ndarray:
        """4x4 matrix from voxel index (i, j, k) to LPS mm."""
        matrix = np.eye(4)
        matrix[:3, :3] = np.reshape(self.direction, (3, 3)) * self.spacing
        matrix[:3, 3] = self.origin
        return matrix

    @cached_property
    def ras_matrix(self) -> np.ndarray:
        """4x4 matrix from voxel index (i, j, k) to RAS mm."""
        return np.diag((-1.0, -1.0, 1.0, 1.0)) @ self.matrix

    @cached_property
    def vector_matrix(self) -> np.ndarray:
        """3 x ndim matrix from a displacement in voxels, in array axis order, to LPS mm."""
        return np.ascontiguousarray(self.matrix[:3, : self.ndim][:, ::-1])

    def voxel_to_mm(self, points: np.ndarray) -> np.ndarray:
        """Array positions ``[..., ndim]`` (slowest axis first, fractional allowed) to LPS points ``[..., 3]`` in mm."""
        return np.asarray(points, dtype=float) @ self.vector_matrix.T + np.asarray(self.origin)

    def mm_to_voxel(self, points: np.ndarray) -> np.ndarray:
        """LPS points ``[..., 3]`` in mm to array positions ``[..., ndim]``; a slice drops the through-plane part."""
        inverse = np.linalg.inv(self.matrix[:3, :3])
        index = (np.asarray(points, dtype=float) - self.origin) @ inverse.T
        return index[..., : self.ndim][..., ::-1]

    def matches(self, other: Grid, tolerance: float = 1e-3) -> bool:
        """Whether both grids have the same voxels at the same places, to ``tolerance`` of a voxel at every corner."""
        if self.size != other.size:
            return False
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.size])).reshape(3, -1)
        apart = (self.matrix - other.matrix) @ np.vstack([corners, np.ones(corners.shape[1])])
        return bool(np.abs(apart).max() <= tolerance * min(self.spacing))
