"""Whether a study is finished: what was asked for, with which weights, of which inputs, is in its ``study.json``.

Light: a thousand finished studies are told from their files' sizes and times, and nothing heavy is imported for it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import zoo
from ..errors import InputError, RegistrationError
from ..io.formats import PICTURES, suffix_of
from ..io.guard import require_file

if TYPE_CHECKING:
    from .study import Output, Study

RECORD = "study.json"
_ALONE = (".nii", ".nii.gz", ".nrrd", ".seq.nrrd", ".seg.nrrd", ".mha", ".mrb", *PICTURES)
_LIMITS = ("memory_gb",)  # they let a study fail, and change nothing that it finds
_CHUNK = 1 << 20


def record(study: Study, output: Output) -> dict[str, Any]:
    """What a study is known by: "settings", "weights" and "inputs", the files of each with size, times and SHA-256.

    Raises
    ------
    InputError : there is no such input, or it may not be read. ModelError : there is no such model.
    """
    return {
        "settings": _settings(study, output),
        "weights": _weights(study),
        "inputs": {role: _described(path) for role, path in study.inputs.items()},
    }


def finished(study: Study, output: Output, folder: Path, thorough: bool) -> dict[str, Any] | None:
    """The record of a study whose results in ``folder`` are those that it would get, else None.

    Settings and weights must be the same, and every file of its inputs of the same size and times (of change of the
    content and of the entry). Where the times differ, as after a copy, the contents are compared by their SHA-256 if
    that is asked for (``thorough``); else such a study is not called finished.
    """
    try:
        known = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        if known["settings"] != _settings(study, output) or known["weights"] != _weights(study):
            return None
        if known["inputs"].keys() != study.inputs.keys():
            return None
        same = all(_same(path, known["inputs"][role], thorough) for role, path in study.inputs.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RegistrationError):
        return None
    return known if same and "figures" in known else None


def _settings(study: Study, output: Output) -> dict[str, Any]:
    wanted = {name: value for name, value in vars(study).items() if name not in study.inputs}
    wanted["options"] = {name: value for name, value in study.options.items() if name not in _LIMITS}
    wanted |= {"write": sorted(output.parts), "half": output.half}
    wanted |= {"formats": sorted(output.formats), "html": output.html, "dicom": output.dicom}
    wanted["scene"] = output.save_scene is not None and "scene" in output.parts
    settings: dict[str, Any] = json.loads(json.dumps(wanted, default=_plain, sort_keys=True))
    return settings


def _plain(value: object) -> object:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else str(value)


def _weights(study: Study) -> str:
    """The SHA-256 of the model's weights, "" without a model."""
    default = zoo.DEFAULTS["cine" if study.moving is None else "pair"]
    model = study.options.get("model", default)
    return "" if model is None else zoo.find_card(model).sha256


def _files(path: Path) -> list[tuple[str, Path]]:
    """The files that reading a path may touch, by names relative to it: all of a folder, what lies beside a header."""
    if path.is_dir():
        found = (p for p in path.rglob("*") if not p.name.startswith(".") and p.is_file())
        return sorted((p.relative_to(path).as_posix(), p) for p in found)
    require_file(path)
    if suffix_of(path) in _ALONE:
        return [(path.name, path)]
    return sorted((p.name, p) for p in path.parent.iterdir() if not p.name.startswith(".") and p.is_file())


def _stamp(found: os.stat_result) -> list[int]:
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def _described(path: Path) -> dict[str, list[object]]:
    try:
        return {name: [*_stamp(os.stat(file)), _sha256(file)] for name, file in _files(path)}
    except OSError as error:
        raise InputError(f"'{error.filename or path}' may not be read: {error.strerror}.") from error


def _same(path: Path, known: Mapping[str, list[object]], thorough: bool) -> bool:
    files = _files(path)
    if [name for name, _ in files] != sorted(known):
        return False
    for name, file in files:
        *stamp, digest = known[name]
        now = _stamp(os.stat(file))
        if now != stamp and (not thorough or now[0] != stamp[0] or _sha256(file) != digest):
            return False
    return True


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
