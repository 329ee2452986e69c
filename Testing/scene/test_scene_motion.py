"""A Motion as nodes: right in every frame, all at once or not at all, replaced by a second run."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from moving_block import oblique, smooth_motion

from DeepRegLogic import Cancelled, CancelToken, FrameQuality, InputError, Motion, compensate, flow, propagate

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
vtk = pytest.importorskip("vtk")

from node_fields import addPairMotion, fieldFromTransformNode  # noqa: E402
from TemporalRegistrationLib.kinds.cine_nodes import addMotion  # noqa: E402
from TemporalRegistrationLib.nodes import segmentations, transaction, volumes  # noqa: E402
from TemporalRegistrationLib.nodes.sequences import addCine, cineFromSequence, imageFromVolume  # noqa: E402
from TemporalRegistrationLib.show import display  # noqa: E402

SEQUENCES = ("compensated", "difference", "propagated", "toReference", "toFrame", "jacobian")


@pytest.fixture
def added(scene, moving):
    """Cine, motion, input sequence and result nodes."""
    cine, motion = moving
    sequence = addCine(cine)
    return cine, motion, sequence, addMotion(motion, cine, sequence)


def state() -> dict[str, str]:
    """Every node of the scene with its name, and what the browsers play."""
    found = {}
    slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)  # made by the first question for it
    for index in range(slicer.mrmlScene.GetNumberOfNodes()):
        node = slicer.mrmlScene.GetNthNode(index)
        found[node.GetID()] = node.GetName()
        if node.IsA("vtkMRMLSequenceBrowserNode"):
            found[node.GetID()] += str(node.GetNumberOfSynchronizedSequenceNodes(True))
    return found


def pixels(node, grid) -> np.ndarray:
    return slicer.util.arrayFromVolume(node).reshape(grid.shape)


def test_every_frame_of_every_sequence(added):
    cine, motion, _, nodes = added
    grid = motion.grid
    expected = {
        "compensated": compensate(motion, cine.frames),
        "propagated": propagate(motion, cine.frames[motion.reference]),
        "toReference": motion.displacement,
        "toFrame": motion.inverse,
    }
    for role, values in expected.items():
        result = getattr(nodes, role)
        assert result.GetNumberOfDataNodes() == len(motion)
        for frame, value in enumerate(values):
            node = result.GetNthDataNode(frame)
            if role.startswith("to"):
                assert node.GetClassName() == "vtkMRMLTransformNode"
                found = fieldFromTransformNode(node, grid)
                np.testing.assert_allclose(found, value, atol=1e-5)
            else:
                assert volumes.gridOfVolume(node).matches(grid, 1e-9)
                np.testing.assert_array_equal(pixels(node, grid), value)
    change = nodes.jacobian.GetNthDataNode(motion.reference)
    np.testing.assert_allclose(pixels(change, grid), 1.0, atol=1e-6)
    assert np.ptp(pixels(nodes.jacobian.GetNthDataNode(0), grid)) > 0.05


def test_reference_frame_has_a_real_zero_grid(added):
    _, motion, _, nodes = added
    for result in (nodes.toReference, nodes.toFrame):
        transform = result.GetNthDataNode(motion.reference).GetTransformFromParent()
        grid = slicer.vtkOrientedGridTransform.SafeDownCast(transform).GetDisplacementGrid()
        assert grid.GetDimensions() == motion.grid.size
        assert grid.GetPointData().GetScalars().GetRange(-1) == (0.0, 0.0)
        assert grid.GetScalarTypeAsString() == "float"


def test_index_is_the_inputs_own(added):
    _, _, sequence, nodes = added
    for role in SEQUENCES:
        result = getattr(nodes, role)
        for get in ("GetIndexName", "GetIndexUnit", "GetIndexType", "GetNumericIndexValueTolerance"):
            assert getattr(result, get)() == getattr(sequence, get)()
        count = range(sequence.GetNumberOfDataNodes())
        assert [result.GetNthIndexValue(i) for i in count] == [sequence.GetNthIndexValue(i) for i in count]


def test_all_play_together_in_the_inputs_browser(added):
    cine, motion, sequence, nodes = added
    logic = slicer.modules.sequences.logic()
    assert nodes.browser is logic.GetFirstBrowserNodeForSequenceNode(sequence)
    assert nodes.browser.GetMasterSequenceNode() is sequence
    results_played = [getattr(nodes, role) for role in SEQUENCES]
    for result in results_played:
        assert nodes.browser.GetPlayback(result)
        assert not nodes.browser.GetSaveChanges(result)
        assert not nodes.browser.GetRecording(result)
        assert nodes.proxy(result).GetName() == result.GetName()
    names = [result.GetName() for result in results_played]
    assert names == [
        "block motion-compensated",
        "block difference",
        "block propagated reference",
        "block motion to reference",
        "block motion",
        "block Jacobian",
    ]
    for frame in (2, 0, 3, 1):
        nodes.browser.SetSelectedItemNumber(frame)
        grid = motion.grid
        np.testing.assert_array_equal(pixels(nodes.browser.GetProxyNode(sequence), grid), cine.frames[frame])
        field = fieldFromTransformNode(nodes.proxy(nodes.toFrame), grid)
        np.testing.assert_allclose(field, motion.inverse[frame], atol=1e-5)
        np.testing.assert_array_equal(
            pixels(nodes.proxy(nodes.compensated), grid), pixels(nodes.compensated.GetNthDataNode(frame), grid)
        )


def test_user_edits_of_a_proxy_do_not_change_the_result(added):
    _, motion, _, nodes = added
    before = pixels(nodes.compensated.GetNthDataNode(1), motion.grid).copy()
    nodes.browser.SetSelectedItemNumber(1)
    proxy = nodes.proxy(nodes.compensated)
    slicer.util.arrayFromVolume(proxy)[:] = -1
    slicer.util.arrayFromVolumeModified(proxy)
    nodes.browser.SetSelectedItemNumber(2)
    np.testing.assert_array_equal(pixels(nodes.compensated.GetNthDataNode(1), motion.grid), before)


def test_scene_resampling_gives_the_compensated_frames(added):
    cine, motion, sequence, nodes = added
    proxy = nodes.browser.GetProxyNode(sequence)
    proxy.SetAndObserveTransformNodeID(nodes.proxy(nodes.toReference).GetID())
    for frame in range(len(motion)):
        nodes.browser.SetSelectedItemNumber(frame)
        target = nodes.proxy(nodes.compensated)
        theirs = slicer.modules.volumes.logic().ResampleVolumeToReferenceVolume(proxy, target)
        position = np.indices(motion.grid.shape) + motion.displacement[frame]
        last = np.reshape(motion.grid.shape, (-1, *[1] * motion.grid.ndim)) - 1
        inside = np.all((position >= 0) & (position <= last), axis=0)
        difference = (pixels(theirs, motion.grid) - pixels(target, motion.grid))[inside]
        assert np.abs(difference).max() < 1e-3 * np.ptp(cine.frames)


def test_points_under_the_motion_go_with_the_tissue(added):
    _, motion, _, nodes = added
    nodes.browser.SetSelectedItemNumber(3)
    index = tuple(n // 2 for n in motion.grid.shape)
    start = motion.grid.voxel_to_mm(np.array(index)) * (-1, -1, 1)
    moved = np.array(index) + motion.displacement[3][(slice(None), *index)]
    expected = motion.grid.voxel_to_mm(moved) * (-1, -1, 1)
    found = nodes.proxy(nodes.toFrame).GetTransformToParent().TransformPoint(start)
    assert np.linalg.norm(expected - start) > 0.5
    np.testing.assert_allclose(found, expected, atol=0.15)


def test_table_has_a_row_a_frame(added):
    _, motion, _, nodes = added
    table = nodes.table
    assert table.GetName() == "block motion quality"
    assert table.GetNumberOfRows() == len(motion)
    columns = [table.GetColumnName(i) for i in range(table.GetNumberOfColumns())]
    assert columns[:4] == ["frame", "time", "error before", "error after"]
    assert table.GetColumnUnitLabel("motion mean") == "mm"
    assert table.GetColumnUnitLabel("error after") == "fraction of intensity range"
    figures = [field.name for field in dataclasses.fields(FrameQuality) if field.name != "inconsistent_at"]
    assert {name.replace("_", " ") for name in figures} <= set(columns)
    for frame, quality in enumerate(motion.quality):
        assert table.GetTable().GetValue(frame, 0).ToDouble() == frame
        for name in figures:
            value = table.GetTable().GetValueByName(frame, name.replace("_", " ")).ToDouble()
            assert value == pytest.approx(getattr(quality, name)), name
        # figures of the maps come after those of FrameQuality
        smallest = table.GetTable().GetValueByName(frame, "jacobian min").ToDouble()
        assert smallest == pytest.approx(pixels(nodes.jacobian.GetNthDataNode(frame), motion.grid).min())


def test_display_and_references(added):
    _, _, sequence, nodes = added
    cine = nodes.browser.GetProxyNode(sequence)
    for role in ("compensated", "propagated"):
        shown = nodes.proxy(getattr(nodes, role)).GetDisplayNode()
        assert (shown.GetWindow(), shown.GetLevel()) == (
            cine.GetDisplayNode().GetWindow(),
            cine.GetDisplayNode().GetLevel(),
        )
        assert not shown.GetAutoWindowLevel()
    change = nodes.proxy(nodes.jacobian).GetDisplayNode()
    assert (change.GetWindowLevelMin(), change.GetWindowLevelMax()) == (0.0, 2.0)
    assert change.GetColorNode() is nodes.jacobianColors
    low, middle, high = (np.zeros(4) for _ in range(3))
    for index, color in ((0, low), (128, middle), (255, high)):
        nodes.jacobianColors.GetLookupTable().GetTableValue(index, color)
    assert low[2] > low[0]
    assert high[0] > high[2]
    assert middle[:3].min() > 0.9
    fixed = slicer.vtkMRMLTransformNode.GetFixedNodeReferenceRole()
    moving = slicer.vtkMRMLTransformNode.GetMovingNodeReferenceRole()
    back, forth, still = (nodes.proxy(n) for n in (nodes.toReference, nodes.toFrame, nodes.compensated))
    for frame in (0, 2):
        nodes.browser.SetSelectedItemNumber(frame)
        assert (back.GetNodeReference(fixed), back.GetNodeReference(moving)) == (still, cine)
        assert (forth.GetNodeReference(fixed), forth.GetNodeReference(moving)) == (cine, still)
        assert not forth.GetDisplayNode().GetVisibility()
        assert forth.GetDisplayNode().GetRegionNode() is cine


def test_results_are_grouped_under_the_cine(scene, slice2d):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def addItem(caller, event, node):  # as the application's plugins do
        if node.IsA("vtkMRMLVolumeNode") or node.IsA("vtkMRMLTransformNode") or node.IsA("vtkMRMLTableNode"):
            hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)

    observation = scene.AddObserver(scene.NodeAddedEvent, addItem)
    try:
        cine, motion = slice2d
        sequence = addCine(cine)
        browser = slicer.modules.sequences.logic().GetFirstBrowserNodeForSequenceNode(sequence)
        item = hierarchy.GetItemByDataNode(browser.GetProxyNode(sequence))
        for _ in range(2):
            nodes = addMotion(motion, cine, sequence)
            assert hierarchy.GetNumberOfItemChildren(item) == 1
            folder = hierarchy.GetItemByPositionUnderParent(item, 0)
            assert hierarchy.GetItemName(folder) == "block motion"
            proxies = [nodes.proxy(getattr(nodes, role)) for role in SEQUENCES]
            for node in (*proxies, nodes.table):
                assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) == folder
            assert hierarchy.GetNumberOfItemChildren(folder) == len(SEQUENCES) + 1
    finally:
        scene.RemoveObserver(observation)


def test_label_maps_are_carried_along(scene, moving):
    cine, motion = moving
    sequence = addCine(cine)
    labels = (cine.frames[motion.reference] > 500).astype(np.int16) * 3
    expected = propagate(motion, labels, nearest=True)
    drawn = volumes.volumeNodeFromArray(labels, motion.grid, "drawn", "vtkMRMLLabelMapVolumeNode")
    for given in (labels, scene.AddNode(drawn)):
        nodes = addMotion(motion, cine, sequence, given)
        for frame, value in enumerate(expected):
            node = nodes.labels.GetNthDataNode(frame)
            assert node.GetClassName() == "vtkMRMLLabelMapVolumeNode"
            np.testing.assert_array_equal(pixels(node, motion.grid), value)
        assert nodes.proxy(nodes.labels).GetName() == "block propagated labels"
    moved = dataclasses.replace(motion.grid, origin=tuple(motion.grid.voxel_to_mm(np.ones(motion.grid.ndim))))
    other = volumes.volumeNodeFromArray(labels, moved, "elsewhere")
    with pytest.raises(InputError, match="'elsewhere' does not lie on the frames"):
        addMotion(motion, cine, sequence, scene.AddNode(other))


def test_segmentations_are_carried_along(scene, moving):
    cine, motion = moving
    sequence = addCine(cine)
    masks = [(cine.frames[motion.reference] > level).astype(np.uint8) for level in (400, 600)]
    parts = [
        segmentations.Segment(name, name, color, mask)
        for name, color, mask in zip("ab", ((1.0, 0.5, 0.0), (0.0, 0.5, 1.0)), masks, strict=True)
    ]
    drawn = scene.AddNode(segmentations.segmentationNodeFromMasks(parts, masks, motion.grid, "drawn"))
    nodes = addMotion(motion, cine, sequence, drawn)
    proxy = nodes.proxy(nodes.labels)
    for frame in (3, 0, 2):
        nodes.browser.SetSelectedItemNumber(frame)
        assert proxy.GetClassName() == "vtkMRMLSegmentationNode"
        for part, found in zip(parts, segmentations.segmentsOf(proxy, motion.grid), strict=True):
            np.testing.assert_array_equal(found.mask, propagate(motion, part.mask, nearest=True)[frame])
            assert (found.name, found.color) == (part.name, part.color)
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "turned")
    drawn.SetAndObserveTransformNodeID(transform.GetID())
    with pytest.raises(InputError, match="'drawn' is under the transform 'turned'"):
        addMotion(motion, cine, sequence, drawn)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (display, "showMap"),
        (display, "prepareTransformDisplay"),
        (transaction, "groupInFolder"),
        (display, "relate"),
    ],
)
@pytest.mark.parametrize("own_browser", [True, False])
def test_nothing_is_left_of_a_failure(scene, slice2d, monkeypatch, module, name, own_browser):
    cine, motion = slice2d
    sequence = addCine(cine)
    if not own_browser:
        transaction.removeNode(slicer.modules.sequences.logic().GetFirstBrowserNodeForSequenceNode(sequence))
    before = state()

    def fail(*args, **kwargs):
        raise RuntimeError("injected")

    monkeypatch.setattr(module, name, fail)
    with pytest.raises(RuntimeError, match="injected"):
        addMotion(motion, cine, sequence)
    assert state() == before
    assert transaction.findResults(sequence) == {}
    assert not scene.IsBatchProcessing()
    monkeypatch.undo()
    nodes = addMotion(motion, cine, sequence)
    after = state()
    with monkeypatch.context() as patch:
        patch.setattr(module, name, fail)
        with pytest.raises(RuntimeError, match="injected"):
            addMotion(motion, cine, sequence)
    assert state() == after  # the earlier results are still there
    nodes.browser.SetSelectedItemNumber(2)
    assert nodes.proxy(nodes.toFrame) is not None


def test_cancel_leaves_the_scene_as_it_was(scene, slice2d):
    cine, motion = slice2d
    sequence = addCine(cine)
    before, token, seen = state(), CancelToken(), []

    def progress(fraction, text):
        seen.append(fraction)
        if fraction > 0.5:
            token.cancel()

    with pytest.raises(Cancelled):
        addMotion(motion, cine, sequence, progress=progress, cancel=token)
    assert seen == sorted(seen)
    assert state() == before


def test_a_second_run_replaces_the_first(added):
    cine, motion, sequence, first = added
    mine = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "block motion-compensated")
    copy = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "copy")
    copy.Copy(first.proxy(first.toFrame))
    follower = first.browser.GetProxyNode(sequence)
    follower.SetAndObserveTransformNodeID(first.proxy(first.toReference).GetID())
    composite = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
    composite.SetBackgroundVolumeID(first.proxy(first.compensated).GetID())
    count = slicer.mrmlScene.GetNumberOfNodes()
    old = [getattr(first, role).GetID() for role in SEQUENCES]
    other = smooth_motion(motion.grid, len(motion), 0, amplitude=1.0, seed=9)
    second = addMotion(other, cine, sequence)
    assert slicer.mrmlScene.GetNumberOfNodes() == count
    assert not any(slicer.mrmlScene.GetNodeByID(identifier) for identifier in old)
    assert slicer.mrmlScene.IsNodePresent(mine)
    assert slicer.mrmlScene.IsNodePresent(copy)
    assert second.browser is first.browser
    # what looked at the old results looks at the new ones
    assert follower.GetParentTransformNode() is second.proxy(second.toReference)
    assert composite.GetBackgroundVolumeID() == second.proxy(second.compensated).GetID()
    second.browser.SetSelectedItemNumber(2)
    field = fieldFromTransformNode(second.proxy(second.toFrame), motion.grid)
    np.testing.assert_allclose(field, other.inverse[2], atol=1e-5)
    # and the cine may be registered again although it is under its own result
    assert len(cineFromSequence(sequence)) == len(motion)


def test_a_copy_of_the_input_has_no_results(added):
    cine, motion, sequence, first = added
    twin = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", "twin")
    twin.Copy(sequence)
    twin.SetName("twin")
    assert transaction.findResults(twin) == {}
    second = addMotion(motion, cine, twin)
    assert second.browser is not first.browser
    for role in SEQUENCES:
        assert slicer.mrmlScene.IsNodePresent(getattr(first, role))
        assert getattr(second, role) is not getattr(first, role)


def test_deleted_browser(added):
    cine, motion, sequence, first = added
    count = slicer.mrmlScene.GetNumberOfNodes()
    leftover = first.proxy(first.toFrame)
    slicer.mrmlScene.RemoveNode(first.browser)
    second = addMotion(motion, cine, sequence)
    assert not slicer.mrmlScene.IsNodePresent(leftover)
    assert second.browser.GetName() == "block browser"
    second.browser.SetSelectedItemNumber(3)
    np.testing.assert_array_equal(pixels(second.browser.GetProxyNode(sequence), motion.grid), cine.frames[3])
    field = fieldFromTransformNode(second.proxy(second.toFrame), motion.grid)
    np.testing.assert_allclose(field, motion.inverse[3], atol=1e-5)
    # the cine's own former proxy is the user's: it stays, with its display and storage
    assert slicer.mrmlScene.GetNumberOfNodes() <= count + 3


def test_changed_or_removed_input_is_noticed(scene, slice2d):
    cine, motion = slice2d
    sequence = addCine(cine)
    browser = slicer.modules.sequences.logic().GetFirstBrowserNodeForSequenceNode(sequence)
    browser.SetRecordingActive(True)
    with pytest.raises(InputError, match="'block browser' is recording"):
        addMotion(motion, cine, sequence)
    browser.SetRecordingActive(False)
    shorter = Motion(motion.grid, 0, motion.displacement[:3], motion.inverse[:3])
    with pytest.raises(InputError, match="motion of 3 frames does not belong to 'block' with 4"):
        addMotion(shorter, cine, sequence)
    scene.RemoveNode(sequence)
    before = state()
    with pytest.raises(InputError, match="'block' is no longer in the scene"):
        addMotion(motion, cine, sequence)
    assert state() == before


def test_pair(scene):
    grid, other = oblique((24, 20, 10)), oblique((30, 26, 14))
    points = [np.moveaxis(g.voxel_to_mm(np.moveaxis(np.indices(g.shape), 0, -1)), -1, 0) for g in (grid, other)]
    pictures = [np.sin(p[0] / 9) * np.cos(p[1] / 11) + p[2] / 50 for p in points]
    fixed, moving = (
        scene.AddNode(volumes.volumeNodeFromArray(picture.astype(np.float32), g, name))
        for picture, g, name in zip(pictures, (grid, other), ("fixed", "moving"), strict=True)
    )
    motion = smooth_motion(grid, 2, 0, amplitude=1.5)
    nodes = addPairMotion(motion, fixed, moving)
    assert nodes.toFixed.GetName() == "moving to fixed"
    assert volumes.gridOfVolume(nodes.warped).matches(grid, 1e-9)
    where = points[0] + flow.to_mm(motion.displacement[1], grid)
    expected = np.sin(where[0] / 9) * np.cos(where[1] / 11) + where[2] / 50
    index = other.mm_to_voxel(np.moveaxis(where, 0, -1))
    inside = np.all((index >= 0) & (index <= np.array(other.shape) - 1), axis=-1)
    found = pixels(nodes.warped, grid)
    assert inside.mean() > 0.8
    assert np.abs(found - expected)[inside].max() < 0.05
    assert np.abs(pictures[0] - expected)[inside].max() > 0.15
    moving.SetAndObserveTransformNodeID(nodes.toFixed.GetID())
    theirs = slicer.modules.volumes.logic().ResampleVolumeToReferenceVolume(moving, fixed)
    assert np.abs(pixels(theirs, grid) - found)[inside].max() < 1e-3 * np.ptp(expected)
    assert len(imageFromVolume(moving)) == 1  # its own result may hold it

    third = scene.AddNode(volumes.volumeNodeFromArray(pictures[0].astype(np.float32), grid, "third"))
    addPairMotion(motion, third, moving)
    assert scene.IsNodePresent(nodes.warped)  # another pair
    again = addPairMotion(motion, fixed, moving)
    assert not scene.IsNodePresent(nodes.warped)
    assert moving.GetParentTransformNode() is again.toFixed
