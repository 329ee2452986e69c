"""Accuracy and cost of our registration of pairs and of other programs, on real labels, in the same run.

    pip install ".[bench]"
    python Testing/benchmarks/pairs_table.py --kinds brain --pairs 2 --ours default none --output out/pairs

All methods start from the same alignment (``independent.pairs``: our affine for brains, the centres of the labels for
hippocampi, none for hearts) and see the images alone; each runs in a process of its own on one thread, warm. ``--ours``
takes any model by its name or folder, with a quality and settings of the refinement.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path

import numpy as np
from independent import methods, pairs
from independent.machine import machine
from independent.worker import registered

COLUMNS = {
    "dice": ("Dice", 3), "worst": ("worst pair", 3), "hd95": ("HD95 mm", 2), "folded": ("folded %", 4),
    "sd_log_j": ("SD log J", 3), "inverse_consistency": ("there and back, voxels", 3), "seconds": ("s", 1),
    "cpu_seconds": ("CPU s", 1), "peak_mb": ("MB", 0),
}  # fmt: skip
"""Figure -> its title and its decimals."""


def run(arguments: argparse.Namespace) -> str:
    """The table as text; it is written anew after every method."""
    wanted = {f"pair {token}": methods.method_of(f"pair {token}") for token in arguments.ours}
    wanted |= {name: methods.PAIR_PEERS[name] for name in arguments.methods if not methods.PAIR_PEERS[name].missing}
    left_out = [f"{name}: {methods.PAIR_PEERS[name].missing}" for name in arguments.methods if name not in wanted]
    rows: list[dict[str, object]] = []
    text = ""
    for kind in arguments.kinds:
        for contrast in arguments.contrasts:
            chosen = list(pairs.pairs(kind, arguments.pairs, arguments.skip, arguments.align, contrast))
            about = {"kind": kind, "contrast": contrast}
            for case in chosen:
                still = np.zeros((len(case.spacing), *case.frames.shape[1:]), np.float32)
                rows.append({**about, "pair": case.name, "method": "aligned", **case.score(still)})
            for name, method in wanted.items():
                answers = registered(name, chosen, arguments.limit)
                for case, (record, found) in zip(chosen, answers, strict=True):
                    row = {**about, "pair": case.name, "method": method.name}
                    if found is None:
                        row["error"] = record["error"]
                    else:
                        inverse = None if found.inverse is None else found.inverse[1]
                        row |= case.score(found.forward[1], inverse)
                        row |= {key: record[key] for key in ("seconds", "cpu_seconds", "peak_mb", "made_with")}
                    rows.append(row)
                    print({key: value for key, value in row.items() if key != "made_with"}, flush=True)
                text = write(rows, wanted, left_out, arguments.output)
    return text


def write(rows: list[dict], wanted: dict[str, methods.Method], left_out: list[str], folder: Path) -> str:
    """``pairs.md`` and ``pairs.json``; the first as text."""
    header = ["kind", "contrast", "method", "n", *(title for title, _ in COLUMNS.values())]
    lines = [f"| {' | '.join(header)} |", f"|{'---|' * len(header)}"]
    for key in dict.fromkeys((row["kind"], row["contrast"], row["method"]) for row in rows):
        own = [row for row in rows if (row["kind"], row["contrast"], row["method"]) == key and "error" not in row]
        if own:
            means = {c: np.mean([row[c] for row in own]) for c in COLUMNS if c in own[0]}
            means["worst"] = min(row["dice"] for row in own)
            cells = [f"{means[c]:.{digits}f}" if c in means else "" for c, (_, digits) in COLUMNS.items()]
            lines.append(f"| {' | '.join([*map(str, key), str(len(own)), *cells])} |")
    lines += ["", *(f"- {method.name}: {method.setting}" for method in wanted.values())]
    lines += [f"- failed: {row['method']}, {row['pair']}: {row['error']}" for row in rows if "error" in row]
    lines += [f"- left out: {text}" for text in left_out]
    about = machine()
    lines += [*(f"- {key}: {value}" for key, value in about.items())]
    lines += [f"- command: {shlex.join(['python', 'Testing/benchmarks/pairs_table.py', *sys.argv[1:]])}", ""]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pairs.md").write_text("\n".join(lines), encoding="utf-8")
    content = {"rows": rows, "machine": about}
    (folder / "pairs.json").write_text(json.dumps(content, indent=1, default=float) + "\n", encoding="utf-8")
    return "\n".join(lines)


def parsed(texts: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kinds", nargs="+", default=["hippocampus"], choices=list(pairs.KINDS))
    parser.add_argument("--pairs", type=int, default=2, help="pairs of every kind")
    parser.add_argument("--skip", type=int, default=0, help="leave the first pairs out")
    parser.add_argument("--align", choices=list(pairs.ALIGNED), help="by what; left out, what is usual for the kind")
    parser.add_argument("--contrasts", nargs="+", default=["same"], choices=list(pairs.CONTRASTS))
    parser.add_argument("--ours", nargs="*", default=["default", "none"], help=methods.ours.__doc__)
    known = list(methods.PAIR_PEERS)
    parser.add_argument("--methods", nargs="*", default=known, choices=known, metavar="PEER", help=", ".join(known))
    parser.add_argument("--limit", type=float, default=1800, help="most seconds for a pair")
    parser.add_argument("--output", type=Path, required=True, help="a folder for pairs.md and pairs.json")
    return parser.parse_args(texts)


if __name__ == "__main__":
    print(run(parsed()))
