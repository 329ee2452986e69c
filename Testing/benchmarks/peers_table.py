"""Accuracy and cost of our registration and of other programs, on the same cases of known motion in the same run.

    pip install ".[bench]"
    python Testing/benchmarks/peers_table.py --kinds short-axis four-chamber vessel --cases 3 --ours default fast none \
        --output out/bench

The cases are those of ``independent.cases``, which share nothing with the package's own phantoms. ``--seeds dev``
takes seeds from 0 on (to look at, to tune on), ``--seeds test`` from 10 000 on: nothing may ever be tuned on these. A
program that is not installed is passed over with a line. Every method runs in a process of its own on one thread,
warm, and sees the images alone. VoxelMorph is there once ``train_voxelmorph.py`` has run.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
from independent import cases, figures, methods, metrics, table
from independent.cache import drawn
from independent.machine import machine
from independent.modes import MODES, measured
from independent.vary import CLEAN, VARIATIONS
from independent.worker import registered

STILL = "unregistered"


@dataclass
class Comparison:
    """What is known so far."""

    wanted: dict[str, methods.Method]
    against: str | None
    rows: list[table.Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    made_with: dict[str, list[str]] = field(default_factory=dict)

    def add(self, row: table.Row) -> None:
        """Keep a row, and say its main figures."""
        self.rows.append(row)
        print(
            f"{row['kind']:14}{row['seed']:6}  {row['variation']:16}{row['method']:24}{row['epe']:7.3f} mm"
            f"{row['epe_es']:7.3f} at ES{row['cpu_seconds']:8.1f} CPU s",
            flush=True,
        )

    def made(self, name: str, with_what: str) -> None:
        """Keep what a method chose by itself."""
        known = self.made_with.setdefault(name, [])
        if with_what and with_what not in known:
            known.append(with_what)

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)
            print(text, flush=True)

    def write(self, folder: Path) -> str:
        """``table.md``, ``table.csv`` and ``table.json``; the first as text."""
        lines, harder = table.summary(self.rows, self.against), table.robustness(self.rows)
        settings = {
            method.name: "; ".join([method.setting, *self.made_with.get(method.name, [])])
            for method in self.wanted.values()
        }
        command = f"command: {shlex.join(['python', 'Testing/benchmarks/peers_table.py', *sys.argv[1:]])}"
        about = machine()
        text = table.markdown(lines, harder, about, settings, [*self.notes, command])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "table.md").write_text(text, encoding="utf-8")
        table.write_csv(lines, folder / "table.csv")
        content = {"rows": self.rows, "summary": lines, "robustness": harder, "settings": settings}
        content |= {"notes": self.notes, "machine": about}
        (folder / "table.json").write_text(json.dumps(content, indent=1, default=float) + "\n", encoding="utf-8")
        return text


def compare(
    chosen: list[cases.Case], variation: str, known: Comparison, arguments: argparse.Namespace
) -> dict[str, list[methods.Found]]:
    """All methods on cases of one kind; method -> what it found for every case, where it found all of them."""
    kind = chosen[0].kind
    parts = [MODES[arguments.mode].parts(case) for case in chosen]
    complete: dict[str, list[methods.Found]] = {}

    def row_of(case: cases.Case, name: str) -> table.Row:
        return {"kind": kind, "seed": case.seed, "variation": variation, "method": name}

    for case, own in zip(chosen, parts, strict=True):
        still = [methods.Found(np.zeros_like(part.forward), np.zeros_like(part.forward)) for part in own]
        known.add(row_of(case, STILL) | measured(case, own, still) | {"cpu_seconds": 0.0})
    for name, method in known.wanted.items():
        if len(chosen[0].spacing) not in method.ndims or len(parts[0][0].frames) < method.fewest:
            known.note(f"{method.name} is not run on {kind}, {len(parts[0][0].frames)} frames")
            continue
        answers = registered(name, [part for own in parts for part in own], arguments.limit)
        for case, own in zip(chosen, parts, strict=True):
            records, found = zip(*islice(answers, len(own)), strict=True)
            failed = [record["error"] for record in records if "error" in record]
            if failed:
                known.note(f"{method.name} failed on {kind} {case.seed}, {variation}: {failed[0]}")
                continue
            cost = {name: sum(record[name] for record in records) for name in ("seconds", "cpu_seconds")}
            cost["peak_mb"] = max(record["peak_mb"] for record in records)
            known.add(row_of(case, method.name) | cost | measured(case, own, found))
            known.made(method.name, found[0].made_with)
            complete.setdefault(method.name, []).append(found[0])
        known.write(arguments.output)
    return {name: found for name, found in complete.items() if len(found) == len(chosen)}


def draw(chosen: list[cases.Case], complete: dict[str, list[methods.Found]], folder: Path) -> None:
    """Error maps of the first case, and the curves of all, where whole cines were registered."""
    kind = chosen[0].kind

    def errors(fields: list[np.ndarray]) -> list[np.ndarray]:
        pairs = zip(chosen, fields, strict=True)
        return [metrics.end_point_error(case, field)[:, case.masks["organ"]].mean(1) for case, field in pairs]

    fields = {name: [each.forward for each in found] for name, found in complete.items()}
    figures.error_maps(chosen[0], {name: own[0] for name, own in fields.items()}, folder / f"errors-{kind}.png")
    truth = errors([np.zeros_like(case.forward) for case in chosen])
    figures.curves(kind, {name: errors(own) for name, own in fields.items()}, truth, folder / f"curves-{kind}.png")


def run(arguments: argparse.Namespace) -> str:
    """The table as text; its files and figures are written on the way."""
    wanted = {f"ours {token}": methods.ours(token) for token in arguments.ours}
    known = Comparison(wanted, f"ours {arguments.ours[0]}" if arguments.ours else None)
    for name in arguments.methods:
        missing = methods.PEERS[name].missing
        if missing:
            known.note(f"{methods.PEERS[name].name} is left out: {missing}")
        else:
            wanted[name] = methods.PEERS[name]
    first = cases.FIRST_TEST_SEED if arguments.seeds == "test" else 0
    seeds = range(first + arguments.skip, first + arguments.skip + arguments.cases)
    for kind in arguments.kinds:
        for variation in (CLEAN, *arguments.vary):
            change = VARIATIONS[variation]
            options = {"frames": arguments.frames} | change.drawn_with(kind, arguments.size)
            chosen = [change.change(drawn(arguments.cache, kind, seed, **options)) for seed in seeds]
            complete = compare(chosen, variation, known, arguments)
            if complete and variation == CLEAN and arguments.mode == "reference":
                draw(chosen, complete, arguments.output)
    known.note(f"registered: {MODES[arguments.mode].meaning}")
    for variation in arguments.vary:
        known.note(f"{variation}: {VARIATIONS[variation].meaning}")
    return known.write(arguments.output)


def parsed(texts: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kinds", nargs="+", default=list(cases.KINDS), choices=list(cases.KINDS), metavar="KIND")
    parser.add_argument("--cases", type=int, default=4, help="cases of every kind")
    parser.add_argument("--seeds", choices=("dev", "test"), default="dev")
    parser.add_argument("--skip", type=int, default=0, help="leave the first seeds out")
    parser.add_argument("--frames", type=int, help="frames of a cine; left out, those usual for the kind")
    parser.add_argument("--size", type=int, help="pixels a side at the usual pixel size")
    parser.add_argument("--ours", nargs="*", default=["default", "fast"], help=methods.ours.__doc__)
    parser.add_argument(
        "--methods", nargs="*", default=list(methods.PEERS), choices=list(methods.PEERS), metavar="PEER"
    )
    parser.add_argument("--mode", choices=list(MODES), default="reference", help="which frames are registered to which")
    harder = [name for name in VARIATIONS if name != CLEAN]
    parser.add_argument("--vary", nargs="*", default=[], choices=harder, metavar="VARIATION", help=", ".join(harder))
    parser.add_argument("--limit", type=float, default=1800, help="most seconds for a case")
    parser.add_argument("--cache", type=Path, help="a folder that keeps cases for the next run")
    parser.add_argument("--output", type=Path, required=True, help="a folder for table.md, .csv, .json and the figures")
    return parser.parse_args(texts)


if __name__ == "__main__":
    print(run(parsed()))
