"""How sure a motion is: covariances, their calibration, and sampling for models without a posterior of their own.

The names are imported when first used, so that what needs no torch costs none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import attach

if TYPE_CHECKING:
    from .calibration import Calibration, Reliability, fit, reliability
    from .covariance import (
        LEAST_ENTROPY,
        compose,
        deviations,
        entropy,
        of_change,
        of_inverse,
        of_points,
        propagate_covariance,
        resize,
        structure_tensor,
        to_mm2,
    )
    from .gaussian import chi_squared_quantile, gaussian_nll, kl_gaussian, kl_motion, mahalanobis, squared_radius
    from .sampling import drawn, dropout, flips, mixture_moments, sampled, velocity_posterior

_MODULES = {
    **dict.fromkeys(("Calibration", "Reliability", "fit", "reliability"), "calibration"),
    **dict.fromkeys(("LEAST_ENTROPY", "compose", "deviations", "entropy", "of_change", "of_inverse"), "covariance"),
    **dict.fromkeys(("of_points", "propagate_covariance", "resize", "structure_tensor", "to_mm2"), "covariance"),
    **dict.fromkeys(("chi_squared_quantile", "gaussian_nll", "kl_gaussian", "kl_motion"), "gaussian"),
    **dict.fromkeys(("mahalanobis", "squared_radius"), "gaussian"),
    **dict.fromkeys(("dropout", "drawn", "flips", "mixture_moments", "sampled", "velocity_posterior"), "sampling"),
}

__all__ = [
    "LEAST_ENTROPY",
    "Calibration",
    "Reliability",
    "chi_squared_quantile",
    "compose",
    "deviations",
    "drawn",
    "dropout",
    "entropy",
    "fit",
    "flips",
    "gaussian_nll",
    "kl_gaussian",
    "kl_motion",
    "mahalanobis",
    "mixture_moments",
    "of_change",
    "of_inverse",
    "of_points",
    "propagate_covariance",
    "reliability",
    "resize",
    "sampled",
    "squared_radius",
    "structure_tensor",
    "to_mm2",
    "velocity_posterior",
]


__getattr__, __dir__ = attach(__name__, _MODULES)
