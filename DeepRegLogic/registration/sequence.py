"""register_sequence: the motion from every frame of a cine to the next one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from .. import flow
from ..cine import Cine, Motion
from ..errors import InputError
from ..results.quality import frame_quality
from ..results.results import Results
from .prepare import Region
from .register import CINE_MODEL, Options, follow

if TYPE_CHECKING:
    from typing_extensions import Unpack


def register_sequence(
    cine: Cine,
    model: str | None = CINE_MODEL,
    reference: int | None = None,
    roi: Region | None = None,
    cyclic: bool | None = None,
    **options: Unpack[Options],
) -> tuple[Motion, ...]:
    """Follow the motion from every frame of a cine to the next one.

    The steps come from one registration of the whole cine: back from a frame to the reference, and on to the next. So
    they are smooth over time, fit together (chained by ``flow.compose`` they are ``register_cine``'s motion again, and
    end where they began once round a cycle), and cost no more than that. On phantoms they are nearer to the truth than
    registrations of neighbours two by two.

    Parameters
    ----------
    cine, model, reference, roi, cyclic, options : as in ``register_cine``, which also tells what is raised.

    Returns
    -------
    A motion of two frames for every step, [frame t, frame t + 1] with frame t as the reference; of a cyclic cine the
    last one is [last frame, first frame]. They have no covariance.

    Examples
    --------
    >>> import numpy as np
    >>> from DeepRegLogic import Cine, Grid, register_sequence
    >>> rows, columns = np.mgrid[:48, :48]
    >>> discs = [np.hypot(rows - 24, columns - 24) < radius for radius in (12, 11, 9)]
    >>> cine = Cine(np.stack(discs).astype(np.float32), Grid((48, 48, 1)))
    >>> first, second = register_sequence(cine, model=None)
    >>> bool(first.displacement[1, 0, 24 + 11, 24] > second.displacement[1, 0, 24 + 10, 24])  # one voxel, then two
    True
    """
    if options.get("uncertainty"):
        raise InputError("The steps from frame to frame have no uncertainty; register the whole cine for one.")
    return tuple(_steps(follow(cine, model, reference, roi, cyclic=cyclic, **options)))


def _steps(results: Results) -> Iterator[Motion]:
    cine, motion = results.cine, results.motion
    there, back = (torch.from_numpy(np.array(field)) for field in (motion.displacement, motion.inverse))
    count = len(cine)
    for first in range(count if motion.cyclic else count - 1):
        second = (first + 1) % count
        pair = [first, second]
        onward = flow.compose(there[second : second + 1], back[first : first + 1])
        backward = flow.compose(there[first : first + 1], back[second : second + 1])
        still = torch.zeros_like(onward)
        part = Cine(cine.frames[pair], cine.grid, name=f"{cine.name} {first} to {second}", suffix=cine.suffix)
        step = Motion(
            grid=cine.grid,
            reference=0,
            displacement=torch.cat([still, onward]).numpy(),
            inverse=torch.cat([still, backward]).numpy(),
            times=cine.times[pair] if cine.time_unit and second > first else None,
            time_unit=cine.time_unit,
            name=part.name,
            provenance={**motion.provenance, "step": pair},
        )
        yield replace(step, quality=frame_quality(Results(step, part)))
