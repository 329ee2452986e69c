"""What the parts of the panel have in common."""

from __future__ import annotations

from collections.abc import Callable


class Part:
    """Some widgets of the panel: they show what the parameter node says, and store in it what the user chooses.

    ``settings`` gives the parameter node that is shown, or None while there is none.
    """

    def __init__(self, ui, settings: Callable[[], object]) -> None:
        self._ui, self._settings, self._showing = ui, settings, False

    def refresh(self) -> None:
        """Show what the parameter node says."""
        settings = self._settings()
        if settings is not None and not self._showing:
            self._showing = True
            try:
                self._show(settings)
            finally:
                self._showing = False

    def _show(self, settings) -> None:
        raise NotImplementedError

    @property
    def _toStore(self):
        """The parameter node to store a user's choice in; None where a widget was only made to show it."""
        return None if self._showing else self._settings()
