"""What the extension installs: every file, where Slicer looks for it, and working from there."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import pytest
from processes import run

jsonschema = pytest.importorskip("jsonschema")

HERE = Path(__file__).resolve().parent
MODULES = "lib/Slicer-5.10/qt-scripted-modules"


def listed(repository: Path, path: str, variable: str) -> list[str]:
    """The files that a CMakeLists.txt gives in ``variable``."""
    text = (repository / path).read_text(encoding="utf-8")
    body = re.search(rf"set\({variable}\s+(.*?)\)", text, re.DOTALL)
    return body.group(1).replace("${MODULE_NAME}", "TemporalRegistration").split()


def present(repository: Path, *folders: str) -> list[str]:
    """The files of the folders that belong to the project: tracked, or new and not ignored."""
    if not (repository / ".git").exists():
        pytest.skip("not a git checkout")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *folders]
    done = run(command, cwd=repository)
    assert done.returncode == 0, done.stderr
    return sorted(name for name in done.stdout.split("\0") if name and (repository / name).is_file())


def agree(lists: list[str], files: list[str], where: str) -> None:
    assert lists == sorted(set(lists)), f"{where}: not sorted, or a file twice"
    missing, gone = sorted(set(files) - set(lists)), sorted(set(lists) - set(files))
    assert not missing, f"{where} lacks:\n  " + "\n  ".join(missing)
    assert not gone, f"{where} lists files that are not there:\n  " + "\n  ".join(gone)


def test_every_file_of_the_logic_is_listed(repository):
    files = present(repository, "DeepRegLogic", "Resources/Models", "Resources/SampleData", "Resources/Scripts")
    scripts = [name for name in files if name.startswith("DeepRegLogic/") and name.endswith(".py")]
    agree(listed(repository, "CMakeLists.txt", "LOGIC_PYTHON_SCRIPTS"), scripts, "LOGIC_PYTHON_SCRIPTS")
    resources = sorted(name for name in set(files) - set(scripts) if "-lemniscate/" not in name)  # no toys for patients
    agree(listed(repository, "CMakeLists.txt", "LOGIC_PYTHON_RESOURCES"), resources, "LOGIC_PYTHON_RESOURCES")


def test_every_file_of_the_module_is_listed(repository):
    folder = "TemporalRegistration/"
    files = [name.removeprefix(folder) for name in present(repository, "TemporalRegistration")]
    scripts = [name for name in files if name.endswith(".py")]
    path = f"{folder}CMakeLists.txt"
    agree(listed(repository, path, "MODULE_PYTHON_SCRIPTS"), scripts, "MODULE_PYTHON_SCRIPTS")
    resources = [name for name in files if name.startswith("Resources/")]
    agree(listed(repository, path, "MODULE_PYTHON_RESOURCES"), resources, "MODULE_PYTHON_RESOURCES")
    assert set(files) - set(scripts) - set(resources) == {"CMakeLists.txt"}


@pytest.fixture(scope="session")
def installed(repository, tmp_path_factory) -> Path:
    """The folder of scripted modules of the extension, configured and installed with a stand-in for Slicer."""
    cmake = shutil.which("cmake", path=str(Path(sys.executable).parent)) or shutil.which("cmake")
    if cmake is None:
        pytest.skip("cmake is not installed")
    work = tmp_path_factory.mktemp("packaging")
    # nothing is compiled, so no compiler is needed
    compilers = [f"-DCMAKE_{language}_COMPILER{end}" for language in ("C", "CXX") for end in ("=true", "_FORCED=TRUE")]
    configure = [cmake, "-S", str(repository), "-B", str(work / "build"), f"-DSlicer_DIR={HERE / 'slicer'}", *compilers]
    for command in (
        [*configure, "-DBUILD_TESTING=ON"],
        [cmake, "--install", str(work / "build"), "--prefix", str(work / "slicer")],
    ):
        done = run(command)
        assert done.returncode == 0, done.stdout + done.stderr
    return work / "slicer" / MODULES


def test_files_land_where_slicer_looks(installed):
    assert [path.name for path in installed.glob("*.py")] == ["TemporalRegistration.py"]  # each would be a module
    for name in (
        "TemporalRegistrationLib/__init__.py",
        "TemporalRegistrationLib/nodes/volumes.py",
        "DeepRegLogic/__init__.py",
        "DeepRegLogic/io/__init__.py",
        "DeepRegLogic/io/dicom/series.py",
        "DeepRegLogic/training/configurations/tlrn-cardiac.yaml",
        "Resources/UI/TemporalRegistration.ui",
        "Resources/Icons/TemporalRegistration.png",
        "Resources/requirements.txt",
        "Resources/Scripts/register.py",
    ):
        assert (installed / name).is_file(), name


def test_installed_module_works(repository, installed, tmp_path):
    """From an empty folder, with nothing of the source tree on the path."""
    pytest.importorskip("slicer", reason="slicer-core is not installed")
    code = f"""
