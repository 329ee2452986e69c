"""A process of our own that computes: started when it is needed, kept warm, and never left behind.

The protocol is that of ``DeepRegLogic/service/worker.py``. One worker serves the whole application (``shared()``).
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import qt
import slicer

from DeepRegLogic import __file__ as _LOGIC_FILE
from DeepRegLogic.errors import InputError, RegistrationError
from DeepRegLogic.memory import ADVICE

from ..i18n import _
from . import environment

IDLE_SECONDS = 600
START_SECONDS = 60
_KEPT_LOG, _KEPT_LINE = 4000, 300
# nothing is imported from the folder that the application happens to be in; else sys.path is left as it was, so that
# the packages of the environment win over what lies beside DeepRegLogic
_START = (
    "import sys; sys.path[:] = filter(None, sys.path); folder = sys.argv.pop(1); sys.path.insert(0, folder); "
    "from DeepRegLogic.service import worker; sys.path.remove(folder); sys.exit(worker.main())"
)


def killTree(process: int, group: int | None) -> None:
    """Kill a process with everything that it started. ``group`` is the worker's process group, where it is known.

    PythonSlicer is a launcher with the real Python as its child, so that to kill the process alone is not enough.
    """
    if os.name == "nt":
        command = ["taskkill", "/T", "/F", "/PID", str(process)]
        subprocess.Popen(command, creationflags=subprocess.CREATE_NO_WINDOW)  # at once, without waiting for it
        return
    if group:
        with suppress(OSError):
            os.killpg(group, signal.SIGKILL)
    with suppress(OSError):
        os.kill(process, signal.SIGKILL)


def _eventOf(line: bytes) -> dict | None:
    """The event of a line, also behind a greeting that ends in none; None for what is no event."""
    try:
        event = json.loads(line[max(line.find(b'{"event"'), 0) :])
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) and isinstance(event.get("event"), str) else None


def _plain(value: object) -> object:
    """Numbers and arrays of numpy, and paths, as JSON has them."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"{value!r} is a {type(value).__name__}")


