"""One check for every generator: a seed is a whole number that is not negative."""

from __future__ import annotations

import numpy as np

from ..errors import InputError


def random_generator(seed: int, *stream: int) -> np.random.Generator:
    """The generator of ``seed``; further numbers name an independent stream of the same seed.

    Raises
    ------
    InputError : the seed is negative or not a whole number.
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise InputError(f"The seed {seed!r} is not a whole number of 0 or more.")
    return np.random.default_rng((int(seed), *stream))
