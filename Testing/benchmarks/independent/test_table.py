"""Means, intervals, tests and ratios of small tables are those worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from . import table


def row(method: str, seed: int, epe: float, variation: str = "clean", kind: str = "vessel") -> table.Row:
    figures = {"epe": epe, "epe_es": 2 * epe, "peak_mb": 100.0 + seed}
    return {"mode": "reference", "kind": kind, "seed": seed, "variation": variation, "method": method} | figures


def test_means_ratios_and_tests():
    rows = [row("ours a", s, 1.0 + 0.1 * s) for s in range(6)] + [row("other", s, 2.0 + 0.1 * s) for s in range(6)]
    rows += [row("ours a", s, 5.0, "noise") for s in range(2)]
    first, second = table.summary(rows, "ours a")
    assert first["epe"] == pytest.approx(1.25)
    assert first["n"] == 6
    assert first["peak_mb"] == 105  # the largest
    assert first["epe_low"] < 1.25 < first["epe_high"]
    assert "p_epe" not in first
    assert second["p_epe"] == pytest.approx(2 / 2**6)  # all six of one sign
    (line,) = table.robustness(rows)
    assert line["n"] == 2
    assert line["epe_ratio"] == pytest.approx(5 / 1.05)
    text = table.markdown([first, second], [line], {"processor": "slow"}, {"ours a": "a model"}, ["a note"])
    assert "| noise | 2 | 5.000 **(4.76)** |" in text
    assert "## Mode reference: accuracy" in text
    assert "| p | p at ES |" in text
    assert "- ours a: a model" in text
    assert "**vessel** (n = 6)" in text


def test_a_ratio_is_to_the_same_frames_and_tissue_where_they_are_known():
    rows = [row("ours a", 0, 1.0), row("ours a", 0, 2.0, "half-cycle") | {"epe_before": 1.6, "epe_es_before": 8.0}]
    (line,) = table.robustness(rows)
    assert line["epe_ratio"] == pytest.approx(1.25)
    assert line["epe_es_ratio"] == pytest.approx(0.5)


def test_modes_and_real_images_have_tables_of_their_own():
    rows = [row("ours a", 0, 1.0), row("ours a", 0, 3.0) | {"mode": "pair"}]
    rows += [
        {"mode": "real", "kind": "cine", "seed": s, "variation": "clean", "method": m, "dice_es": 0.9 + 0.01 * s}
        for s in range(2)
        for m in ("ours a", "other")
    ]
    lines = table.summary(rows, "ours a")
    assert [(line["mode"], line["kind"], line["method"]) for line in lines] == [
        ("reference", "vessel", "ours a"), ("pair", "vessel", "ours a"), ("real", "cine", "ours a"),
        ("real", "cine", "other"),
    ]  # fmt: skip
    text = table.markdown(lines, [], {}, {}, [])
    assert "| ours a | 0.905 [0.900, 0.910] |" in text
    assert "cannot see turning" in text


def test_kinds_are_summed_up_where_there_are_several():
    rows = [row("ours a", 0, 1.0), row("ours a", 0, 3.0, kind="joint")]
    assert [(line["kind"], line["epe"]) for line in table.summary(rows, None)] == [
        ("vessel", 1.0), ("joint", 3.0), (table.ALL, 2.0),
    ]  # fmt: skip


def test_an_interval_of_one_value_is_that_value():
    assert table.interval([3.0]) == (3.0, 3.0)
    low, high = table.interval(np.arange(50.0))
    assert low == pytest.approx(24.5 - 1.96 * np.std(np.arange(50)) / np.sqrt(50), abs=0.4)
    assert high == pytest.approx(24.5 + 1.96 * np.std(np.arange(50)) / np.sqrt(50), abs=0.4)


def test_nothing_is_tested_without_a_difference():
    assert np.isnan(table.paired({(0,): 1.0, (1,): 2.0}, {(0,): 1.0, (1,): 2.0}))
    assert np.isnan(table.paired({(0,): 1.0}, {(0,): 2.0}))
