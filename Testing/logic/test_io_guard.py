"""Inputs that no reader may wait for, believe or die of: each is one sentence, before a library sees it."""

from __future__ import annotations

import gzip
import os
import socket
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from made_dicom import write_slice, write_ultrasound
from processes import run
from writing import posix

from DeepRegLogic import Cine, Grid, io, zoo
from DeepRegLogic.errors import InputError, ModelError, RegistrationError

FRAMES = np.arange(3 * 20 * 24, dtype=np.int16).reshape(3, 20, 24)
CINE = Cine(FRAMES, Grid((24, 20, 1), (1.5, 1.25, 8.0)), np.arange(3) * 0.04)


def nrrd(path: Path, data: bytes | None = None, **changes: str) -> Path:
    """A cine as NRRD; fields are changed by their names, with ``_`` for a blank, and left out where they are ""."""
    fields = {
        "type": "short", "dimension": "4", "space": "left-posterior-superior", "sizes": "24 20 1 3",
        "space directions": "(1.5,0,0) (0,1.25,0) (0,0,8) none", "kinds": "domain domain domain list",
        "endian": "little", "encoding": "raw", "space origin": "(0,0,0)",
    }  # fmt: skip
    fields |= {key.replace("_", " "): value for key, value in changes.items()}
    head = "\n".join(["NRRD0005", *(f"{key}: {value}" for key, value in fields.items() if value), "", ""])
    path.write_bytes(head.encode() + (FRAMES.tobytes() if data is None else data))
    return path


def metaimage(path: Path, data: bytes | None = None, **changes: str) -> Path:
    """A cine as MetaImage, its lines in order; a key with a 2 at its end is a second line of that key."""
    lines = {"ObjectType": "Image", "NDims": "4", "BinaryData": "True", "DimSize": "24 20 1 3"}
    lines |= {"ElementSpacing": "1 1 1 1", "ElementType": "MET_SHORT", **changes}
    lines["ElementDataFile"] = lines.pop("ElementDataFile", "LOCAL")
    head = "".join(f"{key.rstrip('2')} = {value}\n" for key, value in lines.items())
    path.write_bytes(head.encode() + (FRAMES.tobytes() if data is None else data))
    return path


def packed_metaimage(path: Path, **changes: str) -> Path:
    data = zlib.compress(FRAMES.tobytes())
    return metaimage(path, data, CompressedData="True", **{"CompressedDataSize": str(len(data)), **changes})


def test_the_sound_examples_are_read(tmp_path):
    for path in (nrrd(tmp_path / "x.nrrd"), metaimage(tmp_path / "x.mha")):
        np.testing.assert_array_equal(io.read_cine(path).frames, FRAMES)
    (tmp_path / "x.raw").write_bytes(FRAMES.tobytes())
    for path in (
        nrrd(tmp_path / "y.nhdr", b"", data_file="x.raw"),
        metaimage(tmp_path / "y.mhd", b"", ElementDataFile="x.raw"),
        nrrd(tmp_path / "z.nhdr", b"", data_file="x.raw", byte_skip="-1"),
        metaimage(tmp_path / "z.mhd", b"", ElementDataFile="x.raw", HeaderSize="-1"),
        nrrd(tmp_path / "g.nrrd", gzip.compress(FRAMES.tobytes()), encoding="gzip"),
        nrrd(tmp_path / "t.nrrd", " ".join(map(str, FRAMES.ravel())).encode(), encoding="ascii"),
        packed_metaimage(tmp_path / "c.mha"),
    ):
        np.testing.assert_array_equal(io.read_cine(path).frames, FRAMES)


# -- what is no file ---------------------------------------------------------------------------------------------------


@pytest.fixture(params=["pipe", "socket", "device"])
def no_file(request, tmp_path, monkeypatch) -> tuple[Path, str]:
    """A place to read from that is none, and what it is called."""
    monkeypatch.chdir(tmp_path)  # names of sockets have to be short
    place = Path("p")
    if request.param == "pipe":
        os.mkfifo(place)
    elif request.param == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(place))
    else:
        place = Path("/dev/zero")
    return place, request.param


@posix
def test_pipes_sockets_and_devices_are_refused_at_once(no_file, tmp_path):
    """Three kinds at eleven doors each."""
    place, what = no_file
    names = [f"x{suffix}" for suffix in (".nrrd", ".nii", ".mha", ".png", ".bmp", ".dcm", ".h5", ".seg.nrrd")]
    for name in names:
        path = tmp_path / name
        path.symlink_to(place.absolute())
        for read in (io.read_cine, io.read_image, io.read_field):
            with pytest.raises(InputError, match=f"is a {what}, not a file"):
                read(path)
        with pytest.raises(InputError, match=f"is a {what}, not a file"):
            io.read_cine([path, path])
        path.unlink()


