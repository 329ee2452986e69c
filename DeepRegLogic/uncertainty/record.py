"""The calibrations of refined results, which belong to no model.

They are in ``calibrations.json`` beside this file, with what they reach; the command ``calibrate`` fits them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..files import whole_file
from .calibration import Calibration

RECORD = Path(__file__).with_name("calibrations.json")


def record_name(what: str, ndim: int) -> str:
    """The name of a record: "cine" or "pair", and the axes."""
    return f"{what}-{ndim}d"


@lru_cache
def recorded(what: str, ndim: int) -> Calibration:
    """The calibration of refined cines ("cine") or pairs ("pair") of ``ndim`` axes."""
    return Calibration(**read_record()[record_name(what, ndim)]["calibration"])


def read_record() -> dict[str, dict[str, Any]]:
    """All records by name: ``calibration``, what it was ``fitted`` on, and the ``table`` of what it reached there."""
    records: dict[str, dict[str, Any]] = json.loads(RECORD.read_text(encoding="utf-8"))
    return records


def write_record(name: str, record: Mapping[str, object]) -> Path:
    """Put a record in the place of an earlier one, and return the file.

    Raises
    ------
    OutputError : the file cannot be written.
    """
    records = {**(read_record() if RECORD.is_file() else {}), name: record}
    with whole_file(RECORD) as part:
        part.write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")
    recorded.cache_clear()
    return RECORD
