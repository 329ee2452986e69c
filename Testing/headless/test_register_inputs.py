"""What the arguments of the register command make of inputs, before anything is registered."""

from __future__ import annotations

import argparse

import pytest
from made_dicom import write_slice

from DeepRegLogic.cli import register
from DeepRegLogic.cohort import study


def studies_of(*arguments):
    parser = argparse.ArgumentParser()
    register.add_arguments(parser)
    return register.studies_of(parser.parse_args([str(argument) for argument in arguments]))


@pytest.mark.parametrize("place", ["out", "results/deep/out", "."])
def test_results_among_the_studies_are_no_study(tmp_path, place):
    folder = tmp_path / "all"
    (folder / "two").mkdir(parents=True)
    (folder / "one.nii.gz").write_bytes(b"")
    output = folder / place if place != "." else tmp_path / "elsewhere"
    arguments = ("--studies", "--input", folder, "--output", output)
    first = list(studies_of(*arguments))
    (output / "one").mkdir(parents=True)  # as the first run leaves it
    (output / "studies.csv").write_text("")
    assert list(studies_of(*arguments)) == first == ["one", "two"]


@pytest.mark.parametrize("series", [["all"], ["1.2.3.10", "1.2.3.11", "1.2.3.12"], ["1.2.3.11"]])
def test_series_are_joined(tmp_path, series):
    for t in range(4):
        for k in range(3):
            write_slice(tmp_path / f"{t}_{k}", t, k, series=f"1.2.3.{k + 10}")
    found = studies_of("--input", tmp_path, "--series", *series, "--output", tmp_path.parent / "out")
    (cine,) = study._read(found[""])
    assert (len(cine), cine.grid.size) == (4, (8, 6, 3 if series != ["1.2.3.11"] else 1))
    assert study._settings(found[""])["series"] == (series if len(series) > 1 else series[0])
