"""Cases that are kept in a folder for the next run of the very same generator."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

from . import cases

GENERATOR = (
    "anatomy", "appearance", "cases", "curves", "joint", "liver", "long_axis", "motions", "random_flow", "scanner",
    "short_axis", "vessel",
)  # fmt: skip
"""The files that a case depends on."""


def drawn(folder: Path | None, kind: str, seed: int, **options: object) -> cases.Case:
    """``cases.make(kind, seed, **options)``, from the folder where it is there; then without its ``motion``."""
    if folder is None:
        return cases.make(kind, seed, **options)
    sources = b"".join(Path(__file__).with_name(f"{name}.py").read_bytes() for name in GENERATOR)
    key = hashlib.sha256(sources + repr((kind, seed, sorted(options.items()))).encode()).hexdigest()[:16]
    path = folder / f"{kind}-{seed}-{key}.pickle"
    if path.is_file():
        return pickle.loads(path.read_bytes())
    case = cases.make(kind, seed, **options)
    case.motion = None  # its closed forms cannot be pickled
    folder.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(case))
    return case
