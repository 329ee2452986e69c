"""Real images are read as they are meant, and what is told of a field is right where that is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from . import real
from .methods import Found
from .metrics import identity


def test_a_cine_begins_at_end_diastole(real_images: Path) -> None:
    (case,) = real.cines(real_images)
    assert case.frames.shape == (4, 40, 36)
    assert case.spacing == pytest.approx((1.4, 1.5))
    assert case.times == pytest.approx([0, 0.04, 0.08, 0.12])
    assert case.systole == 2
    assert np.array_equal(case.frames[0] > 0, case.labels[0] > 0)
    assert np.array_equal(case.frames[case.systole] > 0, case.labels[1] > 0)
    assert not list(real.stacks(real_images))
    assert not list(real.ultrasound(real_images))


def test_what_is_told_of_a_shift_is_right(real_images: Path) -> None:
    for case in (*real.cines(real_images), *real.pairs(real_images)):
        down = np.zeros((len(case.frames), 2, 40, 36), np.float32)
        for t, frame in enumerate(case.frames):
            down[t, 0] = (identity(frame.shape)[0] * frame).sum() / frame.sum() - 17
        row = real.measured(case, Found(down, -down))
        assert row["dice_es"] == 1
        assert row["hd95_es"] == row["folded"] == row["sd_log_j"] == row["inverse_consistency"] == 0
        assert row["rmse"] == pytest.approx(0, abs=1e-6)
        assert row["step"] == pytest.approx(np.abs(np.diff(down[:, 0, 0, 0])).mean() * case.spacing[0], rel=1e-5)
        assert real.measured(case, Found(down))["dice_es"] == 1
        still = real.measured(case, Found(down * 0))
        assert still["dice_es"] < 0.7
        assert still["hd95_es"] == pytest.approx(5 * case.spacing[0])
        assert still["rmse"] > 0.1
