"""``temporal-registration calibrate``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..errors import InputError
from ..uncertainty.record import IMAGES, TASKS
from .console import Console

if TYPE_CHECKING:
    from ..registration.calibrate import Fitted

HELP = "fit what uncertainties are multiplied by, of a model or of the refinement, on cines of known motion"
_MODEL = "name or folder of the model whose card is to be calibrated"
_REFINEMENT = "calibrate refined cines or pairs, for all models: the package's own record"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--model", help=_MODEL)
    what.add_argument("--refinement", choices=TASKS, help=_REFINEMENT)
    parser.add_argument("--images", choices=IMAGES, default="slice", help="of a refinement (default: slice)")
    parser.add_argument("--cines", type=int, default=3, metavar="N", help="of every kind (default: 3)")
    parser.add_argument("--dry-run", action="store_true", help="print the table and write nothing")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Calibrate as the arguments say, print the table, and return the exit code, 0.

    Raises
    ------
    RegistrationError : in one sentence, what was wrong.
    """
    from .. import zoo
    from ..progress import Reporter
    from ..registration.calibrate import calibrate_model, calibrate_refinement
    from ..uncertainty.record import record_name, write_record

    reporter = Reporter(console.progress, console.cancel)
    if arguments.cines < 1:
        raise InputError(f"--cines is a number of 1 or more, not {arguments.cines}.")
    if arguments.model is None:
        pairs, name = arguments.refinement == "pair", record_name(arguments.refinement, arguments.images)
        fitted = calibrate_refinement(pairs, arguments.images, arguments.cines, reporter)
        _print(name, fitted)
        if not arguments.dry_run:
            print(f"Written to {write_record(name, fitted.record())}")
        return 0
    model = zoo.load_model(arguments.model)
    found = calibrate_model(model, arguments.cines, reporter)
    for stage, each in found.items():
        _print(f"{model.card.name}, {stage}", each)
    if not arguments.dry_run:
        records = {stage: each.record() for stage, each in found.items()}
        print(f"Written to {zoo.write_calibration(arguments.model, records)}")
    return 0


def _print(title: str, fitted: Fitted) -> None:
    """What is reached on every kind of cine when the fit leaves it out."""
    columns = list(next(iter(fitted.table.values())))
    print(f"{title}\n{'kind left out':24}" + "".join(f"{column:>16}" for column in columns))
    for kind, row in fitted.table.items():
        print(f"{kind:24}" + "".join(f"{row[column]:16.3f}" for column in columns))
