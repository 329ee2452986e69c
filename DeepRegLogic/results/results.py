"""Results: a motion, its cine, and what was drawn; everything that follows is computed when it is asked for, and once.

results = Results(motion, cine, Labels.of_map(labels))
results.map("jacobian")            # [T, *spatial], see maps.MAPS
results.curve("sizes")             # label -> [T], see curves.CURVES
results.doubts()                   # frame -> what is doubtful about it
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ..cine import Cine, Motion
from ..errors import InputError
from ..grid import require_points
from .bullseyes import BULLSEYES, Segments
from .curves import CURVES, Curve, Series
from .doubts import DOUBTFUL_MM, find_doubts
from .labels import Labels, roles_of
from .maps import MAPS, Map
from .quality import FrameQuality

if TYPE_CHECKING:
    from .strain_values import HeartSettings, Strain

_MOVING_MM = 1.0


class Results:
    """What a motion does to its cine, and to labels and points drawn on the reference frame.

    Parameters
    ----------
    motion, cine : the motion and the images that it was found in.
    labels : regions of the reference frame.
    points : ``[P, 3]`` LPS mm, on the reference frame.
    heart : what is known of the heart, for its strain (``strain_values.HeartSettings``).

    Raises
    ------
    InputError : a motion that does not belong to the cine, labels of another size, points of another shape.

    Examples
    --------
    >>> from DeepRegLogic import Labels, Results
    >>> from DeepRegLogic.synthetic import cine_phantom
    >>> phantom = cine_phantom(seed=1, size=64, frames=5)
    >>> results = Results(phantom.motion, phantom.cine, Labels.of_map(phantom.labels[0], phantom.label_names))
    >>> results.map("jacobian").shape
    (5, 64, 64)
    >>> area = results.curve("sizes")[1]  # mm^2 of the label 1 in every frame
    >>> results.label_names[1], bool(area.min() < 0.9 * area[0])
    ('LV blood', True)
    """

    def __init__(
        self,
        motion: Motion,
        cine: Cine,
        labels: Labels | None = None,
        points: np.ndarray | None = None,
        heart: HeartSettings | None = None,
    ) -> None:
        require_belongs(motion, cine)
        if labels is not None and labels.masks.shape[1:] != motion.grid.shape:
            raise InputError(
                f"Masks of shape {labels.masks.shape[1:]} are not on the reference frame of shape {motion.grid.shape}."
            )
        self.motion, self.cine, self.labels = motion, cine, labels
        self.points = np.zeros((0, 3)) if points is None else require_points(points)
        self.heart = heart
        self._maps: dict[str, np.ndarray] = {}

    def with_motion(self, motion: Motion) -> Results:
        """The same with another covariance, quality or provenance; the displacements must be those of before."""
        after = Results(motion, self.cine, self.labels, self.points, self.heart)
        same = motion.covariance is self.motion.covariance
        after._maps = {name: values for name, values in self._maps.items() if same or not MAPS[name].needs_covariance}
        return after

    def with_drawn(self, labels: Labels | None, points: np.ndarray | None = None) -> Results:
        """The same with other labels and points."""
        after = Results(self.motion, self.cine, labels, points, self.heart)
        after._maps = {name: values for name, values in self._maps.items() if not MAPS[name].direction}
        return after

    def with_heart(self, heart: HeartSettings | None) -> Results:
        """The same with other settings of the heart."""
        after = self.with_drawn(self.labels, self.points)
        after.heart = heart
        return after

    def noting(self, **provenance: object) -> Results:
        """The same with more in the motion's provenance."""
        return self.with_motion(replace(self.motion, provenance={**self.motion.provenance, **provenance}))

    def keep(self, maps: Mapping[str, np.ndarray], **computed: object) -> None:
        """Take what was computed elsewhere of this very motion: maps by name, and cached members."""
        self._maps.update(maps)
        self.__dict__.update(computed)

    # maps and curves, by name

    @property
    def maps(self) -> dict[str, Map]:
        """The maps that there are of this motion, by name."""
        sure = self.motion.covariance is None
        return {
            name: entry
            for name, entry in MAPS.items()
            if not (sure and entry.needs_covariance)
            and (not entry.direction or entry.direction in self.strain_directions)
        }

    def map(self, name: str) -> np.ndarray:
        """A map of ``maps.MAPS``: ``[T, *spatial]``, computed once.

        Raises
        ------
        InputError : there is no such map of this motion.
        """
        if name not in self._maps:
            entry = MAPS.choose(name)
            if entry.needs_covariance and self.motion.covariance is None:
                raise InputError(
                    f"The motion of '{self.motion.name}' has no uncertainty; register it with the option uncertainty."
                )
            if entry.direction and entry.direction not in self.strain_directions:
                why = self.strain_content.get("note", "the view of the heart does not have that direction.")
                raise InputError(f"There is no {entry.title.lower()} here: {why}")
            self._maps[name] = entry.compute(self)
        return self._maps[name]

    @cached_property
    def curves(self) -> dict[str, Series]:
        """The curves that there are of these results, by name: see ``curves.Series``."""
        found = {name: entry.compute(self) for name, entry in CURVES.items()}
        return {name: series for name, series in found.items() if series}

    def curve(self, name: str) -> Series:
        """A curve of ``curves.CURVES``, empty where there is nothing to show.

        Raises
        ------
        InputError : no such curve.
        """
        CURVES.choose(name)
        return self.curves.get(name, {})

    @cached_property
    def bullseyes(self) -> dict[str, Segments]:
        """What is known of the segments of the left ventricle, by name: see ``bullseyes.Segments``."""
        found = {name: entry.compute(self) for name, entry in BULLSEYES.items()}
        return {name: values for name, values in found.items() if values}

    def curve_title(self, entry: Curve, key: int | str) -> str:
        """What a reader calls a series: the name of its label, or its key."""
        return self.label_names.get(key, str(key)) if isinstance(key, int) else str(key)

    # images

    @property
    def compensated(self) -> np.ndarray:
        """``[T, *spatial]`` float32, every frame brought onto the reference."""
        return self.map("compensated")

    @property
    def jacobian(self) -> np.ndarray:
        """``[T, *spatial]`` float32, local volume in the frame divided by that in the reference."""
        return self.map("jacobian")

    # what was drawn

    @cached_property
    def carried(self) -> np.ndarray:
        """``[M, T, *spatial]`` uint8, the masks of the labels carried to every frame."""
        from .resample import propagate

        masks = self.labels.masks if self.labels is not None else ()
        out = np.zeros((len(masks), len(self.motion), *self.motion.grid.shape), np.uint8)
        for number, mask in enumerate(masks):
            out[number] = propagate(self.motion, (mask > 0).astype(np.uint8), nearest=True)
        return out

    @property
    def label_names(self) -> dict[int, str]:
        """Value of a label -> what a reader calls it."""
        return self.labels.titles if self.labels is not None else {}

    @cached_property
    def sizes(self) -> dict[int, np.ndarray]:
        """Value of a label -> ``[T]``, its area in mm^2 (a slice) or its volume in ml (a stack)."""
        from .sizes import sizes_of

        return sizes_of(self.jacobian, self.labels, self.motion.grid) if self.labels is not None else {}

    @property
    def size_unit(self) -> str:
        return "mm²" if self.motion.grid.ndim == 2 else "ml"

    @cached_property
    def followed(self) -> np.ndarray:
        """``[T, P, 3]`` LPS mm, the points where their tissue is in every frame."""
        from .resample import move_points

        if not len(self.points):
            return np.zeros((len(self.motion), 0, 3))
        return np.stack([move_points(self.motion, self.points, t) for t in range(len(self.motion))])

    @cached_property
    def point_covariances(self) -> np.ndarray | None:
        """``[T, P, 3, 3]`` LPS mm^2, of the followed points; None where the motion has no covariance."""
        from ..uncertainty.covariance import of_points

        if self.motion.covariance is None:
            return None
        if not len(self.points):
            return np.zeros((len(self.motion), 0, 3, 3))
        return of_points(self.motion, self.points)

    # strain

    @cached_property
    def strain(self) -> Strain | None:
        """Strain of the heart (``strain.strain_of``); None where there is none, ``strain_content["note"]`` says why."""
        found = self._strain_or_why
        return None if isinstance(found, str) else found

    @cached_property
    def _strain_or_why(self) -> Strain | str:
        if self.heart is None and "myocardium" not in roles_of(self.labels):
            return "no label is that of the myocardium."
        from .strain import strain_of

        try:
            return strain_of(self, self.heart)
        except InputError as error:
            return str(error)

    @cached_property
    def strain_directions(self) -> tuple[str, ...]:
        """The directions in which there is strain, empty where there is none."""
        return tuple(self.strain_content.get("directions", ()))

    @cached_property
    def strain_content(self) -> dict[str, Any]:
        """Strain as plain values (``strain_tables.strain_content``), or a "note" of why there is none."""
        from .strain_tables import strain_content

        found = self._strain_or_why
        return {"note": found} if isinstance(found, str) else strain_content(found)

    # figures of every frame

    @cached_property
    def region(self) -> np.ndarray:
        """Where means are taken ``[*spatial]``: the labels where there are some, else what moves, else everything."""
        drawn = list(self.labels.drawn().values()) if self.labels is not None else []
        if drawn:
            return np.any(drawn, axis=0)
        moving = self._moving
        return moving if moving.any() else np.ones_like(moving)

    @property
    def region_name(self) -> str:
        """What ``region`` is, for a sentence."""
        if self.labels is not None and self.labels.drawn():
            return "the labels"
        return "tissue that moves by 1 mm or more" if self._moving.any() else "the whole image"

    @cached_property
    def _moving(self) -> np.ndarray:
        spacing = np.reshape(self.motion.grid.array_spacing, (-1, *[1] * self.motion.grid.ndim))
        moving = np.zeros(self.motion.grid.shape, bool)
        for field in self.motion.displacement:
            moving |= np.linalg.norm(field * spacing, axis=0) >= _MOVING_MM
        return moving

    @cached_property
    def statistics(self) -> dict[tuple[str, str], np.ndarray]:
        """(map, "min", "max" or "mean") -> ``[T]``; means are over ``region``, the others over the whole frame."""
        found: dict[tuple[str, str], np.ndarray] = {}
        for name, entry in self.maps.items():
            for statistic in entry.statistics:
                values = self.map(name)
                flat = values[:, self.region] if statistic == "mean" else values.reshape(len(values), -1)
                reduce: Callable[..., float] = getattr(np, statistic)
                more = {"dtype": float} if statistic == "mean" else {}
                found[name, statistic] = np.array([float(reduce(frame, **more)) for frame in flat])
        return found

    def doubts(self, limit: float = DOUBTFUL_MM) -> dict[int, tuple[str, ...]]:
        """Frame -> names of ``doubts.REASONS``, for the doubtful ones; ``limit`` is an uncertainty in mm."""
        return find_doubts(self.quality_columns, unlike_frames(self.motion.provenance), limit)

    @property
    def quality_columns(self) -> dict[str, np.ndarray]:
        """What ``doubts.find_doubts`` looks at."""
        names = [field.name for field in fields(FrameQuality) if field.name != "inconsistent_at"]
        columns = {name: np.array([getattr(frame, name) for frame in self.motion.quality]) for name in names}
        if ("uncertainty", "mean") in self.statistics:
            columns["uncertainty_mean"] = self.statistics["uncertainty", "mean"]
        return columns if self.motion.quality else {}

    @property
    def key_frame(self) -> int:
        """The frame that moved most."""
        return int(np.argmax([q.motion_mean for q in self.motion.quality]))


def require_belongs(motion: Motion, cine: Cine) -> None:
    """Raise InputError where a motion has another grid or another number of frames than a cine."""
    if len(cine) != len(motion) or not cine.grid.matches(motion.grid):
        raise InputError(
            f"The motion of '{motion.name}' does not belong to the cine '{cine.name}': "
            "the number of frames or the grid differs."
        )


def unlike_frames(provenance: Mapping[str, object]) -> Sequence[int]:
    """The frames that a registration called unlike those that the model was trained on."""
    found = provenance.get("unlike_training")
    return [int(frame) for frame in found] if isinstance(found, Sequence) else []
