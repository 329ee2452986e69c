"""Sequence and volume nodes as Cine, and what of them is refused."""

from __future__ import annotations

import numpy as np
import pytest
from moving_block import image_on, oblique

from DeepRegLogic import Cine, Grid, InputError

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
pytestmark = pytest.mark.usefixtures("scene")

from TemporalRegistrationLib.nodes.sequences import addCine, cineFromSequence, imageFromVolume  # noqa: E402
from TemporalRegistrationLib.nodes.volumes import volumeNodeFromArray  # noqa: E402


def sequence_of(nodes, values=None, name="cine", index=("time", "s")):
    """A sequence in the scene with the nodes as its items."""
    sequence = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", name)
    sequence.SetIndexName(index[0])
    sequence.SetIndexUnit(index[1])
    for number, node in enumerate(nodes):
        sequence.SetDataNodeAtValue(node, values[number] if values else f"{0.04 * number:.3f}")
    return sequence


def volume(pixels, grid=None, className="vtkMRMLScalarVolumeNode"):
    return volumeNodeFromArray(pixels, grid or Grid.of_array(pixels.shape), "frame", className)


def colour_volume(pixels):
    """A colour volume ``[1, H, W, C]``."""
    node = slicer.vtkMRMLVectorVolumeNode()
    node.SetIJKToRASDirections(-1, 0, 0, 0, -1, 0, 0, 0, 1)
    slicer.util.updateVolumeFromArray(node, pixels)
    return node


@pytest.mark.parametrize("size", [(24, 20, 10), (32, 28, 1)])
@pytest.mark.parametrize("kind", ["int16", "uint8", "float32", "float64"])
def test_cine_to_sequence_and_back(size, kind):
    grid = oblique(size)
    image = image_on(grid) / 8
    frames = np.stack([image + 10 * t for t in range(5)]).astype(kind)
    times = np.array([0.0, 0.0313, 0.07, 0.1004, 0.2])
    cine = Cine(frames, grid, times, name="my cine")
    sequence = addCine(cine)
    back = cineFromSequence(sequence)
    assert (back.name, back.time_unit, back.notes) == ("my cine", "s", ())
    assert back.grid.matches(grid, 1e-9)
    assert back.frames.dtype == kind
    np.testing.assert_array_equal(back.frames, frames)
    np.testing.assert_allclose(back.times, times, rtol=1e-8)
    browser = slicer.modules.sequences.logic().GetFirstBrowserNodeForSequenceNode(sequence)
    proxy = browser.GetProxyNode(sequence)
    browser.SetSelectedItemNumber(3)
    assert proxy.GetName() == "my cine"
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(proxy).reshape(grid.shape), frames[3])


def test_frames_closer_than_the_default_tolerance_are_kept_apart():
    frames = np.arange(4, dtype=np.uint8)[:, None, None] * np.ones((1, 5, 6), np.uint8)
    cine = Cine(frames, Grid.of_array((5, 6)), 1e-4 * np.arange(4))
    back = cineFromSequence(addCine(cine))
    np.testing.assert_array_equal(back.frames, frames)
    np.testing.assert_allclose(back.times, cine.times)


@pytest.mark.parametrize(
    ("index", "values", "times", "unit"),
    [
        (("time", "s"), ["0", "0.1", "0.25"], [0, 0.1, 0.25], "s"),
        (("time", "ms"), ["0", "33", "66.5"], [0, 0.033, 0.0665], "s"),
        (("frame", ""), ["0", "1", "2"], [0, 1, 2], ""),
        (("position", "mm"), ["-5", "0", "7"], [0, 1, 2], ""),
    ],
)
def test_times_come_from_the_index(index, values, times, unit):
    pixels = np.ones((4, 5), np.uint8)
    cine = cineFromSequence(sequence_of([volume(pixels)] * 3, values, index=index))
    np.testing.assert_allclose(cine.times, times)
    assert cine.time_unit == unit


def test_text_index_numbers_the_frames():
    sequence = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", "phases")
    sequence.SetIndexType(sequence.TextIndex)
    for value in ("diastole", "systole"):
        sequence.SetDataNodeAtValue(volume(np.ones((4, 5), np.uint8)), value)
    cine = cineFromSequence(sequence)
    assert (len(cine), cine.time_unit) == (2, "")


