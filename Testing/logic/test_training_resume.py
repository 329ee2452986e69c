"""Training that is cut off, damaged or diverges: it goes on to the same weights, or ends in one sentence."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from DeepRegLogic import zoo
from DeepRegLogic.errors import InputError
from DeepRegLogic.networks import NETWORKS
from DeepRegLogic.training.checkpoints import read_checkpoint
from DeepRegLogic.training.configuration import (
    Configuration,
    DataConfiguration,
    LossConfiguration,
    OptimiserConfiguration,
)
from DeepRegLogic.training.run import train
from DeepRegLogic.training.subjects import load, subjects_file
from DeepRegLogic.training.tasks.registration import RegistrationTask

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
TINY = Configuration(
    "tiny", "Tiny", "For tests.", "voxelmorph",
    data=DataConfiguration(kinds=("short-axis",), pool=2, validation=1, spacing=4.8, size=(32, 32), frames=(2, 3)),
    loss=LossConfiguration(similarity="mse", motion=0.01, latent=0.01, likelihood=0.1, foresight=0.1, end_point=0.1),
    optimiser=OptimiserConfiguration(steps=3, batch=2, rate=1e-3, validate_every=1),
)  # fmt: skip
SMALL = {
    "tlrn": {"channels": [4, 4]},
    "voxelmorph": {"channels": [4, 4, 4, 4], "final": [4, 4]},
    "voxelmorph-probabilistic": {"channels": [4, 4, 4, 4], "final": [4, 4]},
}
"""Arguments that make networks small; others are trained as they are."""


class CutOff(Exception):
    """As a kill: nothing is tidied up."""


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("subjects")


def weights(output: Path) -> dict[str, torch.Tensor]:
    return read_checkpoint(output / "checkpoints" / "last.ckpt")["state_dict"]


@pytest.fixture
def cut_off(monkeypatch) -> Callable[[int], None]:
    """The training ends before step n."""

    def at(step: int) -> None:
        kind = RegistrationTask.on_train_batch_start

        def stop(self: RegistrationTask, batch: object, number: int) -> None:
            if self.global_step == step:
                raise CutOff
            kind(self, batch, number)

        monkeypatch.setattr(RegistrationTask, "on_train_batch_start", stop)

    return at


@pytest.mark.parametrize("network", list(NETWORKS))
def test_a_run_that_is_cut_off_goes_on_to_the_same_weights(tmp_path, cache, cut_off, monkeypatch, network):
    configuration = replace(TINY, network=network, arguments=SMALL.get(network, {}))
    train(configuration, tmp_path / "whole", device="cpu", cache=cache, progress=False)
    for step in (1, 2):
        with monkeypatch.context():
            cut_off(step)
            with pytest.raises(CutOff):
                train(configuration, tmp_path / "cut", device="cpu", cache=cache, progress=False, resume=step > 1)
            monkeypatch.undo()
    torch.rand(7)  # another state of the global generator
    train(configuration, tmp_path / "cut", device="cpu", cache=cache, progress=False, resume=True)
    one, other = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)
    cards = [zoo.read_card(tmp_path / run / "model") for run in ("whole", "cut")]
    assert cards[0].sha256 == cards[1].sha256


@pytest.mark.parametrize("step", [1, 2])
def test_a_training_that_diverges_is_told_with_its_step_and_keeps_its_last_good_checkpoint(
    tmp_path, cache, monkeypatch, step
):
    loss = RegistrationTask.loss_terms

    def diverging(self: RegistrationTask, found: object, batch: object) -> dict[str, torch.Tensor]:
        terms = loss(self, found, batch)
        return terms if self.global_step < step else {**terms, "smooth": terms["smooth"] * torch.inf}

    monkeypatch.setattr(RegistrationTask, "loss_terms", diverging)
    with pytest.raises(InputError, match=rf"diverged: 'train/smooth' is not finite at step {step}; lower"):
        train(TINY, tmp_path / "run", device="cpu", cache=cache, progress=False)
    checkpoint = read_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")
    assert checkpoint["global_step"] == step
    assert all(bool(value.isfinite().all()) for value in checkpoint["state_dict"].values())
    monkeypatch.undo()
    train(TINY, tmp_path / "run", device="cpu", cache=cache, progress=False, resume=True)
    assert zoo.load_model(tmp_path / "run" / "model").card.training["steps"] in (1, 2, 3)


def test_weights_that_are_not_finite_are_never_written(tmp_path, cache, monkeypatch):
    def broken(self: RegistrationTask, *_: object) -> None:
        with torch.no_grad():
            next(self.network.parameters()).fill_(torch.nan)

    monkeypatch.setattr(RegistrationTask, "on_train_batch_end", broken)
    with pytest.raises(InputError, match=r"diverged: '(weights|validation)/"):
        train(TINY, tmp_path / "run", device="cpu", cache=cache, progress=False)
    assert not list((tmp_path / "run").rglob("*.ckpt"))
    assert not (tmp_path / "run" / "model").exists()


@pytest.fixture(scope="module")
def begun(tmp_path_factory, cache) -> Path:
    """A training of one step."""
    output = tmp_path_factory.mktemp("runs") / "begun"
    once = replace(TINY, optimiser=replace(TINY.optimiser, steps=1))
    train(once, output, device="cpu", cache=cache, progress=False)
    return output


def mutated(content: bytes, draw: random.Random) -> bytes:
    kind, place = draw.randrange(4), draw.randrange(len(content))
    if kind == 0:
        return content[:place]
    if kind == 1:
        return content[:place] + bytes([content[place] ^ (1 << draw.randrange(8))]) + content[place + 1 :]
    if kind == 2:
        return content[:place] + draw.randbytes(40) + content[place:]
    return draw.randbytes(300)


def test_every_damaged_checkpoint_is_named(tmp_path, begun):
    """200 files: cut, a bit flipped, bytes put in, noise. None is read as another one."""
    content = (begun / "checkpoints" / "last.ckpt").read_bytes()
    whole, draw, named = weights(begun), random.Random(5), 0
    for _ in range(200):
        (tmp_path / "last.ckpt").write_bytes(mutated(content, draw))
        try:
            found = read_checkpoint(tmp_path / "last.ckpt")["state_dict"]
        except InputError as error:
            named += "last.ckpt' is damaged, or no checkpoint" in str(error)
        else:
            assert all(torch.equal(found[key], whole[key]) for key in whole)
    assert named > 150


def test_a_checkpoint_that_runs_code_is_not_run(tmp_path, begun, cache):
    class Attack:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.write_text, (tmp_path / "PWNED", "x"))

    path = tmp_path / "run" / "checkpoints" / "last.ckpt"
    path.parent.mkdir(parents=True)
    torch.save({"state_dict": Attack()}, path)
    with pytest.raises(InputError, match="is damaged, or no checkpoint") as error:
        train(TINY, tmp_path / "run", device="cpu", cache=cache, progress=False, resume=True)
    assert "weights_only" not in str(error.value)
    assert not (tmp_path / "PWNED").exists()


def test_a_checkpoint_of_another_network_is_refused(begun, cache):
    other = replace(TINY, network="tlrn", arguments={"channels": [4, 4]})
    with pytest.raises(InputError, match="is of another network"):
        train(other, begun, device="cpu", cache=cache, progress=False, resume=True)


def test_damaged_training_subjects_are_named(tmp_path, cache):
    """100 files: each is named, or read as it was."""
    path, draw = subjects_file(TINY.data, tmp_path), random.Random(6)
    whole = subjects_file(TINY.data, cache).read_bytes()
    named = 0
    for _ in range(100):
        place = draw.randrange(600)  # the header; noise in the pixels is what images have
        path.write_bytes(draw.choice([whole[: draw.randrange(len(whole))], whole[:place] + b"\0" + whole[place + 1 :]]))
        try:
            training, validation = load(TINY.data, tmp_path)
        except InputError as error:
            named += f"'{path}' are damaged; remove that file" in str(error)
        else:
            assert (len(training), len(validation)) == (2, 1)
    assert named > 60


@pytest.mark.parametrize("minutes", [float("nan"), float("inf"), -1.0, 1e300])
def test_a_time_limit_that_is_none(tmp_path, minutes):
    with pytest.raises(InputError, match="time limit"):
        train(TINY, tmp_path / "run", device="cpu", max_minutes=minutes)
    assert not (tmp_path / "run").exists()


def test_a_checkpoint_needs_no_temporary_folder(tmp_path, begun, cache, monkeypatch):
    """Its place is beside the one that it takes: a move from elsewhere is a copy, which can be cut off."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "nowhere"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    train(TINY, tmp_path / "run", device="cpu", cache=cache, progress=False)
    assert {p.name for p in (tmp_path / "run" / "checkpoints").iterdir()} >= {"last.ckpt"}
