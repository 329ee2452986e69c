import json
from functools import lru_cache

import numpy as np
import pytest
import torch
from made_fields import rereference

from DeepRegLogic import flow
from DeepRegLogic.errors import InputError
from DeepRegLogic.results import resample
from DeepRegLogic.synthetic import cine_phantom, phantom_arrays
from DeepRegLogic.synthetic.heart_motion import cardiac_curve, contraction_maps, slide_maps

VIEWS = ["short-axis", "four-chamber"]


@lru_cache
def phantom(seed, view):
    return cine_phantom(seed, view)


def dice(a, b):
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


@pytest.mark.parametrize("view", VIEWS)
def test_a_phantom_is_one_heart_beat_with_its_motion_and_labels(view):
    p = phantom(1, view)
    assert p.cine.frames.shape == (20, 128, 128)
    assert p.cine.frames.dtype == np.int16
    assert p.cine.grid.array_spacing == (1.8, 1.8)
    assert p.cine.time_unit == "s"
    assert p.cine.times[0] == 0
    assert 0.5 < p.cine.times[-1] < 1.1
    assert p.motion.reference == 0
    assert p.motion.cyclic
    assert p.motion.grid == p.cine.grid
    assert p.labels.shape == (20, 128, 128)
    assert p.labels.dtype == np.uint8
    assert set(np.unique(p.labels)) == {0, *p.label_names}
    assert p.label_names[1] == "LV blood"
    assert p.heart.shape == (128, 128)
    assert p.heart[p.labels[0] > 0].mean() > 0.99
    json.dumps(dict(p.provenance))


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("seed", range(4))
def test_the_motion_is_one_to_one_and_its_inverse_is_its_inverse(seed, view):
    arrays = phantom_arrays(seed, view)
    assert not arrays.displacement[0].any()
    assert not arrays.inverse[0].any()
    assert not flow.folding(arrays.displacement).any()
    assert not flow.folding(arrays.inverse).any()
    # what is left is the linear interpolation of the field on the pixels
    for a, b in ((arrays.displacement, arrays.inverse), (arrays.inverse, arrays.displacement)):
        error = flow.compose(a, b).norm(dim=1)[:, 4:-4, 4:-4]
        assert float(error.mean()) < 0.005
        assert float(error.flatten().kthvalue(int(0.999 * error.numel())).values) < 0.05
        assert float(error.max()) < 0.12


@pytest.mark.parametrize("view", VIEWS)
def test_the_true_motion_explains_the_frames(view):
    p = phantom(2, view)
    frames = p.cine.frames.astype(np.float32)
    still = resample.compensate(p.motion, frames)
    before = np.sqrt(np.mean((frames[7] - frames[0])[p.heart] ** 2))
    after = np.sqrt(np.mean((still[7] - frames[0])[p.heart] ** 2))
    assert after < 0.5 * before


@pytest.mark.parametrize("view", VIEWS)
def test_propagated_labels_are_the_labels_of_each_frame(view):
    p = phantom(2, view)
    carried = resample.propagate(p.motion, p.labels[0], nearest=True)
    for label in p.label_names:
        for t in (4, 8, 13):
            assert dice(carried[t] == label, p.labels[t] == label) > 0.93


@pytest.mark.parametrize("view", VIEWS)
def test_the_ventricle_contracts_in_systole_and_the_wall_thickens(view):
    p = phantom(4, view)
    blood = (p.labels == 1).sum(axis=(1, 2))
    wall = (p.labels == 2).sum(axis=(1, 2))
    end_systole = int(blood.argmin())
    assert 5 <= end_systole <= 10
    assert blood[0] >= 0.97 * blood.max()
    assert blood[end_systole] < 0.75 * blood[0]
    # the wall shortens along its axis, so its area in the slice grows, or stays where both are in the plane
    assert 0.85 * wall[0] < wall[end_systole] < 1.35 * wall[0]
    lengths = np.linalg.norm(p.motion.displacement, axis=1)[:, p.heart].mean(axis=1)
    assert lengths[-1] < 0.35 * lengths[end_systole]


def test_the_subjects_reach_from_heart_failure_to_strong_contraction():
    facts = [phantom_arrays(seed, size=64, spacing=3.0, frames=8).facts for seed in range(40)]
    shortening = 1 - np.sqrt(1 - np.array([f["area_ejection_fraction"] for f in facts]))
    assert shortening.min() < 0.12
    assert shortening.max() > 0.38
    assert {f["kind"] for f in facts} == {"healthy", "diseased"}
    ejection = [f["ejection_fraction"] for f in facts]
    assert 0.2 <= min(ejection) < 0.3
    assert 0.6 < max(ejection) <= 0.7


@pytest.mark.parametrize("view", VIEWS)
def test_the_mean_motion_of_the_heart_is_that_of_real_cines(view):
    means = []
    for seed in range(24):
        arrays = phantom_arrays(seed, view, size=80, spacing=2.8, frames=10)
        means.append(float(arrays.displacement.norm(dim=1)[:, arrays.heart].mean()) * 2.8)
    assert np.mean(means) == pytest.approx(2.6, abs=0.4)


@pytest.mark.parametrize("view", VIEWS)
def test_a_seed_gives_the_same_subject_and_another_seed_another(view):
    first, again, other = (phantom_arrays(seed, view, frames=3, size=64) for seed in (6, 6, 7))
    assert torch.equal(first.frames, again.frames)
    assert torch.equal(first.displacement, again.displacement)
    assert (first.frames - other.frames).abs().mean() > 0.05