@posix
def test_detached_data_that_are_no_file_are_refused_at_once(no_file, tmp_path):
    place, what = no_file
    headers = [
        nrrd(tmp_path / "y.nhdr", b"", data_file=str(place)),
        nrrd(tmp_path / "l.nhdr", f"{place}\n".encode() * 3),
    ]
    nrrd(tmp_path / "l.nhdr", b"", data_file=f"LIST\n{place}\n{place}\n{place}")
    headers.append(metaimage(tmp_path / "y.mhd", b"", ElementDataFile=str(place)))
    for path in headers:
        with pytest.raises(InputError, match=f"is a {what}, not a file|names data outside of its folder"):
            io.read_cine(path)


@posix
def test_models_and_configurations_that_are_no_file_are_refused_at_once(no_file, tmp_path):
    from DeepRegLogic.training.configuration import read_configuration

    place, _ = no_file
    with pytest.raises(InputError, match="no configuration"):
        read_configuration(place)
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / zoo.CARD).symlink_to(place.absolute())
    with pytest.raises(ModelError, match="no model"):
        zoo.load_model(folder)


@pytest.mark.parametrize(
    "name",
    ["a" * 300 + ".nrrd", "~nosuchuser77/x.nrrd", "x\0y.nrrd", "a/" * 3000, "h\udce9art.nrrd", "\ud83d.nii", " "],
)
def test_names_of_every_kind_are_one_sentence(tmp_path, name):
    for read in (io.read_cine, io.read_image, io.read_field, io.list_series, zoo.load_model):
        with pytest.raises(RegistrationError) as error:
            read(str(tmp_path / name) if not name.startswith("~") else name)
        assert len(str(error.value).splitlines()) == 1
    with pytest.raises(RegistrationError):
        io.read_labels(tmp_path / name, CINE.grid)


@posix
def test_a_file_whose_name_is_in_another_encoding_is_told(tmp_path):
    path = os.fsencode(tmp_path) + b"/h\xe9art.nrrd"
    Path(os.fsdecode(path)).write_bytes(nrrd(tmp_path / "x.nrrd").read_bytes())
    with pytest.raises(InputError, match="encoding of this system; rename it"):
        io.read_cine(os.fsdecode(path))


# -- headers -----------------------------------------------------------------------------------------------------------

NUMBERS = [
    "255",
    "-32768",
    "-9223372036854775808",
    "0",
    "-1",
    "1",
    "11",
    "6",
    "2147483648",
    "1e9",
    "nan",
    "",
    "four",
    "4 4",
]


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("key", ["NDims", "NDims2", "DimSize", "DimSize2"])
def test_a_metaimage_of_any_number_of_axes_is_refused(tmp_path, key, number):
    """56 headers, of which some crash ITK and others never end."""
    with pytest.raises(InputError, match=r"its header is damaged|holds more pixels|holds fewer"):
        io.read_cine(metaimage(tmp_path / "x.mha", **{key: number}))


@pytest.mark.parametrize(
    "changes",
    [
        {"dimension": "0"}, {"dimension": "-1"}, {"dimension": "17"}, {"dimension": "4 4"}, {"dimension": ""},
        {"sizes": "24 20 1"}, {"sizes": "24 20 1 0"}, {"sizes": "24 20 1 -3"}, {"sizes": "24 20 1 1e3"},
        {"sizes": "24 20 1 99999999999"}, {"sizes": "9" * 400}, {"type": "block"}, {"type": "shorter"}, {"type": ""},
        {"encoding": "zip"}, {"encoding": ""}, {"space directions": "(1,0,0) (0,1,0) (0,0," + "{" * 3000 + ") none"},
        {"space directions": "(1,0,0"}, {"space origin": "(" + "1" * 3000 + ")"}, {"kinds": "domain " * 400},
        {"content": "x" * 5000}, {"dimension": "\x00"}, {"units": '"' * 4000},
    ],
)  # fmt: skip
def test_a_nrrd_header_that_no_file_has_is_refused(tmp_path, changes):
    with pytest.raises(InputError) as error:
        io.read_cine(nrrd(tmp_path / "x.nrrd", **{key.replace(" ", "_"): value for key, value in changes.items()}))
    assert len(str(error.value)) < 600


