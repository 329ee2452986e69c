"""Fixtures that every room's tests may use."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
if "PYTEST_XDIST_WORKER" in os.environ:  # a core each; torch, not yet imported, takes its threads from here
    os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path[:0] = [str(ROOT), str(ROOT / "TemporalRegistration")]


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the source tree."""
    return ROOT


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real images; the test is skipped where it is absent."""
    folder = Path(os.environ.get("TEMPORAL_REGISTRATION_DATA") or ROOT.parent / "shared" / "data")
    if not (folder / "cine").is_dir():
        pytest.skip(f"no real images in '{folder}' (set TEMPORAL_REGISTRATION_DATA to their folder)")
    return folder


@pytest.fixture
def scene():
    """An empty MRML scene, in a process with what slicer-core has of the application."""
    slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
    from TemporalRegistrationLib import headless

    headless.boot()
    slicer.mrmlScene.Clear(0)
    yield slicer.mrmlScene
    slicer.mrmlScene.Clear(0)


@pytest.fixture(scope="session")
def script(repository) -> ModuleType:
    """``Resources/Scripts/register.py``, imported."""
    spec = importlib.util.spec_from_file_location("register_script", repository / "Resources/Scripts/register.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
