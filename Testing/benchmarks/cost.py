"""What registrations cost as cines grow: seconds and memory by frames, from 5 to 100, and by pixels, from 64 to 512.

    python Testing/benchmarks/cost.py --ours default fast --methods elastix greedy --output out/cost

One short axis of the development seeds, in the same field of view throughout. Every method runs in a process of its own
on one thread, warm. ``cost.md``, ``cost.csv`` and ``cost.png`` have the CPU seconds of every size, and the exponents of
a power law through them: 1 is linear.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from independent import cases, methods
from independent.cache import drawn
from independent.machine import machine
from independent.table import write_csv
from independent.worker import registered
from matplotlib.figure import Figure

KIND, SEED = "short-axis", 20
USUAL = {"frames": 20, "size": 128}
GROWS = {"frames": (5, 10, 20, 50, 100), "size": (64, 128, 256, 512)}
TITLES = {"frames": "frames of {size} x {size} pixels", "size": "pixels a side, {frames} frames"}

Row = dict[str, object]


def case(cache: Path | None, frames: int, size: int) -> cases.Case:
    _, usual, spacing = cases.DEFAULTS[KIND]
    return drawn(cache, KIND, SEED, frames=frames, size=size, spacing=spacing[-1] * usual[-1] / size)


def exponent(rows: Sequence[Row], what: str) -> float:
    """Of the power law between what grows (frames, or all pixels) and CPU seconds."""
    grown = np.array([float(row[what]) for row in rows]) ** (2 if what == "size" else 1)
    return float(np.polyfit(np.log(grown), np.log([float(row["cpu_seconds"]) for row in rows]), 1)[0])


def measured(wanted: dict[str, methods.Method], arguments: argparse.Namespace) -> list[Row]:
    """A row for every method and size, of those that it mastered."""
    rows: list[Row] = []
    for what, sizes in ((what, getattr(arguments, what)) for what in GROWS):
        chosen = [case(arguments.cache, **{**USUAL, what: n}) for n in sizes]
        for name, method in wanted.items():
            for n, (record, _) in zip(sizes, registered(name, chosen, arguments.limit), strict=True):
                if "error" in record:
                    print(f"{method.name} failed at {n} ({what}): {record['error']}", flush=True)
                    continue
                figures = {figure: record[figure] for figure in ("seconds", "cpu_seconds", "peak_mb")}
                rows.append({"method": method.name, "grows": what, **USUAL, what: n, **figures})
                print(f"{method.name:24}{n:5} ({what}){record['cpu_seconds']:9.2f} CPU s", flush=True)
    return rows


def by_method(rows: Sequence[Row], what: str) -> dict[str, list[Row]]:
    names = dict.fromkeys(str(row["method"]) for row in rows)
    return {name: [row for row in rows if (row["method"], row["grows"]) == (name, what)] for name in names}


def markdown(rows: Sequence[Row]) -> str:
    text = ["# Cost", "", "CPU seconds on one thread for a cine, and MB at the peak of the process in brackets.", ""]
    for what in GROWS:
        groups = {name: own for name, own in by_method(rows, what).items() if own}
        sizes = sorted({int(row[what]) for own in groups.values() for row in own})
        text += [f"**{TITLES[what].format(**USUAL)}**", ""]
        text += ["| method | " + " | ".join(map(str, sizes)) + " | exponent |", "|---" * (len(sizes) + 2) + "|"]
        for name, own in groups.items():
            at = {row[what]: f"{row['cpu_seconds']:.2f} ({row['peak_mb']:.0f})" for row in own}
            power = f"{exponent(own, what):.2f}" if len(own) > 1 else ""
            text.append(f"| {name} | " + " | ".join(at.get(n, "") for n in sizes) + f" | {power} |")
        text.append("")
    text += ["Exponents are those of CPU seconds by frames, and by all pixels of a frame: 1 is linear.", ""]
    text += [f"- command: {shlex.join(['python', 'Testing/benchmarks/cost.py', *sys.argv[1:]])}"]
    return "\n".join([*text, *(f"- {name}: {value}" for name, value in machine().items())]) + "\n"


def draw(rows: Sequence[Row], path: Path) -> None:
    figure = Figure((10, 4.4), layout="constrained")
    for axis, what in zip(figure.subplots(1, 2), GROWS, strict=True):
        for number, (name, own) in enumerate(by_method(rows, what).items()):
            seconds = [row["cpu_seconds"] for row in own]
            axis.plot([row[what] for row in own], seconds, "o-", color=f"C{number % 10}", label=name)
        low, high = GROWS[what][0], GROWS[what][-1]
        start = min(float(row["cpu_seconds"]) for row in rows if row["grows"] == what) / 2
        steep = 2 if what == "size" else 1
        axis.plot([low, high], [start, start * (high / low) ** steep], ":", color="0.5", label="linear")
        axis.set(xscale="log", yscale="log", xlabel=TITLES[what].format(**USUAL), ylabel="CPU s")
        axis.set_xticks(GROWS[what], GROWS[what])
        axis.minorticks_off()
        axis.grid(color="0.9")
    figure.axes[0].legend(fontsize=8)
    figure.savefig(path, dpi=110)


def run(arguments: argparse.Namespace) -> str:
    """The table as text; it, its rows and the figure are written."""
    wanted = {f"ours {token}": methods.ours(token) for token in arguments.ours}
    for name in arguments.methods:
        if methods.PEERS[name].missing:
            print(f"{methods.PEERS[name].name} is left out: {methods.PEERS[name].missing}")
        else:
            wanted[name] = methods.PEERS[name]
    rows = measured(wanted, arguments)
    arguments.output.mkdir(parents=True, exist_ok=True)
    text = markdown(rows)
    (arguments.output / "cost.md").write_text(text, encoding="utf-8")
    write_csv(rows, arguments.output / "cost.csv")
    draw(rows, arguments.output / "cost.png")
    return text


def parsed(texts: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ours", nargs="*", default=["default", "fast"], help=methods.ours.__doc__)
    parser.add_argument("--methods", nargs="*", default=["elastix", "greedy"], choices=list(methods.PEERS))
    parser.add_argument("--frames", nargs="+", type=int, default=GROWS["frames"])
    parser.add_argument("--size", nargs="+", type=int, default=GROWS["size"])
    parser.add_argument("--limit", type=float, default=1800, help="most seconds for a case")
    parser.add_argument("--cache", type=Path, help="a folder that keeps cases for the next run")
    parser.add_argument("--output", type=Path, required=True)
    return parser.parse_args(texts)


if __name__ == "__main__":
    print(run(parsed()))
