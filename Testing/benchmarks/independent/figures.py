"""Pictures of a comparison: where methods err at end-systole, and how their errors go over the frames."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from .cases import Case
from .metrics import end_point_error
from .table import COLUMNS, Row


def error_maps(case: Case, fields: dict[str, np.ndarray], path: Path) -> None:
    """End-point errors at end-systole of every method on one case, on one scale, with the two images."""
    t = case.systole
    middle = (case.frames.shape[1] // 2,) if case.frames.ndim == 4 else ()
    maps = {name: end_point_error(case, field)[t][middle] for name, field in fields.items()}
    organ = case.masks["organ"][middle]
    rows, columns = np.nonzero(organ)
    view = (slice(max(rows.min() - 8, 0), rows.max() + 9), slice(max(columns.min() - 8, 0), columns.max() + 9))
    top = float(np.percentile(np.concatenate([m[organ] for m in maps.values()]), 98))
    across = min(4, len(maps) + 2)
    down = -(-(len(maps) + 2) // across)
    figure = Figure((3 * across, 3.1 * down), layout="constrained")
    axes = figure.subplots(down, across, squeeze=False).ravel()
    for axis in axes:
        axis.axis("off")
    images = {"frame 0": case.frames[0][middle], f"frame {t}": case.frames[t][middle]}
    for axis, (name, image) in zip(axes, images.items(), strict=False):
        axis.imshow(image[view], cmap="gray", vmin=0, vmax=np.percentile(case.frames, 99.5))
        axis.set_title(f"{case.kind} {case.seed}, {name}", fontsize=9)
    for axis, (name, values) in zip(axes[2:], maps.items(), strict=False):
        drawn = axis.imshow(values[view], cmap="magma", vmin=0, vmax=top)
        axis.contour(organ[view], levels=[0.5], colors="w", linewidths=0.6)
        axis.set_title(f"{name}: {values[organ].mean():.2f} mm", fontsize=9)
    figure.colorbar(drawn, ax=axes.tolist(), shrink=0.7, label="error at end-systole in mm")
    figure.savefig(path, dpi=110)


def curves(kind: str, errors: dict[str, list[np.ndarray]], truth: list[np.ndarray], path: Path) -> None:
    """Mean error in the organ over the frames, mean over cases, and how far the organ has really moved."""
    figure = Figure((8, 4.5), layout="constrained")
    axis = figure.subplots()
    axis.plot(np.mean(truth, axis=0), color="0.6", linestyle=":", label="true motion")
    for number, (name, values) in enumerate(errors.items()):
        style = {"linewidth": 2.2} if name.startswith("ours") else {"linewidth": 1.2}
        axis.plot(np.mean(values, axis=0), color=f"C{number % 10}", label=name, **style)
    axis.set(xlabel="frame", ylabel="mm", title=f"{kind}: mean error in the organ (n = {len(truth)})", ylim=(0, None))
    shown = [np.mean(v, axis=0).max() for v in errors.values()]
    axis.set_ylim(0, 1.4 * max(shown) if shown else None)
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.legend(fontsize=8, ncols=2)
    figure.savefig(path, dpi=110)


ERRORS = ("epe", "epe_es", "tangential_es", "dice_es")


def errors(lines: Sequence[Row], folder: Path) -> None:
    """``errors-MODE.png``: the main figures of all methods, a row a kind, with their intervals."""
    for mode in dict.fromkeys(str(line["mode"]) for line in lines):
        own = [line for line in lines if line["mode"] == mode and line["method"] != "unregistered"]
        kinds = list(dict.fromkeys(str(line["kind"]) for line in own))
        names = list(dict.fromkeys(str(line["method"]) for line in own))
        shown = [name for name in ERRORS if any(name in line for line in own)]
        if not shown:
            continue
        figure = Figure((3.4 * len(shown) + 1.5, (0.25 * len(names) + 0.9) * len(kinds)), layout="constrained")
        axes = figure.subplots(len(kinds), len(shown), squeeze=False, sharey=True)
        for kind, line_of_axes in zip(kinds, axes, strict=True):
            of_kind = {str(line["method"]): line for line in own if line["kind"] == kind}
            for name, axis in zip(shown, line_of_axes, strict=True):
                for place, method in enumerate(names):
                    line = of_kind.get(method, {})
                    if name in line:
                        color = "C0" if method.startswith("ours") else "0.4"
                        low, high = line.get(f"{name}_low", line[name]), line.get(f"{name}_high", line[name])
                        axis.plot([low, high], [place] * 2, color=color, linewidth=1.5)
                        axis.plot(line[name], place, "o", color=color, markersize=4)
                axis.set_title(f"{kind}: {COLUMNS[name][0]}", fontsize=9)
                axis.set_yticks(range(len(names)), names, fontsize=8)
                axis.grid(axis="x", color="0.9")
                if name != "dice_es":
                    axis.set_xlim(0, None)
            line_of_axes[0].set_ylim(len(names) - 0.5, -0.5)
        figure.savefig(folder / f"errors-{mode}.png", dpi=110)


def robustness(lines: Sequence[Row], worse: float, path: Path) -> None:
    """How many times the error of every method grows where a case is changed."""
    names = [name for name in dict.fromkeys(str(line["method"]) for line in lines) if name != "unregistered"]
    changes = list(dict.fromkeys(str(line["variation"]) for line in lines))
    figure = Figure((8, 0.5 * len(changes) + 1.8), layout="constrained")
    axis = figure.subplots()
    for number, name in enumerate(names):
        own = {line["variation"]: line["epe_ratio"] for line in lines if line["method"] == name}
        places = [
            k + 0.6 * (number / max(len(names) - 1, 1) - 0.5) for k, change in enumerate(changes) if change in own
        ]
        marker = {"markersize": 7} if name.startswith("ours") else {"markersize": 4}
        axis.plot([own[c] for c in changes if c in own], places, "o", color=f"C{number % 10}", label=name, **marker)
    axis.axvline(1, color="0.5", linewidth=0.8)
    axis.axvline(worse, color="0.5", linewidth=0.8, linestyle=":")
    axis.set_xscale("log")
    axis.set_xlabel("error over that on the case as drawn")
    axis.set_yticks(range(len(changes)), changes)
    axis.set_ylim(len(changes) - 0.5, -0.5)
    figure.legend(loc="outside upper center", ncols=4, fontsize=8)
    figure.savefig(path, dpi=110)
