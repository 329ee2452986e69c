"""Nothing is let out: no socket, pickle or shell, and no file but in the output, the cache and the temporary folder.

The interpreter's own audit hook sees every file that is opened for writing, every socket and every program.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from processes import run

HOOK = """
import json, os, sys
seen = {"socket": [], "pickle": [], "program": [], "written": [], "eval": []}
def hook(event, arguments):
    if event.startswith("socket.") and event not in ("socket.gethostname", "socket.__new__"):
        # urllib3, where something has it installed, looks when it is loaded whether there is a loopback of version 6
        if (event, arguments[1:]) != ("socket.bind", (("::1", 0),)):
            seen["socket"].append(f"{event} {arguments[1:]!r}")
    elif event == "pickle.find_class":
        seen["pickle"].append(".".join(map(str, arguments)))
    elif event in ("os.system", "os.exec", "os.posix_spawn", "os.startfile", "pty.spawn"):
        seen["program"].append(f"{event} {arguments!r}")
    elif event == "subprocess.Popen":
        seen["program"].append(os.path.basename(os.fsdecode(arguments[0] or arguments[1][0])))
    elif event == "open" and isinstance(arguments[0], (str, bytes)):
        path, mode, flags = arguments
        writes = any(letter in mode for letter in "wax+") if mode else bool((flags or 0) & (os.O_WRONLY | os.O_RDWR))
        if writes:
            seen["written"].append(os.path.realpath(os.fsdecode(path)))
    elif event in ("os.mkdir", "os.rename", "os.link", "os.symlink", "os.remove", "os.rmdir", "os.truncate"):
        seen["written"] += [os.path.realpath(os.fsdecode(a)) for a in arguments[:2] if isinstance(a, (str, bytes))]
sys.addaudithook(hook)
from DeepRegLogic.__main__ import main
code = main(sys.argv[2:])
with os.fdopen(os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT), "w") as file:
    json.dump(seen, file)
sys.exit(code)
"""

TRAINING = """
name: t
title: t
summary: t
network: voxelmorph-probabilistic
arguments: {channels: [4, 4, 4, 4], final: [4, 4]}
data: {source: phantoms, kinds: [short-axis], pool: 2, validation: 1, spacing: 4.8, size: [32, 32], frames: [2, 3]}
optimiser: {steps: 1, batch: 1, validate_every: 1}
"""


@pytest.fixture(scope="module")
def beat(tmp_path_factory) -> Path:
    from DeepRegLogic import write_cine
    from DeepRegLogic.synthetic import cine_phantom

    path = tmp_path_factory.mktemp("input") / "beat.seq.nrrd"
    cine = cine_phantom(seed=1, size=32, spacing=4.0, frames=3).cine
    write_cine(path, cine.frames, cine)
    return path


@pytest.mark.parametrize("command", ["register", "cohort", "generate", "train"])
def test_a_command_opens_no_socket_no_shell_and_no_file_elsewhere(command, beat, tmp_path, repository):
    folders = {name: tmp_path / name for name in ("output", "temporary", "home")}
    for name in ("temporary", "home"):
        folders[name].mkdir()
    (tmp_path / "c.yaml").write_text(TRAINING)
    arguments = {
        "register": ["--input", beat, "--no-refine", "--device", "cpu"],
        "cohort": [beat.parent, "--no-refine", "--device", "cpu", "--threads", "1"],
        "generate": ["--input", beat, "--frames", "2", "--device", "cpu"],
        "train": ["--config", tmp_path / "c.yaml", "--device", "cpu", "--quiet"],
    }[command]
    environment = {**os.environ, "TMPDIR": str(folders["temporary"]), "HOME": str(folders["home"])}
    environment |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(repository), "OMP_NUM_THREADS": "1"}
    environment = {
        key: value
        for key, value in environment.items()
        if not key.startswith(("XDG_", "MPLCONFIGDIR", "TORCHINDUCTOR_"))
    }
    told = tmp_path / "seen.json"
    words = [sys.executable, "-W", "ignore", "-c", HOOK, told, command, *arguments, "--output", folders["output"]]
    done = run(words, env=environment, cwd=folders["temporary"])
    assert done.returncode == 0, done.stderr
    seen = json.loads(told.read_text())
    assert seen["socket"] == []
    assert seen["pickle"] == []
    # what libraries ask of the system: fonts, the version of this checkout, the size of a cache line
    assert set(seen["program"]) <= {"git", "fc-list", "lscpu", "uname", "ldconfig"}, seen["program"]
    cache = folders["home"] / ".cache" / "temporal-registration"
    near = [str(folder.resolve()) for folder in (folders["output"], folders["temporary"], cache)]
    near += [f"{folders['output'].parent.resolve()}/.output.", os.devnull, str(told), "/dev/shm", "/proc/self"]
    elsewhere = [path for path in seen["written"] if not any(path.startswith(place) for place in near)]
    assert set(elsewhere) <= {str(tmp_path.resolve()), str(cache.parent.resolve())}
    assert {path.name for path in folders["home"].iterdir()} <= {".cache"}
    assert {path.name for path in (folders["home"] / ".cache").glob("*")} <= {"temporal-registration"}
    left = {path.name for path in folders["temporary"].iterdir() if not path.name.startswith("torchinductor_")}
    assert left == set()
