"""The buttons that bring a cine into the scene: from files, from a DICOM folder, and the sample."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import qt
import slicer
import slicer.util

from .. import sample
from ..i18n import _, translated
from ..load import Loaded, LoadTask
from ..nodes.sequences import browserOf
from ..run.job import Job, State

_FOLDER = "TemporalRegistration/Folder"


def askFolder() -> str:
    """A folder that the user chooses, or ""."""
    return str(qt.QFileDialog.getExistingDirectory(None, _("Folder of a DICOM study or series"), _lastFolder()) or "")


def askFiles() -> list[str]:
    """Files that the user chooses."""
    title = _("File of a cine, or its pictures in the order of time")
    return [str(path) for path in qt.QFileDialog.getOpenFileNames(None, title, _lastFolder()) or ()]


def _lastFolder() -> str:
    return str(slicer.app.settings().value(_FOLDER) or "")


class LoadPart:
    """``start`` runs a task and calls back with its job; ``tell`` shows a sentence; ``choose`` takes the cine."""

    def __init__(self, ui, start: Callable, tell: Callable[[str], None], choose: Callable[[object], None]) -> None:
        self._ui, self._start, self._tell, self._choose = ui, start, tell, choose
        self._paths: tuple[str, ...] = ()
        ui.loadButton.connect("clicked(bool)", self._onFiles)
        ui.loadFolderButton.connect("clicked(bool)", self._onFolder)
        ui.sampleButton.connect("clicked(bool)", self._onSample)
        ui.seriesComboBox.connect("currentIndexChanged(int)", self._onSeries)
        self._offer(())

    def load(self, paths: Sequence[str], series: str | None = None) -> None:
        """Read what is there, in the background."""
        if not paths:
            return
        self._paths = tuple(paths)
        slicer.app.settings().setValue(_FOLDER, qt.QFileInfo(self._paths[0]).absolutePath())
        self._start(LoadTask(self._paths, series), self._onLoaded)

    def _onFiles(self, _checked: bool = False) -> None:
        self.load(askFiles())

    def _onFolder(self, _checked: bool = False) -> None:
        folder = askFolder()
        self.load([folder] if folder else [])

    def _onSeries(self, index: int) -> None:
        uid = self._ui.seriesComboBox.itemData(index)
        if uid:
            self.load(self._paths, uid)

    def _onLoaded(self, job: Job) -> None:
        if job.state is not State.DONE:
            return
        found: Loaded = job.result
        if found.sequenceNode is None:
            self._offer(found.series)
            self._tell(_("The folder holds {count} series; choose one.").format(count=len(found.series)))
            return
        self._choose(found.sequenceNode)
        count = found.sequenceNode.GetNumberOfDataNodes()
        parts = [_("Loaded '{name}', {count} frames.").format(name=found.sequenceNode.GetName(), count=count)]
        self._tell(" ".join([*parts, *map(translated, found.notes)]))

    def _offer(self, series: Sequence[tuple[str, str]]) -> None:
        """List series to choose from."""
        box = self._ui.seriesComboBox
        box.blockSignals(True)
        box.clear()
        if series:
            box.addItem(_("Choose one of {count} series").format(count=len(series)), "")
        for uid, title in series:
            box.addItem(title, uid)
        box.blockSignals(False)
        box.visible = bool(series)

    def _onSample(self, _checked: bool = False) -> None:
        with slicer.util.tryWithErrorDisplay(_("The sample could not be loaded."), waitCursor=True):
            sequenceNode = sample.loadSample()
            browserOf(sequenceNode)
            self._choose(sequenceNode)
