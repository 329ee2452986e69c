"""Training configurations: the bundled ones are sound, and a mistake is named by its key."""

from pathlib import Path

import pytest
import torch
import yaml

from DeepRegLogic import list_models
from DeepRegLogic.errors import InputError
from DeepRegLogic.networks import build
from DeepRegLogic.training.configuration import BUNDLED, AugmentConfiguration, read_configuration

NAMES = sorted(path.stem for path in BUNDLED.glob("*.yaml"))


@pytest.fixture
def values() -> dict:
    return yaml.safe_load((BUNDLED / "tlrn-cardiac.yaml").read_text(encoding="utf-8"))


def read(tmp_path: Path, values: object):
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return read_configuration(path)


@pytest.mark.parametrize("name", NAMES)
def test_a_bundled_configuration_builds_its_network(name: str) -> None:
    configuration = read_configuration(name)
    assert configuration.name == name
    ndim = len(configuration.data.size)
    with torch.device("meta"):  # the largest have a hundred million weights
        assert build(configuration.network, ndim=ndim, **configuration.arguments).ndim == ndim


def test_the_lemniscate_networks_are_compared_on_equal_terms() -> None:
    runs = [read_configuration(f"{name}-lemniscate") for name in ("tlrn", "tlrn-shared", "voxelmorph")]
    assert len({(run.seed, run.data, run.augment, run.loss, run.optimiser) for run in runs}) == 1


@pytest.mark.parametrize(
    ("name", "cines", "rate", "held_out"),
    [
        ("tlrn-lemniscate-paper", 60_000 * 32, 1e-4, 200),
        ("dragnet-uk-biobank", 28_000 * 10, 1e-3, 620),
        ("dragnet-uk-biobank-reference", 28_000 * 10, 1e-3, 620),
    ],
)
def test_the_papers_trainings_are_as_the_papers_have_them(name: str, cines: int, rate: float, held_out: int) -> None:
    configuration = read_configuration(name)
    settings = configuration.optimiser
    assert settings.steps * settings.batch == settings.published == cines
    assert (settings.rate, settings.schedule, settings.clip, settings.precision) == (rate, "constant", 0, "32-true")
    assert configuration.data.validation == held_out
    assert configuration.loss.latent_rise == (0, 0)
    assert configuration.augment == AugmentConfiguration()


def test_the_papers_networks_have_shorter_trainings_that_say_so() -> None:
    for name in ("tlrn-lemniscate", "voxelmorph-lemniscate", "dragnet-published", "dragnet-published-reference"):
        settings = read_configuration(name).optimiser
        assert settings.steps * settings.batch < settings.published / 10


def test_bundled_models_say_how_short_their_training_was() -> None:
    for card in list_models():
        configuration = read_configuration(card.name)
        assert dict(card.arguments) == dict(configuration.arguments)
        published = configuration.optimiser.published
        seen = card.training["steps"] * card.training["batch"]
        expected = f"shortened, {seen} of {published} samples" if published else None
        assert card.training.get("protocol") == expected
        assert card.title == configuration.title


