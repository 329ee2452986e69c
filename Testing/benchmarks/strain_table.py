"""Strain of phantoms whose strain is known, by several registrations through the same code.

    python Testing/benchmarks/strain_table.py --methods default greedy demons --cases 4 --output out/strain

Cases are those of ``independent`` (development seeds from 0). The truth is ``strain_of`` of their exact motion. For
every method: mean absolute errors at end-systole of global strain (mean of the tensor) and of segments in percent
points, of the time to peak in frames, and, of motions with a covariance, how often 90 % intervals hold the truth, and
over which length errors in the wall are alike.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from independent.cases import Case, make
from independent.methods import PEERS
from independent.methods.ours import _cine, _options
from independent.table import Row, write_csv

from DeepRegLogic import Labels, Motion, Results, register_cine
from DeepRegLogic.results.strain import HeartSettings, Strain, strain_of

DIRECTIONS = {"short-axis": ("circumferential", "radial"), "stack": ("circumferential", "radial", "longitudinal")}
LONG = ("longitudinal", "radial")
GLOBAL = {"circumferential": "GCS", "radial": "GRS", "longitudinal": "GLS"}
LAGS = range(1, 13)


def motion_of(case: Case, method: str) -> Motion:
    """The motion by a method; "truth" is the case's own."""
    cine = _cine(case.frames, case.spacing, case.times)
    if method == "truth":
        return Motion(cine.grid, 0, case.forward, case.inverse, case.times, cyclic=case.cyclic)
    if method in PEERS:
        found = PEERS[method].run(case.frames, case.spacing, case.times)
        inverse = found.forward * 0 if found.inverse is None else found.inverse
        return Motion(cine.grid, 0, found.forward, inverse, case.times, cyclic=case.cyclic)
    return replace(register_cine(cine, reference=0, device="cpu", **_options(method)), cyclic=case.cyclic)


def strain(case: Case, motion: Motion) -> Strain:
    labels = Labels.of_map(case.labels[0], {1: "LV blood", 2: "LV myocardium", 3: "RV blood", 4: "LA", 5: "RA"})
    cine = _cine(case.frames, case.spacing, case.times)
    return strain_of(Results(motion, cine, labels), HeartSettings())


def errors(case: Case, truth: Strain, found: Strain, method: str) -> Row:
    """The figures of one method on one case."""
    row: Row = {"kind": case.kind, "seed": case.seed, "method": method}
    held = []
    end = truth.systole
    for direction in DIRECTIONS.get(case.kind, LONG):
        name = GLOBAL[direction]
        true, ours = truth.curve(name), found.curve(name)
        row[f"{name}_error"] = abs(ours.values[end] - true.values[end])
        row[f"{name}_bias"] = ours.values[end] - true.values[end]
        times = [s.figure(name, "peak").frame for s in (truth, found)]
        row[f"{name}_peak_frames"] = abs(times[0] - times[1])
        keys = [key for key in truth.segment_curves if key[1] == direction]
        parts = [(truth.segment_curves[key], found.segment_curves[key]) for key in keys]
        row[f"segment_{direction}_error"] = float(np.mean([abs(b.values[end] - a.values[end]) for a, b in parts]))
        if ours.interval is not None:
            row[f"{name}_held"] = _held(true, ours)
            held += [_held(a, b) for a, b in parts]
    if held:
        row["segments_held"] = float(np.mean(held))
    return row


def _held(true, ours) -> float:
    inside = (ours.interval[:, 0] <= true.values) & (true.values <= ours.interval[:, 1])
    return float(inside[1:].mean())


def correlation(case: Case, motion: Motion) -> np.ndarray:
    """Correlation of the displacement's errors in the wall at distances of ``LAGS`` pixels in the plane."""
    error = (motion.displacement - case.forward) * np.reshape(case.spacing, (-1, *[1] * len(case.spacing)))
    wall, found = case.masks["wall"], []
    for lag in LAGS:
        products, first, second = 0.0, 0.0, 0.0
        for axis in (-1, -2):
            n = error.shape[axis]
            a, b = (np.take(error[1:], range(*ends), axis) for ends in ((0, n - lag), (lag, n)))
            both = np.take(wall, range(n - lag), axis) & np.take(wall, range(lag, n), axis)
            products += (a * b)[..., both].sum()
            first += np.square(a[..., both]).sum()
            second += np.square(b[..., both]).sum()
        found.append(products / np.sqrt(first * second))
    return np.array(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", nargs="+", default=["default", "greedy", "demons"])
    parser.add_argument("--kinds", nargs="+", default=["short-axis"])
    parser.add_argument("--cases", type=int, default=3)
    parser.add_argument("--frames", type=int)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    rows: list[Row] = []
    lengths: dict[str, list[float]] = {}
    for kind in arguments.kinds:
        for seed in range(arguments.cases):
            case = make(kind, seed, arguments.frames)
            truth = strain(case, motion_of(case, "truth"))
            for method in arguments.methods:
                motion = motion_of(case, method)
                rows.append(errors(case, truth, strain(case, motion), method))
                alike = np.clip(correlation(case, motion), 1e-3, 0.999)
                distances = np.array(LAGS) * case.spacing[-1]
                near = alike > 0.3
                if near.any():
                    length = np.sqrt(np.mean(distances[near] ** 2) / (2 * np.mean(-np.log(alike[near]))))
                    lengths.setdefault(method, []).append(float(length))
                print({k: round(v, 3) if isinstance(v, float) else v for k, v in rows[-1].items()}, flush=True)
    arguments.output.mkdir(parents=True, exist_ok=True)
    write_csv(rows, arguments.output / "strain.csv")
    for kind in arguments.kinds:
        for method in arguments.methods:
            own = [row for row in rows if (row["kind"], row["method"]) == (kind, method)]
            figures = [key for key in own[0] if key not in ("kind", "seed", "method")]
            means = {key: round(float(np.mean([row[key] for row in own if key in row])), 2) for key in figures}
            print(f"{kind}, {method} (n = {len(own)}): {means}")
    for method, found in lengths.items():
        print(f"{method}: errors in the wall are alike over {np.median(found):.1f} mm (median)")


if __name__ == "__main__":
    main()
