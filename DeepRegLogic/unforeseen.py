"""An error that nobody foresaw, as a sentence; its trace goes to a log file."""

from __future__ import annotations

import tempfile
import traceback
from pathlib import Path

from .memory import RAN_OUT, ran_out

_LONGEST = 500


def unexpected(error: Exception) -> str:
    """The sentence of an error that nobody foresaw; its trace goes to a log file."""
    if ran_out(error):
        return RAN_OUT
    text = "".join(c if c.isprintable() else " " for c in str(error)[:_LONGEST])
    name = f"{type(error).__name__}: {' '.join(text.split())}".rstrip(": ")
    log = Path(tempfile.gettempdir()) / "temporal-registration-error.log"
    try:
        with open(log, "a", encoding="utf-8") as file:
            traceback.print_exception(error, file=file)
    except OSError:
        return f"An unexpected error stopped the work ({name})."
    return f"An unexpected error stopped the work ({name}); please report it with the end of '{log}'."
