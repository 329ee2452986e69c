"""What makes two images alike: ``SIMILARITIES`` by name, for training, refinement, the command line and the panel.

An entry is added by one decorated function:

    @similarity("mse", "Squared difference", squared_intensity=True)
    def mse(moved, fixed, window=9, floor=0.0): ...

Light to import: the panel names the entries where torch may be missing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from .registry import Registry

if TYPE_CHECKING:
    import torch


class Measure(Protocol):
    """How unlike two images ``[N, 1, *spatial]`` of one shape are, as a scalar; differentiable.

    There may be one fixed image for all moved ones.
    ``window`` is the side in voxels (odd; one, or one an axis) and ``floor`` the noise floor of measures that look at
    neighbourhoods; others take no notice of them.
    """

    def __call__(
        self, moved: torch.Tensor, fixed: torch.Tensor, window: int | Sequence[int] = 9, floor: float = 1e-7
    ) -> torch.Tensor: ...


@dataclass(frozen=True)
class Similarity:
    """An entry of ``SIMILARITIES``.

    Attributes
    ----------
    title : what a user calls it.
    measure : see ``Measure``; smaller is more alike.
    squared_intensity : whether its unit is a squared intensity: it is then divided by the variance of the fixed image,
        so that the weights of regularisers mean the same for every image.
    weight : its usual weight in a refinement, with which the usual weights of regularisers suit every measure.
    """

    title: str
    measure: Measure
    squared_intensity: bool = False
    weight: float = 1.0

    def __call__(
        self, moved: torch.Tensor, fixed: torch.Tensor, window: int | Sequence[int] = 9, floor: float = 1e-7
    ) -> torch.Tensor:
        """The measure without a unit."""
        value = self.measure(moved, fixed, window, floor)
        return value / (fixed.var(correction=0) + 1e-6) if self.squared_intensity else value


SIMILARITIES: Registry[Similarity] = Registry("similarity")


def similarity(
    name: str, title: str, squared_intensity: bool = False, weight: float = 1.0
) -> Callable[[Measure], Measure]:
    """Add a measure to ``SIMILARITIES``."""

    def add(measure: Measure) -> Measure:
        SIMILARITIES.add(name, Similarity(title, measure, squared_intensity, weight))
        return measure

    return add


def local_correlation(
    a: torch.Tensor, b: torch.Tensor, window: int | Sequence[int] = 9, floor: float = 1e-7
) -> torch.Tensor:
    """Squared local correlation coefficient of images ``[N, 1, *spatial]``, or of N and one: 1 equal, 0 unrelated.

    The correlation is taken in the window of ``window`` voxels (odd; one, or one an axis) a side around every voxel
    (Avants et al. 2008); a window that reaches over the border holds the voxels inside only. Where the product
    of the two variances falls below ``floor`` the correlation fades to 0: a flat image correlates with nothing, and
    noise below that level counts for little.
    """
    import torch

    from . import flow

    widths = [window] * (a.ndim - 2) if isinstance(window, int) else window

    def windowed(values: torch.Tensor) -> torch.Tensor:
        for axis, width in enumerate(widths, start=2):
            values = flow.along(flow.mean_matrix(values.shape[axis], width, values.device), values, axis)
        return values

    a, b = a.float(), b.float()
    # about the mean of the whole image, so that the small variances below are not differences of large numbers
    axes = tuple(range(1, a.ndim))
    a, b = a - a.mean(axes, keepdim=True), b - b.mean(axes, keepdim=True)
    mean_a, mean_aa, mean_ab = windowed(torch.cat([a, a * a, a * b], dim=1)).split(1, dim=1)
    mean_b, mean_bb = windowed(torch.cat([b, b * b], dim=1)).split(1, dim=1)
    variance_a, variance_b = (mean_aa - mean_a**2).clamp(min=0), (mean_bb - mean_b**2).clamp(min=0)
    covariance = mean_ab - mean_a * mean_b
    return (covariance**2 / (variance_a * variance_b + floor)).clamp(max=1)


@similarity("lncc", "Local correlation (brightness may change)", weight=15.0)
def lncc(
    moved: torch.Tensor, fixed: torch.Tensor, window: int | Sequence[int] = 9, floor: float = 1e-7
) -> torch.Tensor:
    """One minus the mean of ``local_correlation``: 0 for equal images, 1 for unrelated ones.

    Examples
    --------
    >>> import torch
    >>> image = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    >>> round(float(lncc(2 * image + 3, image)), 3)
    0.0
    """
    return 1 - local_correlation(moved, fixed, window, floor).mean()


@similarity("robust-lncc", "Local correlation, robust (brightness may change)", weight=12.0)
def robust_lncc(
    moved: torch.Tensor, fixed: torch.Tensor, window: int | Sequence[int] = 9, floor: float = 1e-7
) -> torch.Tensor:
    """One minus the mean square of ``local_correlation``: 0 for equal images, 1 for unrelated ones.

    ``lncc`` strives for correlation everywhere alike; this strives in proportion to the correlation that there is. So
    it follows tissue, whose windows agree, and gives up what cannot agree: flowing blood, noise, what moves through
    the plane.
    """
    return 1 - local_correlation(moved, fixed, window, floor).square().mean()


@similarity("mse", "Squared difference", squared_intensity=True, weight=15.0)
def mse(moved: torch.Tensor, fixed: torch.Tensor, window: int | Sequence[int] = 9, floor: float = 1e-7) -> torch.Tensor:
    """Mean squared difference of two images ``[N, 1, *spatial]``, over everything."""
    return (moved - fixed).square().mean()


@similarity("ncc", "Global correlation (one line of grey values)", weight=15.0)
def ncc(moved: torch.Tensor, fixed: torch.Tensor, window: int | Sequence[int] = 9, floor: float = 1e-7) -> torch.Tensor:
    """One minus the correlation coefficient over the whole image: 0 for ``a image + b`` with a > 0."""
    axes = tuple(range(1, moved.ndim))
    a, b = moved - moved.mean(axes, keepdim=True), fixed - fixed.mean(axes, keepdim=True)
    scale = (a.square().mean(axes) * b.square().mean(axes) + floor).sqrt()
    return (1 - (a * b).mean(axes) / scale).mean()


def _windows(image: torch.Tensor, bins: int) -> torch.Tensor:
    """How much of each voxel falls into each bin ``[N, bins, *spatial]``: triangles from centre to centre, sum 1."""
    import torch

    axes = tuple(range(1, image.ndim))
    low, high = image.detach().amin(axes, keepdim=True), image.detach().amax(axes, keepdim=True)
    place = (image - low) / (high - low).clamp(min=1e-6) * (bins - 1)
    centres = torch.arange(bins, device=image.device, dtype=image.dtype).view(1, -1, *[1] * (image.ndim - 2))
    return (1 - (place - centres).abs()).clamp(min=0)


def _information(joint: torch.Tensor) -> torch.Tensor:
    """Mutual information in nats of joint distributions ``[..., bins, bins]`` that sum to 1."""
    independent = joint.sum(-1, keepdim=True) * joint.sum(-2, keepdim=True)
    return (joint * ((joint + 1e-10) / (independent + 1e-10)).log()).sum((-2, -1))


@similarity("mi", "Mutual information (other modality)", weight=2.0)
def mutual_information(
    moved: torch.Tensor, fixed: torch.Tensor, window: int | Sequence[int] = 9, floor: float = 1e-7
) -> torch.Tensor:
    """Minus the mutual information in nats of the grey values (Viola and Wells 1997), by a joint histogram of 32 bins.

    A voxel counts in the two bins nearest to it, so that the histogram is differentiable.
    """
    import torch

    a, b = (_windows(image, 32).flatten(2) for image in (moved, fixed.expand_as(moved)))
    return -_information(torch.einsum("nip,njp->nij", a, b) / a.shape[2]).mean()


@similarity("local-mi", "Local mutual information (other modality, shading)", weight=4.0)
def local_mutual_information(
    moved: torch.Tensor, fixed: torch.Tensor, window: int | Sequence[int] = 9, floor: float = 1e-7
) -> torch.Tensor:
    """Minus the mean mutual information of blocks of three windows a side, of 8 bins (Studholme et al. 2006)."""
    import torch.nn.functional as F

    ndim, bins = moved.ndim - 2, 8
    sides = [window] * ndim if isinstance(window, int) else list(window)
    sides = [min(3 * side, n) for side, n in zip(sides, moved.shape[2:], strict=True)]
    pool = F.avg_pool2d if ndim == 2 else F.avg_pool3d
    a, b = (_windows(image, bins) for image in (moved, fixed.expand_as(moved)))
    joint = pool((a[:, :, None] * b[:, None]).flatten(1, 2), sides, ceil_mode=True, count_include_pad=False)
    return -_information(joint.unflatten(1, (bins, bins)).movedim((1, 2), (-2, -1))).mean()


@similarity("mind", "Self-similarity, MIND-SSC (other modality)", weight=15.0)
def mind(
    moved: torch.Tensor, fixed: torch.Tensor, window: int | Sequence[int] = 9, floor: float = 1e-7
) -> torch.Tensor:
    """Mean squared difference of ``descriptors.self_similarity`` (Heinrich et al. 2013)."""
    from .descriptors import self_similarity

    return (self_similarity(moved) - self_similarity(fixed)).square().mean()
