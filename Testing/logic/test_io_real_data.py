"""The readers on real files, with every trap that these are known to hold."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk
from pydicom import dcmread

from DeepRegLogic.errors import InputError
from DeepRegLogic.io import list_series, read_cine, read_field, read_image, read_labels, write_cine, write_field

PATIENTS = ("SCD0000101", "SCD0000201", "SCD0000401")


def find(folder, pattern):
    return sorted(folder.glob(pattern))[0]


@pytest.mark.parametrize("patient", PATIENTS)
def test_sequence_and_nifti_agree(data_folder, patient):
    folder = data_folder / "cine" / "2d+t"
    sequence = read_cine(find(folder, f"{patient}*.seq.nrrd"))
    nifti = read_cine(find(folder, f"{patient}*cine2dt*.nii.gz"))
    assert sequence.frames.shape == (20, 144, 144)
    np.testing.assert_array_equal(sequence.frames, nifti.frames)
    assert sequence.frames.dtype == nifti.frames.dtype == np.int16
    assert sequence.grid.matches(nifti.grid, tolerance=1e-2)
    meta = json.loads((data_folder / "cine" / "meta.json").read_text())[patient]
    np.testing.assert_allclose(sequence.times * 1000, meta["trigger_times_ms"], atol=0.01)
    np.testing.assert_allclose(np.diff(nifti.times) * 1000, meta["frame_interval_ms"], atol=0.01)
    np.testing.assert_allclose(sequence.grid.spacing[:2], meta["spacing_mm"][:2], atol=1e-4)
    for phase in ("ED", "ES"):
        labels = read_labels(find(folder, f"{patient}*labels_{phase}*"), sequence.grid)
        assert labels.shape == (144, 144)
        assert set(np.unique(labels)) == ({0, 1, 2} if phase == "ED" else {0, 1})


@pytest.mark.parametrize("patient", ["SCD0000101", "SCD0000401"])
def test_volumes_over_time(data_folder, patient):
    folder = data_folder / "cine" / "3d+t"
    cine = read_cine(find(folder, f"{patient}*cine*"))
    assert cine.frames.shape[0] == 20
    assert cine.grid.ndim == 3
    assert read_labels(find(folder, f"{patient}*labels_ED*"), cine.grid).shape == cine.grid.shape
    with pytest.raises(InputError, match="another grid"):
        read_labels(find(data_folder / "cine" / "2d+t", f"{patient}*labels_ED*"), cine.grid)


def test_three_slices_of_twenty_phases(data_folder):
    folder = data_folder / "cine" / "dicom" / "classic_3slices_20phases"
    cine = read_cine(folder)
    assert cine.frames.shape == (20, 3, 256, 256)
    assert cine.grid.size == (256, 256, 3)
    np.testing.assert_allclose(cine.grid.spacing, (1.3672, 1.3672, 8.0), atol=1e-3)
    assert np.all(np.diff(cine.times) > 0.045)
    assert cine.times[0] == pytest.approx(0.010)
    assert cine.times[-1] == pytest.approx(0.976)
    for path in (folder / "081.dcm", folder / "105.dcm", folder / "140.dcm"):
        slice_ = dcmread(path)
        index = cine.grid.mm_to_voxel(np.array(slice_.ImagePositionPatient, dtype=float))
        np.testing.assert_allclose(index, np.rint(index), atol=2e-3)
        t = int(np.argmin(np.abs(cine.times - float(slice_.TriggerTime) / 1000)))
        np.testing.assert_array_equal(cine.frames[t, round(index[0])], slice_.pixel_array)


def test_trigger_times_a_little_different_in_every_slice(data_folder, tmp_path):
    """By rank, not by value: made from the real series by moving one slice's times."""
    folder = data_folder / "cine" / "dicom" / "classic_3slices_20phases"
    for path in sorted(folder.iterdir()):
        slice_ = dcmread(path)
        if 101 <= slice_.InstanceNumber <= 120:
            slice_.TriggerTime = float(slice_.TriggerTime) + 2.4
        slice_.save_as(tmp_path / path.name)
    moved, true = read_cine(tmp_path), read_cine(folder)
    np.testing.assert_array_equal(moved.frames, true.frames)
    np.testing.assert_allclose(moved.times - true.times, 0.0008, atol=1e-6)
    assert any("differ by up to 1.6 ms between slices" in note for note in moved.notes)


def test_one_slice_with_invalid_dates_agrees_with_its_cropped_copies(data_folder, recwarn):
    classic = read_cine(data_folder / "cine" / "dicom" / "classic_1slice_20phases")
    enhanced = read_cine(data_folder / "cine" / "dicom" / "derived_enhanced_multiframe_1slice_20phases.dcm")
    assert not recwarn.list
    assert classic.frames.shape == (20, 256, 256)
    assert enhanced.frames.shape == (20, 144, 144)
    assert enhanced.grid.size == (144, 144, 1)
    np.testing.assert_allclose(enhanced.times, classic.times, atol=1e-6)
    start = np.rint(classic.grid.mm_to_voxel(np.array(enhanced.grid.origin))).astype(int)
    part = classic.frames[:, start[0] : start[0] + 144, start[1] : start[1] + 144]
    np.testing.assert_array_equal(part, enhanced.frames)
    sequence = read_cine(find(data_folder / "cine" / "2d+t", "SCD0000201*.seq.nrrd"))
    np.testing.assert_array_equal(sequence.frames, enhanced.frames)
    assert sequence.grid.matches(enhanced.grid, tolerance=0.02)


