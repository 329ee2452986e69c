"""Times, names and points as importers and users make them: understood, or noted, and what is saved opens again."""

from __future__ import annotations

import numpy as np
import pytest

from DeepRegLogic import Cine, Grid, read_cine
from DeepRegLogic.io.formats import seconds_in

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
import slicer.util as util  # noqa: E402

pytestmark = pytest.mark.usefixtures("scene")

from moving_block import moving_block  # noqa: E402
from TemporalRegistrationLib.nodes.annotations import drawnOn  # noqa: E402
from TemporalRegistrationLib.nodes.names import nodeName  # noqa: E402
from TemporalRegistrationLib.nodes.sequences import addCine, cineFromSequence, headerOf  # noqa: E402
from TemporalRegistrationLib.nodes.volumes import volumeNodeFromArray  # noqa: E402

TIMES = 0.001 * np.array([17.5, 52.5, 87.5, 125.0])
LABELS = "17.5,52.5,87.5,125"


def imported(index=("", ""), attributes=None, frames=None, values="0123"):
    """A sequence of four images as an importer leaves it in the scene."""
    sequence = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", "cine")
    sequence.SetIndexName(index[0])
    sequence.SetIndexUnit(index[1])
    for key, value in (attributes or {}).items():
        sequence.SetAttribute(f"MultiVolume.{key}", value)
    for t, value in enumerate(values):
        volume = volumeNodeFromArray(np.full((4, 5), t, np.int16), Grid((5, 4, 1)), "frame")
        for key, texts in (frames or {}).items():
            volume.SetAttribute(key, texts[t])
        sequence.SetDataNodeAtValue(volume, value)
    return sequence


def labels(tag="TriggerTime", unit="ms", text=LABELS, **more):
    return {"FrameLabels": text, "FrameIdentifyingDICOMTagName": tag, "FrameIdentifyingDICOMTagUnits": unit, **more}


STRATEGY = "TemporalPosition_via_InstanceNumber*RepetitionTime"
TRIGGERS = {"DICOM.triggerTime": LABELS.split(",")}
TIMED = {
    "labels": {"attributes": labels()},
    "labels in seconds": {"attributes": labels("DeltaStartTime", "sec", "0.0175,0.0525,0.0875,0.125")},
    "labels with a comma at the end": {"attributes": labels(text=f"{LABELS},")},
    "labels with spaces": {"attributes": labels(text=LABELS.replace(",", ", "))},
    "triggers of frames": {"frames": TRIGGERS},
    "triggers of frames by instance number": {"index": ("instance number", ""), "frames": TRIGGERS},
    "triggers and repetition times": {
        "frames": TRIGGERS,
        "attributes": labels("Time", text="0,3.1,6.2,9.3", ParseStrategy=STRATEGY),
    },
    "index": {"index": ("time", "ms"), "values": LABELS.split(",")},
    "index and labels": {"index": ("time", "ms"), "values": LABELS.split(","), "attributes": labels(text="1,2,3,4")},
}


@pytest.mark.parametrize("case", TIMED)
def test_times_of_importers(case):
    sequence = imported(**TIMED[case])
    cine = cineFromSequence(sequence)
    assert (cine.time_unit, cine.notes) == ("s", ())
    np.testing.assert_allclose(cine.times, TIMES)
    header, notes = headerOf(sequence)
    np.testing.assert_allclose(header["times"], TIMES)
    assert notes == ()


UNTIMED = {
    "nothing": ({}, "tells no times of its frames"),
    "instance numbers": ({"index": ("instance number", "")}, "tells no times of its frames"),
    "repetition times": (
        {"attributes": labels("Time", text="0,3.1,6.2,9.3", ParseStrategy=STRATEGY)},
        "multiples of the repetition time",
    ),
    "echo times": ({"attributes": labels("EchoTime")}, "labelled by 'EchoTime'"),
    "flip angles": ({"attributes": labels("FlipAngle", "degrees")}, "labelled by 'FlipAngle'"),
    "percent": ({"attributes": labels("CardiacCycle", "%")}, "labelled by 'CardiacCycle'"),
    "b-values": ({"attributes": labels("Standard.B-value", "sec/mm2")}, "B-value"),
    "temporal positions": ({"attributes": labels("TemporalPositionIdentifier", "count")}, "TemporalPosition"),
    "labels that fall": ({"attributes": labels(text="4,3,2,1")}, "do not rise"),
    "too few labels": ({"attributes": labels(text="1,2,3")}, "do not rise"),
    "labels that are no numbers": ({"attributes": labels(text="a,b,c,d")}, "do not rise"),
    "no unit": ({"attributes": labels(unit="")}, "no unit of time"),
    "millimetres": ({"index": ("position", "mm")}, "tells no times of its frames"),
    "triggers of some frames": ({"frames": {"DICOM.triggerTime": ["1", "", "3", "4"]}}, "tells no times"),
    "triggers that repeat": ({"frames": {"DICOM.triggerTime": ["1", "1", "3", "4"]}}, "tells no times"),
}


