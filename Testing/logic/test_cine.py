"""Cine and Motion hold together or are refused; what a motion does to images, labels and points."""

import sys

import numpy as np
import pytest
import torch
from made_fields import smooth_field
from made_geometry import rotation
from processes import run

from DeepRegLogic import Cine, Grid, InputError, Motion, flow
from DeepRegLogic.results import resample

GRID = Grid(
    (72, 64, 1), (1.5, 1.8, 8.0), (10, -20, 30), tuple((rotation(0.4, 0.2, -0.3) @ np.diag([1, 1, -1])).ravel())
)


def moving_motion(count=3, grid=GRID, amplitude=5.0):
    velocity = torch.cat([smooth_field(grid.shape, a, sigma=10.0, seed=1) for a in np.linspace(1e-9, amplitude, count)])
    return Motion(grid, 0, flow.exp(velocity).numpy(), flow.exp(-velocity).numpy())


def test_the_values_need_numpy_alone():
    code = (
        "import sys; import DeepRegLogic; DeepRegLogic.Cine, DeepRegLogic.Grid, DeepRegLogic.InputError,"
        " DeepRegLogic.CancelToken; sys.exit('torch' in sys.modules or 'SimpleITK' in sys.modules)"
    )
    assert run([sys.executable, "-c", code]).returncode == 0


def test_a_cine_is_read_only_and_counts_frames_without_times():
    pixels = np.zeros((3, 64, 72), np.int16)
    cine = Cine(pixels, GRID)
    assert len(cine) == 3
    assert cine.time_unit == ""
    assert cine.times.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="read-only"):
        cine.frames[0, 0, 0] = 1
    pixels[0, 0, 0] = 1  # the caller's own array is still his


def test_bad_pixels_name_the_frame():
    for value in (np.nan, np.inf):
        pixels = np.zeros((3, 64, 72), np.float32)
        pixels[2, 5, 5] = value
        with pytest.raises(InputError, match="Frame 2 of 'x'"):
            Cine(pixels, GRID, name="x")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"frames": np.zeros((3, 64, 70))}, "shape"),
        ({"frames": np.zeros((0, 64, 72))}, "no frames"),
        ({"frames": np.zeros((3, 64, 72), complex)}, "complex"),
        ({"frames": np.zeros((3, 64, 72)), "times": [0, 1]}, "3 frames but 2"),
        ({"frames": np.zeros((3, 64, 72)), "times": [0, 1, 1]}, "do not rise"),
    ],
)
def test_a_cine_that_does_not_hold_together_is_refused(arguments, words):
    with pytest.raises(InputError, match=words):
        Cine(grid=GRID, **arguments)


def test_a_motion_that_does_not_hold_together_is_refused():
    field = np.zeros((3, 2, 64, 72), np.float32)
    with pytest.raises(InputError, match="inverse has shape"):
        Motion(GRID, 0, field, field[:2])
    with pytest.raises(InputError, match="Reference frame 3"):
        Motion(GRID, 3, field, field)


def test_compensation_undoes_propagation():
    motion = moving_motion()
    image = flow.smooth(torch.rand(1, 1, *GRID.shape, generator=torch.Generator().manual_seed(0)), 3)[0, 0].numpy()
    image = image / image.max()
    frames = resample.propagate(motion, image)
    assert np.abs(frames[0] - image).max() < 1e-5
    assert np.abs(frames[2] - image).max() > 0.05
    back = resample.compensate(motion, frames)
    assert np.abs(back - image).max() < 0.02


def test_labels_keep_their_type_and_values():
    motion = moving_motion()
    labels = np.zeros(GRID.shape, np.uint8)
    labels[20:40, 25:50] = 7
    carried = resample.propagate(motion, labels, nearest=True)
    assert carried.dtype == np.uint8
    assert set(np.unique(carried)) == {0, 7}
    assert (carried[0] == labels).all()


def test_points_move_with_the_tissue_they_mark():
    motion = moving_motion()
    # a bright blob drawn at a point of the reference is carried to where the point goes
    index = np.array([30.0, 34.0])
    y, x = np.indices(GRID.shape)
    blob = np.exp(-((y - index[0]) ** 2 + (x - index[1]) ** 2) / 4).astype(np.float32)
    frame = resample.propagate(motion, blob)[2]
    found = np.array([(frame * y).sum(), (frame * x).sum()]) / frame.sum()
    moved = resample.move_points(motion, GRID.voxel_to_mm(index)[None], 2)
    assert np.linalg.norm(GRID.mm_to_voxel(moved)[0] - index) > 0.5
    assert np.linalg.norm(GRID.mm_to_voxel(moved)[0] - found) < 0.15
    assert np.allclose(resample.move_points_back(motion, moved, 2)[0], GRID.voxel_to_mm(index), atol=0.05)


def test_what_is_not_on_the_grid_is_refused():
    motion = moving_motion()
    with pytest.raises(InputError, match="label map has shape"):
        resample.propagate(motion, np.zeros((10, 10)))
    with pytest.raises(InputError, match="not on the motion's grid"):
        resample.compensate(motion, np.zeros((2, *GRID.shape)))
    with pytest.raises(InputError, match=r"\[P, 3\]"):
        resample.move_points(motion, np.zeros((4, 2)), 1)
