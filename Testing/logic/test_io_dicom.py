"""Classic DICOM series: order, geometry, choice of series, and every way in which a folder can be wrong."""

from __future__ import annotations

import os
import re
import sys

import numpy as np
import pytest
from made_dicom import CORNER, NORMAL, ORIENTATION, slice_pixels, write_slice, write_stack
from processes import run
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGLSLossless, RLELossless

from DeepRegLogic.errors import InputError, MemoryBudgetError
from DeepRegLogic.io import list_series, read_cine, read_image


def test_stack_is_sorted_by_position_and_rank_of_trigger_time(tmp_path):
    cine = read_cine(write_stack(tmp_path / "stack"))
    assert cine.frames.shape == (4, 3, 6, 8)
    assert cine.frames.dtype == np.int16
    for t in range(4):
        for k in range(3):
            np.testing.assert_array_equal(cine.frames[t, k], slice_pixels(t, k))
    # trigger times differ by 2 ms a slice: the mean over the slices
    np.testing.assert_allclose(cine.times, [0.012, 0.052, 0.092, 0.132])
    assert cine.time_unit == "s"
    assert any("2.0 ms between slices" in note for note in cine.notes)
    assert (cine.name, cine.suffix) == ("stack", ".dcm")


def test_stack_geometry(tmp_path):
    grid = read_cine(write_stack(tmp_path / "stack")).grid
    assert grid.size == (8, 6, 3)
    np.testing.assert_allclose(grid.spacing, (1.25, 1.5, 8.0), atol=1e-4)
    np.testing.assert_allclose(grid.origin, CORNER)
    # voxel (k=2, j=3, i=4): along i by the first three cosines, along j by the others
    expected = CORNER + 4 * 1.25 * np.array(ORIENTATION[:3]) + 3 * 1.5 * np.array(ORIENTATION[3:]) + 2 * 8 * NORMAL
    np.testing.assert_allclose(grid.voxel_to_mm((2, 3, 4)), expected, atol=1e-3)


def test_single_slice_takes_the_spacing_of_the_header(tmp_path):
    cine = read_cine(write_stack(tmp_path / "one", positions=1))
    assert cine.frames.shape == (4, 6, 8)
    assert cine.grid.size == (8, 6, 1)
    assert cine.grid.spacing == (1.25, 1.5, 7.0)


def test_phases_by_time_position_then_number_where_there_is_no_trigger(tmp_path):
    for n, t in enumerate((2, 0, 1)):
        write_slice(tmp_path / f"a{n}", t, 0, TriggerTime="0", TemporalPositionIdentifier=t + 1, InstanceNumber=n)
    cine = read_cine(tmp_path)
    assert cine.frames[:, 0, 0].tolist() == [0, 1000, 2000]
    assert (cine.time_unit, cine.times.tolist()) == ("", [0, 1, 2])
    assert any("no usable frame times" in note for note in cine.notes)


def test_acquisition_time_gives_seconds(tmp_path):
    for t in range(3):
        clock = f"10{59:02d}59.{5 + t}" if t < 2 else "110000.5"
        write_slice(tmp_path / f"a{t}", t, 0, TriggerTime=None, AcquisitionTime=clock)
    np.testing.assert_allclose(read_cine(tmp_path).times, [0.0, 0.1, 1.0])


def test_rescale_keeps_whole_numbers_whole(tmp_path):
    whole = write_stack(tmp_path / "whole", positions=1, RescaleSlope="1", RescaleIntercept="-1024")
    cine = read_cine(whole)
    assert cine.frames.dtype == np.int16
    assert cine.frames[0, 0, 0] == -1024
    parts = read_cine(write_stack(tmp_path / "parts", positions=1, RescaleSlope="0.5", RescaleIntercept="1"))
    assert parts.frames.dtype == np.float32
    assert parts.frames[1, 0, 1] == 0.5 * 1001 + 1


def test_invalid_dates_and_identifiers_are_no_obstacle(tmp_path, recwarn):
    folder = write_stack(tmp_path / "dates", positions=1)
    for path in folder.iterdir():
        raw = dcmread(path)
        raw.add_new((0x0008, 0x0020), "LO", "20120000")
        raw.add_new((0x0010, 0x0030), "LO", "00000000")
        raw["StudyDate"].VR = raw["PatientBirthDate"].VR = "DA"
        raw.SeriesInstanceUID = "1.2.03.bad"
        raw.save_as(path)
    recwarn.clear()
    assert len(read_cine(folder)) == 4
    assert not recwarn.list


