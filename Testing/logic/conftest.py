"""Every test of the numerics draws the same numbers, whichever tests ran before it."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)
