"""New cines from one frame: what is asked for is what comes, and it comes again from its seed."""

import numpy as np
import pytest
import torch
from made_models import card_of

from DeepRegLogic import flow, zoo
from DeepRegLogic.cine import Cine
from DeepRegLogic.errors import InputError
from DeepRegLogic.grid import Grid
from DeepRegLogic.networks import build
from DeepRegLogic.registration.generate import generate_cine
from DeepRegLogic.synthetic import cine_phantom


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Untrained networks of both forms, which move a little."""
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    for name, key in (("flow", "dragnet-flow"), ("published", "dragnet"), ("other", "voxelmorph")):
        network = build(key)
        if name == "flow":
            network.head.mean.weight.data.mul_(300)
        zoo.save_model(folder / name, network, card_of(name, key))
    return folder


@pytest.fixture(scope="module")
def phantom():
    return cine_phantom(7, "short-axis", frames=4, size=64, spacing=2.0)


@pytest.fixture(scope="module")
def frame(phantom):
    return Cine(phantom.cine.frames[:1], phantom.cine.grid, name="patient")


@pytest.mark.parametrize("model", ["flow", "published"])
def test_samples_are_whole_cines_with_their_motion_and_labels(models, frame, phantom, model):
    labels = phantom.labels[0]
    samples = generate_cine(frame, 5, 2, seed=1, model=models / model, labels=labels, device="cpu")
    assert len(samples) == 2
    for sample in samples:
        assert sample.cine.frames.shape == sample.labels.shape == (5, 64, 64)
        assert sample.cine.frames.dtype == frame.frames.dtype
        np.testing.assert_array_equal(sample.cine.frames[0], frame.frames[0])
        np.testing.assert_array_equal(sample.labels[0], labels)
        assert sample.motion.reference == 0
        assert not sample.motion.displacement[0].any()
        assert np.abs(sample.motion.inverse[4]).max() > 0.02
    assert np.abs(samples[0].motion.inverse - samples[1].motion.inverse).max() > 1e-4


def test_a_seed_gives_the_same_cines_again(models, frame):
    first, again, other = (
        generate_cine(frame, 4, 2, seed=seed, model=models / "flow", device="cpu") for seed in (3, 3, 4)
    )
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a.motion.displacement, b.motion.displacement)
        np.testing.assert_array_equal(a.cine.frames, b.cine.frames)
    assert np.abs(first[0].motion.displacement - other[0].motion.displacement).max() > 1e-4


def test_further_real_frames_start_the_cine(models, frame, phantom):
    beginning = Cine(phantom.cine.frames[:3], phantom.cine.grid)
    one = generate_cine(beginning, 5, 2, seed=1, model=models / "flow", device="cpu")
    # while frames are observed the motion is not drawn
    np.testing.assert_array_equal(one[0].motion.displacement[2], one[1].motion.displacement[2])
    assert np.abs(one[0].motion.displacement[4] - one[1].motion.displacement[4]).max() > 1e-5


def test_resampling_once_is_sharper_than_step_by_step(models, frame):
    once, repeated = (
        generate_cine(frame, 6, 1, seed=2, model=models / "flow", resample=way, device="cpu")[0]
        for way in ("once", "repeated")
    )
    np.testing.assert_array_equal(once.motion.displacement, repeated.motion.displacement)
    roughness = [np.abs(np.diff(s.cine.frames[-1].astype(float), axis=0)).mean() for s in (once, repeated)]
    assert roughness[1] < roughness[0]


@pytest.mark.parametrize("model", ["flow", "published"])
def test_frames_may_be_drawn_one_by_one_with_their_motion(models, frame, model):
    shared, alone, again = (
        generate_cine(frame, 5, 2, seed=2, model=models / model, noise=noise, device="cpu")
        for noise in ("shared", "independent", "independent")
    )
    assert [sample.motion.provenance["noise"] for sample in alone] == ["independent"] * 2
    np.testing.assert_array_equal(alone[1].motion.inverse, again[1].motion.inverse)

    def tremor(samples):
        """How far the motion leaves a straight line in time, and how rough it is in the plane."""
        fields = np.stack([sample.motion.inverse[1:] for sample in samples])
        return np.abs(np.diff(fields, 2, axis=1)).mean(), np.abs(np.diff(fields, axis=-1)).mean()

    assert all(np.greater(tremor(alone), 1.5 * np.array(tremor(shared))))
    for sample in alone:
        there = torch.from_numpy(np.array(sample.motion.displacement))
        assert not flow.folding(there).any()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"noise": "loud"}, 'noise is "shared" or "independent", not \'loud\''),
        ({"n_samples": 0}, "number of samples must be a whole number of 1 or more, not 0"),
        ({"seed": -1}, "seed must be a whole number of 0 or more, not -1"),
        ({"n_frames": 1}, "number of frames must be"),
        ({"n_samples": 1.5}, "number of samples"),
        ({"labels": np.zeros((3, 3), int)}, "label map has shape"),
        ({"resample": "never"}, "once"),
    ],
)
def test_what_cannot_be_made_is_told_in_a_sentence(models, frame, options, sentence):
    with pytest.raises(InputError, match=sentence):
        generate_cine(frame, **{"n_frames": 4, "model": models / "flow", "device": "cpu", **options})


def test_images_that_cannot_move_are_refused(models, frame, phantom):
    with pytest.raises(InputError, match="constant"):
        generate_cine(Cine(np.zeros((1, 64, 64)), frame.grid), model=models / "flow", device="cpu")
    volume = Cine(np.zeros((1, 4, 32, 32)), Grid.of_array((4, 32, 32), (8, 2, 2)))
    with pytest.raises(InputError, match="volume"):
        generate_cine(volume, model=models / "flow", device="cpu")
    with pytest.raises(InputError, match="too small"):
        generate_cine(Cine(np.eye(8)[None], Grid.of_array((8, 8), (2, 2))), model=models / "flow", device="cpu")
    with pytest.raises(InputError, match="ask for more"):
        generate_cine(phantom.cine, n_frames=4, model=models / "flow", device="cpu")
    with pytest.raises(InputError, match="cannot generate"):
        generate_cine(frame, model=models / "other", device="cpu")
