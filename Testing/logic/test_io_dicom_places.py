"""Where DICOM slices lie: jitter, slice locations, mosaics; and files that are read or named, never skipped."""

from __future__ import annotations

import os

import numpy as np
import pytest
from made_dicom import CORNER, NORMAL, slice_pixels, strip_meta, write_slice, write_stack

from DeepRegLogic.errors import InputError
from DeepRegLogic.io import list_series, read_cine, read_image


def at(depth: float) -> list[str]:
    """A position so many mm along the normal."""
    return [f"{v:.7g}" for v in CORNER + depth * NORMAL]


def shown(cine) -> list[list[int]]:
    """The number of every image, by frame and slice."""
    return [[int(plane.ravel()[0]) for plane in frame.reshape(-1, 6, 8)] for frame in cine.frames]


def wanted(phases: int, positions: int) -> list[list[int]]:
    return [[1000 * t + 100 * k for k in range(positions)] for t in range(phases)]


@pytest.mark.parametrize(
    ("gap", "thickness", "jitter"),
    [
        (8.0, 7.0, 0.06),
        (8.0, 7.0, 0.3),
        (8.0, 7.0, 0.6),
        (2.5, 3.0, 0.2),
        (0.5, 3.0, 0.04),
        (0.1, 0.1, 0.004),
        (8.0, None, 0.3),
    ],
)
@pytest.mark.parametrize("kind", ["every second frame", "any"])
def test_jitter_of_positions(tmp_path, gap, thickness, jitter, kind):
    away = np.random.default_rng(3).uniform(0, jitter, (4, 3))
    if kind == "every second frame":
        away = np.where(np.arange(4)[:, None] % 2, jitter, 0.0) * np.ones(3)
    for t in range(4):
        for k in range(3):
            position = at(gap * k + away[t, k])
            write_slice(tmp_path / f"{t}_{k}", t, k, ImagePositionPatient=position, SliceThickness=thickness)
    cine = read_cine(tmp_path)
    assert shown(cine) == wanted(4, 3)
    assert cine.grid.spacing[2] == pytest.approx(np.diff(gap * np.arange(3) + away.mean(axis=0)).mean(), abs=2e-4)
    np.testing.assert_allclose(cine.grid.origin, CORNER + away[:, 0].mean() * NORMAL, atol=2e-4)
    assert any("positions of one slice differ" in note for note in cine.notes) == (np.ptp(away, axis=0).max() > 0.01)


def test_one_slice_that_moves_a_little_is_one_slice(tmp_path):
    for t in range(6):
        write_slice(tmp_path / f"{t}", t, 0, ImagePositionPatient=at(0.1 * (t % 3)))
    assert read_cine(tmp_path).grid.size == (8, 6, 1)


@pytest.mark.parametrize(("gap", "thickness"), [(0.4, 5.0), (1.0, 1.0), (0.05, 0.05), (10.0, 6.0)])
def test_thin_and_overlapping_slices_are_kept_apart(tmp_path, gap, thickness):
    for k in range(8):
        write_slice(tmp_path / f"{k}", 0, k, ImagePositionPatient=at(gap * k), SliceThickness=thickness)
    assert read_image(tmp_path).grid.size == (8, 6, 8)


def test_a_file_that_is_missing_among_jitter_is_named_as_such(tmp_path):
    for t in range(4):
        for k in range(3):
            if (t, k) != (1, 1):
                write_slice(tmp_path / f"{t}_{k}", t, k, ImagePositionPatient=at(8 * k + 0.06 * (t % 2)))
    with pytest.raises(InputError, match="slice 2 of 3 has 3 images where others have 4"):
        read_cine(tmp_path)


@pytest.mark.parametrize("sign", [1, -1])
def test_slice_location_where_there_is_no_position(tmp_path, sign):
    for t in range(4):
        for k in range(3):
            nothing = {"ImagePositionPatient": None, "ImageOrientationPatient": None}
            write_slice(tmp_path / f"{t}_{k}", t, k, SliceLocation=sign * 8 * k, **nothing)
    cine = read_cine(tmp_path)
    assert shown(cine) == [row[::sign] for row in wanted(4, 3)]
    assert cine.grid.spacing[2] == 8
    assert any("in the order of the slice location" in note for note in cine.notes)


def test_slice_location_beside_a_position_is_not_asked(tmp_path):
    for k in range(3):
        write_slice(tmp_path / f"{k}", 0, k, SliceLocation=-k)
    assert shown(read_image(tmp_path)) == wanted(1, 3)


def test_some_without_slice_location_are_named(tmp_path):
    for k in range(3):
        location = None if k == 1 else k
        write_slice(tmp_path / f"{k}", 0, k, ImagePositionPatient=None, SliceLocation=location)
    with pytest.raises(InputError, match="no slice location: '1'"):
        read_cine(tmp_path)


def test_neither_position_nor_location_is_noted(tmp_path):
    for t in range(3):
        write_slice(tmp_path / f"{t}", t, 0, ImagePositionPatient=None)
    assert any("taken as one slice over time" in note for note in read_cine(tmp_path).notes)


