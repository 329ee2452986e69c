"""``temporal-registration cohort``: many studies, on one computer or many."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..cohort.engines import Engine, Processes, Serial
from ..cohort.run import register_studies
from ..errors import InputError
from ..io.formats import listing
from .console import Console
from .manifest import Manifest
from .method import path_argument
from .register import add_how, output_of

if TYPE_CHECKING:
    from ..cohort.study import SaveScene

HELP = "register many studies, on one computer or many, so that it can be stopped and begun again"
EPILOG = (
    "Every study is written whole or not at all, into a folder of its own, and gets a row in studies.csv as soon as it "
    "has ended. Exit code: 0 all were registered; 1 a study failed; 2 wrong arguments; 130 or 143 stopped by a signal."
)
_MANIFEST = (
    "a list (CSV) with the column input, and where they are wanted name, labels, reference, roi, pair (the image that "
    "is brought onto the input), model or any other option of register; paths are relative to the list and may have "
    "wildcards. Or a folder: of studies, as ACDC has them, or in the manner of BIDS. Or a pattern in quotes"
)
_SHARD = (
    "do only every n-th study, from the i-th on (1/10 to 10/10); without a value it is that of the SLURM array in "
    "which this runs"
)
_SKIP = "leave alone what is there of the same settings, weights and inputs"
_WORKERS = "processes on this computer (default: 1)"
_RESOURCES = "what a study takes of a Dask worker, as GPU=1"
_THREADS = "threads of a study (default: 1); the same number gives the same result to the last bit, on any engine"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.epilog = EPILOG
    add = parser.add_argument
    add("manifest", metavar="MANIFEST", help=_MANIFEST)
    add("--output", required=True, **path_argument(help="folder of the results: one folder a study, and studies.csv"))
    add("--skip-finished", action="store_true", help=_SKIP)
    add("--retries", type=_count, default=1, metavar="N", help="of a study whose input is not at fault (default: 1)")
    add("--threads", type=_positive, default=1, metavar="N", help=_THREADS)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--workers", type=_positive, default=1, metavar="N", help=_WORKERS)
    where.add_argument("--scheduler", metavar="ADDRESS", help="a Dask scheduler, as tcp://host:8786; one task a study")
    add("--resources", type=_resources, default={}, metavar="NAME=N,...", help=_RESOURCES)
    add("--shard", nargs="?", const="", metavar="I/N", help=_SHARD)
    add_how(parser)


def run(arguments: argparse.Namespace, console: Console, save_scene: SaveScene | None = None) -> int:
    """Register as the arguments say and return the exit code."""
    shard = _shard(arguments.shard, os.environ)
    if arguments.resources and not arguments.scheduler:
        raise InputError("--resources are those of Dask workers; name their --scheduler.")
    output = output_of(arguments, save_scene if arguments.scheduler is None else None)  # whose workers have no scene
    manifest = Manifest(arguments.manifest, arguments)
    if manifest.strays:
        folder = arguments.manifest
        console.warn(f"Left out, as no study of '{folder}': {listing(manifest.strays)}.")
    found = register_studies(
        manifest,
        arguments.output,
        output=output,
        engine=_engine(arguments),
        skip_finished=arguments.skip_finished,
        retries=arguments.retries,
        threads=arguments.threads,
        shard=shard,
        progress=console.progress,
        cancel=console.cancel,
        detail=console.progress.detailed,
        on_row=console.name_failed,
    )
    total = len(range(shard[0] - 1, len(manifest), shard[1]))
    console.progress.say(f"{found['ok']} of {total} studies are registered. Written to {arguments.output}")
    if console.received:
        return console.stopped
    return 0 if found["ok"] == total else 1


def _engine(arguments: argparse.Namespace) -> Engine:
    if arguments.scheduler:
        from ..cohort.dask import Dask

        return Dask(arguments.scheduler, arguments.resources)
    return Processes(arguments.workers) if arguments.workers > 1 else Serial()


def _shard(text: str | None, environment: Mapping[str, str]) -> tuple[int, int]:
    """Which studies are done, as (i, n); those of a SLURM array where the text is empty."""
    if text is None:
        return 1, 1
    if not text:
        names = ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT")
        try:
            number, count = (int(environment[name]) for name in names)
            first, step = (int(environment.get(f"SLURM_ARRAY_TASK_{n}", "1")) for n in ("MIN", "STEP"))
        except (KeyError, ValueError) as error:
            raise InputError(f"--shard without a value needs a SLURM array ({' and '.join(names)}).") from error
        shard = (number - first) // step + 1, count
    else:
        parts = re.fullmatch(r"(\d+)/(\d+)", text)
        if not parts:
            raise InputError(f"The shard '{text}' is not i/n, as 1/10.")
        shard = int(parts[1]), int(parts[2])
    if not 1 <= shard[0] <= shard[1]:
        raise InputError(f"There is no shard {shard[0]} of {shard[1]}; the first is 1, the last {shard[1]}.")
    return shard


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from 0 on")
    return int(text)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number from 1 on")
    return int(text)


def _resources(text: str) -> dict[str, float]:
    """``GPU=1,MEMORY=4e9``."""
    try:
        pairs = [part.split("=") for part in text.split(",")]
        return {name.strip(): float(amount) for name, amount in pairs}
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"'{text}' does not say name=amount, as GPU=1") from error
