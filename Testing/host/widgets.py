"""The widgets of the application that the module uses, imitated: the same names, properties, slots and signals."""

from __future__ import annotations

import weakref

import shiboken6
import slicer
import vtk
from PySide6 import QtCore, QtGui, QtWidgets
from PySide6.QtCore import Property, Qt, Signal
from pythonqt import UiLoader, qt, wrap


def _value(kind, name, default, hook=None):
    """A Qt property that is kept in the widget; ``hook(widget, value)`` is called when it changes."""

    def read(self):
        return self.__dict__.get(f"_{name}", default)

    def write(self, value):
        if value != read(self):
            self.__dict__[f"_{name}"] = value
            if hook is not None:
                hook(self, value)

    return Property(kind, read, write)


def _row(widget, *children):
    layout = QtWidgets.QHBoxLayout()
    layout.setContentsMargins(0, 0, 0, 0)
    for child in children:
        layout.addWidget(child)
    QtWidgets.QWidget.setLayout(widget, layout)


class ctkCollapsibleButton(QtWidgets.QWidget):
    contentsCollapsed = Signal(bool)
    toggled = Signal(bool)
    clicked = Signal(bool)
    HEIGHT = 26

    def __init__(self, parent=None):
        super().__init__(parent)
        self.setContentsMargins(2, self.HEIGHT + 4, 2, 4)

    def _collapse(self, collapsed):
        for child in QtCore.QObject.children(self):
            if isinstance(child, QtWidgets.QWidget):
                QtWidgets.QWidget.setVisible(child, not collapsed)
        QtWidgets.QWidget.setMaximumHeight(self, self.HEIGHT if collapsed else 16777215)
        QtWidgets.QWidget.setMinimumHeight(self, self.HEIGHT if collapsed else 0)
        self.contentsCollapsed.emit(collapsed)
        self.toggled.emit(not collapsed)

    collapsed = _value(bool, "collapsed", False, _collapse)
    text = _value(str, "text", "")

    def childEvent(self, event):
        if self.__dict__.get("_collapsed") and event.added() and isinstance(event.child(), QtWidgets.QWidget):
            QtWidgets.QWidget.setVisible(event.child(), False)
        QtWidgets.QWidget.childEvent(self, event)

    def mousePressEvent(self, event):
        if event.position().y() <= self.HEIGHT:
            self.collapsed = not self.__dict__.get("_collapsed", False)
            self.clicked.emit(not self.__dict__["_collapsed"])

    def minimumSizeHint(self):
        hint = QtWidgets.QWidget.minimumSizeHint(self)
        return QtCore.QSize(60, self.HEIGHT) if self.__dict__.get("_collapsed") else hint

    sizeHint = minimumSizeHint

    def paintEvent(self, event):
        collapsed = self.__dict__.get("_collapsed", False)
        painter = QtWidgets.QStylePainter(self)
        bar = QtWidgets.QStyleOptionButton()
        bar.initFrom(self)
        bar.rect = QtCore.QRect(0, 0, QtWidgets.QWidget.width(self), self.HEIGHT)
        bar.state |= QtWidgets.QStyle.StateFlag.State_Raised
        painter.drawControl(QtWidgets.QStyle.ControlElement.CE_PushButtonBevel, bar)
        arrow = QtWidgets.QStyleOption()
        arrow.initFrom(self)
        arrow.rect = QtCore.QRect(6, 8, 10, 10)
        style = QtWidgets.QStyle.PrimitiveElement
        painter.drawPrimitive(style.PE_IndicatorArrowRight if collapsed else style.PE_IndicatorArrowDown, arrow)
        painter.drawText(bar.rect.adjusted(22, 0, 0, 0), Qt.AlignmentFlag.AlignVCenter, self.__dict__.get("_text", ""))


class ctkSliderWidget(QtWidgets.QWidget):
    valueChanged = Signal(float)

    def __init__(self, parent=None):
        super().__init__(parent)
        slider, box = QtWidgets.QSlider(Qt.Orientation.Horizontal), QtWidgets.QDoubleSpinBox()
        _row(self, slider, box)
        self.__dict__.update(_slider=slider, _box=box, _scale=1.0)
        slider.valueChanged.connect(lambda value: box.setValue(value * self._scale))
        box.valueChanged.connect(self._changed)
        self._rescale()

    def _changed(self, value):
        self._slider.blockSignals(True)
        self._slider.setValue(round(value / self._scale))
        self._slider.blockSignals(False)
        self.valueChanged.emit(value)

    def _rescale(self):
        box = self._box
        self.__dict__["_scale"] = scale = box.singleStep()
        self._slider.blockSignals(True)
        self._slider.setRange(round(box.minimum() / scale), round(box.maximum() / scale))
        self._slider.setValue(round(box.value() / scale))
        self._slider.blockSignals(False)

    def _boxProperty(kind, getter, setter):
        def write(self, value):
            getattr(self._box, setter)(value)
            self._rescale()

        return Property(kind, lambda self: getattr(self._box, getter)(), write)

    value = _boxProperty(float, "value", "setValue")
    minimum = _boxProperty(float, "minimum", "setMinimum")
    maximum = _boxProperty(float, "maximum", "setMaximum")
    singleStep = _boxProperty(float, "singleStep", "setSingleStep")
    decimals = _boxProperty(int, "decimals", "setDecimals")