@pytest.mark.parametrize("components", [3, 4])
def test_colour_becomes_luminance_and_says_so(components):
    pixels = np.zeros((1, 4, 5, components), np.uint8)
    pixels[..., :3] = (200, 100, 50)
    cine = cineFromSequence(sequence_of([colour_volume(pixels)] * 2))
    np.testing.assert_allclose(cine.frames, 0.299 * 200 + 0.587 * 100 + 0.114 * 50, rtol=1e-5)
    assert cine.notes == ("The colors of 'cine' were turned into luminance.",)
    assert "luminance" in imageFromVolume(slicer.mrmlScene.AddNode(colour_volume(pixels))).notes[0]


def test_scene_is_not_touched_by_reading():
    sequence = addCine(Cine(np.ones((2, 4, 5), np.uint8), Grid.of_array((4, 5)), name="cine"))
    count = slicer.mrmlScene.GetNumberOfNodes()
    cine = cineFromSequence(sequence)
    assert slicer.mrmlScene.GetNumberOfNodes() == count
    assert not np.shares_memory(cine.frames, slicer.util.arrayFromVolume(sequence.GetNthDataNode(0)))


def odd_frames():
    """Sequences that cannot be used, with what must be said."""
    pixels = np.ones((4, 5), np.float32)
    holed = pixels.copy()
    holed[2, 2] = np.nan
    sheared = volume(pixels)
    sheared.SetIToRASDirection(1.0, 0.5, 0.0)
    grid = Grid.of_array(pixels.shape)
    moved = Grid(grid.size, grid.spacing, (0.0, 0.5, 0.0))
    plain = volume(pixels)
    yield "larger", [plain, plain, volume(np.ones((4, 6), np.float32))], "Frame 2 .* another size or position"
    yield "moved", [plain, volume(pixels, moved)], "Frame 1 .* another size or position"
    yield "type", [plain, volume(pixels.astype(np.int16))], "Frame 1 .* type short.*float"
    yield "mixed", [plain, colour_volume(np.ones((1, 4, 5, 3), np.float32))], "Frame 1 .* type float x 3"
    yield "two", [colour_volume(np.ones((1, 4, 5, 2), np.uint8))] * 2, "2 numbers a pixel"
    yield "nan", [plain, volume(holed)], "Frame 1 of 'cine' has NaN"
    yield "nothing", [plain, slicer.vtkMRMLScalarVolumeNode()], "Frame 1 .* holds no image"
    yield "transforms", [slicer.vtkMRMLTransformNode()] * 2, "Frame 0 .* a Transform, not an image"
    yield "segmentations", [slicer.vtkMRMLSegmentationNode()] * 2, "a Segmentation, not an image"
    yield "labels", [volume(np.ones((4, 5), np.uint8), className="vtkMRMLLabelMapVolumeNode")] * 2, "not an image"
    yield "sheared", [sheared] * 2, "not at right angles"
    yield "empty", [], "'cine' is empty"


@pytest.mark.parametrize(("nodes", "message"), [case[1:] for case in odd_frames()], ids=[c[0] for c in odd_frames()])
def test_useless_sequences_are_refused(nodes, message):
    with pytest.raises(InputError, match=message):
        cineFromSequence(sequence_of(nodes))


def test_a_sequence_under_a_transform_is_refused():
    sequence = addCine(Cine(np.ones((2, 4, 5), np.uint8), Grid.of_array((4, 5)), name="beating"))
    browser = slicer.modules.sequences.logic().GetFirstBrowserNodeForSequenceNode(sequence)
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "turned")
    browser.GetProxyNode(sequence).SetAndObserveTransformNodeID(transform.GetID())
    with pytest.raises(InputError, match="'beating' is under the transform 'turned'; harden"):
        cineFromSequence(sequence)


def test_volumes():
    grid = oblique((24, 20, 10))
    image = image_on(grid)
    node = slicer.mrmlScene.AddNode(volume(image, grid))
    cine = imageFromVolume(node)
    assert len(cine) == 1
    assert cine.grid.matches(grid, 1e-9)
    np.testing.assert_array_equal(cine.frames[0], image)
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "turned")
    node.SetAndObserveTransformNodeID(transform.GetID())
    with pytest.raises(InputError, match="under the transform 'turned'"):
        imageFromVolume(node)
    with pytest.raises(InputError, match="holds no image"):
        imageFromVolume(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "blank"))
