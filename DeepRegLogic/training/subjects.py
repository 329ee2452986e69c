"""Subjects to train on: compact arrays of a cine and, where known, of its true motion; made once, kept in a file."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from .. import __version__
from ..cine import scaled_frames
from ..errors import InputError
from ..files import expanded, whole_file
from ..grid import working_shape
from .configuration import DataConfiguration

VALIDATION_SEED = 1_000_000
TEST_SEED = 2_000_000

_DAMAGED = "The training subjects in '{path}' are damaged; remove that file, and they are made again."

Subject = dict[str, np.ndarray]
"""``frames`` uint8 ``[T, H, W]``; where the truth is known, also ``displacement`` and ``inverse`` float16
``[T, 2, H, W]`` in pixels to and from frame 0's anatomy as in ``Motion``, and ``weight`` uint8 ``[T, H, W]``."""


def _to_bytes(values: np.ndarray) -> np.ndarray:
    return np.round(np.asarray(values) * 255).astype(np.uint8)


def synthetic_subject(data: DataConfiguration, seed: int) -> Subject:
    """The synthetic subject of a seed; the seeds take the kinds in turn."""
    kind = data.kinds[seed % len(data.kinds)]
    if data.source == "lemniscates":
        from ..synthetic import lemniscate_sequence

        return {"frames": _to_bytes(lemniscate_sequence(seed, kind))}
    from ..synthetic import MovingImage, moving_image

    moving: MovingImage = moving_image(seed, kind, size=max(data.size), spacing=data.spacing)
    return {
        "frames": _to_bytes(scaled_frames(moving.frames.numpy())),
        "displacement": moving.displacement.numpy().astype(np.float16),
        "inverse": moving.inverse.numpy().astype(np.float16),
        "weight": _to_bytes(moving.weight.numpy()),
    }


def folder_subjects(data: DataConfiguration) -> list[Subject]:
    """The cines of a folder, resampled to the spacing of the configuration.

    Raises
    ------
    InputError : no such folder, too few cines in it, or a cine that cannot be read or is not two-dimensional over time.
    """
    import torch

    from .. import flow
    from ..io import read_cine

    folder = expanded(data.folder)
    paths = sorted(p for p in folder.iterdir() if not p.name.startswith(".")) if folder.is_dir() else []
    if len(paths) <= data.validation:
        raise InputError(f"The folder '{folder}' has {len(paths)} cines; more than {data.validation} are needed.")
    subjects = []
    for path in paths:
        cine = read_cine(path)
        if cine.grid.ndim != 2 or len(cine) < 2:
            raise InputError(f"'{path}' is not a cine of one slice with two frames or more; take it out of the folder.")
        shape = working_shape(cine.grid.shape, cine.grid.array_spacing, data.spacing)
        frames = torch.from_numpy(scaled_frames(cine.frames))[:, None]
        subjects.append({"frames": _to_bytes(flow.resize_image(frames, shape)[:, 0].numpy())})
    return subjects


def _make(task: tuple[DataConfiguration, int]) -> Subject:
    return synthetic_subject(*task)


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def _synthetic_subjects(data: DataConfiguration, seeds: Sequence[int]) -> list[Subject]:
    workers = min(os.cpu_count() or 1, len(seeds) // 32)
    tasks = [(data, seed) for seed in seeds]
    if workers < 2:
        return [_make(task) for task in tasks]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_one_thread) as executor:
        return list(executor.map(_make, tasks, chunksize=4))


def subjects_file(data: DataConfiguration, folder: Path) -> Path:
    """Where ``prepare`` keeps the synthetic subjects of a configuration; equal ones of one version share the file."""
    key = json.dumps([__version__, data.source, data.kinds, data.pool, data.validation, max(data.size), data.spacing])
    return folder / f"subjects-{hashlib.sha256(key.encode()).hexdigest()[:12]}.safetensors"


def prepare(data: DataConfiguration, folder: Path) -> None:
    """Make the synthetic subjects, unless their file is there already.

    Raises
    ------
    OutputError : the file cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    path = subjects_file(data, folder)
    if data.source == "folder" or path.is_file():
        return
    training = range(data.pool)
    validation = range(VALIDATION_SEED, VALIDATION_SEED + data.validation)
    subjects = _synthetic_subjects(data, [*training, *validation])
    arrays = {f"{n}.{key}": value for n, subject in enumerate(subjects) for key, value in subject.items()}
    with whole_file(path) as part:
        try:
            save_file(arrays, part)
        except SafetensorError as error:
            raise OSError(str(error)) from error


def _kept_subjects(path: Path, count: int) -> list[Subject]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    subjects: list[Subject] = [{} for _ in range(count)]
    try:
        for name, values in load_file(path).items():
            number, key = name.split(".")
            subjects[int(number)][key] = values
        whole = all("frames" in subject and subject.keys() == subjects[0].keys() for subject in subjects)
    except (OSError, SafetensorError, ValueError, IndexError) as error:
        raise InputError(_DAMAGED.format(path=path)) from error
    if not whole:
        raise InputError(_DAMAGED.format(path=path))
    return subjects


def load(data: DataConfiguration, folder: Path) -> tuple[list[Subject], list[Subject]]:
    """The subjects for training and for validation, as ``prepare`` left them; InputError where these are damaged."""
    if data.source == "folder":
        subjects = folder_subjects(data)
    else:
        subjects = _kept_subjects(subjects_file(data, folder), data.pool + data.validation)
    return subjects[: -data.validation], subjects[-data.validation :]
