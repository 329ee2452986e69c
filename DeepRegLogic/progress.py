"""Progress and cancelling of long calls: one callback and one token, handed down through every layer."""

from __future__ import annotations

import threading
from collections.abc import Callable

from .errors import Cancelled

ProgressCallback = Callable[[float, str], None]


class CancelToken:
    """Set by one thread, read by another: ``token.cancel()`` makes the next ``token.check()`` raise ``Cancelled``."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        self._event.set()

    @property
    def cancelled(self) -> bool:
        return self._event.is_set()

    def check(self) -> None:
        """Raise ``Cancelled`` when ``cancel`` has been called."""
        if self._event.is_set():
            raise Cancelled("Cancelled: the registration was stopped and nothing was changed.")


class Reporter:
    """A progress callback and a cancel token together, over a part [start, stop] of the whole work.

    Calling ``reporter(fraction, text)`` checks the token and passes the fraction on, scaled into the part.
    """

    def __init__(
        self,
        progress: ProgressCallback | None = None,
        cancel: CancelToken | None = None,
        start: float = 0.0,
        stop: float = 1.0,
    ) -> None:
        self._progress = progress
        self._cancel = cancel
        self._start = start
        self._stop = stop

    def __call__(self, fraction: float, text: str) -> None:
        self.check()
        if self._progress is not None:
            self._progress(self._start + (self._stop - self._start) * min(max(fraction, 0.0), 1.0), text)

    def check(self) -> None:
        """Raise ``Cancelled`` when the work should stop."""
        if self._cancel is not None:
            self._cancel.check()

    def part(self, start: float, stop: float) -> Reporter:
        """A reporter over the part [start, stop] of this one."""
        span = self._stop - self._start
        return Reporter(self._progress, self._cancel, self._start + span * start, self._start + span * stop)
