"""Models as others share them: a MONAI bundle that runs, and a card that says what the model's own says."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import yaml

from DeepRegLogic import ModelError, read_cine, register_cine, write_cine, zoo
from DeepRegLogic.cli import main
from DeepRegLogic.interchange.bundle import write_bundle
from DeepRegLogic.interchange.model_card import model_card
from DeepRegLogic.io import read_field
from DeepRegLogic.synthetic import cine_phantom

NAMES = [card.name for card in zoo.list_models()]


@pytest.mark.parametrize("name", NAMES)
def test_a_card_says_what_the_model_is_for_its_limits_and_results(name):
    card = zoo.load_model(name).card
    text = model_card(card)
    _, header, body = text.split("---\n", 2)
    told = yaml.safe_load(header)
    assert told["license"] == card.licence.lower()
    assert "medical" in told["tags"]
    for word in ("## Intended use", "## Limits", "## Training", "## Results", "not a medical device", card.sha256):
        assert word in body
    for key, value in card.results.items():
        if isinstance(value, dict):  # a table of its own
            for kind, figures in value.items():
                assert f"| {kind} | " + " | ".join(f"{figure:.4g}" for figure in figures.values()) in body
            continue
        assert f"| {key} | {value:.4g} |" in body.replace(f"| {key} | {value} |", f"| {key} | {value:.4g} |")
    assert "not a medical device" in body
    assert card.is_for_patients or "no use on images of anatomy" in body


def test_results_on_real_images_stand_apart():
    text = model_card(zoo.load_model("shapes-volume").card)
    assert text.index("Elsewhere:") < text.index("left-out hippocampi (2 pairs), dice")
    assert "holds no results on other images" in model_card(zoo.load_model("voxelmorph-cardiac").card)


def test_a_bundle_runs_in_monai_and_gives_the_same_motion(tmp_path):
    from monai.bundle import ConfigParser

    cine = cine_phantom(3, frames=3, size=48, spacing=4.0).cine
    write_cine(tmp_path / "cine.seq.nrrd", cine.frames, cine)
    written = write_bundle("voxelmorph-cardiac", tmp_path / "bundle")
    assert {path.name for path in written} == {
        "metadata.json", "inference.json", "README.md", "LICENSE", "card.json", "weights.safetensors"
    }  # fmt: skip
    parser = ConfigParser()
    parser.read_config(tmp_path / "bundle" / "configs" / "inference.json")
    parser.read_meta(tmp_path / "bundle" / "configs" / "metadata.json")
    parser["bundle_root"], parser["source"] = str(tmp_path / "bundle"), str(tmp_path / "cine.seq.nrrd")
    ours = zoo.load_model("voxelmorph-cardiac")
    theirs = parser.get_parsed_content("network")
    for key, value in ours.network.state_dict().items():
        torch.testing.assert_close(theirs.state_dict()[key], value)
    untrained = parser.get_parsed_content("network_def")
    assert type(untrained) is type(ours.network)
    parser.get_parsed_content("run")
    motion = register_cine(read_cine(tmp_path / "cine.seq.nrrd"), model="voxelmorph-cardiac")
    found, _ = read_field(tmp_path / "bundle" / "eval" / "fields" / "displacement_002.nrrd")
    np.testing.assert_allclose(found, motion.displacement[2], atol=1e-3)


def test_metadata_have_what_bundles_need(tmp_path):
    write_bundle("shapes-volume", tmp_path / "bundle")
    meta = json.loads((tmp_path / "bundle" / "configs" / "metadata.json").read_text())
    needed = {
        "schema", "version", "monai_version", "pytorch_version", "numpy_version", "required_packages_version", "task",
        "description", "authors", "copyright", "network_data_format", "changelog", "name",
    }  # fmt: skip
    assert needed <= set(meta)
    assert meta["network_data_format"]["outputs"]["displacement"]["num_channels"] == 3
    assert "register_pair" in (tmp_path / "bundle" / "configs" / "inference.json").read_text()


def test_export_is_a_command(tmp_path, capsys):
    assert main(["export", "--model", "tlrn-cardiac", "--to", "card", "--output", str(tmp_path / "README.md")]) == 0
    assert "# TLRN, cardiac cine" in (tmp_path / "README.md").read_text()
    assert main(["export", "--model", "tlrn-cardiac", "--to", "bundle", "--output", str(tmp_path / "b")]) == 0
    assert (tmp_path / "b" / "models" / "weights.safetensors").is_file()
    capsys.readouterr()
    assert main(["export", "--model", "none-such", "--to", "bundle", "--output", str(tmp_path / "c")]) == 1
    assert "There is no model 'none-such'" in capsys.readouterr().err
    assert not (tmp_path / "c").exists()
    with pytest.raises(ModelError):
        write_bundle("none-such", tmp_path / "c")
