"""The parser of all commands: one name, and near names for what is misspelt."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Iterable
from typing import NoReturn

from ..errors import InputError

PROGRAM = "temporal-registration"


class Parser(argparse.ArgumentParser):
    """An ``ArgumentParser`` whose errors say what was perhaps meant."""

    def error(self, message: str) -> NoReturn:
        super().error(message + self._meant(message))

    def _meant(self, message: str) -> str:
        wrong = re.search(r"invalid choice: '?([^' ]+)'? \(choose from (.*)\)", message)
        if wrong:
            return _near(wrong[1], re.findall(r"[^\s,']+", wrong[2]))
        if message.startswith("unrecognized arguments: "):
            first = message.removeprefix("unrecognized arguments: ").split()[0].partition("=")[0]
            return _near(first, self.options)
        return ""

    @property
    def options(self) -> list[str]:
        """The options of this parser, and of its commands."""
        found = [option for action in self._actions for option in action.option_strings]
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):
                found += [option for parser in action.choices.values() for option in parser.options]
        return found


class RowParser(Parser):
    """A ``Parser`` for arguments that are no command line: its errors are raised as ``InputError``."""

    def error(self, message: str) -> NoReturn:
        raise InputError(message + self._meant(message))


def _near(word: str, words: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, words, n=1)
    return f". Did you mean '{near[0]}'?" if near else ""
