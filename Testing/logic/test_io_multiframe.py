"""Multi-frame DICOM: Enhanced MR in any order of its frames, ultrasound spacing, times and colour."""

from __future__ import annotations

import numpy as np
import pytest
from made_dicom import CORNER, NORMAL, region, slice_pixels, write_enhanced, write_ultrasound
from pydicom import dcmread
from pydicom.sequence import Sequence

from DeepRegLogic.errors import InputError, MemoryBudgetError, RegistrationError
from DeepRegLogic.io import list_series, read_cine, read_image


def test_enhanced_file_is_unfolded(tmp_path):
    cine = read_cine(write_enhanced(tmp_path / "e.dcm"))
    assert cine.frames.shape == (4, 3, 6, 8)
    for t in range(4):
        for k in range(3):
            np.testing.assert_array_equal(cine.frames[t, k], 2 * slice_pixels(t, k).astype(int) + 5)
    np.testing.assert_allclose(cine.times, [0, 0.025, 0.05, 0.075])
    np.testing.assert_allclose(cine.grid.spacing, (1.25, 1.5, 6.0), atol=1e-4)
    np.testing.assert_allclose(cine.grid.voxel_to_mm((2, 0, 0)), CORNER + 12 * NORMAL, atol=1e-3)
    assert cine.frames.dtype == np.int16


def test_enhanced_single_slice_whose_frames_share_a_position(tmp_path):
    cine = read_cine(write_enhanced(tmp_path / "e.dcm", positions=1))
    assert cine.frames.shape == (4, 6, 8)
    assert cine.grid.spacing == (1.25, 1.5, 9.0)


def test_enhanced_without_trigger_goes_by_temporal_position(tmp_path):
    cine = read_cine(write_enhanced(tmp_path / "e.dcm", trigger=False))
    assert cine.frames[:, 0, 0, 0].tolist() == [5, 2005, 4005, 6005]
    assert cine.time_unit == ""


def test_enhanced_volume_is_an_image(tmp_path):
    assert read_image(write_enhanced(tmp_path / "e.dcm", phases=1)).frames.shape == (1, 3, 6, 8)


def test_enhanced_without_places(tmp_path):
    path = write_enhanced(tmp_path / "e.dcm", PerFrameFunctionalGroupsSequence=Sequence([]))
    with pytest.raises(InputError, match="12 frames but gives positions for 0"):
        read_cine(path)
    ds = dcmread(write_enhanced(path))
    del ds.PerFrameFunctionalGroupsSequence[5].PlanePositionSequence
    ds.save_as(path)
    with pytest.raises(InputError, match=r"Frame 6 of .* has no position"):
        read_cine(path)


def test_enhanced_with_a_phase_lost(tmp_path):
    path = write_enhanced(tmp_path / "e.dcm")
    ds = dcmread(path)
    del ds.PerFrameFunctionalGroupsSequence[5]
    ds.NumberOfFrames = 11
    ds.PixelData = ds.PixelData[: 11 * 6 * 8 * 2]
    ds.save_as(path)
    with pytest.raises(InputError, match=r"Phases are missing in 'e'.*slice 2 of 3 has 3 .*frame 5"):
        read_cine(path)


def test_enhanced_cut_short(tmp_path):
    path = write_enhanced(tmp_path / "e.dcm")
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) - 300])
    with pytest.raises(InputError, match="cut short"):
        read_cine(path)


def test_two_scans_of_one_series_in_enhanced_files(tmp_path):
    write_enhanced(tmp_path / "a.dcm")
    write_enhanced(tmp_path / "b.dcm")
    assert list_series(tmp_path)[0].images == 24
    with pytest.raises(InputError, match=r"more than one image of the same place and time .*frame 1 of 'a.dcm'"):
        read_cine(tmp_path)
    (tmp_path / "b.dcm").write_bytes((tmp_path / "a.dcm").read_bytes())
    cine = read_cine(tmp_path)
    assert cine.frames.shape == (4, 3, 6, 8)
    assert any("Copies" in note for note in cine.notes)


def test_several_ultrasound_files_of_one_series(tmp_path):
    for name in ("a.dcm", "b.dcm"):
        write_ultrasound(tmp_path / name, grey(), FrameTime="40")
    with pytest.raises(InputError, match=r"several files with frames over time \('a.dcm', 'b.dcm'\); give one"):
        read_cine(tmp_path)
    assert len(read_cine(tmp_path / "b.dcm")) == 3


