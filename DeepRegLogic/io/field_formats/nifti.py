"""NIfTI files with the header that is wanted, through nibabel, which is loaded when it is asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...errors import InputError
from ...files import whole_file
from ...grid import Grid
from ..integrity import check_complete


def save(path: Path, values: np.ndarray, grid: Grid, intent: int) -> None:
    """Write ``[I, J, K, ...]`` on a grid, with the code of an intent of NIfTI."""
    import nibabel

    image = nibabel.Nifti1Image(np.asarray(values, np.float32), grid.ras_matrix)
    image.set_sform(grid.ras_matrix, 1)
    image.set_qform(grid.ras_matrix, 1)
    image.header.set_intent(intent, allow_unknown=True)
    image.header.set_xyzt_units("mm")
    with whole_file(path) as part:
        nibabel.save(image, part)


def load(path: Path) -> tuple[np.ndarray, Grid]:
    """Read ``[I, J, K, ...]`` as float64, and the grid.

    Raises
    ------
    InputError : it is damaged, or its axes are not at right angles.
    """
    import nibabel

    check_complete(path)
    try:
        image = nibabel.Nifti1Image.from_filename(path)
        values = np.asarray(image.get_fdata(dtype=np.float64))
    except (OSError, EOFError, ValueError, nibabel.filebasedimages.ImageFileError) as error:
        raise InputError(f"'{path}' is damaged or cut short; copy it again.") from error
    if not np.isfinite(values).all():
        raise InputError(f"'{path}' holds vectors that are not finite.")
    return values, Grid.from_ras_matrix(values.shape[:3], image.affine)
