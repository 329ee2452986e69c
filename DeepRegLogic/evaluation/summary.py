"""Many cases in one table: what a paper's table says of every figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .figures import FIGURES

if TYPE_CHECKING:
    from .evaluate import Row


def summarise(cases: Sequence[Row]) -> list[Row]:
    """One row a figure that is known of some case: title, unit, number of cases, mean, deviation and quantiles."""
    rows: list[Row] = []
    for name, figure in FIGURES.items():
        values = np.array([case[name] for case in cases if name in case], float)
        values = values[np.isfinite(values)]
        if values.size:
            row: Row = {"figure": name, "title": figure.title, "unit": figure.unit, "cases": int(values.size)}
            rows.append(row | distribution(values))
    return rows


def distribution(values: np.ndarray) -> dict[str, float]:
    """Mean, standard deviation and quantiles of finite numbers ``[n]``, by the names of columns."""
    quantiles = np.percentile(values, (0, 25, 50, 75, 100))
    names = ("min", "quartile_1", "median", "quartile_3", "max")
    spread = {"mean": float(values.mean()), "sd": float(values.std(ddof=1)) if values.size > 1 else 0.0}
    return spread | dict(zip(names, map(float, quantiles), strict=True))
