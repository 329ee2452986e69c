"""Where studies are done: one after the other, in processes of this computer, on the workers of a Dask cluster.

An engine takes tasks one by one, as it can do them, and gives their rows in the order in which they end.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection
from typing import Protocol

from ..errors import InputError
from ..memory import available_gb
from ..progress import CancelToken
from .attempt import Row, Task, attempt, unfinished_row

Step = Callable[[str, float, str], None]
"""Is told the name of a study, what fraction of it is done, and with what."""

_LOST = "The process that worked on it was killed, perhaps because the memory ran out (tried {count} times)."
_POLL = 0.2  # s


class Engine(Protocol):
    """What does tasks."""

    def run(self, tasks: Iterator[Task], step: Step, cancel: CancelToken) -> Iterator[Row]:
        """The rows of the tasks; after ``cancel`` none is begun, and those that are being done end soon."""
        ...


class Serial:
    """One study after the other, in this process."""

    def run(self, tasks: Iterator[Task], step: Step, cancel: CancelToken) -> Iterator[Row]:
        for task in tasks:
            yield attempt(task, partial(step, task.name), cancel)


class Processes:
    """So many processes on this computer, each with its share of the memory.

    One that is killed is replaced, and its study is tried again as often as its task says. A program that uses this
    must begin under ``if __name__ == "__main__":``, as all that start processes.
    """

    def __init__(self, workers: int) -> None:
        if workers < 1:
            raise InputError(f"A cohort needs one worker or more, not {workers}.")
        self.workers = workers

    def run(self, tasks: Iterator[Task], step: Step, cancel: CancelToken) -> Iterator[Row]:
        share = available_gb() / self.workers
        idle = [_Slot() for _ in range(self.workers)]
        slots = list(idle)
        running: dict[Future[Row], tuple[_Slot, Task, int]] = {}
        try:
            while True:
                while idle and (task := next(tasks, None)) is not None:
                    slot = idle.pop()
                    task = replace(task, memory_gb=share if task.memory_gb is None else task.memory_gb)
                    step(task.name, 0.0, "Started")
                    running[slot.submit(task)] = slot, task, 1
                if not running:
                    return
                done, _ = wait(running, _POLL, FIRST_COMPLETED)
                if cancel.cancelled:
                    for slot in slots:
                        slot.cancel()
                for future in done:
                    slot, task, tried = running.pop(future)
                    try:
                        row = future.result()
                    except BrokenProcessPool:
                        slot.restart()
                        if tried <= task.retries and not cancel.cancelled:
                            running[slot.submit(task)] = slot, task, tried + 1
                            continue
                        row = unfinished_row(task.name, "failed", _LOST.format(count=tried), 0.0)
                    idle.append(slot)
                    yield row
        finally:
            for slot in slots:
                slot.cancel()
            for slot in slots:
                slot.close()


class _Slot:
    """A process, begun with the first task; it ends when this one does."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        self._pipe: Connection = ours
        self._pool = ProcessPoolExecutor(1, context, _prepare, (theirs,))

    def submit(self, task: Task) -> Future[Row]:
        return self._pool.submit(_work, task)

    def cancel(self) -> None:
        """Let the study that is being done end without results."""
        self._pipe.close()

    def restart(self) -> None:
        self.close()
        self._start()

    def close(self) -> None:
        self._pipe.close()
        self._pool.shutdown(cancel_futures=True)


_cancel = CancelToken()
_busy = threading.Lock()


def _prepare(pipe: Connection) -> None:
    """At the start of a process: signals are for the one that began it, of which the pipe tells."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    threading.Thread(target=_watch, args=(pipe,), daemon=True).start()


def _watch(pipe: Connection) -> None:
    """Cancel when the other end of the pipe is closed, and end where the process is gone that had it."""
    try:
        pipe.poll(None)
    finally:
        _cancel.cancel()
    parent = multiprocessing.parent_process()
    while parent is not None and parent.is_alive():
        time.sleep(_POLL)
    with _busy:  # what is being done ends first, and takes its unfinished files along
        os._exit(1)


def _work(task: Task) -> Row:
    with _busy:
        return attempt(task, cancel=_cancel)
