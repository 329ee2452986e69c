"""The calls of this package served to another process, which needs nothing but numpy.

    python -m DeepRegLogic.service.worker --scratch FOLDER [--parent PID] [--idle SECONDS]

The two sides talk in JSON, one object a line. The worker reads requests from its standard input:

    {"id": 1, "call": "register_cine", "folder": "FOLDER/1", "arguments": {...}}
    {"cancel": 1}

and writes to its standard output, which nothing else may use (what libraries print goes to standard error):

    {"event": "started", "pid": 4711}              at once; on POSIX the pid is also that of its process group
    {"event": "ready", "version": "0.1.0", "devices": [{"name": "cuda:0", "title": "..."}]}    the packages are loaded
    {"event": "unusable", "text": "..."}           they cannot be; the worker ends
    {"event": "progress", "id": 1, "fraction": 0.3, "text": "Predicting motion"}
    {"event": "result", "id": 1, "result": {...}}
    {"event": "cancelled", "id": 1}
    {"event": "error", "id": 1, "kind": "InputError", "text": "..."}

Arrays are never piped. They are .npy files in the folder of the request (``exchange.py`` packs and unpacks them), and a
packed value holds their names. ``arguments`` are those of the call of the same name, with images packed:

    register_cine   cine, masks, label_names, points, and the options of ``register_cine``
    register_pair   fixed, moving, fixed_mask and moving_mask (arrays on their grids, or null), and the options of
                    ``register_pair``
    generate_cine   frame, masks, and the options of ``generate_cine`` but ``labels``
    read_cine       paths (files, or one folder), series (or null)
    find_contours   cine, clicks (points in LPS mm), frame (or null, to look for end-diastole)
    measure_strain  motion, masks, label_names, and heart, the fields of a ``HeartSettings`` (or null), which
                    ``register_cine`` takes, too

``refine`` is true, false, the name of a quality, or the fields of a ``Refinement``; ``masks`` and ``points`` are arrays
as ``results.Results`` takes them, or null. The result is ``{"motion": ..., "results": ..., "pages": [...]}``, where
pages are the files of the report, for a pair with ``maps`` of the moving frame in place of ``results`` and ``pages``;
its arrays and files are in the folder ``results`` in the folder of the request. That of
``generate_cine`` is ``{"samples": [{"folder": ..., "cine": ..., "motion": ..., "masks": ...}, ...]}``, with the
arrays of every sample in the folder that it names in ``results``, and ``masks`` ``[M, T, *spatial]`` or null. That of
``read_cine`` is ``{"cine": ..., "notes": [...]}``, or ``{"series": [[uid, title], ...]}`` of a folder with several.
That of ``find_contours`` is ``{"labels": ..., "names": [[value, name], ...], "frame": ..., "notes": [...]}``.

The worker stays for the next request. It ends, and removes its scratch folder, when its input is closed, when the
process ``--parent`` is gone, or when nothing was asked of it for ``--idle`` seconds.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import queue
import shutil
import signal
import sys
import threading
import time
import traceback
from contextlib import suppress
from pathlib import Path

from .. import __version__
from ..errors import Cancelled, InputError, RegistrationError
from ..memory import RAN_OUT, ran_out
from ..progress import CancelToken
from .calls import CALLS, Packed
from .packages import lacking

PACKAGES = ("numpy", "torch", "SimpleITK", "safetensors")  # loaded at once; the others take seconds, or are rare
_LONGEST = 1 << 26  # bytes of a request


_REQUEST = {"call": str, "folder": str, "arguments": dict}


class _Channel:
    """Writes one JSON object a line to the standard output that this process was started with."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stream = os.fdopen(os.dup(1), "w", encoding="ascii", newline="\n")
        os.dup2(2, 1)
        sys.stdout = sys.stderr

    def __call__(self, event: str, **values: object) -> None:
        with self._lock, suppress(OSError, ValueError):  # nobody listens any more
            self._stream.write(json.dumps({"event": event, **values}) + "\n")
            self._stream.flush()


class _Inbox:
    """The requests that came in, and the token that stops the one being served."""

    def __init__(self) -> None:
        self.requests: queue.Queue[Packed] = queue.Queue()
        self._tokens: dict[int, CancelToken] = {}

    def token(self, number: int) -> CancelToken:
        return self._tokens.setdefault(number, CancelToken())

    def forget(self, number: int) -> None:
        self._tokens.pop(number, None)

    def put(self, line: bytes) -> None:
        """Take a request in; ValueError for a line that is none."""
        message = json.loads(line)
        number = message.get("cancel", message.get("id")) if isinstance(message, dict) else None
        if type(number) is not int:
            raise ValueError("no number")
        if "cancel" in message:
            self.token(number).cancel()
        elif not all(isinstance(message.get(key), kind) for key, kind in _REQUEST.items()):
            raise ValueError("no call, folder and arguments")
        else:
            self.token(number)
            self.requests.put(message)


