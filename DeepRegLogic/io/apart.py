"""Opening a file in a process of its own, which may die: for formats whose library crashes on damaged ones."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from ..errors import InputError

_SECONDS = 60.0
_FIELD = """
import sys
sys.path[:] = sys.argv[3:]
import SimpleITK as sitk
transform = sitk.ReadTransform(sys.argv[1])
if transform.GetName() != "DisplacementFieldTransform":
    sys.exit("is a " + transform.GetName())
sitk.WriteImage(sitk.DisplacementFieldTransform(transform).GetDisplacementField(), sys.argv[2])
"""


def field_as_image(path: Path, folder: Path) -> Path:
    """The displacement field of a transform file (.h5, .tfm), written as an image into ``folder``.

    Raises
    ------
    InputError : the file is damaged, or holds another kind of transform.
    """
    image = folder / "field.nrrd"
    command = [sys.executable, "-I", "-c", _FIELD, str(path), str(image), *filter(None, sys.path)]
    with tempfile.TemporaryFile() as told:
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=told, stderr=told, timeout=_SECONDS, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise InputError(f"'{path}' cannot be read as a displacement field: it does not end.") from error
        told.seek(max(told.seek(0, os.SEEK_END) - 4000, 0))
        last = told.read().decode("utf-8", "replace").strip().splitlines()[-1:]
    if done.returncode != 0 or not image.is_file():
        if last and last[0].startswith("is a "):
            raise InputError(f"'{path}' holds a {last[0][5:]}, not a displacement field.")
        raise InputError(f"'{path}' cannot be read as a displacement field: it is damaged.")
    return image
