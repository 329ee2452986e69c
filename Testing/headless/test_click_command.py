"""``register --click``: from a cine and a point to a report, in one command."""

from __future__ import annotations

import json

import numpy as np
import pytest

from DeepRegLogic import write_cine
from DeepRegLogic.cli import main
from DeepRegLogic.synthetic import cine_phantom


@pytest.fixture(scope="module")
def phantom():
    return cine_phantom(seed=1, size=64, spacing=2.2, frames=4)


@pytest.fixture
def cine(phantom, tmp_path):
    path = tmp_path / "heart.seq.nrrd"
    write_cine(path, phantom.cine.frames, phantom.cine)
    return path


def click(phantom) -> str:
    inside = np.argwhere(phantom.labels[0] == 1).mean(axis=0)
    return "--click=" + ",".join(f"{value:.2f}" for value in phantom.cine.grid.voxel_to_mm(inside[None])[0])


def test_a_click_gives_labels_curves_and_a_page(phantom, cine, tmp_path):
    out = tmp_path / "out"
    arguments = ["register", "--input", str(cine), "--no-refine", "--reference", "0", "--output", str(out)]
    assert main([*arguments, click(phantom)]) == 0
    report = json.loads((out / "report.json").read_text())
    assert report["labels"] == {"1": "LV blood", "2": "LV myocardium", "3": "RV side"}
    (note,) = report["provenance"]["contours"]
    assert "right ventricle" in note
    assert report["strain"]
    assert {"strain.csv", "strain_segments.csv", "figures/segments.png"} <= set(report["files"])
    assert len(report["settings"]["clicks"]) == 1
    areas = [row["label_1_mm2"] for row in report["frames"]]
    drawn = float((phantom.labels[0] == 1).sum()) * np.prod(phantom.cine.grid.array_spacing)
    # half a pixel of 2.2 mm outside of the cavity, as readers draw: 1.1 of 22 mm of its radius on either side
    assert drawn < areas[0] < 1.22 * drawn
    assert min(areas) < 0.9 * areas[0]
    assert {"report.pdf", "report.png"} <= set(report["files"])


def test_what_a_click_cannot_be_with_is_said(phantom, cine, tmp_path, capsys):
    base = ["register", "--no-refine", "--output", str(tmp_path / "out"), click(phantom)]
    assert main([*base, "--input", str(cine), "--labels", str(cine)]) == 1
    assert "Name either --labels, or --click" in capsys.readouterr().err
    assert main([*base, "--input", str(cine), str(cine)]) == 1
    assert "belong to one study" in capsys.readouterr().err
    assert main([*base, "--fixed", str(cine), "--moving", str(cine)]) == 1
    assert "--click is for cines" in capsys.readouterr().err
    assert main([*base[:-1], "--input", str(cine), "--click=9000,0,0"]) == 1
    assert "outside of 'heart'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    with pytest.raises(SystemExit):
        main([*base[:-1], "--input", str(cine), "--click=1,2"])
