"""What a Motion does to images, labels and points: the only place where a direction is chosen."""

from __future__ import annotations

import numpy as np
import torch

from .. import flow
from ..cine import Motion, working_type
from ..errors import InputError
from ..grid import Grid, require_points


def _warp_frames(images: np.ndarray, fields: np.ndarray, nearest: bool) -> np.ndarray:
    """Warp ``[T or 1, *spatial]`` by ``[T, ndim, *spatial]``, frame by frame so that memory stays small."""
    mode = "nearest" if nearest else "linear"
    kind = np.result_type(*(working_type(image) for image in images))
    if nearest and images.dtype.itemsize > 2:
        kind = np.dtype(np.float64)  # float32 does not hold every label
    out = np.empty((len(fields), *images.shape[1:]), dtype=images.dtype if nearest else kind)
    with torch.inference_mode():
        for t, field in enumerate(fields):
            source = torch.from_numpy(images[t if len(images) > 1 else 0].astype(kind))
            warped = flow.warp(source[None, None], torch.from_numpy(field.astype(kind))[None], mode)
            out[t] = warped[0, 0].numpy()
    return out


def require_shape(image: np.ndarray, grid: Grid) -> None:
    """Raise InputError where an image or label map is of another size than the reference frame's grid."""
    if image.shape != grid.shape:
        raise InputError(
            f"The image or label map has shape {image.shape}, but the reference frame has {grid.shape}; "
            "draw it on the reference frame, or resample it to that frame's geometry."
        )


def compensate(motion: Motion, frames: np.ndarray, nearest: bool = False) -> np.ndarray:
    """Frames ``[T, *spatial]`` brought onto the reference: ``frame_t(x + displacement_t(x))``, the motion taken out.

    Float32 (float64 where that does not tell the pixels apart), or the frames' own type with ``nearest`` (labels).

    Examples
    --------
    >>> import numpy as np
    >>> from DeepRegLogic import Grid, Motion, compensate
    >>> down = np.zeros((2, 2, 20, 20), np.float32)
    >>> down[1, 0] = 3.0  # in frame 1 everything is three rows further down
    >>> motion = Motion(Grid((20, 20, 1)), reference=0, displacement=down, inverse=-down)
    >>> frames = np.zeros((2, 20, 20))
    >>> frames[0, 5, 8] = frames[1, 8, 8] = 1.0
    >>> np.argwhere(compensate(motion, frames)[1] > 0.5).tolist()
    [[5, 8]]
    """
    if frames.shape != (len(motion), *motion.grid.shape):
        raise InputError(f"Frames of shape {frames.shape} are not on the motion's grid {motion.grid.shape}.")
    return _warp_frames(frames, motion.displacement, nearest)


def propagate(motion: Motion, image: np.ndarray, nearest: bool = False) -> np.ndarray:
    """One image or label map ``[*spatial]`` of the reference frame carried to every frame: ``[T, *spatial]``.

    ``image(x + inverse_t(x))``; float32 (float64 where that does not tell the pixels apart), or the image's own type
    with ``nearest`` (labels).

    Examples
    --------
    >>> import numpy as np
    >>> from DeepRegLogic import Grid, Motion, propagate
    >>> down = np.zeros((2, 2, 20, 20), np.float32)
    >>> down[1, 0] = 3.0  # in frame 1 everything is three rows further down
    >>> motion = Motion(Grid((20, 20, 1)), reference=0, displacement=down, inverse=-down)
    >>> labels = np.zeros((20, 20), np.uint8)
    >>> labels[5, 8] = 2
    >>> np.argwhere(propagate(motion, labels, nearest=True)[1] == 2).tolist()
    [[8, 8]]
    """
    require_shape(image, motion.grid)
    return _warp_frames(image[None], motion.inverse, nearest)


def move_points(motion: Motion, points: np.ndarray, frame: int) -> np.ndarray:
    """Points ``[P, 3]`` (LPS mm) drawn on the reference frame, moved to where that tissue is in ``frame``.

    Examples
    --------
    >>> import numpy as np
    >>> from DeepRegLogic import Grid, Motion, move_points
    >>> down = np.zeros((2, 2, 20, 20), np.float32)
    >>> down[1, 0] = 3.0  # in frame 1 everything is three rows of 0.5 mm further down
    >>> motion = Motion(Grid((20, 20, 1), (0.5, 0.5, 1.0)), reference=0, displacement=down, inverse=-down)
    >>> move_points(motion, np.array([[4.0, 2.5, 0.0]]), frame=1).tolist()
    [[4.0, 4.0, 0.0]]
    """
    return _move(motion, points, motion.displacement[frame])


def move_points_back(motion: Motion, points: np.ndarray, frame: int) -> np.ndarray:
    """Points ``[P, 3]`` (LPS mm) of ``frame`` moved to where that tissue is in the reference frame."""
    return _move(motion, points, motion.inverse[frame])


def _move(motion: Motion, points: np.ndarray, field: np.ndarray) -> np.ndarray:
    points = require_points(points)
    positions = torch.from_numpy(motion.grid.mm_to_voxel(points).copy())
    moved = flow.sample(torch.from_numpy(np.array(field))[None], positions)[0]
    return points + moved.T.double().numpy() @ motion.grid.vector_matrix.T


def sample_at(
    pixels: np.ndarray, grid: Grid, points: np.ndarray, nearest: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels ``[*grid.shape]`` at points ``[P, 3]`` in LPS mm, and which of these lie inside; both ``[P]``.

    Outside the smallest pixel is taken, or 0 with ``nearest`` (labels). A slice drops the through-plane part.
    """
    places = grid.mm_to_voxel(points)
    last = np.array(grid.shape) - 1.0
    inside = np.all((places >= -0.5) & (places <= last + 0.5), axis=-1)
    if nearest:
        index = np.clip(np.rint(places), 0, last).astype(np.intp)
        return np.where(inside, pixels[tuple(index.T)], 0).astype(pixels.dtype), inside
    image = torch.from_numpy(np.array(pixels, np.float32))[None, None]
    with torch.inference_mode():
        values = flow.sample(image, torch.from_numpy(places.copy()))[0, 0].numpy()
    return np.where(inside, values, pixels.min()).astype(np.float32), inside


def points_of(grid: Grid, displacement: np.ndarray | None = None) -> np.ndarray:
    """Where the voxels of a grid are in LPS mm, ``[P, 3]``, or where a displacement ``[ndim, *shape]`` takes them."""
    places = np.indices(grid.shape, dtype=float) if displacement is None else np.indices(grid.shape) + displacement
    return grid.voxel_to_mm(places.reshape(grid.ndim, -1).T)
