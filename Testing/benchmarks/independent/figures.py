"""Pictures of a comparison: where methods err at end-systole, and how their errors go over the frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from .cases import Case
from .metrics import end_point_error


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
