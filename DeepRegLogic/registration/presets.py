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
    similarity : a name of ``similarities.SIMILARITIES``: "lncc" (squared local correlation; copes with changes of
        brightness), "mse" (squared difference over the variance of the reference; for frames of one brightness), ...
    window : side of the correlation window in voxels of the level (fewer along axes of longer voxels), odd.
    smoothness : weight of the regulariser: of its sum over axes and components, in voxels of the level.
    temporal : weight of the squared second difference of the velocity along time.
    sigma, sigma_time : standard deviations of the gradient's Gaussian, in voxels of the level and in frames.
    levels : (shrink factor, most iterations) from coarse to fine, or None for three that suit the size of the image:
        half the resolution at the end, which is enough for the noise of a cine; all of it below 112 pixels a side, a
        quarter from 400 on.
    step : step of the optimiser in voxels.
    tolerance : a level ends when ten iterations lowered the energy by less than this fraction.
    regulariser : a name of ``regularisers.REGULARISERS``: "diffusion", "bending", "elastic", ...
    """

    similarity: str = "lncc"
    window: int = 9
    smoothness: float = 0.2
    temporal: float = 0.005
    sigma: float = 1.5
    sigma_time: float = 1.0
    levels: tuple[tuple[float, int], ...] | None = None
    step: float = 0.3
    tolerance: float = 5e-4
    regulariser: str = "diffusion"

    def __post_init__(self) -> None:
        SIMILARITIES.choose(self.similarity)
        REGULARISERS.choose(self.regulariser)
        if self.window < 3 or self.window % 2 == 0:
            raise InputError(f"The correlation window must be an odd number from 3 on, not {self.window}.")
        if min(self.smoothness, self.temporal) < 0 or min(self.sigma, self.sigma_time, self.step, self.tolerance) <= 0:
            raise InputError("The weights of a refinement must not be negative, its steps and sigmas positive.")
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
PRESETS.add("thorough", Preset("Thorough", Refinement(levels=((8, 60), (4, 100), (2, 100), (1, 40)))))
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
