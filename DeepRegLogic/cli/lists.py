"""Lists of cases: CSV with one case a row, whose paths are relative to the list."""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from ..errors import InputError
from ..files import expanded
from ..io.guard import require_file


def read_list(path: Path, columns: Collection[str], texts: Collection[str] = ("name",)) -> list[dict[str, str]]:
    """The rows of a list, without what is empty in them; paths are made absolute.

    Parameters
    ----------
    columns : that may be there; those of ``texts`` are no paths.

    Raises
    ------
    InputError : it cannot be read, has no row, or a column that is not known; the row and the file are named.
    """
    try:
        require_file(path)
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            rows, names = list(reader), list(reader.fieldnames or ())
    except (InputError, OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"The list '{path}' cannot be read ({error}).") from error
    unknown = [name for name in names if name not in columns]
    if unknown:
        raise InputError(f"The list '{path}' has a column '{unknown[0]}'; there are {', '.join(columns)}.")
    found = []
    for number, row in enumerate(rows, start=2):
        if None in row:
            raise InputError(f"Line {number} of the list '{path}' has more values than the first line has names.")
        known = {name: text.strip() for name, text in row.items() if text and text.strip()}
        if known:
            found.append({n: text if n in texts else _absolute(text, path.parent) for n, text in known.items()})
    if not found:
        raise InputError(f"The list '{path}' has no row.")
    return found


def _absolute(text: str, folder: Path) -> str:
    """A path, or several as "frame=path;frame=path", relative to a folder."""
    parts = []
    for part in text.split(";"):
        frame, sign, place = part.rpartition("=")
        parts.append(f"{frame}{sign}{(folder / expanded(place.strip())).absolute()}")
    return ";".join(parts)


def names_of(rows: Sequence[Mapping[str, str]], otherwise: Sequence[str]) -> list[str]:
    """A name for every row, its own or another, made different by a number; upper and lower case are one."""
    names: list[str] = []
    taken: set[str] = set()
    numbers: dict[str, int] = {}
    for row, other in zip(rows, otherwise, strict=True):
        name = wanted = row.get("name", other)
        while name.casefold() in taken:
            number = numbers[wanted] = numbers.get(wanted, 1) + 1
            name = f"{wanted}-{number}"
        taken.add(name.casefold())
        names.append(name)
    return names
