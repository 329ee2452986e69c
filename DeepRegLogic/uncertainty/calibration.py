"""Whether an uncertainty can be trusted: coverage, sparsification, rank correlation; and the scaling that mends it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import torch

from ..errors import InputError
from .gaussian import MATCHED, chi_squared_quantile, gaussian_nll, mahalanobis, probability_inside

LEVELS = (0.5, 0.8, 0.9, 0.95)
_DEGREES = (3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 25.0, math.inf)


@dataclass(frozen=True)
class Calibration:
    """What turns an estimate's covariance C into one that holds what it says.

    ``P = scale C + floor I + change S + voxel V`` is what is known before the images are looked at closely, and
    ``(P^-1 + structure G)^-1`` after: Bayes' rule for two normal distributions. S is there after a refinement only.

    Attributes
    ----------
    scale, floor : the floor in mm^2.
    change : of ``covariance.of_change``, the local second moments S of what the refinement changed; where a refinement
        was done again, what C is in the middle of all that moves.
    structure : of ``covariance.structure_tensor``, the local second moments G of the reference's gradient: edges pin
        the motion across them down.
    residual : the ``FrameQuality.error_after`` that 99 % of the synthetic frames stay below. A frame that fits worse is
        unlike what the model was made for, and its covariance grows with the square of that.
    voxel : of the voxel's sides squared, V, a diagonal matrix: no motion is known to much less than a voxel.
    degrees : of freedom of Student's distribution that the errors have; infinite where it is the normal one. The
        ellipses of 90 to 95 % are those of a normal distribution of this covariance all the same; for others see
        ``gaussian.squared_radius``.
    """

    scale: float = 1.0
    floor: float = 0.0
    change: float = 0.0
    structure: float = 0.0
    residual: float = math.inf
    voxel: float = 0.0
    degrees: float = math.inf

    def __post_init__(self) -> None:
        parts = (self.scale, self.floor, self.change, self.voxel)
        if not (min(*parts, self.structure) >= 0 and sum(parts) > 0 and min(self.residual, self.degrees) > 0):
            raise InputError(
                "A calibration needs a scale, a floor, a change, a structure and a voxel of 0 or more, and a positive "
                f"residual and positive degrees, not {self.scale}, {self.floor}, {self.change}, {self.structure}, "
                f"{self.voxel}, {self.residual} and {self.degrees}."
            )

    def __call__(
        self,
        covariance: torch.Tensor,
        change: torch.Tensor | None = None,
        structure: torch.Tensor | None = None,
        spacing: Sequence[float] = (),
    ) -> torch.Tensor:
        """The calibrated covariance ``[N, ndim, ndim, *spatial]`` in mm^2; the others have the same shape.

        ``spacing`` is that of the voxels in mm, in array order, where the calibration has a share of them.
        """
        axes = (1, 2), (-2, -1)
        change, structure = (None if part is None else part.movedim(*axes) for part in (change, structure))
        voxel = torch.diag(covariance.new_tensor(spacing).square()) if spacing else None
        return self.of_matrices(covariance.movedim(*axes), change, structure, voxel).movedim(*axes[::-1])

    def of_matrices(
        self,
        covariance: torch.Tensor,
        change: torch.Tensor | None = None,
        structure: torch.Tensor | None = None,
        voxel: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The same for matrices ``[..., ndim, ndim]``; ``voxel`` are diagonal ones of the voxels' sides squared."""
        weights = (self.scale, self.floor, self.change, self.structure, self.voxel)
        tensors = [covariance.new_tensor(weight) for weight in weights]
        return _combined(tensors, covariance, change, structure, voxel)

    def inflation(self, error_after: float) -> float:
        """By how much the covariance of a frame grows that differs so much from the reference after registration."""
        return max(1.0, error_after / self.residual) ** 2


def _combined(
    weights: Sequence[torch.Tensor],
    covariance: torch.Tensor,
    change: torch.Tensor | None,
    structure: torch.Tensor | None,
    voxel: torch.Tensor | None,
) -> torch.Tensor:
    """The formula of ``Calibration`` for matrices ``[..., ndim, ndim]``."""
    scale, floor, of_change, of_structure, of_voxel = weights
    known = scale * covariance + floor * torch.eye(covariance.shape[-1]).to(covariance)
    if change is not None:
        known = known + of_change * change
    if voxel is not None:
        known = known + of_voxel * voxel
    if structure is None or not of_structure > 0:
        return known
    # (P^-1 + G)^-1 = P (I + G P)^-1, which needs no inverse of P
    eye = torch.eye(known.shape[-1]).to(known)
    found = torch.linalg.solve(eye + of_structure * structure @ known, known, left=False)
    return 0.5 * (found + found.mT)


