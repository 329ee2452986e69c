"""The application and the headless report say the same of the same motion."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")

from TemporalRegistrationLib.kinds.cine_nodes import addResults  # noqa: E402
from TemporalRegistrationLib.nodes.sequences import addCine  # noqa: E402
from TemporalRegistrationLib.nodes.tables import columnOf  # noqa: E402
from TemporalRegistrationLib.show import doubts  # noqa: E402

from DeepRegLogic import Labels, Results, register_cine  # noqa: E402
from DeepRegLogic.progress import CancelToken  # noqa: E402
from DeepRegLogic.report import tables  # noqa: E402
from DeepRegLogic.report.summary import summary  # noqa: E402
from DeepRegLogic.results.doubts import REASONS  # noqa: E402
from DeepRegLogic.results.results import Results as Unpacked  # noqa: E402
from DeepRegLogic.service import exchange  # noqa: E402
from DeepRegLogic.service.calls import CALLS  # noqa: E402
from DeepRegLogic.synthetic import cine_phantom  # noqa: E402


@pytest.fixture(scope="module")
def phantom():
    return cine_phantom(2, view="four-chamber", frames=10, size=64, spacing=3.0)


@pytest.fixture(scope="module", params=["labels", "nothing drawn"])
def results(request, phantom) -> Results:
    motion = register_cine(phantom.cine, "dragnet-cardiac", reference=0, refine=False, device="cpu")
    # as if one frame folded and one were inconsistent
    quality = list(motion.quality)
    quality[3] = replace(quality[3], folded=0.01)
    quality[5] = replace(quality[5], inverse_consistency_high=0.7, inconsistent_at=(3, 4, 0))
    motion = replace(motion, quality=tuple(quality))
    labels = Labels.of_map(phantom.labels[0], phantom.label_names) if request.param == "labels" else None
    return Results(motion, phantom.cine, labels)


def test_every_figure_of_every_frame_is_the_same(scene, results, tmp_path):
    nodes = addResults(results, addCine(results.cine))
    tables.write_csv(tmp_path / "frames.csv", tables.frame_rows(results))
    with open(tmp_path / "frames.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    pairs = {
        "error_after": "error after",
        "folded": "folded",
        "motion_mean_mm": "motion mean",
        "inverse_consistency_high_voxels": "inverse consistency high",
        "deviation_mean_mm": "uncertainty mean",
        "jacobian_min": "jacobian min",
    }
    for column, shown in pairs.items():
        np.testing.assert_allclose(columnOf(nodes.table, shown), [float(row[column]) for row in rows], rtol=1e-5)
    if results.labels is not None:
        for value, name in results.label_names.items():
            areas = [float(row[f"label_{value}_mm2"]) for row in rows]
            np.testing.assert_allclose(columnOf(nodes.sizes, name), areas, rtol=1e-5)
            unsure = [float(row[f"label_{value}_deviation_mm"]) for row in rows]
            np.testing.assert_allclose(columnOf(nodes.labelUncertainty, f"{name} mean"), unsure, rtol=1e-5)


def test_the_same_frames_are_doubtful_for_the_same_reasons(scene, results):
    nodes = addResults(results, addCine(results.cine))
    expected = {frame: [REASONS[reason] for reason in reasons] for frame, reasons in results.doubts().items()}
    assert doubts.doubts(nodes.table) == expected
    assert {3, 5} <= set(expected)
    content = tables.report_content(results, "x", {}, {})
    assert content["doubtful"] == {str(frame): list(reasons) for frame, reasons in results.doubts().items()}
    text = summary(results)
    assert "The motion folds in frame 3 (up to 1.00% of the voxels)." in text
    assert "not consistent in frame 5: the inverse-consistency error reaches 0.7 voxels" in text
    assert "around voxel (3, 4, 0) of frame 5" in text


def test_the_uncertainty_is_over_what_a_reader_can_use_and_says_so(results):
    shown = results.statistics["uncertainty", "mean"][results.key_frame]
    inside = results.map("uncertainty")[results.key_frame][results.region]
    assert shown == pytest.approx(inside.mean(dtype=float))
    words = "the labels" if results.labels is not None else "tissue that moves by 1 mm or more"
    assert results.region_name == words
    assert f"displacement of {words}: {shown:.1f} mm" in summary(results)


def test_the_worker_hands_over_the_very_same(results, tmp_path):
    cine = results.cine
    arguments = {"cine": exchange.pack_cine(tmp_path, "frames", cine), "model": "dragnet-cardiac", "refine": False}
    arguments |= {"reference": 0, "device": "cpu", **exchange.pack_drawn(tmp_path, results.labels, None)}
    answer = json.loads(json.dumps(CALLS["register_cine"](tmp_path, arguments, progress=None, cancel=CancelToken())))
    place = tmp_path / "results"
    motion = exchange.unpack_motion(place, answer["motion"])
    names = None if results.labels is None else results.labels.names
    again = Unpacked(motion, cine, Labels.of_masks(None if names is None else results.labels.masks, names))
    exchange.unpack_results(place, answer["results"], again)
    for name in results.maps:
        np.testing.assert_array_equal(again.map(name), results.map(name))
    for key, values in results.statistics.items():
        np.testing.assert_allclose(again.statistics[key], values)
    np.testing.assert_array_equal(again.carried, results.carried)
