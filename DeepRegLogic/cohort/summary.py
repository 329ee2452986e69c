"""All studies of a cohort side by side: figures, their distribution, and which studies stand out."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..evaluation.summary import distribution
from ..files import expanded
from ..progress import ProgressCallback, Reporter
from .finished import RECORD
from .table import STUDIES

Row = dict[str, Any]

FAR = 3.5
"""Modified z-score from which a study stands out (Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993)."""

_HIGH = ("error_after", "folded", "doubtful", "inverse_consistency_high_voxels", "uncertainty_mean_mm")
_LEAVE = ("frames", "error_before")
_NARROWEST = 0.02  # of the median: a smaller spread than that makes nobody stand out


@dataclass(frozen=True, eq=False)
class Spread:
    """A figure over the studies: its column, their names, values ``[n]``, and whether each stands out ``[n]``."""

    name: str
    studies: list[str]
    values: np.ndarray
    far: np.ndarray


@dataclass(frozen=True, eq=False)
class Summary:
    """The studies of a cohort.

    Attributes
    ----------
    rows : one a study: "study", "status", "stands_out" (its largest modified z-score), "why", "message" and the
        figures, "" where it has not the figure; those that failed first, then those that stand out most.
    statistics : one a figure: its name, the number of studies, mean, deviation, quantiles.
    values : figure -> ``[n]``, of the studies in the order of ``rows``, NaN where one has not the figure.
    scores : figure -> ``[n]``, modified z-scores, of the figures that make a study stand out.
    """

    rows: list[Row]
    statistics: list[Row]
    values: Mapping[str, np.ndarray]
    scores: Mapping[str, np.ndarray]

    @property
    def spreads(self) -> list[Spread]:
        """What is drawn: the figures that may make a study stand out, those first in which most do."""
        names = [row["study"] for row in self.rows]
        found = [Spread(name, names, self.values[name], scores > FAR) for name, scores in self.scores.items()]
        return sorted(found, key=lambda spread: -int(spread.far.sum()))

    @property
    def sentence(self) -> str:
        failed = sum(row["status"] != "ok" for row in self.rows)
        far = sum(row["stands_out"] > FAR for row in self.rows)
        return f"{len(self.rows)} studies: {failed} failed, {far} stand out."


def read_summary(folder: str | Path, progress: ProgressCallback | None = None) -> Summary:
    """The summary of the studies in a folder, from what each has written (``study.json``) and ``studies.csv``.

    Raises
    ------
    InputError : the folder holds no study.
    """
    folder, report = expanded(folder), Reporter(progress)
    rows: dict[str, Row] = {}
    records = sorted(folder.glob(f"*/{RECORD}"))
    for number, path in enumerate(records):
        report(number / len(records), f"Reading {path.parent.name}")
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
            row = {"study": path.parent.name, "status": "ok", **known["figures"]}
            rows[path.parent.name] = {**row, "seconds": known["seconds"], "message": known["summary"]}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"'{path}' is damaged ({error}); register that study again.") from error
    for row in _failed(folder / STUDIES):
        rows.setdefault(row["study"], row)
    if not rows:
        raise InputError(f"The folder '{folder}' holds no study of a cohort.")
    return summary_of(list(rows.values()))


def summary_of(rows: list[Row]) -> Summary:
    """The summary of rows with "study", "status", "message" and figures."""
    texts = ("study", "status", "message")
    names = list(dict.fromkeys(name for row in rows for name in row if name not in texts))
    values = {name: np.array([float(row.get(name, np.nan)) for row in rows]) for name in names}
    scores = {name: _scores(name, values[name]) for name in names if name not in (*_LEAVE, "seconds")}
    stacked = np.stack(list(scores.values())) if scores else np.zeros((1, len(rows)))
    worst = np.nan_to_num(stacked, nan=0.0).max(axis=0)
    failed = np.array([row["status"] != "ok" for row in rows])
    order = np.lexsort((np.array([row["study"] for row in rows]), -worst, ~failed))
    level = []
    for n in order.tolist():
        row, far = rows[n], [name for name, score in scores.items() if score[n] > FAR]
        far.sort(key=lambda name: -scores[name][n])
        why = "; ".join(
            f"{name} {values[name][n]:.4g} (median {np.nanmedian(values[name]):.4g})" for name in far[:3]
        )  # fmt: skip
        head = {"study": row["study"], "status": row["status"], "stands_out": float(worst[n]), "why": why}
        level.append({**head, **{name: row.get(name, "") for name in names}, "message": row["message"]})
    statistics = []
    for name in names:
        known = values[name][np.isfinite(values[name])]
        if known.size:
            statistics.append({"figure": name, "studies": int(known.size), **distribution(known)})
    return Summary(
        level, statistics, {n: v[order] for n, v in values.items()}, {n: s[order] for n, s in scores.items()}
    )


def _scores(name: str, values: np.ndarray) -> np.ndarray:
    """Modified z-scores ``[n]``; of figures that are bad only where they are high, 0 where they are low."""
    known = values[np.isfinite(values)]
    if not known.size:
        return np.zeros_like(values)
    middle = float(np.median(known))
    spread = 1.4826 * float(np.median(np.abs(known - middle)))
    if name in ("folded", "doubtful"):  # most studies have none: one frame, or a thousandth of the voxels, is little
        spread = max(spread, 1.0 if name == "doubtful" else 1e-3)
    scores: np.ndarray = (values - middle) / max(spread, _NARROWEST * abs(middle), 1e-12)
    return np.maximum(scores, 0.0) if name in _HIGH else np.abs(scores)


def _failed(path: Path) -> list[Row]:
    """The studies that failed, by the table."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = {row["study"]: row for row in csv.DictReader(file)}
    except (OSError, KeyError, csv.Error):
        return []
    return [
        {"study": row["study"], "status": row["status"], "message": row["message"]}
        for row in rows.values()
        if row["status"] != "ok"
    ]
