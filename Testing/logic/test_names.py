"""Any name, as scenes and images of others have them, becomes a name that every system takes, and no path."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from DeepRegLogic.io.formats import safe_name, safe_title

HOSTILE = [
    "../victim", "..", ".", "", " ", "/etc/passwd", "C:\\Windows\\x", "\\\\server\\share", "4CH/SAX", "a:b",
    "a*?<>|\"b", "x" * 300, "é" * 200, "心" * 120, "CON", "con.seq",
    "nul", "COM1", "lpt9.txt", "aux ", "name.", "name ", "...",
    "a\0b", "a\nb", "a\rb", "\x1b[31mred", "\u202egpj", "\ud83d", "a\udce9b", "-rf", "--", "%s%n", "$HOME", "`id`",
    "~", "~root", "a;b",
]  # fmt: skip


@pytest.mark.parametrize("name", ["heart", "short axis 3", "Herz (Übersicht)", "心臓", "हृदय", "a.b-c_d"])
def test_a_good_title_stays_as_it_is(name):
    assert safe_title(name) == name
    assert safe_title(f"{name} motion") == f"{name} motion"


def is_safe(name: str) -> bool:
    plain = re.fullmatch(r"[^/\\:*?\"<>|\x00-\x1f\x7f]+", name) and name == name.strip(" ") and not name.startswith(".")
    reserved = re.fullmatch(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?", name)
    return bool(plain) and not name.endswith(".") and not reserved and len(name.encode()) <= 120


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_becomes_a_safe_one(name):
    assert is_safe(safe_title(name))
    assert is_safe(safe_title(f"{name} motion"))
    assert is_safe(safe_name(name) + "_compensated.nrrd")


@given(st.text(max_size=400), st.text(max_size=400))
def test_any_two_titles_are_told_apart(one, other):
    """100 pairs of texts, drawn anew with every version of them."""
    assert is_safe(safe_title(one))
    assert (safe_title(one) == safe_title(other)) == (one == other)


def test_hostile_titles_are_all_told_apart():
    assert len({safe_title(name) for name in HOSTILE}) == len(HOSTILE)
