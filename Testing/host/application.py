"""Stand-ins for the Python modules that only the application has, so that the module file can be imported and its
logic and its test run on slicer-core. No widgets."""

from __future__ import annotations

import sys
import unittest
from types import ModuleType

import slicer


class ScriptedLoadableModule:
    def __init__(self, parent) -> None:
        self.parent = parent


class ScriptedLoadableModuleWidget:
    def __init__(self, parent=None) -> None:
        self.parent = parent


class ScriptedLoadableModuleLogic:
    def getParameterNode(self):
        """The module's one parameter node, made when asked for first."""
        node = slicer.mrmlScene.GetSingletonNode(type(self).__name__, "vtkMRMLScriptedModuleNode")
        if node is None:
            node = slicer.vtkMRMLScriptedModuleNode()
            node.SetSingletonTag(type(self).__name__)
            node = slicer.mrmlScene.AddNode(node)
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    def delayDisplay(self, message: str) -> None:
        print(message)


def parameterNodeWrapper(cls: type) -> type:
    """Plain attributes with the declared defaults; nothing is stored in the node."""

    def __init__(self, parameterNode) -> None:
        self.parameterNode = parameterNode
        for name in cls.__annotations__:
            setattr(self, name, getattr(cls, name, None))

    cls.__init__ = __init__
    return cls


def install() -> None:
    """Make the stand-ins importable as the application's modules."""
    contents = {
        "ScriptedLoadableModule": {
            cls.__name__: cls
            for cls in (
                ScriptedLoadableModule,
                ScriptedLoadableModuleWidget,
                ScriptedLoadableModuleLogic,
                ScriptedLoadableModuleTest,
            )
        },
        "i18n": {"tr": lambda text: text, "translate": lambda context, text: text},
        "parameterNodeWrapper": {"parameterNodeWrapper": parameterNodeWrapper, "Choice": tuple},
    }
    for name, members in contents.items():
        module = ModuleType(f"slicer.{name}")
        module.__dict__.update(members)
        sys.modules[module.__name__] = module
        setattr(slicer, name, module)
