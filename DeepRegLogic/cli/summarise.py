"""``temporal-registration summarise``: one table and pictures of all studies of a cohort."""

from __future__ import annotations

import argparse

from .console import Console
from .method import path_argument

HELP = "put the figures of all studies of a cohort into one table, those that stand out first, and draw them"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("folder", **path_argument(help="the output of a cohort"))


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Summarise and return the exit code, 0.

    In the folder: ``summary.csv`` (one row a study: how far its figures are from those of the others, then the
    figures), ``statistics.csv`` (one row a figure), ``summary.png`` and,
    where studies have pages, ``index.html`` with a link to each.
    """
    from ..cohort.study import PAGE
    from ..cohort.summary import read_summary
    from ..files import expanded, whole_folder

    summary = read_summary(arguments.folder, console.progress if console.progress.detailed else None)
    from ..report import style, tables
    from ..report.cohort import spread_figure
    from ..report.html import write_index

    folder = expanded(arguments.folder)
    with whole_folder(arguments.folder) as part:
        tables.write_csv(part / "summary.csv", summary.rows)
        tables.write_csv(part / "statistics.csv", summary.statistics)
        if any((folder / str(row["study"]) / PAGE).is_file() for row in summary.rows):
            write_index(part / "index.html", summary.rows, folder)
        style.save(spread_figure(summary.spreads), part / "summary.png")
    for row in summary.rows[:5]:
        if row["why"] or row["status"] != "ok":
            console.progress.say(f"{row['study']}: {row['why'] or row['message']}")
    console.progress.say(f"{summary.sentence} Written to {arguments.folder}")
    return 0
