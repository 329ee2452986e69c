"""What is written of a motion: all of it, in the input's format, geometry and type; or nothing at all."""

from __future__ import annotations

import errno
import os
import signal

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from DeepRegLogic import flow
from DeepRegLogic.cine import Cine, Motion
from DeepRegLogic.errors import Cancelled, InputError, OutputError
from DeepRegLogic.grid import Grid
from DeepRegLogic.io import read_cine, read_field, write_cine
from DeepRegLogic.io.write import as_type
from DeepRegLogic.progress import CancelToken
from DeepRegLogic.results.resample import compensate, propagate
from DeepRegLogic.results.write import write_motion

SLICE = Grid((20, 18, 1), (1.5, 1.2, 8.0), (10.0, -20.0, 30.0), (0.8, 0.6, 0, -0.6, 0.8, 0, 0, 0, -1.0))
VOLUME = Grid((20, 18, 6), (1.5, 1.2, 4.0), (10.0, -20.0, 30.0), (0.8, 0.6, 0, -0.6, 0.8, 0, 0, 0, -1.0))


def made(grid: Grid = SLICE, dtype: str = "int16", suffix: str = ".seq.nrrd", count: int = 3) -> tuple[Cine, Motion]:
    torch.manual_seed(0)
    frames = flow.smooth(torch.randn(count, 1, *grid.shape), 1.5)[:, 0]
    frames = ((frames - frames.min()) / (frames.max() - frames.min()) * 250).numpy()
    velocity = flow.smooth(torch.randn(count, grid.ndim, *grid.shape), 4.0) * 10
    velocity[1] = 0
    times = 0.01 + 0.05 * np.arange(count)
    cine = Cine(as_type(frames, np.dtype(dtype)), grid, times, name="4: sax/cine", suffix=suffix)
    motion = Motion(grid, 1, flow.exp(velocity).numpy(), flow.exp(-velocity).numpy(), times, name=cine.name)
    return cine, motion


@pytest.mark.parametrize(
    ("suffix", "dtype", "written"),
    [
        (".seq.nrrd", "int16", ".seq.nrrd"),
        (".nii.gz", "uint8", ".nii.gz"),
        (".nrrd", "float32", ".nrrd"),
        (".mha", "uint16", ".mha"),
        (".dcm", "int16", ".seq.nrrd"),
        ("", "int16", ".seq.nrrd"),
        (".png", "uint8", ""),
        (".jpg", "uint8", ""),
        (".tif", "float32", ".seq.nrrd"),
    ],
)
def test_everything_in_the_format_of_the_input(tmp_path, suffix, dtype, written):
    cine, motion = made(dtype=dtype, suffix=suffix)
    labels = np.zeros(SLICE.shape, np.uint8)
    labels[5:12, 6:14] = 3
    paths = write_motion(motion, cine, tmp_path / "deep" / "out", labels=labels)
    out = tmp_path / "deep" / "out"
    assert [path.relative_to(out).as_posix() for path in paths[:4]] == [
        f"4_sax_cine_compensated{written}",
        f"4_sax_cine_propagated{written}",
        f"4_sax_cine_jacobian{written or '.seq.nrrd'}",
        f"4_sax_cine_labels{written}",
    ]
    assert sorted(path.name for path in (out / "fields").iterdir()) == [
        f"{kind}_00{t}.nrrd" for kind in ("displacement", "inverse") for t in range(3)
    ]
    assert all(path.exists() for path in paths)
    assert not list(out.glob(".*"))
    compensated, propagated, jacobian, carried = (read_cine(path) for path in paths[:4])
    assert compensated.frames.dtype == cine.frames.dtype
    tolerance = 1e-4 if dtype == "float32" else 0.5001
    assert np.abs(compensated.frames - compensate(motion, cine.frames)).max() <= tolerance
    assert np.abs(propagated.frames - propagate(motion, cine.frames[1])).max() <= tolerance
    np.testing.assert_array_equal(carried.frames, propagate(motion, labels, nearest=True))
    assert carried.frames.dtype == np.uint8
    np.testing.assert_allclose(propagated.frames[1], cine.frames[1], atol=1e-4)
    np.testing.assert_allclose(jacobian.frames[1], 1)
    assert jacobian.frames.std() > 0.01
    if written:
        assert compensated.grid.matches(SLICE)
        np.testing.assert_allclose(compensated.times, cine.times, atol=1e-6)


@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz", ".h5"])
@pytest.mark.parametrize("grid", [SLICE, VOLUME], ids=["slice", "volume"])
def test_fields_both_ways(tmp_path, grid, suffix):
    cine, motion = made(grid)
    write_motion(motion, cine, tmp_path, field_suffix=suffix)
    for t in range(3):
        for name, fields in (("displacement", motion.displacement), ("inverse", motion.inverse)):
            back, where = read_field(tmp_path / "fields" / f"{name}_{t:03d}{suffix}")
            np.testing.assert_allclose(back, fields[t], atol=2e-5)
            assert where.matches(grid)


