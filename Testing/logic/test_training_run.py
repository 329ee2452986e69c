"""Training for real, very small: the loss falls, a run stops in time, goes on, and ends as a model of the zoo."""

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from made_fields import smooth_field

from DeepRegLogic import flow, zoo
from DeepRegLogic.__main__ import main
from DeepRegLogic.consistency import CONSISTENCIES
from DeepRegLogic.errors import InputError, ModelError, OutputError
from DeepRegLogic.networks import NETWORKS, TLRN
from DeepRegLogic.regularisers import REGULARISERS
from DeepRegLogic.training.configuration import (
    Configuration,
    DataConfiguration,
    LossConfiguration,
    OptimiserConfiguration,
    read_configuration,
)
from DeepRegLogic.training.run import train
from DeepRegLogic.training.tasks import TASKS
from DeepRegLogic.training.tasks.registration import RegistrationTask, end_point_error
from DeepRegLogic.transformations import Displacement, StationaryVelocity

TINY = Configuration(
    "tiny", "Tiny", "For tests.", "tlrn", {"channels": [8, 16]},
    data=DataConfiguration(
        "lemniscates", ("FIT", "WIDE"), pool=8, validation=2, size=(64, 64), frames=(3, 3), random_reference=0.0
    ),
    loss=LossConfiguration(squarings=5),
    optimiser=OptimiserConfiguration(steps=40, batch=4, rate=2e-3, validate_every=20),
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Before the module's other fixtures: with another number of threads, the same training takes another path."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def run(configuration: Configuration, output: Path, **options: object) -> zoo.Card:
    return train(configuration, output, device="cpu", progress=False, **options)


def column(output: Path, name: str, version: int = 0) -> list[float]:
    with open(output / "metrics" / f"version_{version}" / "metrics.csv", encoding="utf-8") as file:
        return [float(row[name]) for row in csv.DictReader(file) if row.get(name)]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("runs") / "tiny"
    run(TINY, output)
    return output


def test_the_error_falls_and_the_best_weights_become_a_model(finished: Path) -> None:
    errors = column(finished, "validation/mse")
    before = column(finished, "validation/mse_before")[0]
    assert errors[1] < 0.97 * before
    model = zoo.load_model(finished / "model")
    assert model.card.name == "tiny"
    assert model.card.training["seed"] == TINY.seed
    assert model.card.results["validation mse"] == pytest.approx(min(errors), rel=1e-3)
    assert model.card.results["validation folded"] == 0
    velocity = model.network(torch.rand(1, 1, 30, 50), torch.rand(1, 5, 1, 30, 50))
    assert velocity.shape == (1, 5, 2, 30, 50)


def test_a_card_says_how_its_model_is_made_again(finished: Path, tmp_path: Path) -> None:
    card = zoo.load_model(finished / "model").card
    assert read_configuration(finished / "model" / "card.json") == replace(TINY, arguments={"channels": [8, 16]})
    assert "protocol" not in card.training  # nothing was published
    assert len(card.training["commit"].removesuffix("-dirty")) in (0, 40)  # no commit in a copy without its history
    (tmp_path / "card.json").write_text(json.dumps({"name": "old", "training": {"steps": 3}}), encoding="utf-8")
    with pytest.raises(InputError, match="does not say how its model was configured"):
        read_configuration(tmp_path / "card.json")


@pytest.mark.parametrize(("published", "words"), [(5, "as published, 8 of 5"), (1000, "shortened, 8 of 1000")])
def test_a_card_says_how_long_the_training_was_beside_the_papers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, published: int, words: str
) -> None:
    norms = []
    clip = torch.nn.utils.clip_grad_norm_
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", lambda *a, **k: norms.append(1) or clip(*a, **k))
    short = replace(TINY.optimiser, steps=2, validate_every=2, published=published, clip=float(published > 5))
    card = run(replace(TINY, optimiser=short), tmp_path / "run")
    assert card.training["protocol"] == f"{words} samples"
    assert len(norms) == (2 if published > 5 else 0)  # gradients stay as they are where nothing is to be clipped


def test_a_run_goes_on_where_it_stopped(finished: Path, tmp_path: Path) -> None:
    half = replace(TINY, optimiser=replace(TINY.optimiser, steps=20))
    assert run(half, tmp_path / "run").training["steps"] == 20
    resumed = run(TINY, tmp_path / "run", resume=True)
    assert resumed.training["steps"] in (20, 40)
    # the second half of the interrupted run saw the same batches with the same optimiser state
    whole, parts = column(finished, "validation/mse"), column(tmp_path / "run", "validation/mse", version=1)
    assert parts[0] == pytest.approx(whole[1], rel=1e-3)


def test_a_run_that_is_cut_off_goes_on_from_its_latest_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class CutOff(Exception):
        pass

    def worse_and_worse(self: RegistrationTask, _: object, number: int) -> None:
        self.log("validation/score", float(self.global_step), batch_size=1)
        if self.global_step > 30:
            raise CutOff

    monkeypatch.setattr(RegistrationTask, "validation_step", worse_and_worse)
    often = replace(TINY, optimiser=replace(TINY.optimiser, validate_every=10))
    with pytest.raises(CutOff):
        run(often, tmp_path / "run")
    folder = tmp_path / "run" / "checkpoints"
    steps = {path.name: torch.load(path, weights_only=True)["global_step"] for path in folder.iterdir()}
    assert steps == {"best-step=10.ckpt": 10, "last.ckpt": 30}


