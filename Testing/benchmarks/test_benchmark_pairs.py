"""The comparison of pairs runs end to end on real pairs, where there are some."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pairs_table
import pytest
from independent import methods, metrics, pairs

needs_data = pytest.mark.skipif(not pairs.DATA.is_dir(), reason=f"there are no real images in {pairs.DATA}")


@needs_data
def test_a_small_table(tmp_path: Path) -> None:
    ours = ["--ours", "none:standard:levels=((4,10),)", "--methods"]
    text = pairs_table.run(pairs_table.parsed(["--kinds", "edes", "--pairs", "1", *ours, "--output", str(tmp_path)]))
    rows = json.loads((tmp_path / "pairs.json").read_text())["rows"]
    aligned, ours_row = rows
    assert aligned["method"] == "aligned"
    assert ours_row["dice"] > aligned["dice"]
    assert ours_row["peak_mb"] > 30
    assert "| edes | same |" in text


@needs_data
def test_the_score_of_an_alignment_is_that_of_its_matrix() -> None:
    (pair,) = pairs.pairs("hippocampus", 1)
    still = np.zeros((3, *pair.frames.shape[1:]), np.float32)
    found = pair.score(still, still)
    assert 0.5 < found["dice"] < 1
    assert found["folded"] == found["sd_log_j"] == found["inverse_consistency"] == 0


def test_contrasts_keep_the_background_and_the_range() -> None:
    image = np.linspace(0, 1, 60).reshape(3, 4, 5)
    for change in pairs.CONTRASTS.values():
        changed = change(image)
        assert changed[0, 0, 0] == 0
        assert 0 <= changed.min() <= changed.max() <= 2.1


def test_every_peer_for_pairs_is_known_by_its_name() -> None:
    for name in methods.PAIR_PEERS:
        assert methods.method_of(name) is methods.PAIR_PEERS[name]
    assert "`register_pair`" in methods.method_of("pair none").setting


def test_labels_go_where_most_of_their_weight_is() -> None:
    labels = np.array([[1, 1, 2, 2]])
    places = metrics.identity((1, 4)) + np.array([0.0, 0.4]).reshape(2, 1, 1)
    assert metrics.labels_at(labels, places).tolist() == [[1, 1, 2, 2]]
    places = metrics.identity((1, 4)) + np.array([0.0, 0.6]).reshape(2, 1, 1)
    assert metrics.labels_at(labels, places).tolist() == [[1, 2, 2, 2]]
