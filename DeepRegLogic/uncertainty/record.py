"""The calibrations of refined results, which belong to no model.

They are in ``calibrations.json`` beside this file, with what they reach; the command ``calibrate`` fits them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files import whole_file

if TYPE_CHECKING:
    from ..grid import Grid
    from .calibration import Calibration

RECORD = Path(__file__).with_name("calibrations.json")


TASKS = ("cine", "pair")
IMAGES = ("slice", "stack", "volume")
"""Images that differ in how well their motion is known: a stack's slices are more than twice as thick as its pixels."""

_THICK = 2.0


def images_of(grid: Grid) -> str:
    """Which of ``IMAGES`` lie on a grid."""
    if grid.ndim == 2:
        return "slice"
    return "stack" if max(grid.array_spacing) > _THICK * min(grid.array_spacing) else "volume"


@lru_cache
def recorded(task: str, images: str) -> Calibration:
    """The calibration of refined results of one of ``TASKS`` and ``IMAGES``."""
    from .calibration import Calibration

    return Calibration(**read_record()[record_name(task, images)]["calibration"])


def record_name(task: str, images: str) -> str:
    return f"{task}-{images}"


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
