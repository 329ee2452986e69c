"""What register_cine gives with a model that says how sure it is."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from made_models import card_of

from DeepRegLogic import uncertainty, zoo
from DeepRegLogic.cine import Cine, Motion
from DeepRegLogic.errors import InputError
from DeepRegLogic.grid import Grid
from DeepRegLogic.networks import build
from DeepRegLogic.registration.presets import Refinement
from DeepRegLogic.registration.register import register_cine, register_pair
from DeepRegLogic.registration.sequence import register_sequence
from DeepRegLogic.report.summary import summary
from DeepRegLogic.results.results import Results
from DeepRegLogic.synthetic import cine_phantom
from DeepRegLogic.uncertainty.record import recorded


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """An untrained network whose velocities all have a deviation of 0.5 pixels of 1.8 mm."""
    torch.manual_seed(0)
    network = build("dragnet-flow")
    for layer in (network.head.log_variance, network.head.factor):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    torch.nn.init.constant_(network.head.log_variance.bias, float(np.log(0.25)))
    calibration = {"predicted": {"scale": 1.0}, "refined": {"scale": 4.0, "floor": 0.1}}
    card = card_of("sure", "dragnet-flow", calibration=calibration)
    folder = tmp_path_factory.mktemp("models") / "sure"
    zoo.save_model(folder, network, card)
    return folder


@pytest.fixture(scope="module")
def cine():
    return cine_phantom(3, frames=4, size=64, spacing=1.2).cine


def test_the_covariance_is_in_mm_on_the_cines_own_grid(model, cine):
    motion = register_cine(cine, model, reference=1, refine=False, device="cpu")
    assert motion.covariance.shape == (4, 2, 2, 64, 64)
    assert not motion.covariance[1].any()
    deviations = uncertainty.deviations(motion.covariance)
    # half a pixel of the working grid, which is very nearly 1.8 mm, whatever the pixels of the cine are
    assert np.median(deviations[2]) == pytest.approx(0.9, rel=0.05)
    unsure = uncertainty.entropy(motion.covariance)
    assert np.isneginf(unsure[1]).all()
    assert np.isfinite(unsure[2]).all()


def test_refinement_has_a_calibration_of_its_own(model, cine):
    motion = register_cine(cine, model, reference=0, refine=Refinement(levels=((4, 3),)), device="cpu")
    deviations = uncertainty.deviations(motion.covariance)
    assert np.median(deviations[2]) == pytest.approx((4 * 0.81 + 0.1) ** 0.5, rel=0.05)


def test_what_the_refinement_changed_widens_the_covariance(model, cine, tmp_path):
    card = replace(zoo.read_card(model), calibration={"refined": {"scale": 0.0, "floor": 0.01, "change": 2.0}})
    zoo.save_model(tmp_path / "own", zoo.load_model(model).network, card)
    settings = Refinement(levels=((4, 20),))
    network, refined = (register_cine(cine, tmp_path / "own", 0, refine=r, device="cpu") for r in (False, settings))
    fields = [torch.from_numpy(np.array(motion.displacement[2:3])) for motion in (network, refined)]
    assert (fields[0] - fields[1]).abs().max() > 0.3
    expected = 2 * uncertainty.of_change(*fields, cine.grid)[0].numpy() + 0.01 * np.eye(2)[..., None, None]
    np.testing.assert_allclose(refined.covariance[2], expected, atol=0.03 * expected.max())


def test_outside_a_region_nothing_is_estimated(model, cine):
    motion = register_cine(cine, model, reference=0, roi=((10, 20), (50, 60)), refine=False, device="cpu")
    assert not motion.covariance[:, :, :, :10].any()
    assert (motion.covariance[1, 0, 0, 10:50, 20:60] > 0).all()


def test_a_stack_has_no_covariance_from_a_network_of_slices(model):
    frames = np.stack([cine_phantom(3, frames=3, size=32, spacing=2.0).cine.frames] * 4, axis=1)
    motion = register_cine(
        Cine(frames, Grid.of_array((4, 32, 32), (8.0, 2.0, 2.0))), model, reference=0, refine=False, device="cpu"
    )
    assert motion.covariance is None


def test_a_frame_unlike_the_others_gets_a_wide_uncertainty_and_is_named(model, cine, tmp_path):
    frames = cine.frames.copy()
    frames[2] = np.random.default_rng(0).permutation(frames[2].ravel()).reshape(frames[2].shape)
    strange = Cine(frames, cine.grid, cine.times)
    loaded = zoo.load_model(model)
    card = replace(loaded.card, calibration={"predicted": {"residual": 0.15}})
    zoo.save_model(tmp_path / "model", loaded.network, card)
    usual, found = (
        register_cine(each, tmp_path / "model", reference=0, refine=False, device="cpu") for each in (cine, strange)
    )
    assert found.provenance["unlike_training"] == [2]
    assert usual.provenance["unlike_training"] == []
    ratio = np.median(uncertainty.deviations(found.covariance)[2]) / np.median(
        uncertainty.deviations(usual.covariance)[2]
    )
    assert ratio == pytest.approx(found.quality[2].error_after / 0.15, rel=0.01)
    assert ratio > 1.3
    assert "Frame 2 differs from the training images; its motion is less certain." in summary(Results(found, strange))
    assert "differs from the training images" not in summary(Results(usual, cine))
    assert "unlike" in Results(found, strange).doubts()[2]


def test_a_model_for_generation_alone_is_refused(model, cine, tmp_path):
    loaded = zoo.load_model(model)
    zoo.save_model(tmp_path / "model", loaded.network, replace(loaded.card, capabilities=("generate",)))
    with pytest.raises(InputError, match="for generating"):
        register_cine(cine, tmp_path / "model", refine=False, device="cpu")


@pytest.mark.parametrize("refine", [False, Refinement(levels=((4, 3),))], ids=["predicted", "refined"])
@pytest.mark.parametrize("network", ["voxelmorph-probabilistic", "dragnet"])
def test_every_network_that_is_unsure_gives_a_covariance(network, refine, cine, tmp_path):
    torch.manual_seed(0)
    zoo.save_model(tmp_path / "model", build(network), card_of("own", network))
    motion = register_cine(cine, tmp_path / "model", reference=1, refine=refine, device="cpu")
    assert not motion.displacement[1].any()
    assert motion.covariance.shape == (4, 2, 2, 64, 64)
    assert not motion.covariance[1].any()
    deviations = uncertainty.deviations(motion.covariance[[0, 2, 3]])
    assert np.isfinite(deviations).all()
    assert deviations[:, 0].min() > 0
    assert max(frame.folded for frame in motion.quality) == 0


def test_a_covariance_of_another_shape_is_refused():
    grid = Grid.of_array((16, 16), (1.0, 1.0))
    still = np.zeros((2, 2, 16, 16))
    assert Motion(grid, 0, still, still).covariance is None
    with pytest.raises(InputError, match=r"covariance has shape \(2, 2, 16, 16\) where \(2, 2, 2, 16, 16\)"):
        Motion(grid, 0, still, still, covariance=still)


QUICK = Refinement(levels=((4, 8), (2, 4)))


def test_without_being_asked_a_method_that_does_not_tell_has_no_covariance(cine):
    assert register_cine(cine, None, reference=0, refine=QUICK, device="cpu").covariance is None


def test_a_refinement_of_no_model_tells_when_it_is_asked(cine):
    plain = register_cine(cine, None, reference=1, refine=QUICK, device="cpu")
    motion = register_cine(cine, None, reference=1, refine=QUICK, device="cpu", uncertainty=True)
    np.testing.assert_array_equal(motion.displacement, plain.displacement)
    stiffer = register_cine(
        cine, None, reference=1, refine=replace(QUICK, smoothness=4 * QUICK.smoothness), device="cpu"
    )
    fitted = recorded("cine", "slice")
    fields = [torch.from_numpy(np.array(each.displacement[[0, 2, 3]])) for each in (plain, stiffer)]
    moments = uncertainty.of_change(*fields, cine.grid)
    moved, variances = fields[0].square().sum(1).flatten(), moments.diagonal(dim1=1, dim2=2).mean(-1).flatten()
    order = variances.argsort()
    half = moved[order].cumsum(0) < 0.5 * moved.sum()
    middle = variances[order][int(half.sum())] * torch.eye(2).view(1, 2, 2, 1, 1)  # of all that moves
    expected = fitted(moments, middle.expand_as(moments), spacing=cine.grid.array_spacing)[1]
    np.testing.assert_allclose(motion.covariance[2], expected, rtol=1e-3, atol=1e-5)
    assert not motion.covariance[1].any()
    assert motion.provenance["degrees_of_freedom"] == fitted.degrees
    assert {"uncertainty", "entropy"} <= set(Results(motion, cine).maps)


@pytest.mark.parametrize("refine", [False, QUICK], ids=["predicted", "refined"])
def test_a_stack_has_a_covariance_of_three_axes_when_it_is_asked(refine, tmp_path):
    torch.manual_seed(0)
    network = build("voxelmorph")
    torch.nn.init.normal_(network.head.weight, std=0.05)  # so that mirrored images give other answers
    zoo.save_model(tmp_path / "own", network, card_of("own", "voxelmorph"))
    frames = np.stack([cine_phantom(3, frames=3, size=32, spacing=2.0).cine.frames] * 4, axis=1)
    stack = Cine(frames, Grid.of_array((4, 32, 32), (8.0, 2.0, 2.0)))
    motion = register_cine(stack, tmp_path / "own", reference=0, refine=refine, device="cpu", uncertainty=True)
    assert motion.covariance.shape == (3, 3, 3, 4, 32, 32)
    assert (np.linalg.eigvalsh(np.moveaxis(motion.covariance[1:], (1, 2), (-2, -1))) > 0).all()
    assert Results(motion, stack).map("uncertainty")[1:].min() > 0


def test_a_network_that_does_not_tell_is_asked_with_mirrored_images(cine, tmp_path):
    torch.manual_seed(0)
    network = build("voxelmorph")
    torch.nn.init.normal_(network.head.weight, std=0.05)
    calibration = {"predicted": {"scale": 2.0, "floor": 0.01}}
    zoo.save_model(tmp_path / "own", network, card_of("own", "voxelmorph", calibration=calibration))
    motion = register_cine(cine, tmp_path / "own", 0, refine=False, device="cpu", cyclic=False, uncertainty=True)
    others = []
    for axes in ((2,), (1,), (1, 2)):
        mirrored = Cine(np.flip(cine.frames, axes), cine.grid)
        field = register_cine(mirrored, tmp_path / "own", 0, refine=False, device="cpu", cyclic=False).displacement
        signs = np.array([-1 if axis in axes else 1 for axis in (1, 2)]).reshape(1, 2, 1, 1)
        others.append(torch.from_numpy(np.ascontiguousarray(np.flip(field, [a + 1 for a in axes]) * signs)))
    result = torch.from_numpy(np.array(motion.displacement))
    moments = torch.stack([uncertainty.of_change(result, other, cine.grid) for other in others]).mean(0)
    assert moments[1:].diagonal(dim1=1, dim2=2).sum(-1).mean() > 0.01
    expected = 2 * moments[2].numpy() + 0.01 * np.eye(2)[..., None, None]
    np.testing.assert_allclose(motion.covariance[2], expected, atol=0.02 * expected.max())


@pytest.mark.parametrize("shape", [(48, 48), (8, 24, 24)])
def test_pairs_have_a_covariance_when_it_is_asked(shape):
    places = np.stack(np.meshgrid(*[np.arange(n) - n / 2 for n in shape], indexing="ij"))
    grid = Grid.of_array(shape, (2.0,) * len(shape))
    balls = [np.exp(-((places / size) ** 2).sum(0)).astype(np.float32)[None] for size in (7.0, 6.0)]
    fixed, moving = (Cine(ball, grid) for ball in balls)
    motion = register_pair(fixed, moving, None, refine=QUICK, device="cpu", affine=len(shape) == 2, uncertainty=True)
    ndim = len(shape)
    assert motion.covariance.shape == (2, ndim, ndim, *shape)
    assert not motion.covariance[0].any()
    assert np.linalg.eigvalsh(np.moveaxis(motion.covariance[1], (0, 1), (-2, -1))).min() > 0


def test_steps_from_frame_to_frame_have_none(cine):
    with pytest.raises(InputError, match="frame to frame have no uncertainty"):
        register_sequence(cine, None, uncertainty=True)


def test_being_asked_costs_memory_that_is_counted(cine):
    from DeepRegLogic.errors import MemoryBudgetError

    large = Cine(np.resize(cine.frames, (40, 600, 600)), Grid.of_array((600, 600), (1.0, 1.0)))
    needed = []
    for asked in (False, True):
        with pytest.raises(MemoryBudgetError) as error:
            register_cine(large, None, memory_gb=0.1, device="cpu", uncertainty=asked)
        needed.append(float(str(error.value).split("about ")[1].split()[0]))
    assert needed[1] > needed[0]
