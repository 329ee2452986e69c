"""The independent benchmark: its maps go both ways, its images show them, its metrics are exact where that is known."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

from . import cases, metrics, motions

SMALL = {"frames": 4, "size": 44}


def small(kind: str, seed: int = 0) -> cases.Case:
    """The usual field of view of a kind in few voxels."""
    _, size, spacing = cases.DEFAULTS[kind]
    return cases.make(kind, seed, spacing=spacing[-1] * size[-1] / SMALL["size"], **SMALL)


@pytest.fixture(scope="module", params=cases.KINDS)
def case(request) -> cases.Case:
    return small(request.param)


def test_maps_go_there_and_back(case):
    points = (
        np.random.default_rng(0).uniform(-1, 1, (len(case.spacing), 500))
        * 0.45
        * (np.array(case.labels.shape[1:]) * case.spacing)[:, None]
    )
    for phase in (*case.phases[1:], 0.37):
        assert np.abs(case.motion.inverse(case.motion.forward(points, phase), phase) - points).max() < 0.01
        assert np.abs(case.motion.forward(case.motion.inverse(points, phase), phase) - points).max() < 0.01


def test_reference_stays_where_it_is(case):
    assert not case.forward[0].any()
    assert not case.inverse[0].any()
    grid = cases.points_of(case.labels.shape[1:], case.spacing)
    assert np.abs(case.motion.forward(grid, 0.0) - grid).max() < 1e-3
    assert np.abs(case.forward[case.systole]).max() > 0.3


def test_fields_are_the_map_on_the_grid(case):
    t = case.systole
    grid = cases.points_of(case.labels.shape[1:], case.spacing)
    scale = np.reshape(case.spacing, (-1, *[1] * len(case.spacing)))
    assert np.allclose(grid + case.forward[t] * scale, case.motion.forward(grid, case.phases[t]), atol=1e-3)
    assert np.allclose(grid + case.inverse[t] * scale, case.motion.inverse(grid, case.phases[t]), atol=1e-3)


def test_tissue_does_not_fold(case):
    for field in (case.forward[case.systole], case.inverse[case.systole]):
        assert metrics.jacobian(field.astype(float), case.spacing)[case.masks["organ"]].min() > 0.1


def test_labels_carried_by_the_true_map_are_those_that_were_painted(case):
    t = case.systole
    moved, painted = metrics.carried(case.labels[0], case.inverse[t]), case.labels[t]
    assert metrics.dice(moved > 0, painted > 0) > 0.91
    for value in case.names:
        if (painted == value).sum() > 120 and value not in (2,):  # walls are a voxel or two thick here
            assert metrics.dice(moved == value, painted == value) > 0.85, value


def test_images_are_those_of_a_scanner(case):
    assert case.frames.dtype == np.float32
    assert case.frames.shape == case.labels.shape
    assert np.isfinite(case.frames).all()
    assert case.frames.min() >= 0
    assert case.frames.max() > 20
    assert all(case.masks["organ"][mask].all() for mask in case.masks.values())


def test_true_motion_makes_images_alike(case):
    still = np.zeros_like(case.forward)
    assert metrics.residual(case, case.forward) < metrics.residual(case, still) * (
        0.97 if case.kind != "vessel" else 1.05
    )


def test_a_seed_is_a_case():
    first, again, other = small("vessel", 3), small("vessel", 3), small("vessel", 4)
    assert np.array_equal(first.frames, again.frames)
    assert np.array_equal(first.forward, again.forward)
    assert not np.array_equal(first.frames, other.frames)


def test_halving_the_steps_of_a_flow_changes_nothing():
    anatomy = cases.KINDS["random-flow"](cases.generator("random-flow", 5))
    flow = anatomy.motion.motion
    points = np.random.default_rng(1).uniform(-90, 90, (2, 2000))
    fine = motions.Flow(flow.centres, flow.sigmas, flow.amplitudes, steps=64)
    for phase in (0.3, 0.6, 1.0):
        assert np.abs(flow.forward(points, phase) - fine.forward(points, phase)).max() < 0.01


def test_a_wall_keeps_its_area():
    round_ = motions.Annulus(
        ejected=lambda phase, z: 0.6, uneven=lambda phase, angle, z: 0.15 * np.cos(2 * angle), gain=lambda phase: 0.0,
        twist=lambda phase, z: 0.2, inner=lambda z, phase: 24.0, outer=lambda z, phase: 34.0,
        reach=lambda angle: np.full_like(angle, 12.0),
    )  # fmt: skip
    radius, angle = np.meshgrid(np.linspace(29, 33.9, 20), np.linspace(-3, 3, 40))
    points, h = np.stack([radius * np.sin(angle), radius * np.cos(angle)]), 1e-4
    rows = [
        (round_.forward(points + h * e[:, None, None], 1.0) - round_.forward(points - h * e[:, None, None], 1.0))
        / (2 * h)
        for e in np.eye(2)
    ]
    assert np.linalg.det(np.moveaxis(np.stack(rows), (0, 1), (-2, -1))) == pytest.approx(1.0, abs=0.06)


def test_images_lie_where_the_labels_lie():
    """The brightness of a blob has its centre where the blob is, in every frame: no half pixels are lost."""
    from .anatomy import Anatomy
    from .scanner import Scanner

    shift = motions.Along(1, lambda phase, points: np.full(points.shape[1:], 7.3 * phase))
    placed = motions.Placed(shift, np.eye(2), np.array([3.1, -2.2]))
    anatomy = Anatomy(
        placed, lambda q, now, phase, agent: np.exp(-0.5 * np.square(np.hypot(*q) / 5)), lambda q: (np.hypot(*q) <
        12).astype(np.uint8), {1: "blob"}, {"organ": (1,)}, 1.0, cyclic=False,
    )  # fmt: skip
    scanner = Scanner(np.random.default_rng(0), 60.0)
    scanner.noise, scanner.whole, scanner.arrival, scanner.open = 0.0, False, None, 0.0
    scanner.sensitivity = lambda points: np.ones(points.shape[1:])
    images = cases._images(anatomy, scanner, np.array([0.0, 1.0]), (48, 40), (1.5, 1.5))
    for image, phase in zip(images, (0.0, 1.0), strict=True):
        found = (metrics.identity(image.shape) * image).reshape(2, -1).sum(1) / image.sum()
        expected = (np.array([3.1, -2.2 + 7.3 * phase])) / 1.5 + (np.array([48, 40]) - 1) / 2
        assert found == pytest.approx(expected, abs=0.003)


def _linear(matrix: np.ndarray, spacing: tuple[float, float], size: int = 41) -> tuple[np.ndarray, np.ndarray]:
    """The displacement in voxels of a linear map of mm about the middle, and a ring."""
    grid = metrics.identity((size, size)) - (size - 1) / 2
    mm = grid * np.reshape(spacing, (2, 1, 1))
    moved = np.tensordot(matrix, mm, 1)
    radius = np.hypot(*mm)
    return (moved - mm) / np.reshape(spacing, (2, 1, 1)), (radius > 8) & (radius < 16)


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (1.6, 1.1)])
def test_turn_and_strain_are_exact_for_a_rotation_with_a_stretch(spacing):
    field, ring = _linear(0.8 * motions.turned(11.0), spacing)
    assert metrics.turn(field, ring, spacing) == pytest.approx(11.0, abs=1e-6)
    around, out = metrics.strains(field, np.array([20.0, 20.0]), spacing)
    assert around[ring] == pytest.approx(0.5 * (0.64 - 1), abs=1e-9)
    assert out[ring] == pytest.approx(0.5 * (0.64 - 1), abs=1e-9)
    assert metrics.jacobian(field, spacing) == pytest.approx(0.64, abs=1e-9)


def test_strain_tells_around_from_outwards():
    field, _ = _linear(np.diag([0.7, 1.2]), (1.0, 1.0))  # shorter along the rows' axis, longer along the columns'
    around, out = metrics.strains(field, np.array([20.0, 20.0]), (1.0, 1.0))
    assert out[30, 20] == pytest.approx(0.5 * (0.49 - 1))
    assert around[30, 20] == pytest.approx(0.5 * (1.44 - 1))
    assert out[20, 30] == pytest.approx(0.5 * (1.44 - 1))
    assert around[20, 30] == pytest.approx(0.5 * (0.49 - 1))


def test_the_truth_has_no_error():
    case = small("short-axis", 1)
    found = metrics.measure(case, case.forward, case.inverse)
    for name in (
        "epe",
        "epe95",
        "epe_es",
        "radial_es",
        "tangential_es",
        "twist_error",
        "circumferential_error",
        "gradient_error",
    ):
        assert found[name] == 0
    assert found["gradient"] == 1
    assert found["folded"] == 0
    assert found["inverse_consistency"] < 0.1
    assert found["dice_es"] > 0.85
    assert found["rmse"] == found["rmse_true"]


def test_a_forgotten_turn_is_tangential():
    case = small("short-axis", 1)
    grid = metrics.identity(case.labels.shape[1:])
    away = grid - case.centre[:, None, None]
    turned = np.tensordot(motions.turned(5.0), away, 1) - away
    found = metrics.measure(case, case.forward + turned[None] * (np.arange(4) > 0)[:, None, None, None])
    assert found["tangential_es"] > 10 * found["radial_es"]
    assert found["epe_wall_es"] == pytest.approx(found["tangential_es"], rel=0.02)
    assert 2 < found["twist_error"] < 8


def test_an_inverse_is_found():
    case = small("four-chamber", 1)
    back = metrics.inverted(case.forward[case.systole])
    error = np.linalg.norm(back - case.inverse[case.systole], axis=0)[case.labels[case.systole] > 0]
    assert error.mean() < 0.1


def test_surfaces_apart():
    a, b = np.zeros((20, 20), bool), np.zeros((20, 20), bool)
    a[5:10, 5:15], b[8:13, 5:15] = True, True
    assert metrics.hausdorff95(a, b, (2.0, 1.0)) == pytest.approx(6.0)
    assert metrics.dice(a, b) == pytest.approx(2 * 20 / 100)


def test_nothing_is_shared_with_the_synthetic_images_of_the_package():
    for path in Path(__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            assert not any(name.split(".")[0] == "DeepRegLogic" for name in names) or path.name in (
                "ours.py",
                "voxelmorph.py",
                "pairs.py",  # reads real images by the package's readers
            ), path
            assert "synthetic" not in " ".join(names), path
