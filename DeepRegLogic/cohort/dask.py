"""Studies on the workers of a Dask cluster, which may be on any computers that see the same files.

``Dask("tcp://scheduler:8786")`` or ``Dask(client)``; needs the package ``distributed``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from ..errors import InputError, RegistrationError
from ..progress import CancelToken
from .attempt import Row, Task, attempt, unfinished_row
from .engines import Step

if TYPE_CHECKING:
    from distributed import Client, Future

_AHEAD = 100  # tasks that the scheduler knows of, or twice as many as there are threads; the others wait here
_POLL = 0.5  # s
_PATIENCE = "30s"


class Dask:
    """The workers of a cluster: one task a study.

    A study whose worker is lost is done by another one; the scheduler gives it up after having lost
    ``distributed.scheduler.allowed-failures`` (3) workers to it. Workers keep to their ``memory_limit``, shared by
    their threads. After a cancel no study is begun; those that are being done are ended by their workers, and are
    found finished the next time.

    Parameters
    ----------
    client : a ``distributed.Client``, or the address of a scheduler.
    resources : what a study takes of a worker's resources, as ``{"GPU": 1}``.

    Raises
    ------
    InputError : the package is not there, or no scheduler answers at the address.
    """

    def __init__(self, client: Client | str, resources: Mapping[str, float] | None = None) -> None:
        try:
            from distributed import Client
        except ImportError as error:
            raise InputError(
                "A scheduler needs the package 'distributed': pip install \"temporal-registration[cohort]\"."
            ) from error
        self.resources = dict(resources or {})
        self._own = isinstance(client, str)
        if not isinstance(client, str):
            self.client: Client = client
            return
        try:
            self.client = Client(client, timeout=_PATIENCE, set_as_default=False)
        except (OSError, ValueError, asyncio.TimeoutError) as error:
            raise InputError(f"No Dask scheduler answers at '{client}' ({error}).") from error

    def run(self, tasks: Iterator[Task], step: Step, cancel: CancelToken) -> Iterator[Row]:
        from distributed import wait

        running: dict[Future[Row], Task] = {}
        try:
            while True:
                ahead = max(_AHEAD, 2 * sum(self.client.nthreads().values()))
                while len(running) < ahead and (task := next(tasks, None)) is not None:
                    running[self._submit(task)] = task
                if not running:
                    return
                if cancel.cancelled:
                    self.client.cancel(list(running))
                    for task in running.values():
                        yield unfinished_row(task.name, "cancelled", "Cancelled: it may yet be finished.", 0.0)
                    running.clear()
                    return
                try:
                    with self.client.as_current():
                        done = wait(list(running), timeout=_POLL, return_when="FIRST_COMPLETED").done
                except asyncio.TimeoutError:
                    done = {future for future in running if future.done()}
                for future in done:
                    yield self._row(future, running.pop(future))
        finally:
            if running:
                self.client.cancel(list(running))
            if self._own:
                self.client.close()

    def _submit(self, task: Task) -> Future[Row]:
        return self.client.submit(
            attempt_on_worker, task, key=f"{task.name}-{uuid4().hex}", resources=self.resources or None, pure=False
        )

    def _row(self, future: Future[Row], task: Task) -> Row:
        if future.status == "finished":
            row: Row = future.result()
            return row
        if future.status != "error":
            raise RegistrationError(
                "The Dask scheduler forgot the studies, or was lost; start again with --skip-finished."
            )
        error = future.exception()
        lost = type(error).__name__ == "KilledWorker"
        reason = "several workers were lost while they worked on it, perhaps for want of memory" if lost else str(error)
        return unfinished_row(task.name, "failed", f"It could not be done on the cluster: {reason}.", 0.0)


def attempt_on_worker(task: Task) -> Row:
    """``attempt`` with the memory that the worker may use, shared by its threads."""
    from distributed import get_worker

    worker: Any = get_worker()
    limit = worker.memory_manager.memory_limit
    if limit and task.memory_gb is None:
        task = replace(task, memory_gb=limit / 1e9 / worker.state.nthreads)
    return attempt(task)
