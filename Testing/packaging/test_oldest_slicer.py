"""The readers with the packages that the oldest supported Slicer has: ``make`` puts them beside those of the tests."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from processes import run

FILES = ("test_io_dicom*.py", "test_io_multiframe.py", "test_io_real_data.py")


@pytest.fixture
def older(repository) -> dict[str, str]:
    """Environment variables of a Python that finds the older packages first."""
    folder = Path(sys.prefix) / "slicer-5.10"
    if not (folder / "pydicom").is_dir():
        pytest.skip(f"the packages of Slicer 5.10 are not in '{folder}'; run: make test")
    paths = [folder, repository, repository / "TemporalRegistration", os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(str(path) for path in paths if str(path))}


def test_the_readers_pass_their_tests_with_its_packages(older, repository):
    code = "import pydicom; print(pydicom.__version__)"
    assert run([sys.executable, "-c", code], env=older).stdout.strip() == "2.4.4"
    files = [path for pattern in FILES for path in sorted((repository / "Testing/logic").glob(pattern))]
    options = ["-q", "-p", "no:cacheprovider", "-W", "ignore"]
    done = run([sys.executable, "-m", "pytest", *options, *files], cwd=repository, env=older)
    assert done.returncode == 0, done.stdout[-4000:]
    assert "passed" in done.stdout


def test_a_pydicom_without_its_parts_is_not_a_damaged_file(older, repository, tmp_path):
    code = f"""
import sys
sys.path.insert(0, {str(repository / "Testing/helpers")!r})
from pathlib import Path
from made_dicom import write_stack
folder = write_stack(Path({str(tmp_path)!r}) / "stack")
sys.modules["pydicom.pixel_data_handlers.util"] = None
from DeepRegLogic import read_cine
try:
    read_cine(folder)
except ImportError as error:
    print("ImportError", error)
"""
    done = run([sys.executable, "-c", code], env=older)
    assert done.stdout.startswith("ImportError"), done.stdout + done.stderr
