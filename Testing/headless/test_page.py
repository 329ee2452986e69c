"""The report of one page, and the bull's-eye."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from DeepRegLogic import Labels, Results
from DeepRegLogic.report import write_figures
from DeepRegLogic.report.bullseye import bulls_eye, signed
from DeepRegLogic.report.page import end_systole, heart_rate, number_rows, page, write_page
from DeepRegLogic.results.bullseyes import BULLSEYES, Bullseye, Segment
from DeepRegLogic.results.quality import FrameQuality
from DeepRegLogic.synthetic import cine_phantom

NUMBERS = range(1, 18)


@pytest.fixture(scope="module")
def results() -> Results:
    phantom = cine_phantom(seed=1, size=64, frames=8, spacing=2.2)
    quality = [FrameQuality(**dict.fromkeys((f.name for f in dataclasses.fields(FrameQuality)), 0.1)) for _ in range(8)]
    motion = dataclasses.replace(phantom.motion, quality=tuple(quality), cyclic=True, provenance={"model": "none-such"})
    cine = dataclasses.replace(phantom.cine, study_date="2024-05-17")
    return Results(motion, cine, Labels.of_map(phantom.labels[0], phantom.label_names))


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]


def test_the_page_says_who_when_how_fast_and_how_good(results):
    said = texts(page(results))
    rate = 60.0 / (results.motion.times[-1] + np.median(np.diff(results.motion.times)))
    assert {"2024-05-17", f"{rate:.0f} beats a minute", results.cine.name} <= set(said)
    assert any("none-such" in text and "0.1.0" in text for text in said)
    assert any(text.startswith("8 frames were registered to frame 0") for text in said)
    blood = results.sizes[1]
    assert f"{blood.max():.4g} mm²" in said
    assert f"{1 - blood.min() / blood.max():.0%}" in said
    assert any(f"End-systole: frame {int(np.argmin(blood))}" in text for text in said)
    assert end_systole(results) == int(np.argmin(blood))


def test_a_page_is_written_as_pdf_and_picture(results, tmp_path: Path):
    files = write_page(results, tmp_path)
    assert [path.name for path in files] == ["report.pdf", "report.png"]
    content = files[0].read_bytes()
    assert content.startswith(b"%PDF")
    assert content.count(b"/Type /Page\n") + content.count(b"/Type /Page ") == 1
    picture = Image.open(files[1])
    assert picture.height / picture.width == pytest.approx(297 / 210, rel=0.01)


def test_a_page_of_a_cine_without_labels_times_and_date(results):
    cine = dataclasses.replace(results.cine, study_date="", times=None)
    motion = dataclasses.replace(results.motion, times=None, cyclic=False)
    said = texts(page(Results(motion, cine)))
    assert {"no date in the file", "not known"} <= set(said)
    assert "Without labels nothing is measured but the motion." in said
    assert heart_rate(motion) is None


def test_a_band_is_told_as_an_interval(results):
    other = Results(results.motion, results.cine, results.labels)
    middle = np.array([0.0, -5.0, -11.0, -18.26, -12.0, -6.0, -2.0, 0.0])
    other.__dict__["curves"] = {"sizes": {"GCS": np.stack([middle, middle - 2.0, middle + 1.5], axis=1)}}
    (row,) = number_rows(other, ["sizes"])
    assert row[0] == "GCS, peak"
    assert row[1].startswith("−18.3 ")
    assert "(−20.3 to −16.8)" in row[1]
    assert row[2] == f"{results.motion.times[3]:.2f} s"


@pytest.fixture
def segmental():
    """An entry of the list of bull's-eyes, for a test."""
    known = {number: Segment(f"part {number}", -number, -number - 2.0, 2.0 - number) for number in NUMBERS}
    known[9] = Segment("part 9", -9.0, -30.0, 12.0, uncertain=True)
    entry = BULLSEYES.add("test", Bullseye("strain (negative: shorter)", "%", lambda results: known))
    yield entry, known
    BULLSEYES.remove("test")


def test_segments_lie_where_the_standard_says(segmental):
    axes = Figure().subplots()
    bulls_eye(axes, *segmental)
    places = {text.get_text(): np.array(text.get_position()) for text in axes.texts}
    place = {number: places[signed(-number)] for number in NUMBERS}
    angle = {number: np.rad2deg(np.arctan2(y, x)) for number, (x, y) in place.items()}
    # the anterior wall is up, the septum to the left, the inferior wall down, the lateral wall to the right
    for anterior, inferior in ((1, 4), (7, 10), (13, 15)):
        assert angle[anterior] == pytest.approx(90.0, abs=3.0)
        assert angle[inferior] == pytest.approx(-90.0, abs=3.0)
    assert place[2][0] < 0 < place[6][0]
    assert place[14][0] < 0 < place[16][0]
    assert all(np.diff([np.linalg.norm(place[number]) for number in (1, 7, 13, 17)]) < 0)
    hatched = [patch for patch in axes.patches if patch.get_hatch()]
    assert len(hatched) == 1
    assert np.rad2deg(np.arctan2(*hatched[0].get_path().vertices.mean(axis=0)[::-1])) == pytest.approx(-150.0, abs=12.0)
    assert "hatched: too uncertain to be read" in places


def test_segments_without_a_value_are_grey_and_say_nothing(segmental):
    axes = Figure().subplots()
    bulls_eye(axes, segmental[0], {1: Segment("anterior", -12.0), 2: Segment("other", np.nan)})
    assert [text.get_text() for text in axes.texts] == ["−12"]
    assert len(axes.patches) == 17
    grey = [patch for patch in axes.patches if np.ptp(patch.get_facecolor()[:3]) == 0]
    assert len(grey) == 16


def test_segments_are_in_figures_and_on_the_page(segmental, results, tmp_path):
    with_segments = Results(results.motion, results.cine, results.labels)
    (tmp_path / "figures").mkdir()
    files = write_figures(tmp_path / "figures", with_segments)
    assert tmp_path / "figures/segments.png" in files
    assert any(text.startswith("Circumferential strain at end-systole") for text in texts(page(with_segments)))
    assert Results(results.motion, results.cine).bullseyes.keys() == {"test"}


def test_minus_signs():
    assert [signed(-0.2), signed(-12.4), signed(3.26, 1), signed(-0.04, 1)] == ["0", "−12", "3.3", "0.0"]
