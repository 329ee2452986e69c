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
    from TemporalRegistrationLib.run import worker

    worker.closeShared()
    patch.undo()


@pytest.fixture(scope="session")
def phantom():
    from DeepRegLogic.synthetic import cine_phantom

    return cine_phantom(seed=2, size=48, spacing=4.0)


@pytest.fixture
def small(scene, phantom):
    """A cine of six frames in the scene."""
    from TemporalRegistrationLib.nodes.sequences import addCine

    from DeepRegLogic import Cine

    cine = phantom.cine
    return addCine(Cine(cine.frames[:6], cine.grid, cine.times[:6], name="heart"))


@pytest.fixture
def worker(application):
    """The module of that name, which needs the host."""
    return importlib.import_module("TemporalRegistrationLib.run.worker")


@pytest.fixture
def ownModels(worker, tmp_path_factory, monkeypatch):
    """A folder of the user's own models."""
    folder = tmp_path_factory.mktemp("models")
    monkeypatch.setenv("TEMPORAL_REGISTRATION_MODELS", str(folder))
    worker.closeShared()  # one that runs knows nothing of the folder
    yield folder
    worker.closeShared()


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
    """Let the application live until a condition holds, or for some seconds; how long it took.

    The time is a guard against hanging, and told: only tests marked "timing" assert it.
    """
    import slicer

    def spin(condition=None, seconds: float = 300.0) -> float:
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
    from PySide6 import QtCore

    widget = application.openModule(repository / "TemporalRegistration/TemporalRegistration.py")
    widget.parent.resize(460, 1100)
    widget.parent.show()
    yield widget
    widget.run.abandon()
    widget.setParameterNode(None)
    widget.curves.close()
    widget.removeObservers()
    widget.parent.hide()
    widget.parent.delete()
    # the application's event loop does this by itself
    QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)