def test_a_run_may_start_with_the_weights_of_a_model(finished: Path, tmp_path: Path) -> None:
    still = replace(TINY, start=str(finished / "model"), optimiser=replace(TINY.optimiser, steps=1, rate=1e-9))
    card = run(still, tmp_path / "run")
    before = zoo.load_model(finished / "model").card
    history = {"name": before.name, "sha256": before.sha256, "training": before.training}
    assert card.training["start"] == history
    assert card.results["validation mse"] == pytest.approx(before.results["validation mse"], rel=1e-3)
    with pytest.raises(InputError, match="another network"):
        run(replace(still, arguments={"channels": [8, 8]}), tmp_path / "other")
    with pytest.raises(ModelError):
        run(replace(still, start="nothing"), tmp_path / "other")


def test_a_run_is_not_overwritten_and_nothing_is_not_resumed(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="holds a training run already"):
        run(TINY, finished)
    with pytest.raises(InputError, match="nothing to resume"):
        run(TINY, tmp_path, resume=True)


def test_a_run_stops_in_time_and_writes_its_model(tmp_path: Path) -> None:
    endless = replace(TINY, optimiser=replace(TINY.optimiser, steps=10**6))
    card = run(endless, tmp_path / "run", max_minutes=0.0)
    assert 0 <= card.training["steps"] < 100
    assert zoo.load_model(tmp_path / "run" / "model").card.sha256 == card.sha256
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").is_file()


@pytest.mark.parametrize("device", ["cuda:99", "tpu", "cpu:1", "auto:0", "cuda:x"])
def test_a_device_that_is_not_here(tmp_path: Path, device: str) -> None:
    with pytest.raises(InputError, match=f"'{device}' is not available"):
        train(TINY, tmp_path / "run", device=device)
    assert not (tmp_path / "run").exists()


def test_a_network_that_cannot_be_built(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be built"):
        run(replace(TINY, arguments={"depth": 3}), tmp_path / "run")


def test_an_output_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="a part of its path is a file"):
        run(TINY, tmp_path / "file" / "run")


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    values = {
        "name": "tiny", "title": "Tiny", "summary": "For tests.", "network": "voxelmorph",
        "data": {"kinds": ["short-axis"], "pool": 2, "validation": 1, "size": [48, 48], "spacing": 4.8,
                 "frames": [2, 3]},
        "augment": {"flips": True, "noise": 0.02},
        "loss": {"similarity": "lncc", "time": 0.1, "end_point": 0.5},
        "optimiser": {"batch": 2, "validate_every": 2, "schedule": "cosine", "precision": "bf16-mixed"},
    }  # fmt: skip
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    options = ["train", "--config", str(tmp_path / "own.yaml"), "--output", str(tmp_path / "run"), "--device", "cpu"]
    assert main([*options, "--steps", "4", "--cache", str(tmp_path / "cache")]) == 0
    assert "Wrote the model 'tiny'" in capsys.readouterr().out
    card = json.loads((tmp_path / "run" / "model" / "card.json").read_text(encoding="utf-8"))
    assert card["results"]["validation end_point_before"] > 0.2
    assert len(list((tmp_path / "cache").iterdir())) == 1
    assert main(options) == 1
    assert "holds a training run already" in capsys.readouterr().err
    assert main([*options[:2], "nothing", *options[3:]]) == 1


@pytest.mark.parametrize("direction", ["compensate", "propagate", "both"])
def test_the_true_velocity_has_the_smallest_loss(direction: str) -> None:
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")

    def image(shift: float) -> torch.Tensor:
        return 0.5 + 0.4 * torch.sin((y - shift) / 3) * torch.cos(x / 4)

    shift = torch.tensor([1.0, 2.0])
    truth = torch.zeros(1, 2, 2, 32, 32)
    truth[0, :, 0] = shift.view(2, 1, 1)
    batch = {
        "reference": image(0.0)[None, None],
        "frames": torch.stack([image(s) for s in shift.tolist()])[None, :, None],
        "displacement": truth,
        "weight": torch.ones(1, 1, 32, 32),
    }
    loss = LossConfiguration(direction=direction, smooth=0.1, time=0.1, end_point=1.0)
    task = RegistrationTask(TLRN(channels=(8, 8)), replace(TINY, loss=loss))
    velocities = {factor: StationaryVelocity((factor * truth).flatten(0, 1)) for factor in (0.0, 1.0, -1.0)}
    terms = {factor: task.loss_terms(velocity, batch) for factor, velocity in velocities.items()}
    assert terms[1.0]["similarity"] < 0.1 * terms[0.0]["similarity"] < terms[-1.0]["similarity"]
    assert float(terms[1.0]["end_point"]) == pytest.approx(0, abs=1e-3)
    assert float(terms[0.0]["end_point"]) == pytest.approx(1.5, abs=1e-3)
    assert float(terms[-1.0]["end_point"]) == pytest.approx(3.0, abs=1e-3)
    # 0, 1, 2 voxels: no bending; a constant field: no diffusion
    assert float(terms[1.0]["time"]) == pytest.approx(0, abs=1e-6)
    assert float(terms[1.0]["smooth"]) == pytest.approx(0, abs=1e-6)


