"""Image files: sequences, four-dimensional files, lists of frames, label maps; their units, geometry and faults."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest
import SimpleITK as sitk
from made_geometry import cropped

from DeepRegLogic.cine import Cine
from DeepRegLogic.errors import InputError, MemoryBudgetError, OutputError, RegistrationError
from DeepRegLogic.grid import Grid
from DeepRegLogic.io import read_cine, read_image, read_labels, write_cine

TURN = np.array([[0.8, 0.6, 0.0], [0.0, 0.0, 1.0], [0.6, -0.8, 0.0]])
LEFT_HANDED = TURN @ np.diag((1.0, 1.0, -1.0 if np.linalg.det(TURN) > 0 else 1.0))
OBLIQUE = Grid((7, 6, 5), (1.5, 1.2, 4.0), (10.0, -20.0, 30.0), tuple(LEFT_HANDED.ravel()))
SLICE = Grid((7, 6, 1), (1.5, 1.2, 8.0), (10.0, -20.0, 30.0), tuple(LEFT_HANDED.ravel()))


def made(grid: Grid = SLICE, count: int = 4, dtype: str = "int16", times: object = "even") -> Cine:
    pixels = np.random.default_rng(0).integers(0, 120, (count, *grid.shape)).astype(dtype)
    return Cine(pixels, grid, 0.02 + 0.04 * np.arange(count) if times == "even" else times, name="made")


def nrrd(path, header: str, pixels: np.ndarray) -> None:
    path.write_bytes(f"NRRD0005\n{header}\nendian: little\nencoding: raw\n\n".encode() + pixels.tobytes())


@pytest.mark.parametrize("suffix", [".seq.nrrd", ".nrrd", ".nii", ".nii.gz", ".mha"])
@pytest.mark.parametrize("grid", [SLICE, OBLIQUE], ids=["slice", "volume"])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32", "float64"])
def test_round_trip(tmp_path, suffix, grid, dtype):
    cine = made(grid, dtype=dtype)
    write_cine(tmp_path / f"a{suffix}", cine.frames, cine)
    back = read_cine(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(back.frames, cine.frames)
    assert back.frames.dtype == cine.frames.dtype
    assert back.grid.matches(grid)
    np.testing.assert_allclose(back.times, cine.times, atol=1e-6)
    assert (back.time_unit, back.name, back.suffix, back.notes) == ("s", "a", suffix, ())
    assert [path.name for path in tmp_path.iterdir()] == [f"a{suffix}"]


def test_irregular_times_and_frame_numbers_survive_in_sequences(tmp_path):
    cine = made(times=[0.01, 0.06, 0.111, 0.3])
    write_cine(tmp_path / "a.seq.nrrd", cine.frames, cine)
    np.testing.assert_allclose(read_cine(tmp_path / "a.seq.nrrd").times, cine.times)
    numbered = made(times=None)
    write_cine(tmp_path / "b.seq.nrrd", numbered.frames, numbered)
    assert read_cine(tmp_path / "b.seq.nrrd").time_unit == ""


@pytest.mark.parametrize("place", [0, 1, 3])
def test_list_axis_anywhere_and_times_in_their_unit(tmp_path, place):
    frames = made(OBLIQUE).frames
    axes = ["domain"] * 3
    axes.insert(place, "list")
    sizes = [7, 6, 5]
    sizes.insert(place, 4)
    directions = ["(1.5,0,0)", "(0,1.2,0)", "(0,0,4)"]
    directions.insert(place, "none")
    pixels = np.moveaxis(frames, 0, 3 - place)
    nrrd(
        tmp_path / "a.seq.nrrd",
        "type: short\ndimension: 4\nspace: right-anterior-superior\n"
        f"sizes: {' '.join(map(str, sizes))}\nspace directions: {' '.join(directions)}\nkinds: {' '.join(axes)}\n"
        f"space origin: (1,2,3)\naxis {place} index unit:=ms\naxis {place} index values:=10 50.5 90 200",
        np.ascontiguousarray(pixels),
    )
    cine = read_cine(tmp_path / "a.seq.nrrd")
    np.testing.assert_array_equal(cine.frames, frames)
    np.testing.assert_allclose(cine.times, [0.01, 0.0505, 0.09, 0.2])
    np.testing.assert_allclose(cine.grid.origin, (-1, -2, 3))
    np.testing.assert_allclose(np.reshape(cine.grid.direction, (3, 3)), np.diag((-1.0, -1.0, 1.0)))


def test_multivolume_times(tmp_path):
    nrrd(
        tmp_path / "a.nrrd",
        "type: short\ndimension: 4\nspace: left-posterior-superior\nsizes: 4 7 6 1\n"
        "space directions: none (1,0,0) (0,1,0) (0,0,4)\nkinds: list domain domain domain\nspace origin: (0,0,0)\n"
        "MultiVolume.FrameIdentifyingDICOMTagUnits:=ms\nMultiVolume.FrameLabels:=0,40,80,125",
        np.ascontiguousarray(np.moveaxis(made().frames, 0, -1)),
    )
    np.testing.assert_allclose(read_cine(tmp_path / "a.nrrd").times, [0, 0.04, 0.08, 0.125])


@pytest.mark.parametrize(
    ("extra", "note"),
    [
        ("axis 3 index values:=ED ES x y\naxis 3 index unit:=s", "do not rise"),
        ("axis 3 index values:=3 2 1 0\naxis 3 index unit:=s", "do not rise"),
        ("axis 3 index values:=0 1 2\naxis 3 index unit:=s", "do not rise"),
        ("axis 3 index values:=0 1 2 3\naxis 3 index unit:=mm", "no unit of time"),
    ],
)
def test_unusable_times_become_frame_numbers_with_a_note(tmp_path, extra, note):
    nrrd(
        tmp_path / "a.seq.nrrd",
        "type: short\ndimension: 4\nspace: left-posterior-superior\nsizes: 7 6 1 4\n"
        f"space directions: (1,0,0) (0,1,0) (0,0,4) none\nkinds: domain domain domain list\n"
        f"space origin: (0,0,0)\n{extra}",
        made().frames,
    )
    cine = read_cine(tmp_path / "a.seq.nrrd")
    assert cine.time_unit == ""
    assert note in cine.notes[0]


def test_slice_over_time_in_three_nrrd_axes(tmp_path):
    frames = made().frames
    for kind in ("time", "list"):
        spacing = "40" if kind == "time" else "nan"
        nrrd(
            tmp_path / f"{kind}.nrrd",
            f"type: short\ndimension: 3\nsizes: 7 6 4\nspacings: 1.5 1.2 {spacing}\nkinds: domain domain {kind}\n"
            'units: "mm" "mm" "ms"',
            frames,
        )
    timed = read_cine(tmp_path / "time.nrrd")
    np.testing.assert_array_equal(timed.frames, frames)
    np.testing.assert_allclose(timed.times, [0, 0.04, 0.08, 0.12])
    assert timed.grid.size == (7, 6, 1)
    np.testing.assert_array_equal(read_cine(tmp_path / "list.nrrd").frames, frames)


def test_four_dimensional_space_of_nrrd_is_turned_to_lps(tmp_path):
    nrrd(
        tmp_path / "a.nrrd",
        "type: short\ndimension: 4\nspace: right-anterior-superior-time\nsizes: 7 6 1 4\n"
        "space directions: (1.5,0,0,0) (0,1.2,0,0) (0,0,4,0) (0,0,0,0.04)\nspace origin: (1,2,3,0)",
        made().frames,
    )
    grid = read_cine(tmp_path / "a.nrrd").grid
    np.testing.assert_allclose(grid.origin, (-1, -2, 3))
    np.testing.assert_allclose(np.reshape(grid.direction, (3, 3)), np.diag((-1.0, -1.0, 1.0)))


@pytest.mark.parametrize(
    ("code", "step", "times", "unit"),
    [
        (2 | 16, 40.0, 0.04, "s"),
        (2 | 8, 0.04, 0.04, "s"),
        (2 | 24, 40000.0, 0.04, "s"),
        (2, 40.0, 1, ""),
    ],
)
def test_nifti_units_of_time(tmp_path, code, step, times, unit):
    cine = made()
    path = tmp_path / "a.nii"
    write_cine(path, cine.frames, cine)
    raw = bytearray(path.read_bytes())
    raw[92:96], raw[123], raw[136:140] = struct.pack("<f", step), code, struct.pack("<f", 0.0)
    path.write_bytes(raw)
    back = read_cine(path)
    np.testing.assert_allclose(back.times, times * np.arange(4), rtol=1e-6)
    assert back.time_unit == unit


def test_three_dimensional_file_is_one_image(tmp_path):
    image = sitk.GetImageFromArray(np.zeros((5, 6, 7), np.int16))
    sitk.WriteImage(image, str(tmp_path / "v.nii.gz"))
    with pytest.raises(InputError, match=r"holds one image of \(7, 6, 5\) voxels.*\(X, Y, 1, time\)"):
        read_cine(tmp_path / "v.nii.gz")
    assert read_image(tmp_path / "v.nii.gz").frames.shape == (1, 5, 6, 7)


def test_one_image_is_asked_for_and_several_found(tmp_path):
    cine = made()
    write_cine(tmp_path / "a.nii.gz", cine.frames, cine)
    with pytest.raises(InputError, match="holds 4 frames where one image is needed"):
        read_image(tmp_path / "a.nii.gz")


def pictures(folder, frames, suffix=".png"):
    for t, frame in enumerate(frames):
        sitk.WriteImage(sitk.GetImageFromArray(frame, isVector=frame.ndim == 3), str(folder / f"f{t}{suffix}"))
    return [folder / f"f{t}{suffix}" for t in range(len(frames))]


def test_folder_of_pictures_in_natural_order(tmp_path):
    frames = np.arange(12, dtype=np.uint8)[:, None, None] * np.ones((6, 7), np.uint8)
    paths = pictures(tmp_path, frames)
    cine = read_cine(tmp_path)
    assert cine.frames[:, 0, 0].tolist() == list(range(12))
    assert cine.grid == Grid((7, 6, 1))
    assert cine.suffix == ".png"
    assert any("1 mm was assumed" in note for note in cine.notes)
    assert read_cine(paths[::-1]).frames[0, 0, 0] == 11
    assert read_cine(paths).name == "f"


@pytest.mark.parametrize("channels", [3, 4])
def test_colour_pictures_become_luminance(tmp_path, channels):
    frames = np.random.default_rng(0).integers(0, 255, (3, 6, 7, channels)).astype(np.uint8)
    cine = read_cine(pictures(tmp_path, frames))
    assert np.abs(cine.frames - frames[..., :3] @ np.array([0.299, 0.587, 0.114])).max() <= 0.5
    assert cine.frames.dtype == np.uint8
    assert "luminance" in cine.notes[0]


def test_list_of_volumes(tmp_path):
    frames = made(OBLIQUE).frames
    paths = []
    for t, frame in enumerate(frames):
        image = sitk.GetImageFromArray(frame)
        image.SetSpacing(OBLIQUE.spacing)
        image.SetOrigin(OBLIQUE.origin)
        image.SetDirection(OBLIQUE.direction)
        paths.append(tmp_path / f"v{t}.nrrd")
        sitk.WriteImage(image, str(paths[-1]))
    cine = read_cine(paths)
    np.testing.assert_array_equal(cine.frames, frames)
    assert cine.grid.matches(OBLIQUE)
    image.SetOrigin((0, 0, 0))
    sitk.WriteImage(image, str(paths[2]))
    with pytest.raises(InputError, match=r"Frame 2 \('.*v2.nrrd'\) lies elsewhere than frame 0"):
        read_cine(paths)


def test_frames_of_different_size_name_the_frame(tmp_path):
    paths = pictures(tmp_path, [np.zeros((6, 7), np.uint8), np.zeros((6, 7), np.uint8), np.zeros((6, 8), np.uint8)])
    with pytest.raises(InputError, match=r"Frame 2 \('.*f2.png'\) has \(8, 6, 1\) voxels, but frame 0 \('f0.png'\)"):
        read_cine(paths)


def test_a_frame_that_holds_several(tmp_path):
    cine = made()
    write_cine(tmp_path / "a.nii.gz", cine.frames, cine)
    write_cine(tmp_path / "b.nii.gz", cine.frames, cine)
    with pytest.raises(InputError, match=r"Frame 0 .* holds 4 frames"):
        read_cine(tmp_path)


@pytest.mark.parametrize("suffix", [".nrrd", ".nii", ".nii.gz", ".mha"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_pixels_that_are_not_finite_name_the_frame(tmp_path, suffix, value, dtype):
    cine = made(dtype=dtype)
    frames = cine.frames.copy()
    frames[2, 3, 3] = value
    sitk.WriteImage(sitk.GetImageFromArray(frames[:, None], isVector=False), str(tmp_path / f"a{suffix}"))
    with pytest.raises(InputError, match=r"Frame 2 of .* has NaN or infinite pixels"):
        read_cine(tmp_path / f"a{suffix}")


def test_vectors_and_complex_pixels_are_refused(tmp_path):
    field = sitk.GetImageFromArray(np.zeros((5, 6, 7, 3), np.float32), isVector=True)
    sitk.WriteImage(field, str(tmp_path / "u.nrrd"))
    with pytest.raises(InputError, match="vectors of 3 components, not grey values"):
        read_cine(tmp_path / "u.nrrd")
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((5, 6, 7), np.complex64)), str(tmp_path / "c.nrrd"))
    with pytest.raises(InputError, match="not plain numbers"):
        read_cine(tmp_path / "c.nrrd")


@pytest.mark.parametrize("suffix", [".seq.nrrd", ".nii", ".nii.gz", ".mha"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.99])
def test_truncated_file(tmp_path, suffix, part):
    cine = made(OBLIQUE, count=20, dtype="float32")
    path = tmp_path / f"a{suffix}"
    write_cine(path, cine.frames, cine)
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * part)])
    with pytest.raises(InputError, match=r"a\..*(cut short|damaged|cannot be read)"):
        read_cine(path)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif"])
def test_truncated_picture(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 255, (3, 40, 40)).astype(np.uint8)
    paths = pictures(tmp_path, noise, suffix)
    paths[1].write_bytes(paths[1].read_bytes()[:-700])
    with pytest.raises(InputError, match=r"f1\."):
        read_cine(paths)


def test_damaged_gzip(tmp_path):
    cine = made(OBLIQUE)
    path = tmp_path / "a.nii.gz"
    write_cine(path, cine.frames, cine)
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    path.write_bytes(raw)
    with pytest.raises(InputError, match="damaged"):
        read_cine(path)


def test_missing_empty_and_foreign(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a.txt").write_text("hello")
    (tmp_path / "a.nrrd").write_text("hello")
    (tmp_path / "none.nii").write_bytes(b"")
    for source, words in (
        (tmp_path / "nowhere", "no file or folder"),
        ([tmp_path / "nowhere.png", tmp_path / "a.nrrd"], "no file or folder"),
        (tmp_path / "empty", "it is empty"),
        (tmp_path / "text", "none of its 1 files is an image"),
        (tmp_path / "text" / "a.txt", "no known image format"),
        (tmp_path / "a.nrrd", "cannot be read as an image"),
        (tmp_path / "none.nii", "empty file"),
        ([], "No files"),
        ([tmp_path / "empty", tmp_path / "a.nrrd"], "is a folder"),
    ):
        with pytest.raises(InputError, match=words):
            read_cine(source)


def test_folder_of_several_kinds(tmp_path):
    pictures(tmp_path, [np.zeros((6, 7), np.uint8)])
    pictures(tmp_path, [np.zeros((6, 7), np.uint8)], ".bmp")
    with pytest.raises(InputError, match=r"several kinds \(\.bmp, \.png\)"):
        read_cine(tmp_path)


def test_budget_is_checked_on_the_header(tmp_path):
    header = bytearray(352)
    header[0:4] = struct.pack("<i", 348)
    header[40:56] = struct.pack("<8h", 4, 1024, 1024, 1, 1024, 1, 1, 1)
    header[70:74] = struct.pack("<2h", 16, 32)
    header[76:108] = struct.pack("<8f", 1, 1, 1, 1, 1, 0, 0, 0)
    header[108:112] = struct.pack("<f", 352)
    header[123], header[344:348] = 10, b"n+1\0"
    (tmp_path / "huge.nii.gz").write_bytes(gzip.compress(bytes(header)))
    with pytest.raises(MemoryBudgetError, match=r"holds 4\.29 GB of pixels, more than the 1 GB"):
        read_cine(tmp_path / "huge.nii.gz", memory_gb=1)
    with pytest.raises(InputError, match="cut short"):
        read_cine(tmp_path / "huge.nii.gz")


def test_sheared_geometry_names_the_file(tmp_path):
    nrrd(
        tmp_path / "a.seq.nrrd",
        "type: short\ndimension: 4\nspace: left-posterior-superior\nsizes: 7 6 1 4\n"
        "space directions: (1,0,0) (0.5,1,0) (0,0,4) none\nkinds: domain domain domain list\nspace origin: (0,0,0)",
        made().frames,
    )
    with pytest.raises(InputError, match=r"a\.seq\.nrrd.*right angles"):
        read_cine(tmp_path / "a.seq.nrrd")


def labels_on(grid: Grid, path, values=None) -> np.ndarray:
    values = np.random.default_rng(0).integers(0, 3, grid.shape).astype(np.uint8) if values is None else values
    image = sitk.GetImageFromArray(values.reshape(*reversed(grid.size)))
    image.SetSpacing(grid.spacing)
    image.SetOrigin(grid.origin)
    image.SetDirection(grid.direction)
    sitk.WriteImage(image, str(path))
    return values


@pytest.mark.parametrize("grid", [SLICE, OBLIQUE], ids=["slice", "volume"])
@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz", ".seg.nrrd", ".mha"])
def test_labels(tmp_path, grid, suffix):
    values = labels_on(grid, tmp_path / f"l{suffix}")
    np.testing.assert_array_equal(read_labels(tmp_path / f"l{suffix}", grid), values)


def test_labels_stored_as_floats_and_pictures(tmp_path):
    labels_on(OBLIQUE, tmp_path / "f.nrrd", np.full(OBLIQUE.shape, 2.0, np.float32))
    assert read_labels(tmp_path / "f.nrrd", OBLIQUE).dtype.kind == "i"
    labels_on(OBLIQUE, tmp_path / "h.nrrd", np.full(OBLIQUE.shape, 0.5, np.float32))
    with pytest.raises(InputError, match="non-integer values, so it is not a label map"):
        read_labels(tmp_path / "h.nrrd", OBLIQUE)
    pictures(tmp_path, [np.ones(SLICE.shape, np.uint8)])
    assert read_labels(tmp_path / "f0.png", SLICE).sum() == 42


def test_labels_elsewhere(tmp_path):
    labels_on(Grid(OBLIQUE.size, OBLIQUE.spacing), tmp_path / "l.nrrd")
    with pytest.raises(InputError, match=r"l\.nrrd' lie on another grid.*origin \(0, 0, 0\) mm.*resample them"):
        read_labels(tmp_path / "l.nrrd", OBLIQUE)


def test_cropped_segmentation_is_put_back(tmp_path):
    part = cropped(OBLIQUE, (1, 2, 3), (3, 2, 4))
    values = labels_on(part, tmp_path / "s.seg.nrrd")
    whole = read_labels(tmp_path / "s.seg.nrrd", OBLIQUE)
    np.testing.assert_array_equal(whole[1:4, 2:4, 3:7], values)
    assert whole.sum() == values.sum()
    labels_on(cropped(OBLIQUE, (1, 2, 3), (3, 2, 9)), tmp_path / "s.seg.nrrd")
    with pytest.raises(InputError, match="another grid"):
        read_labels(tmp_path / "s.seg.nrrd", OBLIQUE)


def test_pictures_are_written_in_order(tmp_path):
    cine = made(dtype="uint8", count=11)
    write_cine(tmp_path / "out", cine.frames, cine)
    assert sorted(path.name for path in (tmp_path / "out").iterdir())[-1] == "out_010.png"
    np.testing.assert_array_equal(read_cine(tmp_path / "out").frames, cine.frames)
    with pytest.raises(InputError, match="8 or 16 bit"):
        write_cine(tmp_path / "float", cine.frames.astype(float), cine)


def test_writing_what_cannot_be(tmp_path):
    cine = made()
    with pytest.raises(InputError, match="do not fit"):
        write_cine(tmp_path / "a.nrrd", cine.frames[:2], cine)
    with pytest.raises(InputError, match=r"not '\.xyz'"):
        write_cine(tmp_path / "a.xyz", cine.frames, cine)
    with pytest.raises(InputError, match="NaN or infinite"):
        write_cine(tmp_path / "a.nrrd", np.full(cine.frames.shape, np.nan), cine)
    with pytest.raises(InputError, match="complex"):
        write_cine(tmp_path / "a.nrrd", cine.frames.astype(complex), cine)
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="a part of its path is a file"):
        write_cine(tmp_path / "file" / "deep" / "a.nrrd", cine.frames, cine)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_header_text_that_is_not_utf8_is_no_obstacle(tmp_path):
    nrrd(
        tmp_path / "a.seq.nrrd",
        "type: short\ndimension: 4\nspace: left-posterior-superior\nsizes: 7 6 1 4\n"
        "space directions: (1,0,0) (0,1,0) (0,0,4) none\nkinds: domain domain domain list\nspace origin: (0,0,0)\n"
        "patient:=Jos@",
        made().frames,
    )
    raw = (tmp_path / "a.seq.nrrd").read_bytes()
    (tmp_path / "a.seq.nrrd").write_bytes(raw.replace(b"Jos@", b"Jos\xe9"))
    assert len(read_cine(tmp_path / "a.seq.nrrd")) == 4


@pytest.mark.parametrize("suffix", [".seq.nrrd", ".nii", ".nii.gz", ".mha"])
def test_damaged_bytes_end_in_a_sentence_or_an_image(tmp_path, suffix):
    cine = made()
    path = tmp_path / f"a{suffix}"
    write_cine(path, cine.frames, cine)
    raw, random, sentences = path.read_bytes(), np.random.default_rng(0), []
    for _ in range(60):
        damaged = bytearray(raw)
        for place in random.integers(0, min(len(raw), 500), 3):
            damaged[place] = random.integers(0, 256)
        path.write_bytes(damaged)
        try:
            images = len(read_cine(path, memory_gb=0.1))
            assert images > 1
        except RegistrationError as error:
            sentences.append(str(error))
    assert sentences
    assert not [text for text in sentences if "\n" in text or not text.endswith(".")]
