"""The section Export."""

from __future__ import annotations

from collections.abc import Callable

import slicer
import slicer.util

from ..i18n import _


class ExportPart:
    """``nodes`` gives the results to write; ``export`` writes them to a folder and returns where they are."""

    def __init__(self, ui, nodes: Callable[[], object], export: Callable[[object, str], object]) -> None:
        self._ui, self._nodes, self._export = ui, nodes, export
        ui.exportDirectoryButton.directory = slicer.app.defaultScenePath
        ui.exportButton.connect("clicked(bool)", self._onExportButton)

    def setResults(self, nodes: object | None) -> None:
        self._ui.exportCollapsibleButton.enabled = nodes is not None
        self._ui.exportLabel.text = ""

    def _onExportButton(self, _checked: bool = False) -> None:
        self._ui.exportLabel.text = ""
        with slicer.util.tryWithErrorDisplay(_("The results could not be written."), waitCursor=True):
            folder = self._export(self._nodes(), self._ui.exportDirectoryButton.directory)
            self._ui.exportLabel.text = _("Written to {folder}").format(folder=folder)
