"""From figures of cases to tables: means with intervals, paired tests, text and CSV."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.stats import wilcoxon

from .vary import CLEAN

Row = dict[str, object]
"""Figures of one method on one case, with "kind", "seed", "variation" and "method"."""

ALL = "all kinds"

COLUMNS: dict[str, tuple[str, int]] = {
    "epe": ("error mm", 3), "epe95": ("95 % of it", 2), "epe_es": ("at ES mm", 3), "epe_wall_es": ("wall at ES", 3),
    "epe_blood_es": ("blood at ES", 3), "radial_es": ("radial", 2), "tangential_es": ("tangential", 2),
    "twist_error": ("twist °", 2), "circumferential_error": ("E_cc %", 1), "radial_error": ("E_rr %", 1),
    "dice_es": ("Dice", 3), "hd95_es": ("HD95 mm", 2), "loop": ("loop mm", 2),
    "folded": ("folded", 5), "sd_log_j": ("SD log J", 3),
    "speed": ("speed", 2), "speed_error": ("speed error", 2), "inverse_consistency": ("there and back", 3),
    "rmse": ("RMSE", 4), "rmse_true": ("RMSE of the truth", 4), "seconds": ("s", 1), "cpu_seconds": ("CPU s", 1),
    "peak_mb": ("MB", 0),
}  # fmt: skip
"""Figure -> its title and its decimals."""

ACCURACY = ("epe", "epe95", "epe_es", "epe_wall_es", "epe_blood_es", "radial_es", "tangential_es", "twist_error")
ACCURACY = (*ACCURACY, "circumferential_error", "radial_error", "dice_es", "hd95_es", "loop")
QUALITY = ("folded", "sd_log_j", "speed", "speed_error", "inverse_consistency", "rmse", "rmse_true")
QUALITY = (*QUALITY, "seconds", "cpu_seconds", "peak_mb")
INTERVALS = ("epe", "epe_es")

EXPLANATION = """
Errors are end-point errors in mm in the organ: their mean over frames, their 95th percentile, and at end-systole (the
frame of most motion where there is no heart); radial and tangential: their absolute components in the wall about the
cavity's centre. twist: error of the wall's mean turn in degrees; E_cc, E_rr: mean absolute errors of circumferential
and radial strain in the wall in percent points. Dice and HD95: carried labels against painted ones at end-systole,
mean of the labels. loop: where points end after a step from every frame to the next, back to the first, from where
they began. folded: fraction of the organ's voxels. SD log J: standard deviation of the logarithm of the Jacobian in the
organ. speed: motion from frame to frame over the true one; speed error: that of the error's. there and back: inverse
consistency in voxels. RMSE: of the intensity range; that of the truth beside it (below it is overfitting). s and CPU
s: for a cine, on one thread, programs started and warm. MB: peak of the process, interpreter and libraries included.
In brackets: 95 % bootstrap intervals of the mean over cases. p: paired Wilcoxon test of the error (at ES) against the
first method of ours.
"""

ROBUSTNESS = """
Errors in mm where one thing about the cases is changed, over the frames and the tissue that are left; in brackets the
mean over the one of the same method on the cases as drawn.
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
    """One row a kind and method on the cases as drawn: ``n``, means, intervals, and p against ``against``."""
    rows = [row for row in rows if row["variation"] == CLEAN]
    kinds = list(dict.fromkeys(str(row["kind"]) for row in rows))
    names = list(dict.fromkeys(str(row["method"]) for row in rows))
    found: list[Row] = []
    for kind in [*kinds, ALL] if len(kinds) > 1 else kinds:
        for name in names:
            chosen = [r for r in rows if r["method"] == name and kind in (r["kind"], ALL) and "epe" in r]
            if not chosen:
                continue
            line: Row = {"kind": kind, "method": name, "n": len(chosen)}
            for figure in COLUMNS:
                values = [float(r[figure]) for r in chosen if np.isfinite(r.get(figure, np.nan))]
                if not values:
                    continue
                line[figure] = float(np.max(values) if figure == "peak_mb" else np.mean(values))
                if figure in INTERVALS:
                    line[f"{figure}_low"], line[f"{figure}_high"] = interval(values)
            if against and name != against:
                for figure in INTERVALS:
                    sides = [
                        {
                            (r["kind"], r["seed"]): float(r[figure])
                            for r in rows
                            if r["method"] == side and kind in (r["kind"], ALL) and figure in r
                        }
                        for side in (against, name)
                    ]
                    line[f"p_{figure}"] = paired(*sides)
            found.append(line)
    return found