def grey(count=3, rows=24, columns=32):
    return np.random.default_rng(1).integers(0, 255, (count, rows, columns)).astype(np.uint8)


def test_ultrasound(tmp_path):
    frames = grey()
    regions = Sequence([region(30, 22, 0.05), region(31, 3, 0.02, units=4)])
    path = write_ultrasound(tmp_path / "u.dcm", frames, FrameTime="33.333", SequenceOfUltrasoundRegions=regions)
    cine = read_cine(path)
    np.testing.assert_array_equal(cine.frames, frames)
    np.testing.assert_allclose(cine.grid.spacing, (0.5, 0.5, 1.0))
    np.testing.assert_allclose(cine.times, [0, 0.033333, 0.066666])
    assert not cine.notes


@pytest.mark.parametrize(
    ("columns", "rows", "right", "bottom", "factor"),
    [(320, 240, 595, 414, 2.0), (640, 480, 700, 560, 1.2), (50, 30, 120, 60, 3.0), (320, 240, 319, 239, 1.0)],
)
def test_ultrasound_spacing_of_another_matrix(tmp_path, columns, rows, right, bottom, factor):
    path = write_ultrasound(
        tmp_path / "u.dcm",
        np.zeros((2, rows, columns), np.uint8),
        FrameTime="20",
        SequenceOfUltrasoundRegions=Sequence([region(right, bottom, 0.04)]),
    )
    cine = read_cine(path)
    np.testing.assert_allclose(cine.grid.spacing[:2], 0.4 * factor)
    assert any("reaches beyond" in note for note in cine.notes) == (factor != 1)


def test_colour_becomes_luminance_and_says_so(tmp_path):
    frames = np.random.default_rng(2).integers(0, 255, (3, 24, 32, 3)).astype(np.uint8)
    cine = read_cine(write_ultrasound(tmp_path / "c.dcm", frames, FrameTime="40"))
    expected = frames @ np.array([0.299, 0.587, 0.114])
    assert cine.frames.dtype == np.uint8
    assert np.abs(cine.frames - expected).max() <= 0.5
    assert "luminance" in cine.notes[0]
    assert any("no pixel spacing" in note for note in cine.notes)


@pytest.mark.parametrize(
    ("header", "times", "unit"),
    [
        ({"FrameTimeVector": ["0", "30", "50"]}, [0, 0.03, 0.08], "s"),
        ({"FrameTimeVector": ["30", "50"], "FrameTime": "10"}, [0, 0.01, 0.02], "s"),
        ({"CineRate": 50}, [0, 0.02, 0.04], "s"),
        ({"FrameTime": "0", "CineRate": 0}, [0, 1, 2], ""),
        ({}, [0, 1, 2], ""),
    ],
)
def test_ultrasound_times(tmp_path, header, times, unit):
    cine = read_cine(write_ultrasound(tmp_path / "u.dcm", grey(), PixelSpacing=[0.3, 0.2], **header))
    np.testing.assert_allclose(cine.times, times)
    assert cine.time_unit == unit
    assert cine.grid.spacing == (0.2, 0.3, 1.0)


def test_budget(tmp_path):
    with pytest.raises(MemoryBudgetError):
        read_cine(write_ultrasound(tmp_path / "u.dcm", grey()), memory_gb=1e-6)


def test_single_frame_is_no_cine(tmp_path):
    path = write_ultrasound(tmp_path / "u.dcm", grey(1))
    assert read_image(path).frames.shape == (1, 24, 32)
    with pytest.raises(InputError, match="not frames over time"):
        read_cine(path)


@pytest.mark.parametrize("write", [write_enhanced, lambda path: write_ultrasound(path, grey())])
def test_damaged_bytes_end_in_a_sentence_or_an_image(tmp_path, write):
    path = tmp_path / "d.dcm"
    write(path)
    raw, random, sentences = path.read_bytes(), np.random.default_rng(0), []
    for _ in range(60):
        damaged = bytearray(raw)
        for place in random.integers(132, min(len(raw), 2000), 3):
            damaged[place] = random.integers(0, 256)
        path.write_bytes(damaged)
        try:
            images = len(read_cine(path, memory_gb=0.1))
            assert images > 1
        except RegistrationError as error:
            sentences.append(str(error))
    assert sentences
    assert not [text for text in sentences if "\n" in text or not text.endswith(".")]
