"""The examples in the docstrings are run, and the functions that are used most have one."""

from __future__ import annotations

import doctest
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

PACKAGE = Path(__file__).resolve().parents[2] / "DeepRegLogic"

MOST_USED = (
    "io.read.read_cine",
    "io.write.write_cine",
    "registration.register.register_cine",
    "registration.register.register_pair",
    "registration.generate.generate_cine",
    "results.resample.compensate",
    "results.resample.propagate",
    "results.resample.move_points",
    "results.results.Results",
    "results.write.write_motion",
    "zoo.load_model",
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


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """The images of examples are too small to share the work of a step."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


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
