"""The module in a host that stands in for the application."""

from __future__ import annotations

import importlib
import sys
import time

import pytest


@pytest.fixture(scope="session")
def application(repository):
    """The host, with this Python to compute in."""
    pytest.importorskip("slicer", reason="slicer-core is not installed")
    pytest.importorskip("PySide6", reason="PySide6 is not installed")
    sys.path.insert(0, str(repository / "Testing/host"))
    host = importlib.import_module("application")
    host.install()
    patch = pytest.MonkeyPatch()
    patch.setenv("TEMPORAL_REGISTRATION_PYTHON", sys.executable)
    patch.setenv("OMP_NUM_THREADS", "1")
    yield host
    from TemporalRegistrationLib import worker

    worker.closeShared()
    patch.undo()


@pytest.fixture
def module(application, repository, scene):
    """``TemporalRegistration.py``, imported as the application does."""
    return application.loadModule(repository / "TemporalRegistration/TemporalRegistration.py")


@pytest.fixture
def errors(monkeypatch) -> list[str]:
    """Exceptions in slots, which Qt prints and drops; the test fails of those that it does not take out."""
    found: list[str] = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, trace: found.append(f"{kind.__name__}: {error}"))
    yield found
    assert not found


@pytest.fixture
def spin(application):
    """Let the application live until a condition holds, or for some seconds; how long it took."""
    import slicer

    def spin(condition=None, seconds: float = 60.0) -> float:
        started = time.monotonic()
        while not (condition is not None and condition()):
            slicer.app.processEvents()
            time.sleep(0.002)
            if time.monotonic() - started > seconds:
                assert condition is None, "it did not happen in time"
                break
        return time.monotonic() - started

    return spin


@pytest.fixture
def panel(module, application, repository, errors):
    """The module's widget, open."""
    widget = application.openModule(repository / "TemporalRegistration/TemporalRegistration.py")
    widget.parent.resize(460, 1100)
    widget.parent.show()
    yield widget
    widget._cancelJob()
    widget.setParameterNode(None)
    widget.review.close()
    widget.removeObservers()
    widget.parent.hide()
    widget.parent.delete()
