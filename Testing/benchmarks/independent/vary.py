"""Cases made harder, one thing at a time: their images and their truth, drawn anew where that is exact."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from .cases import DEFAULTS, Case
from .metrics import identity

CLEAN = "clean"

OVER_TIME = ("frames", "times", "forward", "inverse", "labels", "phases")
IN_SPACE = ("frames", "labels")
VECTORS = ("forward", "inverse")


def _same(case: Case) -> Case:
    return case


@dataclass(frozen=True)
class Variation:
    """What is drawn otherwise (options of ``cases.make``), then changed. ``spacing`` in mm keeps the field of view."""

    meaning: str
    change: Callable[[Case], Case] = _same
    options: Mapping[str, float] = field(default_factory=dict)
    spacing: float | None = None

    def drawn_with(self, kind: str, size: int | None) -> dict[str, object]:
        """The options of ``cases.make``, for cases of ``size`` pixels a side at the usual pixel size."""
        if self.spacing is None:
            return {"size": size, **self.options}
        _, usual_size, usual = DEFAULTS[kind]
        extent = (size or usual_size[-1]) * usual[-1]
        return {"size": round(extent / self.spacing), "spacing": self.spacing, **self.options}


def _kept(case: Case, chosen: np.ndarray, cyclic: bool) -> Case:
    """Some frames, the first and that at end-systole among them."""
    values = {name: getattr(case, name)[chosen] for name in OVER_TIME}
    return replace(case, **values, systole=int(np.flatnonzero(chosen == case.systole)[0]), cyclic=cyclic, motion=None)


def brightness(case: Case) -> Case:
    gain = np.linspace(0.6, 1.4, len(case.frames), dtype=np.float32)
    return replace(case, frames=case.frames * gain.reshape(-1, *[1] * len(case.spacing)))


def missing_frames(case: Case) -> Case:
    rng = np.random.default_rng(case.seed)
    others = np.setdiff1d(np.arange(1, len(case.frames)), [case.systole])
    lost = rng.permutation(others)[: len(case.frames) // 3]
    return _kept(case, np.setdiff1d(np.arange(len(case.frames)), lost), case.cyclic)


def doubled_frames(case: Case) -> Case:
    doubled = _kept(case, np.repeat(np.arange(len(case.frames)), 2), case.cyclic)
    return replace(doubled, times=np.arange(len(doubled.frames)) * (case.times[1] - case.times[0]) / 2)


def half_cycle(case: Case) -> Case:
    return _kept(case, np.arange(case.systole + 1), cyclic=False)


def half_view(case: Case) -> Case:
    """What lies left of the organ's middle."""
    end = round(float(np.argwhere(case.masks["organ"])[:, -1].mean())) + 1
    values = {name: getattr(case, name)[..., :end] for name in (*IN_SPACE, *VECTORS)}
    stays = (identity(values["labels"].shape[1:])[-1] + values["forward"][:, -1] <= end - 1).all(axis=0)
    masks = {name: mask[..., :end] & stays for name, mask in case.masks.items()}
    return replace(case, **values, masks=masks, motion=None)


def turned(case: Case) -> Case:
    """By a quarter."""
    values = {name: np.rot90(getattr(case, name), axes=(-2, -1)) for name in (*IN_SPACE, *VECTORS)}
    for name in VECTORS:
        rows, columns = values[name][:, -2], values[name][:, -1]
        values[name] = np.concatenate([values[name][:, :-2], np.stack([-columns, rows], axis=1)], axis=1)
    centre = case.centre
    if centre is not None:
        centre = np.array([*centre[:-2], case.labels.shape[-1] - 1 - centre[-1], centre[-2]])
    masks = {name: np.rot90(mask, axes=(-2, -1)) for name, mask in case.masks.items()}
    spacing = (*case.spacing[:-2], case.spacing[-1], case.spacing[-2])
    return replace(case, **values, spacing=spacing, masks=masks, centre=centre, motion=None)


def flipped(case: Case) -> Case:
    """Left to right."""
    values = {name: getattr(case, name)[..., ::-1] for name in (*IN_SPACE, *VECTORS)}
    for name in VECTORS:
        values[name] = np.concatenate([values[name][:, :-1], -values[name][:, -1:]], axis=1)
    masks = {name: mask[..., ::-1] for name, mask in case.masks.items()}
    centre = case.centre
    if centre is not None:
        centre = np.array([*centre[:-1], case.labels.shape[-1] - 1 - centre[-1]])
    return replace(case, **values, masks=masks, centre=centre, motion=None)


VARIATIONS: dict[str, Variation] = {
    CLEAN: Variation("as drawn"),
    "brightness": Variation("brightness from 0.6 to 1.4 over time", brightness),
    "noise": Variation("twice the noise", options={"noise": 2.0}),
    "missing-frames": Variation("a third of the frames is missing", missing_frames),
    "doubled-frames": Variation("every frame comes twice", doubled_frames),
    "half-view": Variation("the image ends in the middle of the organ", half_view),
    "fine": Variation("pixels of 0.5 mm", spacing=0.5),
    "coarse": Variation("pixels of 3 mm", spacing=3.0),
    "turned": Variation("turned by a quarter", turned),
    "flipped": Variation("left and right exchanged", flipped),
    "half-cycle": Variation("the cine ends at end-systole", half_cycle),
    "drift": Variation("the subject slips by about 10 mm during the cine", options={"drift": 10.0}),
}
"""Name -> what is changed."""
