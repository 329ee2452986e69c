"""Landmarks from the files that there are, in LPS millimetres."""

import json
import os

import numpy as np
import pytest

from DeepRegLogic import InputError
from DeepRegLogic.cli.lists import read_list
from DeepRegLogic.io import read_points

POINTS = [[1.0, 2.0, 3.0], [-4.0, 5.5, 6.0]]


def test_three_formats_give_the_same_points(tmp_path):
    (tmp_path / "a.csv").write_text("name,x,y,z\nA,1,2,3\nB,-4,5.5,6\n")
    lines = ["# Markups fiducial file version = 4.11", "# CoordinateSystem = RAS", "1,-1,-2,3,0", "2,4,-5.5,6,0"]
    (tmp_path / "b.fcsv").write_text("\n".join(lines))
    markups = {"coordinateSystem": "LPS", "controlPoints": [{"position": p} for p in POINTS]}
    (tmp_path / "c.mrk.json").write_text(json.dumps({"markups": [markups]}))
    for name in ("a.csv", "b.fcsv", "c.mrk.json"):
        np.testing.assert_allclose(read_points(tmp_path / name), POINTS)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", "x,y\n1,2\n", "cannot be read as landmarks"),
        ("a.csv", "x,y,z\n", "no landmarks"),
        ("a.csv", "x,y,z\n1,2,nan\n", "no landmarks"),
        ("a.mrk.json", "{", "cannot be read as landmarks"),
        ("a.txt", "1 2 3", "landmarks are read from"),
    ],
)
def test_what_is_no_landmarks_is_refused(tmp_path, name, text, words):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=words):
        read_points(tmp_path / name)
    with pytest.raises(InputError, match="no file"):
        read_points(tmp_path / "nowhere.csv")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with names are POSIX's")
@pytest.mark.parametrize("name", ["a.csv", "a.fcsv", "a.mrk.json"])
def test_a_pipe_is_refused_at_once(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(InputError, match="a pipe"):
        read_points(tmp_path / name)
    with pytest.raises(InputError, match="a pipe"):
        read_list(tmp_path / name, ("name",))
