"""The package's own errors. Each carries one sentence: what was wrong, with which frame or file, what to do."""

from __future__ import annotations


class RegistrationError(Exception):
    """Base of every error that this package raises on purpose; its text is fit to be shown to a user."""


class InputError(RegistrationError, ValueError):
    """An image, a geometry or an argument cannot be used."""


class ModelError(RegistrationError):
    """A model is unknown, or its card or weights are missing, damaged or of the wrong kind."""


class OutputError(RegistrationError, OSError):
    """A result could not be written."""


class MemoryBudgetError(RegistrationError, MemoryError):
    """The work asked for needs more memory than it may use."""


class Cancelled(RegistrationError):
    """The caller asked for the work to stop; nothing was written."""