def test_a_velocity_and_its_inverse_are_consistent_and_cost_next_to_nothing() -> None:
    velocity = smooth_field((64, 64), 3.0, sigma=9.0, count=2)
    batch = {"reference": torch.rand(1, 1, 64, 64), "frames": torch.rand(1, 2, 1, 64, 64)}
    terms = {}
    for name in CONSISTENCIES:
        loss = LossConfiguration(consistency=name, consistent=2.0, direction="compensate")
        task = RegistrationTask(TLRN(channels=(8, 8)), replace(TINY, loss=loss))
        for kind, found in (
            ("exponential", StationaryVelocity(velocity)),
            ("other", Displacement(velocity, velocity / 2)),
        ):
            terms[name, kind] = float(task.loss_terms(found, batch)["consistent"])
        assert terms[name, "exponential"] < 0.01 * terms[name, "other"], name


class Exchanging(TLRN):
    """Answers with ``velocity`` where the frame is the brighter image, with ``factor`` times that where it is not."""

    def __init__(self, velocity: torch.Tensor, factor: float) -> None:
        super().__init__(channels=(8, 8))
        self.velocity, self.factor = velocity, factor

    def estimate(self, reference: torch.Tensor, frames: torch.Tensor) -> StationaryVelocity:
        change = (frames[:, 0] - reference).mean((1, 2, 3))
        sign = torch.where(change > 0, 1.0, torch.where(change < 0, self.factor, 0.0))
        return StationaryVelocity(sign.view(-1, 1, 1, 1) * self.velocity)


def test_a_network_that_is_asked_both_ways_round_is_judged_by_its_own_two_answers() -> None:
    velocity = smooth_field((48, 48), 3.0, sigma=9.0, count=1)
    reference = smooth_field((48, 48), 0.3, sigma=5.0, count=1)[:, :1].abs()
    frames = flow.warp(reference, flow.exp(-velocity))[:, None] + 0.1
    batch = {"reference": reference, "frames": frames}
    terms = {}
    for factor in (-1.0, 0.5):
        for name in ("inverse", "gradicon"):
            weights = {"cycle": 1.0, "identity": 1.0, "smooth": 1.0, "regulariser": "bending", "squarings": 7}
            loss = LossConfiguration(consistency=name, consistent=1.0, exchanged=True, **weights)
            network = Exchanging(velocity, factor)
            task = RegistrationTask(network, replace(TINY, loss=loss))
            terms[factor, name] = task.loss_terms(network.estimate(reference, frames), batch)
    for name in ("inverse", "gradicon"):  # the answer that is the inverse costs next to nothing, another does
        assert terms[-1.0, name]["consistent"] < 0.01 * terms[0.5, name]["consistent"]
        assert terms[-1.0, name]["cycle"] < 0.3 * terms[0.5, name]["cycle"]
        assert terms[-1.0, name]["identity"] < 1e-12  # nothing moves between an image and itself
    # both answers are priced, and both are judged by the images
    bending = REGULARISERS["bending"]
    assert float(terms[0.5, "inverse"]["smooth"]) == pytest.approx(float(bending(velocity)) * (1 + 0.25) / 2, rel=1e-4)
    assert terms[-1.0, "inverse"]["similarity"] < terms[0.5, "inverse"]["similarity"]


def test_every_network_has_a_task_that_trains_it() -> None:
    for name, network in NETWORKS.items():
        assert network.training_task in TASKS, name


def test_the_end_point_error_is_weighted() -> None:
    truth = torch.zeros(1, 1, 2, 4, 4)
    found = truth.clone()
    found[..., 0, :2, :] = 3.0
    found[..., 1, :2, :] = 4.0
    weight = torch.ones(1, 1, 4, 4)
    batch = {"displacement": truth, "weight": weight}
    assert float(end_point_error(found, batch)) == pytest.approx(2.5, abs=1e-3)
    weight[..., :2, :] = 0
    assert float(end_point_error(found, batch)) == pytest.approx(0, abs=1e-3)


def test_the_learning_rate_rises_and_falls() -> None:
    optimiser = OptimiserConfiguration(steps=1000, schedule="cosine", rate=1e-3)
    settings = RegistrationTask(TLRN(channels=(8, 8)), replace(TINY, optimiser=optimiser)).configure_optimizers()
    factor = settings["lr_scheduler"]["scheduler"].lr_lambdas[0]
    assert factor(0) == pytest.approx(0.1)
    assert factor(10) == pytest.approx(1.0)
    assert factor(505) == pytest.approx(0.5)
    assert factor(1000) == pytest.approx(0.0, abs=1e-9)
    assert math.isclose(factor(2000), 0.0, abs_tol=1e-9)
