"""What is attacked: a kind of input, a sound example of it, and what reads it."""

from __future__ import annotations

import json
import math
import random
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import made_dicom
import numpy as np
import SimpleITK as sitk

from DeepRegLogic import Cine, Grid, io, zoo
from DeepRegLogic.errors import RegistrationError

SIZE, FRAMES = (20, 16, 1), 3


@dataclass(frozen=True)
class Target:
    """A kind of input.

    Attributes
    ----------
    write : writes a sound example into a folder, and returns the file that is changed.
    read : reads what is there by the path of that file; what it gives is told in one line, which is compared with that
        of the sound example: (number of pixels or values, notes).
    share : how often it is drawn.
    """

    write: Callable[[Path], Path]
    read: Callable[[Path], tuple[int, tuple[str, ...]]]
    share: int = 10


def frames() -> np.ndarray:
    rows, columns = np.mgrid[: SIZE[1], : SIZE[0]]
    return np.stack([(rows * 11 + columns * 7 + 5 * t).astype(np.int16) for t in range(FRAMES)])


def cine() -> Cine:
    return Cine(frames(), Grid(SIZE, (1.5, 1.25, 8.0)), np.arange(FRAMES) * 0.04, name="f")


def _as(name: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        io.write_cine(folder / name, frames(), cine())
        return folder / name

    return write


def _nrrd(encoding: str, detached: bool = False) -> Callable[[Path], Path]:
    """NRRD files that the package itself does not write."""

    def write(folder: Path) -> Path:
        pixels = frames()
        data = pixels.tobytes() if encoding == "raw" else " ".join(map(str, pixels.ravel())).encode()
        lines = [
            "NRRD0005", "type: short", "dimension: 4", "space: left-posterior-superior", "sizes: 20 16 1 3",
            "space directions: (1.5,0,0) (0,1.25,0) (0,0,8) none", "kinds: domain domain domain list",
            "endian: little", f"encoding: {encoding}", "space origin: (0,0,0)",
            *(["data file: x.raw"] if detached else []),
            "axis 3 index type:=numeric", "axis 3 index values:=0 0.04 0.08", "", "",
        ]  # fmt: skip
        head = "\n".join(lines).encode()
        if detached:
            (folder / "x.raw").write_bytes(data)
        path = folder / ("x.nhdr" if detached else "x.nrrd")
        path.write_bytes(head if detached else head + data)
        return path

    return write


def _sitk(name: str, compressed: bool = False) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        image = sitk.GetImageFromArray(frames().reshape(FRAMES, 1, SIZE[1], SIZE[0]), isVector=False)
        image.SetSpacing((1.5, 1.25, 8.0, 0.04))
        sitk.WriteImage(image, str(folder / name), compressed)
        return folder / name

    return write


def _pictures(suffix: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        for t, frame in enumerate(frames()):
            sitk.WriteImage(sitk.GetImageFromArray(frame.astype(np.uint8)), str(folder / f"p{t}{suffix}"))
        return folder / f"p1{suffix}"

    return write


def _labels(folder: Path) -> Path:
    image = sitk.GetImageFromArray((frames()[:1] > 150).astype(np.uint8))
    image.SetSpacing((1.5, 1.25, 8.0))
    for key, value in {"LabelValue": "1", "Name": "heart", "ID": "1", "Extent": "0 19 0 15 0 0"}.items():
        image.SetMetaData(f"Segment0_{key}", value)
    sitk.WriteImage(image, str(folder / "l.seg.nrrd"), True)
    return folder / "l.seg.nrrd"


def _field(name: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        io.write_field(folder / name, np.ones((2, SIZE[1], SIZE[0]), np.float32), Grid(SIZE, (1.5, 1.25, 8.0)))
        return folder / name

    return write


def _classic(folder: Path) -> Path:
    for t in range(FRAMES):
        made_dicom.write_slice(folder / f"{t}.dcm", t, 0)
    return folder / "1.dcm"


def _ultrasound(syntax: str = "") -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = made_dicom.write_ultrasound(folder / "u.dcm", frames().astype(np.uint8), FrameTime=40.0)
        if syntax:
            import pydicom

            dataset = pydicom.dcmread(path)
            dataset.file_meta.TransferSyntaxUID = syntax
            dataset.save_as(path, enforce_file_format=True)
        return path

    return write


def _card(folder: Path) -> Path:
    from DeepRegLogic.networks import build

    values = {"arguments": {"channels": [4, 4]}, "ndim": 2, "spacing": 1.8, "capabilities": ("register",)}
    values["calibration"] = {"refined": {"scale": 1.0, "floor": 0.1}}
    card = zoo.Card("mine", "Mine", "For tests.", "tlrn", **values)
    zoo.save_model(folder / "mine", build("tlrn", channels=(4, 4)), card)
    return folder / "mine" / zoo.CARD


def _weights(folder: Path) -> Path:
    return _card(folder).parent / zoo.WEIGHTS


def _configuration(folder: Path) -> Path:
    from DeepRegLogic.training.configuration import BUNDLED

    return Path(shutil.copy(BUNDLED / "dragnet-cardiac.yaml", folder / "c.yaml"))


def _lines(folder: Path) -> Path:
    request = {"id": 1, "call": "register_cine", "folder": str(folder / "1"), "arguments": {"cine": {}, "roi": None}}
    generate = {"id": 2, "call": "generate_cine", "folder": str(folder / "1"), "arguments": {"frame": 3, "seed": 4}}
    text = "".join(json.dumps(message) + "\n" for message in (request, {"cancel": 1}, generate))
    (folder / "lines").write_text(text)
    (folder / "1").mkdir()
    return folder / "lines"


# -- what reads them ---------------------------------------------------------------------------------------------------


def _told(cine: Cine) -> tuple[int, tuple[str, ...]]:
    return cine.frames.size, cine.notes


def read_cine(path: Path) -> tuple[int, tuple[str, ...]]:
    return _told(io.read_cine(path))


def read_folder(path: Path) -> tuple[int, tuple[str, ...]]:
    return _told(io.read_cine(path.parent))


def read_labels(path: Path) -> tuple[int, tuple[str, ...]]:
    io.read_label_names(path)
    return io.read_labels(path, Grid(SIZE, (1.5, 1.25, 8.0))).size, ()


def read_field(path: Path) -> tuple[int, tuple[str, ...]]:
    return io.read_field(path)[0].size, ()


def load_model(path: Path) -> tuple[int, tuple[str, ...]]:
    zoo.clear_cache()
    network = zoo.load_model(path.parent).network
    return sum(value.numel() for value in network.state_dict().values()), ()


def read_configuration(path: Path) -> tuple[int, tuple[str, ...]]:
    from DeepRegLogic.training.configuration import read_configuration

    read_configuration(path)
    return 0, ()


def serve_lines(path: Path) -> tuple[int, tuple[str, ...]]:
    """As the worker does it; the call itself answers every request with a sentence."""
    import queue
    from contextlib import suppress

    from DeepRegLogic.progress import CancelToken
    from DeepRegLogic.service import worker

    inbox, answers = worker._Inbox(), []
    with open(path, "rb") as file:
        while line := file.readline(worker._LONGEST):
            with suppress(ValueError, RecursionError, MemoryError):  # as the thread that listens
                inbox.put(line)
    with suppress(queue.Empty):
        while request := inbox.requests.get_nowait():
            worker._serve(request, CancelToken(), lambda event, **values: answers.append((event, values)))
    kinds = {event for event, _ in answers}
    if not kinds <= {"error", "progress", "result"}:
        raise AssertionError(kinds)
    return 0, ()


_DEFLATED = "1.2.840.10008.1.2.1.99"

TARGETS: dict[str, Target] = {
    "sequence, gzip": Target(_as("x.seq.nrrd"), read_cine),
    "nrrd, raw": Target(_nrrd("raw"), read_cine),
    "nrrd, text": Target(_nrrd("ascii"), read_cine),
    "nrrd, detached": Target(_nrrd("raw", True), read_cine),
    "nifti": Target(_as("x.nii"), read_cine),
    "nifti, gzip": Target(_as("x.nii.gz"), read_cine, 5),
    "metaimage": Target(_sitk("x.mha"), read_cine),
    "metaimage, zlib": Target(_sitk("x.mha", True), read_cine),
    "metaimage, detached": Target(_sitk("x.mhd"), read_cine),
    "png": Target(_pictures(".png"), read_folder, 5),
    "jpeg": Target(_pictures(".jpg"), read_folder, 5),
    "bitmap": Target(_pictures(".bmp"), read_folder, 5),
    "tiff": Target(_pictures(".tif"), read_folder, 5),
    "labels": Target(_labels, read_labels),
    "field, nrrd": Target(_field("f.nrrd"), read_field, 5),
    "field, nifti": Target(_field("f.nii.gz"), read_field, 5),
    "field, metaimage": Target(_field("f.mha"), read_field, 5),
    "field, text": Target(_field("f.tfm"), read_field, 1),
    "field, hdf5": Target(_field("f.h5"), read_field, 1),
    "dicom, classic": Target(_classic, read_folder, 5),
    "dicom, ultrasound": Target(_ultrasound(), read_cine, 5),
    "dicom, deflated": Target(_ultrasound(_DEFLATED), read_cine, 5),
    "dicom, enhanced": Target(lambda folder: made_dicom.write_enhanced(folder / "e.dcm"), read_cine, 5),
    "card": Target(_card, load_model),
    "weights": Target(_weights, load_model, 5),
    "configuration": Target(_configuration, read_configuration, 5),
    "worker lines": Target(_lines, serve_lines),
}


class Examples:
    """Sound examples, each made once, and changed copies of them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sound: dict[str, tuple[Path, Path, bytes, int]] = {}

    def sound(self, name: str) -> tuple[Path, Path, bytes, int]:
        """The folder, the file that is changed, its sound content, and what reading it gives."""
        if name not in self._sound:
            target = TARGETS[name]
            folder = Path(tempfile.mkdtemp(dir=self._folder))
            path = target.write(folder)
            count, _ = target.read(path)
            self._sound[name] = (folder, path, path.read_bytes(), count)
        return self._sound[name]

    def attack(self, name: str, seed: object) -> str:
        """Read one changed input: "refused", "accepted", or what is wrong with how it went."""
        from .mutations import mutated

        _, path, content, sound = self.sound(name)
        damaged = mutated(content, random.Random(f"{name} {seed}"))
        path.write_bytes(damaged)
        try:
            count, notes = TARGETS[name].read(path)
        except RegistrationError as error:
            text = str(error)
            return (
                "refused"
                if text and "\n" not in text and "Traceback" not in text
                else f"a sentence of lines: {text[:200]}"
            )
        except Exception as error:
            return f"escape: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
        finally:
            path.write_bytes(content)
        if count < sound and not notes and not math.isclose(count, sound):
            return f"truncated: {count} of {sound} without a word"
        return "accepted"
