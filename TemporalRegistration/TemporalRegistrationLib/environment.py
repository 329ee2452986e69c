"""The Python packages that a registration needs, installed where they are first used and never without asking."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import slicer
import slicer.util

from DeepRegLogic.errors import RegistrationError

TORCH = ">=2.4"


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
    return importlib.util.find_spec(requirement.partition(">=")[0]) is not None


def _ensureTorch() -> None:
    """PyTorch comes from the extension of that name, which finds the build for the computer's graphics card."""
    if _isInstalled("torch"):
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
