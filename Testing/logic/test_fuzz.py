"""A short part of ``Testing/benchmarks/fuzz.py``: damaged inputs of every kind, and what was found by it before."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
fuzz = pytest.importorskip("fuzz")
if sys.platform == "win32":
    pytest.skip("limits of memory and pipes of POSIX", allow_module_level=True)

NUMBERS = range(40_000_000, 40_000_000 + 12)
FOUND = [
    ("sequence, gzip", 10000435),  # a vector of braces, which teem writes beyond the end of its memory
    ("nrrd, text", 20001356),  # a number of 400 digits, too
    ("nifti", 30001479),  # frames left out by a dimension
    ("configuration", 40000319),  # a number that is too large for float
    ("configuration", 70010837),  # 3000 brackets, for which the parser takes minutes
    ("dicom, classic", 40000003),  # a header of which nothing is left, not even what it is of
    ("labels", 10000051),  # names of labels read from a header that is none
]
KINDS = [kind for kind in fuzz.kinds() if kind not in ("field, text", "field, hdf5")]  # a process a file


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    reader = fuzz.Reader(tmp_path_factory.mktemp("fuzz"))
    yield reader
    reader.close()


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_inputs_are_refused_in_a_sentence_or_read_whole(reader, kind):
    """Twelve inputs of each of the kinds."""
    answers = {number: reader.ask(kind, number, seconds=120)[0] for number in NUMBERS}
    assert set(answers.values()) <= {"refused", "accepted"}, answers


@pytest.mark.parametrize(("kind", "number"), FOUND)
def test_what_was_found_before_is_refused(reader, kind, number):
    assert reader.ask(kind, number, seconds=120)[0] == "refused"
