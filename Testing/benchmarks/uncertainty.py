"""Whether the uncertainty can be trusted: coverage of error ellipses, sparsification, rank correlation.

    python Testing/benchmarks/uncertainty.py --kinds short-axis four-chamber stack vessel  # another generator
    python Testing/benchmarks/uncertainty.py --json uncertainty.json --figure uncertainty.png  # our phantoms

Calibrations are fitted by ``python -m DeepRegLogic calibrate`` on cines of ``DeepRegLogic.synthetic``. With ``--kinds``
they are tested on cases of ``independent``, which shares nothing with it: its development seeds, or with ``--first-seed
10000`` its test seeds. Without, on phantoms of unseen seeds, beside models that get an uncertainty by sampling (a
probabilistic VoxelMorph, mirrored images, dropout, an ensemble of networks) and a calibration fitted on the same cines.
All pixels inside the organ of all frames but the reference count.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import real_cines
import SimpleITK as sitk
import torch
from scipy.stats import ttest_rel

from DeepRegLogic import Cine, Grid, Motion, flow, register_cine, register_pair, uncertainty, zoo
from DeepRegLogic.registration.prepare import scaled
from DeepRegLogic.synthetic import Phantom, cine_phantom
from DeepRegLogic.uncertainty import calibration

FIT_SEED, FIRST_SEED = 1_500_000, 2_500_000
PIXELS = 4000

Estimate = Callable[[Phantom], tuple[np.ndarray, np.ndarray]]
"""A phantom to displacement ``[T, 2, H, W]`` in voxels and covariance ``[T, 2, 2, H, W]`` in mm^2, reference 0."""


def ours(model: str, refine: bool) -> Estimate:
    """By a model of the zoo."""

    def estimate(phantom: Phantom) -> tuple[np.ndarray, np.ndarray]:
        motion = register_cine(phantom.cine, model, reference=0, refine=refine)
        return motion.displacement, motion.covariance

    return estimate


def by_sampling(kind: str, models: list[str], draws: int) -> Estimate:
    networks = [zoo.load_model(model).network for model in models]

    @torch.inference_mode()
    def estimate(phantom: Phantom) -> tuple[np.ndarray, np.ndarray]:
        images = scaled(phantom.cine, (slice(None),) * 2)
        pair = images[:1], images[None, 1:]
        draw = {
            "flips": lambda: uncertainty.flips(
                lambda images: flow.exp(networks[0](images[:1], images[None, 1:])[0]), images
            ),
            "dropout": lambda: uncertainty.dropout(networks[0], *pair),
            "ensemble": lambda: lambda k: flow.exp(networks[k](*pair)[0]),
            "drawn": lambda: uncertainty.drawn(networks[0], *pair),
        }[kind]()
        mean, covariance = uncertainty.sampled(draw, draws)
        covariance = uncertainty.to_mm2(covariance, phantom.cine.grid)
        zero = torch.zeros_like
        return torch.cat([zero(mean[:1]), mean]).numpy(), torch.cat([zero(covariance[:1]), covariance]).numpy()

    return estimate


def pixels(estimate: Estimate, seeds: range) -> tuple[torch.Tensor, torch.Tensor]:
    """Errors ``[N, 2]`` in mm and covariances ``[N, 2, 2]`` of some pixels in the hearts."""
    errors, covariances = [], []
    for seed in seeds:
        phantom = cine_phantom(seed, ("short-axis", "four-chamber")[seed % 2])
        displacement, covariance = estimate(phantom)
        error = (phantom.motion.displacement - displacement) * phantom.cine.grid.spacing[0]
        errors.append(_chosen(phantom, seed, error[:, None])[..., 0, :])
        covariances.append(_chosen(phantom, seed, covariance))
    return torch.cat(errors), torch.cat(covariances)


def _chosen(phantom: Phantom, seed: int, values: np.ndarray) -> torch.Tensor:
    """Some pixels ``[N, a, b]`` in the heart, always the same of a seed, of ``[T, a, b, H, W]``."""
    return _some(values, phantom.heart, seed)


def _some(values: np.ndarray, mask: np.ndarray, seed: int) -> torch.Tensor:
    inside = np.moveaxis(values[1:][..., mask], -1, 1).reshape(-1, *values.shape[1:3])
    return torch.from_numpy(inside[np.random.default_rng(seed).permutation(len(inside))[:PIXELS]]).float()


def across(
    methods: dict[str, Callable[[Cine], Motion]], kinds: list[str], seeds: range
) -> dict[str, dict[str, object]]:
    """What methods reach on cases of the other generator: kind -> method -> figures."""
    from independent import cases

    found: dict[str, dict[str, object]] = {}
    for kind in kinds:
        rows: dict[str, list[tuple[torch.Tensor, torch.Tensor, float]]] = {name: [] for name in methods}
        for seed in seeds:
            case = cases.make(kind, seed, frames=6 if kind == "stack" else 12)
            cine = Cine(case.frames, Grid.of_array(case.frames.shape[1:], case.spacing), name=f"{kind} {seed}")
            for name, method in methods.items():
                motion = method(cine)
                scale = np.reshape(case.spacing, (-1, *[1] * cine.grid.ndim))
                error = (case.forward - motion.displacement) * scale
                chosen = [_some(values, case.masks["organ"], seed) for values in (error[:, None], motion.covariance)]
                degrees = motion.provenance["degrees_of_freedom"] or math.inf
                rows[name].append((chosen[0][..., 0, :], chosen[1], degrees))
        found[kind] = {
            name: calibration.reliability(
                torch.cat([row[0] for row in each]), torch.cat([row[1] for row in each]), degrees=each[0][2]
            )
            for name, each in rows.items()
        }
        show({f"{kind}, {name}": result for name, result in found[kind].items()})
    return {kind: {name: result.table() for name, result in each.items()} for kind, each in found.items()}


HEAD = f"{'':44}{'error mm':>9}{'50':>7}{'80':>7}{'90':>7}{'95':>7}{'ECE':>7}{'AUSE/random':>12}{'rank':>7}"


def show(results: dict[str, calibration.Reliability]) -> None:
    for name, result in results.items():
        coverage = "".join(f"{value:7.3f}" for value in result.coverage.values())
        ause = result.ause / result.ause_random
        row = f"{name:44}{result.mean_error:9.3f}{coverage}{result.calibration_error:7.3f}{ause:12.3f}"
        print(f"{row}{result.rank_correlation:7.3f}", flush=True)


Case = tuple[str, Callable[[], Motion], int, np.ndarray]
"""The phase of the reference, the motion from it, a frame, and the chambers' blood in the reference."""


