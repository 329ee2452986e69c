"""Calibration: how much of an error goes with what a method says of its uncertainty, fitted on cines of known motion.

Every kind of cine (every cine, where there is one kind) is left out once: what the others give is tested on it, and
goes into a table. The calibration that
is kept is fitted on all kinds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

import numpy as np
import torch

from .. import zoo
from ..cine import Cine, Motion
from ..errors import InputError
from ..grid import Grid
from ..networks import PAIR, REGISTER, UNCERTAINTY
from ..progress import Reporter
from ..results.results import Results
from ..synthetic.known import SLICES, VOLUMES, Known, known_cine
from ..transformations import Transformation
from ..uncertainty import calibration as fitting
from ..uncertainty import structure_tensor
from ..uncertainty.calibration import Calibration
from .predict import predict, still
from .prepare import plan
from .presets import Refinement, refinement_of
from .register import integrate, pair_refinement, refined
from .uncertain import asked_again, covariances, measured, of_refinement, refined_again

KINDS = {"slice": SLICES, "stack": ("thick-slices",), "volume": ("even-volumes",)}
"""What the refinement of each of ``record.IMAGES`` is calibrated on."""

FIRST_SEED = 1_500_000
_PIXELS = 3000  # of a cine
_PERCENTILE = 99  # of what frames of known motion still differ by

Rows = dict[str, torch.Tensor]
"""Arguments of ``calibration.fit`` for the pixels of one cine."""


@dataclass(frozen=True)
class Fitted:
    """A calibration, and the table of what it reaches: kind of cine -> figures, the kind itself left out of the fit.

    ``on`` are the kinds of cines, how many of each, and their first seed.
    """

    calibration: Calibration
    table: Mapping[str, Mapping[str, float]]
    on: Mapping[str, object]

    def record(self) -> dict[str, object]:
        """As JSON has it; what is not used is left out of the calibration."""
        used = {name: value for name, value in asdict(self.calibration).items() if value != getattr(Calibration, name)}
        return {"calibration": used, "fitted": dict(self.on), "table": {k: dict(v) for k, v in self.table.items()}}


def calibrate_refinement(
    pairs: bool, images: str, count: int = 3, reporter: Reporter | None = None, seed: int = FIRST_SEED,
    frames: int = 12, size: int = 128,
) -> Fitted:  # fmt: skip
    """The calibration of refined cines, or of refined pairs, of one of ``record.IMAGES``.

    They start with the default model of the task where that is for as many axes, else from no motion.

    Parameters
    ----------
    count : cines of every kind. seed : of the first. frames, size : of every cine.
    """
    card = zoo.find_card(zoo.DEFAULTS["pair" if pairs else "cine"])
    model = zoo.load_model(card.name) if card.ndim == (2 if images == "slice" else 3) else None
    settings = refinement_of(True)
    assert settings is not None

    def settings_of(grid: Grid) -> Refinement:
        return pair_refinement(settings, grid) if pairs else settings

    evidence = partial(_refined_rows, model, settings_of)
    return _fitted(evidence, KINDS[images], count, reporter or Reporter(), seed, 2 if pairs else frames, size)


def calibrate_model(
    model: zoo.Model, count: int = 3, reporter: Reporter | None = None, seed: int = FIRST_SEED,
    frames: int = 12, size: int = 128,
) -> dict[str, Fitted]:  # fmt: skip
    """The calibrations of a model: "predicted", and "refined" where it has a posterior of its own.

    Raises
    ------
    InputError : a model that cannot register.
    """
    if not {REGISTER, PAIR} & set(model.card.capabilities):
        raise InputError(f"The model '{model.card.name}' does not register; there is nothing to calibrate.")
    reporter = reporter or Reporter()
    stages = ["predicted", *(["refined"] if UNCERTAINTY in model.card.capabilities else [])]
    found = {}
    for number, stage in enumerate(stages):
        evidence = partial(_model_rows, model, stage == "refined")
        part = reporter.part(number / len(stages), (number + 1) / len(stages))
        count_of = 2 if REGISTER not in model.card.capabilities else frames
        found[stage] = _fitted(evidence, SLICES if model.card.ndim == 2 else VOLUMES, count, part, seed, count_of, size)
    return found


def _fitted(
    evidence: Callable[[Known, Reporter], Rows], kinds: Sequence[str], count: int, reporter: Reporter, seed: int,
    frames: int, size: int,
) -> Fitted:  # fmt: skip
    least = 1 if len(kinds) > 1 else 2
    if count < least:
        raise InputError(f"This calibration needs {least} or more cines of every kind, not {count}.")
    rows: dict[str, list[Rows]] = {kind: [] for kind in kinds}
    done = 0
    for kind in kinds:
        for number in range(count):
            part = reporter.part(done / (count * len(kinds)), (done + 1) / (count * len(kinds)))
            part(0.0, f"Calibrating on cines of known motion, {kind} {number + 1} of {count}")
            side = size if kind in SLICES else size // 2
            rows[kind].append(evidence(_of_frames(known_cine(seed + done, kind, max(frames, 6), side), frames), part))
            done += 1
    table = {}
    groups = rows if len(kinds) > 1 else {f"{kinds[0]} {n + 1}": [row] for n, row in enumerate(rows[kinds[0]])}
    for name, group in groups.items():
        others = [row for other in groups if other != name for row in groups[other]]
        table[name] = _figures(_fit(others), _pixels(group))
    on = {"kinds": list(kinds), "cines of each": count, "first seed": seed}
    return Fitted(_fit([row for each in rows.values() for row in each]), table, on)


def _of_frames(known: Known, frames: int) -> Known:
    """A pair of a cine: the first frame, and the one that moved most."""
    if frames > 2:
        return known
    length = np.linalg.norm(known.displacement, axis=1)[:, known.inside].mean(1)
    chosen = [0, int(length.argmax())]
    cine = Cine(known.cine.frames[chosen], known.cine.grid, name=known.cine.name)
    return Known(cine, known.displacement[chosen], known.inside)


def _refined_rows(
    model: zoo.Model | None, settings_of: Callable[[Grid], Refinement], known: Known, part: Reporter
) -> Rows:
    """Of a refinement that is done again, stiffer."""
    prepared, grid = plan(known.cine, 0), known.cine.grid
    start = still(prepared) if model is None else predict(prepared, model).without_covariance()
    refine_with, settings = partial(refined, prepared, start, None), settings_of(grid)
    displacement, _ = integrate(prepared, refine_with(settings, part.part(0.0, 0.5)))
    stiffer = refined_again(refine_with, settings, part.part(0.5, 1.0))
    raw = {"covariance": Calibration(), "change": Calibration(scale=0.0, change=1.0)}
    parts = {name: of_refinement(prepared, displacement, stiffer, each) for name, each in raw.items()}
    sides = np.diag(np.square(grid.array_spacing)).astype(np.float32).reshape(grid.ndim, grid.ndim, *[1] * grid.ndim)
    return _rows(known, displacement, {**parts, "voxel": np.broadcast_to(sides, parts["change"].shape)})


def _model_rows(model: zoo.Model, refining: bool, known: Known, part: Reporter) -> Rows:
    """Of what a model says of its prediction, or where it does not, of what it says of mirrored images."""
    prepared, settings = plan(known.cine, 0), refinement_of(True)
    predicted = predict(prepared, model, part.part(0.0, 0.2))
    if not predicted.is_uncertain:
        predicted = asked_again(prepared, model, predicted, part.part(0.2, 0.8))
    found: Transformation = predicted
    if refining and settings is not None:
        found = refined(prepared, predicted.without_covariance(), None, settings, part.part(0.2, 0.9))
    displacement, inverse = integrate(prepared, found)
    parts = {"covariance": covariances(prepared, predicted, None, Calibration())}
    if refining:
        parts["change"] = covariances(prepared, predicted, displacement, Calibration(scale=0.0, change=1.0))
    structure = structure_tensor(prepared.images[:1], known.cine.grid).cpu().numpy()
    parts["structure"] = np.broadcast_to(structure, parts["covariance"].shape)
    motion = Motion(known.cine.grid, 0, displacement, inverse, name=known.cine.name)
    quality = measured(Results(motion, known.cine), Calibration()).motion.quality
    return {**_rows(known, displacement, parts), "left": torch.tensor([each.error_after for each in quality[1:]])}


def _rows(known: Known, displacement: np.ndarray, parts: Mapping[str, np.ndarray]) -> Rows:
    """Some pixels of the moving frames inside, errors in mm and matrices ``[T, ndim, ndim, *spatial]`` alike."""
    grid = known.cine.grid
    scale = np.asarray(grid.array_spacing, np.float32).reshape(-1, *[1] * grid.ndim)
    error = (known.displacement - displacement) * scale
    count = (len(known.displacement) - 1) * int(known.inside.sum())
    chosen = np.random.default_rng(0).permutation(count)[:_PIXELS]

    def some(values: np.ndarray) -> torch.Tensor:
        inside = np.moveaxis(values[1:][..., known.inside], -1, 1).reshape(-1, *values.shape[1 : -grid.ndim])
        return torch.from_numpy(inside[chosen])

    return {"residual": some(error), **{name: some(values) for name, values in parts.items()}}


def _pixels(rows: Sequence[Rows]) -> Rows:
    return {name: torch.cat([row[name] for row in rows]) for name in rows[0] if name != "left"}


def _fit(rows: Sequence[Rows]) -> Calibration:
    """On pixels of all cines; what frames still differ by is known of models alone, which were made for some."""
    parts = _pixels(rows)
    evidence = (parts["residual"], parts["covariance"], parts.get("change"), parts.get("structure"))
    found = fitting.fit(*evidence, voxel=parts.get("voxel"))
    left = [row["left"] for row in rows if "left" in row]
    return replace(found, residual=float(np.percentile(torch.cat(left), _PERCENTILE))) if left else found


def _figures(calibration: Calibration, parts: Rows) -> dict[str, float]:
    """The coverage of ellipses, the area under the sparsification error as a share of that by chance, and the error."""
    weights = {name: parts.get(name) for name in ("change", "structure", "voxel")}
    covariance = calibration.of_matrices(parts["covariance"], **weights)
    found = fitting.reliability(parts["residual"], covariance, degrees=calibration.degrees)
    rows = {f"{level:.0%} ellipse": share for level, share in found.coverage.items()}
    rows |= {"AUSE of random": found.ause / found.ause_random, "error mm": found.mean_error}
    return {name: round(value, 4) for name, value in rows.items()}
