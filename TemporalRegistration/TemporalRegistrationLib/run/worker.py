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

import qt
import slicer

from DeepRegLogic import __file__ as _LOGIC_FILE
from DeepRegLogic.errors import RegistrationError

from ..i18n import _
from . import environment

IDLE_SECONDS = 600
_KEPT_LOG = 4000
# sys.path is left as it was, so that the packages of the environment win over what lies beside DeepRegLogic
_START = (
    "import sys; folder = sys.argv.pop(1); sys.path.insert(0, folder); from DeepRegLogic.service import worker; "
    "sys.path.remove(folder); sys.exit(worker.main())"
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
        if self._process is not None:
            self._process.write((json.dumps(message) + "\n").encode("ascii"))

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
            event = json.loads(line)
            if event["event"] == "started" and os.name != "nt":
                self._group = event["pid"]
            elif event["event"] == "ready":
                self.isReady, self.devices = True, event["devices"]
                if self.onReady is not None:
                    self.onReady()
            elif event["event"] == "unusable":
                self._unusable = event["text"]
            self._tell(event)

    def _onLog(self) -> None:
        if self._process is not None:
            text = bytes(self._process.readAllStandardError().data()).decode("utf-8", errors="replace")
            self._log = (self._log + text)[-_KEPT_LOG:]
            logging.debug(text.rstrip())

    def _onError(self, error) -> None:
        if error == qt.QProcess.FailedToStart:
            self._ended(self._notStarted())

    def _notStarted(self) -> str:
        text = _("The Python environment '{path}' could not be started; choose another under Advanced.")
        return text.format(path=self._interpreter)

    def _onFinished(self, code: int, status) -> None:
        from DeepRegLogic.service.worker import ADVICE  # not at the application's start

        self._onOutput()
        self._onLog()
        if self._unusable:
            self._ended(self._unusable)
        elif not self.isReady:
            reason = (self._log.strip().splitlines() or ["no reason given"])[-1]
            text = _("The Python environment '{path}' cannot be used: {reason}")
            self._ended(text.format(path=self._interpreter, reason=reason))
        elif code == 0:
            self._ended(_("The background process had just stopped after being idle; try again."))
        else:
            text = _("The computation stopped unexpectedly, perhaps for lack of memory; {advice}, and try again.")
            self._ended(text.format(advice=ADVICE))

    def _ended(self, text: str) -> None:
        # kept for now: this is called from a signal of the process, which must not be deleted meanwhile
        self._former, self._process, self.isReady = self._process, None, False
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
