"""Work in small steps: a generator yields (fraction, text) after each and returns its result.

The same work runs at a stretch in a script, and a step at a time in the application, which stays alive in between.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Protocol, TypeAlias, TypeVar

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


class Task(Protocol):
    """What a job does. Nodes are read in ``prepare`` and added in the last step of ``finish``, and nowhere else."""

    def prepare(self, folder: Path) -> Steps[dict]:
        """Write the arrays into ``folder``; the call and its arguments."""

    def finish(self, folder: Path, result: dict) -> Steps[object]:
        """Make nodes of the result, whose arrays are in ``folder``."""

    def inputsAreThere(self) -> bool:
        """Whether the nodes that are registered are still in the scene."""
