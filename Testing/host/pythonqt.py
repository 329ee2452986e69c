"""The module ``qt`` of the application (PythonQt), imitated on PySide6 as far as a scripted module can tell.

What differs from PySide6 and is imitated here: a Qt property is an attribute (``widget.text``), and its getter cannot
be called; ``widget.name`` is the object name; signals are also connected by their signature; an unknown attribute
cannot be made on a Qt object; objects can be deleted with ``delete()``.
"""

from __future__ import annotations

import functools
import inspect
import re
import sys
import xml.etree.ElementTree as ElementTree
from types import ModuleType

from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets

QObject = QtCore.QObject
_asked: set[tuple[int, str]] = set()
# what the module's own code used: (class, member) and (class, signal), to be held against what the application has
used: set[tuple[str, str]] = set()
_PYTHON_TYPES = {"int": int, "bool": bool, "double": float, "QString": str}


def _hasProperty(obj: QObject, name: str) -> bool:
    return QObject.metaObject(obj).indexOfProperty(name) >= 0


def _signal(obj: QObject, signature: str):
    """The bound signal of a signature such as "valueChanged(int)"; a wrong one is an error (PythonQt only prints)."""
    match = re.fullmatch(r"\s*(\w+)\s*(?:\((.*)\))?\s*", signature)
    name, arguments = match.group(1), match.group(2) or ""
    meta = QObject.metaObject(obj)
    methods = (meta.method(i) for i in range(meta.methodCount()))
    signals = [m for m in methods if m.methodType() == QtCore.QMetaMethod.MethodType.Signal]
    found = [m for m in signals if bytes(m.name()).decode() == name]
    if not found:
        raise RuntimeError(f"{meta.className()} has no signal '{signature}'")
    bound = type(obj).__getattribute__(obj, name)
    if arguments in _PYTHON_TYPES and len(found) > 1:
        return bound[_PYTHON_TYPES[arguments]]
    return bound


def _note(obj: QObject, name: str) -> None:
    file = sys._getframe(2).f_code.co_filename
    if "TemporalRegistration" in file.rpartition("Testing")[2] and not name.endswith("Notify"):
        used.add((type(obj).__name__, name))


class _Semantics:
    """The methods that every wrapped class gets."""

    def __getattribute__(self, name):
        if not name.startswith("_"):
            _note(self, name)
            if name == "name":
                return QObject.objectName(self)
            if name in ("connect", "disconnect"):  # PySide6 looks its own pair up past the class
                return functools.partial(_Semantics.__dict__[name], self)
            if name == "className":
                return lambda: QObject.metaObject(self).className()
            key = (id(self), name)
            if key not in _asked and _hasProperty(self, name):
                _asked.add(key)  # some getters are virtual, and ask here again for a method that overrides them
                try:
                    own = name in type(self)._ownProperties
                    value = type(self)._base.__getattribute__(self, name) if own else QObject.property(self, name)
                finally:
                    _asked.discard(key)
                return tuple(value) if isinstance(value, list) else value
        return type(self)._base.__getattribute__(self, name)

    def __setattr__(self, name, value):
        _note(self, name)
        if name == "name":
            QObject.setObjectName(self, value)
        elif UiLoader.loading and isinstance(value, QObject):
            pass  # PySide6 makes attributes of the children that it loads
        elif name.startswith("_") or name in type(self)._ownProperties:
            type(self)._base.__setattr__(self, name, value)
        elif _hasProperty(self, name):
            if not QObject.setProperty(self, name, value):
                raise TypeError(f"cannot set {name} of {type(self).__name__} to {value!r}")
        else:
            raise AttributeError(f"'{name}': new attributes cannot be made on a {type(self).__name__}")

    def connect(self, signature, slot):
        _note(self, signature)
        _signal(self, signature).connect(slot)
        return True

    def disconnect(self, signature, slot=None):
        signal = _signal(self, signature)
        signal.disconnect(slot) if slot is not None else signal.disconnect()
        return True

    def children(self):
        return tuple(QObject.children(self))

    def findChildren(self, kind):
        return tuple(obj for obj in QObject.findChildren(self, QObject) if isinstance(obj, kind))

    def delete(self):
        self.deleteLater()


class _Meta(type(QObject)):
    """``isinstance(x, qt.QWidget)`` holds for every kind of QWidget."""

    def __instancecheck__(cls, obj):
        return isinstance(obj, cls.__dict__.get("_base", ())) or super().__instancecheck__(obj)


def wrap(base: type, name: str | None = None) -> type:
    """A class of PySide6, or derived from one, with the semantics of PythonQt."""
    members = {key: value for key, value in vars(_Semantics).items() if inspect.isfunction(value)}
    own = {key for cls in base.__mro__ for key, value in vars(cls).items() if isinstance(value, QtCore.Property)}
    # what a test double keeps for itself
    members |= {"_base": base, "_ownProperties": own, "__module__": "qt"}
    return _Meta(name or base.__name__, (base,), members)


class UiLoader(QtUiTools.QUiLoader):
    """Loads .ui files with wrapped classes, the application's own widgets, and the connections of the file."""

    custom: dict[str, type] = {}
    loading = 0

    def createWidget(self, className, parent=None, name=""):
        cls = self.custom.get(className) or getattr(qt, className)
        widget = cls(parent)
        QObject.setObjectName(widget, name)
        self._kept.append(widget)
        return widget

    def createLayout(self, className, parent=None, name=""):
        layout = getattr(qt, className)(parent) if isinstance(parent, QtWidgets.QWidget) else getattr(qt, className)()
        QObject.setObjectName(layout, name)
        self._kept.append(layout)
        return layout

    def load(self, file, parent=None):
        self._kept = []
        root = ElementTree.fromstring(bytes(file.readAll()))
        connections = root.find("connections")
        wires = []
        if connections is not None:
            wires = [[c.findtext(key) for key in ("sender", "signal", "receiver", "slot")] for c in connections]
            root.remove(connections)
        buffer = QtCore.QBuffer()
        buffer.setData(ElementTree.tostring(root))
        buffer.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
        UiLoader.loading += 1
        try:
            widget = super().load(buffer, parent)
        finally:
            UiLoader.loading -= 1
        named = {QObject.objectName(obj): obj for obj in [widget, *QObject.findChildren(widget, QObject)]}
        for sender, signal, receiver, slot in wires:
            _signal(named[sender], signal).connect(getattr(named[receiver], slot.partition("(")[0]))
        widget.__dict__["_kept"] = self._kept
        return widget


_PLAIN = ("QFile", "QIODevice", "QBuffer", "QSettings", "QCoreApplication", "QApplication")


class _Qt(ModuleType):
    """``qt``: every class of QtCore, QtGui and QtWidgets in one module, wrapped when it is first asked for."""

    def __getattr__(self, name):
        if name == "QUiLoader":
            return UiLoader
        for module in (QtCore, QtGui, QtWidgets):
            if hasattr(module, name):
                found = getattr(module, name)
                if isinstance(found, type) and issubclass(found, QObject) and name not in _PLAIN:
                    found = wrap(found)
                setattr(self, name, found)
                return found
        raise AttributeError(f"module 'qt' has no attribute '{name}'")


qt = _Qt("qt")
qt.__path__ = []
