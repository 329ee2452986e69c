"""The Python packages that a registration needs, installed where they are first used and never without asking."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
from contextlib import suppress
from pathlib import Path

import slicer
import slicer.util

from DeepRegLogic.errors import RegistrationError

TORCH = ">=2.4"
VARIABLE = "TEMPORAL_REGISTRATION_PYTHON"
SETTING = "TemporalRegistration/Python"
# memory that was freed is kept for the next use: getting it anew from the system costs more than the computation
_MALLOC = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "1073741824", "MALLOC_TOP_PAD_": "67108864"}


def ownPython() -> str:
    """The Python environment that the user chose to compute in, or "" for the application's."""
    return str(slicer.app.settings().value(SETTING) or os.environ.get(VARIABLE) or "")


def setOwnPython(path: str) -> None:
    """Remember the Python environment to compute in; "" for the application's."""
    slicer.app.settings().setValue(SETTING, path)


def interpreter() -> tuple[str, dict[str, str]]:
    """The Python to compute in, and the environment variables that it is started with.

    Raises
    ------
    RegistrationError : there is no such Python.
    """
    own = ownPython()
    if own:
        path = Path(own)
        if path.is_dir():  # a virtual environment
            path = next((p for p in (path / "bin" / "python", path / "Scripts" / "python.exe") if p.is_file()), path)
        if not path.is_file():
            raise RegistrationError(f"There is no Python at '{own}'; choose another under Advanced.")
        # without the application's own libraries, which are not those of another Python
        return str(path), {**slicer.util.startupEnvironment(), **_MALLOC}
    path = shutil.which("PythonSlicer")
    if path is None:
        raise RegistrationError("PythonSlicer was not found; choose a Python environment under Advanced.")
    return path, {**os.environ, **_MALLOC}


def isReady() -> bool:
    """Whether a worker could start: the user's own environment is for the worker to judge."""
    return bool(ownPython()) or importlib.util.find_spec("torch") is not None


def ensurePackages(requirementsFile: str | Path) -> None:
    """Make torch, and the packages that ``requirementsFile`` lists, importable.

    Raises
    ------
    RegistrationError : something is missing and was not installed; the sentence says what to do.
    """
    _ensureTorch()
    missing = [line for line in _requirements(requirementsFile) if not _isInstalled(line)]
    if not missing:
        return
    names = ", ".join(missing)
    try:
        _install(missing)
    except RuntimeError as error:
        raise RegistrationError(f"The Python packages {names} could not be installed: {error}") from error
    importlib.invalidate_caches()
    if not all(map(_isInstalled, missing)):
        raise RegistrationError(f"The Python packages {names} are needed and were not installed.")


def _requirements(requirementsFile: str | Path) -> list[str]:
    lines = Path(requirementsFile).read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def _isInstalled(requirement: str) -> bool:
    name = requirement.partition(">=")[0]
    if importlib.util.find_spec(name) is not None:
        return True
    with suppress(importlib.metadata.PackageNotFoundError):  # some are imported by another name
        return bool(importlib.metadata.version(name))
    return False


def _ensureTorch() -> None:
    """PyTorch comes from the extension of that name, which finds the build for the computer's graphics card."""
    if importlib.util.find_spec("torch") is not None:
        return
    try:
        from PyTorchUtils import PyTorchUtilsLogic
    except ModuleNotFoundError as error:
        raise RegistrationError(
            "PyTorch is needed: install the extension 'PyTorch' in the Extensions Manager, restart Slicer, try again."
        ) from error
    if PyTorchUtilsLogic().installTorch(askConfirmation=True, torchVersionRequirement=TORCH) is None:
        raise RegistrationError("PyTorch is needed and was not installed; install it in the module 'PyTorch'.")


def _install(requirements: list[str]) -> None:
    """Ask, and install with Slicer's pip."""
    try:
        from slicer.packaging import pip_ensure  # Slicer 5.11 and later
    except ImportError:
        question = "Temporal Registration needs these Python packages: {}. Install them now?"
        if slicer.util.confirmOkCancelDisplay(question.format(", ".join(requirements))):
            slicer.util.pip_install(requirements)
        return
    from packaging.requirements import Requirement

    pip_ensure([Requirement(line) for line in requirements], requester="Temporal Registration")