@pytest.mark.parametrize("sizes", ["24 20 1 2", "23 20 1 3", "24 19 1 3", "24 20 1 4", "24 20 1 300", "25 20 1 3"])
def test_a_header_of_more_or_fewer_pixels_than_the_file_has_is_refused(tmp_path, sizes):
    """Eight layouts of six headers: what a header leaves out would be lost without a word."""
    raw, zipped, text = FRAMES.tobytes(), gzip.compress(FRAMES.tobytes()), " ".join(map(str, FRAMES.ravel())).encode()
    (tmp_path / "x.raw").write_bytes(raw)
    count = [int(n) for n in sizes.split()]
    nifti = tmp_path / "x.nii"
    io.write_cine(nifti, FRAMES, CINE)
    content = bytearray(nifti.read_bytes())
    content[40:50] = struct.pack("<5h", 4, *count)
    nifti.write_bytes(content)
    (tmp_path / "x.nii.gz").write_bytes(gzip.compress(content))
    for path in (
        nrrd(tmp_path / "r.nrrd", raw, sizes=sizes),
        nrrd(tmp_path / "g.nrrd", zipped, sizes=sizes, encoding="gzip"),
        nrrd(tmp_path / "t.nrrd", text, sizes=sizes, encoding="text"),
        nrrd(tmp_path / "d.nhdr", b"", sizes=sizes, data_file="x.raw"),
        metaimage(tmp_path / "r.mha", raw, DimSize=sizes),
        packed_metaimage(tmp_path / "z.mha", DimSize=sizes),
        nifti,
        tmp_path / "x.nii.gz",
    ):
        with pytest.raises(InputError, match=r"more pixels than its header|cut short or damaged"):
            io.read_cine(path)


@pytest.mark.parametrize(
    "place", ["../other/x.raw", "/etc/hostname", "/dev/zero", "..", "", "sub/../../other/x.raw", "li"]
)
def test_a_header_reads_no_file_of_another_folder(tmp_path, place):
    """Seven names of data, one of them a link, in both formats of headers with detached data."""
    (tmp_path / "here").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "x.raw").write_bytes(FRAMES.tobytes())
    (tmp_path / "here" / "li").symlink_to("../other/x.raw")
    for path in (
        nrrd(tmp_path / "here" / "x.nhdr", b"", data_file=place or " "),
        metaimage(tmp_path / "here" / "x.mhd", b"", ElementDataFile=place),
    ):
        with pytest.raises(InputError, match=r"outside of its folder|is damaged|is a folder|cut short or damaged"):
            io.read_cine(path)


@pytest.mark.parametrize("offset", [float("nan"), float("inf"), -float("inf"), -1e30, 1e30, 1e9, -352.0])
def test_pixels_of_a_nifti_file_begin_in_it(tmp_path, offset):
    io.write_cine(tmp_path / "x.nii", FRAMES, CINE)
    content = bytearray((tmp_path / "x.nii").read_bytes())
    content[108:112] = struct.pack("<f", offset)
    (tmp_path / "x.nii").write_bytes(content)
    with pytest.raises(InputError, match="cut short or damaged"):
        io.read_cine(tmp_path / "x.nii")


@pytest.mark.parametrize("value", ["one", "", "1e3", "-1", "1" * 400, "0x10", "1.5"])
def test_the_value_of_a_label_is_a_whole_number(tmp_path, value):
    image = sitk.GetImageFromArray((FRAMES[:1] > 500).astype(np.uint8))
    for key, text in {"Segment0_LabelValue": value or " ", "Segment0_Name": "x"}.items():
        image.SetMetaData(key, text)
    sitk.WriteImage(image, str(tmp_path / "l.seg.nrrd"))
    with pytest.raises(InputError, match="not whole numbers"):
        io.read_label_names(tmp_path / "l.seg.nrrd")


@pytest.mark.parametrize("unit", ["abc", "-1", "1e9", "9" * 400])
def test_a_unit_that_is_none_means_numbered_frames(tmp_path, unit):
    path = nrrd(tmp_path / "x.nrrd", space="", space_directions="", space_origin="", kinds="domain domain domain time")
    path.write_bytes(path.read_bytes().replace(b"endian", f"xyzt_units:={unit}\nendian".encode()))
    assert io.read_cine(path).time_unit == ""


