"""Labels: regions drawn on the reference frame, which may overlap."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..errors import InputError

ROLES: dict[str, str] = {
    "myocardium": r"myo|lv wall|left ventricular wall|^wall$|lvm",
    "rv": r"\brv|right ventric",
    "la": r"\bla\b|left atri",
    "ra": r"\bra\b|right atri",
    "lv": r"\blv|left ventric|blood pool|cavity|endo",
}
"""Part of the heart -> what its label is called; the first that fits."""


@dataclass(frozen=True, eq=False)
class Labels:
    """M regions of the reference frame.

    Attributes
    ----------
    masks : ``[M, *spatial]`` uint8, 1 inside.
    values : what stands for each of them in a label map: whole numbers but 0, all different.
    names : what a reader calls them.
    dtype : of the label map that they came from; None for the smallest that holds the values.

    Raises
    ------
    InputError : numbers of masks, values and names that differ.
    """

    masks: np.ndarray
    values: tuple[int, ...]
    names: tuple[str, ...]
    dtype: np.dtype | None = None

    def __post_init__(self) -> None:
        if not len(self.masks) == len(self.values) == len(self.names):
            raise InputError(
                f"Labels need as many masks as values and names, not {len(self.masks)}, {len(self.values)} and "
                f"{len(self.names)}."
            )

    @classmethod
    def of_map(cls, labels: np.ndarray, names: Mapping[int, str] | None = None) -> Labels:
        """The regions of a label map ``[*spatial]``; ``names`` by value, where they are known.

        Raises
        ------
        InputError : a map of other than whole numbers.
        """
        labels = np.asarray(labels)
        if labels.dtype.kind not in "bui":
            raise InputError("Labels need to be whole numbers.")
        values = tuple(int(value) for value in np.unique(labels) if value != 0)
        masks = [(labels == value).astype(np.uint8) for value in values]
        known = names or {}
        return cls(
            np.stack(masks) if masks else np.zeros((0, *labels.shape), np.uint8),
            values,
            tuple(known.get(value, f"label {value}") for value in values),
            labels.dtype,
        )

    @classmethod
    def of_masks(cls, masks: np.ndarray | None, names: tuple[str, ...] | None = None) -> Labels | None:
        """Masks ``[M, *spatial]`` as labels 1 to M; None for None."""
        if masks is None:
            return None
        values = tuple(range(1, len(masks) + 1))
        return cls(np.asarray(masks), values, names or tuple(f"label {value}" for value in values))

    def __len__(self) -> int:
        return len(self.values)

    @property
    def titles(self) -> dict[int, str]:
        """Value -> name."""
        return dict(zip(self.values, self.names, strict=True))

    @property
    def overlap(self) -> bool:
        """Whether a voxel is in more than one of them."""
        return bool(self.masks.sum(axis=0, dtype=np.int64).max(initial=0) > 1)

    def as_map(self, masks: np.ndarray) -> np.ndarray:
        """Masks ``[M, ...]`` as a label map ``[...]``; where they overlap the last one is seen."""
        lowest, highest = min(self.values, default=0), max(self.values, default=0)
        smallest = np.promote_types(np.min_scalar_type(min(lowest, 0)), np.min_scalar_type(highest))
        out = np.zeros(masks.shape[1:], self.dtype or smallest)
        for value, mask in zip(self.values, masks, strict=True):
            out[mask > 0] = value
        return out

    def drawn(self) -> dict[int, np.ndarray]:
        """Value -> boolean mask, for the labels that are not empty."""
        return {value: mask > 0 for value, mask in zip(self.values, self.masks, strict=True) if mask.any()}


def roles_of(labels: Labels | None) -> dict[str, int]:
    """Part of the heart -> value of its label, by the labels' names; of labels that are not empty."""
    found: dict[str, int] = {}
    for value in labels.drawn() if labels is not None else ():
        name = labels.titles[value].lower() if labels is not None else ""
        for role, pattern in ROLES.items():
            if re.search(pattern, name):
                found.setdefault(role, value)
                break
    return found
