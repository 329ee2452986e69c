"""The Python packages that a registration needs, installed where they are first used and never without asking."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import slicer
import slicer.util

from DeepRegLogic.errors import RegistrationError
from DeepRegLogic.service.packages import REQUIREMENTS, lacking, version_of

from ..i18n import _

_TORCH = next(line for line in REQUIREMENTS if line.startswith("torch"))
TORCH = _TORCH.removeprefix("torch")
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
            raise RegistrationError(
                _("There is no Python at '{path}'; choose another under Advanced.").format(path=own)
            )
        # without the application's own libraries, which are not those of another Python
        return str(path), {**slicer.util.startupEnvironment(), **_MALLOC}
    path = shutil.which("PythonSlicer")
    if path is None:
        raise RegistrationError(_("PythonSlicer was not found; choose a Python environment under Advanced."))
    return path, {**os.environ, **_MALLOC}


def isReady() -> bool:
    """Whether a worker could start: the user's own environment is for the worker to judge."""
    return bool(ownPython()) or importlib.util.find_spec("torch") is not None


def advice() -> str:
    """What to tell the user before the first run: what is not installed yet, and how it comes; or ""."""
    if isReady():
        return ""
    if importlib.util.find_spec("PyTorchUtils") is not None:
        return _("PyTorch is not installed yet: the first registration asks, and installs it.")
    return _(
        "PyTorch is not installed yet: install the extension 'PyTorch' in the Extensions Manager and restart Slicer, "
        "or choose a Python that has it under Advanced. What was registered before can be reviewed without."
    )


def ensurePackages(requirementsFile: str | Path) -> None:
    """Make torch, and the packages that ``requirementsFile`` lists, importable.

    Raises
    ------
    RegistrationError : something is missing and was not installed; the sentence says what to do.
    """
    _ensureTorch()
    missing = lacking(_requirements(requirementsFile))
    if not missing:
        return
    names = ", ".join(missing)
    try:
        _install(missing)
    except (RuntimeError, subprocess.CalledProcessError) as error:
        text = _("The Python packages {names} could not be installed: {reason}")
        raise RegistrationError(text.format(names=names, reason=error)) from error
    importlib.invalidate_caches()
    if lacking(missing):
        text = _("The Python packages {names} are needed and were not installed.")
        raise RegistrationError(text.format(names=names))


def _requirements(requirementsFile: str | Path) -> list[str]:
    lines = Path(requirementsFile).read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def _ensureTorch() -> None:
    """PyTorch comes from the extension of that name, which finds the build for the computer's graphics card."""
    if not lacking([_TORCH]):
        return
    if found := version_of("torch"):
        text = _(
            "PyTorch {found} is too old, {wanted} is needed; update it in the module 'PyTorch' and restart Slicer."
        )
        raise RegistrationError(text.format(found=found, wanted=TORCH.removeprefix(">=")))
    try:
        from PyTorchUtils import PyTorchUtilsLogic
    except ModuleNotFoundError as error:
        raise RegistrationError(
            _("PyTorch is needed: install the extension 'PyTorch' in the Extensions Manager and restart Slicer.")
        ) from error
    if PyTorchUtilsLogic().installTorch(askConfirmation=True, torchVersionRequirement=TORCH) is None:
        raise RegistrationError(_("PyTorch is needed and was not installed; install it in the module 'PyTorch'."))


def _install(requirements: list[str]) -> None:
    """Ask, and install with Slicer's pip, which must leave what other extensions use as it is."""
    installed = [(name, version_of(name)) for name in ("numpy", "torch")]
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text("".join(f"{name}=={version}\n" for name, version in installed if version))
        try:
            from slicer.packaging import pip_ensure  # Slicer 5.11 and later
        except ImportError:
            question = _("Temporal Registration needs these Python packages: {names}. Install them now?")
            if slicer.util.confirmOkCancelDisplay(question.format(names=", ".join(requirements))):
                slicer.util.pip_install(["--constraint", str(constraints), *requirements])
            return
        from packaging.requirements import Requirement

        wanted = [Requirement(line) for line in requirements]
        pip_ensure(wanted, constraints=constraints, requester=_("Temporal Registration"))
