"""Landmarks: Slicer's ``.mrk.json`` and ``.fcsv``, and tables ``.csv`` with the columns x, y and z in LPS mm."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..files import expanded
from ..grid import flip_lps_ras
from .guard import require_file

POINT_SUFFIXES = (".mrk.json", ".fcsv", ".csv")


def read_points(path: str | Path) -> np.ndarray:
    """The points ``[P, 3]`` of a file in LPS mm, in its order.

    Raises
    ------
    InputError : it cannot be read, has no points, or a coordinate that is no number.
    """
    path = expanded(path)
    readers = {".mrk.json": _markups, ".fcsv": _fiducials, ".csv": _table}
    kind = next((suffix for suffix in POINT_SUFFIXES if path.name.lower().endswith(suffix)), None)
    if kind is None:
        raise InputError(f"'{path}': landmarks are read from {', '.join(POINT_SUFFIXES)} files.")
    require_file(path)
    try:
        points = np.array(readers[kind](path.read_text(encoding="utf-8-sig")), float)
    except (OSError, ValueError, KeyError, TypeError, IndexError, csv.Error) as error:
        raise InputError(f"'{path}' cannot be read as landmarks; each needs three coordinates in mm.") from error
    if points.ndim != 2 or points.shape[1:] != (3,) or not np.isfinite(points).all():
        raise InputError(f"'{path}' holds no landmarks with three coordinates in mm each.")
    return points


def _markups(text: str) -> list[list[float]]:
    (markups,) = json.loads(text)["markups"]
    points = [point["position"] for point in markups["controlPoints"]]
    return _lps(points, markups.get("coordinateSystem", "LPS"))


def _fiducials(text: str) -> list[list[float]]:
    lines = text.splitlines()
    system = next((line.partition("=")[2].strip() for line in lines if line.startswith("# CoordinateSystem")), "LPS")
    rows = csv.reader(line for line in lines if line.strip() and not line.startswith("#"))
    return _lps([[float(value) for value in row[1:4]] for row in rows], system)


def _table(text: str) -> list[list[float]]:
    rows = csv.DictReader(text.splitlines())
    return [[float(row[axis]) for axis in ("x", "y", "z")] for row in rows]


def _lps(points: list[list[float]], system: str) -> list[list[float]]:
    if system in ("RAS", "0"):
        return flip_lps_ras(np.array(points, float)).tolist()
    if system in ("LPS", "1"):
        return points
    raise ValueError(system)
