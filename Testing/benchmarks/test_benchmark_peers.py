"""The comparison runs end to end: workers, modes, variations, tables and figures; a program that fails is told of."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import peers_table
import pytest
from independent import cases, methods, metrics
from independent.cache import drawn
from independent.methods.base import Run, by_dimension
from independent.vary import CLEAN, VARIATIONS
from independent.worker import registered

SMALL = ["--kinds", "vessel", "--cases", "1", "--frames", "4", "--size", "64"]


def run(folder: Path, *arguments: str) -> dict:
    modes = [] if "--modes" in arguments else ["--modes", "reference"]
    peers_table.run(
        peers_table.parsed([*SMALL, *modes, *arguments, "--output", str(folder), "--cache", str(folder / "cases")])
    )
    return json.loads((folder / "table.json").read_text())


def test_a_small_table(tmp_path: Path) -> None:
    found = run(tmp_path, "--ours", "--methods", "demons", "--vary", "flipped")
    clean, flipped = (
        {row["method"]: row for row in found["rows"] if row["variation"] == name} for name in ("clean", "flipped")
    )
    name = methods.PEERS["demons"].name
    assert clean["unregistered"]["epe"] == pytest.approx(flipped["unregistered"]["epe"])
    assert flipped["unregistered"]["epe_before"] == pytest.approx(clean["unregistered"]["epe"])
    assert flipped[methods.PEERS["demons"].name]["epe_before"] == pytest.approx(
        clean[methods.PEERS["demons"].name]["epe"], rel=1e-4
    )
    assert clean[name]["epe"] != clean["unregistered"]["epe"]
    assert clean[name]["seconds"] > 0
    assert clean[name]["peak_mb"] > 30
    assert {line["method"] for line in found["robustness"]} == {"unregistered", name}
    assert (tmp_path / "errors-vessel.png").stat().st_size > 10_000
    assert (tmp_path / "curves-vessel.png").stat().st_size > 10_000
    text = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert "## Robustness" in text
    assert methods.PEERS["demons"].setting in text


def test_all_variations_can_be_asked_for_at_once() -> None:
    found = peers_table.parsed(["--vary", "all", "--output", "out"]).vary
    assert set(found) == set(VARIATIONS) - {CLEAN}


def test_real_images_beside_them(tmp_path: Path, real_images: Path) -> None:
    found = run(tmp_path, "--ours", "--methods", "demons", "--data", str(real_images))
    rows = {(row["kind"], row["method"]): row for row in found["rows"] if row["mode"] == "real"}
    for kind in ("cine", "pair"):
        assert rows[kind, "SimpleITK demons"]["dice_es"] > rows[kind, "unregistered"]["dice_es"] + 0.1
    assert "there is no ultrasound in the folder of real images" in found["notes"]
    text = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert "cannot see turning" in text.split("## Real images")[1]


def test_neighbours_and_pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    patient = replace(methods.PEERS["demons"], name="patient", fewest=3)
    monkeypatch.setitem(methods.PEERS, "patient", patient)
    steps = run(tmp_path / "a", "--ours", "--methods", "demons", "--modes", "neighbours")["rows"]
    found = run(tmp_path / "b", "--ours", "--methods", "patient", "--modes", "pair")
    (ends,) = found["rows"]
    assert "patient is not run on vessel, 2 frames (pair)" in found["notes"]
    assert [row["loop"] > 0 for row in steps] == [False, True]  # who does not move comes back
    assert ends["epe"] == pytest.approx(ends["epe_es"])
    assert [path.name for path in (tmp_path / "a").glob("*.png")] == ["errors-neighbours.png"]


def test_a_method_that_fails_is_told_of() -> None:
    case = cases.make("vessel", 0, frames=2, size=48)
    case.spacing = (0.0, 0.0)
    ((record, found),) = registered("demons", [case], limit=60)
    assert found is None
    assert record["error"]
    ((record, found),) = registered("no such method", [case], limit=60)
    assert found is None
    assert "KeyError" in record["error"]


def test_ours_says_what_it_was_made_with() -> None:
    case = cases.make("short-axis", 0, frames=3, size=96)
    for token, words in (("fast", "not refined"), ("none:standard:smoothness=2,levels=((4,3),)", "smoothness 2")):
        found = methods.method_of(f"ours {token}").run(case.frames, case.spacing, case.times)
        assert words in found.made_with
        assert ("no network" in found.made_with) == token.startswith("none")
        error = metrics.measure(case, found.forward, found.inverse)["epe"]
        assert error < metrics.measure(case, case.forward * 0)["epe"]


def test_ours_has_calls_of_its_own_for_pairs_and_neighbours() -> None:
    case = cases.make("short-axis", 0, frames=3, size=64, spacing=3.6)
    steps = methods.method_of("sequence none:standard:levels=((4,3),)").run(case.frames, case.spacing, case.times)
    assert steps.forward.shape == (2, 2, 64, 64)
    pair = methods.method_of("pair fast").run(case.frames[:2], case.spacing, case.times[:2])
    assert "voxelmorph-cardiac" in pair.made_with
    assert not pair.forward[0].any()
    assert pair.forward[1].any()


def test_slices_and_stacks_have_settings_of_their_own() -> None:
    def said(word: str) -> Run:
        return lambda frames, spacing, times: methods.Found(frames, made_with=word)

    run = by_dimension(said("plane"), said("stack"))
    assert run(np.zeros((2, 8, 8)), (1.0, 1.0), np.arange(2)).made_with == "plane"
    assert run(np.zeros((2, 8, 8, 8)), (1.0, 1.0, 1.0), np.arange(2)).made_with == "stack"


def test_cases_are_kept(tmp_path: Path) -> None:
    first = drawn(tmp_path, "vessel", 1, frames=2, size=48)
    (path,) = tmp_path.iterdir()
    again = drawn(tmp_path, "vessel", 1, frames=2, size=48)
    assert np.array_equal(first.frames, again.frames)
    assert list(tmp_path.iterdir()) == [path]
    drawn(tmp_path, "vessel", 1, frames=2, size=48, noise=2.0)
    assert len(list(tmp_path.iterdir())) == 2
