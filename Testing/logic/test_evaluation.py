"""Figures against numbers worked out by hand: overlap, surfaces, intensities, folds, and the whole of a motion."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from DeepRegLogic import Cine, Grid, InputError, Motion, Results
from DeepRegLogic.evaluation import deformation, intensity
from DeepRegLogic.evaluation.evaluate import LabelMap, Truth, evaluate
from DeepRegLogic.evaluation.overlap import overlap, surface_distances
from DeepRegLogic.evaluation.phase import phase_congruency
from DeepRegLogic.evaluation.summary import summarise

pytestmark = pytest.mark.usefixtures("one_thread")


def test_overlap_of_two_boxes():
    a, b = np.zeros((2, 20, 30), bool)
    a[5:15, 5:15], b[5:15, 8:18] = True, True
    found = overlap(a, b, (2.0, 1.5))
    assert found["dice"] == pytest.approx(0.7)
    assert found["iou"] == pytest.approx(70 / 130)
    assert found["volume_difference"] == pytest.approx(0.0)
    assert found["hd95"] == pytest.approx(4.5)  # three columns of 1.5 mm
    # left and right sides of 10 voxels are 3 columns off; of the other 16 three lie outside, 1, 2 and 3 columns off
    there, back = surface_distances(a, b, (2.0, 1.5))
    assert len(there) == len(back) == 36
    assert there.max() == pytest.approx(4.5)
    assert found["assd"] == pytest.approx(np.concatenate([there, back]).mean())
    assert overlap(a[:10], b[:10] & False, (1.0, 1.0))["dice"] == 0.0


def test_surface_distances_of_volumes_are_those_between_all_pairs_of_voxels():
    random = np.random.default_rng(0)
    masks = [torch.nn.functional.avg_pool3d(torch.from_numpy(random.random((1, 12, 14, 10))), 3, 1, 1)[0].numpy() > 0.5
             for _ in range(2)]  # fmt: skip
    spacing = (3.0, 1.0, 2.0)

    def surface(mask: np.ndarray) -> np.ndarray:
        padded = np.pad(mask, 1)
        inner = padded.copy()
        for axis in range(3):
            inner &= np.roll(padded, 1, axis) & np.roll(padded, -1, axis)
        return (np.argwhere(padded & ~inner) - 1) * spacing

    ours = surface_distances(*masks, spacing)
    points = [surface(mask) for mask in masks]
    apart = np.linalg.norm(points[0][:, None] - points[1], axis=2)
    for found, expected in zip(ours, (apart.min(1), apart.min(0)), strict=True):
        np.testing.assert_allclose(np.sort(found), np.sort(expected), atol=1e-5)


def test_figures_that_mean_nothing_are_not_numbers():
    empty, full = np.zeros((8, 8)), np.ones((8, 8))
    assert all(np.isnan(value) for value in overlap(empty, empty, (1.0, 1.0)).values())
    found = overlap(empty, full, (1.0, 1.0))
    assert found["dice"] == 0
    assert found["volume_difference"] == -100
    assert np.isnan(found["hd95"])
    assert np.isnan(intensity.ncc(full, full))


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    noise = torch.randn(1, 1, 64, 72, generator=torch.Generator().manual_seed(0))
    from DeepRegLogic import flow

    image = flow.smooth(noise, 1.5)[0, 0].numpy()
    return (image - image.min()) / np.ptp(image)


def test_intensities_of_equal_and_of_changed_images(picture):
    same = intensity.similarity(picture, picture, 0.0, 1.0)
    assert same == pytest.approx({"rmse": 0, "ncc": 1, "nmi": 2, "ssim": 1, "fsim": 1}, abs=1e-4)
    other = intensity.similarity(1 - picture, picture, 0.0, 1.0)
    assert other["ncc"] == pytest.approx(-1)
    assert other["nmi"] == pytest.approx(2.0, abs=0.05)  # each value has its partner
    assert intensity.rmse(picture + 0.1, picture) == pytest.approx(0.1)
    scaled = intensity.similarity(40 * picture + 100, 40 * picture + 104, 100.0, 140.0)
    assert scaled["rmse"] == pytest.approx(0.1)
    random = np.random.default_rng(0)
    worse = [picture + s * random.normal(size=picture.shape) for s in (0.02, 0.1, 0.4)]
    for name in ("ssim", "fsim", "nmi"):
        values = [intensity.similarity(image, picture, 0.0, 1.0)[name] for image in worse]
        assert values == sorted(values, reverse=True)
        assert 0 < values[-1] < values[0] < same[name]


def test_structural_similarity_is_that_of_its_definition():
    a, b = np.full((16, 16), 0.5), np.full((16, 16), 0.25)
    constant = 0.01**2
    assert intensity.ssim(a, b) == pytest.approx((2 * 0.5 * 0.25 + constant) / (0.25 + 0.0625 + constant), rel=1e-4)
    assert intensity.ssim(np.zeros((4, 20, 20)), np.zeros((4, 20, 20))) == pytest.approx(1.0)  # a few slices


def test_phase_congruency_finds_lines_whatever_the_contrast():
    image = np.zeros((64, 64))
    image[:, 32:] = 1.0
    strong, weak = phase_congruency(100 * image), phase_congruency(2 * image)
    inner = np.s_[16:48, 16:48]  # the image has another edge where it meets itself
    assert strong[inner].max(0).argmax() in (15, 16)
    assert strong[inner][:, 15:17].min() > 0.5 > strong[inner][:, 4:10].max()
    np.testing.assert_allclose(weak[inner][:, 15:17], strong[inner][:, 15:17], atol=0.05)


def test_variance_over_the_frames():
    frames = np.stack([np.full((4, 4), value) for value in (0.0, 2.0, 4.0)])
    assert intensity.intensity_variance(frames, 0.0, 10.0) == pytest.approx(8 / 3 / 100)


def test_folds_and_their_volume():
    for ndim in (2, 3):
        still = torch.zeros(1, ndim, *[9] * ndim)
        assert deformation.folded_volume(still) == 0
        mirrored = still.clone()
        mirrored[:, 0] = -2 * torch.arange(9.0).view(-1, *[1] * (ndim - 1))
        assert deformation.folded_volume(mirrored) == pytest.approx(1.0)  # every cell is turned over
        half = still.clone()
        half[:, 0] = 0.5 * torch.arange(9.0).view(-1, *[1] * (ndim - 1))
        found = deformation.regularity(half[0].numpy(), half[0].numpy())
        assert found["folded"] == found["folded_volume"] == found["sd_log_j"] == 0
    swapped = torch.zeros(1, 2, 9, 9)
    swapped[0, 1, 4, 4] = 1.5  # one voxel is pulled over its right neighbour
    found = deformation.regularity(swapped[0].numpy(), np.zeros((2, 9, 9), np.float32))
    assert 0 < found["folded_volume"] < found["folded"]
    # of both triangles with an edge along the row between them: twice 0.5 / 2 cells, on both sides of the row
    assert found["folded_volume"] == pytest.approx(100 * 2 * (0.25 + 0.25) / 2 / 64)
    assert found["inverse_consistency"] == pytest.approx(1.5 / 81)


def test_change_from_frame_to_frame():
    fields = np.zeros((3, 3, 4, 4))
    fields[1, 0] = 2.0
    assert deformation.temporal_gradient(fields, cyclic=True).tolist() == [2, 2, 0]
    assert np.isnan(deformation.temporal_gradient(fields, cyclic=False)[-1])


GRID = Grid((40, 36, 1), (1.5, 2.0, 8.0), (5.0, 7.0, 0.0))


@pytest.fixture(scope="module")
def shifted() -> tuple[Results, np.ndarray]:
    """A cine in which everything moves by two and then four columns of 1.5 mm; found without an error."""
    noise = np.random.default_rng(0).random((36, 48)).astype(np.float32)
    frames = np.stack([noise[:, 4 - s : 44 - s] for s in (0, 2, 4)])
    field = np.zeros((3, 2, 36, 40), np.float32)
    field[1, 1], field[2, 1] = 2, 4
    drawn = np.zeros((3, 36, 40), np.uint8)
    for t, s in enumerate((0, 2, 4)):
        drawn[t, 10:20, 10 + s : 20 + s] = 1
        drawn[t, 22:26, 10 + s : 20 + s] = 4
    motion = Motion(GRID, 0, field, -field, name="shift", provenance={"seconds": 2.0})
    return Results(motion, Cine(frames, GRID)), drawn


def test_a_motion_without_an_error(shifted):
    results, drawn = shifted
    start = GRID.voxel_to_mm(np.array([[12.0, 12.0], [15.0, 20.0]]))
    points = {t: start + np.array([3.0 * t, 0, 0]) for t in range(3)}
    labels = {t: LabelMap(each, GRID) for t, each in enumerate(drawn)}
    found = evaluate(results, Truth(labels, points, dict(enumerate(results.motion.displacement)), {1: "heart"}))
    case = found.case
    assert case["frames"] == 2
    assert case["dice"] == case["dice_carried"] == case["iou"] == 1.0
    assert case["dice_before"] == pytest.approx((0.8 + 0.6) / 2)
    assert case["hd95"] == case["assd"] == case["volume_difference"] == case["epe"] == 0.0
    assert case["tre"] == pytest.approx(0.0, abs=1e-5)
    assert case["tre_before"] == pytest.approx(4.5)
    assert case["temporal_gradient"] == pytest.approx(3.0)  # frame 2 has none after it
    assert case["seconds"] == 2.0
    assert case["rmse"] < 0.5 * case["rmse_before"]  # what came in from outside differs
    assert case["intensity_variance"] < 0.5 * case["intensity_variance_before"]
    assert [(row["frame"], row["label"], row["name"]) for row in found.labels] == [
        (1, 1, "heart"), (1, 4, "label 4"), (2, 1, "heart"), (2, 4, "label 4"),
    ]  # fmt: skip
    assert [row["frame"] for row in found.frames] == [1, 2]


def test_a_motion_that_was_not_found(shifted):
    results, drawn = shifted
    still = Results(Motion(GRID, 0, *np.zeros((2, 3, 2, 36, 40), np.float32)), results.cine)
    labels = {t: LabelMap(drawn[t], GRID) for t in (0, 2)}
    start = GRID.voxel_to_mm(np.array([[12.0, 12.0]]))
    truth = Truth(labels, {0: start, 2: start + np.array([6.0, 0, 0])}, {2: results.motion.displacement[2]})
    case = evaluate(still, truth).case
    assert case["dice"] == pytest.approx(0.6)
    assert case["dice_before"] == pytest.approx(0.6)
    assert case["hd95"] == pytest.approx(6.0)
    assert case["tre"] == case["tre_worst"] == pytest.approx(6.0)
    assert case["epe"] == case["epe_95"] == pytest.approx(6.0)


def test_labels_of_a_moving_image_on_another_grid(shifted):
    results, drawn = shifted
    pair = Motion(GRID, 0, results.motion.displacement[:2], results.motion.inverse[:2])
    fine = Grid((80, 36, 1), (0.75, 2.0, 8.0), (5.0 - 0.375, 7.0, 0.0))
    labels = {0: LabelMap(drawn[0], GRID), 1: LabelMap(np.repeat(drawn[1], 2, axis=1), fine)}
    case = evaluate(Results(pair, Cine(results.cine.frames[:2], GRID)), Truth(labels)).case
    assert case["dice"] == pytest.approx(1.0)


def test_truth_that_does_not_belong_is_refused(shifted):
    results, drawn = shifted
    label, start = LabelMap(drawn[0], GRID), np.zeros((2, 3))
    for truth, words in (
        (Truth({9: label}), "labels of frame 9"),
        (Truth({1: label}), "reference frame 0 of 'shift' has no labels"),
        (Truth(points={0: start, 1: start[:1]}), "Frame 1 has 1 landmarks"),
        (Truth(fields={1: np.zeros((2, 3, 3))}), "true field of frame 1"),
    ):
        with pytest.raises(InputError, match=words):
            evaluate(results, truth)
    with pytest.raises(InputError, match="is empty"):
        LabelMap(0 * drawn[0], GRID)


def test_many_cases_in_one_table():
    rows = summarise([{"dice": 0.5, "tre": 2.0}, {"dice": 0.7, "tre": np.nan}, {"dice": 0.9, "frames": 3}])
    dice, tre = rows
    assert (dice["figure"], dice["cases"], dice["median"]) == ("dice", 3, 0.7)
    assert dice["mean"] == pytest.approx(0.7)
    assert dice["sd"] == pytest.approx(0.2)
    assert (tre["cases"], tre["sd"]) == (1, 0.0)