@pytest.mark.parametrize("place", [10, 14, 18, 22, 26, 28, 30, 46])
@pytest.mark.parametrize("bad", [b"\0\0\0\0", b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff", b"\0\0\0\x80", b"\x07\0\0\0"])
def test_a_bitmap_with_a_damaged_header_is_read_as_it_was_or_refused(tmp_path, place, bad):
    """40 headers; some overwrite the memory of ITK."""
    for t in range(2):
        sitk.WriteImage(sitk.GetImageFromArray(FRAMES[t].astype(np.uint8)), str(tmp_path / f"{t}.bmp"))
    content = (tmp_path / "1.bmp").read_bytes()
    (tmp_path / "1.bmp").write_bytes(content[:place] + bad + content[place + 4 :])
    try:
        found = io.read_cine(tmp_path)
    except InputError as error:
        assert "1.bmp" in str(error)  # noqa: PT017  either answer is right
    else:
        assert found.frames.shape == (2, 20, 24)


# -- packed data -------------------------------------------------------------------------------------------------------


def test_packed_data_are_unpacked_no_further_than_the_header_tells(tmp_path):
    """A gigabyte of zeros after the pixels, a wrong checksum, and a stream without an end."""
    bomb = gzip.compress(FRAMES.tobytes() + bytes(1 << 30), 1)
    stream = gzip.compress(FRAMES.tobytes())
    for name, data in (("bomb", bomb), ("sum", stream[:-8] + b"\0\0\0\0" + stream[-4:]), ("end", stream[:-9])):
        with pytest.raises(InputError, match=r"more pixels than its header|cut short or damaged"):
            io.read_cine(nrrd(tmp_path / f"{name}.nrrd", data, encoding="gzip"))


@pytest.mark.parametrize("size", ["", "0", "-1", "10", "99999999999", "x"])
def test_the_packed_size_of_a_metaimage_is_that_of_its_data(tmp_path, size):
    """ITK gives what happens to be in the memory where it is not."""
    with pytest.raises(InputError, match=r"its header is damaged|pixels than its header"):
        io.read_cine(packed_metaimage(tmp_path / "x.mha", CompressedDataSize=size))


def test_a_claim_of_more_memory_than_there_is_is_refused(tmp_path):
    for suffix in (".png", ".tif"):
        path = tmp_path / f"x{suffix}"
        sitk.WriteImage(sitk.GetImageFromArray(FRAMES[0].astype(np.uint8)), str(path))
        with pytest.raises(RegistrationError, match="may be used"):
            io.read_image(path, memory_gb=1e-7)


@pytest.mark.parametrize("size", [1 << 27, 1 << 30])
def test_a_deflated_dicom_file_is_inflated_within_a_budget(tmp_path, size):
    import pydicom

    path = write_ultrasound(tmp_path / "u.dcm", FRAMES.astype(np.uint8))
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
    dataset.save_as(path, enforce_file_format=True)
    assert io.read_cine(path).frames.shape == (3, 20, 24)
    content = path.read_bytes()
    start = 144 + struct.unpack("<I", content[140:144])[0]
    raw = zlib.decompress(content[start:], -15)
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    private = struct.pack("<HH2sHI", 0x7FE1, 0x1001, b"OB", 0, size)
    packed = [squeezer.compress(raw + private), *(squeezer.compress(bytes(1 << 24)) for _ in range(size >> 24))]
    path.write_bytes(content[:start] + b"".join(packed) + squeezer.flush())
    for read in (io.read_cine, io.list_series):
        with pytest.raises(InputError, match="unpacks to more than"):
            read(tmp_path)


@pytest.mark.parametrize("changes", [{"NumberOfFrames": 2}, {"Rows": 19}, {"Columns": 23}, {"NumberOfFrames": 1}])
def test_dicom_pixels_that_the_header_leaves_out_are_told(tmp_path, changes):
    write_ultrasound(tmp_path / "u.dcm", FRAMES.astype(np.uint8), **changes)
    with pytest.raises(InputError, match="more pixels than its header"):
        io.read_cine(tmp_path / "u.dcm")


# -- libraries that die ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["f.h5", "f.tfm"])
def test_a_transform_file_that_kills_its_library_is_one_sentence(tmp_path, name):
    """Six files cut and spoilt; the process that reads them may die, this one goes on."""
    path = tmp_path / name
    io.write_field(path, np.ones((2, 20, 24), np.float32), CINE.grid)
    content = path.read_bytes()
    spoilt = [content[: len(content) // 2], content[:100] + b"\xff" * 2000 + content[2100:], b"\xb4" * 500]
    for bad in spoilt:
        path.write_bytes(bad)
        with pytest.raises(InputError, match=r"f\.\w+' cannot be read as a displacement field"):
            io.read_field(path)


def test_the_process_that_may_die_imports_nothing_from_where_we_are(tmp_path, repository):
    (tmp_path / "SimpleITK.py").write_text("open('PWNED', 'w')")
    io.write_field(tmp_path / "f.tfm", np.ones((2, 20, 24), np.float32), CINE.grid)
    code = f"import sys; sys.path.insert(0, {str(repository)!r}); import SimpleITK; sys.path.insert(0, '')\n"
    code += f"from DeepRegLogic import io; print(io.read_field({str(tmp_path / 'f.tfm')!r})[0].shape)"
    done = run([sys.executable, "-I", "-c", code], cwd=tmp_path)
    assert done.stdout == "(2, 20, 24)\n", done.stderr
    assert not (tmp_path / "PWNED").exists()


def test_a_slice_with_pixels_left_over_is_told(tmp_path):
    for t in range(2):
        write_slice(tmp_path / f"{t}.dcm", t, 0, pixels=FRAMES[t], Rows=20 - t)
    with pytest.raises(InputError):
        io.read_cine(tmp_path)
