"""Segmentations that Slicer wrote: every segment is followed, also those that overlap."""

from __future__ import annotations

import numpy as np
import pytest

from DeepRegLogic import Grid
from DeepRegLogic.errors import InputError
from DeepRegLogic.io import read_label_names, read_labels, read_masks
from DeepRegLogic.results.labels import Labels

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
import vtk  # noqa: E402
from vtk.util.numpy_support import vtk_to_numpy  # noqa: E402

GRID = Grid((24, 20, 6), (1.5, 1.5, 8.0), (3.0, -4.0, 5.0))
BOXES = {
    "pool": np.s_[1:4, 5:15, 5:15],
    "wall": np.s_[2:5, 8:18, 8:20],
    "inside": np.s_[2:3, 9:12, 9:12],
    "far": np.s_[5:6, 0:3, 0:3],
}


def write_segments(path, names, grid=GRID):
    node = slicer.vtkMRMLSegmentationNode()
    for name in names:
        mask = np.zeros(grid.shape, np.uint8)
        mask[BOXES[name]] = 1
        picture = slicer.vtkOrientedImageData()
        picture.SetDimensions(*grid.size)
        picture.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
        vtk_to_numpy(picture.GetPointData().GetScalars())[:] = mask.ravel()
        matrix = vtk.vtkMatrix4x4()
        matrix.DeepCopy(grid.ras_matrix.ravel())
        picture.SetGeometryFromImageToWorldMatrix(matrix)
        node.AddSegmentFromBinaryLabelmapRepresentation(picture, name, [1.0, 0.0, 0.0])
    node.GetSegmentation().CollapseBinaryLabelmaps(False)
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetFileName(str(path))
    assert storage.WriteData(node)
    return path


def mask(name):
    out = np.zeros(GRID.shape, np.uint8)
    out[BOXES[name]] = 1
    return out


@pytest.mark.parametrize(
    "names",
    [("pool",), ("pool", "far"), ("pool", "wall"), ("pool", "wall", "inside"), ("wall", "far", "pool", "inside")],
)
def test_every_segment_is_there(tmp_path, names):
    labels = Labels(*read_masks(write_segments(tmp_path / "a.seg.nrrd", names), GRID))
    assert sorted(labels.names) == sorted(names)
    assert len(set(labels.values)) == len(names)
    for name, found in zip(labels.names, labels.masks, strict=True):
        np.testing.assert_array_equal(found, mask(name))
    assert labels.overlap == (len(set(names) & {"pool", "wall", "inside"}) > 1)


@pytest.mark.parametrize("names", [("pool", "wall"), ("pool", "inside"), ("wall", "pool", "far")])
def test_overlapping_segments_are_no_label_map(tmp_path, names):
    path = write_segments(tmp_path / "a.seg.nrrd", names)
    with pytest.raises(InputError, match=r"segments '.*', '.*' of .*a\.seg\.nrrd' overlap") as error:
        read_labels(path, GRID)
    assert "'far'" not in str(error.value)


def test_segments_that_do_not_overlap_are_one_map(tmp_path):
    path = write_segments(tmp_path / "a.seg.nrrd", ("pool", "far"))
    labels, names = read_labels(path, GRID), read_label_names(path)
    for value, name in names.items():
        np.testing.assert_array_equal(labels == value, mask(name) > 0)


def test_segments_elsewhere_are_refused(tmp_path):
    path = write_segments(tmp_path / "a.seg.nrrd", ("pool", "wall"))
    with pytest.raises(InputError, match="lie on another grid"):
        read_masks(path, Grid((24, 20, 6), (1.5, 1.5, 7.0), (3.0, -4.0, 5.0)))


@pytest.mark.parametrize("value", ["x", "-1", "1.5", ""])
def test_a_label_that_is_no_number_is_named(tmp_path, value):
    path = write_segments(tmp_path / "a.seg.nrrd", ("pool",))
    path.write_bytes(path.read_bytes().replace(b"Segment0_LabelValue:=1", f"Segment0_LabelValue:={value}".encode()))
    for read in (lambda: read_labels(path, GRID), lambda: read_label_names(path)):
        with pytest.raises(InputError, match=r"Segment 0 of .* has the label"):
            read()


def test_masks_of_a_label_map(tmp_path):
    from DeepRegLogic import Cine, write_cine

    labels = (2 * mask("pool") + 0).astype(np.int16)
    labels[mask("far") > 0] = 7
    image = Cine(labels[None], GRID)
    write_cine(tmp_path / "a.nii.gz", image.frames, image)
    found = read_masks(tmp_path / "a.nii.gz", GRID)
    assert (found.values, found.names) == ((2, 7), ("label 2", "label 7"))
    np.testing.assert_array_equal(found.masks, [mask("pool"), mask("far")])


def test_overlapping_labels_are_written_one_by_one(tmp_path):
    from DeepRegLogic import Cine, Motion, Results
    from DeepRegLogic.results.write import write_results

    zero = np.zeros((2, 3, *GRID.shape), np.float32)
    cine = Cine(np.random.default_rng(0).random((2, *GRID.shape)).astype(np.float32), GRID, name="beat")
    path = write_segments(tmp_path / "a.seg.nrrd", ("pool", "wall"))
    labels = Labels(*read_masks(path, GRID))
    write_results(Results(Motion(GRID, 0, zero, zero), cine, labels), tmp_path / "out")
    from DeepRegLogic import read_cine

    for value, name in labels.titles.items():
        carried = read_cine(tmp_path / "out" / f"beat_labels_{value}.seq.nrrd").frames
        np.testing.assert_array_equal(carried, [mask(name)] * 2)
