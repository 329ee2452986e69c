"""What all commands share: signals, exit codes, progress, and that every error ends in one sentence."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import Cancelled, RegistrationError
from ..files import cache_folder
from ..memory import RAN_OUT, ran_out
from ..progress import CancelToken

_LONGEST = 500
STOPPING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


PACKAGES = {name: name for name in ("numpy", "torch", "SimpleITK", "safetensors", "pydicom", "monai", "matplotlib")}
PACKAGES |= {"PIL": "pillow", "lightning": "lightning", "yaml": "pyyaml", "slicer": "slicer-core"}
PACKAGES |= {name: name for name in ("nibabel", "h5py", "jinja2", "highdicom")}
"""Import names of the packages that this one uses, and what they are installed by."""


class Progress:
    """Prints a line whenever the text changes or a tenth more is done."""

    def __init__(self) -> None:
        self._last = (-1, "")

    def __call__(self, fraction: float, text: str) -> None:
        now = (int(10 * fraction), text)
        if now != self._last:
            print(f"[{fraction:4.0%}] {_printable(text)}", flush=True)
            self._last = now


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

    @property
    def stopped(self) -> int:
        """The exit code of a run that was stopped."""
        return 128 + (self.received[0] if self.received else signal.SIGINT)


def run_safely(work: Callable[[Console], int]) -> int:
    """Do the work of a command and return its exit code, or that of its error, which is told on stderr in a sentence.

    The first Ctrl-C, SIGTERM or hang-up cancels; a second one ends the program at once.
    """
    console = Console()
    os.environ.setdefault("MPLCONFIGDIR", str(cache_folder() / "matplotlib"))  # else it writes to two places of its own
    with _signals(console):
        try:
            return work(console)
        except Cancelled as error:
            tell(error)
            return console.stopped
        except RegistrationError as error:
            tell(error)
            return 1
        except ModuleNotFoundError as error:
            tell(missing(error))
            return 1
        except Exception as error:
            tell(unexpected(error))
            return 1


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
