"""Parts of a case have the true motion between their frames, and steps round a cycle close."""

from __future__ import annotations

import numpy as np
import pytest

from . import cases, metrics, modes
from .methods import Found


@pytest.fixture(scope="module", params=["short-axis", "joint"])
def case(request) -> cases.Case:
    return cases.make(request.param, 2, frames=5, size=64, spacing=3.0)


def test_motion_between_two_frames_is_that_of_the_continuous_map(case):
    first, second = case.systole, len(case.frames) - 1
    grid = cases.points_of(case.labels.shape[1:], case.spacing)
    there = case.motion.forward(case.motion.inverse(grid, case.phases[first]), case.phases[second])
    apart = np.linalg.norm(modes.between(case, first, second) * 3.0 - (there - grid), axis=0)
    part = modes.step(case, first, second)
    assert apart[part.masks["organ"]].max() < 0.15
    assert apart[part.masks["organ"]].mean() < 0.01
    assert np.array_equal(part.forward[1], modes.between(case, first, second))
    assert np.array_equal(part.inverse[1], modes.between(case, second, first))


def test_a_pair_is_the_reference_and_end_systole(case):
    (part,) = modes.pair(case)
    assert np.array_equal(part.frames, case.frames[[0, case.systole]])
    assert np.allclose(part.forward[1], case.forward[case.systole], atol=1e-4)
    assert np.array_equal(part.masks["organ"], case.masks["organ"])
    assert part.times[1] == pytest.approx(case.times[case.systole])


def test_neighbours_go_round_a_cycle_and_no_further_than_the_end_elsewhere(case):
    parts = modes.neighbours(case)
    assert len(parts) == (5 if case.cyclic else 4)
    assert case.cyclic == (case.kind == "short-axis")
    for t, part in enumerate(parts):
        assert np.array_equal(part.frames, case.frames[[t, (t + 1) % 5]])
        assert part.times[1] == pytest.approx(case.times[1])
        if case.centre is not None:
            assert part.labels[0][tuple(np.round(part.centre).astype(int))] == 1


def test_true_steps_close_and_a_constant_error_adds_up():
    case = cases.make("short-axis", 2, frames=5, size=64, spacing=3.0)
    parts = modes.neighbours(case)
    steps = [part.forward[1] for part in parts]
    assert modes.loop(case, steps) < 0.1
    wrong = np.zeros_like(steps[0])
    wrong[1] = 0.1  # voxels of 3 mm, five times
    assert modes.loop(case, [step * 0 + wrong for step in steps]) == pytest.approx(1.5)
    row = modes.measured(case, parts, [Found(part.forward, part.inverse) for part in parts])
    assert row["epe"] == 0
    assert row["loop"] < 0.1
    still = modes.measured(case, parts, [Found(part.forward * 0) for part in parts])
    assert still["epe"] == pytest.approx(np.mean([metrics.measure(p, p.forward * 0)["epe"] for p in parts]))


def test_steps_of_a_sequence_are_those_parts_and_the_last_one_closes():
    case = cases.make("short-axis", 2, frames=5, size=64, spacing=3.0)
    parts = modes.neighbours(case)
    forward, inverse = (np.stack([getattr(part, name)[1] for part in parts]) for name in ("forward", "inverse"))
    for steps in (5, 4):
        found = modes.as_parts(case, Found(forward[:steps], inverse[:steps]))
        row = modes.measured(case, parts, found)
        assert row["epe"] < 0.03
        assert row["loop"] < 0.1
        assert [each.forward.shape for each in found] == [part.forward.shape for part in parts]


def test_whole_cines_have_no_loop():
    case = cases.make("short-axis", 2, frames=5, size=64, spacing=3.0)
    assert modes.measured(case, [case], [Found(case.forward, case.inverse)])["epe"] == 0
    assert "loop" not in modes.measured(case, [case], [Found(case.forward, case.inverse)])
