"""Displacement fields as files: what SimpleITK makes of them is what flow.warp makes of them."""

from __future__ import annotations

import errno

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from made_fields import image_and_field
from made_geometry import SLICE, VOLUME

from DeepRegLogic import flow
from DeepRegLogic.errors import InputError, OutputError
from DeepRegLogic.grid import Grid
from DeepRegLogic.io import read_field, write_field

SUFFIXES = (".nrrd", ".nii.gz", ".nii", ".mha", ".h5", ".tfm")


def itk_image(image: np.ndarray, grid: Grid) -> sitk.Image:
    result = sitk.GetImageFromArray(image.reshape(*reversed(grid.size)))
    result.SetSpacing(grid.spacing)
    result.SetOrigin(grid.origin)
    result.SetDirection(grid.direction)
    return result


@pytest.mark.parametrize("grid", [SLICE, VOLUME], ids=["slice", "volume"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_simpleitk_applies_the_file_to_the_same_effect(tmp_path, grid, suffix):
    image, field = image_and_field(grid)
    path = tmp_path / f"u{suffix}"
    write_field(path, field, grid)
    if suffix in (".h5", ".tfm"):
        transform = sitk.ReadTransform(str(path))
    else:
        transform = sitk.DisplacementFieldTransform(sitk.ReadImage(str(path), sitk.sitkVectorFloat64))
    assert transform.GetName() == "DisplacementFieldTransform"
    fixed = itk_image(image, grid)
    theirs = sitk.GetArrayFromImage(sitk.Resample(fixed, fixed, transform, sitk.sitkLinear, np.nan)).reshape(grid.shape)
    ours = flow.warp(torch.from_numpy(image)[None, None], torch.from_numpy(field)[None])[0, 0].numpy()
    inside = np.isfinite(theirs)
    assert inside.mean() > 0.7
    assert np.abs(theirs - ours)[inside].max() < 1e-3 * np.ptp(image)
    still = np.abs(image - ours)[inside].max()
    assert still > 0.2 * np.ptp(image)  # the field does something


@pytest.mark.parametrize("grid", [SLICE, VOLUME], ids=["slice", "volume"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_round_trip(tmp_path, grid, suffix):
    _, field = image_and_field(grid)
    write_field(tmp_path / f"u{suffix}", field, grid)
    back, where = read_field(tmp_path / f"u{suffix}")
    assert where.matches(grid)
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, field, atol=2e-5)


def test_known_shift_in_millimetres(tmp_path):
    shift = np.array((6.0, -4.0, 3.0))
    voxels = np.linalg.solve(VOLUME.matrix[:3, :3], shift)[::-1]
    write_field(tmp_path / "u.nrrd", np.broadcast_to(voxels[:, None, None, None], (3, *VOLUME.shape)), VOLUME)
    vectors = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "u.nrrd")))
    assert vectors.shape == (*VOLUME.shape, 3)
    np.testing.assert_allclose(vectors, np.broadcast_to(shift, vectors.shape), atol=1e-5)


def test_slice_is_written_in_three_dimensions(tmp_path):
    _, field = image_and_field(SLICE)
    for suffix in SUFFIXES[:4]:
        write_field(tmp_path / f"u{suffix}", field, SLICE)
        image = sitk.ReadImage(str(tmp_path / f"u{suffix}"))
        assert image.GetDimension() == 3
        assert image.GetNumberOfComponentsPerPixel() == 3


def test_what_is_no_field(tmp_path):
    for name, words in (("a.nrrd", "no file"), ("text.nrrd", "cannot be read"), ("text.h5", "cannot be read")):
        if name.startswith("text"):
            (tmp_path / name).write_text("hello")
        with pytest.raises(InputError, match=words):
            read_field(tmp_path / name)
    sitk.WriteTransform(sitk.Euler3DTransform(), str(tmp_path / "e.tfm"))
    with pytest.raises(InputError, match="Euler3DTransform, not a displacement field"):
        read_field(tmp_path / "e.tfm")
    sitk.WriteImage(itk_image(image_and_field(VOLUME)[0], VOLUME), str(tmp_path / "s.nrrd"))
    with pytest.raises(InputError, match="is not a 3D displacement field"):
        read_field(tmp_path / "s.nrrd")
    with pytest.raises(InputError, match="does not fit"):
        write_field(tmp_path / "u.nrrd", np.zeros((2, 3, 4)), VOLUME)
    with pytest.raises(InputError, match=r"not '\.png'"):
        write_field(tmp_path / "u.png", image_and_field(VOLUME)[1], VOLUME)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_full_disk_leaves_nothing(tmp_path, monkeypatch, suffix):
    def full(*_: object, **__: object) -> None:
        (next(tmp_path.glob("sub/.unfinished-*")) / f"u{suffix}").write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sitk, "WriteImage", full)
    monkeypatch.setattr(sitk, "WriteTransform", full)
    with pytest.raises(OutputError, match="the disk is full"):
        write_field(tmp_path / "sub" / f"u{suffix}", image_and_field(SLICE)[1], SLICE)
    assert list(tmp_path.iterdir()) == []


def test_half_a_nifti_file_written_without_a_word_is_noticed(tmp_path, monkeypatch):
    write = sitk.WriteImage

    def half(image: sitk.Image, path: str, useCompression: bool) -> None:
        write(image, path, useCompression)
        with open(path, "r+b") as file:
            file.truncate(2000)

    monkeypatch.setattr(sitk, "WriteImage", half)
    with pytest.raises(OutputError, match="the disk is full"):
        write_field(tmp_path / "u.nii.gz", image_and_field(SLICE)[1], SLICE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("grid", [SLICE, VOLUME], ids=["slice", "volume"])
def test_half_precision_is_off_by_its_last_bit_and_smaller(tmp_path, grid):
    _, field = image_and_field(grid)
    for name, half in (("whole.nrrd", False), ("half.nrrd", True)):
        write_field(tmp_path / name, field, grid, half=half)
    vectors = {
        name: sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / name))) for name in ("whole.nrrd", "half.nrrd")
    }
    error = np.abs(vectors["half.nrrd"] - vectors["whole.nrrd"])
    assert 0 < error.max() <= 2.0**-11 * np.abs(vectors["whole.nrrd"]).max()
    assert (error <= 2.0**-11 * np.abs(vectors["whole.nrrd"]) + 2.0**-25).all()
    assert (tmp_path / "half.nrrd").stat().st_size < 0.75 * (tmp_path / "whole.nrrd").stat().st_size
