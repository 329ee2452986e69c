"""DeepRegLogic: follows moving anatomy in image sequences. Plain Python: numpy, torch, SimpleITK; no Slicer.

The public names are imported when first used, so that ``import DeepRegLogic`` costs nothing and the geometry
(``Grid``, ``Cine``, ``Motion``) needs numpy alone.

    from DeepRegLogic import read_cine, register_cine, write_motion
    cine = read_cine("cine.seq.nrrd")
    motion = register_cine(cine)
    write_motion(motion, cine, "out")
"""

from importlib import import_module

__version__ = "0.1.0"

_PUBLIC = {
    "Grid": "grid",
    "Cine": "cine",
    "Motion": "cine",
    "FrameQuality": "cine",
    "RegistrationError": "errors",
    "InputError": "errors",
    "ModelError": "errors",
    "OutputError": "errors",
    "MemoryBudgetError": "errors",
    "Cancelled": "errors",
    "CancelToken": "progress",
    "read_cine": "io",
    "read_image": "io",
    "list_series": "io",
    "write_motion": "io",
    "register_cine": "register",
    "register_pair": "register",
    "Refinement": "refine",
    "generate_cine": "generate",
    "compensate": "transport",
    "propagate": "transport",
    "move_points": "transport",
    "move_points_back": "transport",
    "list_models": "zoo",
    "load_model": "zoo",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> object:
    if name in _PUBLIC:
        return getattr(import_module(f".{_PUBLIC[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
