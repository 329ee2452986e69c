"""The page of a study: one file that needs no other, says what the results say, and plays in a browser."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from processes import run

from DeepRegLogic.report import tables, write_figures
from DeepRegLogic.report.html import write_index, write_report
from DeepRegLogic.report.style import grey_window
from DeepRegLogic.results.results import Results

BROWSER = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)


class Page(HTMLParser):
    """What a page asks for from elsewhere, the text of its cells, and its elements by id."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.ids: set[str] = set()
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.asked += [value for key in ("src", "href", "data", "action") if (value := found.get(key))]
        self.ids |= {found["id"]} if found.get("id") else set()
        if tag not in ("meta", "input", "img", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        found = dict(attrs)
        self.ids |= {found["id"]} if found.get("id") else set()


def data_of(text: str) -> dict:
    return json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.DOTALL).group(1))


@pytest.fixture(scope="module")
def page(results, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    files = write_figures(folder, results)
    content = tables.report_content(results, "disc.nrrd", {"model": "none"}, {"read": 0.1})
    write_report(folder / "report.html", results, content, [path for path in files if path.name == "montage.png"])
    return folder / "report.html"


def test_the_page_asks_for_nothing_but_itself(page):
    text = page.read_text(encoding="utf-8")
    parsed = Page(text)
    assert parsed.open == []
    assert all(value.startswith(("data:", "#")) for value in parsed.asked)
    assert "default-src 'none'" in text
    assert {"frames", "compensated", "slider", "play", "overlay", "quality", "curves"} <= parsed.ids
    assert len(text) < 2e6


def test_its_pictures_are_those_of_the_cine(page, results):
    data = data_of(page.read_text(encoding="utf-8"))
    assert data["durations"] == [50] * 6
    assert data["letters"] == ["AR", "PL", "H", "F"]
    assert data["bar"]["text"] == "2 cm"
    low, high = grey_window(results.cine.frames)
    for name, images in (("frames", results.cine.frames), ("compensated", results.compensated)):
        layer = data["layers"][name]
        sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(layer["data"].partition(",")[2]))).convert("L"))
        for t in range(6):
            x, y = t % layer["columns"] * layer["width"], t // layer["columns"] * layer["height"]
            shown = sheet[y : y + layer["height"], x : x + layer["width"]]
            expected = np.clip((images[t].T - low) / (high - low), 0, 1) * 255  # the head is up: transposed
            assert np.abs(shown - expected).mean() < 4


def test_its_outlines_and_curves_follow_the_frames(page, results):
    text = page.read_text(encoding="utf-8")
    data = data_of(text)
    width = [np.ptp(np.array(data["outlines"][1]["lines"][t][0])[0::2]) for t in range(6)]
    assert width[3] < 0.85 * width[1]  # the disc shrinks
    axis = data["axes"][0]
    steps = np.diff(axis["x"])
    assert steps == pytest.approx([steps[0]] * 5, rel=0.01)
    assert 0 < axis["top"] < axis["bottom"]
    assert text.count("data-frame=") == 6
    assert "displacement" in data["overlays"]
    assert data["overlays"]["displacement"]["title"] == "Displacement from frame 1 (mm)"
    assert data["overlays"]["jacobian"]["title"] == "Change of area"


def test_names_of_files_cannot_write_into_the_page(results, tmp_path):
    content = tables.report_content(results, "<script>alert(1)</script>.nrrd", {"labels": "</script><b>"}, {})
    content["input"]["name"] = "<img src=x>"
    write_report(tmp_path / "report.html", results, content)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert "<img src=x" not in text
    assert Page(text).open == []


def test_a_page_without_labels_and_times(beating, tmp_path):
    from dataclasses import replace

    cine, motion, _ = beating
    plain = Results(replace(motion, times=None), replace(cine, times=None))
    write_report(tmp_path / "report.html", plain, tables.report_content(plain, "x", {}, {}))
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "show-labels" not in Page(text).ids
    assert data_of(text)["durations"] == [100] * 6


def test_an_index_links_what_is_there(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "report.html").write_text("x")
    rows = [
        {"study": "a", "status": "ok", "folded": 0.0125, "message": "fine"},
        {"study": "b", "status": "failed", "folded": "", "message": "<b>not</b> read"},
    ]
    write_index(tmp_path / "index.html", rows, tmp_path)
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert Page(text).asked == ["a/report.html"]
    assert "&lt;b&gt;not" in text
    assert 'data-value="0.0125"' in text
    assert "2 studies, 1 of them registered" in text


PROBE = """<script>
window.addEventListener("load", () => {
  const seen = [];
  const slider = document.getElementById("slider");
  const note = () => seen.push(Number(slider.value));
  const pixels = (id) => {
    const canvas = document.getElementById(id);
    const all = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    let sum = 0;
    for (let i = 0; i < all.length; i += 4) sum += all[i] + all[i + 1] + all[i + 2];
    return sum;
  };
  document.getElementById("play").click();
  const timer = setInterval(note, 20);
  setTimeout(() => {
    clearInterval(timer);
    document.getElementById("play").click();
    document.querySelector("#quality tbody tr:nth-child(4)").click();
    const before = pixels("compensated");
    const overlay = document.getElementById("overlay");
    overlay.value = "displacement";
    overlay.dispatchEvent(new Event("change"));
    const result = {
      seen, before, frame: slider.value, after: pixels("compensated"), left: pixels("frames"),
      cursor: document.getElementById("cursor-0").getAttribute("x1"),
      current: document.querySelectorAll("#quality tr.current").length,
    };
    document.body.dataset.result = JSON.stringify(result);
  }, 1500);
});
</script></body>"""


@pytest.mark.skipif(not BROWSER, reason="no Chromium")
def test_it_plays_in_a_browser(page, tmp_path):
    text = page.read_text(encoding="utf-8")
    (tmp_path / "probe.html").write_text(text.replace("</body>", PROBE), encoding="utf-8")
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    done = run([*command, "--virtual-time-budget=4000", "--dump-dom", (tmp_path / "probe.html").as_uri()])
    assert done.returncode == 0, done.stderr[-2000:]
    found = re.search(r'data-result="([^"]*)"', done.stdout)
    assert found, done.stderr[-2000:]
    result = json.loads(found.group(1).replace("&quot;", '"'))
    assert set(result["seen"]) == set(range(6))  # it plays, and begins again
    assert result["frame"] == "3"
    assert result["current"] == 1
    assert float(result["cursor"]) == pytest.approx(data_of(text)["axes"][0]["x"][3])
    assert result["before"] > 0
    assert result["left"] > 0
    assert abs(result["after"] - result["before"]) > 0.01 * result["before"]  # the overlay shows
