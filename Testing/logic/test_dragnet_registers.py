"""The published DragNet registers in both of its modes: fields are chained in the right order, whatever the cine."""

import json

import numpy as np
import pytest
import torch
from made_models import card_of

from DeepRegLogic import flow, register_cine, zoo
from DeepRegLogic.__main__ import main
from DeepRegLogic.io import write_cine
from DeepRegLogic.networks import DragNet
from DeepRegLogic.networks.layers import Gaussian, MotionGaussian, Posterior
from DeepRegLogic.synthetic import cine_phantom

MODES = ("consecutive", "reference")


@pytest.fixture(scope="module")
def phantom():
    return cine_phantom(3, "short-axis", frames=6, size=64, spacing=2.4)


@pytest.fixture
def oracle(monkeypatch, phantom):
    """The published network with the true motion in place of what it has learned."""
    there, back = (torch.from_numpy(np.array(f)) for f in (phantom.motion.displacement, phantom.motion.inverse))

    def between(moving: int, fixed: int) -> torch.Tensor:
        """What resamples one frame onto another: from the fixed one to the first, and on to the moving one."""
        return flow.compose(there[moving : moving + 1], back[fixed : fixed + 1])[0]

    def posterior(self, reference, frames, *_, **__):
        order = [0, *range(1, len(there))]
        steps = [(0, t) for t in order[1:]]
        if self.mode == "consecutive":
            steps = list(zip(order, [*order[1:], 0], strict=True))
        mean = torch.stack([between(*step) for step in steps])[None]
        nothing = torch.zeros(1, 1, 1)
        small = torch.full((1, len(steps), 1, *mean.shape[-2:]), -4.0)
        return Posterior(MotionGaussian(mean, small, 0 * mean), *[Gaussian(nothing, nothing)] * 2)

    monkeypatch.setattr(DragNet, "posterior", posterior)


@pytest.mark.parametrize("mode", MODES)
def test_its_fields_are_those_from_the_reference_to_every_frame(oracle, phantom, mode):
    images = torch.from_numpy(phantom.cine.frames.astype(np.float32) / 1000)[:, None]
    found = DragNet(mode=mode).estimate(images[:1], images[None, 1:])
    heart = torch.from_numpy(phantom.heart)
    for fields, truth in (
        (found.displacement(), phantom.motion.displacement), (found.inverse(), phantom.motion.inverse),
    ):  # fmt: skip
        error = (fields - torch.from_numpy(np.array(truth[1:]))).norm(dim=1)
        length = torch.from_numpy(np.array(truth[1:])).norm(dim=1)
        assert error[:, heart].mean() < 0.05 * length[:, heart].mean()
    _, covariance = found.with_covariance()
    spread = covariance.diagonal(dim1=1, dim2=2).sum(-1)[:, heart].mean(1)
    assert (spread.diff() > 0).all() == (mode == "consecutive")  # steps add up


@pytest.mark.parametrize("cyclic", [True, False])
@pytest.mark.parametrize("mode", MODES)
def test_cines_are_registered_from_any_reference(tmp_path, phantom, mode, cyclic):
    torch.manual_seed(0)
    zoo.save_model(tmp_path / "model", DragNet(mode=mode), card_of("m", "dragnet", arguments={"mode": mode}))
    motion = register_cine(phantom.cine, tmp_path / "model", reference=2, refine=False, cyclic=cyclic, device="cpu")
    assert not motion.displacement[2].any()
    assert all(np.abs(motion.displacement[t]).max() > 0 for t in (0, 1, 3, 4, 5))
    assert motion.covariance.shape == (6, 2, 2, 64, 64)
    assert max(quality.folded for quality in motion.quality) == 0


@pytest.mark.parametrize("mode", MODES)
def test_the_command_line_registers_with_it(tmp_path, phantom, mode):
    torch.manual_seed(0)
    zoo.save_model(tmp_path / "model", DragNet(mode=mode), card_of("m", "dragnet", arguments={"mode": mode}))
    write_cine(tmp_path / "cine.seq.nrrd", phantom.cine.frames, phantom.cine)
    options = ["--input", str(tmp_path / "cine.seq.nrrd"), "--output", str(tmp_path / "out"), "--quality", "fast"]
    assert main(["register", *options, "--model", str(tmp_path / "model"), "--device", "cpu"]) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert "m" in json.dumps(report["provenance"]["model"])