def test_copies_are_left_out(tmp_path):
    folder = write_stack(tmp_path / "twice", positions=1)
    (folder / "copy").write_bytes((folder / "IM000").read_bytes())
    cine = read_cine(folder)
    assert len(cine) == 4
    assert any("Copies" in note for note in cine.notes)


def test_other_files_and_dicomdir_are_passed_over(tmp_path):
    folder = write_stack(tmp_path / "mixed", positions=1)
    (folder / "DICOMDIR").write_bytes((folder / "IM000").read_bytes()[:400])
    (folder / "notes.txt").write_text("hello")
    (folder / ".hidden").write_bytes((folder / "IM000").read_bytes()[:400])
    assert len(read_cine(folder)) == 4


def test_several_series_are_listed_and_chosen_by_uid(tmp_path):
    write_stack(tmp_path / "a", positions=1, series="1.2.3.10", SeriesDescription="cine sax")
    write_stack(tmp_path / "b", phases=5, positions=1, series="1.2.3.11", SeriesNumber=2)
    first, second = list_series(tmp_path)
    assert (first.uid, first.images, first.size, first.modality) == ("1.2.3.11", 5, (8, 6), "MR")
    assert (second.uid, second.description, len(second.files)) == ("1.2.3.10", "cine sax", 4)
    with pytest.raises(InputError, match=r"2 DICOM series.*1\.2\.3\.11.*1\.2\.3\.10 \(MR, 'cine sax', 4 images of 8x6"):
        read_cine(tmp_path)
    assert len(read_cine(tmp_path, series="1.2.3.11")) == 5
    with pytest.raises(InputError, match=r"no series 9\.9.*1\.2\.3\.10"):
        read_cine(tmp_path, series="9.9")


def test_list_of_files_is_a_series_too(tmp_path):
    folder = write_stack(tmp_path / "stack", positions=1)
    assert len(read_cine(sorted(folder.iterdir()), name="mine")) == 4


def test_missing_phase_names_slice_and_files(tmp_path):
    folder = write_stack(tmp_path / "gap")
    lost = next(path for path in folder.iterdir() if dcmread(path).InstanceNumber == 22)
    lost.unlink()
    with pytest.raises(
        InputError, match=r"Phases are missing in 'gap': slice 2 of 3 has 3 images where others have 4 .*IM0"
    ):
        read_cine(folder)


def test_missing_phase_of_one_slice_is_noted(tmp_path):
    for t in (0, 1, 2, 4, 5):
        write_slice(tmp_path / f"a{t}", t, 0)
    assert any("a phase may be missing" in note and "frames 2 and 3" in note for note in read_cine(tmp_path).notes)


def test_missing_slice_names_its_neighbours(tmp_path):
    for k in (0, 1, 3, 4):
        for t in range(2):
            write_slice(tmp_path / f"s{k}t{t}", t, k)
    with pytest.raises(InputError, match=r"not evenly spaced: 16.00 mm between 's1t0' and 's3t0', 8.00 mm elsewhere"):
        read_cine(tmp_path)


def test_slightly_uneven_slices_are_noted(tmp_path):
    for k, depth in enumerate((0.0, 8.0, 16.3)):
        for t in range(2):
            write_slice(
                tmp_path / f"s{k}t{t}", t, k, ImagePositionPatient=[f"{v:.6f}" for v in CORNER + depth * NORMAL]
            )
    cine = read_cine(tmp_path)
    assert cine.grid.spacing[2] == pytest.approx(8.15, abs=1e-4)
    assert any("gaps between slices differ" in note for note in cine.notes)


def test_sheared_stack_is_refused(tmp_path):
    for k in range(3):
        for t in range(2):
            position = CORNER + 8 * k * NORMAL + 2.0 * k * np.array(ORIENTATION[:3])
            write_slice(tmp_path / f"s{k}t{t}", t, k, ImagePositionPatient=[f"{v:.6f}" for v in position])
    with pytest.raises(InputError, match=r"shifted sideways.*4\.00 mm.*s2t"):
        read_cine(tmp_path)


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}, "orientation in 'odd'"),
        ({"pixels": np.zeros((7, 8), np.int16)}, "size of 'odd' is \\(8, 7\\)"),
        ({"PixelSpacing": [2, 2]}, "pixel spacing in 'odd' is \\(2, 2\\)"),
    ],
)
def test_mixed_images_name_the_file(tmp_path, extra, words):
    folder = write_stack(tmp_path / "stack", positions=1)
    write_slice(folder / "odd", 9, 0, **extra)
    with pytest.raises(InputError, match=rf"mixed.*{words}.*1 of 5 images differ"):
        read_cine(folder)


