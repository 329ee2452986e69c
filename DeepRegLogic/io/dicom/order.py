"""The one order of frames for which most clocks of their headers speak."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from .clocks import CLOCKS, DAY, Clock


@dataclass(frozen=True, eq=False)
class Reading:
    """One clock in every place: ``values[k, n]`` of the n-th image at position k."""

    name: str
    values: np.ndarray

    @property
    def clock(self) -> Clock:
        return CLOCKS[self.name]

    @property
    def tells(self) -> bool:
        """Whether it changes anywhere."""
        return bool(np.any(self.values != self.values[:, :1]))

    @property
    def repeated(self) -> tuple[int, np.ndarray] | None:
        """The first place in which images share their value, and which of them do; None where all differ."""
        for place, row in enumerate(self.values):
            _, inverse, counts = np.unique(row, return_inverse=True, return_counts=True)
            if counts.max() > 1:
                return place, np.flatnonzero(counts[inverse] > 1)
        return None

    def told_apart(self, other: Reading) -> bool:
        """Whether images that share their value were acquired at other times by ``other``."""
        if other.clock.family != "real":
            return False
        pairs = zip(self.values.tolist(), other.values.tolist(), strict=True)
        return all(len(set(zip(mine, times, strict=True))) == len(mine) for mine, times in pairs)

    def rising(self, order: np.ndarray) -> bool:
        """Whether it rises, or stays, along the order in every place."""
        return bool(np.all(np.diff(np.take_along_axis(self.values, order, axis=1), axis=1) >= 0))

    def restarts(self, order: np.ndarray) -> int:
        """How often it starts anew along the order, where it rises beat by beat and the beats overlap; else 0."""
        most = 0
        for row in np.take_along_axis(self.values, order, axis=1):
            starts = np.flatnonzero(np.diff(row) < 0) + 1
            beats = [beat for beat in np.split(row, starts) if len(beat) > 1]
            overlap = any(max(a[0], b[0]) < min(a[-1], b[-1]) or np.array_equal(a, b) for a, b in pairwise(beats))
            if len(starts) and not (overlap and len(row) >= 2 * (len(starts) + 1)):
                return 0
            most = max(most, len(starts))
        return most


def readings(clocks: Sequence[Sequence[Mapping[str, float]]]) -> list[Reading]:
    """The clocks that all images have and that change, from the clocks of the images of each place.

    Times of day are unwrapped where they pass midnight and their date does not say so.
    """
    found = []
    for name, clock in CLOCKS.items():
        rows = [[image.get(name) for image in place] for place in clocks]
        if any(value is None for row in rows for value in row):
            continue
        values = np.array(rows, dtype=float)
        if clock.real and np.ptp(values) > DAY / 2:
            turned = np.where(values % DAY < DAY / 2, values + DAY, values)
            if len(np.unique(values // DAY)) == 1 and np.ptp(turned) < DAY / 2:
                values = turned
        reading = Reading(name, values)
        if reading.tells:
            found.append(reading)
    return found


@dataclass(frozen=True, eq=False)
class Decision:
    """The order on which most clocks agree.

    Attributes
    ----------
    order : ``[K, N]``, the images of every place in the order of time.
    followed : the clocks that rise along it, the most trusted first.
    restarting : of those the ones that start anew, and how often.
    opposed : the clocks that say something else.
    """

    order: np.ndarray
    followed: tuple[Reading, ...]
    restarting: Mapping[str, int]
    opposed: tuple[Reading, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        notes = []
        for name, count in self.restarting.items():
            notes.append(
                f"The {CLOCKS[name].title} start anew {count} times: the frames are of several beats, and were put in "
                f"the order of the {_titles(r for r in self.followed if r.name not in self.restarting)}."
            )
        if self.opposed:
            notes.append(
                f"The {_titles(self.opposed)} contradict the {_titles(self.followed)} about the order of the frames; "
                f"the {_titles(self.followed)} were followed."
            )
        return tuple(notes)


def _titles(found: Iterable[Reading]) -> str:
    titles = [reading.clock.title for reading in found]
    return " and ".join(filter(None, (", ".join(titles[:-1]), titles[-1])))


def decide(found: Sequence[Reading], parts: np.ndarray | None = None) -> Decision | None:
    """The order for which most families of clocks speak, the most trusted clock's where they are equal.

    A clock that differs from image to image proposes an order, and every clock that does not fall along it speaks for
    it. One that starts anew with every beat also does where a clock that runs on rises along the order.

    Parameters
    ----------
    parts : ``[K, N]`` which series or file every image is of, where each of them is one frame: only orders that keep
        their images together are possible.

    Returns
    -------
    None where no clock differs from image to image.
    """
    best: Decision | None = None
    best_votes = 0
    for proposal in found:
        if proposal.repeated:
            continue
        order = np.argsort(proposal.values, axis=1, kind="stable")
        if parts is not None:
            rows = np.take_along_axis(parts, order, axis=1)
            if np.any(rows != rows[:1]):
                continue
        followed = [reading for reading in found if reading.rising(order)]
        restarting = {}
        if any(reading.clock.real for reading in followed):
            counts = {r.name: r.restarts(order) for r in found if r.clock.beats and r not in followed}
            restarting = {name: count for name, count in counts.items() if count}
            followed = [reading for reading in found if reading in followed or reading.name in restarting]
        votes = len({reading.clock.family for reading in followed})
        if votes > best_votes:
            opposed = tuple(r for r in found if r not in followed and r.name != "content")
            best, best_votes = Decision(order, tuple(followed), restarting, opposed), votes
    return best
