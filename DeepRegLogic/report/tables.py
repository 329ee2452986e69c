"""The numbers of a registered cine: ``frames.csv``, one row a frame, and ``report.json``, everything."""

from __future__ import annotations

import csv
import json
import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path

import numpy as np

from .. import __version__
from .results import Results

LIBRARIES = ("numpy", "torch", "SimpleITK", "monai", "pydicom", "matplotlib", "slicer-core", "vtk")


def frame_rows(results: Results) -> list[dict[str, object]]:
    """One mapping a frame: number, time, quality, range of the Jacobian and the size of every label.

    Of a motion that says how sure it is, also the largest standard deviation at a voxel, as its mean and maximum over
    the frame and its mean over every label.
    """
    motion, rows = results.motion, []
    unit = "mm2" if motion.grid.ndim == 2 else "ml"
    for t, quality in enumerate(motion.quality):
        row: dict[str, object] = {"frame": t}
        if motion.time_unit:
            row["time_s"] = float(motion.times[t])
        row |= {
            "reference": t == motion.reference,
            "error_before": quality.error_before,
            "error_after": quality.error_after,
            "motion_mean_mm": quality.motion_mean,
            "motion_max_mm": quality.motion_max,
            "folded": quality.folded,
            "round_trip_mean_voxels": quality.round_trip_mean,
            "round_trip_max_voxels": quality.round_trip_max,
            "jacobian_min": float(results.jacobian[t].min()),
            "jacobian_max": float(results.jacobian[t].max()),
        }
        row |= {f"label_{label}_{unit}": float(sizes[t]) for label, sizes in results.sizes.items()}
        if results.deviation is not None:
            deviation = results.deviation[t]
            row |= {"deviation_mean_mm": float(deviation.mean()), "deviation_max_mm": float(deviation.max())}
            row |= {f"label_{label}_deviation_mm": float(value[t]) for label, value in results.unsure.items()}
        rows.append(row)
    return rows


def write_csv(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows of equal keys as comma-separated text, numbers with six significant digits."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(rows[0])
        writer.writerows([[f"{v:.6g}" if isinstance(v, float) else v for v in row.values()] for row in rows])


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """Write JSON text; numpy numbers and arrays, paths and anything else with a text form are understood."""
    path.write_text(json.dumps(content, indent=2, default=_plain) + "\n", encoding="utf-8")


def _plain(value: object) -> object:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
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


def report_content(
    results: Results, source: object, settings: Mapping[str, object], seconds: Mapping[str, float]
) -> dict[str, object]:
    """What ``report.json`` says; ``seconds`` is the time each part of the work took."""
    cine, motion = results.cine, results.motion
    return {
        "summary": results.summary(),
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
        },
        "settings": settings,
        "reference": motion.reference,
        "cyclic": motion.cyclic,
        "provenance": dict(motion.provenance),
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "labels": {str(n): name for n, name in results.label_names.items()},
        "frames": frame_rows(results),
    }
