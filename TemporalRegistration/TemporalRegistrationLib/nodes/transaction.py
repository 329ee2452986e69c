"""Which nodes are results of this module, and how the scene changes: all at once or not at all.

A result refers to its input and the input refers to the result. Only nodes linked both ways are ever replaced: a copy
that a user made of a result is linked one way, and stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import slicer

from ..i18n import _
from ..steps import Steps

INPUT = "TemporalRegistration.Input"
PARTNER = "TemporalRegistration.Partner"
RESULT = "TemporalRegistration.Result."
SAMPLE = "TemporalRegistration.Sample."
FOLDER = "TemporalRegistration.Folder"


def _roles(node: slicer.vtkMRMLNode) -> list[str]:
    return [node.GetNthNodeReferenceRole(i) for i in range(node.GetNumberOfNodeReferenceRoles())]


def linkResults(
    inputNode: slicer.vtkMRMLNode,
    results: Mapping[str, slicer.vtkMRMLNode],
    partner: slicer.vtkMRMLNode | None = None,
    kind: str = RESULT,
) -> None:
    """Link every result, by its role, with the input, and with the input's partner where a pair was registered.

    ``kind`` is RESULT, or SAMPLE for what was generated from the input: neither replaces the other.
    """
    for role, node in results.items():
        _refer(node, INPUT, inputNode)
        if partner is not None:
            _refer(node, PARTNER, partner)
        inputNode.AddNodeReferenceID(kind + role, node.GetID())


def addResult(
    node: slicer.vtkMRMLNode, inputNode: slicer.vtkMRMLNode, partner: slicer.vtkMRMLNode | None = None
) -> None:
    """Add a node to the scene that is to become a result of the input.

    It refers to the input, and to its partner, at once: when a sequence changes that is in a browser already, all of
    the browser's proxy nodes are made anew.
    """
    slicer.mrmlScene.AddNode(node)
    _refer(node, INPUT, inputNode)
    if partner is not None:
        _refer(node, PARTNER, partner)


def _refer(node: slicer.vtkMRMLNode, role: str, other: slicer.vtkMRMLNode) -> None:
    if node.GetNodeReferenceID(role) != other.GetID():
        node.SetNodeReferenceID(role, other.GetID())


def findResults(
    inputNode: slicer.vtkMRMLNode, partner: slicer.vtkMRMLNode | None = None, kind: str = RESULT
) -> dict[str, slicer.vtkMRMLNode]:
    """The results that were made of the input (together with the partner), by role; empty before the first run."""
    found = {}
    partnerID = partner.GetID() if partner is not None else None
    for role in _roles(inputNode):
        if not role.startswith(kind):
            continue
        for index in range(inputNode.GetNumberOfNodeReferences(role)):
            node = inputNode.GetNthNodeReference(role, index)
            linked = node is not None and node.GetNodeReferenceID(INPUT) == inputNode.GetID()
            if linked and node.GetNodeReferenceID(PARTNER) == partnerID:
                found[role.removeprefix(kind)] = node
    return found


def inputOf(node: slicer.vtkMRMLNode) -> slicer.vtkMRMLNode | None:
    """The node that ``node`` is a result of."""
    return node.GetNodeReference(INPUT)


def partnerOf(node: slicer.vtkMRMLNode) -> slicer.vtkMRMLNode | None:
    """The other node of the pair that ``node`` is a result of."""
    return node.GetNodeReference(PARTNER)


def isResultOf(node: slicer.vtkMRMLNode, inputNode: slicer.vtkMRMLNode) -> bool:
    """Whether ``node`` is a result that was made of ``inputNode``, with any partner."""
    return node.GetNodeReferenceID(INPUT) == inputNode.GetID() and any(
        role.startswith(RESULT) and inputNode.HasNodeReferenceID(role, node.GetID()) for role in _roles(inputNode)
    )


def _hierarchy() -> slicer.vtkMRMLSubjectHierarchyNode | None:
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)


def _sceneNodes() -> list[slicer.vtkMRMLNode]:
    return list(slicer.mrmlScene.GetNodes())


def browsersOf(sequenceNode: slicer.vtkMRMLSequenceNode) -> list[slicer.vtkMRMLSequenceBrowserNode]:
    """Every sequence browser of the scene that plays the sequence."""
    return [
        node
        for node in _sceneNodes()
        if node.IsA("vtkMRMLSequenceBrowserNode") and node.IsSynchronizedSequenceNode(sequenceNode, True)
    ]


def removeNode(node: slicer.vtkMRMLNode) -> None:
    """Remove a node with its display and storage nodes; a sequence also leaves its browsers, with its proxy nodes."""
    scene = slicer.mrmlScene
    if not scene.IsNodePresent(node):
        return
    if node.IsA("vtkMRMLSequenceNode"):
        for browser in browsersOf(node):
            proxy = browser.GetProxyNode(node)
            browser.RemoveSynchronizedSequenceNode(node.GetID())
            if proxy is not None:
                removeNode(proxy)
    hierarchy = _hierarchy()
    item = hierarchy.GetItemByDataNode(node) if hierarchy is not None else 0
    if item:
        hierarchy.RemoveItem(item, False, False)
    attached = []
    if node.IsA("vtkMRMLDisplayableNode"):
        attached += [node.GetNthDisplayNode(i) for i in range(node.GetNumberOfDisplayNodes())]
    if node.IsA("vtkMRMLStorableNode"):
        attached += [node.GetNthStorageNode(i) for i in range(node.GetNumberOfStorageNodes())]
    scene.RemoveNode(node)
    for other in attached:
        if other is not None and scene.IsNodePresent(other):
            scene.RemoveNode(other)


@contextmanager
def batch() -> Iterator[None]:
    """Let the views and widgets see the changes of the scene only when all are made."""
    scene = slicer.mrmlScene
    scene.StartState(scene.BatchProcessState)
    try:
        yield
    finally:
        scene.EndState(scene.BatchProcessState)


@contextmanager
def allOrNothing() -> Iterator[None]:
    """Remove every node that was added inside when the work inside does not come to its end."""
    before = {node.GetID() for node in _sceneNodes()}
    try:
        yield
    except BaseException:
        added = [node for node in reversed(_sceneNodes()) if node.GetID() not in before]
        # browsers first: one that is left would make its proxy nodes anew
        for node in sorted(added, key=lambda node: not node.IsA("vtkMRMLSequenceBrowserNode")):
            removeNode(node)
        raise


def replaceResults(
    inputNode: slicer.vtkMRMLNode,
    old: Mapping[str, slicer.vtkMRMLNode],
    new: Mapping[str, slicer.vtkMRMLNode],
    partner: slicer.vtkMRMLNode | None = None,
) -> None:
    """Hand over to the new results and remove the old ones."""
    handOver(inputNode, old, new, partner)
    for _step in removeSteps(dict(old)):
        pass


def handOver(
    inputNode: slicer.vtkMRMLNode,
    old: Mapping[str, slicer.vtkMRMLNode],
    new: Mapping[str, slicer.vtkMRMLNode],
    partner: slicer.vtkMRMLNode | None = None,
    kind: str = RESULT,
) -> None:
    """Link the new results in place of the old ones, and give them what refers to those (views, plots, nodes under a
    transform). The old ones are nobody's then, and can be removed."""
    own = {node.GetID() for node in (*old.values(), *new.values())}
    others = [node for node in _sceneNodes() if node.GetID() not in own and not node.IsA("vtkMRMLSequenceBrowserNode")]
    for role, node in old.items():
        for index in reversed(range(inputNode.GetNumberOfNodeReferences(kind + role))):
            if inputNode.GetNthNodeReferenceID(kind + role, index) == node.GetID():
                inputNode.RemoveNthNodeReferenceID(kind + role, index)
        if role in new:
            for other in others:
                other.UpdateReferenceID(node.GetID(), new[role].GetID())
    linkResults(inputNode, new, partner, kind)


