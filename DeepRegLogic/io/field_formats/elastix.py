"""elastix' transform parameter files, which name a deformation field in LPS mm beside them.

transformix looks for that field in the folder that it is run in.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from ...errors import InputError
from ...files import whole_file, whole_folder
from ...grid import Grid
from ..fields import read_field, write_field

_MOST = 1 << 20  # bytes of a text that is looked through


def accepts(path: Path) -> bool:
    """Whether it is a text that names a transform of elastix."""
    return path.name.lower().endswith(".txt") and _value(path, "Transform") != ""


def write(path: Path, displacement: np.ndarray, grid: Grid, moving: Grid) -> None:
    """``NAME.txt`` and, beside it, ``NAME_field.mha``."""
    field = f"{path.stem}_field.mha"
    own = {"NumberOfParameters": 0, "DeformationFieldFileName": field, "DeformationFieldInterpolationOrder": 1}
    with whole_folder(path.parent) as part:
        write_field(part / field, displacement, grid)
        (part / path.name).write_text(_text("DeformationFieldTransform", own, grid), encoding="utf-8")


def write_affine(path: Path, matrix: np.ndarray, grid: Grid, moving: Grid) -> None:
    """An AffineTransform about the origin."""
    numbers = (*matrix[:3, :3].ravel(), *matrix[:3, 3])
    own = {"NumberOfParameters": 12, "TransformParameters": numbers, "CenterOfRotationPoint": (0.0, 0.0, 0.0)}
    with whole_file(path) as part:
        part.write_text(_text("AffineTransform", own, grid), encoding="utf-8")


def _text(transform: str, own: dict[str, object], grid: Grid) -> str:
    """All that transformix asks for; directions are column by column there."""
    entries = {
        "Transform": transform,
        **own,
        "InitialTransformParameterFileName": "NoInitialTransform",
        "HowToCombineTransforms": "Compose",
        "FixedImageDimension": 3,
        "MovingImageDimension": 3,
        "FixedInternalImagePixelType": "float",
        "MovingInternalImagePixelType": "float",
        "Size": grid.size,
        "Index": (0, 0, 0),
        "Spacing": grid.spacing,
        "Origin": grid.origin,
        "Direction": tuple(np.reshape(grid.direction, (3, 3)).T.ravel()),
        "UseDirectionCosines": "true",
        "ResampleInterpolator": "FinalLinearInterpolator",
        "Resampler": "DefaultResampler",
        "DefaultPixelValue": 0,
        "ResultImageFormat": "mha",
        "ResultImagePixelType": "float",
        "CompressResultImage": "false",
    }
    return "".join(f"({name} {_words(value)})\n" for name, value in entries.items())


def _words(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(_words(item) for item in value)
    return f'"{value}"' if isinstance(value, str) else repr(value if isinstance(value, int) else float(value))  # type: ignore[arg-type]


def read(path: Path, moving: Grid | None) -> tuple[np.ndarray, Grid]:
    """The field that the text names, beside it.

    Raises
    ------
    InputError : another kind of transform, or one that comes after another one.
    """
    kind, name = _value(path, "Transform"), _value(path, "DeformationFieldFileName")
    if kind != "DeformationFieldTransform" or not name:
        raise InputError(
            f"'{path}' holds a {kind}, not a field; let transformix make one of it (-def all gives deformationField)."
        )
    before = _value(path, "InitialTransformParameterFileName") or _value(path, "InitialTransformParametersFileName")
    if before not in ("", "NoInitialTransform"):
        raise InputError(f"'{path}' comes after the transform '{before}'; let transformix make one field of both.")
    return read_field(path.parent / name)


def _value(path: Path, name: str) -> str:
    """A word of the parameter file, "" where there is none."""
    with open(path, "rb") as file:
        text = file.read(_MOST).decode("utf-8", "replace")
    found = re.search(rf'^\s*\({name}\s+"([^"]*)"', text, re.MULTILINE)
    return found.group(1) if found else ""