class Worker:
    """One process at a time.

    ``onEvent`` gets every message, and {"event": "ended", "text": ...} when the process is gone; ``onReady`` is called
    when the ``devices`` are known.
    """

    def __init__(self) -> None:
        self.onEvent: Callable[[dict], None] | None = None
        self.onReady: Callable[[], None] | None = None
        self.devices: list[dict[str, str]] = []
        self.isReady = False
        self.scratch: Path | None = None
        self._process = self._former = None
        self._interpreter = ""
        self._group: int | None = None
        self._buffer = b""
        self._log = ""
        self._unusable = ""
        self._count = 0
        self._starting = qt.QTimer()
        self._starting.setSingleShot(True)
        self._starting.setInterval(START_SECONDS * 1000)
        self._starting.connect("timeout()", self._onNotStarted)

    @property
    def isRunning(self) -> bool:
        return self._process is not None

    def start(self) -> None:
        """Start the process of the environment that is chosen; nothing to do where it runs.

        Raises
        ------
        RegistrationError : no Python was found, or it cannot be started.
        """
        python, variables = environment.interpreter()
        if self._process is not None:
            # an idle process takes its folder along when it ends, which may not have been noticed yet
            if python == self._interpreter and self.scratch.is_dir():
                return
            self.close()
        self.scratch = Path(tempfile.mkdtemp(prefix="TemporalRegistration-", dir=slicer.app.temporaryPath))
        process = qt.QProcess()
        process.setEnvironment([f"{name}={value}" for name, value in variables.items()])
        process.setProgram(python)
        options = ["--scratch", str(self.scratch), "--parent", str(os.getpid()), "--idle", str(IDLE_SECONDS)]
        folder = str(Path(_LOGIC_FILE).resolve().parent.parent)
        process.setArguments(["-c", _START, folder, *options])
        process.connect("readyReadStandardOutput()", self._onOutput)
        process.connect("readyReadStandardError()", self._onLog)
        process.connect("finished(int,QProcess::ExitStatus)", self._onFinished)
        process.connect("errorOccurred(QProcess::ProcessError)", self._onError)
        self._process, self._interpreter = process, python
        self._group, self._buffer, self._log, self._unusable = None, b"", "", ""
        self._starting.start()
        process.start()
        if self._process is None:  # some systems tell at once, others later
            raise RegistrationError(self._notStarted())

    def newFolder(self) -> Path:
        """A new folder for the arrays of a request; it goes with the process at the latest."""
        self._count += 1
        folder = self.scratch / str(self._count)
        folder.mkdir()
        return folder

    def send(self, message: dict) -> None:
        """Raises InputError for what JSON has no words for, and is neither a number of numpy nor a path."""
        try:
            line = json.dumps(message, default=_plain) + "\n"
        except (TypeError, ValueError, RecursionError) as error:
            raise InputError(_("An option cannot be used: {reason}").format(reason=error)) from error
        if self._process is not None:
            self._process.write(line.encode("ascii"))

    def kill(self) -> None:
        """End the process and its children at once; no event follows."""
        process = self._forget()
        if process is not None:
            killTree(process.processId(), self._group)
            process.waitForFinished(300)
            self._removeScratch()

    def close(self) -> None:
        """Let the process end by itself, which takes milliseconds, and kill it where it does not."""
        process = self._forget()
        if process is not None:
            number = process.processId()
            process.closeWriteChannel()
            if not process.waitForFinished(500):
                killTree(number, self._group)
                process.waitForFinished(300)
            self._removeScratch()

    def _forget(self):
        """The process, which is not ours any more and reports nothing."""
        process, self._process, self.isReady = self._process, None, False
        self._starting.stop()
        if process is None or process.state() == qt.QProcess.NotRunning:
            return None
        for signature in ("readyReadStandardOutput()", "readyReadStandardError()"):
            process.disconnect(signature)
        process.disconnect("finished(int,QProcess::ExitStatus)", self._onFinished)
        process.disconnect("errorOccurred(QProcess::ProcessError)", self._onError)
        return process

    def _removeScratch(self) -> None:
        if self.scratch is not None:
            shutil.rmtree(self.scratch, ignore_errors=True)
            self.scratch = None

    def _tell(self, event: dict) -> None:
        if self.onEvent is not None:
            self.onEvent(event)

    def _onOutput(self) -> None:
        if self._process is None:
            return
        self._buffer += bytes(self._process.readAllStandardOutput().data())
        *lines, self._buffer = self._buffer.split(b"\n")
        for line in lines:
            event = _eventOf(line)
            if event is None:  # a greeting of the environment, or the noise of another program
                self._keepLog(line)
                continue
            if event["event"] == "started":
                self._starting.stop()
                self._group = event["pid"] if os.name != "nt" else None
            elif event["event"] == "ready":
                self.isReady, self.devices = True, event["devices"]
                if self.onReady is not None:
                    self.onReady()
            elif event["event"] == "unusable":
                self._unusable = event["text"]
            self._tell(event)

    def _onLog(self) -> None:
        if self._process is not None:
            self._keepLog(bytes(self._process.readAllStandardError().data()))

    def _keepLog(self, content: bytes) -> None:
        text = content.decode("utf-8", errors="replace").rstrip()
        self._log = (self._log + "\n" + text)[-_KEPT_LOG:]
        logging.debug(text)

    def _onNotStarted(self) -> None:
        """What was started is no Python, or waits for something."""
        said = (self._log.strip().splitlines() or [""])[-1][:_KEPT_LINE]
        process = self._forget()
        if process is not None:
            killTree(process.processId(), self._group)
            process.waitForFinished(300)
        text = _("The Python environment '{path}' does not start a computation{said}; choose another under Advanced.")
        self._ended(text.format(path=self._interpreter, said=f" ('{said}')" if said else ""), process)

    def _onError(self, error) -> None:
        if error == qt.QProcess.FailedToStart:
            self._ended(self._notStarted())

    def _notStarted(self) -> str:
        text = _("The Python environment '{path}' could not be started; choose another under Advanced.")
        return text.format(path=self._interpreter)

    def _onFinished(self, code: int, status) -> None:
        self._onOutput()
        self._onLog()
        if self._unusable:
            self._ended(self._unusable)
        elif not self.isReady:
            reason = (self._log.strip().splitlines() or ["no reason given"])[-1][:_KEPT_LINE]
            text = _("The Python environment '{path}' cannot be used: {reason}")
            self._ended(text.format(path=self._interpreter, reason=reason))
        elif code == 0:
            self._ended(_("The background process had just stopped after being idle; try again."))
        else:
            text = _("The computation stopped unexpectedly, perhaps for lack of memory; {advice}, and try again.")
            self._ended(text.format(advice=ADVICE))

    def _ended(self, text: str, process=None) -> None:
        # kept for now: this is called from a signal of the process, which must not be deleted meanwhile
        self._former, self._process, self.isReady = self._process or process, None, False
        self._starting.stop()
        self._removeScratch()
        self._tell({"event": "ended", "text": text})


_worker: Worker | None = None


def shared() -> Worker:
    """The worker of the application, which closes it when it quits."""
    global _worker
    if _worker is None:
        _worker = Worker()
        slicer.app.connect("aboutToQuit()", _worker.close)
    return _worker


def closeShared() -> None:
    """End the worker's process, if there is one."""
    if _worker is not None:
        _worker.close()
