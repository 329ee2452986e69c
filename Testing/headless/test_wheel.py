"""The package as pip installs it: all modules and models are in it, and it runs away from the source tree."""

from __future__ import annotations

import os
import shutil
import sys
import zipfile
from pathlib import Path

import pytest
from processes import run


@pytest.fixture(scope="module")
def installed(repository, tmp_path_factory) -> Path:
    """A folder with the contents of the wheel."""
    source = tmp_path_factory.mktemp("source")
    for folder in ("DeepRegLogic", "Resources"):
        shutil.copytree(repository / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE.txt"):
        shutil.copy(repository / name, source)
    command = [sys.executable, "-m", "pip", "wheel", ".", "--no-deps", "--no-build-isolation", "--quiet", "-w", "dist"]
    done = run(command, cwd=source)
    assert done.returncode == 0, done.stderr
    (wheel,) = (source / "dist").glob("*.whl")
    target = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


def _files(folder: Path, *patterns: str) -> set[str]:
    return {p.relative_to(folder).as_posix() for pattern in patterns for p in folder.rglob(pattern) if p.is_file()}


def test_wheel_holds_every_module_model_and_sample(installed, repository):
    package = installed / "DeepRegLogic"
    assert _files(package, "*.py", "*.yaml") == _files(repository / "DeepRegLogic", "*.py", "*.yaml")
    for folder in ("Models", "SampleData"):
        files = {name for name in _files(repository / "Resources" / folder, "*") if "-lemniscate/" not in name}
        assert _files(package / "Resources" / folder, "*") == files
    assert {p.name for p in installed.iterdir() if not p.name.endswith(".dist-info")} == {"DeepRegLogic"}


def test_installed_package_registers_the_sample(installed, tmp_path):
    sample = installed / "DeepRegLogic" / "Resources" / "SampleData" / "four-chamber.seq.nrrd"
    command = [sys.executable, "-m", "DeepRegLogic", "register", "--input", str(sample), "--no-refine"]
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    done = run([*command, "--output", tmp_path / "out"], cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "report.json").is_file()
