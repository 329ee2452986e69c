"""The program that shows how cost grows runs end to end, and its exponents are those of the numbers in the table."""

from __future__ import annotations

import csv
from pathlib import Path

import cost
import pytest


def test_a_power_law_is_found() -> None:
    rows = [{"frames": n, "size": n, "cpu_seconds": 0.1 * n**2} for n in (4, 8, 16)]
    assert cost.exponent(rows, "frames") == pytest.approx(2)
    assert cost.exponent(rows, "size") == pytest.approx(1)  # of the pixels


def test_a_small_table_and_its_figure(tmp_path: Path) -> None:
    options = ["--ours", "--methods", "demons", "--frames", "2", "4", "--size", "32", "48", "--output", str(tmp_path)]
    text = cost.run(cost.parsed(options))
    with (tmp_path / "cost.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["grows"], row["frames"], row["size"]) for row in rows] == [
        ("frames", "2", "128"), ("frames", "4", "128"), ("size", "20", "32"), ("size", "20", "48"),
    ]  # fmt: skip
    assert all(float(row["cpu_seconds"]) > 0 and float(row["peak_mb"]) > 30 for row in rows)
    assert "| SimpleITK demons |" in text
    assert (tmp_path / "cost.png").stat().st_size > 10_000
