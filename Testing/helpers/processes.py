"""Programs that tests start: none outlives its test, and none can keep it waiting for ever.

``GUARD`` is a limit against hanging, far above what anything needs; no test measures time by it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

GUARD = 300.0


def run(command: Sequence[object], **options: object) -> subprocess.CompletedProcess:
    """Run a program to its end, with what it wrote as text; it is killed after ``GUARD`` seconds."""
    words = [str(word) for word in command]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=GUARD, **options)


@contextmanager
def started(command: Sequence[object], guard: float = GUARD, **options: object) -> Iterator[subprocess.Popen]:
    """A program that runs beside the test, and is killed at the end of the block or after ``guard`` seconds.

    So reading from its pipes ends, whatever it does.
    """
    with subprocess.Popen([str(word) for word in command], text=True, **options) as process:
        watchdog = threading.Timer(guard, kill, [process])
        watchdog.daemon = True
        watchdog.start()
        try:
            yield process
        finally:
            watchdog.cancel()
            kill(process)


def kill(process: subprocess.Popen) -> None:
    """Kill a program, with its whole process group where it leads one."""
    if os.name == "posix" and process.poll() is None:
        with suppress(ProcessLookupError, PermissionError):
            if os.getpgid(process.pid) == process.pid:
                os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Look again and again until the condition holds; fails after ``GUARD`` seconds."""
    give_up = time.monotonic() + GUARD
    while not condition():
        assert time.monotonic() < give_up, f"it never came to this: {what}"
        time.sleep(0.02)
