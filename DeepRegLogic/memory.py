"""How much memory there is, and how it is told that there was too little."""

from __future__ import annotations

import os

ADVICE = "choose a smaller region of interest, fewer frames, a lower quality, or the CPU"
RAN_OUT = f"The memory ran out; {ADVICE}, and try again."
_SIGNS = ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory", "bad_alloc")


def available_gb() -> float:
    """The memory of this computer that processes can have, in GB; infinity where the system does not tell."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            values = dict(line.split(":") for line in file)
        return int(values["MemAvailable"].split()[0]) * 1024 / 1e9
    except (OSError, ValueError, KeyError, IndexError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    except (AttributeError, OSError, ValueError):
        return float("inf")


def ran_out(error: BaseException) -> bool:
    """Whether an error says that there was no memory left: libraries raise their own for it."""
    return isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in _SIGNS)
