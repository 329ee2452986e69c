"""The documentation: it is built without a warning, its commands run, and the messages that it explains are said."""

from __future__ import annotations

import dataclasses
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from processes import run

from DeepRegLogic import write_cine
from DeepRegLogic.cli import main

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = sorted(page.stem for page in DOCS.glob("*.md"))
QUICK = {"register": ["--no-refine"], "cohort": ["--no-refine"], "evaluate": ["--no-refine"], "train": ["--steps", "1"]}


def _blocks(page: str) -> str:
    return "\n".join(re.findall(r"^ *```sh\n(.*?)^ *```", (DOCS / f"{page}.md").read_text("utf-8"), re.M | re.S))


def _commands(text: str) -> list[list[str]]:
    lines = [line.strip() for line in text.replace("\\\n", " ").splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("temporal-registration ")]


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """A folder with the files that the commands name."""
    from DeepRegLogic.synthetic import cine_phantom

    folder = tmp_path_factory.mktemp("documentation")
    phantom = cine_phantom(seed=1, size=32, spacing=4.0, frames=3)
    cine = dataclasses.replace(phantom.cine, times=np.arange(3) * 0.1)
    frames = [dataclasses.replace(cine, frames=cine.frames[t : t + 1], times=cine.times[:1]) for t in (0, 2)]
    labels = phantom.labels[:1].astype(np.uint8)
    write_cine(folder / "cine.nii.gz", cine.frames, cine)
    write_cine(folder / "labels.nii.gz", labels, frames[0])
    for name, image in (("frame", frames[0]), ("fixed", frames[0]), ("moving", frames[1])):
        write_cine(folder / f"{name}.nii.gz", image.frames, image)
    for number in (1, 2):
        write_cine(folder / "cines" / f"patient{number}.nii.gz", cine.frames, cine)
    (folder / "studies.csv").write_text("name,input,labels,reference\na,cine.nii.gz,labels.nii.gz,0\nb,cine.nii.gz,,\n")
    (folder / "mine.yaml").write_text((DOCS / "mine.yaml").read_text())
    return folder


@pytest.mark.parametrize("page", [page for page in PAGES if _commands(_blocks(page))])
def test_every_command_of_a_page_runs(page, files, monkeypatch, capsys):
    monkeypatch.chdir(files)
    for command in _commands(_blocks(page)):
        more = [] if command[0] == "register" and "--quality" in command else QUICK.get(command[0], [])
        if command[0] in ("register", "cohort") and "--write" not in command:
            more = [*more, "--write", "report,fields"]  # pictures take most of the time
        try:
            code = main([*command, *more])
        except SystemExit as stop:
            code = stop.code
        assert code == 0, (command, capsys.readouterr().err)


def test_every_other_command_is_one(repository, capsys):
    """Those that need a cluster, or more than a test has, are understood at least."""
    texts = [(DOCS / f"{page}.md").read_text("utf-8") for page in PAGES]
    texts += [(repository / name).read_text("utf-8") for name in ("README.md", "CONTRIBUTING.md")]
    found = [command for text in texts for command in _commands(re.sub(r"\s+#.*", "", text))]
    assert len(found) > 20
    for command in found:
        with pytest.raises(SystemExit) as stop:
            main([*command, "--help"] if command[0] != "--version" else command)
        assert stop.value.code == 0
        known = set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) | {"--version"}
        assert {word.partition("=")[0] for word in command if word.startswith("--")} <= known, command


def test_every_page_can_be_found(repository):
    text = (repository / "mkdocs.yml").read_text("utf-8")
    assert sorted(re.findall(r"^  - .*: ([\w-]+)\.md$", text, re.M)) == PAGES


def test_the_site_is_built_without_a_warning(repository, tmp_path):
    pytest.importorskip("mkdocs", reason="mkdocs is not installed")
    pytest.importorskip("mkdocstrings", reason="mkdocstrings is not installed")
    done = run([sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path / "site"], cwd=repository)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    page = (tmp_path / "site" / "api" / "index.html").read_text("utf-8")
    for name in ("register_studies", "read_cine", "Results", "MemoryBudgetError"):
        assert re.search(rf'id="DeepRegLogic\.[\w.]*\b{name}"', page), name
    assert not re.findall(r'<(?:script|link)[^>]+(?:src|href)="https?://(?!github|temporal)', page)


def test_the_messages_that_are_explained_are_those_that_are_said(repository):
    code = " ".join(path.read_text("utf-8") for path in (repository / "DeepRegLogic").rglob("*.py"))
    code = re.sub(r'"\s*\n\s*f?"', "", code)  # sentences over several lines
    rows = re.findall(r"^\| (.*?) \| .* \|$", (DOCS / "troubleshooting.md").read_text("utf-8"), re.M)[2:]
    assert len(rows) > 10
    for message in rows:
        for part in re.split(r"'?\.\.\.'?", message):
            words = part.strip(" .'")
            assert words in code or words.replace("studies.csv", "{STUDIES}") in code, (message, words)


def test_public_names_are_all_in_the_reference():
    import DeepRegLogic

    text = (DOCS / "api.md").read_text("utf-8")
    names = {line.rpartition(".")[2] for line in text.splitlines() if line.startswith(":::")}
    assert set(DeepRegLogic.__all__) - names <= {"PRESETS"}


def test_the_container_has_what_the_wheel_has(repository):
    """There is no builder in the tests; that they name files that are there, and the package, can be told."""
    for name in ("Dockerfile", "apptainer.def"):
        text = (repository / name).read_text("utf-8")
        for path in ("pyproject.toml", "README.md", "LICENSE.txt", "DeepRegLogic", "Resources"):
            assert re.search(rf"\b{path}\b", text), path
        for path in re.findall(r"Resources/SampleData/\S+", text):
            assert (repository / path).is_file(), path
