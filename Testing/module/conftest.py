"""The module file, imported with stand-ins for what only the application has."""

from __future__ import annotations

import importlib.util
import sys

import pytest


@pytest.fixture(scope="session")
def application(repository):
    """The stand-ins, installed."""
    pytest.importorskip("slicer", reason="slicer-core is not installed")
    spec = importlib.util.spec_from_file_location("host_application", repository / "Testing/host/application.py")
    host = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(host)
    host.install()
    return host


@pytest.fixture
def module(application, repository, scene):
    """``TemporalRegistration.py``, imported as the application does."""
    path = repository / "TemporalRegistration/TemporalRegistration.py"
    if "TemporalRegistration" not in sys.modules:
        spec = importlib.util.spec_from_file_location("TemporalRegistration", path)
        loaded = importlib.util.module_from_spec(spec)
        sys.modules["TemporalRegistration"] = loaded
        spec.loader.exec_module(loaded)
    return sys.modules["TemporalRegistration"]
