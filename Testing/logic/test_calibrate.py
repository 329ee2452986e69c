"""Calibrations: fitted on cines of known motion, each kind left out once; written to cards and to the record."""

import json
from functools import partial

import numpy as np
import pytest
import torch
from made_models import card_of

from DeepRegLogic import flow, zoo
from DeepRegLogic.__main__ import main
from DeepRegLogic.errors import InputError
from DeepRegLogic.grid import Grid
from DeepRegLogic.networks import build
from DeepRegLogic.registration import calibrate
from DeepRegLogic.registration.presets import PRESETS, Preset, Refinement
from DeepRegLogic.synthetic.known import SLICES, VOLUMES, known_cine
from DeepRegLogic.uncertainty import record


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setitem(PRESETS._entries, "standard", Preset("Standard", Refinement(levels=((2, 4),))))
    monkeypatch.setattr(calibrate, "_PIXELS", 150)


@pytest.fixture
def model(tmp_path):
    torch.manual_seed(0)
    network = build("voxelmorph")
    torch.nn.init.normal_(network.head.weight, std=0.05)
    zoo.save_model(tmp_path / "own", network, card_of("own", "voxelmorph", results={"validation error": 1.0}))
    return tmp_path / "own"


@pytest.mark.parametrize("kind", [*SLICES, *VOLUMES])
def test_cines_of_known_motion_come_back_from_their_seed_and_fit_together(kind):
    known, again = (known_cine(4, kind, frames=3, size=32) for _ in range(2))
    np.testing.assert_array_equal(known.cine.frames, again.cine.frames)
    assert known.displacement.shape == (3, known.cine.grid.ndim, *known.cine.grid.shape)
    assert not known.displacement[0].any()
    assert np.abs(known.displacement[1:]).max() > 0.3
    assert known.inside.any()
    images = flow.smooth(torch.from_numpy(known.cine.frames.copy())[:, None], 1.0)  # without noise and fine texture
    warped = flow.warp(images, torch.from_numpy(known.displacement))
    before, after = (np.abs(x[1:] - x[0])[:, 0, known.inside].mean() for x in (images.numpy(), warped.numpy()))
    assert after < before  # it is the motion of these images


def test_an_unknown_kind_is_refused_by_name():
    with pytest.raises(InputError, match="no kind 'liver' of cines; there are short-axis"):
        known_cine(0, "liver")


@pytest.mark.parametrize(
    ("pairs", "images", "count", "size", "kinds"),
    [(False, "slice", 1, 32, set(SLICES)), (True, "volume", 2, 52, {"even-volumes 1", "even-volumes 2"})],
)
def test_a_refinement_is_calibrated_with_every_kind_left_out_once(pairs, images, count, size, kinds):
    fitted = calibrate.calibrate_refinement(pairs, images, count=count, frames=3, size=size)
    assert set(fitted.table) == kinds
    for row in fitted.table.values():
        assert 0 <= row["50% ellipse"] <= row["95% ellipse"] <= 1
        assert row["error mm"] > 0
    assert fitted.calibration.voxel > 0
    assert fitted.calibration.floor == 0
    assert set(fitted.record()["calibration"]) <= {"scale", "change", "voxel", "degrees"}


def test_a_models_calibration_is_written_to_its_card(model, monkeypatch, capsys):
    before = zoo.load_model(model).card
    small = partial(calibrate.calibrate_model, frames=3, size=32)
    monkeypatch.setattr(calibrate, "calibrate_model", small)
    command = ["calibrate", "--model", str(model), "--cines", "1"]
    assert main([*command, "--dry-run"]) == 0
    assert zoo.read_card(model) == before
    assert main(command) == 0
    assert "kind left out" in capsys.readouterr().out
    card = zoo.load_model(model).card
    assert card.sha256 == before.sha256
    assert card.calibration["predicted"]["scale"] > 0
    assert card.training["calibrated"] == {"kinds": list(SLICES), "cines of each": 1, "first seed": 1_500_000}
    assert set(card.results["calibration predicted"]) == set(SLICES)
    assert card.results["validation error"] == 1.0


def test_what_cannot_be_calibrated_is_one_sentence(model, tmp_path, capsys):
    assert main(["calibrate", "--model", str(tmp_path / "none")]) == 1
    assert "There is no model" in capsys.readouterr().err
    assert main(["calibrate", "--model", str(model), "--cines", "0"]) == 1
    assert "--cines is a number of 1 or more" in capsys.readouterr().err


def test_a_record_takes_the_place_of_an_earlier_one(tmp_path, monkeypatch):
    monkeypatch.setattr(record, "RECORD", tmp_path / "calibrations.json")
    for scale in (1.0, 2.0):
        path = record.write_record("cine-slice", {"calibration": {"scale": scale}})
        assert record.recorded("cine", "slice").scale == scale
    record.write_record("pair-volume", {"calibration": {"scale": 3.0}})
    assert list(json.loads(path.read_text())) == ["cine-slice", "pair-volume"]
    record.recorded.cache_clear()


@pytest.mark.parametrize("task", record.TASKS)
@pytest.mark.parametrize("images", record.IMAGES)
def test_the_package_has_a_calibration_of_every_refinement(task, images):
    assert record.recorded(task, images).voxel > 0


def test_stacks_are_told_from_volumes_by_the_thickness_of_their_slices():
    spacings = {"slice": (8.0, 2.0), "stack": (8.0, 2.0, 2.0), "volume": (3.0, 2.0, 2.0)}
    for images, spacing in spacings.items():
        assert record.images_of(Grid.of_array((8,) * len(spacing), spacing)) == images