def _serve(request: Packed, token: CancelToken, send: _Channel) -> None:
    """Answer one request; whatever goes wrong with it becomes a sentence."""
    number = request["id"]

    def progress(fraction: float, text: str) -> None:
        send("progress", id=number, fraction=round(float(fraction), 4), text=text)

    try:
        call = CALLS.get(request["call"])
        if call is None:
            raise InputError(f"The worker has no call '{request['call']}'.")
        token.check()
        result = call(Path(request["folder"]), dict(request["arguments"]), progress=progress, cancel=token)
        send("result", id=number, result=result)
    except Cancelled:
        send("cancelled", id=number)
    except RegistrationError as error:
        send("error", id=number, kind=type(error).__name__, text=str(error))
    except Exception as error:
        traceback.print_exc()
        if ran_out(error):
            _free_memory()
            send("error", id=number, kind="MemoryBudgetError", text=RAN_OUT)
        else:
            text = f"The registration stopped on an unexpected error ({type(error).__name__}: {error})."
            send("error", id=number, kind="RegistrationError", text=text)


def _free_memory() -> None:
    import torch

    from ..zoo import clear_cache

    clear_cache()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _return_memory() -> None:
    """What was kept for speed goes back to the system between requests, where the C library can do it (glibc)."""
    with suppress(Exception):
        import ctypes

        ctypes.CDLL(None).malloc_trim(0)


def _load_packages(send: _Channel) -> bool:
    """Import what registration needs, and say what is there or what is missing."""
    missing = lacking()
    for name in PACKAGES:
        try:
            importlib.import_module(name)
        except ImportError as error:
            if not any(requirement.startswith(name) for requirement in missing):
                missing.append(f"{name} (it is there, but cannot be loaded: {error})")
    if missing:
        what = f"lacks {', '.join(missing)}; install them there, or choose another environment"
        send("unusable", missing=missing, text=f"The Python environment '{sys.executable}' {what}.")
        return False
    import torch

    from ..registration import register  # noqa: F401  the first request should not wait for it

    titles = [(f"cuda:{i}", torch.cuda.get_device_name(i)) for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        titles.append(("mps", "Apple GPU"))
    send("ready", version=__version__, devices=[{"name": name, "title": title} for name, title in titles])
    return True


def _give_way() -> None:
    """A lower priority, so that the application that waits stays usable on the same cores."""
    with suppress(Exception):
        if sys.platform == "win32":
            import ctypes

            kernel = ctypes.windll.kernel32
            kernel.SetPriorityClass(kernel.GetCurrentProcess(), 0x4000)  # BELOW_NORMAL_PRIORITY_CLASS
        else:
            os.nice(5)


def _is_alive(pid: int) -> bool:
    if sys.platform == "win32":
        import ctypes

        kernel = ctypes.windll.kernel32
        handle = kernel.OpenProcess(0x100000, False, pid)  # SYNCHRONIZE
        alive = bool(handle) and kernel.WaitForSingleObject(handle, 0) == 0x102  # WAIT_TIMEOUT
        if handle:
            kernel.CloseHandle(handle)
        return alive
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _end(scratch: Path) -> None:
    """Leave at once, whatever the main thread is doing, and take its children along."""
    shutil.rmtree(scratch, ignore_errors=True)
    if sys.platform != "win32" and os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


def _listen(inbox: _Inbox, scratch: Path) -> None:
    """Take in every line until the input ends, whatever is in it."""
    # a reader of its own: one that waits in sys.stdin as the interpreter ends would abort it
    source = open(sys.stdin.fileno(), "rb", closefd=False)  # noqa: SIM115  # until the process ends
    while line := source.readline(_LONGEST):
        try:
            inbox.put(line)
        except (ValueError, RecursionError, MemoryError):
            print(f"This is not a request: {line[:200]!r}", file=sys.stderr)
    _end(scratch)


def _watch(parent: int, scratch: Path) -> None:
    while _is_alive(parent):
        time.sleep(1.0)
    _end(scratch)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="DeepRegLogic.service.worker", description="Serves registrations; see worker.py."
    )
    parser.add_argument(
        "--scratch", type=Path, required=True, help="folder of the requests' folders, removed at the end"
    )
    parser.add_argument("--parent", type=int, help="end when this process does")
    parser.add_argument("--idle", type=float, default=600.0, help="end after so many seconds without a request")
    options = parser.parse_args(arguments)
    if sys.platform != "win32":
        with suppress(OSError):  # it leads a group already
            os.setpgid(0, 0)
    send, inbox = _Channel(), _Inbox()
    send("started", pid=os.getpid())
    threading.Thread(target=_listen, args=(inbox, options.scratch), daemon=True).start()
    if options.parent:
        threading.Thread(target=_watch, args=(options.parent, options.scratch), daemon=True).start()
    _give_way()
    try:
        if not _load_packages(send):
            return 3
        while True:
            try:
                request = inbox.requests.get(timeout=options.idle)
            except queue.Empty:
                return 0
            _serve(request, inbox.token(request["id"]), send)
            _return_memory()
            inbox.forget(request["id"])
    finally:
        shutil.rmtree(options.scratch, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
