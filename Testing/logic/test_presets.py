"""How thoroughly to refine, by name: for Python and for the command line."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from typing import Any

import numpy as np
import pytest

from DeepRegLogic import Cine, Grid, InputError, Motion, register_cine
from DeepRegLogic.cli import main
from DeepRegLogic.cli import register as command
from DeepRegLogic.registration.presets import DEFAULT_QUALITY, PRESETS, Preset, Refinement, refinement_of
from DeepRegLogic.regularisers import REGULARISERS
from DeepRegLogic.similarities import SIMILARITIES

pytestmark = pytest.mark.usefixtures("one_thread")

# -- names -------------------------------------------------------------------------------------------------------------


def test_there_are_three_qualities_and_the_middle_one_is_the_default():
    assert list(PRESETS) == ["fast", "standard", "best"]
    assert [preset.title for preset in PRESETS.values()] == ["Fast", "Standard", "Best"]
    assert DEFAULT_QUALITY == "standard"
    assert PRESETS["fast"].refinement is None
    assert PRESETS["standard"].refinement == Refinement()


def test_best_differs_from_standard_by_more_iterations_down_to_full_resolution():
    best = PRESETS["best"].refinement
    assert replace(best, levels=None, tolerance=Refinement().tolerance) == Refinement()
    assert best.tolerance < Refinement().tolerance
    shrinks, iterations = zip(*best.levels, strict=True)
    assert list(shrinks) == sorted(shrinks, reverse=True)
    assert shrinks[-1] == 1
    assert sum(iterations) > 240  # the most of standard: 60 at each of four levels


@pytest.mark.parametrize(
    ("refine", "expected"),
    [
        (True, Refinement()),
        (False, None),
        ("fast", None),
        ("standard", Refinement()),
        ("best", Refinement(levels=((8, 100), (4, 100), (2, 100), (1, 60)), tolerance=2e-5)),
        (Refinement("mse", window=5), Refinement("mse", window=5)),
    ],
)
def test_an_argument_refine_stands_for_a_refinement_or_for_none(refine, expected):
    assert refinement_of(refine) == expected
    assert refinement_of(refine, similarity=None, window=None) == expected


def test_a_refinement_of_ones_own_is_taken_as_it_is():
    own = Refinement(levels=((2, 5),))
    assert refinement_of(own) is own


@pytest.mark.parametrize("refine", [True, "standard", "best", Refinement(sigma=2.0)])
def test_changes_take_the_place_of_a_presets_fields_and_leave_the_preset_as_it_is(refine):
    before = refinement_of(refine)
    changed = refinement_of(refine, similarity="mse", regulariser="bending", smoothness=0.7, window=None)
    assert asdict(changed) == asdict(before) | {"similarity": "mse", "regulariser": "bending", "smoothness": 0.7}
    assert refinement_of(refine) == before


@pytest.mark.parametrize("refine", [False, "fast"])
def test_what_does_not_refine_has_nothing_to_change(refine):
    assert refinement_of(refine, similarity="mse", smoothness=0.7) is None


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("standart", "There is no quality 'standart'; there are fast, standard, best. Did you mean 'standard'?"),
        ("Fast", "There is no quality 'Fast'; there are fast, standard, best. Did you mean 'fast'?"),
        ("", "There is no quality ''; there are fast, standard, best."),
    ],
)
def test_an_unknown_quality_is_one_sentence(name, sentence):
    with pytest.raises(InputError) as error:
        refinement_of(name)
    assert str(error.value) == sentence


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"similarity": "ssd"},
            "There is no similarity 'ssd'; there are lncc, robust-lncc, mse, ncc, mi, local-mi, mind.",
        ),
        ({"regulariser": "elastik"}, "Did you mean 'elastic'?"),
        ({"window": 8}, "must be an odd number from 3 on, not 8"),
        ({"window": 1}, "must be an odd number from 3 on, not 1"),
        ({"smoothness": -0.1}, "must not be negative"),
        ({"temporal": -0.1}, "must not be negative"),
        ({"sigma": 0.0}, "positive"),
        ({"sigma_time": 0.0}, "positive"),
        ({"step": 0.0}, "positive"),
        ({"tolerance": 0.0}, "positive"),
        ({"levels": ()}, "A refinement needs levels of"),
        ({"levels": ((0.5, 10),)}, "A refinement needs levels of"),
        ({"levels": ((2, 10), (1, 0))}, "A refinement needs levels of"),
    ],
)
def test_fields_that_no_refinement_can_have_are_one_sentence(change, sentence):
    for make in (lambda: Refinement(**change), lambda: refinement_of("standard", **change)):
        with pytest.raises(InputError) as error:
            make()
        assert sentence in str(error.value)
        assert "\n" not in str(error.value)


def test_every_similarity_and_regulariser_makes_a_refinement():
    for similarity in SIMILARITIES:
        for regulariser in REGULARISERS:
            made = refinement_of(True, similarity=similarity, regulariser=regulariser)
            assert (made.similarity, made.regulariser) == (similarity, regulariser)


# -- in Python ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cine() -> Cine:
    """A disc that shrinks by four pixels, in three frames of 32 x 32."""
    rows, columns = np.mgrid[:32, :32]
    away = np.hypot(rows - 16, columns - 15)
    frames = [1000 / (1 + np.exp(away - radius)) + 3 * rows for radius in (11.0, 9.0, 7.0)]
    return Cine(np.stack(frames).astype(np.float32), Grid((32, 32, 1), (1.4, 1.4, 8.0)), name="disc")


def same(a: Motion, b: Motion) -> bool:
    """To the last bit, and noted with the same settings."""
    fields_are = np.array_equal(a.displacement, b.displacement) and np.array_equal(a.inverse, b.inverse)
    return fields_are and {**a.provenance, "seconds": 0} == {**b.provenance, "seconds": 0}


def test_fast_is_the_networks_result_as_it_is(cine):
    fast, off = (register_cine(cine, reference=0, refine=refine, device="cpu") for refine in ("fast", False))
    assert same(fast, off)
    assert fast.provenance["refinement"] is None
    assert fast.provenance["model"] is not None


def test_standard_is_what_true_stands_for(cine):
    named, on = (register_cine(cine, None, 0, refine=refine, device="cpu") for refine in ("standard", True))
    assert same(named, on)
    assert named.provenance["refinement"] == asdict(Refinement())
    assert named.displacement[2, 0, 16 + 11, 15] < -2  # the rim goes in by four pixels


def test_a_refinement_of_ones_own_is_noted_with_the_motion(cine):
    own = Refinement("mse", levels=((2, 3),), regulariser="elastic")
    assert register_cine(cine, None, 0, refine=own, device="cpu").provenance["refinement"] == asdict(own)


@pytest.mark.parametrize("refine", ["fast", False])
def test_neither_a_model_nor_a_refinement_is_one_sentence(cine, refine):
    with pytest.raises(InputError, match=r"^Without a model there is nothing to do but to refine; .*\.$"):
        register_cine(cine, None, 0, refine=refine)


def test_an_unknown_quality_is_refused_before_anything_is_done(cine):
    seen = []
    with pytest.raises(InputError, match="There is no quality 'slow'"):
        register_cine(cine, "nonsense", 0, refine="slow", progress=lambda part, text: seen.append(part))
    assert seen in ([], [0.0])


# -- on the command line -----------------------------------------------------------------------------------------------


def options(*words: str) -> Mapping[str, Any]:
    """The options of the one study that these words ask for."""
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.studies_of(parser.parse_args(["--input", "cine.nrrd", "--output", "out", *words]))[""].options


@pytest.mark.parametrize(
    ("words", "refine"),
    [
        ("--refine", True),
        ("--no-refine", False),
        ("--quality fast", "fast"),
        ("--quality standard", "standard"),
        ("--refine --quality best", "best"),
        ("--similarity mse", Refinement("mse")),
        ("--regulariser bending", Refinement(regulariser="bending")),
        ("--refine --similarity mse", Refinement("mse")),
        ("--quality standard --similarity mse --regulariser elastic", Refinement("mse", regulariser="elastic")),
        (
            "--quality best --regulariser bending",
            replace(PRESETS["best"].refinement, regulariser="bending"),
        ),
    ],
)
def test_words_of_the_command_line_become_the_argument_refine(words, refine):
    assert options(*words.split()) == {"refine": refine}
    assert options("--model", "none", *words.split()) == {"model": None, "refine": refine}


def test_without_a_word_the_function_decides():
    assert options() == {}


def test_a_pair_takes_the_same_words():
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    words = ["--fixed", "a.nrrd", "--moving", "b.nrrd", "--output", "out", "--quality", "best"]
    assert command.studies_of(parser.parse_args(words))[""].options == {"refine": "best"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--no-refine --quality standard", "--no-refine leaves no refinement that --quality"),
        ("--no-refine --quality fast", "--no-refine leaves no refinement that --quality"),
        ("--no-refine --similarity mse", "--no-refine leaves no refinement that --quality, --similarity"),
        ("--no-refine --regulariser bending", "--no-refine leaves no refinement that --quality, --similarity or --reg"),
        ("--quality fast --similarity mse", "--quality fast does not refine; leave out --refine, --similarity"),
        ("--quality fast --regulariser bending", "--quality fast does not refine; leave out"),
        ("--quality fast --refine", "--quality fast does not refine; leave out --refine"),
    ],
)
def test_words_that_contradict_one_another_are_one_sentence(words, sentence, tmp_path, capsys):
    with pytest.raises(InputError) as error:
        options(*words.split())
    assert str(error.value).startswith(sentence)
    # before the input is looked for, so that it need not be there
    arguments = ["register", "--input", str(tmp_path / "cine.nrrd"), "--output", str(tmp_path / "out"), *words.split()]
    assert main(arguments) == 1
    told = capsys.readouterr()
    assert told.err.strip() == str(error.value)
    assert told.out == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("word", "names"),
    [("--quality", list(PRESETS)), ("--similarity", list(SIMILARITIES)), ("--regulariser", list(REGULARISERS))],
)
def test_an_unknown_name_gives_code_2_and_the_names_there_are(word, names, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["register", "--input", "cine.nrrd", "--output", str(tmp_path / "out"), word, "nonsense"])
    assert ended.value.code == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert word in last
    assert all(name in last for name in ("nonsense", *names))
    assert list(tmp_path.iterdir()) == []


def test_a_quality_that_somebody_added_is_known_everywhere(cine):
    PRESETS.add("hasty", Preset("Hasty", Refinement(levels=((2, 2),))))
    try:
        assert refinement_of("hasty") == Refinement(levels=((2, 2),))
        assert options("--quality", "hasty") == {"refine": "hasty"}
        assert options("--quality", "hasty", "--similarity", "mse") == {"refine": Refinement("mse", levels=((2, 2),))}
        motion = register_cine(cine, None, 0, refine="hasty", device="cpu")
        assert motion.provenance["refinement"]["levels"] == ((2, 2),)
    finally:
        PRESETS.remove("hasty")


def test_every_field_of_a_refinement_is_told_of_in_its_documentation():
    for field in fields(Refinement):
        assert field.name in Refinement.__doc__
