"""Which device computes."""

from __future__ import annotations

import torch

from .errors import InputError


def choose_device(device: str) -> torch.device:
    """"auto" (a CUDA GPU when there is one), "cpu", "cuda", "cuda:1" or "mps"; raises InputError for what is not there."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.zeros(1, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InputError(f'The device \'{device}\' is not available here; choose "cpu" or "auto".') from error
    return chosen
