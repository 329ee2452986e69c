"""From figures of cases to tables: means with intervals, paired tests, text and CSV."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.stats import wilcoxon

from .vary import CLEAN

Row = dict[str, object]
"""Figures of one method on one case, with "mode", "kind", "seed", "variation" and "method"."""

ALL = "all kinds"

COLUMNS: dict[str, tuple[str, int]] = {
    "epe": ("error mm", 3), "epe95": ("95 % of it", 2), "epe_es": ("at ES mm", 3), "epe_wall_es": ("wall at ES", 3),
    "epe_blood_es": ("blood at ES", 3), "radial_es": ("radial", 2), "tangential_es": ("tangential", 2),
    "twist_error": ("twist °", 2), "circumferential_error": ("E_cc %", 1), "radial_error": ("E_rr %", 1),
    "dice_es": ("Dice", 3), "hd95_es": ("HD95 mm", 2), "loop": ("loop mm", 2),
    "folded": ("folded", 5), "sd_log_j": ("SD log J", 3),
    "gradient": ("TG", 2), "gradient_error": ("TG of the error", 2), "step": ("TG mm", 2),
    "inverse_consistency": ("inverse consistency", 3),
    "rmse": ("RMSE", 4), "rmse_true": ("RMSE of the truth", 4), "seconds": ("s", 1), "cpu_seconds": ("CPU s", 1),
    "peak_mb": ("MB", 0),
}  # fmt: skip
"""Figure -> its title and its decimals."""

ACCURACY = ("epe", "epe95", "epe_es", "epe_wall_es", "epe_blood_es", "radial_es", "tangential_es", "twist_error")
ACCURACY = (*ACCURACY, "circumferential_error", "radial_error", "dice_es", "hd95_es", "loop")
QUALITY = ("folded", "sd_log_j", "gradient", "gradient_error", "step", "inverse_consistency", "rmse", "rmse_true")
QUALITY = (*QUALITY, "seconds", "cpu_seconds", "peak_mb")
INTERVALS = ("epe", "epe_es", "tangential_es", "twist_error", "dice_es", "loop")
"""Figures with intervals."""
TESTS = {"epe": "p", "epe_es": "p at ES", "dice_es": "p of Dice"}
"""Figures that are tested, and what the test is called."""
WORSE = 1.25
"""Ratios above it are printed in bold."""

EXPLANATION = """
Errors are end-point errors in mm in the organ: their mean over frames, their 95th percentile, and at end-systole (the
frame of most motion where there is no heart); radial and tangential: their absolute components in the wall about the
cavity's centre. twist: error of the wall's mean turn in degrees; E_cc, E_rr: mean absolute errors of circumferential
and radial strain in the wall in percent points. Dice and HD95: carried labels against painted ones at end-systole,
mean of the labels. loop: where points end after a step from every frame to the next, back to the first, from where
they began. folded: fraction of the organ's voxels. SD log J: standard deviation of the logarithm of the Jacobian in the
organ. TG: temporal gradient, the mean length of the field's change from frame to frame, over that of the truth; TG of
the error: the same of the error. Inverse consistency is in voxels. RMSE: of the intensity range; that of the truth
beside it (below it is overfitting). s and CPU s: for a cine, on one thread, programs started and warm. MB: peak of the
process, interpreter and libraries included. In brackets: 95 % bootstrap intervals of the mean over cases. p: paired
Wilcoxon tests against the first method of ours, of the error, the error at ES and Dice, not corrected for their number.
"""

REAL = """
The motion is not known: labels of end-diastole are carried to end-systole and compared with those drawn there. Dice and
HD95 of these labels cannot see turning, nor what happens inside of them: fields that differ by several millimetres
along the wall reach the same Dice. TG mm: temporal gradient in mm a frame. Folds, SD log J and RMSE are those of the
whole image; RMSE is that of the frames brought onto the first, and is lower for a field that fits noise.
"""

ROBUSTNESS = """
Errors in mm where one thing about the cases is changed, over the frames and the tissue that are left; in brackets their
ratio to what the same method reaches on the cases as drawn, over the same frames and tissue. In bold: more than a
quarter worse.
"""


def interval(values: Sequence[float], draws: int = 10_000) -> tuple[float, float]:
    """The 95 % bootstrap interval of the mean."""
    found = np.asarray(values, float)
    if len(found) < 2:
        return float(found.mean()), float(found.mean())
    chosen = np.random.default_rng(0).integers(0, len(found), (draws, len(found)))
    low, high = np.percentile(found[chosen].mean(axis=1), (2.5, 97.5))
    return float(low), float(high)


def paired(ours: dict[tuple, float], theirs: dict[tuple, float]) -> float:
    """p of the two-sided Wilcoxon test over the cases that both have; nan below two cases or without a difference."""
    both = sorted(set(ours) & set(theirs))
    differences = np.array([theirs[key] - ours[key] for key in both])
    if len(differences) < 2 or not differences.any():
        return np.nan
    return float(wilcoxon(differences).pvalue)


def summary(rows: Sequence[Row], against: str | None) -> list[Row]:
    """One row a mode, kind and method on the cases as drawn: ``n``, means, intervals, and p against ``against``."""
    found: list[Row] = []
    for mode in dict.fromkeys(str(row["mode"]) for row in rows):
        own = [row for row in rows if row["variation"] == CLEAN and row["mode"] == mode]
        kinds = list(dict.fromkeys(str(row["kind"]) for row in own))
        for kind in [*kinds, ALL] if len(kinds) > 1 and mode != "real" else kinds:
            chosen = [row for row in own if kind in (row["kind"], ALL)]
            for name in dict.fromkeys(str(row["method"]) for row in chosen):
                found.append({"mode": mode, "kind": kind, "method": name} | _line(chosen, name, against))
    return found


def _line(rows: Sequence[Row], name: str, against: str | None) -> Row:
    """The figures of a method over the cases of the rows."""
    own = [row for row in rows if row["method"] == name]
    line: Row = {"n": len(own)}
    for figure in COLUMNS:
        values = [float(row[figure]) for row in own if np.isfinite(row.get(figure, np.nan))]
        if not values:
            continue
        line[figure] = float(np.max(values) if figure == "peak_mb" else np.mean(values))
        if figure in INTERVALS:
            line[f"{figure}_low"], line[f"{figure}_high"] = interval(values)
        if figure in TESTS and against and name != against:
            sides = [
                {
                    (row["kind"], row["seed"]): float(row[figure])
                    for row in rows
                    if row["method"] == side and np.isfinite(row.get(figure, np.nan))
                }
                for side in (against, name)
            ]
            line[f"p_{figure}"] = paired(*sides)
    return line


def robustness(rows: Sequence[Row]) -> list[Row]:
    """One row a variation and method, over all kinds: means, and their ratio to the cases as drawn.

    Where a row has a figure of the case as drawn over its own frames and tissue ("epe_before", ...), that is taken.
    """
    clean = {_case(row): row for row in rows if row["variation"] == CLEAN}
    found: list[Row] = []
    for variation in dict.fromkeys(str(row["variation"]) for row in rows if row["variation"] != CLEAN):
        for name in dict.fromkeys(str(row["method"]) for row in rows):
            own = [r for r in rows if (r["variation"], r["method"]) == (variation, name) and _case(r) in clean]
            if not own:
                continue
            line: Row = {"variation": variation, "method": name, "n": len(own)}
            for figure in ("epe", "epe_es"):
                before = np.mean([row.get(f"{figure}_before", clean[_case(row)][figure]) for row in own])
                line[figure] = float(np.mean([row[figure] for row in own]))
                line[f"{figure}_ratio"] = line[figure] / float(before)
            found.append(line)
    return found


def _case(row: Row) -> tuple[object, ...]:
    return row["mode"], row["kind"], row["seed"], row["method"]


def _robustness(lines: Sequence[Row]) -> list[str]:
    names = list(dict.fromkeys(str(line["method"]) for line in lines))
    text = ["## Robustness", "", ROBUSTNESS.strip().replace("\n", " "), ""]
    text += ["| changed | n | " + " | ".join(names) + " |", "|---" * (2 + len(names)) + "|"]
    for variation in dict.fromkeys(str(line["variation"]) for line in lines):
        own = {line["method"]: line for line in lines if line["variation"] == variation}
        cells = [_ratio(own[name]) if name in own else "" for name in names]
        text.append(f"| {variation} | {max(line['n'] for line in own.values())} | " + " | ".join(cells) + " |")
    return [*text, ""]


def _ratio(line: Row) -> str:
    ratio = f"({line['epe_ratio']:.2f})"
    return f"{line['epe']:.3f} " + (f"**{ratio}**" if line["epe_ratio"] > WORSE else ratio)


def markdown(
    lines: Sequence[Row],
    harder: Sequence[Row],
    machine: dict[str, object],
    settings: dict[str, str],
    notes: Sequence[str],
) -> str:
    """The tables as text, with what they mean and how they came about."""
    text = ["# Registrations on cases of known motion", "", EXPLANATION.strip().replace("\n", " "), ""]
    for mode in dict.fromkeys(str(line["mode"]) for line in lines):
        own = [line for line in lines if line["mode"] == mode]
        if mode == "real":
            text += ["## Real images", "", REAL.strip().replace("\n", " "), "", *_tables(own, (*ACCURACY, *QUALITY))]
            continue
        for title, figures in (("accuracy", ACCURACY), ("regularity and cost", QUALITY)):
            text += [f"## Mode {mode}: {title}", "", *_tables(own, figures)]
    if harder:
        text += _robustness(harder)
    text += ["## How", ""]
    text += [f"- {name}: {setting}" for name, setting in settings.items()]
    text += [f"- {note}" for note in notes]
    text += [f"- {name}: {value}" for name, value in machine.items()]
    return "\n".join(text) + "\n"


def _tables(lines: Sequence[Row], figures: Sequence[str]) -> list[str]:
    """A table a kind, of those figures that there are."""
    text = []
    for kind in dict.fromkeys(str(line["kind"]) for line in lines):
        own = [line for line in lines if line["kind"] == kind]
        shown = [figure for figure in figures if any(figure in line for line in own)]
        tests = [figure for figure in TESTS if figure in shown and any(f"p_{figure}" in line for line in own)]
        heads = [COLUMNS[figure][0] for figure in shown] + [TESTS[figure] for figure in tests]
        text += [f"**{kind}** (n = {max(int(line['n']) for line in own)})", ""]
        text += ["| method | " + " | ".join(heads) + " |", "|---" * (1 + len(heads)) + "|"]
        for line in own:
            chances = [line.get(f"p_{figure}", np.nan) for figure in tests]
            cells = [_cell(line, figure) for figure in shown]
            cells += [f"{chance:.2g}" if np.isfinite(chance) else "" for chance in chances]
            text.append(f"| {line['method']} | " + " | ".join(cells) + " |")
        text.append("")
    return text


def _cell(line: Row, figure: str) -> str:
    if figure not in line:
        return ""
    places = COLUMNS[figure][1]
    text = f"{line[figure]:.{places}f}"
    if f"{figure}_low" in line and int(line["n"]) > 1:
        text += f" [{line[f'{figure}_low']:.{places}f}, {line[f'{figure}_high']:.{places}f}]"
    return text


def write_csv(lines: Sequence[Row], path: Path) -> None:
    heads = list(dict.fromkeys(head for line in lines for head in line))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, heads)
        writer.writeheader()
        writer.writerows(lines)
