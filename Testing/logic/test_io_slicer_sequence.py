"""Our .seq.nrrd and fields read by Slicer's own storage classes, and theirs by us (slicer-core, no application)."""

from __future__ import annotations

import numpy as np
import pytest
from made_fields import image_and_field
from made_geometry import SLICE, VOLUME

from DeepRegLogic.cine import Cine
from DeepRegLogic.grid import Grid, flip_lps_ras
from DeepRegLogic.io import read_cine, read_labels, write_cine, write_field

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
GRIDS = pytest.mark.parametrize("grid", [SLICE, VOLUME], ids=["slice", "volume"])


def _cine(grid) -> Cine:
    frames = np.random.default_rng(0).integers(-500, 500, (5, *grid.shape)).astype(np.int16)
    return Cine(frames, grid, [0.01, 0.06, 0.111, 0.162, 0.3], name="c")


def _matrix(node) -> np.ndarray:
    import vtk

    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return np.array([[matrix.GetElement(r, c) for c in range(4)] for r in range(4)])


@GRIDS
def test_slicer_reads_ours(tmp_path, grid):
    cine = _cine(grid)
    write_cine(tmp_path / "c.seq.nrrd", cine.frames, cine)
    sequence = slicer.vtkMRMLSequenceNode()
    storage = slicer.vtkMRMLVolumeSequenceStorageNode()
    storage.SetFileName(str(tmp_path / "c.seq.nrrd"))
    assert storage.ReadData(sequence) == 1
    assert sequence.GetNumberOfDataNodes() == 5
    assert (sequence.GetIndexName(), sequence.GetIndexUnit()) == ("time", "s")
    assert sequence.GetIndexType() == slicer.vtkMRMLSequenceNode.NumericIndex
    for t in range(5):
        assert float(sequence.GetNthIndexValue(t)) == pytest.approx(cine.times[t])
        node = sequence.GetNthDataNode(t)
        assert node.GetClassName() == "vtkMRMLScalarVolumeNode"
        np.testing.assert_array_equal(_on_grid(node, grid), cine.frames[t])


def _on_grid(node, grid: Grid) -> np.ndarray:
    """The node's voxels in the order of ``grid``; Slicer may turn a left-handed stack round, slices and geometry."""
    import slicer.util

    pixels = slicer.util.arrayFromVolume(node)
    to_ours = np.linalg.solve(grid.ras_matrix, _matrix(node))
    turned = to_ours[2, 2] < 0
    np.testing.assert_allclose(to_ours[:3, :3], np.diag((1.0, 1.0, -1.0 if turned else 1.0)), atol=1e-9)
    np.testing.assert_allclose(to_ours[:3, 3], (0, 0, grid.size[2] - 1 if turned else 0), atol=1e-9)
    return (pixels[::-1] if turned else pixels).reshape(grid.shape)


@GRIDS
@pytest.mark.parametrize("suffix", [".seq.nrrd", ".seq.nii.gz"])
def test_we_read_slicers(tmp_path, grid, suffix):
    import slicer.util
    import vtk

    cine = _cine(grid)
    sequence = slicer.vtkMRMLSequenceNode()
    sequence.SetIndexName("time")
    sequence.SetIndexUnit("ms")
    even = suffix.endswith("gz")
    times = 1000 * (0.05 * np.arange(5) if even else cine.times)
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(grid.ras_matrix.ravel())
    for t in range(5):
        node = slicer.vtkMRMLScalarVolumeNode()
        node.SetIJKToRASMatrix(matrix)
        slicer.util.updateVolumeFromArray(node, cine.frames[t].reshape(*reversed(grid.size)))
        sequence.SetDataNodeAtValue(node, f"{times[t]:g}")
    storage = slicer.vtkMRMLVolumeSequenceStorageNode()
    storage.SetFileName(str(tmp_path / f"c{suffix}"))
    assert storage.WriteData(sequence) == 1
    back = read_cine(tmp_path / f"c{suffix}")
    np.testing.assert_array_equal(back.frames, cine.frames)
    assert back.grid.matches(grid)
    np.testing.assert_allclose(back.times, times / 1000, rtol=1e-5, atol=1e-9)
    assert back.time_unit == "s"


@GRIDS
@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz", ".h5"])
def test_slicer_reads_our_fields_as_transforms(tmp_path, grid, suffix):
    _, field = image_and_field(grid)
    write_field(tmp_path / f"u{suffix}", field, grid)
    node = slicer.vtkMRMLTransformNode()
    storage = slicer.vtkMRMLTransformStorageNode()
    storage.SetFileName(str(tmp_path / f"u{suffix}"))
    assert storage.ReadData(node) == 1
    transform = node.GetTransformFromParent()
    for position in ([3] * grid.ndim, [5, 9, 7][-grid.ndim :]):
        point = grid.voxel_to_mm(position)
        moved = grid.voxel_to_mm(np.array(position) + field[(slice(None), *position)])
        found = transform.TransformDoublePoint(flip_lps_ras(point))
        np.testing.assert_allclose(flip_lps_ras(found), moved, atol=1e-4)


def test_segmentation_written_by_slicer_cropped_to_its_segment(tmp_path):
    import slicer.util
    import vtk

    labels = np.zeros(VOLUME.shape, np.uint8)
    labels[4:9, 10:20, 6:15] = 1
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(VOLUME.ras_matrix.ravel())
    node = slicer.vtkMRMLSegmentationNode()
    image = slicer.vtkOrientedImageData()
    image.SetDimensions(*VOLUME.size)
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    vtk.util.numpy_support.vtk_to_numpy(image.GetPointData().GetScalars())[:] = labels.ravel()
    image.SetGeometryFromImageToWorldMatrix(matrix)
    node.AddSegmentFromBinaryLabelmapRepresentation(image, "one", [1.0, 0.0, 0.0])
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetFileName(str(tmp_path / "s.seg.nrrd"))
    assert storage.WriteData(node) == 1
    np.testing.assert_array_equal(read_labels(tmp_path / "s.seg.nrrd", VOLUME), labels)