class ctkPathLineEdit(QtWidgets.QWidget):
    currentPathChanged = Signal(str)

    def __init__(self, parent=None):
        super().__init__(parent)
        edit = QtWidgets.QLineEdit()
        self.__dict__["_edit"] = edit
        _row(self, edit, QtWidgets.QToolButton(text="…"))
        edit.textChanged.connect(self.currentPathChanged)

    currentPath = Property(str, lambda self: self._edit.text(), lambda self, value: self._edit.setText(value))
    filters = _value("QVariant", "filters", 0)
    settingKey = _value(str, "settingKey", "")


class ctkDirectoryButton(QtWidgets.QPushButton):
    directoryChanged = Signal(str)

    def _show(self, value):
        QtWidgets.QPushButton.setText(self, value)
        self.directoryChanged.emit(value)

    directory = _value(str, "directory", QtCore.QDir.currentPath(), _show)
    caption = _value(str, "caption", "")


class qMRMLWidget(QtWidgets.QWidget):
    mrmlSceneChanged = Signal(object)

    def setMRMLScene(self, scene):
        self.__dict__["_scene"] = scene
        self.mrmlSceneChanged.emit(scene)

    def mrmlScene(self):
        return self.__dict__.get("_scene")


class qMRMLSortFilterProxyModel(QtCore.QObject):
    """What a list of nodes leaves out."""

    hiddenNodeIDs = _value("QStringList", "hiddenNodeIDs", (), lambda self, _ids: QtCore.QObject.parent(self)._fill())


