"""The studies of a cohort: a list (CSV), a folder, or a pattern; every row has the options of ``register``."""

from __future__ import annotations

import argparse
import glob
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..cohort.layouts import find_studies
from ..cohort.study import Study
from ..errors import InputError
from ..files import expanded
from ..io.formats import safe_name, stem_of
from . import register
from .lists import names_of, read_list
from .parser import RowParser

_WILD = re.compile(r"[*?\[]")
_PATHS = ("input", "fixed", "moving", "pair", "labels", "moving_labels", "fixed_mask", "moving_mask")
_OF_ALL = ("help", "output", "studies", "pairs", "write", "half")
_YES, _NO = ("yes", "true", "1", "on"), ("no", "false", "0", "off")


class Manifest(Mapping[str, Study]):
    """Studies by their names, each made from its row when it is asked for.

    Parameters
    ----------
    source : a ``.csv``, a folder, or a pattern of input files.
    arguments : those of ``register.add_how``, for what a row does not say, and ``output``.

    Attributes
    ----------
    strays : entries of a folder that belong to no study.

    Raises
    ------
    InputError, ModelError : the list or a row of it cannot be understood; the row is named.
    """

    def __init__(self, source: str, arguments: argparse.Namespace) -> None:
        self.strays: list[Path] = []
        self._parser = RowParser(prog="row", add_help=False)
        register.add_arguments(self._parser)
        self._actions = {action.dest: action for action in self._parser._actions if action.dest not in _OF_ALL}
        self._defaults = {
            **{action.dest: self._parser.get_default(action.dest) for action in self._parser._actions},
            **{name: value for name, value in vars(arguments).items() if name in self._actions},
        }
        self._output = str(arguments.output)
        rows = self._rows_of(source, arguments)
        named = [{"name": safe_name(row.get("name", _stem(row)))} for row in rows]
        self._rows = dict(zip(names_of(named, [""] * len(rows)), rows, strict=True))
        for name in self._rows:
            self[name]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __getitem__(self, name: str) -> Study:
        row = self._rows[name]
        words = ["--output", self._output]
        try:
            for column, text in row.items():
                if column not in ("name", "pair"):
                    words += self._words("fixed" if column == "input" and "pair" in row else column, text)
            if "pair" in row:
                words += ["--moving", row["pair"]]
            parsed = self._parser.parse_args(words, argparse.Namespace(**self._defaults))
            (study,) = register.studies_of(parsed).values()
        except InputError as error:
            raise InputError(f"The study '{name}': {error}") from error
        return study

    def _words(self, column: str, text: str) -> list[str]:
        """A value as the words of a command line."""
        action = self._actions[column]
        option = action.option_strings[0]
        if action.nargs == 0:  # a switch
            if text.lower() not in (*_YES, *_NO):
                raise InputError(f"'{text}' is neither yes nor no ({column}).")
            no = [each for each in action.option_strings if each.startswith("--no-")]
            return [option] if text.lower() in _YES else no[:1]
        several = action.nargs == "+" and column not in _PATHS and ";" in text
        return [option, *text.split(";")] if several else [f"{option}={text}"]

    def _rows_of(self, source: str, arguments: argparse.Namespace) -> list[dict[str, str]]:
        path = expanded(source)
        if path.is_dir():
            found = find_studies(path, Path(arguments.output), arguments.reference is not None)
            self.strays = found.strays
            rows = found.rows
            if not rows:
                raise InputError(f"The folder '{source}' holds no study.")
            return rows
        if path.suffix.lower() == ".csv" or not _WILD.search(source):
            return [each for row in self._read(path) for each in _unfolded(row)]
        return _unfolded({"input": str(path.absolute())})

    def _read(self, path: Path) -> list[dict[str, str]]:
        columns = ("name", "pair", *self._actions)
        texts = [column for column in columns if column not in _PATHS]
        rows = read_list(path, columns, texts)
        for number, row in enumerate(rows, start=1):
            if "input" not in row and not {"fixed", "moving"} <= row.keys():
                raise InputError(f"Study {number} of '{path}' needs an input, or a fixed and a moving image.")
        return rows


def _stem(row: Mapping[str, str]) -> str:
    source = Path(row.get("input", row.get("fixed", "")))
    other = row.get("pair", row.get("moving"))
    stem = stem_of(source) if source.suffix else source.name
    return f"{stem_of(Path(other))}-to-{stem}" if other else stem


def _unfolded(row: dict[str, str]) -> list[dict[str, str]]:
    """A row for every file that its input stands for; a ``*`` in its other paths is what that of the input was.

    ``cines/*.nii.gz`` goes with ``labels/*_gt.nii.gz``; such a study is called by what was in the place of the stars.
    """
    key = "input" if "input" in row else "fixed"
    pattern = row[key]
    if not _WILD.search(pattern) or Path(pattern).exists():
        return [row]
    places = sorted(place for place in glob.glob(pattern, recursive=True))
    if not places:
        raise InputError(f"Nothing fits '{pattern}'.")
    stars = re.compile(_expression(pattern), re.DOTALL)
    rows = []
    for place in places:
        match = stars.fullmatch(place)
        words = [word for word in match.groups() if word] if match else []
        each: dict[str, Any] = {**row, key: place}
        for column in _PATHS:
            if column != key and column in row:
                each[column] = _filled(row[column], words)
        name = "-".join(words).replace("/", "-").replace("\\", "-")
        each["name"] = f"{row['name']}-{name}" if "name" in row else name or stem_of(Path(place))
        rows.append(each)
    return rows


def _filled(pattern: str, words: list[str]) -> str:
    """A pattern with words in the place of its stars."""
    rest = iter(words)
    return re.sub(r"\*\*?", lambda _: next(rest, "*"), pattern)


def _expression(pattern: str) -> str:
    """A pattern of files as a regular expression with a group for every star."""
    parts = {"**": "(.*)", "*": r"([^/\\]*)", "?": r"[^/\\]"}
    found = re.split(r"(\*\*|\*|\?|\[[^\]]*\])", pattern)
    return "".join(parts.get(p) or (p.replace("[!", "[^") if p.startswith("[") else re.escape(p)) for p in found)
