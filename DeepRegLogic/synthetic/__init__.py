"""Images with known motion, made from a seed: there is no end of them, and every one comes back from its seed."""

from .lemniscate import FIT, WIDE, Recipe, lemniscate_batch, lemniscate_sequence
from .moving_shapes import MovingImage, moving_image
from .phantom import Phantom, PhantomArrays, cine_phantom, phantom_arrays

__all__ = [
    "FIT",
    "WIDE",
    "MovingImage",
    "Phantom",
    "PhantomArrays",
    "Recipe",
    "cine_phantom",
    "lemniscate_batch",
    "lemniscate_sequence",
    "moving_image",
    "phantom_arrays",
]
