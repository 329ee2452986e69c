"""Moving images and the scene they are put into."""

from __future__ import annotations

import pytest
from moving_block import moving_block

from DeepRegLogic import Cine, Motion


@pytest.fixture(scope="session")
def block3d() -> tuple[Cine, Motion]:
    """Four frames of 24 x 20 x 10 voxels; frame 1 is the reference."""
    return moving_block((24, 20, 10))


@pytest.fixture(scope="session")
def slice2d() -> tuple[Cine, Motion]:
    """Four frames of one slice of 32 x 28 pixels; frame 1 is the reference."""
    return moving_block((32, 28, 1))


@pytest.fixture(params=["block3d", "slice2d"])
def moving(request) -> tuple[Cine, Motion]:
    """The block and the slice in turn."""
    return request.getfixturevalue(request.param)
