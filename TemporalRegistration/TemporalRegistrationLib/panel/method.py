"""The section Method: the model, the quality, where to compute, and the advanced options."""

from __future__ import annotations

from DeepRegLogic.registration.presets import PRESETS
from DeepRegLogic.regularisers import REGULARISERS
from DeepRegLogic.similarities import SIMILARITIES

from ..i18n import _
from ..kinds import kindOf, models
from ..run import environment, worker
from .part import Part


class MethodPart(Part):
    """``choose`` is called with the parameter node that the user chose in the list of settings."""

    def __init__(self, ui, settings, choose) -> None:
        super().__init__(ui, settings)
        self._models = models()
        self._choose = choose
        items = {
            "model": [(title, name) for name, (title, _summary) in self._models.items()],
            "quality": [(_(preset.title), name) for name, preset in PRESETS.items()],
            "device": [(_("Automatic"), "auto"), (_("CPU"), "cpu")],
            "similarity": [(_(entry.title), name) for name, entry in SIMILARITIES.items()],
            "regulariser": [(_(entry.title), name) for name, entry in REGULARISERS.items()],
        }
        self._boxes = {name: getattr(ui, f"{name}ComboBox") for name in items}
        for name, box in self._boxes.items():
            for title, value in items[name]:
                box.addItem(title, value)
            box.connect("currentIndexChanged(int)", self._onChoice)
        ui.pythonPathLineEdit.currentPath = environment.ownPython()
        ui.pythonPathLineEdit.connect("currentPathChanged(QString)", self._onPythonPath)
        ui.settingsSelector.addAttribute("vtkMRMLScriptedModuleNode", "ModuleName", "TemporalRegistration")
        ui.settingsSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._onSettings)
        worker.shared().onReady = self.listDevices

    def close(self) -> None:
        worker.shared().onReady = None

    def listDevices(self) -> None:
        """Offer the graphics cards that the worker found, by their names."""
        box = self._boxes["device"]
        for device in worker.shared().devices:
            index = box.findData(device["name"])
            if index < 0:
                box.addItem(device["title"], device["name"])
            else:
                box.setItemText(index, device["title"])

    def _setting(self, name: str, settings) -> str:
        """The name of the parameter that a list stands for."""
        return kindOf(settings).modelSetting if name == "model" else name

    def _show(self, settings) -> None:
        for name, box in self._boxes.items():
            value = getattr(settings, self._setting(name, settings))
            if box.findData(value) < 0:  # of a scene from another computer
                box.addItem(_("{name} (not installed)").format(name=value), value)
            box.setCurrentIndex(box.findData(value))
        _title, summary = self._models.get(getattr(settings, kindOf(settings).modelSetting), ("", ""))
        self._ui.modelSummaryLabel.text = summary
        for widget in (self._ui.qualityComboBox, self._ui.findUncertaintyCheckBox):
            widget.enabled = kindOf(settings).usesQuality
        self._ui.settingsSelector.setCurrentNode(settings.parameterNode)

    def _onChoice(self, _index: int) -> None:
        settings = self._toStore
        if settings:
            values = {self._setting(name, settings): box.currentData for name, box in self._boxes.items()}
            for name, value in values.items():
                if getattr(settings, name) != value:
                    setattr(settings, name, value)

    def _onSettings(self, node) -> None:
        if not self._showing:
            self._choose(node)

    def _onPythonPath(self, path: str) -> None:
        """Remember the Python environment to compute in."""
        environment.setOwnPython(path)