@pytest.mark.parametrize("case", UNTIMED)
def test_what_is_no_time_numbers_the_frames_and_says_so(case):
    made, words = UNTIMED[case]
    cine = cineFromSequence(imported(**made))
    assert (cine.time_unit, cine.times.tolist()) == ("", [0, 1, 2, 3])
    assert any(words in note for note in cine.notes), cine.notes


def test_frames_that_are_numbered_on_purpose_need_no_note():
    cine = cineFromSequence(addCine(Cine(np.zeros((3, 4, 5), np.uint8), Grid((5, 4, 1)))))
    assert (cine.time_unit, cine.notes) == ("", ())


UNITS = {
    1.0: ["s", "S", "sec", "sec.", "secs", "second", "seconds", "Seconds", "[s]", "(s)"],
    1e-3: ["ms", "msec", "msecs", "millisecond", "milliseconds", "milli-seconds", "Millisec.", "[ms]"],
    1e-6: ["us", "\u00b5s", "\u03bcs", "usec", "microseconds"],
    60.0: ["min", "mins", "minute", "minutes"],
    3600.0: ["h", "hr", "hours"],
}


@pytest.mark.parametrize(("factor", "unit"), [(factor, unit) for factor, units in UNITS.items() for unit in units])
def test_units_of_time_are_the_same_in_the_scene_and_in_files(tmp_path, factor, unit):
    assert seconds_in(unit) == factor
    sequence = imported(index=("time", unit), values=["0", "40", "80", "125"])
    path = tmp_path / "cine.seq.nrrd"
    storage = slicer.vtkMRMLVolumeSequenceStorageNode()
    storage.SetFileName(str(path))
    assert storage.WriteData(sequence)
    for cine in (cineFromSequence(sequence), read_cine(path)):
        assert (cine.time_unit, cine.notes) == ("s", ())
        np.testing.assert_allclose(cine.times, factor * np.array([0, 40, 80, 125]))


@pytest.mark.parametrize("unit", ["", "mm", "frames", "m", "%", "sec/mm2", "degrees"])
def test_what_is_no_unit_of_time(unit):
    assert seconds_in(unit) is None


EPOCHS = [(1.6e9, 0.04), (1.6e9, 0.001), (63113904000.0, 0.04), (0.0, 1e-4), (36000.0, 0.033)]


@pytest.mark.parametrize(("start", "step"), EPOCHS)
def test_times_of_day_and_epoch_keep_all_frames(tmp_path, start, step):
    times = start + step * np.arange(30)
    frames = np.arange(30, dtype=np.uint8)[:, None, None] * np.ones((1, 4, 5), np.uint8)
    cine = Cine(frames, Grid((5, 4, 1)), times, name="long ago")
    sequence = addCine(cine)
    assert sequence.GetNumberOfDataNodes() == 30
    back = cineFromSequence(sequence)
    np.testing.assert_array_equal(back.frames, frames)
    np.testing.assert_allclose(back.times - start, step * np.arange(30), atol=1e-2 * step)
    from DeepRegLogic import write_cine

    write_cine(tmp_path / "a.seq.nrrd", frames, cine)
    np.testing.assert_allclose(read_cine(tmp_path / "a.seq.nrrd").times - start, step * np.arange(30), atol=1e-2 * step)


NAMES = ["rest & stress", "&", "a&b&c", "&amp;", "tab\there", "bell\x07", "<a>", '"quoted"', "a;b:c|d", "%20&", "Übung"]


@pytest.mark.parametrize("name", NAMES)
def test_a_cine_of_any_name_is_saved_and_opened_again(tmp_path, name):
    frames = np.arange(3, dtype=np.uint8)[:, None, None] * np.ones((1, 4, 5), np.uint8)
    sequence = addCine(Cine(frames, Grid((5, 4, 1)), 0.04 * np.arange(3), name=name))
    kept = sequence.GetName()
    assert kept == nodeName(name)
    path = tmp_path / "scene.mrb"
    assert util.saveScene(str(path))
    slicer.mrmlScene.Clear(0)
    util.loadScene(str(path))
    (back,) = [node for node in slicer.mrmlScene.GetNodes() if node.IsA("vtkMRMLSequenceNode")]
    assert (back.GetName(), back.GetNumberOfDataNodes()) == (kept, 3)
    np.testing.assert_array_equal(cineFromSequence(back).frames, frames)


