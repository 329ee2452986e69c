"""The examples in docstrings and for contributors are run, and the functions that are used most have one."""

from __future__ import annotations

import doctest
import importlib
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from DeepRegLogic import PRESETS, Labels, Results, read_cine, register_cine, zoo
from DeepRegLogic.io import READERS
from DeepRegLogic.networks import NETWORKS, build
from DeepRegLogic.results.curves import CURVES
from DeepRegLogic.results.maps import MAPS
from DeepRegLogic.similarities import SIMILARITIES
from DeepRegLogic.synthetic import cine_phantom

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "DeepRegLogic"

MOST_USED = (
    "io.read.read_cine",
    "io.write.write_cine",
    "registration.register.register_cine",
    "registration.register.register_pair",
    "registration.sequence.register_sequence",
    "registration.generate.generate_cine",
    "results.resample.compensate",
    "results.resample.propagate",
    "results.resample.move_points",
    "results.results.Results",
    "results.write.write_motion",
    "zoo.load_model",
    "flow.compose",
    "flow.exp",
    "flow.warp",
)


def examples() -> list[doctest.DocTest]:
    """One test for every docstring of the package that has examples."""
    found: list[doctest.DocTest] = []
    for path in sorted(PACKAGE.rglob("*.py")):
        if ">>> " in path.read_text(encoding="utf-8"):
            parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
            module = importlib.import_module(".".join(part for part in parts if part != "__init__"))
            found += [test for test in doctest.DocTestFinder().find(module) if test.examples]
    return found


EXAMPLES = examples()

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("example", EXAMPLES, ids=[example.name.partition(".")[2] for example in EXAMPLES])
def test_example(example: doctest.DocTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # examples write files where they are
    report: list[str] = []
    results = doctest.DocTestRunner().run(example, out=report.append)
    assert results.failed == 0, "".join(report)


@pytest.mark.parametrize("name", MOST_USED)
def test_what_is_used_most_has_an_example(name: str) -> None:
    (example,) = (example for example in EXAMPLES if example.name == f"DeepRegLogic.{name}")
    assert re.search(r"^ *Examples\n *-{8}\n *>>> ", example.docstring or "", re.MULTILINE)


def blocks(language: str) -> list[str]:
    """The examples in CONTRIBUTING.md."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


@pytest.fixture
def newcomers() -> Iterator[None]:
    """What the examples for contributors add, taken out again."""
    tasks = pytest.importorskip("DeepRegLogic.training.tasks", reason="lightning is not installed")
    registries = (SIMILARITIES, READERS, PRESETS, NETWORKS, MAPS, CURVES, tasks.TASKS)
    before = [set(registry) for registry in registries]
    for code in blocks("python"):
        exec(compile(code, "CONTRIBUTING.md", "exec"), {"__name__": "contributed"})
    yield
    for registry, names in zip(registries, before, strict=True):
        added = set(registry) - names
        assert len(added) == 1, registry.what
        for name in added:
            registry.remove(name)


def test_the_examples_for_contributors_work(newcomers: None, tmp_path: Path) -> None:
    phantom = cine_phantom(3, frames=4, size=48, spacing=4.0)
    np.save(tmp_path / "beat.npy", phantom.cine.frames)
    cine = read_cine(tmp_path / "beat.npy")
    assert (cine.name, cine.grid.spacing, len(cine.notes)) == ("beat", (1.0, 1.0, 1.0), 1)
    network = build("shift")
    card = zoo.Card("shift", "Shift", "For tests.", "shift", {}, 2, 1.0)
    zoo.save_model(tmp_path / "shift", network, card)
    torch.nn.init.zeros_(network.vector.weight)
    torch.nn.init.constant_(network.vector.bias, 0.5)
    with torch.no_grad():
        found = network.estimate(torch.rand(2, 1, 16, 16), torch.rand(2, 3, 1, 16, 16))
    assert found.shape == (6, 2, 16, 16)
    torch.testing.assert_close(found.displacement(), torch.full((6, 2, 16, 16), 0.5))
    settings = replace(PRESETS["stiff"].refinement, similarity="mae", levels=((2.0, 30), (1.0, 30)))
    motion = register_cine(cine, model=str(tmp_path / "shift"), reference=0, refine=settings)
    assert motion.quality[2].error_after < 0.8 * motion.quality[2].error_before
    results = Results(motion, cine, Labels.of_map(phantom.labels[0]))
    furthest = [frame.motion_max for frame in motion.quality]
    np.testing.assert_allclose(results.map("length").max((1, 2)), furthest, rtol=1e-5)
    moved = results.curve("moved")[1]
    assert moved[0] == 0 < moved[2] < furthest[2]


def test_the_configuration_for_contributors_is_sound(newcomers: None, tmp_path: Path) -> None:
    from DeepRegLogic.training.configuration import read_configuration
    from DeepRegLogic.training.tasks import TASKS

    (text,) = blocks("yaml")
    (tmp_path / "shift-cardiac.yaml").write_text(text, encoding="utf-8")
    configuration = read_configuration(tmp_path / "shift-cardiac.yaml")
    task = TASKS["still"](build(configuration.network), configuration)
    batch = {"reference": torch.rand(1, 1, 16, 16), "frames": torch.rand(1, 2, 1, 16, 16)}
    found = task.network.estimate(batch["reference"], batch["frames"])
    assert set(task.loss_terms(found, batch)) == {"similarity", "smooth", "still"}
