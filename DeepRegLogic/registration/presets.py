"""How to refine: ``Refinement``, and ``PRESETS`` of it by name, for Python, the command line and the panel.

Light to import: the panel names the entries where torch may be missing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ..errors import InputError
from ..registry import Registry
from ..regularisers import REGULARISERS
from ..similarities import SIMILARITIES


@dataclass(frozen=True)
class Refinement:
    """How to refine.

    Attributes
    ----------
    similarity : a name of ``similarities.SIMILARITIES``: "robust-lncc" and "lncc" (which cope with changes of
        brightness), "mse" (squared difference over the variance of the reference; for frames of one brightness), ...
    window : side of the neighbourhood in voxels of the level (fewer along axes of longer voxels), odd.
    smoothness : weight of the regulariser, of which 1 is the usual one; larger is stiffer.
    temporal : weight of the squared second difference of the velocity along time, of a cine of 20 frames. Cines of more
        or fewer frames are weighted so that the same motion has the same price.
    sigma, sigma_time : standard deviations of the gradient's Gaussian, in voxels of the level, and as a fraction of the
        cine's frames.
    levels : (shrink factor, most iterations) from coarse to fine, or None for some that suit the size of the image:
        from about 16 pixels a side to its own resolution; half of it from 288 pixels a side on, a quarter from 576 on
        (80 and 160 in volumes and stacks).
    step : step of the optimiser in voxels.
    tolerance : a level ends when fifteen iterations lowered the energy by less than this fraction of that at its start.
    regulariser : a name of ``regularisers.REGULARISERS``: "bending", "robust-bending", "elastic", "diffusion", ...
    """

    similarity: str = "robust-lncc"
    window: int = 7
    smoothness: float = 1.0
    temporal: float = 0.05
    sigma: float = 4.0
    sigma_time: float = 0.02
    levels: tuple[tuple[float, int], ...] | None = None
    step: float = 0.3
    tolerance: float = 1e-4
    regulariser: str = "bending"

    def __post_init__(self) -> None:
        SIMILARITIES.choose(self.similarity)
        REGULARISERS.choose(self.regulariser)
        if self.window < 3 or self.window % 2 == 0:
            raise InputError(f"The correlation window must be an odd number from 3 on, not {self.window}.")
        positive = (self.sigma, self.sigma_time, self.step, self.tolerance)
        if not all(0 <= x < 1e6 for x in (self.smoothness, self.temporal, *positive)) or min(positive) == 0:
            raise InputError(
                "The weights of a refinement must not be negative, its steps and sigmas positive, all below a million."
            )
        if self.levels is not None and (
            not self.levels or any(shrink < 1 or count < 1 for shrink, count in self.levels)
        ):
            raise InputError("A refinement needs levels of (shrink factor >= 1, iterations >= 1).")


@dataclass(frozen=True)
class Preset:
    """An entry of ``PRESETS``: what a user calls it, and the refinement, or None for the network's result as it is."""

    title: str
    refinement: Refinement | None


PRESETS: Registry[Preset] = Registry("quality")
PRESETS.add("fast", Preset("Fast", None))
PRESETS.add("standard", Preset("Standard", Refinement()))
PRESETS.add("best", Preset("Best", Refinement(levels=((8, 100), (4, 100), (2, 100), (1, 60)), tolerance=2e-5)))
DEFAULT_QUALITY = "standard"


def refinement_of(refine: Refinement | str | bool, **changes: Any) -> Refinement | None:
    """The refinement that an argument ``refine`` stands for: one of its own, a name of ``PRESETS``, True or False.

    ``changes`` are fields to take in place of those of a preset, those that are not None.

    Raises
    ------
    InputError : an unknown name, or fields that no refinement can have.
    """
    if isinstance(refine, bool):
        refine = DEFAULT_QUALITY if refine else "fast"
    chosen = PRESETS.choose(refine).refinement if isinstance(refine, str) else refine
    changes = {name: value for name, value in changes.items() if value is not None}
    return chosen if chosen is None or not changes else replace(chosen, **changes)
