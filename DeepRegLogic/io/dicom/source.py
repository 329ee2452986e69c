"""Which study and series a cine comes from, and which image every frame of it was."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...cine import Source
from .pixels import number

if TYPE_CHECKING:
    from pydicom import Dataset

_RATES = (10.0, 400.0)  # beats a minute


def source_of(
    header: Dataset, images: Sequence[tuple[Path, int]], order: np.ndarray, cycle: float | None = None
) -> Source:
    """The source of a cine.

    Parameters
    ----------
    header : of its first image.
    images : a file, and which of its frames, of everything that was read.
    order : ``[T, K]``, which of these is the slice k of frame t.
    cycle : seconds of a heart beat, where they are known.
    """
    rate = number(header, "HeartRate") or (60.0 / cycle if cycle else None)
    return Source(
        study=str(header.get("StudyInstanceUID") or ""),
        series=str(header.get("SeriesInstanceUID") or ""),
        modality=str(header.get("Modality") or ""),
        heart_rate=rate if rate is not None and _RATES[0] <= rate <= _RATES[1] else None,
        images=tuple(tuple(images[i] for i in row) for row in np.asarray(order).tolist()),
    )
