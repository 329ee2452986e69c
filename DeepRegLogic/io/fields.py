"""Displacement fields as ITK has them: in LPS millimetres, from a point of the fixed image to the moving one."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from .. import flow
from ..errors import InputError
from ..files import expanded, whole_file
from ..grid import Grid
from .apart import field_as_image
from .formats import suffix_of
from .images import check_header, describe
from .integrity import check_complete
from .write import placed, write_image

FIELD_SUFFIXES = (".nrrd", ".nii.gz", ".nii", ".mha", ".h5", ".tfm")
_IMAGES = (".nrrd", ".nii.gz", ".nii", ".mha")
# ITK reads a NIfTI file of one slice as two-dimensional, losing where it lies: the slice is stored twice, and says so
_TWICE = "one slice, stored twice"


def write_field(path: str | Path, displacement: np.ndarray, grid: Grid, *, half: bool = False) -> None:
    """Write a displacement ``[ndim, *grid.shape]`` in voxels as a three-dimensional ITK displacement field.

    The suffix of ``path`` decides: ``.nrrd``, ``.nii``, ``.nii.gz`` and ``.mha`` are float32 vector images,
    ``.h5`` and ``.tfm`` are a DisplacementFieldTransform. Slicer loads all of them as a transform to be applied to the
    moving image; SimpleITK applies them with ``Resample(moving, fixed, sitk.DisplacementFieldTransform(field))``.

    Parameters
    ----------
    half : round the vectors to what 16 bits hold (a relative error of at most 2^-11), so that they pack better.

    Raises
    ------
    InputError : a shape that does not fit the grid, vectors that are not finite, or an unknown suffix.
    OutputError : the place cannot be written or is full; nothing is left behind.
    """
    path = expanded(path)
    displacement = np.asarray(displacement, dtype=np.float32)
    if displacement.shape != (grid.ndim, *grid.shape):
        raise InputError(f"A field of shape {displacement.shape} does not fit a grid of {(grid.ndim, *grid.shape)}.")
    if not np.isfinite(displacement).all():
        raise InputError(f"'{path}': a field with NaN or infinite vectors is not written.")
    suffix = suffix_of(path)
    if suffix not in FIELD_SUFFIXES:
        raise InputError(f"'{path}': fields are written as {', '.join(FIELD_SUFFIXES)}, not '{suffix}'.")
    with whole_file(path) as part:
        if suffix in _IMAGES:
            twice = suffix in (".nii", ".nii.gz") and grid.ndim == 2
            image = _vector_image(displacement, grid, np.float32, half, times=2 if twice else 1)
            if twice:
                image.SetMetaData("ITK_FileNotes", _TWICE)
            write_image(part, image)
        else:
            sitk.WriteTransform(field_transform(displacement, grid, half), str(part))


def field_transform(displacement: np.ndarray, grid: Grid, half: bool = False) -> sitk.DisplacementFieldTransform:
    """A displacement ``[ndim, *grid.shape]`` in voxels as ITK's transform."""
    return sitk.DisplacementFieldTransform(_vector_image(displacement, grid, np.float64, half))


def _vector_image(displacement: np.ndarray, grid: Grid, kind: type, half: bool, times: int = 1) -> sitk.Image:
    """The displacement in LPS mm; one slice may be stored several times."""
    vectors = np.moveaxis(flow.to_mm(displacement, grid), 0, -1).reshape(*reversed(grid.size), 3)
    vectors = np.concatenate([halved(vectors) if half else vectors] * times)
    return placed(sitk.GetImageFromArray(np.ascontiguousarray(vectors, dtype=kind), isVector=True), grid)


def halved(vectors: np.ndarray) -> np.ndarray:
    """Vectors in mm rounded to 16 bits, as float32."""
    return np.clip(vectors, -65504, 65504).astype(np.float16).astype(np.float32)


def write_affine(path: str | Path, matrix: np.ndarray) -> None:
    """Write an affine matrix ``[4, 4]``, LPS mm, from a fixed to a moving point, as ITK has it (``.tfm`` or ``.h5``).

    Slicer loads it as a linear transform to be applied to the moving image.
    """
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(np.asarray(matrix, float)[:3, :3].ravel().tolist())
    transform.SetTranslation(np.asarray(matrix, float)[:3, 3].tolist())
    with whole_file(path) as part:
        sitk.WriteTransform(transform, str(part))


def _put_back(image: sitk.Image) -> sitk.Image:
    """A slice of a NIfTI file, which ITK reads as two-dimensional, where the file says that it lies."""
    rows = [image.GetMetaData(f"srow_{axis}").split() for axis in "xyz"]
    matrix = np.vstack([np.array(rows, dtype=float), (0.0, 0.0, 0.0, 1.0)])
    if not matrix[:3, :3].any():  # it has no such rows, but perhaps a rotation
        return image
    return placed(sitk.JoinSeries([image]), Grid.from_ras_matrix((*image.GetSize(), 1), matrix))


def read_field(path: str | Path) -> tuple[np.ndarray, Grid]:
    """Read an ITK displacement field: the displacement ``[ndim, *grid.shape]`` in voxels, float32, and its grid.

    A field of one slice loses its through-plane part.

    Raises
    ------
    InputError : missing, damaged, or not a displacement field in three dimensions.
    """
    path = expanded(path)
    check_header(path)
    try:
        if suffix_of(path) in _IMAGES:
            check_complete(path)
            image = sitk.ReadImage(str(path))
        else:
            with tempfile.TemporaryDirectory() as folder:
                image = sitk.ReadImage(str(field_as_image(path, Path(folder))))
    except RuntimeError as error:
        raise InputError(f"'{path}' cannot be read as a displacement field: {describe(error)}.") from error
    if image.GetDimension() == 2 and suffix_of(path) in (".nii", ".nii.gz"):
        image = _put_back(image)
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 3:
        raise InputError(f"'{path}' is not a 3D displacement field.")
    if image.HasMetaDataKey("ITK_FileNotes") and image.GetMetaData("ITK_FileNotes").strip() == _TWICE:
        image = image[:, :, :1]
    grid = Grid(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())
    vectors = np.moveaxis(sitk.GetArrayFromImage(image), -1, 0).reshape(3, *grid.shape)
    if not np.isfinite(vectors).all():
        raise InputError(f"'{path}' holds vectors that are not finite.")
    return flow.from_mm(vectors, grid).astype(np.float32), grid
