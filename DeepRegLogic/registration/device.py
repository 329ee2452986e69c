"""Which device computes."""

from __future__ import annotations

import torch

from ..errors import InputError

_KINDS = ("cpu", "cuda", "mps", "xpu")


def choose_device(device: str) -> torch.device:
    """The device of a name: "auto" is a CUDA GPU or else the CPU; InputError is raised for one that is not here."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        if not isinstance(device, str) or chosen.type not in _KINDS:
            raise ValueError(device)
        torch.zeros(1, device=chosen)
    except Exception as error:  # torch raises almost anything for a device that is not there
        raise InputError(f'The device \'{device}\' is not available here; choose "cpu" or "auto".') from error
    return chosen
