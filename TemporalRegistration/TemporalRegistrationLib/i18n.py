"""The application's translation of texts; without the application they stay as they are.

    from .i18n import _

``translated`` finds the template that a finished sentence of the numerics was made from, and fills in its translation.
"""

from __future__ import annotations

import re
from functools import lru_cache

from .sentences import templates

try:
    from slicer.i18n import tr as _
except ModuleNotFoundError:

    def _(text: str) -> str:
        return text


__all__ = ["_", "translated"]


@lru_cache(maxsize=1)
def _patterns() -> list[tuple[re.Pattern, str]]:
    """What sentences of translated templates look like, and the translation; the most telling ones first."""
    found = []
    for template, translation in zip(templates(str), templates(_), strict=True):
        if translation != template:
            parts = re.split(r"\{(\w+)\}", template)
            pattern = "".join(
                f"(?P<{part}>.+?)" if number % 2 else re.escape(part.replace("{{", "{").replace("}}", "}"))
                for number, part in enumerate(parts)
            )
            found.append((len("".join(parts[::2])), re.compile(pattern, re.DOTALL), translation))
    return [(pattern, translation) for _length, pattern, translation in sorted(found, key=lambda item: -item[0])]


def translated(text: str) -> str:
    """A sentence of the numerics in the user's language, as far as it was translated."""
    for pattern, translation in _patterns():
        match = pattern.fullmatch(text)
        if match:
            return translation.format(**{name: translated(value) for name, value in match.groupdict().items()})
    return text