def test_training_arrays_are_plain_tensors_in_the_unit_range():
    arrays = phantom_arrays(0, frames=4)
    assert arrays.frames.dtype == torch.float32
    assert arrays.frames.min() >= 0
    assert arrays.frames.max() <= 1
    assert not arrays.frames.is_inference()
    assert arrays.labels.dtype == torch.uint8
    assert arrays.heart.dtype == torch.bool


@pytest.mark.parametrize(("size", "frames", "spacing"), [(32, 2, 3.0), (45, 5, 4.0), (200, 3, 1.2)])
@pytest.mark.parametrize("view", VIEWS)
def test_any_size_number_of_frames_and_spacing(view, size, frames, spacing):
    arrays = phantom_arrays(9, view, frames, size, spacing)
    assert arrays.frames.shape == (frames, size, size)
    assert arrays.displacement.shape == (frames, 2, size, size)
    assert torch.isfinite(arrays.frames).all()
    assert not flow.folding(arrays.displacement).any()


def test_a_motion_seen_from_another_frame():
    motion = phantom(3, "short-axis").motion
    other = rereference(motion, 7)
    assert other.reference == 7
    assert not other.displacement[7].any()
    assert not other.inverse[7].any()
    # frame 0 seen from frame 7 is the way back
    assert np.abs(other.displacement[0] - motion.inverse[7]).max() < 1e-5
    assert np.abs(other.inverse[0] - motion.displacement[7]).max() < 1e-5
    back = rereference(other, 0)
    assert np.abs(back.displacement - motion.displacement)[..., 4:-4, 4:-4].mean() < 0.005
    assert np.abs(back.inverse - motion.inverse)[..., 4:-4, 4:-4].mean() < 0.005
    forth, home = (torch.from_numpy(np.array(f)) for f in (other.displacement, other.inverse))
    assert float(flow.compose(forth, home).norm(dim=1)[:, 4:-4, 4:-4].mean()) < 0.01


def test_a_contracting_wall_nearly_keeps_its_volume():
    maps = contraction_maps(inner=25.0, outer=35.0, shortening=0.3, thinning=0.1, reach=30.0)
    radius = torch.linspace(0.0, 60.0, 2001)[None]
    moved = radius + maps(radius, torch.ones(1, 1), inverse=False)
    inside = (radius > 27) & (radius < 33)
    slope = (moved[:, 2:] ** 2 - moved[:, :-2] ** 2) / (radius[:, 2:] ** 2 - radius[:, :-2] ** 2)
    assert float(slope[inside[:, 1:-1]].mean()) == pytest.approx(1 / 0.9, rel=0.08)
    assert abs(float(moved[radius == 0.0])) < 1e-6
    assert 0.23 * 25 < 25 - float(moved[0, 833]) < 0.3 * 25
    home = moved + maps(moved, torch.ones(1, 1), inverse=True)
    assert float((home - radius).abs().max()) < 0.03


def test_a_slide_and_its_inverse_at_any_amplitude():
    maps = slide_maps([(-40, 0), (-10, 6), (10, 4), (40, 0)], 1.2, 4.0)
    x = torch.linspace(-60, 60, 1001)[None].expand(5, -1)
    amplitude = torch.tensor([-0.2, 0.0, 0.33, 0.8, 1.2])[:, None]
    moved = x + maps(x, amplitude, inverse=False)
    assert bool((moved.diff(dim=1) > 0).all())
    assert float((moved + maps(moved, amplitude, inverse=True) - x).abs().max()) < 0.02
    assert torch.allclose(moved[1], x[1], atol=1e-6)
    assert float((moved - x)[:, 500][3]) == pytest.approx(0.8 * 5, abs=0.3)


def test_the_cardiac_curve_rises_to_end_systole_and_is_periodic():
    phase = np.arange(200) / 200
    curve = cardiac_curve(phase, 0.38)
    assert curve[0] == 0
    assert curve.max() == pytest.approx(1, abs=1e-3)
    assert phase[curve.argmax()] == pytest.approx(0.38, abs=0.03)
    assert np.all(np.diff(curve[: curve.argmax()]) > -1e-6)
    # diastasis: nearly still, and the atrial kick closes the loop
    assert curve[phase > 0.68][:20].std() < 0.02
    assert abs(curve[-1]) < 0.03
    assert np.allclose(cardiac_curve(phase + 1, 0.38, 0.05), cardiac_curve(phase, 0.38, 0.05))
    assert cardiac_curve(np.zeros(1), 0.38, 0.05)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"seed": -1}, "seed"),
        ({"seed": 0.5}, "seed"),
        ({"seed": 0, "view": "two-chamber"}, "short-axis, four-chamber"),
        ({"seed": 0, "frames": 1}, "2 frames"),
        ({"seed": 0, "frames": 3.5}, "2 frames"),
        ({"seed": 0, "size": 31}, "32 pixels"),
        ({"seed": 0, "spacing": 0.0}, "spacing"),
        ({"seed": 0, "spacing": float("nan")}, "spacing"),
        ({"seed": 0, "spacing": "2"}, "spacing"),
    ],
)
def test_bad_arguments_are_refused_with_a_sentence(arguments, word):
    for make in (cine_phantom, phantom_arrays):
        with pytest.raises(InputError, match=word):
            make(**arguments)
