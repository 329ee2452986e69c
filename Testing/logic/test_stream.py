"""Cines that do not fit in memory: read and registered a few frames at a time."""

from __future__ import annotations

import numpy as np
import pytest

from DeepRegLogic import Cancelled, CancelToken, Cine, Grid, InputError, register_cine
from DeepRegLogic.io.store import StoredCine, open_store, write_store
from DeepRegLogic.registration.stream import read_stored_motion, register_stored
from DeepRegLogic.synthetic import cine_phantom

zarr = pytest.importorskip("zarr")


class Spy:
    """Frames that count how many are asked for at once."""

    def __init__(self, frames: np.ndarray) -> None:
        self.frames, self.shape, self.dtype, self.asked = frames, frames.shape, frames.dtype, []

    def __getitem__(self, part: slice) -> np.ndarray:
        found = self.frames[part]
        self.asked.append(len(found))
        return found


@pytest.fixture(scope="module")
def phantom():
    return cine_phantom(seed=7, size=64, spacing=2.7, frames=8)


def test_a_stored_cine_is_what_it_was(tmp_path, phantom):
    volume = Cine(
        np.random.default_rng(0).integers(0, 900, (3, 4, 6, 5)).astype(np.int16),
        Grid((5, 6, 4), (1.5, 1.8, 8.0), (3.0, -2.0, 7.0), (0, 1, 0, 0, 0, 1, 1, 0, 0)),
    )
    for cine in (phantom.cine, volume):
        write_store(tmp_path / "c.zarr", cine)
        back = open_store(tmp_path / "c.zarr")
        assert len(back) == len(cine)
        assert back.grid.matches(cine.grid)
        assert back.frames.chunks[0] == 1
        np.testing.assert_array_equal(back.frames[1:3], cine.frames[1:3])
        assert (back.times is None) == (cine.time_unit == "")
    np.testing.assert_allclose(open_store(tmp_path / "c.zarr").grid.matrix, volume.grid.matrix)


def test_parts_are_as_good_as_the_whole_and_few_frames_are_read_at_once(tmp_path, phantom):
    cine, truth, reference = phantom.cine, phantom.motion, phantom.motion.reference
    spy = Spy(cine.frames)
    register_stored(StoredCine(spy, cine.grid), tmp_path / "m.zarr", reference, refine="fast", device="cpu", chunk=3)
    assert max(spy.asked) == 1
    assert sum(spy.asked) == len(cine)
    others = [t for t in range(len(cine)) if t != reference]
    found = read_stored_motion(tmp_path / "m.zarr", others)
    whole = register_cine(cine, reference=reference, refine="fast", device="cpu")
    inside = phantom.labels[reference] > 0

    def error(field: np.ndarray, t: int) -> float:
        return float(np.linalg.norm(field - truth.displacement[t], axis=0)[inside].mean())

    ours = np.mean([error(found.displacement[n], t) for n, t in enumerate(others, start=1)])
    theirs = np.mean([error(whole.displacement[t], t) for t in others])
    still = np.mean([error(np.zeros_like(whole.displacement[t]), t) for t in others])
    assert ours < 1.15 * theirs
    assert ours < 0.7 * still
    assert not found.displacement[0].any()
    assert [q.error_after < q.error_before for q in found.quality[1:]].count(True) >= 6
    assert found.provenance["model"] == whole.provenance["model"]


def test_what_cannot_be_streamed_leaves_nothing(tmp_path, phantom):
    cine = phantom.cine
    source = StoredCine(cine.frames, cine.grid, name="beat")
    with pytest.raises(InputError, match="no reference frame 9"):
        register_stored(source, tmp_path / "m.zarr", 9)
    with pytest.raises(InputError, match="1 frame or more"):
        register_stored(source, tmp_path / "m.zarr", chunk=0)
    token = CancelToken()

    def stop(fraction: float, text: str) -> None:
        if fraction > 0.4:
            token.cancel()

    with pytest.raises(Cancelled):
        register_stored(source, tmp_path / "m.zarr", chunk=3, refine="fast", device="cpu", progress=stop, cancel=token)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match="no folder"):
        open_store(tmp_path / "none.zarr")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no zarr group"):
        open_store(tmp_path / "empty")
    zarr.open_group(str(tmp_path / "bare"), mode="w").create_array("frames", shape=(2, 4, 4), dtype="f4")
    with pytest.raises(InputError, match="does not say where it lies"):
        open_store(tmp_path / "bare")