@pytest.mark.parametrize("told", ["image type", "private element"])
def test_mosaics_are_refused_by_name(tmp_path, told):
    extra = {"ImageType": ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]} if told == "image type" else {}
    for t in range(3):
        write_slice(tmp_path / f"{t}.dcm", t, 0, **extra)
        if told == "private element":
            from pydicom import dcmread

            dataset = dcmread(tmp_path / f"{t}.dcm")
            dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0A, "US", 4)
            dataset.save_as(tmp_path / f"{t}.dcm")
    with pytest.raises(InputError, match=r"\.dcm' is a Siemens mosaic"):
        read_cine(tmp_path)


@pytest.mark.parametrize(("implicit", "little"), [(True, True), (False, True), (False, False)])
def test_bare_data_sets(tmp_path, implicit, little):
    folder = write_stack(tmp_path / "bare", positions=2)
    for path in folder.iterdir():
        strip_meta(path, implicit, little)
    cine = read_cine(folder)
    assert shown(cine) == wanted(4, 2)
    np.testing.assert_array_equal(cine.frames[1, 1], slice_pixels(1, 1))
    assert list_series(folder)[0].images == 8
    assert shown(read_image(folder / "IM000"))[0][0] in (1000 * t + 100 * k for t in range(4) for k in range(2))


def test_one_file_stands_for_its_series_and_says_so(tmp_path):
    folder = write_stack(tmp_path / "stack", positions=2)
    write_slice(folder / "other", 0, 0, series="1.2.9")
    cine = read_cine(folder / "IM003")
    assert shown(cine) == wanted(4, 2)
    assert cine.name == "IM003"
    assert "'IM003' is one of 8 files of its series; all were read." in cine.notes
    assert read_image(folder / "IM003").frames.shape == (1, 6, 8)


BROKEN = {
    "empty": b"",
    "zeros": bytes(4000),
    "cut in the preamble": bytes(100),
    "text": b"this is no image" * 20,
    "begins late": b"\x08\x00\xff\xff" + bytes(range(256)) * 4,
}


@pytest.mark.parametrize("name", ["IM777", "scan.dcm", "scan.IMA"])
@pytest.mark.parametrize("content", BROKEN)
def test_a_broken_file_among_dicom_files_is_named(tmp_path, name, content):
    folder = write_stack(tmp_path / "stack", positions=1)
    (folder / name).write_bytes(BROKEN[content])
    for read in (read_cine, list_series):
        with pytest.raises(InputError, match=rf"{name}.* cannot be read as DICOM"):
            read(folder)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read_is_named(tmp_path):
    folder = write_stack(tmp_path / "stack", positions=1)
    (folder / "IM002").chmod(0)
    with pytest.raises(InputError, match=r"IM002' may not be read"):
        read_cine(folder)


@pytest.mark.parametrize("name", ["notes.txt", "README", "report.pdf", "DICOMDIR", "LICENSE"])
def test_files_that_are_no_images_are_no_obstacle(tmp_path, name):
    folder = write_stack(tmp_path / "stack", positions=1)
    (folder / name).write_bytes(b"some text")
    assert len(read_cine(folder)) == 4


SPLITS = {"a slice": lambda t, k: k, "a phase": lambda t, k: t}


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("clock", ["trigger", "percent in the description", "series number"])
def test_one_acquisition_in_several_series_is_joined(tmp_path, split, clock):
    for t in range(4):
        for k in range(3):
            n = SPLITS[split](t, k)
            extra = {"SeriesNumber": n + 10, "SeriesDescription": f"part {n}", "TriggerTime": None}
            extra["InstanceNumber"] = t if split == "a slice" else k
            if clock == "trigger":
                extra["TriggerTime"] = 40 * t
            elif clock == "percent in the description" and split == "a phase":
                extra |= {"SeriesDescription": f"Gated, {25 * t}.0%", "SeriesNumber": 20 - t}
            # cine mode of a 4D CT: at every place the beat is met at another phase
            extra["AcquisitionTime"] = f"1000{(t + k) % 4 + 10 * k:02d}" if split == "a phase" else None
            write_slice(tmp_path / f"{t}_{k}", t, k, series=f"1.2.3.{n + 10}", **extra)
    count = 3 if split == "a slice" else 4
    with pytest.raises(InputError, match=rf"{count} DICOM series; choose one .* join .*'all'.*1\.2\.3\.10"):
        read_cine(tmp_path)
    cine = read_cine(tmp_path, series="all")
    assert shown(cine) == wanted(4, 3)
    assert shown(read_cine(tmp_path, series=[f"1.2.3.{n + 10}" for n in range(count)])) == wanted(4, 3)
    part = read_image if split == "a phase" else read_cine
    assert part(tmp_path, series="1.2.3.11").frames.size == cine.frames.size / count


def test_series_that_are_no_acquisition_are_not_joined(tmp_path):
    write_stack(tmp_path / "a", series="1.2.3.10")
    write_stack(tmp_path / "b", series="1.2.3.11", PixelSpacing=[2, 2])
    with pytest.raises(InputError, match="mixed: the pixel spacing"):
        read_cine(tmp_path, series="all")
    with pytest.raises(InputError, match=r"no series 1\.2\.3\.12; it holds: 1\.2\.3\.10"):
        read_cine(tmp_path, series=["1.2.3.10", "1.2.3.12"])