def removeSteps(nodes: dict[str, slicer.vtkMRMLNode]) -> Steps[None]:
    """Remove the nodes and their folders, one a step of fraction 1; all at once where nobody asks for the next step.

    They leave ``nodes``, too: their memory is given back bit by bit.
    """
    # a browser first: its sequences leave it at once then, and not one by one
    left = sorted(nodes, key=lambda role: nodes[role].IsA("vtkMRMLSequenceBrowserNode"))
    folders = _foldersOf(nodes.values())
    try:
        while left:
            yield 1.0, _("Removing the former results")
            removeNode(nodes.pop(left.pop()))
    finally:
        with batch():
            while left:
                removeNode(nodes.pop(left.pop()))
            _removeEmptyFolders(folders)


def groupInFolder(name: str, under: slicer.vtkMRMLNode, nodes: list[slicer.vtkMRMLNode]) -> None:
    """Put the items of the nodes into a folder of their own in the subject hierarchy, below that of the node ``under``.

    The application makes the items, with the plugin that owns them; without it there are none, and no folder.
    """
    hierarchy = _hierarchy()
    items = [item for item in map(hierarchy.GetItemByDataNode, nodes) if item] if hierarchy is not None else []
    if not items:
        return
    folder = hierarchy.CreateFolderItem(hierarchy.GetItemByDataNode(under) or hierarchy.GetSceneItemID(), name)
    try:
        hierarchy.SetItemAttribute(folder, FOLDER, "1")
        for item in items:
            hierarchy.SetItemParent(item, folder)
    except BaseException:
        hierarchy.RemoveItem(folder, False, False)
        raise


def _foldersOf(nodes) -> set[int]:
    hierarchy = _hierarchy()
    if hierarchy is None:
        return set()
    parents = {hierarchy.GetItemParent(item) for item in map(hierarchy.GetItemByDataNode, nodes) if item}
    return {parent for parent in parents if hierarchy.HasItemAttribute(parent, FOLDER)}


def _removeEmptyFolders(folders: set[int]) -> None:
    hierarchy = _hierarchy()
    for folder in folders:
        if hierarchy.GetNumberOfItemChildren(folder) == 0:
            hierarchy.RemoveItem(folder, False, False)
