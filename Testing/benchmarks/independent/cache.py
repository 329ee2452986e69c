"""Cases that are kept in a folder for the next run of the very same generator."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from . import cases

GENERATOR = (
    "anatomy", "appearance", "cases", "curves", "joint", "liver", "long_axis", "motions", "random_flow", "scanner",
    "short_axis", "vessel",
)  # fmt: skip
"""The files that a case depends on."""

ARRAYS = ("frames", "times", "forward", "inverse", "labels", "phases")


def drawn(folder: Path | None, kind: str, seed: int, **options: object) -> cases.Case:
    """``cases.make(kind, seed, **options)``, kept in the folder; then without its ``motion``."""
    if folder is None:
        return cases.make(kind, seed, **options)
    sources = b"".join(Path(__file__).with_name(f"{name}.py").read_bytes() for name in GENERATOR)
    key = hashlib.sha256(sources + repr((kind, seed, sorted(options.items()))).encode()).hexdigest()[:16]
    path = folder / f"{kind}-{seed}-{key}.npz"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        _write(cases.make(kind, seed, **options), path)
    return _read(kind, seed, path)


def _write(case: cases.Case, path: Path) -> None:
    about = {name: getattr(case, name) for name in ("spacing", "names", "systole", "cyclic", "facts")}
    masks = {f"mask {name}": mask for name, mask in case.masks.items()}
    centre = {} if case.centre is None else {"centre": case.centre}
    arrays = {name: getattr(case, name) for name in ARRAYS}
    np.savez(path, about=json.dumps(about, default=float), **arrays, **masks, **centre)


def _read(kind: str, seed: int, path: Path) -> cases.Case:
    with np.load(path, allow_pickle=False) as content:
        about = json.loads(str(content["about"]))
        return cases.Case(
            kind,
            seed,
            spacing=tuple(about["spacing"]),
            names={int(value): name for value, name in about["names"].items()},
            masks={name.removeprefix("mask "): content[name] for name in content if name.startswith("mask ")},
            systole=about["systole"],
            centre=content.get("centre"),
            cyclic=about["cyclic"],
            facts=about["facts"],
            motion=None,  # its closed forms are not kept
            **{name: content[name] for name in ARRAYS},
        )