def robustness(rows: Sequence[Row]) -> list[Row]:
    """One row a variation and method, over all kinds: means, and their ratio to the cases as drawn."""
    found: list[Row] = []
    for variation in dict.fromkeys(str(row["variation"]) for row in rows):
        for name in dict.fromkeys(str(row["method"]) for row in rows):
            own, clean = (
                {
                    (row["kind"], row["seed"]): row
                    for row in rows
                    if "epe" in row and row["method"] == name and row["variation"] == v
                }
                for v in (variation, CLEAN)
            )
            both = [key for key in own if key in clean]
            if variation == CLEAN or not both:
                continue
            line: Row = {"variation": variation, "method": name, "n": len(both)}
            for figure in INTERVALS:
                changed, usual = (float(np.mean([side[key][figure] for key in both])) for side in (own, clean))
                line |= {figure: changed, f"{figure}_ratio": changed / usual}
            found.append(line)
    return found


def _robustness(lines: Sequence[Row]) -> list[str]:
    names = list(dict.fromkeys(str(line["method"]) for line in lines))
    text = ["## Robustness", "", ROBUSTNESS.strip().replace("\n", " "), ""]
    text += ["| changed | n | " + " | ".join(names) + " |", "|---" * (2 + len(names)) + "|"]
    for variation in dict.fromkeys(str(line["variation"]) for line in lines):
        own = {line["method"]: line for line in lines if line["variation"] == variation}
        cells = [f"{own[n]['epe']:.3f} ({own[n]['epe_ratio']:.2f})" if n in own else "" for n in names]
        text.append(f"| {variation} | {max(line['n'] for line in own.values())} | " + " | ".join(cells) + " |")
    return [*text, ""]


def markdown(
    lines: Sequence[Row],
    harder: Sequence[Row],
    machine: dict[str, object],
    settings: dict[str, str],
    notes: Sequence[str],
) -> str:
    """The tables as text, with what they mean and how they came about."""
    text = ["# Registrations on cases of known motion", "", EXPLANATION.strip().replace("\n", " "), ""]
    for title, figures in (("Accuracy", ACCURACY), ("Regularity and cost", QUALITY)):
        text += [f"## {title}", ""]
        for kind in dict.fromkeys(str(line["kind"]) for line in lines):
            own = [line for line in lines if line["kind"] == kind]
            shown = [f for f in figures if any(f in line for line in own)]
            tests = title == "Accuracy" and any("p_epe" in line for line in own)
            heads = [COLUMNS[f][0] for f in shown] + (["p", "p at ES"] if tests else [])
            text += [f"**{kind}** (n = {max(int(line['n']) for line in own)})", ""]
            text += ["| method | " + " | ".join(heads) + " |", "|---" * (1 + len(heads)) + "|"]
            for line in own:
                cells = [_cell(line, f) for f in shown]
                if tests:
                    cells += [
                        f"{line[p]:.2g}" if np.isfinite(line.get(p, np.nan)) else "" for p in ("p_epe", "p_epe_es")
                    ]
                text.append(f"| {line['method']} | " + " | ".join(cells) + " |")
            text.append("")
    if harder:
        text += _robustness(harder)
    text += ["## How", ""]
    text += [f"- {name}: {setting}" for name, setting in settings.items()]
    text += [f"- {note}" for note in notes]
    text += [f"- {name}: {value}" for name, value in machine.items()]
    return "\n".join(text) + "\n"


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
