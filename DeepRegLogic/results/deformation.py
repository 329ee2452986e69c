"""Tensors of a motion: deformation gradient, strain, principal strains, shear, rotation, rates.

Everything is in millimetres along the array's axes, which are at right angles: an oblique grid turns vectors and
tensors as a whole, and changes no strain.

Tensors are ``[..., ndim, ndim, *spatial]``, components along the array's axes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def derivative(values: np.ndarray, axis: int, spacing: float = 1.0) -> np.ndarray:
    """Derivative along an axis: fourth order inside, second order near the ends, one-sided at them; 0 of one sample."""
    count = values.shape[axis]
    if count < 2:
        return np.zeros_like(values)
    found = np.gradient(values, values.dtype.type(spacing), axis=axis)
    if count >= 5:
        moved, out = np.moveaxis(values, axis, 0), np.moveaxis(found, axis, 0)
        out[2:-2] = (8 * (moved[3:-1] - moved[1:-3]) - (moved[4:] - moved[:-4])) / (12 * spacing)
    return found


def deformation_gradient(displacement: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
    """``F = I + du/dx``, ``[..., ndim, ndim, *spatial]``, of displacements ``[..., ndim, *spatial]`` in voxels.

    ``spacing`` is in mm along the array's axes (``Grid.array_spacing``). ``F[i, j]`` is the change of the place along
    axis i with the place along axis j in the reference frame.
    """
    ndim = len(spacing)
    first = displacement.ndim - ndim
    columns = [derivative(displacement, first + axis, spacing[axis]) for axis in range(ndim)]
    found = np.stack(columns, axis=first)
    scale = np.asarray(spacing, found.dtype).reshape(ndim, 1, *[1] * ndim)
    found *= scale
    found += np.eye(ndim, dtype=found.dtype).reshape(ndim, ndim, *[1] * ndim)
    return found


def _last(tensor: np.ndarray, ndim: int) -> np.ndarray:
    """Tensors ``[..., ndim, ndim, *spatial]`` as ``[..., *spatial, ndim, ndim]``."""
    return np.moveaxis(tensor, (-ndim - 2, -ndim - 1), (-2, -1))


def _first(tensor: np.ndarray, ndim: int) -> np.ndarray:
    return np.moveaxis(tensor, (-2, -1), (-ndim - 2, -ndim - 1))


def _ndim(tensor: np.ndarray) -> int:
    """Of ``[..., ndim, ndim, *spatial]``: the number of axes before which two are equally long, 2 or 3."""
    for ndim in (2, 3):
        if tensor.ndim >= ndim + 2 and tensor.shape[-ndim - 2 : -ndim] == (ndim, ndim):
            return ndim
    raise ValueError(f"{tensor.shape} is no field of tensors.")


def green_lagrange(gradient: np.ndarray) -> np.ndarray:
    """``E = (F^T F - I) / 2``: strain of the tissue of a reference point (Lagrangian)."""
    ndim = _ndim(gradient)
    matrix = _last(gradient, ndim)
    return _first(0.5 * (np.swapaxes(matrix, -1, -2) @ matrix - np.eye(ndim, dtype=matrix.dtype)), ndim)


def almansi(inverse_gradient: np.ndarray) -> np.ndarray:
    """``e = (I - G^T G) / 2`` of the gradient G of the inverse map: strain of what is at a place now (Eulerian)."""
    return -green_lagrange(inverse_gradient)


def principal(strain: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Principal strains ``[..., ndim, *spatial]``, the largest first, and their unit directions.

    Directions are ``[..., ndim, ndim, *spatial]``, ``directions[i, :]`` that of the i-th one.
    """
    ndim = _ndim(strain)
    values, vectors = np.linalg.eigh(_last(strain, ndim))
    directions = np.swapaxes(vectors[..., ::-1], -1, -2)
    return np.moveaxis(values[..., ::-1], -1, -ndim - 1), _first(directions, ndim)


def maximal_shear(strain: np.ndarray) -> np.ndarray:
    """Half the difference of the largest and the smallest principal strain, ``[..., *spatial]``."""
    values = np.linalg.eigvalsh(_last(strain, _ndim(strain)))
    return 0.5 * (values[..., -1] - values[..., 0])


def rotation(gradient: np.ndarray) -> np.ndarray:
    """Angle in degrees by which tissue turns, ``[..., *spatial]``: of R in ``F = R U``.

    In the plane it is positive from the row axis towards the column axis; in space it has no sign.
    """
    ndim = _ndim(gradient)
    matrix = _last(gradient, ndim)
    if ndim == 2:
        return np.degrees(np.arctan2(matrix[..., 1, 0] - matrix[..., 0, 1], matrix[..., 0, 0] + matrix[..., 1, 1]))
    left, _, right = np.linalg.svd(matrix)
    trace = np.trace(left @ right, axis1=-2, axis2=-1)
    return np.degrees(np.arccos(np.clip((trace - 1) / 2, -1, 1)))


def ratio(gradient: np.ndarray) -> np.ndarray:
    """Local area or volume in the frame divided by that in the reference, ``[..., *spatial]``: the determinant of F."""
    return np.asarray(np.linalg.det(_last(gradient, _ndim(gradient))))


def along(gradient: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Green-Lagrange strain ``n E n = (|F n|^2 - 1) / 2`` along unit directions.

    ``gradient`` ``[..., ndim, ndim, *spatial]`` and ``direction`` ``[ndim, *spatial]``; gives ``[..., *spatial]``.
    """
    stretched = np.einsum("...ijp,jp->...ip", gradient.reshape(*gradient.shape[: -direction.ndim + 1], -1),
                          direction.reshape(len(direction), -1))  # fmt: skip
    return (0.5 * (np.square(stretched).sum(-2) - 1)).reshape(
        *gradient.shape[: -direction.ndim - 1], *direction.shape[1:]
    )


def rate(values: np.ndarray, times: np.ndarray, cyclic: bool = False) -> np.ndarray:
    """Rate of change ``[..., T]`` of curves ``[..., T]`` at ``times`` ``[T]``; round the cycle with ``cyclic``.

    Of a cycle, the step from the last frame to the first takes as long as the mean step. 0 of one frame.
    """
    if len(times) < 2:
        return np.zeros_like(values)
    if not cyclic:
        return np.gradient(values, times, axis=-1)
    step = (times[-1] - times[0]) / (len(times) - 1)
    around = np.concatenate([[times[0] - step], times, [times[-1] + step]])
    padded = np.concatenate([values[..., -1:], values, values[..., :1]], axis=-1)
    return np.gradient(padded, around, axis=-1)[..., 1:-1]
