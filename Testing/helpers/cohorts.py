"""Small cohorts, what they leave behind, and studies that kill their own process."""

from __future__ import annotations

import csv
import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from DeepRegLogic import Study

FAST = ["--no-refine", "--reference", "0", "--device", "cpu", "--write", "report,fields"]
_OF_THE_CLOCK = ("created", "seconds")


def write_cines(folder: Path, count: int, size: int = 32, frames: int = 3) -> list[Path]:
    """Cines ``beat-0.seq.nrrd`` ... of synthetic hearts."""
    from DeepRegLogic import write_cine
    from DeepRegLogic.synthetic import cine_phantom

    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"beat-{seed}.seq.nrrd" for seed in range(count)]
    for seed, path in enumerate(paths):
        cine = cine_phantom(seed=seed, size=size, spacing=128.0 / size, frames=frames).cine
        write_cine(path, cine.frames, cine)
    return paths


def table(folder: Path) -> list[dict[str, str]]:
    """The rows of ``studies.csv`` without the seconds."""
    with open(folder / "studies.csv", newline="", encoding="utf-8") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def content(folder: Path) -> dict[str, Any]:
    """What is in all files of a cohort, by their names, without what the clock says."""
    found: dict[str, Any] = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        if name == "studies.csv":
            found[name] = table(folder)
        elif path.suffix == ".json":
            found[name] = _timeless(json.loads(path.read_text(encoding="utf-8")))
        else:
            found[name] = path.read_bytes()
    return found


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _timeless(v) for k, v in value.items() if k not in _OF_THE_CLOCK}
    return value


def differences(first: Path, second: Path) -> list[str]:
    """The names of files that two cohorts do not have alike."""
    one, other = content(first), content(second)
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


@dataclass(frozen=True)
class Deadly(Study):
    """A study without an input, which kills the process that works on it, the first so many times."""

    marks: Path = Path()
    kills: int = 0

    @property
    def inputs(self) -> dict[str, Path]:
        self.marks.mkdir(exist_ok=True)
        number = len(list(self.marks.iterdir()))
        if number < self.kills:
            (self.marks / str(number)).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return {"source": self.source}