import sys
sys.path = [entry for entry in sys.path if not entry.startswith({str(repository)!r}) or "site-packages" in entry]
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in repr(finder).lower()]
sys.path[:0] = [{str(installed)!r}]
sys.path.append({str(repository / "Testing/host")!r})
import application
application.install()
import DeepRegLogic, TemporalRegistration
assert DeepRegLogic.__file__.startswith({str(installed)!r}), DeepRegLogic.__file__
assert TemporalRegistration.__file__.startswith({str(installed)!r})
logic = TemporalRegistration.TemporalRegistrationLogic()
from DeepRegLogic import zoo
print(sorted(logic.models()))
for name in DeepRegLogic.__all__:
    getattr(DeepRegLogic, name)
"""
    done = run([sys.executable, "-c", code], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    cards = (repository / "Resources/Models").glob("*/card.json")
    models = sorted(["", *(path.parent.name for path in cards if not path.parent.name.endswith("-lemniscate"))])
    assert done.stdout.strip() == str(models)
    help_text = run([sys.executable, installed / "Resources/Scripts/register.py", "--help"], cwd=tmp_path)
    assert help_text.returncode == 0, help_text.stderr
    assert "--input" in help_text.stdout


@pytest.mark.parametrize("mistake", ["missing file", "no description"])
def test_the_stand_in_stops_at_mistakes(repository, tmp_path, mistake):
    cmake = shutil.which("cmake", path=str(Path(sys.executable).parent)) or shutil.which("cmake")
    if cmake is None:
        pytest.skip("cmake is not installed")
    broken = tmp_path / "source"
    ignore = shutil.ignore_patterns(".git", "build", "out", "runs", ".venv", "__pycache__", ".*_cache", ".hypothesis")
    shutil.copytree(repository, broken, ignore=ignore, symlinks=True)
    if mistake == "missing file":
        (broken / "DeepRegLogic/flow.py").unlink()
    else:
        text = (broken / "CMakeLists.txt").read_text()
        (broken / "CMakeLists.txt").write_text(text.replace("EXTENSION_DESCRIPTION", "EXTENSION_DESCRIPTIVE"))
    compilers = [f"-DCMAKE_{language}_COMPILER{end}" for language in ("C", "CXX") for end in ("=true", "_FORCED=TRUE")]
    command = [cmake, "-S", broken, "-B", tmp_path / "build", f"-DSlicer_DIR={HERE / 'slicer'}", *compilers]
    done = run(command)
    assert done.returncode != 0
    assert ("DeepRegLogic/flow.py" if mistake == "missing file" else "EXTENSION_DESCRIPTION is not set") in done.stderr


def test_catalogue_entry(repository):
    schema = json.loads((HERE / "catalogue-entry-schema.json").read_text(encoding="utf-8"))
    entry = json.loads((repository / "TemporalRegistration.json").read_text(encoding="utf-8"))
    jsonschema.validate(entry, schema)
    for wrong in ({"tier": 6}, {"category": ""}, {"scm_url": "git@example.org:x.git"}, {"colour": "blue"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**entry, **wrong}, schema)
    cmake = (repository / "CMakeLists.txt").read_text(encoding="utf-8")
    assert re.search(r"project\((\w+)\)", cmake).group(1) == "TemporalRegistration"
    assert re.search(r'EXTENSION_DEPENDS "(.*)"', cmake).group(1).split() == entry["build_dependencies"]
    assert re.search(r'EXTENSION_HOMEPAGE "(.*)"', cmake).group(1) + ".git" == entry["scm_url"]


def test_addresses_of_the_catalogue_are_files_of_the_repository(repository):
    cmake = (repository / "CMakeLists.txt").read_text(encoding="utf-8")
    home = re.search(r'EXTENSION_HOMEPAGE "https://github.com/(.*)"', cmake).group(1)
    for name, least in (("EXTENSION_ICONURL", 1), ("EXTENSION_SCREENSHOTURLS", 1)):
        addresses = re.search(rf'{name} "(.*)"', cmake).group(1).split()
        assert len(addresses) >= least
        for address in addresses:
            path = address.removeprefix(f"https://raw.githubusercontent.com/{home}/main/")
            assert path != address, address
            assert (repository / path).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n", path
    assert (repository / "LICENSE.txt").read_text(encoding="utf-8").lstrip().startswith("Apache License")
    module = (repository / "TemporalRegistration/TemporalRegistration.py").read_text(encoding="utf-8")
    assert f"https://github.com/{home}#readme" in module


def test_every_method_that_is_used_can_be_cited(repository):
    text = (repository / "CITATION.cff").read_text(encoding="utf-8")
    for words in ("TLRN", "DragNet", "VoxelMorph", "probabilistic diffeomorphic", "GradICON", "MONAI", "3D Slicer"):
        assert words in text, words


def test_icon_is_a_128_pixel_png(repository):
    data = (repository / "TemporalRegistration/Resources/Icons/TemporalRegistration.png").read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert (int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")) == (128, 128)
