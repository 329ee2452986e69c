"""Names of nodes where room is short."""

from __future__ import annotations

LENGTH = 28


def short(name: str, length: int | None = LENGTH) -> str:
    """A name of at most ``length`` characters, without its middle where it is longer; None for all of it."""
    if length is None or len(name) <= length:
        return name
    first = (length - 1) // 2
    return f"{name[:first]}\N{HORIZONTAL ELLIPSIS}{name[len(name) - (length - 1 - first) :]}"
