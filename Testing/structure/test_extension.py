"""To add one more of a kind is to write one object: it is found wherever its kind is asked for."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest
import torch
from newcomers import MODEL_ARGUMENTS, newcomers, write_toy

from DeepRegLogic import Cine, Refinement, read_cine, register_cine, zoo
from DeepRegLogic.networks import build
from DeepRegLogic.synthetic import cine_phantom


@pytest.fixture
def added():
    with newcomers():
        yield


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    return cine_phantom(3, frames=4, size=48, spacing=4.0).cine.frames.astype(np.float32)


@pytest.fixture
def model(added, tmp_path):
    folder = tmp_path / "toy-model"
    card = zoo.Card("toy-model", "Toy", "For tests.", "toy", MODEL_ARGUMENTS, 2, 2.0)
    zoo.save_model(folder, build("toy", **MODEL_ARGUMENTS), card)
    return folder


def test_a_reader_reads(added, frames, tmp_path):
    cine = read_cine(write_toy(tmp_path / "x.toy", frames))
    np.testing.assert_allclose(cine.frames, frames, rtol=1e-5)
    assert cine.name == "toys"


def test_a_similarity_and_a_regulariser_refine(added, frames, tmp_path):
    cine = read_cine(write_toy(tmp_path / "x.toy", frames))
    settings = Refinement(similarity="toy", regulariser="toy", smoothness=1.0, levels=((2.0, 30), (1.0, 30)))
    motion = register_cine(cine, model=None, reference=0, refine=settings)
    assert motion.quality[2].error_after < 0.8 * motion.quality[2].error_before


def test_a_network_registers_and_is_refined(model, frames, tmp_path):
    cine = read_cine(write_toy(tmp_path / "x.toy", frames))
    plain = register_cine(cine, model=model, reference=0, refine=False, cyclic=False)
    np.testing.assert_allclose(plain.displacement[2][:, 10:-10, 10:-10], 0.2, atol=1e-3)  # two steps of 0.1
    np.testing.assert_allclose(plain.inverse[2][:, 10:-10, 10:-10], -0.2, atol=1e-3)
    refined = register_cine(cine, model=model, reference=0, refine=Refinement(levels=((2.0, 20),)), cyclic=False)
    assert refined.quality[2].error_after < 0.9 * plain.quality[2].error_after
    assert max(quality.folded for quality in refined.quality) == 0


def test_training_configurations_name_them_and_train(added):
    from DeepRegLogic.training.configuration import Configuration, DataConfiguration, LossConfiguration
    from DeepRegLogic.training.tasks import TASKS

    network = build("toy")
    loss = LossConfiguration(similarity="toy", regulariser="toy", smooth=2.0, time=0.1, consistent=1.0)
    data = DataConfiguration(kinds=("short-axis",))
    configuration = Configuration("t", "T", "S", "toy", loss=loss, data=data)
    task = TASKS[network.training_task](network, configuration)
    generator = torch.Generator().manual_seed(0)
    batch = {
        "reference": torch.rand(2, 1, 16, 16, generator=generator),
        "frames": torch.rand(2, 3, 1, 16, 16, generator=generator),
    }
    found = network.estimate(batch["reference"], batch["frames"])
    terms = task.loss_terms(found, batch)
    assert set(terms) == {"similarity", "smooth", "time", "consistent"}
    assert float(terms["smooth"].detach()) == pytest.approx(2.0 * 0.01, rel=1e-5)
    sum(terms.values()).backward()
    assert network.shift.grad.isfinite().all()


def test_the_command_line_files_tables_figures_and_scene_have_them(model, frames, tmp_path, script, scene):
    import slicer

    source = write_toy(tmp_path / "x.toy", frames)
    arguments = ["--input", str(source), "--output", str(tmp_path / "out"), "--model", str(model), "--device", "cpu"]
    assert script.main([*arguments, "--similarity", "toy", "--regulariser", "toy", "--reference", "0"]) == 0
    out = tmp_path / "out"
    written = read_cine(out / "toys_toy.seq.nrrd")
    jacobian = read_cine(out / "toys_jacobian.seq.nrrd")
    np.testing.assert_allclose(written.frames, jacobian.frames + 1, rtol=1e-6)
    assert (out / "figures" / "toy.png").stat().st_size > 5000
    with open(out / "frames.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[2]["toy_max_mm"]) == pytest.approx(float(written.frames[2].max()), rel=1e-5)
    assert {"toy_mean_mm", "toy_largest_mm"} <= set(rows[0])
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(out / "scene.mrb"))
    sequences = {node.GetName(): node for node in slicer.util.getNodesByClass("vtkMRMLSequenceNode")}
    shown = slicer.util.arrayFromVolume(sequences["toys toy map"].GetNthDataNode(2))
    np.testing.assert_allclose(shown.reshape(written.grid.shape), written.frames[2], rtol=1e-6)
    charts = [node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLPlotChartNode")]
    assert "toys toy curve" in charts


def test_the_worker_computes_them(added, frames, tmp_path):
    from DeepRegLogic.progress import CancelToken
    from DeepRegLogic.results.results import Results
    from DeepRegLogic.service import exchange
    from DeepRegLogic.service.calls import CALLS

    cine = read_cine(write_toy(tmp_path / "x.toy", frames))
    arguments = {"cine": exchange.pack_cine(tmp_path, "frames", cine), "model": None, "reference": 0}
    arguments["refine"] = {"similarity": "toy", "levels": [[2.0, 2]]}
    result = CALLS["register_cine"](tmp_path, dict(arguments), progress=None, cancel=CancelToken())
    place = tmp_path / "results"
    results = Results(exchange.unpack_motion(place, result["motion"]), cine)
    exchange.unpack_results(place, result["results"], results)
    np.testing.assert_allclose(results.map("toy"), results.map("jacobian") + 1)
    np.testing.assert_allclose(results.curve("toy")["largest"], results.map("jacobian").max((1, 2)))


def test_a_study_computes_every_map_once(script, frames, tmp_path, monkeypatch):
    from DeepRegLogic import write_cine
    from DeepRegLogic.results.maps import MAPS

    calls: dict[str, int] = {}

    def counted(name, compute):
        def count(results):
            calls[name] = calls.get(name, 0) + 1
            return compute(results)

        return count

    for name, entry in MAPS.items():
        monkeypatch.setitem(MAPS._entries, name, replace(entry, compute=counted(name, entry.compute)))
    cine = cine_phantom(3, frames=4, size=48, spacing=4.0)
    write_cine(tmp_path / "x.seq.nrrd", cine.cine.frames, cine.cine)
    write_cine(tmp_path / "l.nrrd", cine.labels[:1], Cine(cine.labels[:1], cine.cine.grid))
    arguments = ["--input", str(tmp_path / "x.seq.nrrd"), "--output", str(tmp_path / "out"), "--reference", "0"]
    assert script.main([*arguments, "--model", "dragnet-cardiac", "--device", "cpu", "--quality", "fast"]) == 0
    assert calls == {name: 1 for name, entry in MAPS.items() if not entry.direction}  # no label is a myocardium
