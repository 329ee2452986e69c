"""Steps from frame to frame: they fit together, close a cycle, and are nearer to the truth than no motion at all."""

import numpy as np
import pytest
import torch

from DeepRegLogic import compensate, flow, register_cine, register_sequence
from DeepRegLogic.cine import Cine
from DeepRegLogic.errors import InputError
from DeepRegLogic.synthetic import cine_phantom


@pytest.fixture(scope="module")
def phantom():
    return cine_phantom(5, "short-axis", frames=8, size=64, spacing=2.4)


@pytest.fixture(scope="module")
def steps(phantom):
    return register_sequence(phantom.cine, reference=0, cyclic=True, device="cpu")


def field(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.array(values))[None]


def test_every_frame_is_followed_to_the_next_and_the_last_to_the_first(steps, phantom):
    assert [motion.provenance["step"] for motion in steps] == [[t, (t + 1) % 8] for t in range(8)]
    assert all(len(motion) == 2 and motion.reference == 0 for motion in steps)
    assert [motion.time_unit for motion in steps] == ["s"] * 7 + [""]  # how long the last step takes is not known
    assert np.diff(steps[2].times) == pytest.approx(np.diff(phantom.cine.times[2:4]))
    unlike = []
    for first, motion in enumerate(steps):
        assert motion.quality[1].folded == 0
        pair = phantom.cine.frames[[first, (first + 1) % 8]].astype(np.float32)
        unlike.append([np.abs(image - pair[0]).mean() for image in (pair[1], compensate(motion, pair)[1])])
    before, after = np.mean(unlike, axis=0)
    assert after < 0.8 * before


def test_steps_are_near_the_true_ones(steps, phantom):
    there, back = phantom.motion.displacement, phantom.motion.inverse
    errors, lengths = [], []
    for first, motion in enumerate(steps):
        truth = flow.compose(field(there[(first + 1) % 8]), field(back[first]))[0].numpy()
        inside = phantom.labels[first] > 0
        errors.append(np.linalg.norm(motion.displacement[1] - truth, axis=0)[inside].mean())
        lengths.append(np.linalg.norm(truth, axis=0)[inside].mean())
    assert np.mean(errors) < 0.6 * np.mean(lengths)


def test_chained_steps_are_the_motion_of_the_cine_and_close(steps, phantom):
    motion = register_cine(phantom.cine, reference=0, cyclic=True, device="cpu")
    chain = torch.zeros(1, 2, 64, 64)
    for t, step in enumerate(steps, start=1):
        chain = flow.compose(field(step.displacement[1]), chain)
        truth = field(motion.displacement[t % 8])
        assert (chain - truth).norm(dim=1)[:, 8:-8, 8:-8].mean() < 0.05
    assert chain.norm(dim=1)[:, 8:-8, 8:-8].mean() < 0.05


def test_the_inverse_goes_back_and_open_cines_have_a_step_less(phantom):
    cine = Cine(phantom.cine.frames[:4], phantom.cine.grid)
    steps = register_sequence(cine, model=None, cyclic=False, refine="standard", device="cpu")
    assert len(steps) == 3
    for step in steps:
        trip = flow.compose(field(step.inverse[1]), field(step.displacement[1]))
        assert trip.norm(dim=1)[:, 6:-6, 6:-6].mean() < 0.05
    with pytest.raises(InputError, match="one frame"):
        register_sequence(Cine(phantom.cine.frames[:1], phantom.cine.grid))
