"""Contours from one click on real images: overlap with drawn ones, how often they fail, and whether that is marked.

    python Testing/benchmarks/contours.py --data ../shared/data [--clicks 5] [--figure out/contours.png]

Clicks are uniform within 8 mm of the centre of the drawn cavity, with a fixed seed. The prices of ``contours/wall.py``
were chosen on the subjects of ``TUNED``; the others are reported apart.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from DeepRegLogic import Cine, Grid, read_cine, read_labels
from DeepRegLogic.contours import Contours, find_contours

TUNED = ("SC-HYP-01", "SC-HYP-06", "SC-HYP-08", "SC-N-02", "SC-N-05", "SCD0000101")
CLICK_MM, FAILED = 8.0, 0.8
_PIXEL = 1.3  # mm, of pictures that store none


class Case(NamedTuple):
    """A slice, and what was drawn in it: 1 cavity, 2 muscle (where ``has_muscle``)."""

    name: str
    kind: str
    cine: Cine
    frame: int
    labels: np.ndarray
    has_muscle: bool

    @property
    def tuned(self) -> bool:
        return self.name.startswith(TUNED)


def cases(data: Path, phase: str = "ED") -> Iterator[Case]:
    """Every slice of ``data`` in which a cavity was drawn at end-diastole ("ED") or end-systole ("ES")."""
    for path in sorted((data / "edes").glob(f"*_{phase}_endo.png")):
        name = path.name.removesuffix(f"_{phase}_endo.png")
        (image,) = (data / "edes").glob(f"{name}_{phase}_im*.png")
        pixels = np.array(Image.open(image), np.float32)
        cine = Cine(pixels[None], Grid.of_array(pixels.shape, (_PIXEL, _PIXEL)), name=name)
        yield Case(name, "pair", cine, 0, (np.array(Image.open(path)) > 0).astype(np.uint8), False)
    meta = json.loads((data / "cine/meta.json").read_text())
    for subject, facts in meta.items():
        frame = facts[f"{phase}_frame"]
        for path in (data / "cine/2d+t").glob(f"{subject}_*_cine2dt_144.nii.gz"):
            cine = read_cine(path)
            labels = read_labels(path.with_name(path.name.replace("cine2dt_144", f"labels_{phase}")), cine.grid)
            yield Case(subject, "cine", cine, frame, labels, bool((labels == 2).any()))
        for path in (data / "cine/3d+t").glob(f"{subject}_cine3dt_128.nii.gz"):
            stack = read_cine(path)
            drawn = read_labels(path.with_name(f"{subject}_labels_{phase}.nii.gz"), stack.grid)
            grid = Grid((*stack.grid.size[:2], 1), stack.grid.spacing)
            for number, labels in enumerate(drawn):
                if (labels == 1).any():
                    cine = Cine(stack.frames[:, number], grid, stack.times, name=f"{subject} slice {number}")
                    yield Case(cine.name, "stack's slice", cine, frame, labels, bool((labels == 2).any()))


def clicks_of(case: Case, count: int, seed: int = 7) -> np.ndarray:
    """``[count, 3]`` LPS mm within 8 mm of the centre of the cavity."""
    random = np.random.default_rng(seed)
    radius, angle = CLICK_MM * np.sqrt(random.random(count)), 2 * np.pi * random.random(count)
    centre = np.argwhere(case.labels == 1).mean(axis=0)
    offset = np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=1) / case.cine.grid.array_spacing
    return case.cine.grid.voxel_to_mm(centre + offset)


def dice(first: np.ndarray, second: np.ndarray) -> float:
    return 2.0 * float((first & second).sum()) / max(1, int(first.sum() + second.sum()))


class Outcome(NamedTuple):
    case: Case
    endocardium: float
    epicardium: float
    contours: Contours


def outcome(case: Case, click: np.ndarray) -> Outcome:
    found = find_contours(case.cine, click[None], case.frame)
    outer = dice(np.isin(found.labels, (1, 2)), case.labels > 0) if case.has_muscle else np.nan
    return Outcome(case, dice(found.labels == 1, case.labels == 1), outer, found)


def table(outcomes: list[Outcome]) -> list[str]:
    lines = ["| images | subjects | contours | endocardium median (mean) | below 0.9 | below 0.8 | epicardium median |"]
    lines.append("|---|---|---|---|---|---|---|")
    groups = {(kind, tuned) for kind in ("pair", "cine", "stack's slice", "all") for tuned in (True, False)}
    for kind, tuned in sorted(groups):
        some = [o for o in outcomes if o.case.tuned == tuned and kind in (o.case.kind, "all")]
        if some:
            inner, outer = (np.array([o[side] for o in some]) for side in (1, 2))
            known = f"{np.nanmedian(outer):.3f}" if np.isfinite(outer).any() else ""
            lines.append(
                f"| {kind} | {'tuned on' if tuned else 'others'} | {len(some)} | {np.median(inner):.3f} "
                f"({inner.mean():.3f}) | {np.mean(inner < 0.9):.1%} | {np.mean(inner < FAILED):.1%} | {known} |"
            )
    return lines


def marked(outcomes: list[Outcome]) -> str:
    """Whether what failed was marked as hardly supported."""
    bad = np.array([o.endocardium < FAILED for o in outcomes])
    told = np.array([not o.contours.slices[0].is_supported for o in outcomes])
    good = np.array([o.endocardium for o in outcomes])[~told]
    return (
        f"{told.sum()} of {len(told)} contours are marked as hardly supported, among them {(bad & told).sum()} of the "
        f"{bad.sum()} below {FAILED}; median Dice of the others {np.median(good):.3f}."
    )


def figure(outcomes: list[Outcome], path: Path, columns: int = 8) -> None:
    """One picture a contour, the worst first: drawn (yellow, cyan), found (red, magenta), no support (white)."""
    from matplotlib.figure import Figure

    rows = -(-len(outcomes) // columns)
    page = Figure((2.2 * columns, 2.4 * rows), layout="constrained")
    for number, one in enumerate(sorted(outcomes, key=lambda o: o.endocardium), start=1):
        axes, case = page.add_subplot(rows, columns, number), one.case
        axes.imshow(case.cine.frames[case.frame], cmap="gray")
        for level, colour in ((case.labels == 1, "yellow"), *([(case.labels > 0, "cyan")] if case.has_muscle else [])):
            axes.contour(level, [0.5], colors=colour, linewidths=0.8)
        for contour in one.contours.slices:
            for side, (points, colour) in enumerate(((contour.inner, "red"), (contour.outer, "magenta"))):
                places = case.cine.grid.mm_to_voxel(np.concatenate([points, points[:1]]))
                axes.plot(places[:, 1], places[:, 0], color=colour, linewidth=0.8)
                lost = places[:-1][~contour.supported[:, side]]
                axes.plot(lost[:, 1], lost[:, 0], ".", color="white", markersize=2)
        centre, reach = np.argwhere(case.labels > 0).mean(axis=0), 55 / np.array(case.cine.grid.array_spacing)
        axes.set_xlim(centre[1] - reach[1], centre[1] + reach[1])
        axes.set_ylim(centre[0] + reach[0], centre[0] - reach[0])
        axes.set_axis_off()
        mark = "" if one.contours.slices[0].is_supported else ", marked"
        axes.set_title(f"{case.name} {one.endocardium:.2f}{mark}", fontsize=6)
    path.parent.mkdir(parents=True, exist_ok=True)
    page.savefig(path, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[3] / "shared/data")
    parser.add_argument("--phase", choices=("ED", "ES"), default="ED")
    parser.add_argument("--clicks", type=int, default=5, help="clicks a slice")
    parser.add_argument("--figure", type=Path, help="a picture of the first click of every slice")
    options = parser.parse_args()
    start, outcomes, first = time.process_time(), [], []
    for case in cases(options.data, options.phase):
        found = [outcome(case, click) for click in clicks_of(case, options.clicks)]
        outcomes += found
        first.append(found[0])
    spent = (time.process_time() - start) / len(outcomes)
    print("\n".join(table(outcomes)), marked(outcomes), f"{spent:.2f} CPU seconds a contour.", sep="\n")
    if options.figure is not None:
        figure(first, options.figure)


if __name__ == "__main__":
    main()
