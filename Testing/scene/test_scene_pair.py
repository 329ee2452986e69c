"""A pair in the scene with a matrix, masks, labels, maps and its way: nodes do what the numerics say, everywhere."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed")
import slicer
from moving_block import oblique, smooth_motion
from node_fields import addPairMotion
from TemporalRegistrationLib.kinds.pair import PairKind, PairTask
from TemporalRegistrationLib.kinds.pair_nodes import pairNodesOf
from TemporalRegistrationLib.nodes import volumes
from TemporalRegistrationLib.nodes.annotations import drawnOn
from TemporalRegistrationLib.steps import runSteps

from DeepRegLogic import Grid
from DeepRegLogic.cine import Motion
from DeepRegLogic.grid import flip_lps_ras
from DeepRegLogic.progress import Reporter
from DeepRegLogic.registration.pair import after_inverse_matrix, before_matrix, power
from DeepRegLogic.service import calls

FIXED = oblique((24, 20, 10))
MATRIX = np.array([[0.98, -0.2, 0.0, 120.0], [0.2, 0.98, 0.0, -60.0], [0.0, 0.0, 1.05, 30.0], [0.0, 0.0, 0.0, 1.0]])


def picture(points: np.ndarray) -> np.ndarray:
    """A smooth image at points ``[..., 3]``."""
    return (np.sin(points[..., 0] / 9) * np.cos(points[..., 1] / 11) + points[..., 2] / 50).astype(np.float32)


def voxels(grid: Grid) -> np.ndarray:
    return grid.voxel_to_mm(np.moveaxis(np.indices(grid.shape), 0, -1))


@pytest.fixture
def pair(scene):
    """Two volumes that lie far apart, and a motion with a matrix between them."""
    corner = (MATRIX @ [*FIXED.origin, 1])[:3]
    moving = Grid((30, 26, 14), (1.7, 1.9, 3.5), tuple(corner), FIXED.direction)
    nodes = [
        scene.AddNode(volumes.volumeNodeFromArray(picture(voxels(grid)), grid, name))
        for name, grid in (("fixed", FIXED), ("moving", moving))
    ]
    plain = smooth_motion(FIXED, 2, 0, amplitude=1.5)
    forward, inverse = plain.displacement[1], plain.inverse[1]
    path = np.stack([before_matrix(s * forward, power(MATRIX, s), FIXED) for s in (0.0, 0.5, 1.0)])
    zero = np.zeros_like(forward)
    motion = Motion(
        FIXED, 0, np.stack([zero, path[-1]]), np.stack([zero, after_inverse_matrix(inverse, MATRIX, FIXED)]),
        quality=plain.quality, affine=MATRIX, deformation=np.stack([forward, inverse]), path=path,
    )  # fmt: skip
    return (*nodes, motion)


def through(node: slicer.vtkMRMLTransformNode, points: np.ndarray) -> np.ndarray:
    """Points ``[P, 3]`` in LPS mm through the FromParent side."""
    transform = node.GetTransformFromParent()
    return flip_lps_ras([transform.TransformPoint(point) for point in flip_lps_ras(points)])


def test_nodes_of_a_pair_have_names_that_a_scene_can_be_opened_with(scene, pair):
    fixed, moving, motion = pair
    fixed.SetName("rest & stress")
    found = addPairMotion(motion, fixed, moving).found
    assert {"affine", "table", "toFixed", "path"} <= set(found)
    assert not [node.GetName() for node in found.values() if "&" in node.GetName()]


def test_the_transforms_hold_the_matrix_and_go_there_and_back(scene, pair):
    fixed, moving, motion = pair
    nodes = addPairMotion(motion, fixed, moving)
    assert nodes.affine.IsLinear()
    points = voxels(FIXED)[2:-2:3, 4:-4:4, 4:-4:4].reshape(-1, 3)
    np.testing.assert_allclose(through(nodes.affine, points), points @ MATRIX[:3, :3].T + MATRIX[:3, 3], atol=1e-6)
    found = through(nodes.toFixed, points)
    index = FIXED.mm_to_voxel(points)
    moved = FIXED.voxel_to_mm(
        index + np.stack([u[tuple(np.rint(index).astype(int).T)] for u in motion.deformation[0]], 1)
    )
    np.testing.assert_allclose(found, moved @ MATRIX[:3, :3].T + MATRIX[:3, 3], atol=1e-3)
    back = through(nodes.toMoving, found)  # far outside the fixed volume
    assert np.linalg.norm(back - points, axis=1).max() < 0.2
    inside = volumes.pixelsOfVolume(nodes.warped, FIXED)
    where = voxels(FIXED).reshape(-1, 3)
    expected = picture(FIXED.voxel_to_mm(FIXED.mm_to_voxel(where) + motion.displacement[1].reshape(3, -1).T))
    near = np.abs(inside.ravel() - expected)
    assert np.median(near) < 0.01


def test_labels_maps_quality_and_the_way_are_there_and_replaced(scene, pair):
    fixed, moving, motion = pair
    grid = volumes.gridOfVolume(moving)
    drawn = np.zeros(grid.shape, np.uint8)
    drawn[4:10, 6:18, 8:20] = 3
    jacobian = np.full(FIXED.shape, 1.5, np.float32)
    before = scene.GetNumberOfNodes()
    nodes = addPairMotion(motion, fixed, moving, {"jacobian": jacobian}, drawnOn(grid, drawn))
    labels = volumes.pixelsOfVolume(nodes.labels, FIXED)
    assert set(np.unique(labels)) == {0, 3}
    points = FIXED.voxel_to_mm(np.argwhere(labels == 3) + motion.displacement[1].reshape(3, -1).T[labels.ravel() == 3])
    index = np.rint(grid.mm_to_voxel(points)).astype(int)
    assert (drawn[tuple(index.T)] == 3).mean() > 0.99
    np.testing.assert_array_equal(volumes.pixelsOfVolume(nodes.jacobian, FIXED), jacobian)
    assert nodes.table.GetTable().GetNumberOfRows() > 5
    assert nodes.uncertainty is None
    assert nodes.path.GetNumberOfDataNodes() == 3
    assert [nodes.path.GetNthIndexValue(i) for i in range(3)] == ["0", "0.5", "1"]
    last = volumes.pixelsOfVolume(nodes.path.GetNthDataNode(2), FIXED)
    np.testing.assert_allclose(last, volumes.pixelsOfVolume(nodes.warped, FIXED), atol=0.02)
    assert nodes.browser.GetSelectedItemNumber() == 2
    nodes.browser.SetSelectedItemNumber(0)
    shown = volumes.pixelsOfVolume(nodes.moved, FIXED)
    np.testing.assert_array_equal(shown, volumes.pixelsOfVolume(nodes.path.GetNthDataNode(0), FIXED))
    assert PairKind().switches(nodes) == {"compensated", "motion", "jacobian", "labels"}
    assert pairNodesOf(fixed, moving) == nodes
    count = scene.GetNumberOfNodes()
    again = addPairMotion(motion, fixed, moving, {"jacobian": jacobian}, drawnOn(grid, drawn))
    assert scene.GetNumberOfNodes() == count > before
    assert not scene.IsNodePresent(nodes.path)
    assert again.browser is not None


def test_masks_labels_and_options_reach_the_numerics(scene, tmp_path):
    grid = Grid((48, 40, 1), (1.5, 1.5, 8.0))
    rows, columns = np.mgrid[:40, :48]
    discs = [(1 / (1 + np.exp(np.hypot(rows - 20, columns - 24) - r))).astype(np.float32) for r in (12, 9)]
    fixed, moving = (
        scene.AddNode(volumes.volumeNodeFromArray(disc, grid, name))
        for disc, name in zip(discs, ("fixed", "moving"), strict=True)
    )
    mask = np.zeros(grid.shape, np.uint8)
    mask[5:35, 5:43] = 1
    task = PairTask(fixed, moving, None, (mask, None), mask, model=None, affine=True, path=2, refine=True)
    request = runSteps(task.prepare(tmp_path), Reporter(None, None))
    assert request["arguments"]["moving_mask"] is None
    result = calls.register_pair(tmp_path, dict(request["arguments"]), None, None)
    nodes = runSteps(task.finish(tmp_path / "results", result), Reporter(None, None))
    warped = volumes.pixelsOfVolume(nodes.warped, grid)
    assert np.abs(warped - discs[0]).mean() < 0.3 * np.abs(discs[1] - discs[0]).mean()
    assert nodes.affine is not None
    assert nodes.path.GetNumberOfDataNodes() == 3
    assert volumes.pixelsOfVolume(nodes.labels, grid).any()
    assert nodes.jacobian is not None
    written = PairKind().export(nodes, tmp_path / "out")
    names = {path.name for path in written.iterdir()}
    assert {"affine.tfm", "quality.csv", "labels.nrrd", "jacobian.nrrd", "path.seq.nrrd", "toFixed.h5"} <= names