def test_simpleitk_makes_the_compensated_image_of_the_written_field(tmp_path):
    cine, motion = made(VOLUME, dtype="float32")
    paths = write_motion(motion, cine, tmp_path)
    frame = sitk.GetImageFromArray(cine.frames[2])
    field = sitk.ReadImage(str(tmp_path / "fields" / "displacement_002.nrrd"), sitk.sitkVectorFloat64)
    frame.CopyInformation(field)
    theirs = sitk.GetArrayFromImage(
        sitk.Resample(frame, frame, sitk.DisplacementFieldTransform(field), sitk.sitkLinear, np.nan)
    )
    inside = np.isfinite(theirs)
    assert inside.mean() > 0.6
    assert np.abs(theirs - read_cine(paths[0]).frames[2])[inside].max() < 1e-3 * np.ptp(cine.frames)


def test_files_that_are_there_stay_and_old_results_are_replaced(tmp_path):
    cine, motion = made()
    (tmp_path / "mine.txt").write_text("keep")
    write_motion(motion, cine, tmp_path)
    first = (tmp_path / "fields" / "displacement_000.nrrd").read_bytes()
    other = Motion(SLICE, 1, motion.inverse, motion.displacement, motion.times)
    write_motion(other, cine, tmp_path)
    assert (tmp_path / "fields" / "displacement_000.nrrd").read_bytes() != first
    assert (tmp_path / "mine.txt").read_text() == "keep"


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("uint8", [0, 0, 2, 255]), ("int16", [-7, 0, 2, 32767]), ("int64", [-7, 0, 2, 10**5]), ("bool", [0, 0, 1, 1])],
)
def test_integers_are_rounded_and_clipped(dtype, expected):
    values = as_type(np.array([-7.2, 0.4, 1.6, 1e5]), np.dtype(dtype))
    assert values.dtype == dtype
    assert values.astype(int).tolist() == expected


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint32", "uint64"])
def test_clipping_at_the_largest_integers(dtype):
    limits = np.iinfo(dtype)
    low, high = as_type(np.array([-1e30, 1e30], np.float32), np.dtype(dtype))
    assert low == limits.min
    assert 0.999 * limits.max < high <= limits.max


def test_what_does_not_fit(tmp_path):
    cine, motion = made()
    with pytest.raises(InputError, match="number of frames or the grid differs"):
        write_motion(motion, made(count=4)[0], tmp_path / "out")
    with pytest.raises(InputError, match="not on the reference frame"):
        write_motion(motion, cine, tmp_path / "out", labels=np.zeros((3, 3), int))
    with pytest.raises(InputError, match="whole numbers"):
        write_motion(motion, cine, tmp_path / "out", labels=np.zeros(SLICE.shape))
    with pytest.raises(InputError, match=r"not '\.txt'"):
        write_motion(motion, cine, tmp_path / "out", field_suffix=".txt")
    assert list(tmp_path.iterdir()) == []


def test_folder_that_cannot_be_written(tmp_path):
    cine, motion = made()
    (tmp_path / "file").write_text("x")
    for folder in (tmp_path / "file", tmp_path / "file" / "deep" / "out"):
        with pytest.raises(OutputError, match="choose another folder"):
            write_motion(motion, cine, folder)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("when", [1, 3, 8])
def test_full_disk_leaves_nothing_at_any_moment(tmp_path, monkeypatch, when):
    cine, motion = made()
    calls = []
    write = sitk.WriteImage

    def full(*arguments: object, **words: object) -> None:
        calls.append(1)
        write(*arguments, **words)
        if len(calls) == when - 1 or when == 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(sitk, "WriteImage", full)
    if when == 8:
        monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "mine.txt").write_text("keep")
    for folder in (tmp_path / "new" / "out", tmp_path / "there"):
        calls.clear()
        with pytest.raises(OutputError, match="the disk is full") as error:
            write_motion(motion, cine, folder)
        assert str(folder) in str(error.value)
        assert ".unfinished" not in str(error.value)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")) == ["there", "there/mine.txt"]


@pytest.mark.parametrize("suffix", [".seq.nrrd", ".nii", ".nii.gz", ".mha"])
def test_no_room_in_the_file_system(tmp_path, suffix):
    """A limit on the size of a file stands in for a full disk: the writing itself fails, half way."""
    resource = pytest.importorskip("resource", reason="limits on the size of files are those of POSIX")
    frames = np.random.default_rng(0).integers(0, 30000, (8, *VOLUME.shape)).astype(np.int16)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (9000, hard))
    try:
        with pytest.raises(OutputError, match="could not be written"):
            write_cine(tmp_path / f"a{suffix}", frames, Cine(frames, VOLUME))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("moment", [0, 2, 4])
def test_cancel_leaves_nothing(tmp_path, moment):
    cine, motion = made()
    token, seen = CancelToken(), []

    def progress(fraction: float, text: str) -> None:
        seen.append(fraction)
        if len(seen) > moment:
            token.cancel()

    with pytest.raises(Cancelled):
        write_motion(motion, cine, tmp_path / "out", progress=progress, cancel=token)
    assert list(tmp_path.iterdir()) == []


def test_progress_rises_to_one(tmp_path):
    cine, motion = made()
    seen = []
    write_motion(motion, cine, tmp_path, progress=lambda fraction, text: seen.append(fraction))
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0.0, 1.0)
