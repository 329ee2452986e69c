"""One line on a terminal that says how far the work is, and how long it will take."""

from __future__ import annotations

import shutil
import sys
import time
from collections import deque

_WIDTH = 24
_SOONEST = 3.0  # s, before which nobody can tell how long it takes
_MEMORY = 300.0  # s: the speed is that of the last minutes, so that work which was done before counts for nothing


class Bar:
    """A bar on stderr, drawn over itself."""

    def __init__(self) -> None:
        self._past = deque([(time.monotonic(), 0.0)])
        self._shown = False

    def show(self, fraction: float, text: str) -> None:
        """Draw it: what is done (0 to 1), with what, and the time that is left."""
        filled = round(_WIDTH * min(max(fraction, 0.0), 1.0))
        line = f"[{'#' * filled}{'.' * (_WIDTH - filled)}] {fraction:4.0%} {self._left(fraction)}{text}"
        sys.stderr.write("\r\x1b[K" + line[: shutil.get_terminal_size().columns - 1])
        sys.stderr.flush()
        self._shown = True

    def clear(self) -> None:
        """Take it away."""
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._shown = False

    def _left(self, fraction: float) -> str:
        now = time.monotonic()
        self._past.append((now, fraction))
        while len(self._past) > 2 and now - self._past[0][0] > _MEMORY:
            self._past.popleft()
        start, done = self._past[0]
        if now - start < _SOONEST or fraction - done < 0.005 or fraction >= 1:
            return ""
        return f"{spoken((now - start) * (1 - fraction) / (fraction - done))} left  "


def spoken(seconds: float) -> str:
    """A length of time as it is said: "40 s", "3 min", "2 h 10 min"."""
    if seconds < 90:
        return f"{round(seconds)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