def phantom_cases(model: str, refine: bool, seeds: range) -> Iterator[Case]:
    for seed in seeds:
        phantom = cine_phantom(seed, ("short-axis", "four-chamber")[seed % 2])
        systole = int((phantom.labels == 1).sum((1, 2)).argmin())
        for phase, reference, frame in (("ED", 0, systole), ("ES", systole, 0)):
            blood = np.isin(phantom.labels[reference], (1, 3, 4, 5))
            yield phase, partial(register_cine, phantom.cine, model, reference, refine=refine), frame, blood


def real_cases(model: str, refine: bool, data: Path) -> Iterator[Case]:
    """The blood is the bright part of the drawn ventricle: its contour goes around the papillary muscles."""
    for cine, diastole, systole, *masks in real_cines.cines(data):
        for phase, reference, frame, mask in (("ED", diastole, systole, masks[0]), ("ES", systole, diastole, masks[1])):
            register = partial(register_cine, cine, model, reference, refine=refine)
            yield phase, register, frame, _blood(cine.frames[reference], mask)
    for diastole, systole, *masks in real_cines.pairs(data):
        for phase, images, mask in (("ED", (diastole, systole), masks[0]), ("ES", (systole, diastole), masks[1])):
            register = partial(register_pair, *images, model, refine=refine)
            yield phase, register, 1, _blood(images[0].frames[0], mask)