def fit(
    residual: torch.Tensor,
    covariance: torch.Tensor,
    change: torch.Tensor | None = None,
    structure: torch.Tensor | None = None,
    level: float = MATCHED,
    voxel: torch.Tensor | None = None,
) -> Calibration:
    """The calibration for known errors: most likely shape, and of a size that ``level`` of them lie in that ellipse.

    The degrees of freedom are those with which the ellipses of 50, 80, 90 and 95 % hold most nearly what they say.

    Parameters
    ----------
    residual : ``[N, ndim]`` true minus estimated displacement in mm, of N pixels.
    covariance : ``[N, ndim, ndim]`` in mm^2, as the model gives it.
    change, structure : ``[N, ndim, ndim]``, as ``Calibration`` takes them, or None.
    level : the coverage that is met exactly; the default is between the 90 and 95 % that are mostly read.
    voxel : ``[N, ndim, ndim]`` diagonal, the voxels' sides squared: then the floor is a share of them, not of 1 mm^2.
    """
    residual, covariance = residual.double(), covariance.double()
    change, structure, voxel = (None if part is None else part.double() for part in (change, structure, voxel))
    error = float(residual.square().mean())

    def size(part: torch.Tensor) -> float:
        return max(float(part.diagonal(dim1=1, dim2=2).mean()), 1e-12)

    # every part starts with a share of the error
    start = [error / size(covariance), 0.1 * error if voxel is None else 0.0]
    start.append(0.0 if change is None else error / size(change))
    start.append(0.0 if structure is None else 0.1 / (error * size(structure)))
    start.append(0.0 if voxel is None else 0.1 * error / size(voxel))
    first = torch.tensor(start, dtype=torch.float64)
    steps = torch.zeros_like(first, requires_grad=True)
    optimiser = torch.optim.LBFGS([steps], max_iter=60, line_search_fn="strong_wolfe")

    def weights() -> torch.Tensor:
        # between e^-6 and e^6 of the first, so that no trial of the line search leaves what can be computed
        return first * (6 * (steps / 6).tanh()).exp()

    def modelled() -> torch.Tensor:
        return _combined(weights().unbind(), covariance, change, structure, voxel)

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss = gaussian_nll(residual, modelled()).mean()
        loss.backward()
        return loss

    optimiser.step(closure)
    with torch.no_grad():
        squared = mahalanobis(residual, modelled())
        rank = max(math.ceil(level * len(squared)), 1)
        factor = float(squared.kthvalue(rank).values) / chi_squared_quantile(level, residual.shape[1])
        scale, floor, of_change, of_structure, of_voxel = weights().tolist()
        degrees = min(_DEGREES, key=lambda each: _off(squared / factor, residual.shape[1], each))
    return Calibration(
        scale=factor * scale,
        floor=factor * floor,
        change=factor * of_change,
        structure=of_structure / factor,
        voxel=factor * of_voxel,
        degrees=degrees,
    )


def _off(squared: torch.Tensor, ndim: int, degrees: float, levels: Sequence[float] = LEVELS) -> float:
    """Mean difference of the ellipses' coverage from what it should be, of squared lengths of errors."""
    inside = probability_inside(squared, ndim, degrees)
    return sum(abs(float((inside <= level).double().mean()) - level) for level in levels) / len(levels)


@dataclass(frozen=True)
class Reliability:
    """How an uncertainty compares with the true errors.

    Attributes
    ----------
    coverage : level -> fraction of errors inside that error ellipse (or ellipsoid).
    calibration_error : mean of ``|coverage - level|`` over the levels 5, 10, ... 95 %.
    ause : area between the sparsification curve and the oracle's, both as fractions of the mean error.
    ause_random : the same for a ranking by chance.
    rank_correlation : Spearman's, between the predicted deviation (root of the trace) and the length of the error.
    curves : removed fraction -> mean remaining error by uncertainty, and by the oracle, as fractions of the mean.
    mean_error, mean_deviation : in mm: mean length of the error, and root of the mean trace.
    """

    coverage: dict[float, float]
    calibration_error: float
    ause: float
    ause_random: float
    rank_correlation: float
    mean_error: float
    mean_deviation: float
    curves: dict[str, list[float]] = field(repr=False)

    def table(self) -> dict[str, object]:
        """The figures as JSON-able values, without the curves."""
        return {key: value for key, value in asdict(self).items() if key != "curves"}


def reliability(
    residual: torch.Tensor, covariance: torch.Tensor, levels: Sequence[float] = LEVELS, degrees: float = math.inf
) -> Reliability:
    """Compare errors ``[N, ndim]`` in mm with covariances ``[N, ndim, ndim]`` in mm^2 of so many degrees."""
    probability = probability_inside(mahalanobis(residual, covariance), residual.shape[1], degrees)
    error = residual.norm(dim=1)
    deviation = covariance.diagonal(dim1=1, dim2=2).sum(1).clamp(min=0).sqrt()
    steps = torch.arange(0.05, 0.96, 0.05)
    found = torch.stack([(probability <= level).float().mean() for level in steps])
    by_uncertainty, oracle = _sparsified(error, deviation), _sparsified(error, error)
    return Reliability(
        coverage={float(level): float((probability <= level).float().mean()) for level in levels},
        calibration_error=float((found - steps).abs().mean()),
        ause=float((by_uncertainty - oracle).mean()),
        ause_random=float((1 - oracle).mean()),
        rank_correlation=spearman(deviation, error),
        mean_error=float(error.mean()),
        mean_deviation=float(deviation.square().mean().sqrt()),
        curves={"uncertainty": by_uncertainty.tolist(), "oracle": oracle.tolist()},
    )


def _sparsified(error: torch.Tensor, ranking: torch.Tensor, points: int = 50) -> torch.Tensor:
    """Mean of the errors that remain when the highest ranked 0, 2, 4 ... 98 % are taken out, over the mean of all."""
    ordered = error[ranking.argsort()].double()
    remaining = ordered.cumsum(0) / torch.arange(1, len(ordered) + 1)
    kept = (len(ordered) * (1 - torch.arange(points) / points)).ceil().long().clamp(1, len(ordered)) - 1
    return remaining[kept] / ordered.mean()


def spearman(a: torch.Tensor, b: torch.Tensor) -> float:
    """Rank correlation of two vectors (ties in the order they come)."""
    ranks = [x.argsort().argsort().double() for x in (a, b)]
    ranks = [r - r.mean() for r in ranks]
    return float((ranks[0] * ranks[1]).sum() / (ranks[0].norm() * ranks[1].norm()))
