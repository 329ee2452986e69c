"""Figures and tables say what the motion is, in millimetres and the right way up."""

from __future__ import annotations

import csv
import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from DeepRegLogic import Cancelled, CancelToken, Cine, FrameQuality, Grid, InputError, Labels, Motion, Results
from DeepRegLogic.progress import Reporter
from DeepRegLogic.report import figures, tables, write_figures
from DeepRegLogic.report.style import grey_window
from DeepRegLogic.report.summary import summary
from DeepRegLogic.report.view import SliceView, scale_bar

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def test_axial_slice_is_shown_as_stored():
    view = SliceView.of(Grid((4, 3, 1), (1.0, 2.0, 5.0), direction=AXIAL))
    array = np.arange(12).reshape(3, 4)
    np.testing.assert_array_equal(view.image(array), array)
    assert view.extent == (0.0, 4.0, 6.0, 0.0)


def test_ras_slice_is_turned_so_that_the_patients_left_and_back_come_last():
    view = SliceView.of(Grid((4, 3, 1), direction=(-1.0, 0, 0, 0, -1.0, 0, 0, 0, 1.0)))
    array = np.arange(12).reshape(3, 4)
    np.testing.assert_array_equal(view.image(array), array[::-1, ::-1])
    np.testing.assert_allclose(view.field(np.ones((2, 3, 4)))[:, 0, 0], (-1.0, -1.0))


def test_slice_with_head_along_columns_is_stood_up(beating):
    cine, motion, _ = beating
    view = SliceView.of(cine.grid)
    assert view.transpose
    assert not view.flip_rows  # i runs from head to foot already
    assert view.shape == (48, 40)
    assert view.spacing == (1.5, 2.0)
    np.testing.assert_array_equal(view.image(cine.frames[0]), cine.frames[0].T)
    down, across = view.field(motion.displacement[3])
    np.testing.assert_allclose(down, motion.displacement[3, 1].T * 1.5)
    np.testing.assert_allclose(across, motion.displacement[3, 0].T * 2.0)


def test_volume_is_shown_by_its_middle_slice():
    view = SliceView.of(Grid((5, 4, 7), (1.0, 1.5, 8.0)))
    array = np.random.default_rng(0).random((2, 7, 4, 5))
    np.testing.assert_array_equal(view.image(array), array[:, 3])
    field = np.stack([np.full((7, 4, 5), v, dtype=np.float32) for v in (9.0, 2.0, 1.0)])
    np.testing.assert_allclose(view.field(field)[:, 0, 0], (3.0, 1.0))


def test_motion_of_another_cine_is_refused(beating):
    cine, motion, _ = beating
    other = dataclasses.replace(cine, grid=dataclasses.replace(cine.grid, origin=(0.0, 0.0, 0.0)))
    with pytest.raises(InputError, match="does not belong"):
        Results(motion, other)


def test_every_figure_is_written_with_content(results, tmp_path):
    files = write_figures(tmp_path, results)
    assert sorted(f.name for f in files) == sorted(p.name for p in tmp_path.iterdir())
    names = {"montage.png", "checkerboard_before.png", "checkerboard_after.png", "curves.png", "jacobian.png"}
    assert {f.name for f in files} == {*names, "figures.pdf", "motion.gif"}
    for name in names:
        pixels = np.asarray(Image.open(tmp_path / name).convert("RGB"))
        assert min(pixels.shape[:2]) > 200, name
        assert pixels.std() > 10, name


def test_animation_plays_every_frame_at_the_speed_of_the_cine(results, tmp_path):
    write_figures(tmp_path, results)
    with Image.open(tmp_path / "motion.gif") as gif:
        assert gif.n_frames == 6
        assert gif.info["loop"] == 0
        assert gif.info["duration"] == 50


def test_cancel_between_figures(results, tmp_path):
    token = CancelToken()

    def stop(fraction: float, text: str) -> None:
        if "curves" in text:
            token.cancel()

    with pytest.raises(Cancelled):
        write_figures(tmp_path, results, Reporter(stop, token))


def test_figures_of_a_cine_without_labels_or_times(beating, tmp_path):
    cine, motion, _ = beating
    plain = Results(dataclasses.replace(motion, times=None), dataclasses.replace(cine, times=None))
    write_figures(tmp_path, plain)
    rows = tables.frame_rows(plain)
    assert "time_s" not in rows[0]
    with Image.open(tmp_path / "motion.gif") as gif:
        assert gif.info["duration"] == 100


def test_figures_of_two_frames_in_3d(tmp_path):
    rng = np.random.default_rng(1)
    grid = Grid((10, 12, 4), (1.0, 1.0, 6.0))
    field = np.stack([np.zeros((3, 4, 12, 10)), 0.2 * rng.standard_normal((3, 4, 12, 10))]).astype(np.float32)
    still, moved = FrameQuality(0, 0, 0, 0, 0, 0, 0), FrameQuality(0.2, 0.1, 0, 0.01, 0.1, 0.3, 0.9)
    motion = Motion(grid, 0, field, -field, quality=(still, moved))
    labels = np.zeros(grid.shape, np.uint8)
    labels[1:3, 3:9, 3:7] = 1
    results = Results(motion, Cine(rng.random((2, *grid.shape)), grid), Labels.of_map(labels))
    assert results.sizes[1][0] == pytest.approx(2 * 6 * 4 * 6.0 / 1000)
    assert results.size_unit == "ml"
    assert len(write_figures(tmp_path, results)) == 7


