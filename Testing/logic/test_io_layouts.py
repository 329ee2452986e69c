"""Image files of every layout: cut ones are refused, steps that are none number the frames."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest
import SimpleITK as sitk

from DeepRegLogic.errors import InputError
from DeepRegLogic.io import read_cine

FRAMES = np.random.default_rng(0).integers(0, 1000, (4, 3, 10, 12)).astype(np.int16)
RAW = FRAMES.tobytes()
NRRD = "NRRD0004\ntype: short\ndimension: 4\nsizes: 12 10 3 4\nendian: little\n"
META = "ObjectType = Image\nNDims = 4\nDimSize = 12 10 3 4\nElementType = MET_SHORT\nElementByteOrderMSB = False\n"


def written(folder, layout):
    """A cine of that layout: the file to be read, and the file that holds the last pixels."""
    image = sitk.GetImageFromArray(FRAMES, isVector=False)
    image.SetSpacing((1.0, 1.0, 2.0, 0.04))
    name, compressed = layout.removesuffix(" zipped"), layout.endswith(" zipped")
    path = folder / f"cine{name.split()[0]}"
    if name in (".nrrd", ".mha", ".nii", ".nii.gz", ".img", ".img.gz"):
        sitk.WriteImage(image, str(path), compressed)
        return path, path
    if name == ".hdr":
        sitk.WriteImage(image, str(path), compressed)
        return path, path.with_suffix(".img")
    if name in (".nhdr", ".mhd"):
        sitk.WriteImage(image, str(path), compressed)
        return path, next(other for other in folder.iterdir() if other != path)
    for t, frame in enumerate(FRAMES):
        (folder / f"part{t}.raw").write_bytes(frame.tobytes())
    listed = "\n".join(f"part{t}.raw" for t in range(4))
    if name == ".nhdr list":
        path.write_text(f"{NRRD}encoding: raw\ndata file: LIST 3\n{listed}\n")
    elif name == ".nhdr pattern":
        path.write_text(f"{NRRD}encoding: raw\ndata file: part%d.raw 0 3 1 3\n\n")
    elif name == ".nrrd text":
        path.write_text(f"{NRRD}encoding: ascii\n\n" + " ".join(map(str, FRAMES.ravel())))
        return path, path
    elif name == ".nrrd hex":
        path.write_text(f"{NRRD}encoding: hex\n\n{RAW.hex()}")
        return path, path
    return path, folder / "part3.raw"


LAYOUTS = [
    ".nrrd", ".nrrd zipped", ".nhdr", ".nhdr zipped", ".nhdr list", ".nhdr pattern", ".nrrd text", ".nrrd hex",
    ".mha", ".mha zipped", ".mhd", ".mhd zipped", ".nii", ".nii.gz", ".hdr", ".img", ".img.gz",
]  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_whole_files_are_read_and_cut_ones_refused(tmp_path, layout):
    path, last = written(tmp_path, layout)
    np.testing.assert_array_equal(read_cine(path).frames, FRAMES)
    whole = last.read_bytes()
    for keep in (0.97, 0.6, 0.2):
        last.write_bytes(whole[: int(keep * len(whole))])
        with pytest.raises(InputError, match=r"cut short|damaged|cannot be read"):
            read_cine(path)
    if last != path:
        last.unlink()
        with pytest.raises(InputError):
            read_cine(path)


@pytest.mark.parametrize(("head", "body"), [("hdr", "img"), ("HDR", "IMG"), ("hdr.gz", "img.gz"), ("hdr", "img.gz")])
def test_pairs_are_found_by_either_file_and_checked(tmp_path, head, body):
    image = sitk.GetImageFromArray(FRAMES, isVector=False)
    sitk.WriteImage(image, str(tmp_path / "a.img"))
    pair = [(tmp_path / f"cine.{end}", (tmp_path / f"a.{end.lower()[:3]}").read_bytes()) for end in (head, body)]
    for path, content in pair:
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    for path, _ in pair:
        try:
            np.testing.assert_array_equal(read_cine(path).frames, FRAMES)
        except InputError:  # ITK does not open every pair
            continue
        pair[1][0].write_bytes(pair[1][0].read_bytes()[:-40])
        with pytest.raises(InputError, match="cut short"):
            read_cine(path)
        break
    else:
        pytest.skip("this ITK opens no such pair")


def test_a_cut_analyze_file_is_refused(tmp_path):
    sitk.WriteImage(sitk.GetImageFromArray(FRAMES, isVector=False), str(tmp_path / "a.hdr"))
    header = bytearray((tmp_path / "a.hdr").read_bytes()[:348])
    header[344:348] = bytes(4)  # Analyze has no mark
    (tmp_path / "a.hdr").write_bytes(header)
    cine = read_cine(tmp_path / "a.hdr")
    np.testing.assert_array_equal(cine.frames.ravel(), FRAMES.ravel())
    assert cine.time_unit == ""
    (tmp_path / "a.img").write_bytes(RAW[:-2])
    with pytest.raises(InputError, match="cut short"):
        read_cine(tmp_path / "a.hdr")


STEPS = [0.0, float("nan"), float("inf"), -0.04]


def nifti(path, step, unit=10):
    image = sitk.GetImageFromArray(FRAMES, isVector=False)
    image.SetSpacing((1.0, 1.0, 2.0, 0.04))
    sitk.WriteImage(image, str(path))
    raw = bytearray(path.read_bytes())
    raw[92:96], raw[123] = struct.pack("<f", step), unit
    path.write_bytes(raw)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("kind", ["nii", "nrrd", "nhdr", "mha", "mhd"])
def test_a_step_that_is_none_numbers_the_frames(tmp_path, kind, step):
    path = tmp_path / f"a.{kind}"
    if kind == "nii":
        nifti(path, step)
    elif kind in ("nrrd", "nhdr"):
        units = f'kinds: domain domain domain time\nunits: "" "" "" "s"\nspacings: 1 1 2 {step}\nencoding: raw\n'
        data = b"\n" + RAW if kind == "nrrd" else b"data file: a.raw\n"
        path.write_bytes((NRRD + units).encode() + data)
    else:
        data = b"ElementDataFile = LOCAL\n" + RAW if kind == "mha" else b"ElementDataFile = a.raw\n"
        path.write_bytes((META + f"ElementSpacing = 1 1 2 {step}\nTimeUnit = s\n").encode() + data)
    (tmp_path / "a.raw").write_bytes(RAW)
    cine = read_cine(path)
    np.testing.assert_array_equal(cine.frames, FRAMES)
    assert (cine.time_unit, cine.times.tolist()) == ("", [0, 1, 2, 3])
    assert any("frames are numbered instead" in note for note in cine.notes)
    assert cine.grid.spacing[2] == 2


@pytest.mark.parametrize("header", ["no spacing", "no unit", "no time axis step"])
def test_a_header_without_step_or_unit_numbers_the_frames(tmp_path, header):
    paths = [tmp_path / "a.nrrd", tmp_path / "a.mha", tmp_path / "a.nii"]
    time = "kinds: domain domain domain time\n"
    fields = {
        "no spacing": (time + 'units: "" "" "" "s"\n', "TimeUnit = s\n"),
        "no unit": (time + "spacings: 1 1 1 40\n", "ElementSpacing = 1 1 1 40\n"),
        "no time axis step": (time + 'units: "" "" "" "s"\nspacings: 1 1 2 nan\n', "TimeUnit = s\n"),
    }
    nrrd, meta = fields[header]
    paths[0].write_bytes((NRRD + nrrd + "encoding: raw\n\n").encode() + RAW)
    paths[1].write_bytes((META + meta + "ElementDataFile = LOCAL\n").encode() + RAW)
    nifti(paths[2], 0.04 if header == "no unit" else 0.0, 2 if header == "no unit" else 10)
    for path in paths:
        cine = read_cine(path)
        assert (cine.time_unit, cine.times.tolist()) == ("", [0, 1, 2, 3])
        assert any("frames are numbered instead" in note for note in cine.notes)


@pytest.mark.parametrize("unit", [0, 2, 3, 32, 34, 40, 48])
def test_nifti_units_that_are_no_time(tmp_path, unit):
    nifti(tmp_path / "a.nii", 0.04, unit)
    cine = read_cine(tmp_path / "a.nii")
    assert cine.time_unit == ""
    assert any("no unit of time" in note for note in cine.notes)


@pytest.mark.parametrize("bits", [0, 1, 8, 16, 64])
def test_pixels_have_the_size_of_their_type_whatever_the_header_says_of_their_bits(tmp_path, bits):
    nifti(tmp_path / "a.nii", 0.04)
    raw = bytearray((tmp_path / "a.nii").read_bytes())
    raw[72:74] = struct.pack("<h", bits)
    (tmp_path / "a.nii").write_bytes(raw)
    assert len(read_cine(tmp_path / "a.nii")) == len(FRAMES)
    (tmp_path / "a.nii").write_bytes(raw[:-1])
    with pytest.raises(InputError, match="cut short"):
        read_cine(tmp_path / "a.nii")


def test_metres_are_refused_as_the_unit_of_voxels(tmp_path):
    nifti(tmp_path / "a.nii", 0.04, 1)
    with pytest.raises(InputError, match="another unit"):
        read_cine(tmp_path / "a.nii")
