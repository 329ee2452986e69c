"""Data flows downhill: no circle of imports, no upward arrow, and each layer imports only what it may."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from imports import circle, graph, modules

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {
    "DeepRegLogic": ROOT / "DeepRegLogic",
    "TemporalRegistrationLib": ROOT / "TemporalRegistration" / "TemporalRegistrationLib",
}

FLOORS = {
    "DeepRegLogic": [
        {"errors", "_lazy"},
        {"progress", "files", "memory", "registry", "grid"},
        {"unforeseen"},
        {"cine", "flow", "regularisers"},
        {"descriptors"},
        {"similarities"},
        {"consistency", "uncertainty", "io", "synthetic", "contours"},
        {"transformations"},
        {"networks"},
        {"zoo", "results"},
        {"registration", "training", "evaluation", "interchange"},
        {"report"},
        {"cohort"},
        {"cli", "service"},
        {"__main__"},
    ],
    "TemporalRegistrationLib": [
        {"sentences", "headless", "parameters"},
        {"i18n"},
        {"steps", "sample"},
        {"nodes", "run"},
        {"show", "selftest", "load"},
        {"contours"},
        {"kinds"},
        {"panel"},
    ],
}
"""Rooms from the ground up: a room may import those on floors below its own."""


def _room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


@pytest.mark.parametrize("package", PACKAGES)
def test_no_imports_go_round_in_a_circle(package):
    assert circle(graph(PACKAGES[package])) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_room_has_a_floor_and_no_arrow_points_upward(package):
    floor = {room: number for number, rooms in enumerate(FLOORS[package]) for room in rooms}
    arrows = graph(PACKAGES[package])
    assert {_room(module) for module in arrows} - {""} == set(floor)
    upward = [
        f"{module} -> {other}"
        for module, others in arrows.items()
        for other in others
        if _room(module) and _room(other) and _room(module) != _room(other)
        if floor[_room(other)] >= floor[_room(module)]
    ]
    assert upward == []


def _imported(path: Path) -> set[str]:
    """The first parts of everything that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").partition(".")[0])
    return found


def test_the_numerics_know_nothing_of_slicer():
    for name, path in modules(PACKAGES["DeepRegLogic"]).items():
        assert not _imported(path) & {"slicer", "qt", "ctk", "vtk", "TemporalRegistrationLib"}, name


def test_networks_know_tensors_and_fields_and_nothing_else():
    arrows = graph(PACKAGES["DeepRegLogic"])
    for name, others in arrows.items():
        if _room(name) == "networks":
            rooms = {_room(other) for other in others}
            assert rooms <= {"networks", "flow", "descriptors", "transformations", "registry", "uncertainty", ""}, name


def test_only_the_panel_and_what_runs_processes_import_qt():
    for name, path in modules(PACKAGES["TemporalRegistrationLib"]).items():
        assert "qt" not in _imported(path) or _room(name) in ("run", "panel"), name
        assert "torch" not in _imported(path), name


def test_no_kind_of_result_is_named_outside_its_room():
    """The panel and the module file ask ``KINDS``; a new kind is one more class there."""
    files = [ROOT / "TemporalRegistration" / "TemporalRegistration.py"]
    files += (PACKAGES["TemporalRegistrationLib"] / "panel").glob("*.py")
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert "isinstance(" not in text, path
        assert "Nodes" not in {node.id[-5:] for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}, path
        assert ".task ==" not in text, path


def test_files_stay_readable():
    long = {
        path.name: count
        for folder in PACKAGES.values()
        for path in folder.rglob("*.py")
        if path.name != "sentences.py"  # which is written by a program
        and (count := len(path.read_text(encoding="utf-8").splitlines())) > 450
    }
    assert long == {}
