"""Images with known motion, made from a seed: there is no end of them, and every one comes back from its seed."""

from .lemniscate import FIT, WIDE, Recipe, lemniscate_batch, lemniscate_sequence
from .phantom import Phantom, PhantomArrays, cine_phantom, phantom_arrays

__all__ = [
    "FIT",
    "WIDE",
    "Phantom",
    "PhantomArrays",
    "Recipe",
    "cine_phantom",
    "lemniscate_batch",
    "lemniscate_sequence",
    "phantom_arrays",
]
