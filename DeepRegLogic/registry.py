"""Name -> entry, for what newcomers add: networks, similarities, regularisers, readers, maps, curves, presets."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import TypeVar

from .errors import InputError

Entry = TypeVar("Entry")


class Registry(Mapping[str, Entry]):
    """Entries of one kind by their names, in the order in which they were added.

    Parameters
    ----------
    what : what an entry is called in sentences ("similarity").
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self._entries: dict[str, Entry] = {}

    def add(self, name: str, entry: Entry) -> Entry:
        """Add an entry under a name of its own.

        Raises
        ------
        ValueError : the name is taken.
        """
        if name in self._entries:
            raise ValueError(f"There is a {self.what} '{name}' already.")
        self._entries[name] = entry
        return entry

    def remove(self, name: str) -> None:
        """Take an entry out again."""
        del self._entries[name]

    def choose(self, name: str) -> Entry:
        """The entry of that name.

        Raises
        ------
        InputError : there is none; the sentence lists what there is.
        """
        if name in self._entries:
            return self._entries[name]
        near = difflib.get_close_matches(str(name), self._entries, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise InputError(f"There is no {self.what} '{name}'; there are {', '.join(self._entries)}.{hint}")

    def __getitem__(self, name: str) -> Entry:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)