def test_image_without_position_names_the_file(tmp_path):
    folder = write_stack(tmp_path / "stack", positions=1)
    write_slice(folder / "scout", 9, 0, ImagePositionPatient=None)
    with pytest.raises(InputError, match="no position in the patient: 'scout'"):
        read_cine(folder)


def test_two_images_of_one_place_and_time(tmp_path):
    folder = write_stack(tmp_path / "flow", positions=1)
    write_slice(folder / "phase", 2, 0, InstanceNumber=90)
    with pytest.raises(InputError, match=r"more than one image of the same place and time.*'phase'"):
        read_cine(folder)


def test_single_volume_is_an_image_and_no_cine(tmp_path):
    folder = write_stack(tmp_path / "volume", phases=1)
    assert read_image(folder).frames.shape == (1, 3, 6, 8)
    with pytest.raises(InputError, match="holds one image of \\(8, 6, 3\\) voxels, not frames over time"):
        read_cine(folder)
    assert read_image(folder / "IM000").frames.shape == (1, 6, 8)


def test_compressed_files(tmp_path):
    folder = write_stack(tmp_path / "rle", positions=1)
    for path in folder.iterdir():
        ds = dcmread(path)
        ds.compress(RLELossless, generate_instance_uid=False)
        ds.save_as(path)
    np.testing.assert_array_equal(read_cine(folder).frames[2], slice_pixels(2, 0))


def test_undecodable_compression_names_the_package(tmp_path):
    folder = write_stack(tmp_path / "ls", positions=1)
    for path in folder.iterdir():
        ds = dcmread(path)
        ds.PixelData = encapsulate([b"\xff\xd8\x00\x00"])
        ds["PixelData"].is_undefined_length = True
        ds.file_meta.TransferSyntaxUID = JPEGLSLossless
        ds.save_as(path)
    code = """
import sys
sys.modules["jpeg_ls"] = None  # as where it is not installed
from DeepRegLogic import read_cine
try:
    read_cine(sys.argv[1])
except Exception as error:
    print(type(error).__name__, error)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = run([sys.executable, "-W", "ignore", "-c", code, folder], env=environment)
    assert re.search(r"InputError .*compressed as 'JPEG-LS Lossless.*install the Python package pyjpegls", done.stdout)


@pytest.mark.parametrize("part", [0.3, 0.9, 0.99])
def test_truncated_file_is_named(tmp_path, part):
    folder = write_stack(tmp_path / "cut", positions=1)
    raw = (folder / "IM002").read_bytes()
    (folder / "IM002").write_bytes(raw[: int(len(raw) * part)])
    with pytest.raises(InputError, match="IM002"):
        read_cine(folder)


def test_truncated_pixels_say_so(tmp_path):
    write_slice(tmp_path / "a.dcm", 0, 0)
    raw = (tmp_path / "a.dcm").read_bytes()
    (tmp_path / "a.dcm").write_bytes(raw[:-10])
    with pytest.raises(InputError, match=r"a\.dcm' (are|is) damaged or cut short|a\.dcm' cannot be read as DICOM"):
        read_image(tmp_path / "a.dcm")


def test_budget_is_checked_before_pixels(tmp_path, monkeypatch):
    folder = write_stack(tmp_path / "big")
    monkeypatch.setattr("DeepRegLogic.io.dicom.classic.decode", lambda *_: pytest.fail("pixels were read"))
    with pytest.raises(MemoryBudgetError, match=r"'big' holds 0\.00 GB"):
        read_cine(folder, memory_gb=1e-7)


def test_not_dicom(tmp_path):
    (tmp_path / "a.dcm").write_bytes(b"no" * 200)
    with pytest.raises(InputError, match="not a DICOM file"):
        read_cine(tmp_path / "a.dcm")
    with pytest.raises(InputError, match="no folder"):
        list_series(tmp_path / "missing")
    with pytest.raises(InputError, match=r"'a\.dcm' cannot be read as DICOM"):
        list_series(tmp_path)
