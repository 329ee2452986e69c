"""Golden numbers: fields of fixed inputs; those without a refinement as measured before the code was put into rooms.

A change of these numbers is a change of results, whatever it was meant to be.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from DeepRegLogic import Cine, Grid, Refinement, generate_cine, register_cine, register_pair
from DeepRegLogic.synthetic import cine_phantom, lemniscate_sequence


def first_settings(frames: int, **changes: Any) -> Refinement:
    """The refinement of a cine of so many frames with the weights of the first release.

    Then the similarity had the weight 1, smoothness was the weight of the regulariser, and time was counted in frames:
    now 15 and 3 are the usual weights of the similarity and of diffusion, and the whole cine is the unit of time. The
    refined fields are of the time when a level began to end at its lowest energy, and components to count in lengths.
    """
    first = Refinement(
        "lncc",
        window=9,
        smoothness=0.2 * 15 / 3,
        temporal=0.005 * 15 / (frames / 20) ** 4,
        sigma=1.5,
        sigma_time=1.0 / frames,
        levels=((4.0, 30), (2.0, 30)),
        step=0.3,
        tolerance=5e-4,
        regulariser="diffusion",
    )
    return replace(first, **changes)


@pytest.fixture(scope="module")
def beat() -> Cine:
    return cine_phantom(5, size=72, spacing=2.4, frames=7).cine


@pytest.fixture(scope="module")
def four() -> Cine:
    return cine_phantom(3, view="four-chamber", size=64, spacing=2.6, frames=6).cine


def agrees(displacement: np.ndarray, mean: float, middle: tuple[float, ...]) -> None:
    """The mean length of the components, and the displacement at the middle of the middle frame, in voxels."""
    centre = tuple(n // 2 for n in displacement.shape[2:])
    assert float(np.abs(displacement).mean()) == pytest.approx(mean, rel=2e-4)
    np.testing.assert_allclose(displacement[(len(displacement) // 2, slice(None), *centre)], middle, atol=2e-3)


@pytest.mark.parametrize(
    ("model", "mean", "middle"),
    [
        ("tlrn-cardiac", 0.3440475, (-0.8963674, 0.8234456)),
        ("dragnet-cardiac", 0.3072973, (-0.9395490, 0.7008036)),
        ("voxelmorph-cardiac", 0.3583803, (-1.5366731, 1.8623602)),
        ("voxelmorph-probabilistic", 0.3685266, (-1.4185100, 1.4699411)),
    ],
)
def test_networks_alone(beat, model, mean, middle):
    agrees(register_cine(beat, model, refine=False, device="cpu").displacement, mean, middle)


@pytest.mark.parametrize(
    ("model", "mean", "middle"),
    [
        ("tlrn-cardiac", 0.1636000, (-0.5778390, 0.6049500)),
        ("dragnet-cardiac", 0.1558841, (-0.5164700, 0.5571630)),
        ("voxelmorph-cardiac", 0.1625042, (-0.5808096, 0.5887927)),
        ("voxelmorph-probabilistic", 0.1589147, (-0.5566664, 0.6052094)),
    ],
)
def test_refined_in_both_directions_of_time(four, model, mean, middle):
    open_end = Cine(four.frames[:4], four.grid, four.times[:4], name="open")
    motion = register_cine(open_end, model, reference=1, refine=first_settings(4), device="cpu")
    agrees(motion.displacement, mean, middle)


@pytest.mark.parametrize(
    ("model", "mean", "middle"),
    [
        ("tlrn-lemniscate", 1.2384564, (-1.8801699, 0.6650662)),
        ("tlrn-shared-lemniscate", 1.3189408, (-1.8301146, 0.4277120)),
        ("voxelmorph-lemniscate", 1.2287424, (-3.2903686, 0.1908882)),
    ],
)
def test_lemniscates(model, mean, middle):
    cine = Cine(lemniscate_sequence(7), Grid.of_array((64, 64)), name="lem")
    motion = register_cine(cine, model, reference=0, refine=False, cyclic=False, device="cpu")
    agrees(motion.displacement, mean, middle)


def test_refinement_from_zero_by_squared_differences(four):
    open_end = Cine(four.frames[:4], four.grid, four.times[:4], name="open")
    settings = first_settings(4, similarity="mse", levels=((4.0, 30), (1.0, 10)))
    motion = register_cine(open_end, None, refine=settings, device="cpu")
    agrees(motion.displacement, 0.3457586, (-1.7955298, 0.9353049))


def test_a_region_of_interest(beat):
    motion = register_cine(beat, roi=((10, 14), (58, 60)), refine=first_settings(7), device="cpu")
    agrees(motion.displacement, 0.2121506, (-1.1963555, 0.6804812))


def test_a_stack_through_a_network_of_slices():
    slices = [cine_phantom(s, size=48, spacing=3.6, frames=5).cine.frames for s in (1, 2, 3, 4)]
    stack = Cine(np.stack(slices, axis=1), Grid((48, 48, 4), (3.6, 3.6, 8.0)), np.arange(5) * 0.1, name="stack")
    plain = register_cine(stack, refine=False, device="cpu")
    agrees(plain.displacement, 0.1210051, (0.0, -0.0991846, -0.3733075))
    refined = register_cine(stack, refine=first_settings(5), device="cpu")
    agrees(refined.displacement, 0.1351559, (0.0788332, 0.5142606, 0.8973885))


def test_a_pair_of_different_grids(beat, four):
    fixed = Cine(beat.frames[:1], beat.grid, name="a")
    moving = Cine(four.frames[2:3], Grid((64, 64, 1), (2.7, 2.7, 1.0), (3.0, 1.0, 0.0)), name="b")
    motion = register_pair(fixed, moving, refine=False, device="cpu")
    agrees(motion.displacement, 0.7082554, (-1.5250208, -1.2565628))


def test_new_cines():
    image = cine_phantom(9, size=64, spacing=2.4).cine.frames[:1]
    frame = Cine(image, Grid.of_array((64, 64), (2.4, 2.4)), name="f")
    samples = generate_cine(frame, 6, 3, seed=3, device="cpu")
    for sample, mean in zip(samples, (0.1737961, 0.0742217, 0.1736677), strict=True):
        assert float(np.abs(sample.motion.displacement).mean()) == pytest.approx(mean, rel=1e-3)
