"""Accuracy and cost of our registration and of other programs, on the same cases of known motion in the same run.

    pip install ".[bench]"
    python Testing/benchmarks/peers_table.py --kinds short-axis four-chamber vessel --cases 3 --ours default fast none \
        --output out/bench

The cases are those of ``independent.cases``, which share nothing with the package's own phantoms. ``--seeds dev``
takes seeds from 0 on (to look at, to tune on), ``--seeds test`` from 10 000 on: nothing may ever be tuned on these. A
program that is not installed is passed over with a line. Every method runs in a process of its own on one thread,
warm, and sees the images alone.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from independent import cases, figures, methods, metrics, table
from independent.cache import drawn
from independent.machine import machine
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

    def measured(self, row: table.Row, case: cases.Case, found: methods.Found) -> None:
        """Add the figures of a method on a case to its row, and say the main ones."""
        row |= metrics.measure(case, found.forward, found.inverse)
        if found.made_with:
            known = self.made_with.setdefault(str(row["method"]), [])
            known += [] if found.made_with in known else [found.made_with]
        print(
            f"{case.kind:14}{case.seed:6}  {row['method']:32}{row['epe']:7.3f} mm{row['epe_es']:7.3f} at ES"
            f"{row['cpu_seconds']:8.1f} CPU s",
            flush=True,
        )

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)
            print(text, flush=True)

    def write(self, folder: Path) -> str:
        """``table.md``, ``table.csv`` and ``table.json``; the first as text."""
        lines = table.summary(self.rows, self.against)
        settings = {
            method.name: "; ".join([method.setting, *self.made_with.get(method.name, [])])
            for method in self.wanted.values()
        }
        command = f"command: {shlex.join(['python', 'Testing/benchmarks/peers_table.py', *sys.argv[1:]])}"
        about = machine()
        text = table.markdown(lines, about, settings, [*self.notes, command])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "table.md").write_text(text, encoding="utf-8")
        table.write_csv(lines, folder / "table.csv")
        content = {"rows": self.rows, "summary": lines, "settings": settings, "notes": self.notes, "machine": about}
        (folder / "table.json").write_text(json.dumps(content, indent=1, default=float) + "\n", encoding="utf-8")
        return text


def compare(kind: str, chosen: list[cases.Case], known: Comparison, arguments: argparse.Namespace) -> None:
    """All methods on the cases of a kind."""
    errors: dict[str, list[np.ndarray]] = {}
    fields: dict[str, np.ndarray] = {}
    for case in chosen:
        still = np.zeros_like(case.forward)
        known.rows.append({"kind": kind, "seed": case.seed, "method": STILL} | metrics.measure(case, still, still))
    for name, method in known.wanted.items():
        if len(chosen[0].spacing) not in method.ndims:
            known.note(f"{method.name} is not run on {kind}")
            continue
        for case, record, found in registered(name, chosen, arguments.limit):
            row: table.Row = {"kind": kind, "seed": case.seed, "method": method.name} | record
            known.rows.append(row)
            if found is None:
                known.note(f"{method.name} failed on {kind} {case.seed}: {record['error']}")
                continue
            known.measured(row, case, found)
            error = metrics.end_point_error(case, found.forward)[:, case.masks["organ"]].mean(1)
            errors.setdefault(method.name, []).append(error)
            if case is chosen[0]:
                fields[method.name] = found.forward
        known.write(arguments.output)
    if fields:
        figures.error_maps(chosen[0], fields, arguments.output / f"errors-{kind}.png")
        truth = [metrics.end_point_error(c, np.zeros_like(c.forward))[:, c.masks["organ"]].mean(1) for c in chosen]
        figures.curves(kind, errors, truth, arguments.output / f"curves-{kind}.png")


def run(arguments: argparse.Namespace) -> str:
    """The table as text; its files and figures are written on the way."""
    wanted = {f"ours {token}": methods.ours(token) for token in arguments.ours}
    known = Comparison(wanted, f"ours {arguments.ours[0]}" if arguments.ours else None)
    for name in arguments.methods:
        if methods.PEERS[name].installed:
            wanted[name] = methods.PEERS[name]
        else:
            known.note(f"{methods.PEERS[name].name} is left out: {methods.PEERS[name].package} is not installed")
    first = cases.FIRST_TEST_SEED if arguments.seeds == "test" else 0
    seeds = range(first + arguments.skip, first + arguments.skip + arguments.cases)
    for kind in arguments.kinds:
        chosen = [drawn(arguments.cache, kind, s, frames=arguments.frames, size=arguments.size) for s in seeds]
        compare(kind, chosen, known, arguments)
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
    parser.add_argument("--limit", type=float, default=1800, help="most seconds for a case")
    parser.add_argument("--cache", type=Path, help="a folder that keeps cases for the next run")
    parser.add_argument("--output", type=Path, required=True, help="a folder for table.md, .csv, .json and the figures")
    return parser.parse_args(texts)


if __name__ == "__main__":
    print(run(parsed()))
