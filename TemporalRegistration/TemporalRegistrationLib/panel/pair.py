"""The options of the tab Pair: alignment, masks, labels, the way, and the regularity where a model can choose."""

from __future__ import annotations

from collections.abc import Callable

from ..kinds import kindOf
from ..nodes.volumes import gridOfVolume
from .part import Part


class PairPart(Part):
    """All but the regularity are bound to the parameter node by their names.

    ``rerun`` registers again; where the results of single slices are there, a new regularity is seen at once. ``fit``
    gives the open tab the height that it needs.
    """

    def __init__(self, ui, settings, rerun: Callable[[], None], fit: Callable[[], None]) -> None:
        super().__init__(ui, settings)
        self._rerun, self._fit = rerun, fit
        ui.pairOptionsCollapsibleButton.connect("contentsCollapsed(bool)", self._onCollapsed)
        ui.regularitySlider.connect("valueChanged(double)", self._onRegularity)

    def _show(self, settings) -> None:
        kind, slider = kindOf(settings), self._ui.regularitySlider
        slider.value = settings.regularity
        slider.enabled = kind.name == "pair" and kind.canChooseRegularity(settings)

    def _onCollapsed(self, _collapsed: bool) -> None:
        self._fit()

    def _onRegularity(self, value: float) -> None:
        settings = self._toStore
        if settings and settings.regularity != value:
            settings.regularity = value
            kind = kindOf(settings)
            hasResults = kind.name == "pair" and kind.nodesOf(settings) is not None and not kind.whyNot(settings)
            if hasResults and gridOfVolume(settings.fixedVolume).ndim == 2:
                self._rerun()
