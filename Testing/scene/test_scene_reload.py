"""Saved results are alive in a new process: every frame's transform is the right one."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from DeepRegLogic import Grid, Labels, OutputError, Results

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
pytestmark = pytest.mark.usefixtures("scene")

from TemporalRegistrationLib.kinds.cine_nodes import addMotion  # noqa: E402
from TemporalRegistrationLib.nodes import segmentations  # noqa: E402
from TemporalRegistrationLib.nodes.sequences import addCine  # noqa: E402

READER = """
import json, sys
import numpy as np
from TemporalRegistrationLib import headless
headless.boot()
import slicer, slicer.util
from DeepRegLogic import Grid
from node_fields import fieldFromTransformNode
from TemporalRegistrationLib.nodes.volumes import gridOfVolume
request = json.loads(sys.argv[1])
grid = Grid(**request["grid"])
def field(node):
    assert node.GetClassName() == "vtkMRMLTransformNode", node.GetClassName()
    return fieldFromTransformNode(node, grid)
def pixels(node):
    # Slicer reads a left-handed volume with its slices in the other order, at the same places
    values, found = slicer.util.arrayFromVolume(node), gridOfVolume(node)
    if not found.matches(grid):
        assert np.allclose(found.voxel_to_mm(np.array((grid.size[2] - 1.0, 0, 0))), grid.origin, atol=1e-4)
        values = values[::-1]
    return values.reshape(grid.shape)
"""

SCENE_READER = (
    READER
    + """
slicer.util.loadScene(request["path"])
named = lambda name, kind: next(n for n in slicer.util.getNodesByClass(kind) if n.GetName() == name)
sequence = named("block", "vtkMRMLSequenceNode")
(browser,) = slicer.util.getNodesByClass("vtkMRMLSequenceBrowserNode")
proxy = lambda name: browser.GetProxyNode(named(name, "vtkMRMLSequenceNode"))
out = {key: [] for key in ("toFrame", "toReference", "compensated", "live", "labels", "segments")}
cine = browser.GetProxyNode(sequence)
cine.SetAndObserveTransformNodeID(proxy("block motion to reference").GetID())
for frame in (*range(4), 2, 0):
    browser.SetSelectedItemNumber(frame)
    out["toFrame"].append(field(proxy("block motion")))
    out["toReference"].append(field(proxy("block motion to reference")))
    out["live"].append(field(cine.GetParentTransformNode()))
    out["compensated"].append(pixels(proxy("block motion-compensated")))
    labels = proxy("block propagated labels")
    if labels.IsA("vtkMRMLSegmentationNode"):
        from TemporalRegistrationLib.nodes.segmentations import segmentsOf
        out["segments"].append([part.mask for part in segmentsOf(labels, grid)])
    else:
        out["labels"].append(pixels(labels))
table = named("block motion quality", "vtkMRMLTableNode")
value = lambda row, column: table.GetTable().GetValue(row, column).ToDouble()
out["quality"] = [[value(row, column) for column in (0, 2, 3)] for row in range(table.GetNumberOfRows())]
out["text"] = [table.GetAttribute("TemporalRegistration.Provenance"), table.GetColumnName(3)]
change = proxy("block Jacobian").GetDisplayNode()
color = [0.0] * 4
change.GetColorNode().GetLookupTable().GetTableValue(255, color)
out["color"] = [*color[:3], change.GetWindowLevelMin(), change.GetWindowLevelMax()]
out["played"] = [browser.GetNumberOfSynchronizedSequenceNodes(True)]
from TemporalRegistrationLib.nodes.transaction import findResults
out["roles"] = sorted(findResults(sequence))
np.savez(request["output"], **out)
"""
)

SEQUENCE_READER = (
    READER
    + """