class qMRMLNodeComboBox(qMRMLWidget):
    """Follows the scene; the first node is taken where none is not allowed, as in the application."""

    currentNodeChanged = Signal(object)
    currentNodeIDChanged = Signal(str)

    def __init__(self, parent=None):
        super().__init__(parent)
        box = QtWidgets.QComboBox()
        self.__dict__.update(_box=box, _scene=None, _observers=[], _current="", _attributes=[])
        self.__dict__["_filter"] = wrap(qMRMLSortFilterProxyModel)(self)
        _row(self, box)
        box.activated.connect(self._activated)

    def _refill(self, _=None):
        self._fill()

    nodeTypes = _value("QStringList", "nodeTypes", [], _refill)
    noneEnabled = _value(bool, "noneEnabled", False, _refill)
    showChildNodeTypes = _value(bool, "showChildNodeTypes", True, _refill)
    showHidden = _value(bool, "showHidden", False, _refill)
    noneDisplay = _value(str, "noneDisplay", "None", _refill)
    addEnabled = _value(bool, "addEnabled", True)
    removeEnabled = _value(bool, "removeEnabled", True)
    renameEnabled = _value(bool, "renameEnabled", False)
    editEnabled = _value(bool, "editEnabled", False)
    baseName = _value(str, "baseName", "")

    def setMRMLScene(self, scene):
        for tag in self._observers:
            self._scene.RemoveObserver(tag)
        self.__dict__["_scene"] = scene
        me = weakref.ref(self)

        def refill(*_):
            if me() is not None and shiboken6.isValid(me()) and not scene.IsBatchProcessing():
                me()._fill()

        events = (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndCloseEvent, scene.EndBatchProcessEvent)
        self.__dict__["_observers"] = [scene.AddObserver(event, refill) for event in (*events, scene.EndImportEvent)]
        self._fill()

    def addAttribute(self, nodeType, name, value=None):
        """One filter a class of nodes, as in the application: a second takes the place of the first."""
        self.__dict__["_attributes"] = [a for a in self._attributes if a[0] != nodeType] + [(nodeType, name, value)]
        self._fill()

    def sortFilterProxyModel(self):
        return self._filter

    def _suits(self, node):
        types = self.__dict__.get("_nodeTypes", [])
        children = self.__dict__.get("_showChildNodeTypes", True)
        if node.GetHideFromEditors() and not self.__dict__.get("_showHidden"):
            return False
        if node.GetID() in self._filter.hiddenNodeIDs:
            return False
        if not any(node.IsA(kind) if children else node.GetClassName() == kind for kind in types):
            return False
        return all(
            node.GetAttribute(name) is not None and value in (None, node.GetAttribute(name))
            for kind, name, value in self._attributes
            if node.IsA(kind)
        )

    def nodeCount(self):
        return len(self._nodes())

    def addNode(self):
        """What the entry "Create new" of the list does."""
        node = self._scene.CreateNodeByClass(self.__dict__["_nodeTypes"][0])
        node.UnRegister(None)
        for _kind, name, value in self._attributes:
            node.SetAttribute(name, value)
        node.SetName(self._scene.GenerateUniqueName(self.__dict__.get("_baseName") or node.GetNodeTagName()))
        self.setCurrentNode(self._scene.AddNode(node))

    def removeCurrentNode(self):
        self._scene.RemoveNode(self.currentNode())

    def _nodes(self):
        found = []
        for kind in self.__dict__.get("_nodeTypes", []) if self._scene is not None else ():
            nodes = self._scene.GetNodesByClass(kind)  # none of a class that is not there
            nodes.UnRegister(None)
            found += [nodes.GetItemAsObject(i) for i in range(nodes.GetNumberOfItems())]
        return [node for node in found if self._suits(node)]

    def _fill(self):
        nodes, none = self._nodes(), self.__dict__.get("_noneEnabled", False)
        self._box.blockSignals(True)
        self._box.clear()
        if none or not nodes:
            self._box.addItem(self.__dict__.get("_noneDisplay", "None"), "")
        for node in nodes:
            self._box.addItem(node.GetName(), node.GetID())
        self._box.blockSignals(False)
        ids = [node.GetID() for node in nodes]
        self._select(self._current if self._current in ids else ("" if none or not ids else ids[0]))

    def _select(self, nodeID):
        self._box.setCurrentIndex(max(0, self._box.findData(nodeID)))
        if nodeID != self._current:
            self.__dict__["_current"] = nodeID
            self.currentNodeChanged.emit(self.currentNode())
            self.currentNodeIDChanged.emit(nodeID)

    def _activated(self, index):
        self._select(self._box.itemData(index) or "")

    def currentNode(self):
        return self._scene.GetNodeByID(self._current) if self._scene is not None and self._current else None

    def setCurrentNode(self, node):
        nodeID = node.GetID() if node is not None else ""
        if not nodeID or nodeID in [other.GetID() for other in self._nodes()]:
            self._select(nodeID)


class _BrowserWidget(qMRMLWidget):
    def setMRMLSequenceBrowserNode(self, browser):
        old, tag = self.__dict__.get("_browser"), self.__dict__.get("_tag")
        if old is not None:
            old.RemoveObserver(tag)
        self.__dict__["_browser"] = browser
        if browser is not None:
            me = weakref.ref(self)

            def update(*_):
                if me() is not None and shiboken6.isValid(me()):
                    me()._update()

            self.__dict__["_tag"] = browser.AddObserver(vtk.vtkCommand.ModifiedEvent, update)
        self._update()

    def _update(self):
        pass


class qMRMLSequenceBrowserSeekWidget(_BrowserWidget):
    def __init__(self, parent=None):
        super().__init__(parent)
        slider, label = QtWidgets.QSlider(Qt.Orientation.Horizontal), QtWidgets.QLabel()
        self.__dict__.update(_slider=slider, _label=label)
        _row(self, slider, label)
        slider.valueChanged.connect(self.setSelectedItemNumber)

    def slider(self):
        return self._slider

    def setSelectedItemNumber(self, number):
        if self.__dict__.get("_browser") is not None:
            self._browser.SetSelectedItemNumber(number)

    def _update(self):
        browser = self._browser
        count = browser.GetNumberOfItems() if browser is not None else 0
        self._slider.setEnabled(count > 0)
        if count:
            number, master = browser.GetSelectedItemNumber(), browser.GetMasterSequenceNode()
            self._slider.blockSignals(True)
            self._slider.setRange(0, count - 1)
            self._slider.setValue(number)
            self._slider.blockSignals(False)
            self._label.setText(f"{browser.GetFormattedIndexValue(number)} {master.GetIndexUnit() or ''}")


