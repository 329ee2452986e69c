"""``studies.csv``: one row a study, appended as soon as it is known, by any number of runs at once."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ..errors import OutputError
from ..files import locked, whole_file, writing
from .figures import CORE

STUDIES = "studies.csv"
COLUMNS = ("study", "status", *CORE, "seconds", "message")


class Table:
    """The table of the studies in ``folder``.

    A row is one line, written under a lock; of a study the last one counts. A line that a killed run left unfinished is
    cut off by the next row. ``sort`` brings the rows into an order and leaves one a study.

    Raises
    ------
    OutputError : the folder cannot be written, or has a ``studies.csv`` of something else.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / STUDIES
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            with locked(folder):
                first = b""
                if self.path.exists():
                    with open(self.path, "rb") as file:
                        first = file.readline(1000).rstrip(b"\r\n")
                if not first:
                    with whole_file(self.path) as part:
                        part.write_bytes(_line(COLUMNS))
                elif first != _line(COLUMNS).rstrip():
                    raise OutputError(
                        f"The output folder '{folder}' holds a '{STUDIES}' of something else; name another folder, or "
                        "remove it."
                    )

    def add(self, row: Mapping[str, object]) -> None:
        """Append a row with the ``COLUMNS``, those that it has."""
        line = _line([_text(row.get(name, "")) for name in COLUMNS])
        with writing(self.path), locked(self.path.parent), open(self.path, "r+b") as file:
            _seek_end(file)
            file.write(line)

    def rows(self) -> Iterator[dict[str, str]]:
        """The rows in the order in which they were written; an unfinished last line is left out."""
        with open(self.path, newline="", encoding="utf-8") as file:
            whole = (line for line in file if line.endswith("\n"))
            yield from csv.DictReader(whole)

    def sort(self, names: Iterable[str]) -> None:
        """One row a study: those of ``names`` in that order, then those of other runs by their names."""
        with writing(self.path), locked(self.path.parent), open(self.path, "rb") as before:
            last: dict[str, int] = {}  # where the line of a study begins: ten thousand rows need not be kept
            start = len(before.readline())
            for line in before:
                if line.endswith(b"\n"):
                    last[next(csv.reader([line.decode("utf-8")]))[0]] = start
                start += len(line)
            with whole_file(self.path) as part, open(part, "wb") as after:
                after.write(_line(COLUMNS))
                for place in (*(last.pop(n) for n in names if n in last), *(last[n] for n in sorted(last))):
                    before.seek(place)
                    after.write(before.readline())


def _seek_end(file: io.BufferedRandom) -> None:
    """To the end of the last whole line, cutting off what comes after it."""
    size = place = file.seek(0, os.SEEK_END)
    while place:
        step = min(place, 4096)
        file.seek(place - step)
        found = file.read(step).rfind(b"\n")
        if found >= 0:
            place += found + 1 - step
            break
        place -= step
    file.seek(place)
    if place < size:
        file.truncate()


def _text(value: object) -> str:
    """A value as one line of text, numbers with six significant digits."""
    return f"{value:.6g}" if isinstance(value, float) else " ".join(str(value).split())


def _line(values: Iterable[object]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue().encode("utf-8", "backslashreplace")
