"""Training items: the truth stays true under every choice of reference frame and every augmentation."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from DeepRegLogic import flow
from DeepRegLogic.cine import Cine, scaled_frames
from DeepRegLogic.errors import InputError
from DeepRegLogic.grid import Grid
from DeepRegLogic.io import write_cine
from DeepRegLogic.similarities import mse
from DeepRegLogic.training import subjects
from DeepRegLogic.training.configuration import (
    AugmentConfiguration,
    Configuration,
    DataConfiguration,
    read_configuration,
)
from DeepRegLogic.training.data import TrainingBatches, ValidationBatches, augment_geometry, collate, frame_order, take

SIZE = 64


def moving_blob(frames: int = 8) -> dict[str, torch.Tensor]:
    """A pattern of smooth blobs that moves on a closed path and swells, its displacement known in closed form."""
    grid = flow.identity((SIZE, SIZE))
    centre = (SIZE - 1) / 2
    phase = 2 * torch.pi * torch.arange(frames) / frames
    scale = 1 + 0.1 * (1 - phase.cos())
    shift = torch.stack([3 * phase.sin(), 4 * (1 - phase.cos())], dim=1)
    forward = torch.stack([(s - 1) * (grid - centre) + d.view(2, 1, 1) for s, d in zip(scale, shift, strict=True)])
    inverse = torch.stack(
        [(grid - centre - d.view(2, 1, 1)) / s - (grid - centre) for s, d in zip(scale, shift, strict=True)]
    )
    y, x = (grid[None] + inverse).unbind(1)
    images = 0.5 + 0.25 * torch.sin(y / 5) * torch.cos(x / 4) + 0.2 * torch.exp(-((y - 20) ** 2 + (x - 36) ** 2) / 90)
    return {
        "frames": (images * 255).round().to(torch.uint8),
        "displacement": forward.half(),
        "inverse": inverse.half(),
        "weight": torch.full((frames, SIZE, SIZE), 255, dtype=torch.uint8),
    }


def configuration(**augment: object) -> Configuration:
    data = DataConfiguration(kinds=("short-axis",), size=(SIZE, SIZE), frames=(3, 5), pool=1, validation=1)
    config = Configuration("n", "t", "s", "tlrn", data=data, augment=AugmentConfiguration(**augment))
    return replace(config, optimiser=replace(config.optimiser, batch=6))


def compensated_error(batch: dict[str, torch.Tensor], sign: float = 1.0) -> tuple[float, float]:
    """Mean squared difference of the frames to the reference, before and after the true motion, inside a margin."""
    reference = batch["reference"][:, None].expand_as(batch["frames"]).flatten(0, 1)
    frames, truth = batch["frames"].flatten(0, 1), batch["displacement"].flatten(0, 1)
    inner = (..., slice(14, -14), slice(14, -14))
    after = flow.warp(frames, sign * truth)
    return float(mse(frames[inner], reference[inner])), float(mse(after[inner], reference[inner]))


@pytest.mark.parametrize(
    "augment",
    [{}, {"flips": True}, {"rotation": 40.0}, {"scale": 0.3}, {"flips": True, "rotation": 30.0, "scale": 0.2}],
    ids=str,
)
def test_the_truth_stays_true(augment: dict) -> None:
    batches = TrainingBatches([moving_blob()], configuration(**augment), torch.device("cpu"), 7, 0)
    for number in range(4):
        batch = batches.batch(number)
        before, after = compensated_error(batch)
        assert after < 2e-4 < 0.02 * before
        assert compensated_error(batch, -1.0)[1] > before / 2


def test_without_augmentation_the_pixels_are_those_of_the_subject() -> None:
    subject = moving_blob()
    batch = collate([take(subject, [0, 2, 5], (SIZE, SIZE))])
    torch.testing.assert_close(batch["frames"][0, :, 0], subject["frames"][[2, 5]].float() / 255)
    torch.testing.assert_close(batch["displacement"][0], subject["displacement"][[2, 5]].float())
    generator = torch.Generator().manual_seed(0)
    assert augment_geometry(batch, AugmentConfiguration(), generator) is batch


def test_flips_move_pixels_without_changing_them() -> None:
    batch = collate([take(moving_blob(), [0, 1], (SIZE, SIZE))] * 16)
    turned = augment_geometry(batch, AugmentConfiguration(flips=True), torch.Generator().manual_seed(0))
    original = batch["reference"][0, 0]
    ways = [torch.rot90(f, k) for f in (original, original.flip(1)) for k in range(4)]
    found = [int(np.argmin([float((image - way).abs().max()) for way in ways])) for image in turned["reference"][:, 0]]
    for image, way in zip(turned["reference"][:, 0], found, strict=True):
        torch.testing.assert_close(image, ways[way], atol=1e-4, rtol=0)
    assert len(set(found)) > 4


def test_intensity_augmentation_stays_in_range_and_leaves_the_truth() -> None:
    plain = TrainingBatches([moving_blob()], configuration(), torch.device("cpu"), 7, 0).batch(0)
    strong = configuration(gamma=0.5, contrast=0.5, bias=0.5, gain=0.1, noise=0.1)
    changed = TrainingBatches([moving_blob()], strong, torch.device("cpu"), 7, 0).batch(0)
    torch.testing.assert_close(changed["displacement"], plain["displacement"])
    assert float((changed["frames"] - plain["frames"]).abs().mean()) > 0.02
    assert float(changed["frames"].min()) >= 0
    assert float(changed["frames"].max()) <= 1


def test_a_batch_has_a_number_and_comes_back() -> None:
    config = configuration(flips=True, noise=0.1)
    first = TrainingBatches([moving_blob()], config, torch.device("cpu"), 7, 0)
    stream = iter(TrainingBatches([moving_blob()], config, torch.device("cpu"), 7, 2))
    torch.testing.assert_close(next(stream), first.batch(2))
    torch.testing.assert_close(next(stream), first.batch(3))
    assert not torch.equal(first.batch(2)["reference"], first.batch(3)["reference"])


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0.0), (0.5, 0.5), (1.0, 1.0)])
def test_a_share_of_the_items_starts_anywhere(share: float, expected: float) -> None:
    config = configuration()
    config = replace(config, data=replace(config.data, random_reference=share))
    batches = TrainingBatches([moving_blob()], config, torch.device("cpu"), 7, 0)
    phases = torch.cat([batches.batch(number)["phase"][:, 0] for number in range(150)])
    count = len(moving_blob()["frames"])
    assert float((phases > 0).float().mean()) == pytest.approx(expected * (1 - 1 / count), abs=0.1)


@pytest.mark.parametrize("shape", [(40, 90), (64, 64), (30, 31), (100, 65)])
def test_a_cine_of_another_size_is_cropped_or_padded(shape: tuple[int, int]) -> None:
    frames = torch.arange(3 * shape[0] * shape[1]).remainder(256).to(torch.uint8).view(3, *shape)
    assert take({"frames": frames}, [0, 1, 2], (SIZE, SIZE), (0.3, 0.9))["images"].shape == (3, SIZE, SIZE)
    corner = take({"frames": frames}, [0], (8, 8), (0.0, 1.0))["images"]
    torch.testing.assert_close(corner[0], frames[0, :8, -8:].float() / 255)


def test_frames_follow_the_reference_around_the_cycle() -> None:
    assert frame_order(6, 5) == [0, 1, 2, 3, 4, 5]
    assert frame_order(6, 5, reference=4, place=0.99) == [4, 5, 0, 1, 2, 3]
    assert frame_order(21, 4, place=0.0) == [0, 1, 6, 11, 16]
    assert frame_order(21, 4, reference=1, place=0.5) == [1, 4, 9, 14, 19]
    for moving in range(1, 20):
        for place in (None, 0.0, 0.3, 0.999):
            steps = frame_order(20, moving, place=place)[1:]
            assert sorted(set(steps)) == steps
            assert len(steps) == moving


def test_seven_frames_are_spread_over_the_beat() -> None:
    assert frame_order(50, 6) == [0, 7, 14, 21, 29, 36, 43]
    assert frame_order(20, 6, reference=18) == [18, 1, 4, 7, 9, 12, 15]
    for count in range(7, 60):
        steps = np.diff([*frame_order(count, 6), count])  # the last is that back to the reference
        assert steps.max() - steps.min() <= 1


@pytest.mark.parametrize("name", ["dragnet-published", "dragnet-uk-biobank"])
def test_items_of_the_seven_frame_forms_are_spread_over_the_beat(name: str) -> None:
    config = read_configuration(name)
    beat = {"frames": torch.zeros(50, 128, 128, dtype=torch.uint8)}
    batches = TrainingBatches([beat], config, torch.device("cpu"), 7, 0)
    for batch in (batches.batch(0), ValidationBatches([beat], config.data.frames[1], config.data.size)[0]):
        found = (50 * batch["phase"]).round().long()
        assert (found == torch.tensor([0, 7, 14, 21, 29, 36, 43])).all()


@pytest.mark.parametrize("spread", [1.0, 1000.0])
def test_intensities_are_scaled_robustly(spread: float) -> None:
    frames = spread * np.linspace(0, 1, 10_000, dtype=np.float32).reshape(1, 100, 100) - 5
    frames[0, 0, 0] = 1e6
    scaled = scaled_frames(frames)
    assert scaled.min() == 0
    assert scaled.max() == 1
    assert scaled[0, 50, 0] == pytest.approx(0.5, abs=0.01)
    assert not scaled_frames(np.full((2, 4, 4), 7)).any()


def test_synthetic_subjects_are_made_once_and_the_held_out_ones_are_others(tmp_path: Path) -> None:
    data = DataConfiguration(source="lemniscates", kinds=("FIT", "WIDE"), pool=6, validation=2)
    subjects.prepare(data, tmp_path)
    (path,) = tmp_path.iterdir()
    made = path.stat().st_mtime_ns
    subjects.prepare(data, tmp_path)
    assert path.stat().st_mtime_ns == made
    training, validation = subjects.load(data, tmp_path)
    assert (len(training), len(validation)) == (6, 2)
    np.testing.assert_array_equal(training[3]["frames"], subjects.synthetic_subject(data, 3)["frames"])
    for held_out in validation:
        assert not any(np.array_equal(held_out["frames"], subject["frames"]) for subject in training)


def test_a_phantom_subject_has_its_truth() -> None:
    data = DataConfiguration(kinds=("short-axis",), size=(64, 64), spacing=3.6)
    subject = {k: torch.from_numpy(v) for k, v in subjects.synthetic_subject(data, 1).items()}
    count = len(subject["frames"])
    batch = collate([take(subject, frame_order(count, count - 1, reference=7), (64, 64))])
    before, after = compensated_error(batch)
    assert after < 0.5 * before
    assert {v.shape[0] for v in subject.values()} == {count}


def test_cines_of_a_folder_are_resampled(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for n in range(3):
        frames = rng.random((4 + n, 41, 31), dtype=np.float32)
        cine = Cine(frames, Grid.of_array((41, 31), (0.9, 1.8)), name=str(n))
        write_cine(tmp_path / f"{n}.nrrd", frames, cine)
    data = DataConfiguration(source="folder", folder=str(tmp_path), validation=1, spacing=1.8)
    training, validation = subjects.load(data, tmp_path)
    assert [subject["frames"].shape for subject in training] == [(4, 21, 31), (5, 21, 31)]
    assert [subject["frames"].shape for subject in validation] == [(6, 21, 31)]
    items = TrainingBatches(
        [{"frames": torch.from_numpy(subject["frames"])} for subject in training],
        replace(configuration(flips=True), data=replace(data, size=(32, 32), frames=(2, 9))),
        torch.device("cpu"), 1, 0,
    )  # fmt: skip
    assert items.batch(0)["frames"].shape[2:] == (1, 32, 32)
    with pytest.raises(InputError, match="has 3 cines; more than 3 are needed"):
        subjects.load(replace(data, validation=3), tmp_path)
    with pytest.raises(InputError, match="has 0 cines"):
        subjects.load(replace(data, folder=str(tmp_path / "nothing")), tmp_path)
    volume = Cine(np.zeros((2, 4, 8, 8), np.float32), Grid.of_array((4, 8, 8)))
    write_cine(tmp_path / "3.nrrd", volume.frames, volume)
    with pytest.raises(InputError, match=r"3\.nrrd' is not a cine of one slice"):
        subjects.load(data, tmp_path)
