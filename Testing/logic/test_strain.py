"""Strain of motions that are known in closed form, and of phantoms; bad input."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from DeepRegLogic import Cine, Grid, InputError, Labels, Motion, Results
from DeepRegLogic.results import deformation
from DeepRegLogic.results.axes import cardiac_axes
from DeepRegLogic.results.strain import HeartSettings, strain_of
from DeepRegLogic.synthetic import cine_phantom
from DeepRegLogic.uncertainty.fields import sample_errors

NAMES = {1: "LV blood", 2: "LV myocardium", 3: "RV blood"}


def oblique(size, spacing, degrees=(20, -35, 50)):
    """A grid that lies askew, about the patient's origin."""
    turn = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    middle = (np.array(size) - 1) / 2 * spacing
    return Grid(size, spacing, tuple(-turn @ middle), tuple(turn.ravel()))


def motion_of(grid, maps):
    """A motion by maps of points in mm along the array's axes from the image's centre, ``[ndim, *shape]``."""
    spacing = np.reshape(grid.array_spacing, (-1, *[1] * grid.ndim))
    places = np.stack(np.meshgrid(*[np.arange(n) - (n - 1) / 2 for n in grid.shape], indexing="ij")) * spacing
    fields = np.stack([(each(places) - places) / spacing for each in maps]).astype(np.float32)
    return Motion(grid, 0, fields, np.zeros_like(fields), times=np.linspace(0, 0.8, len(maps))), places


def results_of(motion, labels, names=NAMES):
    cine = Cine(np.zeros((len(motion), *motion.grid.shape), np.float32), motion.grid, motion.times)
    return Results(motion, cine, Labels.of_map(labels, names))


def inside(field, margin=3):
    return field[(..., *[slice(margin, -margin)] * 2)]


PLANE = oblique((60, 50, 1), (1.1, 1.7, 8.0))
SPACE = oblique((34, 30, 12), (1.4, 1.9, 6.0))


@pytest.mark.parametrize("grid", [PLANE, SPACE], ids=["plane", "space"])
def test_a_rotation_has_no_strain(grid):
    turn = Rotation.from_rotvec(np.deg2rad(25) * np.array([1.0, 0.0, 0.0])).as_matrix()
    if grid.ndim == 2:
        turn = turn[1:, 1:]
    motion, _ = motion_of(grid, [lambda x: x, lambda x: np.tensordot(turn, x, 1) + 2.0])
    gradient = deformation.deformation_gradient(motion.displacement[1], grid.array_spacing)
    assert np.abs(deformation.green_lagrange(gradient)).max() < 1e-4
    np.testing.assert_allclose(np.abs(deformation.rotation(gradient)), 25.0, atol=0.01)
    np.testing.assert_allclose(deformation.ratio(gradient), 1.0, atol=1e-4)


