"""The lemniscate benchmark runs, and its figures are those of the images."""

import numpy as np
import pytest
from lemniscates import evaluate, paired, show

from DeepRegLogic.synthetic import lemniscate_batch
from DeepRegLogic.training.subjects import TEST_SEED


def test_doing_nothing_has_the_error_of_the_images(capsys: pytest.CaptureFixture) -> None:
    result = evaluate({"none": None}, 3, "cpu")
    images = lemniscate_batch(range(TEST_SEED, TEST_SEED + 3), "WIDE")
    expected = np.square(images[:, 1:] - images[:, :1]).mean((2, 3))
    row = result["recipes"]["WIDE"]["none"]
    for direction in ("onto the frames", "onto the reference"):
        assert row[direction]["mean"] == pytest.approx(expected.mean(), rel=1e-4)
        assert row[direction]["last frame"] == pytest.approx(expected[:, -1].mean(), rel=1e-4)
    assert row["folded pixels"] == 0
    show(result)
    assert "WIDE, 3 sequences" in capsys.readouterr().out


def test_paired_differences() -> None:
    assert paired(np.array([1.0, 2.0, 3.0, -2.0])) == {
        "mean": 1.0,
        "standard error": pytest.approx(np.std([1, 2, 3, -2], ddof=1) / 2),
        "positive": 3,
    }