def test_folder_of_several_series(data_folder):
    folder = data_folder / "cine" / "dicom"
    series = list_series(folder)
    assert sorted(info.images for info in series) == [20, 20, 60]
    with pytest.raises(InputError, match="3 DICOM series") as error:
        read_cine(folder)
    for info in series:
        assert info.uid in str(error.value)
        assert len(read_cine(folder, series=info.uid)) == 20


def test_enhanced_vendor_file_of_eight_slices_and_four_times(data_folder):
    path = find(data_folder / "dicom-enhanced-mr", "*8slices_4times.dcm")
    cine = read_cine(path)
    assert cine.frames.shape == (4, 8, 64, 64)
    np.testing.assert_allclose(cine.grid.spacing, 3.3125, atol=1e-4)
    assert cine.grid.direction == (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    np.testing.assert_allclose(cine.grid.origin, (-105.45056, -117.32145, -69.03745), atol=1e-4)
    raw = dcmread(path)
    slope = float(raw.PerFrameFunctionalGroupsSequence[0].PixelValueTransformationSequence[0].RescaleSlope)
    np.testing.assert_allclose(cine.frames[2, 5], raw.pixel_array[5 * 4 + 2] * slope, rtol=1e-6)


def test_classic_vendor_series_without_times(data_folder):
    cine = read_cine(find(data_folder / "dicom-enhanced-mr", "philips_classic*"))
    assert cine.frames.shape == (4, 2, 80, 80)
    assert cine.grid.spacing[2] == pytest.approx(3.3, abs=0.01)
    assert cine.time_unit == ""
    first = dcmread(find(data_folder / "dicom-enhanced-mr", "philips_classic*/*0050*"))
    np.testing.assert_array_equal(cine.frames[0, 0], first.pixel_array)
    np.testing.assert_allclose(cine.grid.origin, [float(v) for v in first.ImagePositionPatient], atol=1e-6)


def test_enhanced_file_without_functional_groups(data_folder):
    with pytest.raises(InputError, match="10 frames but gives positions for 0"):
        read_image(data_folder / "dicom-enhanced-mr" / "emri_small.dcm")


def test_ultrasound_spacing_times_and_colour(data_folder):
    cine = read_cine(find(data_folder / "echo", "*.dcm"))
    grey = read_cine(find(data_folder / "echo", "*.nii.gz"))
    assert cine.frames.shape == (30, 240, 320)
    assert cine.frames.dtype == np.uint8
    # the tag says 0.051 cm a pixel of 640 x 480; the file holds 320 x 240
    np.testing.assert_allclose(cine.grid.spacing[:2], 1.020994, atol=1e-5)
    np.testing.assert_allclose(grey.grid.spacing[:2], 1.020994, atol=1e-5)
    np.testing.assert_allclose(cine.times, grey.times, atol=1e-4)
    assert any("luminance" in note for note in cine.notes)
    assert any("640x480" in note for note in cine.notes)


def test_pictures_and_volumes(data_folder):
    paths = sorted((data_folder / "edes").glob("*_im*.png"))[:2]
    pair = read_cine(paths)
    assert pair.frames.shape == (2, 256, 256)
    brain = read_image(find(data_folder / "brain", "*T1*"))
    assert brain.grid.ndim == 3
    with pytest.raises(InputError, match="not frames over time"):
        read_cine(find(data_folder / "brain", "*T1*"))


def test_cine_as_three_dimensional_time_stack_is_not_guessed(data_folder, tmp_path):
    cine = read_cine(find(data_folder / "cine" / "2d+t", "*.seq.nrrd"))
    sitk.WriteImage(sitk.GetImageFromArray(cine.frames), str(tmp_path / "stack.nii.gz"))
    with pytest.raises(InputError, match="if its third axis is time"):
        read_cine(tmp_path / "stack.nii.gz")


def test_cine_and_field_round_trip_on_a_real_grid(data_folder, tmp_path):
    cine = read_cine(find(data_folder / "cine" / "2d+t", "*.seq.nrrd"))
    write_cine(tmp_path / "c.seq.nrrd", cine.frames, cine)
    back = read_cine(tmp_path / "c.seq.nrrd")
    np.testing.assert_array_equal(back.frames, cine.frames)
    np.testing.assert_allclose(back.times, cine.times)
    assert back.grid.matches(cine.grid, tolerance=1e-6)
    field = np.random.default_rng(0).normal(size=(2, *cine.grid.shape)).astype(np.float32)
    write_field(tmp_path / "u.h5", field, cine.grid)
    np.testing.assert_allclose(read_field(tmp_path / "u.h5")[0], field, atol=1e-5)
