"""The model zoo: what it gives back, and that nothing but safetensors of the right shape is ever read."""

import hashlib
import json
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from DeepRegLogic import zoo
from DeepRegLogic.errors import ModelError, OutputError
from DeepRegLogic.files import MARKER
from DeepRegLogic.networks import build

CARD = zoo.Card("small", "A small one", "For tests.", "tlrn", {"channels": [4, 8]}, ndim=2, spacing=1.5)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a model in a zoo of its own."""
    monkeypatch.setenv(zoo.USER_MODELS, str(tmp_path))
    torch.manual_seed(0)
    zoo.save_model(tmp_path / "small", build("tlrn", channels=(4, 8)), CARD)
    zoo.clear_cache()
    return tmp_path / "small"


def rewrite(folder: Path, content: bytes) -> None:
    """Other weights, with the sha256 in the card that fits them."""
    (folder / zoo.WEIGHTS).write_bytes(content)
    change(folder, sha256=hashlib.sha256(content).hexdigest())


def change(folder: Path, **values: object) -> None:
    card = json.loads((folder / zoo.CARD).read_text(encoding="utf-8"))
    (folder / zoo.CARD).write_text(json.dumps(card | values), encoding="utf-8")


def test_a_saved_model_comes_back_with_its_numbers(folder: Path) -> None:
    torch.manual_seed(0)
    original = build("tlrn", channels=(4, 8)).eval()
    model = zoo.load_model("small")
    assert replace(model.card, sha256="") == CARD
    assert not model.network.training
    assert not any(p.requires_grad for p in model.network.parameters())
    images = torch.rand(1, 4, 1, 16, 16)
    torch.testing.assert_close(model.network(images[:, 0], images[:, 1:]), original(images[:, 0], images[:, 1:]))
    assert zoo.load_model("small") is model
    assert zoo.load_model(folder) is model
    assert {path.name for path in folder.iterdir()} == {zoo.CARD, zoo.WEIGHTS, MARKER}


def test_a_model_saved_anew_is_loaded_anew(folder: Path) -> None:
    first = zoo.load_model("small")
    zoo.save_model(folder, build("tlrn", channels=(4, 8)), CARD)
    assert zoo.load_model("small") is not first


def test_half_precision_weights_are_loaded_as_full(folder: Path) -> None:
    from safetensors.torch import save

    weights = zoo.load_model("small").network.state_dict()
    rewrite(folder, save({key: value.half() for key, value in weights.items()}))
    loaded = zoo.load_model("small").network
    assert {value.dtype for value in loaded.state_dict().values()} == {torch.float32}


def test_models_are_listed_by_order_then_name(folder: Path) -> None:
    for name, order in (("b", 5), ("a", 5), ("first", -1)):
        zoo.save_model(folder.parent / name, build("tlrn", channels=(4, 8)), replace(CARD, name=name, order=order))
    names = [card.name for card in zoo.list_models()]
    assert names[0] == "first"
    assert names.index("a") + 1 == names.index("b") < names.index("small")


def test_every_bundled_model_loads_and_registers_small_images() -> None:
    cards = zoo.list_models()
    assert {card.name for card in cards} >= set(zoo.DEFAULTS.values())
    for card in cards:
        network = zoo.load_model(card.name).network
        count = card.arguments.get("frames", 4) - 1
        spatial = (24, 20, 16)[: card.ndim]
        found = network.estimate(torch.rand(1, 1, *spatial), torch.rand(1, count, 1, *spatial))
        assert found.displacement().isfinite().all()
        assert card.summary
        assert set(card.capabilities) <= network.capabilities
        assert card.training["seed"] is not None
        assert card.results


class Explosive:
    def __reduce__(self) -> tuple:
        return (Path("exploded").touch, ())


def test_a_pickle_is_never_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    rewrite(folder, pickle.dumps(Explosive()))
    with pytest.raises(ModelError, match="not a safetensors file"):
        zoo.load_model("small")
    assert not (folder / "exploded").exists()


@pytest.mark.parametrize("keep", [0, 5, 100, -1])
def test_truncated_weights(folder: Path, keep: int) -> None:
    content = (folder / zoo.WEIGHTS).read_bytes()[:keep]
    (folder / zoo.WEIGHTS).write_bytes(content)
    with pytest.raises(ModelError, match="sha256 differs"):
        zoo.load_model("small")
    rewrite(folder, content)
    with pytest.raises(ModelError, match="not a safetensors file"):
        zoo.load_model("small")


@pytest.mark.parametrize("channels", [(4, 16), (4, 8, 8)])
def test_weights_of_another_network(folder: Path, channels: tuple[int, ...]) -> None:
    change(folder, arguments={"channels": list(channels)})
    with pytest.raises(ModelError, match=r"do not fit the network of the card: '[\w.]+' is"):
        zoo.load_model("small")


def test_weights_that_are_not_finite(folder: Path) -> None:
    network = build("tlrn", channels=(4, 8))
    network.head.bias.data[0] = float("nan")
    zoo.save_model(folder, network, CARD)
    with pytest.raises(ModelError, match="not finite"):
        zoo.load_model("small")


def test_a_model_is_not_written_over_other_files(folder: Path) -> None:
    (folder / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(OutputError, match="holds other files"):
        zoo.save_model(folder, build("tlrn", channels=(4, 8)), CARD)
    assert (folder / "thesis.txt").read_text(encoding="utf-8") == "years of work"
    (folder / "thesis.txt").unlink()
    (folder / MARKER).unlink()  # as models had none before, and those of the package have none
    zoo.save_model(folder, build("tlrn", channels=(4, 8)), CARD)
    assert zoo.load_model("small").card.name == "small"


@pytest.mark.parametrize(("task", "capabilities"), [("cine", ("register",)), ("generate", ("generate",))])
def test_cards_from_before_there_were_capabilities(folder: Path, task: str, capabilities: tuple[str, ...]) -> None:
    change(folder, task=task)
    assert zoo.load_model("small").card.capabilities == capabilities


def test_missing_weights(folder: Path) -> None:
    (folder / zoo.WEIGHTS).unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        zoo.load_model("small")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"network": "unet"}, "no network 'unet'"),
        ({"arguments": {"depth": 3}}, "describes no network"),
        ({"arguments": {"channels": "many"}}, "describes no network"),
        ({"ndim": 4}, "ndim 2 or 3"),
        ({"spacing": 0}, "spacing from 0.01 to 100 mm"),
        ({"spacing": "1 mm"}, "wrong fields: spacing"),
        ({"colour": "red"}, "unknown fields: colour"),
        ({"capabilities": "register"}, "wrong fields: capabilities"),
    ],
)
def test_cards_that_cannot_be_used(folder: Path, values: dict, sentence: str) -> None:
    change(folder, **values)
    with pytest.raises(ModelError, match=sentence):
        zoo.load_model("small")


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00\x01", '{"name": "small"}'])
def test_damaged_cards(folder: Path, text: str) -> None:
    (folder / zoo.CARD).write_text(text, encoding="utf-8")
    with pytest.raises(ModelError, match=r"card\.json"):
        zoo.load_model("small")


@pytest.mark.parametrize("name", ["nothing", "../small/../nothing", ""])
def test_an_unknown_model(folder: Path, name: str) -> None:
    with pytest.raises(ModelError, match=r"no model .*Models installed: .*small"):
        zoo.load_model(name)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="is a file; name a folder"):
        zoo.save_model(tmp_path / "file", build("tlrn", channels=(4, 8)), CARD)
