"""The public face as a type checker sees it, and that its names are those that can be imported."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGES = ("DeepRegLogic", "DeepRegLogic.io", "DeepRegLogic.uncertainty")

USE = """
from pathlib import Path

import numpy as np

from DeepRegLogic import (
    PRESETS,
    CancelToken,
    Cine,
    Grid,
    Labels,
    Motion,
    Refinement,
    Results,
    compensate,
    generate_cine,
    list_models,
    load_model,
    move_points,
    propagate,
    read_cine,
    read_labels,
    register_cine,
    register_pair,
    uncertainty,
    write_cine,
    write_motion,
)
from DeepRegLogic.io import READERS, read_field

field: np.ndarray = register_cine(read_cine("x.nii")).displacement
cine = Cine(np.zeros((3, 16, 16)), Grid.of_array((16, 16)), [0.0, 0.1, 0.2])
numbered = Cine(np.zeros((3, 16, 16)), cine.grid, None)
motion: Motion = register_cine(cine, refine="best", progress=lambda share, text: None, cancel=CancelToken())
fast: Motion = register_pair(cine, cine, refine=Refinement(similarity="mse"), device="cpu")
seconds: np.ndarray = motion.times * 1000
labels: np.ndarray = read_labels(Path("labels.nrrd"), cine.grid)
results = Results(motion, cine, Labels.of_map(labels))
shrunk: bool = bool((results.map("jacobian") < 1).any())
area: np.ndarray = results.curve("sizes")[1]
still: np.ndarray = compensate(motion, cine.frames)
carried: np.ndarray = propagate(motion, labels, nearest=True)
points: np.ndarray = move_points(motion, np.zeros((1, 3)), 2)
worst: float = max(frame.inverse_consistency_high for frame in motion.quality)
written: list[Path] = write_motion(motion, cine, "out", labels=labels)
write_cine("still.nrrd", still, cine)
beats: list[Cine] = [sample.cine for sample in generate_cine(cine, 4, seed=1)]
names: list[str] = [card.name for card in list_models() if "register" in card.capabilities]
load_model(names[0]).network.eval()
levels = None if PRESETS["fast"].refinement is None else PRESETS["fast"].refinement.levels
accepted: bool = READERS["folder"].accepts((Path("a"),))
back: np.ndarray = read_field("inverse_000.nrrd")[0]
if motion.covariance is not None:
    entropy: np.ndarray = uncertainty.entropy(motion.covariance)
"""

MISTAKES = {
    'register_cine("cine.nii")': "arg-type",
    "register_cine(cine, referenc=0)": "call-arg",
    'register_pair(cine, cine, device="cpu", reference=1)': "call-arg",
    "register_cine(cine).displacment": "attr-defined",
    'Cine(cine.frames, cine.grid, "0.1 s")': "arg-type",
}


def checked(path: Path, repository: Path) -> str:
    """What mypy says of a file; the package is taken from the source tree as if it were installed."""
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--no-error-summary"]
    done = subprocess.run(
        [*command, "--cache-dir=cache", path.name],
        cwd=path.parent,
        env={**os.environ, "MYPYPATH": str(repository)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert not done.stderr, done.stderr
    return done.stdout


@pytest.mark.skipif(importlib.util.find_spec("mypy") is None, reason="mypy is not installed")
def test_the_public_face_has_types(repository: Path, tmp_path: Path) -> None:
    mistakes = "".join(f"{line}\n" for line in MISTAKES)
    (tmp_path / "use.py").write_text(USE + mistakes, encoding="utf-8")
    said = checked(tmp_path / "use.py", repository).splitlines()
    errors = [line for line in said if ": error: " in line]
    first = len(USE.splitlines()) + 1
    expected = {f"use.py:{first + number}: [{code}]" for number, code in enumerate(MISTAKES.values())}
    found = {f"{line.split(': ')[0]}: {line.split()[-1]}" for line in errors}
    assert found == expected, "\n".join(said)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_there_for_users_and_for_type_checkers(package: str) -> None:
    module = importlib.import_module(package)
    for name in module.__all__:
        assert getattr(module, name) is not None
    assert set(module.__all__) <= set(dir(module))
    assert len(module.__all__) == len(set(module.__all__))
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    places = {
        alias.asname or alias.name: (node.module, alias.name)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert sorted(places) == sorted(module.__all__)
    for name, (place, original) in places.items():  # type checkers and users get the same object
        assert getattr(importlib.import_module(f".{place}", package), original) is getattr(module, name), name


@pytest.mark.parametrize("package", PACKAGES)
def test_a_name_that_is_not_there(package: str) -> None:
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'register_all'"):
        _ = importlib.import_module(package).register_all


def test_every_package_is_listed_with_its_types(repository: Path) -> None:
    tomllib = pytest.importorskip("tomllib", reason="Python 3.10 reads no TOML")
    settings = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    folders = {path.parent.relative_to(repository) for path in (repository / "DeepRegLogic").rglob("__init__.py")}
    packages = {".".join(folder.parts) for folder in folders}
    assert settings["packages"] == sorted(packages | {"DeepRegLogic.Resources"})
    assert "py.typed" in settings["package-data"]["DeepRegLogic"]
    assert (repository / "DeepRegLogic" / "py.typed").is_file()