class qMRMLSequenceBrowserPlayWidget(_BrowserWidget):
    def __init__(self, parent=None):
        super().__init__(parent)
        slots = (self.onVcrFirst, self.onVcrPrevious, self.onVcrPlayPause, self.onVcrNext, self.onVcrLast)
        icons = ("SkipBackward", "SeekBackward", "Play", "SeekForward", "SkipForward")
        self.__dict__["_buttons"] = []
        for slot, icon in zip(slots, icons, strict=True):
            button = QtWidgets.QToolButton()
            standard = getattr(QtWidgets.QStyle.StandardPixmap, f"SP_Media{icon}")
            button.setIcon(QtWidgets.QApplication.style().standardIcon(standard))
            button.clicked.connect(slot)
            self._buttons.append(button)
        loop, rate = QtWidgets.QToolButton(), QtWidgets.QDoubleSpinBox()
        loop.setIcon(QtWidgets.QApplication.style().standardIcon(QtWidgets.QStyle.StandardPixmap.SP_BrowserReload))
        loop.setCheckable(True)
        loop.toggled.connect(self.setPlaybackLoopEnabled)
        rate.setRange(0.1, 60.0)
        rate.setDecimals(1)
        rate.setSuffix(" fps")
        rate.valueChanged.connect(self.setPlaybackRateFps)
        self.__dict__.update(_loop=loop, _rate=rate)
        _row(self, *self._buttons, rate, loop)
        # these stay when others are set, as in the application
        self._shortcut("Ctrl+Shift+Down", self.onVcrPlayPause)
        self._shortcut("Ctrl+Shift+Left", self.onVcrPrevious)
        self._shortcut("Ctrl+Shift+Right", self.onVcrNext)

    def _shortcut(self, keys, slot):
        shortcut = qt.QShortcut(QtGui.QKeySequence(keys), self)
        shortcut.setContext(Qt.ShortcutContext.ApplicationShortcut)
        shortcut.activated.connect(slot)

    PlayPauseShortcut = _value(str, "play", "", lambda self, keys: self._shortcut(keys, self.onVcrPlayPause))
    PreviousFrameShortcut = _value(str, "previous", "", lambda self, keys: self._shortcut(keys, self.onVcrPrevious))
    NextFrameShortcut = _value(str, "next", "", lambda self, keys: self._shortcut(keys, self.onVcrNext))
    RecordingControlsVisible = _value(bool, "recording", True)

    def _update(self):
        browser = self._browser
        QtWidgets.QWidget.setEnabled(self, browser is not None)
        if browser is not None:
            for widget in (self._loop, self._rate):
                widget.blockSignals(True)
            self._loop.setChecked(browser.GetPlaybackLooped())
            self._rate.setValue(browser.GetPlaybackRateFps())
            for widget in (self._loop, self._rate):
                widget.blockSignals(False)

    def _do(self, action):
        if self.__dict__.get("_browser") is not None:
            action(self._browser)

    def onVcrFirst(self):
        self._do(lambda browser: browser.SelectFirstItem())

    def onVcrLast(self):
        self._do(lambda browser: browser.SelectLastItem())

    def onVcrNext(self):
        self._do(lambda browser: browser.SelectNextItem(1))

    def onVcrPrevious(self):
        self._do(lambda browser: browser.SelectNextItem(-1))

    def onVcrPlayPause(self):
        self._do(lambda browser: browser.SetPlaybackActive(not browser.GetPlaybackActive()))

    def setPlaybackRateFps(self, rate):
        self._do(lambda browser: browser.SetPlaybackRateFps(rate))

    def setPlaybackLoopEnabled(self, loop):
        self._do(lambda browser: browser.SetPlaybackLooped(loop))


class qMRMLTableView(QtWidgets.QTableWidget):
    """Shows the table as text."""

    def __init__(self, parent=None):
        super().__init__(parent)

    def setMRMLScene(self, scene):
        pass

    def setMRMLTableNode(self, node):
        table = node.GetTable() if node is not None else vtk.vtkTable()
        columns = range(table.GetNumberOfColumns())
        self.setColumnCount(len(columns))
        self.setRowCount(table.GetNumberOfRows())
        self.setHorizontalHeaderLabels([table.GetColumnName(c) for c in columns])
        for row in range(table.GetNumberOfRows()):
            for column in columns:
                value = table.GetValue(row, column)
                text = f"{value.ToDouble():.4g}" if value.IsNumeric() else value.ToString()
                self.setItem(row, column, QtWidgets.QTableWidgetItem(text))


def install(ctk) -> None:
    """Put the widgets where the application has them, wrapped."""
    for name, cls in list(globals().items()):
        if isinstance(cls, type) and cls.__module__ == __name__ and not name.startswith("_"):
            wrapped = wrap(cls, name)
            UiLoader.custom[name] = wrapped
            setattr(ctk if name.startswith("ctk") else slicer, name, wrapped)
