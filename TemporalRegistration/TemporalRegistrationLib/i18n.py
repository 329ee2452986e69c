"""The application's translation of texts; without the application they stay as they are.

from .i18n import _
"""

try:
    from slicer.i18n import tr as _
except ModuleNotFoundError:

    def _(text: str) -> str:
        return text


__all__ = ["_"]
