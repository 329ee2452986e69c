"""Checkpoints: written whole or not at all, on any file system, and read as plain values and tensors or not at all."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from ..errors import InputError
from ..files import whole_file

_NEEDED = {"state_dict", "optimizer_states", "global_step", "loops", "callbacks"}


class WholeCheckpoints(TorchCheckpointIO):
    """Lightning's own writes to the temporary folder and moves from there, which is a copy to another file system."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint. Raises OutputError where that cannot be; an earlier one of the name is kept."""
        with whole_file(path) as part, open(part, "wb") as file:
            torch.save(checkpoint, file)
            file.flush()
            os.fsync(file.fileno())

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = True) -> dict[str, Any]:
        """See ``read_checkpoint``."""
        return read_checkpoint(Path(path), map_location)


def read_checkpoint(path: Path, map_location: Any = None) -> dict[str, Any]:
    """What a checkpoint holds. It is a pickle: only tensors and plain values are taken from it.

    Raises
    ------
    InputError : the file is missing, damaged, or something else.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise ValueError(damaged)
        checkpoint = torch.load(path, map_location=map_location, weights_only=True)
    except Exception as error:  # zipfile and torch raise almost anything on damaged data
        raise _damaged(path) from error
    if not isinstance(checkpoint, dict) or not checkpoint.keys() >= _NEEDED:
        raise _damaged(path)
    return checkpoint


def check_fits(path: Path, expected: Mapping[str, torch.Tensor]) -> None:
    """Raise ``InputError`` where a checkpoint is damaged, or that of another network than one of ``expected`` state."""
    found = read_checkpoint(path, "cpu")["state_dict"]
    if {k: tuple(v.shape) for k, v in found.items()} != {k: tuple(v.shape) for k, v in expected.items()}:
        raise InputError(
            f"The checkpoint '{path}' is of another network than the configuration's; choose another folder."
        )
    if not all(bool(value.isfinite().all()) for value in found.values()):
        raise InputError(f"The checkpoint '{path}' holds weights that are not finite; start anew in another folder.")


def _damaged(path: Path) -> InputError:
    return InputError(
        f"The checkpoint '{path}' is damaged, or no checkpoint of a training; start anew in another folder."
    )
