"""What all commands share: signals, exit codes, progress, and that every error ends in one sentence."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import Cancelled, OutputError, RegistrationError
from ..files import cache_folder
from ..progress import CancelToken
from ..unforeseen import unexpected
from . import bar
from .parser import PROGRAM

STOPPING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


PACKAGES = {name: name for name in ("numpy", "torch", "SimpleITK", "safetensors", "pydicom", "monai", "matplotlib")}
PACKAGES |= {"PIL": "pillow", "lightning": "lightning", "yaml": "pyyaml", "slicer": "slicer-core"}
PACKAGES |= {name: name for name in ("nibabel", "h5py", "jinja2", "highdicom")}
"""Import names of the packages that this one uses, and what they are installed by."""


def add_console(parser: argparse.ArgumentParser) -> None:
    """Add to a command what all of them have: how much they say, and where."""
    group = parser.add_argument_group("what is said")
    group.add_argument("--quiet", action="store_true", help="say nothing but what went wrong")
    group.add_argument("--verbose", action="store_true", help="say every step, in a line of its own")
    group.add_argument("--log", type=Path, metavar="FILE", help="append every step and every error, with its time")


class Progress:
    """What is said of the progress.

    On a terminal one bar on stderr, with the time that is left; elsewhere a line on stdout whenever the text changes or
    a tenth more is done. ``verbose``: every step in a line. ``quiet``: nothing. A ``log`` gets everything.
    """

    def __init__(self, quiet: bool = False, verbose: bool = False, log: Path | None = None) -> None:
        self._quiet, self._verbose, self._log = quiet, verbose, log
        self._last: tuple[int, str] = (-1, "")
        self._bar = bar.Bar() if not quiet and not verbose and sys.stderr.isatty() else None

    @property
    def detailed(self) -> bool:
        """Whether somebody looks at, or asked for, every step."""
        return self._bar is not None or self._verbose

    def __call__(self, fraction: float, text: str) -> None:
        text = _printable(text)
        now = (int((100 if self._bar or self._verbose else 10) * fraction), text)
        if now == self._last:
            return
        self._last = now
        self.note(f"[{fraction:4.0%}] {text}")
        if self._bar is not None:
            self._bar.show(fraction, text)
        elif not self._quiet:
            print(f"[{fraction:4.0%}] {text}", flush=True)

    def say(self, text: str) -> None:
        """Tell a result."""
        self.note(text)
        self.pause()
        if not self._quiet:
            print(text, flush=True)

    def pause(self) -> None:
        """Clear the bar away, so that something else can be written."""
        if self._bar is not None:
            self._bar.clear()

    def note(self, text: str) -> None:
        """A line of the log, where there is one."""
        if self._log is not None:
            try:
                with open(self._log, "a", encoding="utf-8") as file:
                    file.write(f"{datetime.now().astimezone().isoformat(timespec='seconds')} {text}\n")
            except OSError as error:
                raise OutputError(f"The log '{self._log}' could not be written: {error.strerror}.") from error


@dataclass(frozen=True)
class Console:
    """What a command is run with.

    Attributes
    ----------
    progress : a progress callback.
    cancel : set by the first signal that asks to stop.
    received : the signals that came.
    """

    progress: Progress = field(default_factory=Progress)
    cancel: CancelToken = field(default_factory=CancelToken)
    received: list[int] = field(default_factory=list)

    def warn(self, sentence: object) -> None:
        """Tell something that went wrong."""
        self.progress.pause()
        self.progress.note(str(sentence))
        tell(sentence)

    def name_failed(self, row: Mapping[str, Any]) -> None:
        """Name a study that failed, by its row of the table."""
        if row["status"] != "ok":
            self.warn(f"{row['study']}: {row['message']}")

    @property
    def stopped(self) -> int:
        """The exit code of a run that was stopped."""
        return 128 + (self.received[0] if self.received else signal.SIGINT)


def run_safely(work: Callable[[Console], int], arguments: argparse.Namespace | None = None) -> int:
    """Do the work of a command and return its exit code, or that of its error, which is told on stderr in a sentence.

    ``arguments`` are those of ``add_console``. The first Ctrl-C, SIGTERM or hang-up cancels; a second one ends the
    program at once.
    """
    words = {name: getattr(arguments, name) for name in ("quiet", "verbose", "log") if hasattr(arguments, name)}
    console = Console(Progress(**words))
    os.environ.setdefault("MPLCONFIGDIR", str(cache_folder() / "matplotlib"))  # else it writes to two places of its own
    with _signals(console):
        try:
            console.progress.note(" ".join([PROGRAM, __version__, *sys.argv[1:]]))
            return work(console)
        except Cancelled as error:
            code, sentence = console.stopped, str(error)
        except RegistrationError as error:
            code, sentence = 1, str(error)
        except ModuleNotFoundError as error:
            code, sentence = 1, missing(error)
        except Exception as error:
            code, sentence = 1, unexpected(error)
            with suppress(OutputError):
                console.progress.note("".join(traceback.format_exception(error)))
        finally:
            console.progress.pause()
        with suppress(OutputError):
            console.progress.note(sentence)
        tell(sentence)
        return code


def tell(sentence: object) -> None:
    """Say something to the user; what files of others bring into a sentence does not steer the terminal."""
    print(_printable(str(sentence)), file=sys.stderr)


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def missing(error: ModuleNotFoundError) -> str:
    """The sentence of a package that is not installed."""
    if error.name not in PACKAGES:  # what a library of ours looks for is no advice to a user
        return unexpected(error)
    return f"The Python package '{error.name}' is not installed: pip install {PACKAGES[error.name]}"


@contextmanager
def _signals(console: Console) -> Iterator[None]:
    """Within the block the signals that ask to stop cancel; the second one does what it did before."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _frame: object) -> None:
        console.received.append(number)
        console.cancel.cancel()
        for each, handler in before.items():
            signal.signal(each, handler)

    before = {number: signal.getsignal(number) for number in STOPPING}
    # a program started with nohup goes on after a hang-up
    for number in STOPPING:
        if before[number] is not signal.SIG_IGN:
            signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
