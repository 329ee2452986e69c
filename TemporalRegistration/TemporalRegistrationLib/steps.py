"""Work in small steps: a generator yields (fraction, text) after each and returns its result.

The same work runs at a stretch in a script, and a step at a time in the application, which stays alive in between.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeAlias, TypeVar

from DeepRegLogic.progress import Reporter

Result = TypeVar("Result")
Steps: TypeAlias = Generator[tuple[float, str], None, Result]


def runSteps(steps: Steps[Result], reporter: Reporter) -> Result:
    """Do all steps at a stretch. Raises what they raise, and Cancelled between two of them."""
    try:
        while True:
            reporter(*next(steps))
    except StopIteration as end:
        return end.value
    finally:
        steps.close()