def test_a_dark_image_with_a_few_bright_pixels_is_shown_bright_enough():
    rng = np.random.default_rng(0)
    frames = np.zeros((4, 64, 64))
    frames[:, 16:48, 16:48] = 100 + 20 * rng.standard_normal((4, 32, 32))
    frames[:, 50:56, 20:30] = 2000.0  # 1.5 % of the pixels
    low, high = grey_window(frames)
    assert low == 0
    assert 200 < high < 260
    even = rng.random((2, 64, 64))
    assert grey_window(even)[1] == pytest.approx(0.995, abs=0.01)
    assert grey_window(np.zeros((2, 8, 8))) == (0.0, 1.0)


def test_letters_and_scale_bar():
    assert SliceView.of(Grid((4, 3, 1), origin=(1.0, 0.0, 0.0), direction=AXIAL)).letters == ("R", "L", "A", "P")
    coronal = (1.0, 0, 0, 0, 0, 1.0, 0, -1.0, 0)  # i to the left, j to the feet
    assert SliceView.of(Grid((4, 3, 1), direction=coronal)).letters == ("R", "L", "H", "F")
    c, s = np.cos(0.6), np.sin(0.6)
    oblique = (c, -s, 0.0, s, c, 0.0, 0.0, 0.0, 1.0)
    assert SliceView.of(Grid((4, 3, 1), direction=oblique)).letters == ("RA", "LP", "AL", "PR")
    assert SliceView.of(Grid((4, 3, 1))).letters is None  # a picture that says nothing of where it lies
    assert scale_bar(350.0) == (100.0, "10 cm")
    assert scale_bar(70.0) == (20.0, "2 cm")
    assert scale_bar(20.0) == (5.0, "5 mm")


def test_shown_frames_hold_the_reference_and_the_most_moved(results):
    assert figures.shown_frames(results, 8) == [0, 1, 2, 3, 4, 5]
    few = figures.shown_frames(results, 3)
    assert len(few) == 3
    assert {results.motion.reference, results.key_frame} <= set(few)


def test_frame_table(results, tmp_path):
    tables.write_csv(tmp_path / "frames.csv", tables.frame_rows(results))
    with open(tmp_path / "frames.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["frame"] for row in rows] == ["0", "1", "2", "3", "4", "5"]
    assert [row["reference"] for row in rows] == ["False", "True", "False", "False", "False", "False"]
    assert float(rows[3]["time_s"]) == pytest.approx(0.15)
    assert float(rows[3]["motion_max_mm"]) == pytest.approx(3.6)
    assert float(rows[1]["jacobian_min"]) == float(rows[1]["jacobian_max"]) == 1.0
    drawn = results.labels.as_map(results.carried)[1]
    assert float(rows[1]["label_2_mm2"]) == pytest.approx((drawn == 2).sum() * 3.0)
    shrunk = float(rows[3]["label_2_mm2"]) / float(rows[1]["label_2_mm2"])
    assert shrunk == pytest.approx(np.exp(-2 * 0.3), abs=0.06)  # a velocity of -0.3 r shrinks every radius by exp(-0.3)


def test_summary_says_what_looks_wrong(results):
    assert summary(results) == (
        "6 frames were registered to frame 1: the mean difference to it went from 11.0% to 2.3% of the intensity "
        "range. Tissue moved up to 3.6 mm (frame 3). No voxel folds."
    )
    quality = list(results.motion.quality)
    quality[4] = dataclasses.replace(
        quality[4], folded=0.01, error_after=0.5, inverse_consistency_high=3.0, inconsistent_at=(30, 4, 0)
    )
    bad = results.with_motion(dataclasses.replace(results.motion, quality=tuple(quality)))
    assert bad.doubts() == {4: ("residual", "folding", "inconsistent")}
    text = summary(bad)
    assert "folds in frame 4 (up to 1.00% of the voxels)" in text
    assert "No voxel folds" not in text
    assert "The images still differ in frame 4." in text
    assert "the inverse-consistency error reaches 3.0 voxels around voxel (30, 4, 0) of frame 4." in text
    assert text.endswith("Check frame 4.")
    quality[3] = dataclasses.replace(quality[3], folded=0.02)
    several = summary(results.with_motion(dataclasses.replace(results.motion, quality=tuple(quality))))
    assert "folds in frames 3 and 4 (up to 2.00% of the voxels)" in several
    assert several.endswith("Check frames 3 and 4.")


def test_report_is_json_whatever_the_provenance_holds(results, tmp_path):
    motion = dataclasses.replace(results.motion, provenance={"steps": np.int64(3), "where": tmp_path, "set": {2, 1}})
    content = tables.report_content(results.with_motion(motion), "disc", {"roi": ((1, 2), (3, 4))}, {"read": 0.12345})
    tables.write_json(tmp_path / "report.json", content)
    again = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert again["provenance"] == {"steps": 3, "where": str(tmp_path), "set": [1, 2]}
    assert again["input"]["spacing_mm"] == [1.5, 2.0, 8.0]
    assert again["seconds"] == {"read": 0.123}
    assert again["versions"]["numpy"] == np.__version__
    assert again["frames"][1]["reference"] is True
