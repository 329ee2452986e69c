"""The numbers that a configuration may have: finite, and within reason, so that a slip of the pen is named at once."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from ..errors import InputError

_MOST = 1_000_000_000
_LIMITS: dict[str, tuple[float, float]] = {
    "seed": (0, 2**32 - 1),
    "order": (-_MOST, _MOST),
    "data.pool": (0, 1_000_000),
    "data.validation": (1, 100_000),
    "data.spacing": (0.01, 100),
    "data.size": (16, 4096),
    "data.frames": (1, 10_000),
    "augment.rotation": (0, 360),
    "augment.scale": (0, 0.9),
    "loss.squarings": (1, 20),
    "optimiser.batch": (1, 100_000),
    "optimiser.rate": (1e-12, 1),
}


def check_limits(value: Any, prefix: str = "") -> None:
    """Raise ``InputError`` for a number of a configuration that is not finite or beyond its limits (or below 0)."""
    for field in fields(value):
        key, found = prefix + field.name, getattr(value, field.name)
        if is_dataclass(found):
            check_limits(found, f"{key}.")
            continue
        low, high = _LIMITS.get(key, (0, _MOST))
        for number in found if isinstance(found, tuple) else (found,):
            if isinstance(number, (int, float)) and not low <= number <= high:  # nor is one that is not finite
                raise InputError(f"'{key}' is {str(number)[:40]}; it must be a number from {low:g} to {high:g}.")
