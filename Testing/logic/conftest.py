"""Every test of the numerics draws the same numbers, whichever tests ran before it, and takes the time it takes."""

from __future__ import annotations

import hypothesis
import pytest
import torch

hypothesis.settings.register_profile("no clock", deadline=None)
hypothesis.settings.load_profile("no clock")


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)
