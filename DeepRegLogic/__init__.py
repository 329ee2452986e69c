"""DeepRegLogic: follows moving anatomy in image sequences. Plain Python: numpy, torch, SimpleITK; no Slicer.

The public names are imported when first used, so that ``import DeepRegLogic`` costs nothing and the geometry
(``Grid``, ``Cine``, ``Motion``) needs numpy alone.

    from DeepRegLogic import read_cine, register_cine, write_motion
    cine = read_cine("cine.seq.nrrd")
    motion = register_cine(cine)
    write_motion(motion, cine, "out")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._lazy import attach

if TYPE_CHECKING:
    from .cine import Cine, Motion
    from .cohort.run import register_studies
    from .cohort.study import Study, register_study
    from .contours import find_contours
    from .errors import (
        Cancelled,
        InputError,
        MemoryBudgetError,
        ModelError,
        OutputError,
        RegistrationError,
    )
    from .evaluation.evaluate import evaluate
    from .grid import Grid
    from .io import list_series, read_cine, read_image, read_labels, write_cine
    from .progress import CancelToken
    from .registration.generate import generate_cine
    from .registration.presets import PRESETS, Refinement
    from .registration.register import register_cine, register_pair
    from .registration.sequence import register_sequence
    from .results.labels import Labels
    from .results.quality import FrameQuality
    from .results.resample import compensate, move_points, move_points_back, propagate
    from .results.results import Results
    from .results.write import write_motion
    from .zoo import list_models, load_model

__version__ = "0.1.0"

_MODULES = {
    "Grid": "grid",
    **dict.fromkeys(("Cine", "Motion"), "cine"),
    "FrameQuality": "results.quality",
    **dict.fromkeys(("RegistrationError", "InputError", "ModelError", "OutputError"), "errors"),
    **dict.fromkeys(("MemoryBudgetError", "Cancelled"), "errors"),
    "CancelToken": "progress",
    **dict.fromkeys(("read_cine", "read_image", "read_labels", "list_series", "write_cine"), "io"),
    **dict.fromkeys(("register_cine", "register_pair"), "registration.register"),
    "register_sequence": "registration.sequence",
    **dict.fromkeys(("Refinement", "PRESETS"), "registration.presets"),
    **dict.fromkeys(("Study", "register_study"), "cohort.study"),
    "register_studies": "cohort.run",
    "generate_cine": "registration.generate",
    "find_contours": "contours",
    "evaluate": "evaluation.evaluate",
    **dict.fromkeys(("compensate", "propagate", "move_points", "move_points_back"), "results.resample"),
    "Results": "results.results",
    "Labels": "results.labels",
    "write_motion": "results.write",
    **dict.fromkeys(("list_models", "load_model"), "zoo"),
}

__all__ = [
    "PRESETS",
    "CancelToken",
    "Cancelled",
    "Cine",
    "FrameQuality",
    "Grid",
    "InputError",
    "Labels",
    "MemoryBudgetError",
    "ModelError",
    "Motion",
    "OutputError",
    "Refinement",
    "RegistrationError",
    "Results",
    "Study",
    "compensate",
    "evaluate",
    "find_contours",
    "generate_cine",
    "list_models",
    "list_series",
    "load_model",
    "move_points",
    "move_points_back",
    "propagate",
    "read_cine",
    "read_image",
    "read_labels",
    "register_cine",
    "register_pair",
    "register_sequence",
    "register_studies",
    "register_study",
    "write_cine",
    "write_motion",
]

__getattr__, __dir__ = attach(__name__, _MODULES)
