"""A typed parameter node, imitated as far as this module uses it: strings, numbers in a range, switches, nodes and
unions of nodes, stored in the real node, and bound to the widgets that carry the property ``SlicerParameterName``.
"""

from __future__ import annotations

import typing

import slicer
import vtk


def _parts(annotation) -> tuple[object, tuple]:
    """The type, and what it is annotated with."""
    if typing.get_origin(annotation) is typing.Annotated:
        kind, *notes = typing.get_args(annotation)
        return kind, tuple(notes)
    return annotation, ()


def _nodeClasses(kind) -> tuple[type, ...]:
    """The classes of nodes of a type or of a union; none for other types."""
    kinds = typing.get_args(kind) if typing.get_origin(kind) is typing.Union else (kind,)
    return tuple(k for k in kinds if isinstance(k, type) and issubclass(k, slicer.vtkMRMLNode))


class _Connector:
    """One widget and one parameter."""

    # as in the application: other classes of widgets cannot be bound
    KINDS: typing.ClassVar = {
        "QCheckBox": (bool, "stateChanged(int)", "checked"),
        "QLineEdit": (str, "textChanged(QString)", "text"),
        "QDoubleSpinBox": (float, "valueChanged(double)", "value"),
        "qMRMLNodeComboBox": (slicer.vtkMRMLNode, "currentNodeChanged(vtkMRMLNode*)", None),
    }

    def __init__(self, wrapper, name, widget, kind, notes) -> None:
        className = type(widget).__name__
        wanted, self.signal, self.property = self.KINDS[className]
        classes = _nodeClasses(kind)
        if not (classes if wanted is slicer.vtkMRMLNode else kind is wanted):
            raise RuntimeError(f"a {className} cannot be bound to '{name}', a {kind}")
        if classes:  # a selector offers what the parameter can hold, whatever its .ui file says
            widget.nodeTypes = [cls.__name__ for cls in classes]
        if className == "QDoubleSpinBox":  # and a number without a range has none in the widget either
            limits = next((note for note in notes if isinstance(note, WithinRange)), WithinRange(-1e300, 1e300))
            widget.minimum, widget.maximum = limits.minimum, limits.maximum
        self.wrapper, self.name, self.widget, self.busy = wrapper, name, widget, False
        self.show()
        widget.connect(self.signal, self.store)

    def show(self) -> None:
        value = getattr(self.wrapper, self.name)
        self.busy = True
        if self.property is None:
            self.widget.setCurrentNode(value)
        else:
            setattr(self.widget, self.property, value)
        self.busy = False

    def store(self, *_) -> None:
        if not self.busy:
            value = self.widget.currentNode() if self.property is None else getattr(self.widget, self.property)
            setattr(self.wrapper, self.name, value)

    def release(self) -> None:
        self.widget.disconnect(self.signal, self.store)


class _Wrapper:
    """What a decorated class becomes."""

    def __init__(self, node) -> None:
        self.__dict__.update(parameterNode=node, _gui={})
        stored = set(node.GetParameterNames())
        for name, kind in self._kinds.items():
            if not _nodeClasses(kind) and name not in stored:
                node.SetParameter(name, str(self._defaults.get(name, kind())))

    def __getattr__(self, name):
        if name not in self._kinds:
            return getattr(self.__dict__["parameterNode"], name)
        kind, node = self._kinds[name], self.parameterNode
        if _nodeClasses(kind):
            return node.GetNodeReference(name)
        text = node.GetParameter(name)
        return text == "True" if kind is bool else kind(text)

    def __setattr__(self, name, value) -> None:
        kind = self._kinds[name]  # an unknown name is an error
        if _nodeClasses(kind):
            if value is not None and not isinstance(value, _nodeClasses(kind)):
                raise TypeError(f"'{name}' is a {kind}, not a {type(value).__name__}")
            old, new = self.parameterNode.GetNodeReferenceID(name), value.GetID() if value is not None else None
            if old != new:
                self.parameterNode.SetNodeReferenceID(name, new)
        else:
            if not isinstance(value, kind):
                raise TypeError(f"'{name}' is a {kind.__name__}, not a {type(value).__name__}")
            for limits in self._notes[name]:
                limits.validate(value)
            self.parameterNode.SetParameter(name, str(value))

    def connectGui(self, ui) -> int:
        widgets = {w.property("SlicerParameterName"): w for w in vars(ui).values() if hasattr(w, "property")}
        widgets.pop(None, None)
        connectors = [
            _Connector(self, name, widget, self._kinds[name], self._notes[name]) for name, widget in widgets.items()
        ]

        def refresh(*_) -> None:
            for connector in connectors:
                connector.show()

        tag = self.parameterNode.AddObserver(vtk.vtkCommand.ModifiedEvent, refresh)
        self._gui[tag] = connectors
        return tag

    def disconnectGui(self, tag: int) -> None:
        self.parameterNode.RemoveObserver(tag)
        for connector in self._gui.pop(tag):
            connector.release()


def parameterNodeWrapper(cls: type) -> type:
    parts = {name: _parts(annotation) for name, annotation in cls.__annotations__.items()}
    kinds, notes = ({name: part[i] for name, part in parts.items()} for i in (0, 1))
    defaults = {name: getattr(cls, name) for name in kinds if hasattr(cls, name)}
    return type(cls.__name__, (_Wrapper,), {"_kinds": kinds, "_notes": notes, "_defaults": defaults})


class WithinRange:
    def __init__(self, minimum, maximum) -> None:
        self.minimum, self.maximum = minimum, maximum

    def validate(self, value) -> None:
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"{value} is not within {self.minimum} and {self.maximum}")