sequence = slicer.util.loadSequence(request["path"])
items = [sequence.GetNthDataNode(i) for i in range(sequence.GetNumberOfDataNodes())]
kind = [items[0].GetTransformFromParent().GetDisplacementGrid().GetScalarTypeAsString()]
index = [sequence.GetNthIndexValue(i) for i in range(len(items))]
unit = [sequence.GetIndexName(), sequence.GetIndexUnit()]
np.savez(request["output"], fields=[field(item) for item in items], kind=kind, index=index, unit=unit)
"""
)


def read_in_new_process(code: str, path, grid: Grid, tmp_path, repository) -> dict[str, np.ndarray]:
    """Run ``code`` on the file in a new Python and return what it saved."""
    geometry = {"size": grid.size, "spacing": grid.spacing, "origin": grid.origin, "direction": grid.direction}
    output = tmp_path / "read.npz"
    request = json.dumps({"path": str(path), "grid": geometry, "output": str(output)})
    paths = os.pathsep.join(
        [
            str(repository),
            str(repository / "TemporalRegistration"),
            str(repository / "Testing" / "scene"),
            os.environ.get("PYTHONPATH", ""),
        ]
    )
    done = subprocess.run(
        [sys.executable, "-c", code, request],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    with np.load(output) as values:
        return dict(values)


@pytest.mark.parametrize("kind", ["labels", "segmentation"])
def test_scene_file(moving, tmp_path, repository, kind):
    cine, motion = moving
    grid = motion.grid
    sequence = addCine(cine)
    mask = (cine.frames[motion.reference] > 500).astype(np.uint8)
    labels = mask
    if kind == "segmentation":
        part = segmentations.Segment("a", "a", (1.0, 0.0, 0.0), mask)
        labels = slicer.mrmlScene.AddNode(segmentations.segmentationNodeFromMasks([part], [mask], grid, "drawn"))
    nodes = addMotion(motion, cine, sequence, labels)
    expected = [slicer.util.arrayFromVolume(nodes.compensated.GetNthDataNode(i)).reshape(grid.shape) for i in range(4)]
    if kind == "labels":
        masks = [slicer.util.arrayFromVolume(nodes.labels.GetNthDataNode(i)).reshape(grid.shape) for i in range(4)]
    else:
        masks = [segmentations.segmentsOf(nodes.labels.GetNthDataNode(i), grid)[0].mask for i in range(4)]
    roles = sorted(_roles(nodes))
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    read = read_in_new_process(SCENE_READER, tmp_path / "scene.mrb", grid, tmp_path, repository)
    for step, frame in enumerate((0, 1, 2, 3, 2, 0)):
        np.testing.assert_allclose(read["toFrame"][step], motion.inverse[frame], atol=1e-5)
        np.testing.assert_allclose(read["toReference"][step], motion.displacement[frame], atol=1e-5)
        np.testing.assert_allclose(read["live"][step], motion.displacement[frame], atol=1e-5)
        np.testing.assert_array_equal(read["compensated"][step], expected[frame])
        found = read["labels"][step] if kind == "labels" else read["segments"][step][0]
        np.testing.assert_array_equal(found, masks[frame])
    quality = [[frame, q.error_before, q.error_after] for frame, q in enumerate(motion.quality)]
    np.testing.assert_allclose(read["quality"], quality, rtol=1e-5)
    provenance, column = read["text"]
    assert json.loads(str(provenance)) == dict(motion.provenance)
    assert column == "error after"
    np.testing.assert_allclose(read["color"], [0.70, 0.09, 0.17, 0.0, 2.0], atol=0.01)
    assert read["played"] == 8
    assert list(read["roles"]) == roles  # a second run after loading replaces them


def _roles(nodes) -> list[str]:
    from TemporalRegistrationLib.nodes.transaction import findResults

    return list(findResults(nodes.browser.GetMasterSequenceNode()))


@pytest.mark.parametrize("side", ["toFrame", "toReference"])
def test_transform_sequence_is_one_file(moving, tmp_path, repository, side):
    cine, motion = moving
    sequence = addCine(cine)
    result = getattr(addMotion(motion, cine, sequence), side)
    path = tmp_path / "motion.seq.nrrd"
    assert slicer.util.saveNode(result, str(path))
    assert result.GetStorageNode().GetClassName() == "vtkMRMLTransformSequenceStorageNode"
    assert [p.name for p in tmp_path.iterdir()] == ["motion.seq.nrrd"]
    read = read_in_new_process(SEQUENCE_READER, path, motion.grid, tmp_path, repository)
    expected = motion.inverse if side == "toFrame" else motion.displacement
    np.testing.assert_allclose(read["fields"], expected, atol=1e-5)
    assert read["kind"] == "float"
    assert list(read["unit"]) == ["time", "s"]
    np.testing.assert_allclose(read["index"].astype(float), cine.times)


def test_the_script_saves_a_scene_of_its_own(slice2d, scene, script, tmp_path):
    cine, motion = slice2d
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "of the study before")
    path = tmp_path / "scene.mrb"
    results = Results(motion, cine, Labels.of_map((cine.frames[0] > 500).astype(np.uint8)))
    script.save_scene(path, results)
    assert path.stat().st_size > 1000
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(path))
    names = {node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLSequenceNode")}
    assert {"block", "block motion", "block propagated labels"} <= names
    assert not slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")[0].GetName().startswith("of the study")
    with pytest.raises(OutputError, match="could not be written"):
        script.save_scene(tmp_path / "missing" / "scene.mrb", results)


def test_real_cine_through_the_scene(data_folder, tmp_path):
    """A real cine file is read, given a motion, saved, and read back."""
    from moving_block import smooth_motion
    from node_fields import fieldFromTransformNode
    from TemporalRegistrationLib.nodes.sequences import cineFromSequence

    path = sorted((data_folder / "cine" / "2d+t").rglob("*.seq.nrrd"))[0]
    sequence = slicer.util.loadSequence(str(path))
    cine = cineFromSequence(sequence)
    assert len(cine) == 20
    motion = smooth_motion(cine.grid, len(cine), 0, amplitude=2.0)
    nodes = addMotion(motion, cine, sequence)
    assert slicer.util.saveNode(nodes.toFrame, str(tmp_path / "motion.seq.nrrd"))
    again = slicer.util.loadSequence(str(tmp_path / "motion.seq.nrrd"))
    for frame in (0, 7, 19):
        found = fieldFromTransformNode(again.GetNthDataNode(frame), cine.grid)
        np.testing.assert_allclose(found, motion.inverse[frame], atol=1e-4)
