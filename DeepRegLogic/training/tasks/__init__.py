"""Training tasks by name, one file a kind: what a network's ``training_task`` asks for."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, TypeVar

from ...registry import Registry

if TYPE_CHECKING:
    from .registration import RegistrationTask

TASKS: Registry[type[RegistrationTask]] = Registry("training task")

_Class = TypeVar("_Class", bound="type[RegistrationTask]")


def task(name: str) -> Callable[[_Class], _Class]:
    """Add a class, made of a network and a ``Configuration``, to ``TASKS``."""

    def add(kind: _Class) -> _Class:
        TASKS.add(name, kind)
        return kind

    return add


for _file in iter_modules(__path__):
    import_module(f".{_file.name}", __name__)