def test_values_keep_their_types(tmp_path: Path, values: dict) -> None:
    values["optimiser"]["rate"] = "1e-4"
    values["data"]["spacing"] = 2
    configuration = read(tmp_path, values)
    assert configuration.optimiser.rate == 1e-4
    assert isinstance(configuration.data.spacing, float)
    assert configuration.data.kinds == ("short-axis", "four-chamber")


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("loss.smoth", 0.1, "unknown key 'loss.smoth'; known are similarity,"),
        ("colour", "red", "unknown key 'colour'"),
        ("loss", 3, "keys and values under 'loss'"),
        (
            "loss.similarity",
            "ssd",
            "'loss.similarity' is one of lncc, robust-lncc, mse, ncc, mi, local-mi, mind, not 'ssd'",
        ),
        (
            "loss.regulariser",
            "tv",
            "'loss.regulariser' is one of diffusion, bending, robust-bending, elastic, hyperelastic, lddmm, folding, "
            "not 'tv'",
        ),
        ("loss.consistency", "none", "'loss.consistency' is one of inverse, gradicon, not 'none'"),
        ("loss.smooth", "much", "'loss.smooth' is 'much', which is of the wrong type; float"),
        ("loss.smooth", True, "'loss.smooth' is True, which is of the wrong type"),
        ("data.size", [64], "'data.size' has two numbers, or three for volumes"),
        ("data.size", [64, 64, 64], "'data.size' has two numbers, or three for volumes"),
        ("data.size", [64, "64"], "'data.size' is '64', which is of the wrong type; int"),
        ("data.kinds", "FIT", "'data.kinds' is 'FIT', which is of the wrong type"),
        ("data.frames", [9, 3], "'data.frames' is too small"),
        ("data.source", "folder", "'data.folder' is needed"),
        ("data.kinds", [], "'data.kinds' and 'data.pool' are needed"),
        ("optimiser.steps", 1.5, "'optimiser.steps' is 1.5, which is of the wrong type; int"),
        ("optimiser.steps", 0, "'optimiser.steps' is too small"),
        ("optimiser.rate", -1.0, "must be positive"),
        ("optimiser.clip", -1.0, "'optimiser.clip' and 'optimiser.published' must not be negative"),
        ("loss.latent_rise", [0.7, 0.4], "two shares of the steps"),
        ("network", None, "'network' is None"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, values: dict, key: str, value: object, sentence: str) -> None:
    *section, last = key.split(".")
    (values[section[0]] if section else values)[last] = value
    with pytest.raises(InputError, match=sentence):
        read(tmp_path, values)


def test_what_is_missing_is_named(tmp_path: Path, values: dict) -> None:
    del values["network"]
    with pytest.raises(InputError, match="lacks the key 'network'"):
        read(tmp_path, values)


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no configuration 'nothing'; give a YAML file or one of .*tlrn-cardiac"):
        read_configuration("nothing")
    with pytest.raises(InputError, match="keys and values under 'the top'"):
        read(tmp_path, ["a", "list"])
    (tmp_path / "broken.yaml").write_text("a: [1, 2", encoding="utf-8")
    with pytest.raises(InputError, match="is not YAML"):
        read_configuration(tmp_path / "broken.yaml")


HOSTILE = [
    "a: " + "[" * 3000, "{" * 3000, "a: &x [1]\nb: *x", "a: &x [*x]", "a: " + "9" * 5000, "\x00",
    "a:\n" + " - b\n" * 60_000, "!!python/object/apply:os.system ['touch PWNED']", "? [a, b]\n: c", "- a", "3", "",
    "a: 2001-99-99", "%YAML 9.9\n---\n",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_a_file_of_any_content_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "own.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as error:
        read_configuration(tmp_path / "own.yaml")
    assert len(str(error.value).splitlines()) == 1
    assert len(str(error.value)) < 600
    assert not Path("PWNED").exists()


@pytest.mark.parametrize("name", ["a" * 300, "a/" * 2000, "x\0y", ".", "\ud83d", "/dev/zero"])
def test_a_name_of_any_kind_is_one_sentence(name: str) -> None:
    with pytest.raises(InputError, match=r"no configuration|cannot be read"):
        read_configuration(name)


@pytest.mark.parametrize(
    ("key", "values_"),
    [
        ("seed", [-1, 2**40, 10**400]),
        ("optimiser.rate", [1e30, float("inf"), float("nan"), 0.0, "1e400"]),
        ("optimiser.steps", [10**30, -1]),
        ("loss.squarings", [10**9, 21]),
        ("loss.smooth", [float("nan"), -1.0, 1e30]),
        ("data.validation", [10**9, 0]),
        ("data.size", [[1, 1], [10**6, 64], [0, 0]]),
        ("data.spacing", [1e-9, float("inf"), float("nan")]),
        ("data.pool", [10**12]),
        ("augment.rotation", [float("nan"), 1e9]),
    ],
)
def test_numbers_beyond_reason_are_named(tmp_path: Path, values: dict, key: str, values_: list) -> None:
    """25 numbers of ten keys."""
    *section, last = key.split(".")
    for value in values_:
        (values[section[0]] if section else values)[last] = value
        with pytest.raises(InputError, match=key):
            read(tmp_path, values)
