"""The parts of the module TemporalRegistration; only ``run`` and ``panel`` import qt."""