def test_names_that_open_again_are_kept_and_others_are_noted():
    for name in ("cine 1", "Herz-Übung", "<a>", "a/b"):
        assert nodeName(name) == name
    sequence = imported(index=("time", "s"))
    sequence.SetName("rest & stress")
    assert any("cannot be opened again; give 'rest + stress' instead" in note for note in headerOf(sequence)[1])


def points(*positions):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "points")
    for position in positions:
        node.AddControlPoint(position or (0, 0, 0))
    for index, position in enumerate(positions):
        if position is None:
            node.UnsetNthControlPointPosition(index)
    return node


PLACED, UNPLACED = slicer.vtkMRMLMarkupsNode.PositionDefined, slicer.vtkMRMLMarkupsNode.PositionUndefined


@pytest.mark.parametrize("missing", [(0,), (1,), (2,), (0, 2), ()])
def test_points_that_are_not_placed_stay_so(missing):
    grid = Grid((20, 20, 1))
    places = [(-1.0, -2.0, 0.0), (-5.0, -6.0, 0.0), (-9.0, -3.0, 0.0)]
    node = points(*(None if n in missing else place for n, place in enumerate(places)))
    drawn = drawnOn(grid, markups=[node])
    placed = [n for n in range(3) if n not in missing]
    np.testing.assert_allclose(drawn.points, [(-places[n][0], -places[n][1], 0) for n in placed])
    moved = drawn.markupsNode(0, np.add(drawn.points, (3.0, 0, 0)), "moved")
    for n in range(3):
        assert moved.GetNthControlPointPositionStatus(n) == (PLACED if n in placed else UNPLACED)
        if n in placed:
            np.testing.assert_allclose(moved.GetNthControlPointPosition(n), np.array(places[n]) - (3, 0, 0))


def test_a_list_without_a_placed_point_is_nothing_to_follow():
    drawn = drawnOn(Grid((20, 20, 1)), markups=[points(None, None), points((-1.0, -1.0, 0.0))])
    assert len(drawn.markups) == 1
    assert len(drawn.points) == 1


@pytest.mark.parametrize("components", [3, 4])
@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("suffix", [".seq.nrrd", ".nrrd", ".seq.nhdr"])
def test_a_colour_sequence_that_the_application_wrote_is_read(tmp_path, components, depth, suffix):
    sequence = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", "echo")
    sequence.SetIndexName("time")
    sequence.SetIndexUnit("s")
    pixels = np.random.default_rng(0).integers(0, 255, (4, depth, 6, 8, components)).astype(np.uint8)
    for t in range(4):
        node = slicer.vtkMRMLVectorVolumeNode()
        util.updateVolumeFromArray(node, pixels[t])
        sequence.SetDataNodeAtValue(node, f"{0.04 * t:.2f}")
    storage = slicer.vtkMRMLVolumeSequenceStorageNode()
    storage.SetFileName(str(tmp_path / f"echo{suffix}"))
    assert storage.WriteData(sequence)
    cine = read_cine(tmp_path / f"echo{suffix}")
    grey = np.rint(pixels[..., :3] @ (0.299, 0.587, 0.114)).reshape(cine.frames.shape)
    np.testing.assert_allclose(cine.frames.astype(int), grey, atol=1)
    np.testing.assert_allclose(cine.times, [0, 0.04, 0.08, 0.12])
    assert cine.notes == ("Colour was turned into luminance (ITU-R BT.601).",)


def test_motion_of_a_cine_with_times_of_the_epoch_has_all_frames():
    from TemporalRegistrationLib.nodes.sequences import emptyLike

    cine, _motion = moving_block((16, 12, 1))
    sequence = addCine(Cine(cine.frames, cine.grid, 1.7e9 + 0.02 * np.arange(len(cine))))
    copy = emptyLike(sequence, "copy")
    for t in range(len(cine)):
        copy.SetDataNodeAtValue(sequence.GetNthDataNode(t), sequence.GetNthIndexValue(t))
    assert copy.GetNumberOfDataNodes() == len(cine)