def _blood(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """What of the mask is brighter than Otsu's threshold of the image in it and its surroundings."""
    around = sitk.BinaryDilate(sitk.GetImageFromArray(mask.astype(np.uint8)), (4, 4))
    found = sitk.OtsuThreshold(sitk.GetImageFromArray(image.astype(np.float32)), around, 0, 1, 128, True, 1)
    return mask & (sitk.GetArrayFromImage(found) == 1)


def entropies(cases: Iterator[Case]) -> dict[str, dict[str, float]]:
    """Mean entropy inside the chambers and at their boundaries, and the paired test (Table 2 of Zakeri et al. 2023)."""
    found: dict[str, list[tuple[float, float]]] = {"ED": [], "ES": []}
    for phase, register, frame, blood in cases:
        values = uncertainty.entropy(register().covariance)[frame]
        wide, narrow = (
            torch.nn.functional.max_pool2d(torch.from_numpy(m).float()[None], 5, 1, 2)[0].numpy() > 0
            for m in (blood, ~blood)
        )
        boundary, inside = wide & narrow, blood & ~narrow
        if inside.sum() > 20:
            found[phase].append((values[inside].mean(), values[boundary].mean()))
    table = {}
    for phase, pairs in found.items():
        inside, boundary = np.transpose(pairs)
        t, p = ttest_rel(boundary, inside, alternative="less")
        table[phase] = {
            "inside": inside.mean(), "boundary": boundary.mean(), "subjects": len(pairs), "t": t, "p": p,
        }  # fmt: skip
    return table


def draw(results: dict[str, calibration.Reliability], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure((10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot([0, 1], [0, 1], color="0.6", linewidth=1)
    for name, result in results.items():
        left.plot(list(result.coverage), list(result.coverage.values()), "o-", label=name, markersize=3)
        removed = np.arange(len(result.curves["oracle"])) / len(result.curves["oracle"])
        (line,) = right.plot(removed, result.curves["uncertainty"], label=f"{name}")
        right.plot(removed, result.curves["oracle"], color=line.get_color(), linestyle=":", linewidth=1)
    left.set(
        xlabel="error ellipse",
        ylabel="fraction of true errors inside",
        title="Reliability",
        xlim=(0.4, 1),
        ylim=(0.4, 1),
    )
    right.set(
        xlabel="most unsure pixels taken out",
        ylabel="mean error / mean of all",
        title="Sparsification (dotted: oracle)",
    )
    left.legend(fontsize=7)
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="dragnet-cardiac")
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--fit-seeds", type=int, default=64, help="cines that sampling is calibrated on")
    parser.add_argument("--kinds", nargs="+", default=[], help="kinds of cases of the other generator")
    parser.add_argument("--models", nargs="+", default=["tlrn-cardiac", "dragnet-cardiac"], help="for --kinds")
    parser.add_argument("--cases", type=int, default=2, help="of every kind")
    parser.add_argument("--first-seed", type=int, default=50)
    parser.add_argument("--no-sampling", action="store_true", help="leave the sampling models out")
    parser.add_argument("--no-entropy", action="store_true", help="leave chambers and boundaries out")
    parser.add_argument("--data", type=Path, help="the folder of real cines and pairs, for the entropies")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--figure", type=Path)
    arguments = parser.parse_args()
    fitting = range(FIT_SEED, FIT_SEED + arguments.fit_seeds)
    print(HEAD)
    if arguments.kinds:
        methods = {}
        for model in arguments.models:
            methods[f"{model}, network alone"] = partial(
                register_cine, model=model, reference=0, refine=False, uncertainty=True
            )
        methods["refined"] = partial(register_cine, reference=0, uncertainty=True)
        table = across(methods, arguments.kinds, range(arguments.first_seed, arguments.first_seed + arguments.cases))
        if arguments.json:
            arguments.json.write_text(json.dumps(table, indent=2, default=float) + "\n")
        return
    seeds = range(FIRST_SEED, FIRST_SEED + arguments.seeds)
    results = {
        f"{arguments.model}, network alone": calibration.reliability(*pixels(ours(arguments.model, False), seeds)),
        f"{arguments.model}, refined": calibration.reliability(*pixels(ours(arguments.model, True), seeds)),
    }
    if not arguments.no_sampling:
        cardiac = [card.name for card in zoo.list_models() if card.name.endswith("-cardiac")]
        kinds = {
            "drawn": ("drawn", ["voxelmorph-probabilistic"], 16),
            "flips": ("flips", ["voxelmorph-cardiac"], 4),
            "dropout": ("dropout", ["voxelmorph-cardiac"], 16),
            "ensemble": ("ensemble", cardiac, len(cardiac)),
        }
        for name, settings in kinds.items():
            estimate = by_sampling(*settings)
            fitted = calibration.fit(*pixels(estimate, fitting))
            error, covariance = pixels(estimate, seeds)
            calibrated = fitted(covariance[..., None])[..., 0]
            results[f"{name} ({', '.join(settings[1])})"] = calibration.reliability(error, calibrated)
    show(results)
    content: dict[str, object] = {name: result.table() for name, result in results.items()}
    if not arguments.no_entropy:
        table = {}
        for stage, refine in (("network alone", False), ("refined", True)):
            table[f"phantoms, {stage}"] = entropies(phantom_cases(arguments.model, refine, seeds))
            if arguments.data:
                table[f"real, {stage}"] = entropies(real_cases(arguments.model, refine, arguments.data))
        content["entropy"] = table
        print(json.dumps(table, indent=1, default=float))
    if arguments.figure:
        draw(results, arguments.figure)
    if arguments.json:
        arguments.json.write_text(json.dumps(content, indent=2, default=float) + "\n")


if __name__ == "__main__":
    main()
