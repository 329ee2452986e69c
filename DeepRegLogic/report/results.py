"""Everything the figures and tables need of one registered cine, computed once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from .. import measure, transport
from ..cine import Cine, Motion
from ..errors import InputError
from ..uncertainty import deviations


@dataclass(frozen=True, eq=False)
class Results:
    """A cine, its motion, and what follows from both.

    Attributes
    ----------
    compensated : ``[T, *spatial]``, the frames brought onto the reference.
    jacobian : ``[T, *spatial]``, local volume in the frame divided by that in the reference.
    labels : ``[T, *spatial]``, the reference frame's label map carried to every frame, or None.
    sizes : label -> ``[T]``, its area in mm^2 (a slice) or its volume in ml (3D); empty without labels.
    label_names : label -> what a reader calls it.
    deviation : ``[T, *spatial]``, the largest standard deviation of the displacement in mm, on the reference; or None.
    """

    cine: Cine
    motion: Motion
    compensated: np.ndarray
    jacobian: np.ndarray
    labels: np.ndarray | None = None
    sizes: Mapping[int, np.ndarray] = field(default_factory=dict)
    label_names: Mapping[int, str] = field(default_factory=dict)
    deviation: np.ndarray | None = None

    @classmethod
    def of(
        cls,
        cine: Cine,
        motion: Motion,
        labels: np.ndarray | None = None,
        label_names: Mapping[int, str] | None = None,
    ) -> Results:
        """Compute the results; ``labels`` ``[*spatial]`` is drawn on the reference frame, 0 is background.

        Raises
        ------
        InputError : motion or labels that do not belong to the cine.
        """
        if len(cine) != len(motion) or not cine.grid.matches(motion.grid):
            raise InputError(f"The motion of '{motion.name}' does not belong to the cine '{cine.name}'.")
        names = {int(n): f"label {n}" for n in np.unique(labels) if n} if labels is not None else {}
        carried = transport.propagate(motion, labels, nearest=True) if labels is not None else None
        change = measure.jacobian(motion)
        return cls(
            cine,
            motion,
            compensated=transport.compensate(motion, cine.frames),
            jacobian=change,
            labels=carried,
            sizes=measure.area_curve(change, labels, motion.grid) if labels is not None else {},
            label_names={**names, **{n: v for n, v in (label_names or {}).items() if n in names}},
            deviation=deviations(motion.covariance)[:, 0] if motion.covariance is not None else None,
        )

    @property
    def unsure(self) -> dict[int, np.ndarray]:
        """Label -> ``[T]``, the mean of ``deviation`` over the label as drawn on the reference."""
        if self.labels is None or self.deviation is None:
            return {}
        drawn = self.labels[self.motion.reference]
        return {label: self.deviation[:, drawn == label].mean(axis=1) for label in self.label_names}

    @property
    def key_frame(self) -> int:
        """The frame that moved most."""
        return int(np.argmax([q.motion_mean for q in self.motion.quality]))

    @property
    def size_unit(self) -> str:
        return "mm²" if self.motion.grid.ndim == 2 else "ml"

    def summary(self) -> str:
        """The result in a few sentences for a reader in a hurry; it says first what looks wrong."""
        motion = self.motion
        moving = {t: q for t, q in enumerate(motion.quality) if t != motion.reference}
        before = np.mean([q.error_before for q in moving.values()])
        after = np.mean([q.error_after for q in moving.values()])
        furthest = max(range(len(motion)), key=lambda t: motion.quality[t].motion_max)
        sentences = [
            f"{len(motion)} frames were registered to frame {motion.reference}: the mean difference to it went from "
            f"{before:.1%} to {after:.1%} of the intensity range.",
            f"Tissue moved up to {motion.quality[furthest].motion_max:.1f} mm (frame {furthest}).",
        ]
        if self.deviation is not None:
            typical = float(np.median(self.deviation[self.key_frame]))
            sentences.append(
                f"The displacement is known to about {typical:.1f} mm (one standard deviation, frame {self.key_frame})."
            )
        unlike = motion.provenance.get("unlike_training")
        if unlike:
            sentences.append(
                f"Frame {_listed(unlike)} is unlike the images that the model knows, and so more uncertain: check it."
            )
        folded = [t for t, q in enumerate(motion.quality) if q.folded > 0]
        worse = [t for t, q in moving.items() if q.error_after > 1.1 * q.error_before]
        loose = max(q.round_trip_max for q in motion.quality)
        if folded:
            worst = max(motion.quality[t].folded for t in folded)
            sentences.append(f"The field folds in frame {_listed(folded)} (up to {worst:.2%} of the voxels): check it.")
        else:
            sentences.append("No voxel folds.")
        if worse:
            sentences.append(f"Frame {_listed(worse)} fits the reference worse than before: check it.")
        if loose > 1.0:
            sentences.append(f"Going there and back misses by up to {loose:.1f} voxels: check the border.")
        return " ".join(sentences)


def _listed(numbers: list[int]) -> str:
    shown = ", ".join(str(n) for n in numbers[:5])
    return shown + (f" and {len(numbers) - 5} more" if len(numbers) > 5 else "")
