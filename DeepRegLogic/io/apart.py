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

def parts(transform):
    if transform.GetName() != "CompositeTransform":
        return [transform.Downcast()]
    composite = sitk.CompositeTransform(transform)
    return [part for n in range(composite.GetNumberOfTransforms()) for part in parts(composite.GetNthTransform(n))]

found = parts(sitk.ReadTransform(sys.argv[1]))
fields = [part.GetDisplacementField() for part in found if part.GetName() == "DisplacementFieldTransform"]
if not fields:
    sys.exit("is a " + (found[0].GetName() if found else "CompositeTransform"))
# a composite applies its last part first; that one is on the grid of the fixed image
field = fields[-1]
if len(found) > 1:
    whole = sitk.CompositeTransform(found)
    geometry = field.GetSize(), field.GetOrigin(), field.GetSpacing(), field.GetDirection()
    field = sitk.TransformToDisplacementField(whole, sitk.sitkVectorFloat64, *geometry)
sitk.WriteImage(field, sys.argv[2])
"""


def field_as_image(path: Path, folder: Path) -> Path:
    """The displacement field of a transform file (.h5, .tfm), written as an image into ``folder``.

    A composite of several transforms becomes one field, on the grid of the field that is applied first.

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
