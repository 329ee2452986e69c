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
    squared_intensity : whether its unit is a squared intensity: a refinement then divides it by the variance of the
        fixed image, so that the weights of regularisers mean the same for every image.
    """

    title: str
    measure: Measure
    squared_intensity: bool = False

    def __call__(
        self, moved: torch.Tensor, fixed: torch.Tensor, window: int | Sequence[int] = 9, floor: float = 1e-7
    ) -> torch.Tensor:
        """The measure without a unit."""
        value = self.measure(moved, fixed, window, floor)
        return value / (fixed.var() + 1e-6) if self.squared_intensity else value


SIMILARITIES: Registry[Similarity] = Registry("similarity")


def similarity(name: str, title: str, squared_intensity: bool = False) -> Callable[[Measure], Measure]:
    """Add a measure to ``SIMILARITIES``."""

    def add(measure: Measure) -> Measure:
        SIMILARITIES.add(name, Similarity(title, measure, squared_intensity))
        return measure

    return add


def local_correlation(
    a: torch.Tensor, b: torch.Tensor, window: int | Sequence[int] = 9, floor: float = 1e-7
) -> torch.Tensor:
    """Squared local correlation coefficient of images ``[N, 1, *spatial]``, of the same shape: 1 equal, 0 unrelated.

    The correlation is taken in the window of ``window`` voxels (odd; one, or one an axis) a side around every voxel
    (Avants et al. 2008); a window that reaches over the border holds the voxels inside only. Where the product
    of the two variances falls below ``floor`` the correlation fades to 0: a flat image correlates with nothing, and
    noise below that level counts for little.
    """
    import torch
    import torch.nn.functional as F

    ndim = a.ndim - 2
    pool = {2: F.avg_pool2d, 3: F.avg_pool3d}[ndim]
    a, b = a.float(), b.float()
    # about the mean of the whole image, so that the small variances below are not differences of large numbers
    axes = tuple(range(1, a.ndim))
    a, b = a - a.mean(axes, keepdim=True), b - b.mean(axes, keepdim=True)
    means = torch.cat([a, b, a * a, b * b, a * b], dim=1)
    for axis, width in enumerate([window] * ndim if isinstance(window, int) else window):
        if ndim == 3:  # where torch takes no window longer than the axis
            width = min(width, a.shape[axis + 2] - 1 + a.shape[axis + 2] % 2)
        kernel = [width if i == axis else 1 for i in range(ndim)]
        padding = [k // 2 for k in kernel]
        means = pool(means, kernel, stride=1, padding=padding, count_include_pad=False)
    mean_a, mean_b, mean_aa, mean_bb, mean_ab = means.split(1, dim=1)
    variance_a = (mean_aa - mean_a**2).clamp(min=0)
    variance_b = (mean_bb - mean_b**2).clamp(min=0)
    covariance = mean_ab - mean_a * mean_b
    return (covariance**2 / (variance_a * variance_b + floor)).clamp(max=1)


@similarity("lncc", "Local correlation (brightness may change)")
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


@similarity("mse", "Squared difference", squared_intensity=True)
def mse(moved: torch.Tensor, fixed: torch.Tensor, window: int | Sequence[int] = 9, floor: float = 1e-7) -> torch.Tensor:
    """Mean squared difference of two images ``[N, 1, *spatial]``, over everything."""
    from torch.nn.functional import mse_loss

    return mse_loss(moved, fixed)
