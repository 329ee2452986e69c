"""Accuracy and cost of our registration and of other programs, on the same cases of known motion in the same run.

    pip install ".[bench]"
    python Testing/benchmarks/peers_table.py --kinds short-axis four-chamber vessel --cases 3 --ours default fast none \
        --output out/bench

The cases are those of ``independent.cases``, which share nothing with the package's own phantoms. ``--seeds dev``
takes seeds from 0 on (to look at, to tune on), ``--seeds test`` from 10 000 on: nothing may ever be tuned on these. A
program that is not installed is passed over with a line. Every method runs in a process of its own on one thread,
warm, and sees the images alone. VoxelMorph is there once ``train_voxelmorph.py`` has run. ``--vary`` is for the first
of the modes; ``--data`` adds real images, of a folder as ``independent.real`` says.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, product
from pathlib import Path

import numpy as np
from independent import cases, figures, methods, metrics, real, table
from independent.cache import drawn
from independent.machine import machine
from independent.modes import MODES, as_parts, measured
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
        known = f"{row['mode']:12}{row['kind']:14}{row['seed']:6}  {row['variation']:16}{row['method']:24}"
        told = f"{row['epe']:7.3f} mm{row['epe_es']:7.3f} at ES" if "epe" in row else f"{row['rmse']:7.4f} RMSE"
        print(f"{known}{told}{row['cpu_seconds']:8.1f} CPU s", flush=True)

    def made(self, name: str, with_what: str) -> None:
        """Keep what a method chose by itself."""
        known = self.made_with.setdefault(name, [])
        if with_what and with_what not in known:
            known.append(with_what)

    def suitable(self, case: cases.Case | real.RealCase, mode: str) -> list[tuple[str, methods.Method]]:
        """The methods for such images; of the others it is told."""
        found = []
        for name, method in self.wanted.items():
            if len(case.spacing) in method.ndims and len(case.frames) >= method.fewest:
                found.append((name, method))
            else:
                self.note(f"{method.name} is not run on {case.kind}, {len(case.frames)} frames ({mode})")
        return found

    def succeeded(self, row: table.Row, records: Sequence[dict]) -> bool:
        """Whether no part of a case failed; otherwise it is told."""
        failed = [record["error"] for record in records if "error" in record]
        if failed:
            case = row.get("case", row["seed"])
            self.note(f"{row['method']} failed on {row['kind']} {case}, {row['mode']}, {row['variation']}: {failed[0]}")
        return not failed

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
        figures.errors(lines, folder)
        if harder:
            figures.robustness(harder, table.WORSE, folder / "robustness.png")
        return text


Complete = dict[str, list[methods.Found]]
"""Method -> what it found for every case, of those that found something for all of them."""


def compare(
    chosen: list[cases.Case], mode: str, variation: str, known: Comparison, arguments: argparse.Namespace
) -> Complete:
    """All methods on cases of one kind."""
    parts = [MODES[mode].parts(case) for case in chosen]
    for case, own in zip(chosen, parts, strict=True):
        still = [methods.Found(np.zeros_like(part.forward), np.zeros_like(part.forward)) for part in own]
        known.add(row_of(case, mode, variation, STILL) | measured(case, own, still) | {"cpu_seconds": 0.0})
    complete: Complete = {}
    for name, method in known.suitable(parts[0][0], mode):
        for case, (own, records, found) in zip(chosen, answers(name, method, chosen, mode, arguments), strict=True):
            row = row_of(case, mode, variation, method.name)
            if known.succeeded(row, records):
                known.add(row | cost(records) | measured(case, own, found))
                known.made(method.name, found[0].made_with)
                complete.setdefault(method.name, []).append(found[0])
        known.write(arguments.output)
    return {name: found for name, found in complete.items() if len(found) == len(chosen)}


def answers(
    name: str, method: methods.Method, chosen: list[cases.Case], mode: str, arguments: argparse.Namespace
) -> Iterator[tuple[list[cases.Case], list[dict], list[methods.Found]]]:
    """The parts of every case, what they took, and what was found for them; through the call that suits the mode."""
    if method.has_calls and mode == "neighbours":
        token = name.partition(" ")[2]
        for case, (record, found) in zip(chosen, registered(f"sequence {token}", chosen, arguments.limit), strict=True):
            yield MODES[mode].parts(case), [record], [] if found is None else as_parts(case, found)
        return
    parts = [MODES[mode].parts(case) for case in chosen]
    called = registered(called_as(name, method, parts[0][0]), [part for own in parts for part in own], arguments.limit)
    for own in parts:
        records, found = zip(*islice(called, len(own)), strict=True)
        yield own, list(records), list(found)


def called_as(name: str, method: methods.Method, case: cases.Case | real.RealCase) -> str:
    """The name for ``method_of``: a pair may have a call of its own."""
    return f"pair {name.partition(' ')[2]}" if method.has_calls and len(case.frames) == 2 else name


def compare_real(folder: Path, known: Comparison, arguments: argparse.Namespace) -> None:
    """All methods on real images."""
    for kind in arguments.real:
        chosen = list(islice(real.KINDS[kind](folder), arguments.cases))
        if not chosen:
            known.note(f"there is no {kind} in the folder of real images")
            continue
        rows = [{"mode": "real", "kind": kind, "seed": n, "case": c.name} for n, c in enumerate(chosen)]
        for row, case in zip(rows, chosen, strict=True):
            zero = np.zeros((len(case.frames), len(case.spacing), *case.frames.shape[1:]), np.float32)
            own = {"variation": CLEAN, "method": STILL, "cpu_seconds": 0.0}
            known.add(row | own | real.measured(case, methods.Found(zero, zero)))
        for name, method in known.suitable(chosen[0], "real"):
            found_for = registered(called_as(name, method, chosen[0]), chosen, arguments.limit)
            for row, case, (record, found) in zip(rows, chosen, found_for, strict=True):
                row = row | {"variation": CLEAN, "method": method.name}
                if known.succeeded(row, [record]):
                    known.add(row | cost([record]) | real.measured(case, found))
            known.write(arguments.output)


def row_of(case: cases.Case, mode: str, variation: str, name: str) -> table.Row:
    return {"mode": mode, "kind": case.kind, "seed": case.seed, "variation": variation, "method": name}


def cost(records: Sequence[dict]) -> table.Row:
    """What a case took, from the records of its parts."""
    total = {name: sum(record[name] for record in records) for name in ("seconds", "cpu_seconds")}
    return total | {"peak_mb": max(record["peak_mb"] for record in records)}


def before(known: Comparison, variation: str, chosen: list[cases.Case], complete: Complete) -> None:
    """To the rows of changed cases, what was found for the cases as drawn over the frames and the tissue left of them.

    Not where a case is drawn anew.
    """
    change = VARIATIONS[variation]
    if change.options or change.spacing:
        return
    for name, own in {STILL: [None] * len(chosen), **complete}.items():
        for case, found in zip(chosen, own, strict=True):
            changed = change.change(case)
            fields = np.zeros_like(case.forward) if found is None else found.forward
            figures_ = metrics.measure(changed, change.change(replace(case, forward=fields)).forward)
            for row in known.rows:
                if row_of(case, "reference", variation, name).items() <= row.items():
                    row |= {f"{figure}_before": figures_[figure] for figure in ("epe", "epe_es")}


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
    for kind, mode in product(arguments.kinds, arguments.modes):
        clean: list[cases.Case] = []
        complete: Complete = {}
        for variation in (CLEAN, *(arguments.vary if mode == arguments.modes[0] else ())):
            change = VARIATIONS[variation]
            options = {"frames": arguments.frames} | change.drawn_with(kind, arguments.size)
            as_drawn = [drawn(arguments.cache, kind, seed, **options) for seed in seeds]
            found = compare([change.change(case) for case in as_drawn], mode, variation, known, arguments)
            if variation == CLEAN:
                clean, complete = as_drawn, found
                if complete and mode == "reference":
                    draw(clean, complete, arguments.output)
            elif mode == "reference":
                before(known, variation, clean, complete)
    if arguments.data:
        compare_real(arguments.data, known, arguments)
    for mode in arguments.modes:
        known.note(f"mode {mode}: {MODES[mode].meaning}")
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
    parser.add_argument(
        "--modes", nargs="+", choices=list(MODES), default=list(MODES), help="which frames are registered to which"
    )
    harder = [name for name in VARIATIONS if name != CLEAN]
    parser.add_argument(
        "--vary", nargs="*", default=[], choices=[*harder, "all"], metavar="VARIATION", help=", ".join([*harder, "all"])
    )
    parser.add_argument("--data", type=Path, help="a folder of real images")
    parser.add_argument("--limit", type=float, default=1800, help="most seconds for a case")
    parser.add_argument("--cache", type=Path, help="a folder that keeps cases for the next run")
    parser.add_argument("--output", type=Path, required=True, help="a folder for table.md, .csv, .json and the figures")
    parser.add_argument("--real", nargs="+", default=list(real.KINDS), choices=list(real.KINDS), metavar="KIND")
    arguments = parser.parse_args(texts)
    if "all" in arguments.vary:
        arguments.vary = harder
    return arguments


if __name__ == "__main__":
    print(run(parsed()))
