"""The numbers of a registered cine: ``frames.csv``, one row a frame, and ``report.json``, everything."""

from __future__ import annotations

import csv
import json
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import Field, asdict, fields, is_dataclass
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..cine import Source
from ..results import curves, maps, strain_tables
from ..results.quality import FrameQuality
from ..results.results import Results
from .summary import summary

LIBRARIES = ("numpy", "torch", "SimpleITK", "monai", "pydicom", "matplotlib", "slicer-core", "vtk")


def _column(figure: Field[Any]) -> str:
    """The column of a figure of ``FrameQuality``: its name and unit."""
    return "_".join(part for part in (figure.name, figure.metadata["unit"]) if part)


def frame_rows(results: Results) -> list[dict[str, object]]:
    """One mapping a frame: number, time, quality, figures of every map (``maps.MAPS``) and curve (``curves.CURVES``).

    Means of maps are over ``results.region``: the labels, or else what moves.
    """
    motion, grid, rows = results.motion, results.motion.grid, []
    for t, quality in enumerate(motion.quality):
        row: dict[str, object] = {"frame": t}
        if motion.time_unit:
            row["time_s"] = float(motion.times[t])
        row["reference"] = t == motion.reference
        for figure in fields(FrameQuality):
            value = getattr(quality, figure.name)
            row[_column(figure)] = " ".join(str(n) for n in value) if isinstance(value, tuple) else value
        for (name, statistic), values in results.statistics.items():
            row[maps.column_name(name, statistic)] = float(values[t])
        for name, series in results.curves.items():
            for key, values in series.items():
                row[curves.column_name(name, key, grid)] = float(np.ravel(values[t])[0])
        rows.append(row)
    return rows


def write_csv(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows of equal keys as comma-separated text, numbers with six significant digits."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(rows[0])
        writer.writerows([[f"{v:.6g}" if isinstance(v, float) else v for v in row.values()] for row in rows])


def write_strain(folder: Path, results: Results) -> None:
    """Write ``strain.csv`` (its numbers) and ``strain_segments.csv`` where there is strain; rows have their units."""
    if results.strain is None:
        return
    for name, rows in (
        ("strain.csv", strain_tables.figure_rows(results.strain)),
        ("strain_segments.csv", strain_tables.segment_rows(results.strain)),
    ):
        if rows:
            write_csv(folder / name, rows)


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """Write JSON text; numpy numbers and arrays, paths and anything else with a text form are understood."""
    path.write_text(json.dumps(content, indent=2, default=_plain) + "\n", encoding="utf-8")


def _plain(value: object) -> object:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return sorted(value) if isinstance(value, set | frozenset) else str(value)


def environment() -> dict[str, str]:
    """Versions of this package, of Python and of the libraries that the numbers depend on."""
    versions = {"DeepRegLogic": __version__, "python": sys.version.split()[0], "platform": platform.platform()}
    for name in LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _identity(source: Source | None) -> dict[str, object]:
    """What DICOM tells of the study, where it is the input."""
    if source is None:
        return {}
    told: dict[str, object] = {
        "study_uid": source.study,
        "series_uid": source.series,
        "modality": source.modality,
        "heart_rate_bpm": source.heart_rate and round(source.heart_rate, 1),
    }
    return {name: value for name, value in told.items() if value}


def report_content(
    results: Results, source: object, settings: Mapping[str, object], seconds: Mapping[str, float]
) -> dict[str, Any]:
    """What ``report.json`` says; ``seconds`` is the time each part of the work took."""
    cine, motion = results.cine, results.motion
    return {
        "summary": summary(results),
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "versions": environment(),
        "input": {
            "source": source,
            "name": cine.name,
            "frames": len(cine),
            "size": cine.grid.size,
            "spacing_mm": cine.grid.spacing,
            "origin_lps_mm": cine.grid.origin,
            "direction_lps": cine.grid.direction,
            "times": cine.times,
            "time_unit": cine.time_unit or "frame number",
            "notes": cine.notes,
            **_identity(cine.source),
        },
        "settings": settings,
        "reference": motion.reference,
        "cyclic": motion.cyclic,
        "provenance": dict(motion.provenance),
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "labels": {str(n): name for n, name in results.label_names.items()},
        "columns": {_column(figure): figure.metadata["title"] for figure in fields(FrameQuality)},
        "means over": results.region_name,
        "doubtful": {str(t): list(reasons) for t, reasons in results.doubts().items()},
        "strain": results.strain_content,
        "frames": frame_rows(results),
    }
