"""One study as a task: it can be sent to another process, and always ends in a row of the table."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import Cancelled, InputError, ModelError, RegistrationError
from ..progress import CancelToken, ProgressCallback
from ..unforeseen import unexpected
from .finished import finished
from .study import Output, Study, register_study

Row = dict[str, Any]
"""A row of ``table.Table``; "study", "status" ("ok", "failed" or "cancelled"), figures, "seconds" and "message"."""

_POOLS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@dataclass(frozen=True)
class Task:
    """A study and how it is done.

    Attributes
    ----------
    folder : of its results.
    skip_finished : whether results that are those that it would get are kept.
    retries : how often it is tried again after an error that is not that of its input.
    threads : with how many threads it computes; None for what the libraries choose.
    memory_gb : the most memory that it may use where its options do not say.
    """

    name: str
    study: Study
    folder: Path
    output: Output
    skip_finished: bool = False
    retries: int = 0
    threads: int | None = None
    memory_gb: float | None = None


def attempt(task: Task, progress: ProgressCallback | None = None, cancel: CancelToken | None = None) -> Row:
    """Do a task and return its row; nothing is raised for what goes wrong in a study."""
    known = finished(task.study, task.output, task.folder, thorough=True) if task.skip_finished else None
    if known is not None:
        return row_of(task.name, known)
    start, message = time.perf_counter(), ""
    for tried in range(1, task.retries + 2):
        try:
            with at_most(task.threads):
                content = register_study(task.study, task.folder, task.output, progress, cancel, task.memory_gb)
            return row_of(task.name, content["record"])
        except Cancelled as error:
            return unfinished_row(task.name, "cancelled", str(error), time.perf_counter() - start)
        except (InputError, ModelError) as error:  # which would be the same again
            return unfinished_row(task.name, "failed", str(error), time.perf_counter() - start)
        except RegistrationError as error:
            message = str(error)
        except Exception as error:  # a fault of the program in one study must not end a night's work on the others
            message = unexpected(error)
        if progress is not None and tried <= task.retries:
            progress(0.0, f"Trying again: {message}")
    times = f" (tried {task.retries + 1} times)" if task.retries else ""
    return unfinished_row(task.name, "failed", message + times, time.perf_counter() - start)


def row_of(name: str, known: Mapping[str, Any]) -> Row:
    """The row of a finished study, by its record."""
    return {
        "study": name, "status": "ok", **known["figures"], "seconds": known["seconds"], "message": known["summary"],
    }  # fmt: skip


def unfinished_row(name: str, status: str, message: str, seconds: float) -> Row:
    """The row of a study that has no results."""
    return {"study": name, "status": status, "seconds": seconds, "message": message}


@contextmanager
def at_most(threads: int | None) -> Iterator[None]:
    """Within the block the libraries compute with so many threads, which sleep while they wait.

    One study needs the same number wherever it is done to get the same result to the last bit.
    """
    if threads is None:
        yield
        return
    if "torch" not in sys.modules:
        _load_with(threads)
    import SimpleITK as sitk
    import torch

    before = torch.get_num_threads(), sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    torch.set_num_threads(threads)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before[1])


def _load_with(threads: int) -> None:
    """Load the libraries that make threads of their own: how many, and how they wait, is asked for then and once."""
    wanted = {**dict.fromkeys(_POOLS, str(threads)), "OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0"}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    import torch  # noqa: F401

    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value
