"""``temporal-registration evaluate``."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError, RegistrationError
from ..io.formats import stem_of
from ..progress import Reporter
from ..unforeseen import unexpected
from .console import Console
from .lists import names_of, read_list
from .method import add_method, method_options, path_argument

if TYPE_CHECKING:
    from ..evaluation.evaluate import Evaluation
    from .cases import Case

HELP = "register pairs or cines and measure the result by labels, landmarks or true fields of your own"
REPORT = "report.json"
_CASES = (
    "a list of cases (CSV), one a row; its columns are those arguments below that belong to a case, and name; paths "
    "are relative to the list"
)
_FIELDS = (
    "measure these fields, of any program, and do not register: a displacement field of ITK, or the folder of an "
    "earlier registration"
)
_HELP = {
    "input": "a cine",
    "labels": "cine: label maps, as 0=first.nii.gz;9=second.nii.gz, or one file with a frame for every frame",
    "points": "cine: landmarks, as 0=first.csv;9=second.csv (.csv with x, y, z in LPS mm, .fcsv or .mrk.json)",
    "reference": "cine: number of the reference frame, which needs labels and landmarks where others have them",
    "fixed": "the fixed image of a pair",
    "moving": "the moving image of a pair",
    "fixed_labels": "label map of the fixed image",
    "moving_labels": "label map of the moving image, with the same values",
    "fixed_points": "landmarks of the fixed image",
    "moving_points": "the same landmarks of the moving image",
    "fixed_mask": "only what is inside counts in the registration",
    "moving_mask": "only what is inside counts in the registration",
    "truth": "true displacement field of a pair, or a cine's folder of displacement_000 and so on",
    "fields": _FIELDS,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--cases", **path_argument(help=_CASES))
    for name, text in _HELP.items():
        parser.add_argument(f"--{name.replace('_', '-')}", metavar="N" if name == "reference" else "PATH", help=text)
    parser.add_argument("--output", required=True, **path_argument(help="a new or empty folder"))
    add_method(parser)


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Evaluate as the arguments say and return the exit code: 1 where a case failed.

    In the output folder: ``summary.csv`` (mean, deviation and quantiles of every figure over the cases), ``cases.csv``
    (one row a case, those that failed with the reason), ``frames.csv``, ``labels.csv``, ``summary.png`` and
    ``report.json``. All is written, or nothing.
    """
    from ..evaluation.figures import FIGURES
    from ..evaluation.summary import summarise
    from ..files import own_folder, writing
    from ..report import evaluation as pictures
    from ..report import style, tables
    from .cases import check_case

    cases = _cases(arguments)
    pairs = [check_case(case, f"Case '{name}'") for name, case in cases.items()]
    options = method_options(arguments, pair=all(pairs))
    inputs = [path for case in cases.values() for path in map(Path, case.values()) if path.exists()]
    with own_folder(arguments.output, inputs) as work:
        found, rows = _measure(cases, options, console)
        summary = summarise([evaluation.case for evaluation in found])
        with writing(arguments.output):
            tables.write_csv(work / "cases.csv", _level(rows))
            if found:
                tables.write_csv(work / "summary.csv", summary)
                for name in ("frames", "labels"):
                    own = [{"case": each.name, **row} for each in found for row in getattr(each, name)]
                    if own:
                        tables.write_csv(work / f"{name}.csv", _level(own))
                style.save(pictures.summary_figure(found), work / "summary.png")
            content = {
                "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
                "versions": tables.environment(),
                "settings": options,
                "cases": {name: dict(case) for name, case in cases.items()},
                "figures": {name: {"title": f.title, "unit": f.unit} for name, f in FIGURES.items()},
                "summary": summary,
            }
            tables.write_json(work / REPORT, content)
    for row in summary:
        console.progress.say(f"{row['title']}: {row['mean']:.4g} {row['unit']}".rstrip())
    failed = [row for row in rows if row["status"] != "ok"]
    for row in failed:
        console.warn(f"{row['case']}: {row['message']}")
    console.progress.say(f"{len(found)} of {len(cases)} cases were evaluated. Written to {arguments.output}")
    return 1 if failed else 0


def _cases(arguments: argparse.Namespace) -> dict[str, Case]:
    from .cases import COLUMNS, TEXTS

    given = {name: text for name in _HELP if (text := getattr(arguments, name)) is not None}
    if (arguments.cases is None) == (not given):
        raise InputError("Name either a list of --cases, or the files of one case.")
    rows = [given] if arguments.cases is None else read_list(arguments.cases, COLUMNS, TEXTS)
    stems = [stem_of(Path(row.get("moving", row.get("input", "case")))) for row in rows]
    return dict(zip(names_of(rows, stems), rows, strict=True))


def _measure(
    cases: Mapping[str, Case], options: Mapping[str, Any], console: Console
) -> tuple[list[Evaluation], list[dict[str, Any]]]:
    """What was measured, and a row for every case; one that fails does not end the others."""
    from ..evaluation.evaluate import evaluate
    from .cases import follow_case

    found, rows, whole = [], [], Reporter(console.progress, console.cancel)
    for number, (name, case) in enumerate(cases.items()):
        part = whole.part(number / len(cases), (number + 1) / len(cases))
        started = time.perf_counter()
        row: dict[str, Any] = {"case": name, "status": "ok", "message": ""}
        try:
            results, truth = follow_case(case, options, part.part(0.0, 0.8))
            evaluation = evaluate(results, truth, name, part.part(0.8, 1.0))
            found.append(evaluation)
            row |= evaluation.case
        except RegistrationError as error:
            if console.cancel.cancelled:
                raise
            row |= {"status": "failed", "message": str(error)}
        except Exception as error:  # a fault of the program in one case must not end a night's work on the others
            row |= {"status": "failed", "message": unexpected(error)}
        rows.append({**row, "total_seconds": time.perf_counter() - started})
    return found, rows


def _level(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows with the same columns, empty where one has not the figure."""
    columns = dict.fromkeys(name for row in rows for name in row)
    return [{name: row.get(name, "") for name in columns} for row in rows]
