"""A registration in the background: the application stays alive, and the scene changes at the end or not at all.

    job = Job(CineTask(sequenceNode, model="tlrn-cardiac"))
    job.onChanged = lambda job: print(job.state, job.fraction, job.text)
    job.start()

The work of the application itself (reading frames, building nodes) is done in small steps between its events.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from enum import Enum
from pathlib import Path

import qt
import slicer

from DeepRegLogic import errors
from DeepRegLogic.errors import Cancelled, InputError, RegistrationError

from ..i18n import _, translated
from ..steps import Steps, Task
from . import worker

_STEP_SECONDS = 0.01
_CANCEL_MILLISECONDS = 400
_READING, _COMPUTING = 0.03, 0.9  # parts of the progress bar: up to here


class State(Enum):
    IDLE = "idle"
    STARTING = "starting"
    RUNNING = "running"
    WRITING = "writing"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


class Job:
    """One registration, from the nodes that are read to those that are made.

    Attributes
    ----------
    state : where it is.
    fraction, text : how far, and with what.
    result : what the task made, when it is done.
    error : why it failed or was cancelled: a RegistrationError whose text is fit to be shown.
    onChanged : called with the job whenever one of these changes.
    """

    _running: Job | None = None

    def __init__(self, task: Task, onChanged: Callable[[Job], None] | None = None) -> None:
        self.task = task
        self.onChanged = onChanged
        self.state = State.IDLE
        self.fraction, self.text = 0.0, ""
        self.result = None
        self.error: RegistrationError | None = None
        self._worker = worker.shared()
        self._steps: Steps | None = None
        self._request: dict | None = None
        self._folder: Path | None = None
        self._observers: list[int] = []
        self._computing = 0.0
        self._cancelling = False

    @property
    def isActive(self) -> bool:
        return self.state in (State.STARTING, State.RUNNING, State.WRITING)

    @property
    def isCancelling(self) -> bool:
        """Whether it was told to stop and has not stopped yet."""
        return self._cancelling and self.isActive

    def start(self) -> Job:
        """Begin; what goes wrong from here on ends in the state FAILED.

        Raises
        ------
        InputError : another registration runs.
        """
        if Job._running is not None and Job._running._cancelling:
            Job._running._killWorker()  # nobody waits for it any more
        if Job._running is not None:
            raise InputError(_("A registration is running; wait for it, or cancel it."))
        Job._running = self
        self._stepTimer = qt.QTimer()
        self._stepTimer.setInterval(0)
        self._stepTimer.connect("timeout()", self._step)
        self._killTimer = qt.QTimer()
        self._killTimer.setSingleShot(True)
        self._killTimer.setInterval(_CANCEL_MILLISECONDS)
        self._killTimer.connect("timeout()", self._killWorker)
        scene = slicer.mrmlScene
        # one method each: the events of the scene have no names that an observer could tell them apart by
        for event, method in ((scene.NodeRemovedEvent, self._onNodeRemoved), (scene.StartCloseEvent, self._onClose)):
            self._observers.append(scene.AddObserver(event, method))
        self._become(State.STARTING, 0.0, _("Starting the computation"))
        try:
            self._worker.start()
            self._worker.onEvent = self._onEvent
            self._folder = self._worker.newFolder()
        except (RegistrationError, OSError) as error:
            self._fail(error if isinstance(error, RegistrationError) else RegistrationError(str(error)))
            return self
        self._steps = self.task.prepare(self._folder)
        self._stepTimer.start()
        return self

    def cancel(self) -> None:
        """Stop; the scene stays as it was. The worker gets a moment to stop by itself, and is killed then."""
        if not self.isActive or self._cancelling:
            return
        if self.state is State.WRITING and self.fraction >= 1.0:
            return  # too late: the results are there
        if self._request is None or self.state is State.WRITING:
            self._end(State.CANCELLED, Cancelled(_("Cancelled.")))
            return
        self._cancelling = True
        self._worker.send({"cancel": self._number})
        self._killTimer.start()
        self._become(self.state, self.fraction, _("Cancelling"))

    def wait(self) -> object:
        """Keep the application alive until the job has ended; its result.

        Raises
        ------
        RegistrationError : the job failed. Cancelled : it was cancelled.
        """
        while self.isActive:
            slicer.app.processEvents()
            time.sleep(0.002)
        if self.error is not None:
            raise self.error
        return self.result

    def secondsLeft(self) -> float | None:
        """An estimate, or None while it would be a guess."""
        if self.state is not State.RUNNING or self._computing == 0.0:
            return None
        spent = time.monotonic() - self._computing
        done = (self.fraction - _READING) / (1.0 - _READING)
        return spent * (1.0 - done) / done if done > 0.1 and spent > 0.5 else None

    @property
    def _number(self) -> int:
        return int(self._folder.name)

    def _become(self, state: State, fraction: float, text: str) -> None:
        self.state, self.fraction, self.text = state, fraction, text
        if self.onChanged is not None:
            self.onChanged(self)

    def _step(self) -> None:
        """Some steps of the work in this process, then the application's turn."""
        end = time.monotonic() + _STEP_SECONDS
        try:
            while True:
                fraction, text = next(self._steps)
                if fraction >= 1.0 or time.monotonic() > end:
                    break  # after the scene has changed, the application gets its turn at once
        except StopIteration as last:
            self._steps = None
            self._stepTimer.stop()
            self._stepsDone(last.value)
            return
        except RegistrationError as error:
            self._fail(type(error)(translated(str(error))))
            return
        except Exception as error:
            self._fail(
                RegistrationError(
                    _("The registration failed ({reason}).").format(reason=f"{type(error).__name__}: {error}")
                )
            )
            raise
        first, last = (0.0, _READING) if self.state is State.STARTING else (_COMPUTING, 1.0)
        self._become(self.state, first + (last - first) * fraction, text)

    def _stepsDone(self, value) -> None:
        if self.state is State.STARTING:
            self._request = value
            self._become(State.STARTING, _READING, _("Starting the computation"))
            self._send()
        else:
            self.result = value
            self._end(State.DONE)

    def _send(self) -> None:
        """Ask the worker as soon as both sides are ready."""
        if self.state is State.STARTING and self._request is not None and self._worker.isReady:
            self._computing = time.monotonic()
            try:
                self._worker.send({"id": self._number, "folder": str(self._folder), **self._request})
            except InputError as error:
                self._fail(error)
                return
            self._become(State.RUNNING, _READING, _("Starting the computation"))

    def _onEvent(self, event: dict) -> None:
        name = event["event"]
        if name == "ended":
            self._folder = None
            if self._cancelling:
                self._end(State.CANCELLED, Cancelled(_("Cancelled.")))
            else:
                self._fail(RegistrationError(translated(event["text"])))
        elif name == "ready":
            self._send()
        elif self.state is not State.RUNNING or event.get("id") != self._number:
            return
        elif name == "cancelled" or (self._cancelling and name in ("result", "error")):
            self._end(State.CANCELLED, Cancelled(_("Cancelled.")))
        elif name == "progress" and not self._cancelling:
            fraction = _READING + (_COMPUTING - _READING) * event["fraction"]
            self._become(State.RUNNING, fraction, translated(event["text"]))
        elif name == "error":
            kind = getattr(errors, event["kind"], RegistrationError)
            self._fail(kind(translated(event["text"])))
        elif name == "result":
            self._killTimer.stop()
            self._steps = self.task.finish(self._folder / "results", event["result"])
            self._become(State.WRITING, _COMPUTING, _("Adding the results to the scene"))
            self._stepTimer.start()

    def _killWorker(self) -> None:
        self._worker.kill()
        self._folder = None
        self._end(State.CANCELLED, Cancelled(_("Cancelled.")))

    def _onNodeRemoved(self, _caller, _event) -> None:
        """Where the input is gone, nobody waits for the result."""
        if self.isActive and not self.task.inputsAreThere():
            self.cancel()

    def _onClose(self, _caller, _event) -> None:
        self.cancel()

    def _fail(self, error: RegistrationError) -> None:
        self._end(State.FAILED, error)

    def _end(self, state: State, error: RegistrationError | None = None) -> None:
        if not self.isActive:
            return
        for timer in (self._stepTimer, self._killTimer):
            timer.stop()
            timer.deleteLater()  # with what it is connected to, and not in the middle of its own signal
        if self._steps is not None:
            self._steps.close()
            self._steps = None
        for tag in self._observers:
            slicer.mrmlScene.RemoveObserver(tag)
        self._observers = []
        self._worker.onEvent = None
        if self._folder is not None:
            # on a thread of its own: large files take long to remove
            threading.Thread(target=shutil.rmtree, args=(self._folder, True), daemon=True).start()
            self._folder = None
        Job._running = None
        self.error = error
        self._become(state, 1.0 if state is State.DONE else 0.0, str(error or _("Done")))
