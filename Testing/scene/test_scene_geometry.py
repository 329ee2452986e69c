"""Fields, volumes and segmentations between arrays and nodes: no sign, axis or handedness may be lost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moving_block import image_on, oblique, smooth_motion

from DeepRegLogic import Grid, InputError, Motion, compensate, flow

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
vtk_to_numpy = pytest.importorskip("vtk.util.numpy_support").vtk_to_numpy
pytestmark = pytest.mark.usefixtures("scene")

from node_fields import fieldFromTransformNode  # noqa: E402
from TemporalRegistrationLib.nodes import segmentations, transforms, volumes  # noqa: E402

SHIFT = np.array((6.0, -4.0, 3.0))  # LPS mm


def shifted(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """A bright ball, and the same ball moved by ``SHIFT``."""
    points = grid.voxel_to_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    centre = grid.voxel_to_mm((np.array(grid.shape) - 1) / 2)
    distances = [np.linalg.norm(points - centre - move, axis=-1) for move in (0, SHIFT)]
    fixed, moved = (1000 * np.exp(-((d / 20) ** 2)).astype(np.float32) for d in distances)
    return fixed, moved


def inside_after(field: np.ndarray) -> np.ndarray:
    """Where a voxel that is moved by ``field`` stays inside the image."""
    position = np.indices(field.shape[1:]) + field
    last = np.reshape(field.shape[1:], (-1, *[1] * len(field))) - 1
    return np.all((position >= 0) & (position <= last), axis=0)


def test_known_shift_through_nodes(scene):
    grid = oblique((40, 36, 16))
    fixed, moved = shifted(grid)
    field = np.empty((3, *grid.shape), np.float32)
    field[:] = flow.from_mm(SHIFT.reshape(3, 1, 1, 1), grid)
    node = transforms.transformNodeFromField(field, grid, "shift")
    point = (grid.ras_matrix @ (20, 18, 8, 1))[:3]
    arrived = node.GetTransformFromParent().TransformPoint(point)
    np.testing.assert_allclose(np.subtract(arrived, point), (-6, 4, 3), atol=1e-5)
    np.testing.assert_allclose(fieldFromTransformNode(node, grid), field, atol=1e-5)

    scene.AddNode(node)
    fixed_node = scene.AddNode(volumes.volumeNodeFromArray(fixed, grid, "fixed"))
    moved_node = scene.AddNode(volumes.volumeNodeFromArray(moved, grid, "moved"))
    moved_node.SetAndObserveTransformNodeID(node.GetID())
    back = slicer.modules.volumes.logic().ResampleVolumeToReferenceVolume(moved_node, fixed_node)
    inside = inside_after(field)
    difference = (slicer.util.arrayFromVolume(back) - fixed)[inside]
    assert np.abs(moved - fixed)[inside].max() > 200
    assert np.abs(difference).max() < 25  # linear interpolation of the ball; a wrong sign or axis leaves hundreds


@pytest.mark.parametrize("size", [(24, 20, 10), (32, 28, 1)])
def test_scene_resamples_as_we_do(scene, size):
    grid = oblique(size)
    motion = smooth_motion(grid, 2, 0, amplitude=3.0)
    image = image_on(grid)
    for field in (motion.displacement[1], motion.inverse[1]):
        pair = Motion(grid, 0, np.stack([0 * field, field]), np.stack([0 * field, field]))
        ours = compensate(pair, np.stack([image, image]))[1]
        node = scene.AddNode(transforms.transformNodeFromField(field, grid, "field"))
        moving = scene.AddNode(volumes.volumeNodeFromArray(image, grid, "moving"))
        reference = scene.AddNode(volumes.volumeNodeFromArray(0 * image, grid, "reference"))
        moving.SetAndObserveTransformNodeID(node.GetID())
        logic = slicer.modules.volumes.logic()
        theirs = slicer.util.arrayFromVolume(logic.ResampleVolumeToReferenceVolume(moving, reference))
        inside = inside_after(field)
        assert inside.mean() > 0.7
        assert np.abs(theirs.reshape(grid.shape) - ours)[inside].max() < 1e-3 * np.ptp(image)
        once = vtk_to_numpy(
            transforms.resample(moving, node.GetTransformFromParent(), grid).GetPointData().GetScalars()
        )
        assert np.abs(once.reshape(grid.shape) - ours)[inside].max() < 1e-3 * np.ptp(image)


@settings(max_examples=25, deadline=None)
@given(
    angles=st.tuples(*[st.floats(-180, 180)] * 3),
    spacing=st.tuples(*[st.floats(0.3, 9.0)] * 3),
    mirror=st.booleans(),
    depth=st.sampled_from([1, 4]),
    seed=st.integers(0, 99),
)
def test_field_survives_the_transform_node(angles, spacing, mirror, depth, seed):
    from moving_block import rotation

    direction = rotation(*angles) @ np.diag((1, -1 if mirror else 1, 1))
    grid = Grid((6, 5, depth), spacing, (1.0, -2.0, 3.0), tuple(direction.ravel()))
    field = np.random.default_rng(seed).normal(0, 5, (grid.ndim, *grid.shape)).astype(np.float32)
    node = transforms.transformNodeFromField(field, grid, "field")
    np.testing.assert_allclose(fieldFromTransformNode(node, grid), field, atol=2e-5)
    # against the definition: a voxel's point plus the displacement in mm, in RAS
    index = tuple(n // 2 for n in grid.shape)
    start = grid.voxel_to_mm(np.array(index)) * (-1, -1, 1)
    stop = grid.voxel_to_mm(np.array(index) + field[(slice(None), *index)]) * (-1, -1, 1)
    np.testing.assert_allclose(node.GetTransformFromParent().TransformPoint(start), stop, atol=2e-3)


def test_transform_node_is_what_sequences_need():
    grid = oblique((6, 5, 4))
    node = transforms.transformNodeFromField(np.zeros((3, *grid.shape), np.float32), grid, "zero")
    assert node.GetClassName() == "vtkMRMLTransformNode"
    stored = node.GetTransformFromParent()
    assert not stored.GetInverseFlag()
    assert stored.GetDisplacementGrid().GetScalarTypeAsString() == "float"


def test_other_transforms_are_refused():
    grid = oblique((6, 5, 4))
    plain = slicer.vtkMRMLTransformNode()
    plain.SetName("plain")
    with pytest.raises(InputError, match="'plain' holds no displacement field"):
        fieldFromTransformNode(plain, grid)
    node = transforms.transformNodeFromField(np.zeros((3, *grid.shape), np.float32), grid, "zero")
    with pytest.raises(InputError, match="another grid"):
        fieldFromTransformNode(node, oblique((6, 5, 3)))
    node.SetAndObserveTransformToParent(transforms.gridTransformFromField(np.zeros((3, *grid.shape)), grid))
    with pytest.raises(InputError, match="'zero' holds no displacement field"):
        fieldFromTransformNode(node, grid)


@pytest.mark.parametrize("size", [(7, 5, 4), (7, 5, 1)])
@pytest.mark.parametrize(
    ("given_type", "kept_type"),
    [("int16", "int16"), ("uint8", "uint8"), ("float32", "float32"), ("bool", "uint8"), ("int64", "int32")],
)
def test_volume_keeps_pixels_and_geometry(size, given_type, kept_type):
    grid = oblique(size)
    pixels = (np.random.default_rng(0).random(grid.shape) * 3).astype(given_type)
    node = volumes.volumeNodeFromArray(pixels, grid, "volume")
    assert volumes.gridOfVolume(node).matches(grid, 1e-9)
    back = volumes.pixelsOfVolume(node, grid)
    assert back.dtype == kept_type
    np.testing.assert_array_equal(back, pixels)
    assert not np.shares_memory(back, slicer.util.arrayFromVolume(node))


def test_segments_survive_and_may_overlap(scene):
    grid = oblique((20, 18, 6))
    wide, narrow = np.zeros((2, *grid.shape), np.uint8)
    wide[1:5, 4:14, 4:16] = 1
    narrow[2:4, 6:10, 6:10] = 1
    parts = (
        segmentations.Segment("a", "Myocardium", (0.8, 0.2, 0.1), wide),
        segmentations.Segment("b", "Blood", (0.1, 0.2, 0.9), narrow),
    )
    node = scene.AddNode(segmentations.segmentationNodeFromMasks(parts, (wide, narrow), grid, "drawn"))
    for part, found in zip(parts, segmentations.segmentsOf(node, grid), strict=True):
        assert (found.segmentID, found.name) == (part.segmentID, part.name)
        np.testing.assert_allclose(found.color, part.color, atol=1e-6)
        np.testing.assert_array_equal(found.mask, part.mask)


def test_closed_surfaces_are_filled(scene):
    import vtk

    grid = oblique((40, 36, 16))
    centre = grid.ras_matrix @ (20, 18, 8, 1)
    ball = vtk.vtkSphereSource()
    ball.SetCenter(*centre[:3])
    ball.SetRadius(15)
    ball.SetThetaResolution(60)
    ball.SetPhiResolution(60)
    ball.Update()
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "surface")
    node.SetSourceRepresentationToClosedSurface()
    node.AddSegmentFromClosedSurfaceRepresentation(ball.GetOutput(), "ball", (1.0, 0.0, 0.0))
    (segment,) = segmentations.segmentsOf(node, grid)
    volume = segment.mask.sum() * np.prod(grid.spacing)
    assert volume == pytest.approx(4 / 3 * np.pi * 15**3, rel=0.05)
    label = slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()
    assert not node.GetSegmentation().ContainsRepresentation(label)  # the user's node is as it was


def test_useless_segmentations_are_refused(scene):
    grid = oblique((10, 10, 4))
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "nothing")
    with pytest.raises(InputError, match="'nothing' has no segments"):
        segmentations.segmentsOf(node, grid)
    empty = segmentations.Segment("a", "a", (1.0, 0.0, 0.0), np.zeros(grid.shape, np.uint8))
    far = segmentations.segmentationNodeFromMasks((empty,), (empty.mask,), grid, "far")
    with pytest.raises(InputError, match="No segment of 'far' lies on the image"):
        segmentations.segmentsOf(far, grid)
    scene.RemoveNode(node)