@pytest.mark.parametrize("grid", [PLANE, SPACE], ids=["plane", "space"])
def test_a_uniform_stretch_has_its_closed_form(grid):
    stretch = np.array([[0.9, 0.1, 0.0], [0.0, 1.2, -0.05], [0.03, 0.0, 1.1]])[-grid.ndim :, -grid.ndim :]
    motion, _ = motion_of(grid, [lambda x: np.tensordot(stretch, x, 1)])
    gradient = deformation.deformation_gradient(motion.displacement[0], grid.array_spacing)
    truth = 0.5 * (stretch.T @ stretch - np.eye(grid.ndim))
    strain = deformation.green_lagrange(gradient)
    np.testing.assert_allclose(
        strain, np.broadcast_to(truth.reshape(*truth.shape, *[1] * grid.ndim), strain.shape), atol=1e-4
    )
    values, directions = deformation.principal(strain)
    expected = np.linalg.eigvalsh(truth)[::-1]
    middle = tuple(n // 2 for n in grid.shape)
    np.testing.assert_allclose(values[(slice(None), *middle)], expected, atol=1e-4)
    first = directions[(0, slice(None), *middle)]
    np.testing.assert_allclose(truth @ first, expected[0] * first, atol=1e-4)
    np.testing.assert_allclose(deformation.maximal_shear(strain), (expected[0] - expected[-1]) / 2, atol=1e-4)
    np.testing.assert_allclose(deformation.ratio(gradient), np.linalg.det(stretch), atol=1e-3)
    # Eulerian: of the inverse map
    back, _ = motion_of(grid, [lambda x: np.tensordot(np.linalg.inv(stretch), x, 1)])
    eulerian = deformation.almansi(deformation.deformation_gradient(back.displacement[0], grid.array_spacing))
    inverse = np.linalg.inv(stretch)
    np.testing.assert_allclose(eulerian[(..., *middle)], 0.5 * (np.eye(grid.ndim) - inverse.T @ inverse), atol=1e-4)


def ring(places, inner=20.0, outer=30.0):
    """Labels of blood and wall about the last two axes' origin."""
    radius = np.hypot(*places[-2:])
    return np.where(radius < inner, 1, np.where(radius < outer, 2, 0)).astype(np.uint8)


def contracting(c):
    """``r'^2 = r^2 - c`` keeps the wall's area."""

    def move(x):
        radius = np.hypot(*x[-2:])
        scale = np.sqrt(np.maximum(radius**2 - c, 1e-9)) / np.maximum(radius, 1e-9)
        moved = x.copy()
        moved[-2:] = x[-2:] * np.where(radius > 16, scale, np.sqrt(1 - c / 256))
        return moved

    return move


def test_a_contracting_ring_has_its_closed_forms():
    """E_cc = -c / (2 r^2), E_rr = ((r / r')^2 - 1) / 2 with r'^2 = r^2 - c."""
    grid, c = oblique((96, 88, 1), (0.9, 1.0, 8.0)), 150.0
    motion, places = motion_of(grid, [lambda x: x, contracting(c)])
    labels = ring(places)
    strain = strain_of(results_of(motion, labels))
    radius = np.hypot(*places)
    gradient = deformation.deformation_gradient(motion.displacement[1], grid.array_spacing)
    core = (radius > 22) & (radius < 28)
    for name, truth in (
        ("circumferential", -c / (2 * radius**2)),
        ("radial", (radius**2 / np.maximum(radius**2 - c, 1) - 1) / 2),
    ):
        found = deformation.along(gradient, strain.axes.directions[name])
        assert abs(found - truth)[core].max() < 1e-3
    # lengths: of the circles that were drawn, whose borders are known to parts of a pixel
    for line, r in (("endocardial", 20.0), ("mid-wall", 25.0), ("epicardial", 30.0)):
        expected = 100 * (np.sqrt(r**2 - c) / r - 1)
        assert strain.curve("GCS", f"length of the {line} line").values[1] == pytest.approx(expected, abs=0.1)
    assert strain.curve("cavity area").values == pytest.approx([np.pi * 400, np.pi * (400 - c)], rel=0.02)
    assert strain.curve("wall thickness").values[0] == pytest.approx(10.0, abs=0.1)
    assert strain.systole == 1
    assert "no intervals" in " ".join(strain.notes)
    assert abs(strain.curve("rotation").values[1]) < 0.05


def test_torsion_of_a_cylinder():
    """Turn by k z: E_cz = k r / 2, E_zz = (k r)^2 / 2, twist and torsion as they were given."""
    grid, k = oblique((64, 64, 11), (1.2, 1.3, 7.0)), np.deg2rad(3.0) / 10  # 3 degrees per cm

    def move(x):
        angle = k * x[0]
        y = np.cos(angle) * x[1] + np.sin(angle) * x[2]
        return np.stack([x[0], y, -np.sin(angle) * x[1] + np.cos(angle) * x[2]])

    motion, places = motion_of(grid, [lambda x: x, move])
    strain = strain_of(results_of(motion, ring(places, 18.0, 26.0)))
    radius = np.hypot(*places[1:])
    gradient = deformation.deformation_gradient(motion.displacement[1], grid.array_spacing)
    core = np.zeros(grid.shape, bool)
    core[2:-2] = strain.axes.wall[2:-2]
    core &= (radius > 20) & (radius < 24)
    for name, truth in (
        ("circumferential", 0 * radius),
        ("radial", 0 * radius),
        ("longitudinal", (k * radius) ** 2 / 2),
    ):
        assert abs(deformation.along(gradient, strain.axes.directions[name]) - truth)[core].max() < 1e-3
    assert abs(strain.curve("torsion").values[1]) == pytest.approx(3.0, abs=0.05)
    assert strain.curve("GLS").values[1] == pytest.approx(100 * (k * 22) ** 2 / 2, abs=0.1)


def test_volume_and_ejection_fraction_of_a_cylinder_that_contracts_and_shortens():
    grid, c = oblique((64, 64, 10), (1.2, 1.2, 8.0)), 150.0
    plane = contracting(c)

    def move(x):
        moved = plane(x)
        moved[0] = 0.85 * x[0]
        return moved

    motion, places = motion_of(grid, [lambda x: x, move])
    strain = strain_of(results_of(motion, ring(places, 20.0, 28.0)))
    expected = 100 * (1 - (400 - c) / 400 * 0.85)
    discs = strain.figure("cavity volume", "ejection fraction", "ml by discs")
    assert discs.value == pytest.approx(expected, abs=1.0)
    assert discs.frame == 1
    assert strain.figure("cavity volume", "ejection fraction", "ml by the Jacobian").value == pytest.approx(
        expected, abs=3
    )
    wall = np.pi * (28**2 - 400) * 80 / 1000 * 1.05
    assert strain.figure("mass", "end-diastolic").value == pytest.approx(wall, rel=0.03)
    assert strain.curve("GLS").values[1] == pytest.approx(100 * (0.85**2 - 1) / 2, abs=0.1)


@pytest.fixture(scope="module")
def phantom():
    return cine_phantom(seed=1, size=96, frames=12)


def with_covariance(motion, variance):
    covariance = np.zeros((len(motion), 2, 2, *motion.grid.shape), np.float32)
    covariance[1:, 0, 0] = covariance[1:, 1, 1] = variance
    return Motion(motion.grid, 0, motion.displacement, motion.inverse, motion.times, cyclic=True, covariance=covariance)


def test_intervals_hold_what_errors_of_that_size_do():
    """Errors drawn from the covariance itself are held by the intervals as often as they say."""
    found = cine_phantom(seed=1, size=64, frames=3)
    motion = with_covariance(found.motion, 0.2)
    labels = Labels.of_map(found.labels[0], found.label_names)
    truth = strain_of(Results(motion, found.cine, labels), HeartSettings(samples=8))
    held = []
    for error in sample_errors(motion.covariance, motion.grid.array_spacing, 8.0, 60, seed=77):
        field = motion.displacement + error / np.reshape(motion.grid.array_spacing, (-1, 1, 1)).astype(np.float32)
        wrong = Motion(motion.grid, 0, field, motion.inverse, motion.times, cyclic=True, covariance=motion.covariance)
        noisy = strain_of(Results(wrong, found.cine, labels), HeartSettings(samples=32, correlation=8.0))
        for key, true in truth.segment_curves.items():
            low, high = noisy.segment_curves[key].interval[1]
            held.append(low <= true.values[1] <= high)
        low, high = noisy.curve("GCS").interval[1]
        held.append(low <= truth.curve("GCS").values[1] <= high)
    assert 0.86 < np.mean(held) < 0.94


def test_samples_of_errors_have_their_covariance_and_their_length():
    covariance = np.zeros((3, 2, 2, 24, 20), np.float32)
    covariance[:] = np.array([[2.0, 0.5], [0.5, 1.0]]).reshape(1, 2, 2, 1, 1)
    errors = sample_errors(covariance, (1.5, 2.0), 6.0, 300)
    found = np.einsum("stiyx,stjyx->ij", errors, errors) / (errors.size / 2)
    np.testing.assert_allclose(found, [[2.0, 0.5], [0.5, 1.0]], rtol=0.1, atol=0.08)
    for axis, shift, distance in ((-2, 4, 6.0), (-1, 3, 6.0)):
        near = np.take(errors, range(errors.shape[axis] - shift), axis)
        far = np.take(errors, range(shift, errors.shape[axis]), axis)
        assert (near * far).sum() / np.sqrt((near**2).sum() * (far**2).sum()) == pytest.approx(
            np.exp(-(distance**2) / 72), abs=0.07
        )


def test_segments_of_a_slice_run_from_the_right_ventricle(phantom):
    strain = strain_of(Results(phantom.motion, phantom.cine, Labels.of_map(phantom.labels[0], phantom.label_names)))
    assert sorted(strain.segmentation.names) == [7, 8, 9, 10, 11, 12]
    right = np.argwhere(phantom.labels[0] == 3).mean(0)
    near = {n: np.linalg.norm(np.argwhere(strain.segmentation.map == n).mean(0) - right) for n in range(7, 13)}
    assert sorted(near, key=near.get)[:2] in ([8, 9], [9, 8])  # the septum
    anterior, inferior = (np.argwhere(strain.segmentation.map == n).mean(0)[0] for n in (7, 10))
    assert anterior < inferior  # the image's rows run to the patient's back
    apical = strain_of(
        Results(phantom.motion, phantom.cine, Labels.of_map(phantom.labels[0], phantom.label_names)),
        HeartSettings(level="apical"),
    )
    assert sorted(apical.segmentation.names) == [13, 14, 15, 16]
    place = np.argwhere(strain.segmentation.map == 8)
    border = place[np.argmax(np.linalg.norm(place - np.argwhere(strain.segmentation.map == 9).mean(0), axis=1))]
    point = tuple(phantom.cine.grid.voxel_to_mm(border).tolist())
    alone = np.where(phantom.labels[0] == 3, 0, phantom.labels[0])
    pointed = strain_of(Results(phantom.motion, phantom.cine, Labels.of_map(alone, phantom.label_names)),
                        HeartSettings(insertion=point))  # fmt: skip
    same = strain.segmentation.map[strain.axes.wall] == pointed.segmentation.map[strain.axes.wall]
    assert same.mean() > 0.75


def test_long_axis_views_have_longitudinal_strain_and_chambers():
    found = cine_phantom(seed=1, size=96, frames=10, view="four-chamber")
    strain = strain_of(Results(found.motion, found.cine, Labels.of_map(found.labels[0], found.label_names)))
    assert strain.axes.view == "long-axis"
    assert set(strain.segmentation.names) == {3, 9, 14, 17, 16, 12, 6}
    for definition in ("mean of the tensor", "length of the endocardial line"):
        assert -30 < strain.figure("GLS", "end-systolic", definition).value < -3
    assert strain.figure("left atrial strain", "reservoir").value > 0
    assert strain.figure("RV free wall strain", "peak").value < 0
    with pytest.raises(InputError, match="There is no curve 'GCS'"):
        strain.curve("GCS")


class TestBadInput:
    def test_no_myocardium(self, phantom):
        labels = Labels.of_map((phantom.labels[0] == 1).astype(np.uint8), {1: "LV blood"})
        with pytest.raises(InputError, match="no label of the myocardium"):
            strain_of(Results(phantom.motion, phantom.cine, labels))
        with pytest.raises(InputError, match=r"no label '5'; there are 1 \(LV blood\)"):
            strain_of(Results(phantom.motion, phantom.cine, labels), HeartSettings(myocardium=5))

    def test_an_open_ring_in_a_short_axis(self, phantom):
        open_ = phantom.labels[0].copy()
        rows = np.argwhere(open_ == 2).mean(0)
        open_[: int(rows[0])][open_[: int(rows[0])] == 2] = 0
        labels = Labels.of_map(open_, phantom.label_names)
        with pytest.raises(InputError, match="no closed ring"):
            strain_of(Results(phantom.motion, phantom.cine, labels), HeartSettings(view="short-axis"))

    def test_one_slice_of_a_stack_and_no_right_ventricle(self):
        grid = oblique((48, 48, 7), (1.6, 1.6, 8.0))
        motion, places = motion_of(grid, [lambda x: x, contracting(150.0)])
        labels = ring(places, 18.0, 26.0)
        labels[:3] = labels[4:] = 0
        strain = strain_of(results_of(motion, labels))
        assert "Only one slice" in " ".join(strain.notes)
        assert "The segments have no names" in " ".join(strain.notes)
        assert strain.segments == ()
        assert strain.curve("GCS").values[1] < -5

    def test_a_wall_of_one_pixel_still_has_directions(self):
        grid = oblique((96, 88, 1), (0.9, 1.0, 8.0))
        motion, places = motion_of(grid, [lambda x: x, contracting(150.0)])
        strain = strain_of(results_of(motion, ring(places, 20.0, 21.3)))
        assert "thinner than two pixels" in " ".join(strain.notes)
        assert strain.curve("GCS").values[1] == pytest.approx(-100 * 150 / (2 * 20.65**2), abs=1.0)

    def test_a_reference_that_is_not_end_diastole(self):
        grid = oblique((96, 88, 1), (0.9, 1.0, 8.0))
        motion, places = motion_of(grid, [lambda x: x, contracting(-150.0), contracting(100.0)])
        assert "Reference" in " ".join(strain_of(results_of(motion, ring(places))).notes).replace(
            "The reference", "Reference"
        )

    def test_unknown_choices(self):
        with pytest.raises(InputError, match="There is no level 'middle'; there are basal, mid, apical"):
            HeartSettings(level="middle")


def test_directions_of_thin_and_thick_rings_point_outward():
    grid = oblique((96, 88, 1), (0.9, 1.0, 8.0))
    _, places = motion_of(grid, [lambda x: x])
    for outer in (21.5, 24.0, 32.0):
        axes = cardiac_axes(ring(places, 20.0, outer) == 2, grid)
        outward = (axes.directions["radial"] * places / np.hypot(*places)).sum(0)[axes.wall]
        assert np.degrees(np.arccos(np.clip(outward, -1, 1))).mean() < 3.0


def test_results_have_strain_by_name_and_another_process_has_the_same(phantom, tmp_path):
    from DeepRegLogic.service.exchange import pack_results, unpack_results

    motion = with_covariance(phantom.motion, 0.2)
    labels = Labels.of_map(phantom.labels[0], phantom.label_names)
    results = Results(motion, phantom.cine, labels, heart=HeartSettings(samples=8))
    strain = results.strain
    curve = results.curve("strain")["GCS"]
    assert curve.shape == (12, 3)
    np.testing.assert_array_equal(curve[:, 0], strain.curve("GCS").values)
    assert {"circumferentialStrain", "radialStrain"} <= set(results.maps)
    assert "longitudinalStrain" not in results.maps
    colored = results.map("circumferentialStrain")
    assert colored[strain.systole][strain.axes.wall].mean() == pytest.approx(curve[strain.systole, 0], abs=1e-3)
    assert not colored[:, ~strain.axes.wall].any()
    with pytest.raises(InputError, match="There is no longitudinal strain here"):
        results.map("longitudinalStrain")
    again = unpack_results(tmp_path, pack_results(tmp_path, results), Results(motion, phantom.cine, labels))
    assert again.strain_content == results.strain_content
    np.testing.assert_array_equal(
        again.curve("segmentStrain")["7 mid anterior"], results.curve("segmentStrain")["7 mid anterior"]
    )
    assert "strain" not in again.__dict__
    without = Results(motion, phantom.cine, Labels.of_map((phantom.labels[0] == 1).astype(np.uint8)))
    assert without.strain is None
    assert without.strain_content == {"note": "no label is that of the myocardium."}
    assert without.curve("strain") == {}


def test_the_worker_measures_strain_of_a_motion_that_is_there(phantom, tmp_path):
    import json

    from DeepRegLogic.progress import CancelToken
    from DeepRegLogic.service.calls import CALLS
    from DeepRegLogic.service.exchange import pack_drawn, pack_motion, unpack_array

    labels = Labels.of_map(phantom.labels[0], phantom.label_names)
    arguments = {"motion": pack_motion(tmp_path, phantom.motion), **pack_drawn(tmp_path, labels, None)}
    arguments["heart"] = {"level": "basal", "insertion": None}
    arguments = json.loads(json.dumps(arguments))
    found = CALLS["measure_strain"](tmp_path, arguments, progress=lambda f, t: None, cancel=CancelToken())
    found = json.loads(json.dumps(found))
    direct = strain_of(Results(phantom.motion, phantom.cine, labels), HeartSettings(level="basal"))
    curves = dict(found["curves"]["strain"])
    np.testing.assert_array_equal(unpack_array(tmp_path / "results", curves["GCS"]), direct.curve("GCS").values)
    assert set(found["maps"]) == {"circumferentialStrain", "radialStrain"}
    assert found["strain"]["levels"] == ["basal"]
    assert len(found["strain"]["segments"]) == 12


def test_the_command_writes_strain_with_units(phantom, tmp_path):
    import csv
    import json

    from DeepRegLogic import write_cine
    from DeepRegLogic.__main__ import main

    cine, labels = phantom.cine, phantom.labels[:1].astype(np.uint8)
    write_cine(tmp_path / "x.seq.nrrd", cine.frames, cine)
    write_cine(tmp_path / "l.nrrd", labels, Cine(labels, cine.grid))
    words = [
        "register",
        "--input",
        tmp_path / "x.seq.nrrd",
        "--output",
        tmp_path / "out",
        "--labels",
        tmp_path / "l.nrrd",
    ]
    words += [
        "--model",
        "dragnet-cardiac",
        "--quality",
        "fast",
        "--reference",
        "0",
        "--device",
        "cpu",
        "--myocardium",
        "2",
    ]
    assert main([str(word) for word in words]) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["strain"]["view"] == "short-axis"
    assert any("segments have no names" in note for note in report["strain"]["notes"])
    with open(tmp_path / "out" / "strain.csv", newline="", encoding="utf-8") as file:
        rows = {(row["curve"], row["definition"], row["figure"]): row for row in csv.DictReader(file)}
    row = rows["GCS", "mean of the tensor", "end-systolic"]
    assert row["unit"] == "%"
    assert float(row["value"]) < -2
    assert int(row["frame"]) == report["strain"]["end_systole_frame"]
    with open(tmp_path / "out" / "frames.csv", newline="", encoding="utf-8") as file:
        frames = list(csv.DictReader(file))
    assert float(frames[int(row["frame"])]["GCS percent"]) == pytest.approx(float(row["value"]), rel=1e-4)
