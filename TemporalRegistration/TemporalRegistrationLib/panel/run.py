"""The button that runs and cancels, and how far the run is."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

import slicer.util

from DeepRegLogic.errors import RegistrationError

from ..i18n import _
from ..kinds import kindOf
from ..run import environment
from ..run.job import Job, State
from .part import Part


class RunPart(Part):
    """``onEnded`` is called with every job that has ended; ``requirements`` is the file of the packages needed."""

    def __init__(self, ui, settings, logic, requirements: str, onEnded: Callable[[Job], None]) -> None:
        super().__init__(ui, settings)
        self._logic, self._requirements, self._onEnded = logic, requirements, onEnded
        self.job: Job | None = None
        self._after = onEnded
        self._message = ""
        ui.applyButton.connect("clicked(bool)", self._onApplyButton)
        ui.pythonPathLineEdit.connect("currentPathChanged(QString)", self._tell)

    def abandon(self) -> None:
        """Stop what runs and do not listen to it any more; what was told of former runs is over, too."""
        job, self.job = self.job, None
        self._message = ""
        if job is not None:
            job.onChanged = None
            job.cancel()

    def start(self, make: Callable[[], Job], onEnded: Callable[[Job], None]) -> None:
        """Start the job that ``make`` makes; ``onEnded`` is called with it. It is refused while another runs."""
        if self.job is not None:
            self.tell(_("Something is being computed; wait for it, or cancel it, and try again."))
            return
        with slicer.util.tryWithErrorDisplay(_("It could not be started.")):
            if not environment.ownPython():
                environment.ensurePackages(self._requirements)
            self._message, self._after = "", onEnded
            self.job = make()
            self.job.onChanged = self._onChanged
            try:
                self.job.start()
            except RegistrationError as error:
                self.job, self._message = None, str(error)
            self.refresh()

    def tell(self, text: str) -> None:
        """Show a sentence below the button."""
        self._message = text
        self._tell()

    def _show(self, settings) -> None:
        """The button says what it will do, or what is missing."""
        ui, running = self._ui, self.job is not None
        kind = kindOf(settings)
        reason = kind.whyNot(settings)
        cancelling = running and self.job.isCancelling
        cancel = _("Cancelling") if cancelling else _("Cancel")
        ui.applyButton.text = cancel if running else reason or kind.offer(settings)
        ui.applyButton.toolTip = (
            _("Stop; the scene stays as it was") if running else reason or kind.offer(settings, None)
        )
        ui.applyButton.enabled = not cancelling if running else not reason
        busy = _("Something is being computed; wait for it, or cancel it") if running else ""
        for widget in (ui.taskTabWidget, ui.methodCollapsibleButton):
            widget.enabled, widget.toolTip = not running, busy
        ui.sliceButton.visible = not running and not reason and kind.canSlice(settings)
        ui.progressBar.visible = running
        self._tell()
        if not reason and not running:
            self._logic.warmUp()

    def _tell(self, _path: str = "") -> None:
        """How the last run ended, or before the first what it takes."""
        self._ui.statusLabel.text = self._message or environment.advice()

    def follow(self) -> None:
        """Do what the parameter node says."""
        self.start(lambda: self._logic.job(self._settings()), self._onEnded)

    def _onApplyButton(self, _checked: bool = False) -> None:
        """Start the registration, or stop what runs."""
        if self.job is None:
            self.follow()
        else:
            self.job.cancel()
            self.refresh()

    def _onChanged(self, job: Job) -> None:
        if job.isActive:
            left, text = job.secondsLeft(), job.text
            if left is not None:
                text = _("{text} ({seconds} s left)").format(text=text, seconds=ceil(left))
            self._ui.progressBar.value = round(1000 * job.fraction)
            self._ui.statusLabel.text = self._message = text
            return
        self.job = None
        self._message = _("Done") if job.state is State.DONE else job.text
        self._ui.progressBar.value = 0
        self.refresh()
        self._after(job)
