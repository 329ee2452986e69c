"""Sentences of the numerics reach the panel in the user's language."""

from __future__ import annotations

import pytest
from collect_sentences import TARGET, content

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")

from TemporalRegistrationLib import i18n  # noqa: E402


def test_the_templates_are_those_of_the_code():
    assert TARGET.read_text(encoding="utf-8") == content(), "run: make sentences"


@pytest.fixture
def german(monkeypatch):
    words = {
        "Frame {t} of '{name}' has NaN or infinite pixels; replace them (for example with 0).": (
            "Bild {t} von '{name}' hat NaN-Pixel."
        ),
        "Refining, level {level} of {shapes}": "Verfeinern, Stufe {level} von {shapes}",
        "Done": "Fertig",
        "The images of '{name}' have {size} pixels; at least {SMALLEST} x {SMALLEST2} are needed.": (
            "{size} in '{name}'"
        ),
    }
    monkeypatch.setattr(i18n, "_", lambda text: words.get(text, text))
    i18n._patterns.cache_clear()
    yield
    i18n._patterns.cache_clear()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Refining, level 2 of 3", "Verfeinern, Stufe 2 von 3"),
        ("The images of 'x y' have 4 x 4 pixels; at least 16 x 16 are needed.", "4 x 4 in 'x y'"),
        ("Nobody translated this.", "Nobody translated this."),
    ],
)
def test_a_finished_sentence_is_translated_with_its_values(german, text, expected):
    assert i18n.translated(text) == expected


def test_an_error_of_the_worker_is_told_in_the_users_language(german, panel, small, spin):
    import numpy as np
    from driving import quick, run

    pixels = slicer.util.arrayFromVolume(small.GetNthDataNode(2)).astype(np.float32)
    spoilt = np.where(pixels == pixels.max(), np.nan, pixels)
    for frame in range(6):
        node = small.GetNthDataNode(frame)
        slicer.util.updateVolumeFromArray(node, spoilt if frame == 2 else pixels)
    panel.ui.inputSelector.setCurrentNode(small)
    quick(panel)
    run(panel, spin)
    assert panel.ui.statusLabel.text == "Bild 2 von 'heart' hat NaN-Pixel."


def test_without_translations_sentences_stay_as_they_are():
    i18n._patterns.cache_clear()
    assert i18n.translated("Refining, level 2 of 3") == "Refining, level 2 of 3"
