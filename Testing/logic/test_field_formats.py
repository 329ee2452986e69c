"""Fields in the formats of other programs: each applies our file as we warp, and what was written reads back."""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from made_fields import image_and_field
from made_geometry import SLICE, VOLUME, rotation
from processes import run

from DeepRegLogic import flow
from DeepRegLogic.errors import InputError
from DeepRegLogic.grid import Grid
from DeepRegLogic.io.field_formats import FIELD_FORMATS, FieldFormat, read_any_field, write_field_as
from DeepRegLogic.io.field_formats.fsl import fsl_matrix
from DeepRegLogic.results.resample import points_of, sample_at

NEEDS = {"fsl": "nibabel", "x5": "h5py"}
GRIDS = {"slice": SLICE, "volume": VOLUME}
RIGHT_HANDED = tuple(rotation(*np.deg2rad((30.0, -20.0, 15.0))).ravel())
MOVING = Grid((34, 30, 14), (1.3, 1.6, 3.5), tuple(VOLUME.voxel_to_mm(np.array((11, 1, 1)))), RIGHT_HANDED)
"""Another image, with axes of the other handedness."""


@pytest.fixture(params=GRIDS)
def grid(request) -> Grid:
    return GRIDS[request.param]


def save_image(path, image: np.ndarray, grid: Grid) -> None:
    out = sitk.GetImageFromArray(image.reshape(*reversed(grid.size)).astype(np.float32))
    out.SetSpacing(grid.spacing)
    out.SetOrigin(grid.origin)
    out.SetDirection(grid.direction)
    sitk.WriteImage(out, str(path))


def warped(image: np.ndarray, field: np.ndarray) -> np.ndarray:
    return flow.warp(torch.from_numpy(image)[None, None], torch.from_numpy(field)[None])[0, 0].numpy()


def interior(grid: Grid, field: np.ndarray) -> np.ndarray:
    """Where the place that is looked up lies half a voxel within the image; of a slice, in its plane."""
    places = np.indices(grid.shape) + field
    last = np.reshape(grid.shape, (-1, *[1] * grid.ndim)) - 1
    return np.all((places >= 0.5) & (places <= last - 0.5), axis=0)


def same(theirs: np.ndarray, image: np.ndarray, field: np.ndarray, grid: Grid) -> None:
    """They agree with our warp to 1e-3 of the range inside the image, where the motion shows."""
    inside, ours = interior(grid, field), warped(image, field)
    assert inside.mean() > 0.6
    assert np.abs(theirs.reshape(grid.shape) - ours)[inside].max() < 1e-3 * np.ptp(image)
    assert np.abs(image - ours)[inside].max() > 0.2 * np.ptp(image)


def written(name: str, tmp_path, grid: Grid, **more) -> tuple[object, np.ndarray, np.ndarray]:
    """A file of the format, and the image and the displacement that it was made for."""
    pytest.importorskip(NEEDS.get(name, "numpy"))
    image, field = image_and_field(grid)
    path = tmp_path / f"u{FIELD_FORMATS[name].suffix}"
    write_field_as(name, path, field, grid, **more)
    return path, image, field


@pytest.mark.parametrize("name", FIELD_FORMATS)
def test_what_was_written_is_read_back_as_what_it_is(tmp_path, name, grid):
    path, _, field = written(name, tmp_path, grid)
    assert [key for key, entry in FIELD_FORMATS.items() if entry.files.accepts(path)] == [name]
    back, where = read_any_field(path)
    assert where.size == grid.size
    assert where.matches(grid)
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, field, atol=5e-5)


@pytest.mark.parametrize("name", FIELD_FORMATS)
def test_fields_to_an_image_of_another_geometry(tmp_path, name):
    path, _, field = written(name, tmp_path, VOLUME, moving=MOVING)
    back, _ = read_any_field(path, MOVING)
    np.testing.assert_allclose(back, field, atol=1e-4)


@pytest.mark.parametrize("name", ["itk", "ants"])
def test_antsapplytransforms(tmp_path, grid, name):
    ants = pytest.importorskip("ants")
    path, image, field = written(name, tmp_path, grid)
    save_image(tmp_path / "image.nii.gz" if grid is VOLUME else tmp_path / "image.nrrd", image, grid)
    fixed = ants.image_read(str(next(tmp_path.glob("image.*"))), dimension=3)
    out = ants.apply_transforms(fixed, fixed, [str(path)], interpolator="linear")
    same(out.numpy().transpose(2, 1, 0), image, field, grid)


def test_antsapplytransforms_with_an_affine_matrix(tmp_path):
    ants = pytest.importorskip("ants")
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(0.03, -0.02, 0.05) * 1.02
    matrix[:3, 3] = VOLUME.voxel_to_mm(np.array(VOLUME.shape) / 2) - matrix[:3, :3] @ VOLUME.voxel_to_mm(
        np.array(VOLUME.shape) / 2
    )
    path, image, field = written("ants", tmp_path, VOLUME)
    FIELD_FORMATS["ants"].files.write_affine(tmp_path / "affine.mat", matrix, VOLUME, VOLUME)
    save_image(tmp_path / "image.nii.gz", image, VOLUME)
    fixed = ants.image_read(str(tmp_path / "image.nii.gz"))
    out = ants.apply_transforms(fixed, fixed, [str(path), str(tmp_path / "affine.mat")], interpolator="linear")
    points = points_of(VOLUME, field) @ matrix[:3, :3].T + matrix[:3, 3]
    total = VOLUME.mm_to_voxel(points).T.reshape(3, *VOLUME.shape) - np.indices(VOLUME.shape)
    same(out.numpy().transpose(2, 1, 0), image, total.astype(np.float32), VOLUME)


def test_transformix(tmp_path, grid, monkeypatch):
    itk = pytest.importorskip("itk")
    pytest.importorskip("itk.itkElastixRegistrationMethodPython")
    path, image, field = written("elastix", tmp_path, grid)
    save_image(tmp_path / "image.mha", image, grid)
    parameters = itk.ParameterObject.New()
    parameters.AddParameterFile(str(path))
    monkeypatch.chdir(tmp_path)  # where transformix looks for the field
    out = itk.transformix_filter(itk.imread("image.mha", itk.F), parameters, log_to_console=False)
    same(itk.array_from_image(out), image, field, grid)


def nibabel_image(image: np.ndarray, grid: Grid):
    nibabel = pytest.importorskip("nibabel")
    return nibabel.Nifti1Image(image.reshape(*reversed(grid.size)).transpose(2, 1, 0), grid.ras_matrix)


@pytest.mark.parametrize("name", ["x5", "ants"])
def test_nitransforms(tmp_path, grid, name):
    pytest.importorskip("nitransforms")
    from nitransforms.nonlinear import DenseFieldTransform
    from nitransforms.resampling import apply

    path, image, field = written(name, tmp_path, grid)
    transform = DenseFieldTransform.from_filename(str(path), fmt={"x5": "X5", "ants": "itk"}[name])
    pixels, size = (np.stack([image, image]), (*SLICE.size[:2], 2)) if grid is SLICE else (image, grid.size)
    stored = nibabel_image(pixels, Grid(size, grid.spacing, grid.origin, grid.direction))
    out = apply(transform, stored, order=1, prefilter=False, mode="nearest")  # rounding ends outside of a slice
    same(np.asarray(out.dataobj).transpose(2, 1, 0)[: grid.size[2]], image, field, grid)


def test_fsl_by_its_definition(tmp_path, grid):
    """applywarp: the voxel in FSL's mm, plus the relative displacement, is the place in the other image in its mm."""
    nibabel = pytest.importorskip("nibabel")
    from scipy.ndimage import map_coordinates

    path, image, field = written("fsl", tmp_path, grid)
    stored = nibabel.load(path)
    assert stored.header["intent_code"] == 2006
    zooms, size = np.array(stored.header.get_zooms()[:3]), np.array(stored.shape[:3])

    def flipped(index: np.ndarray) -> np.ndarray:
        index = index.copy()
        if np.linalg.det(stored.affine[:3, :3]) > 0:
            index[..., 0] = size[0] - 1 - index[..., 0]
        return index

    index = np.stack(np.meshgrid(*map(np.arange, size), indexing="ij"), axis=-1).astype(float)
    there = flipped((flipped(index) * zooms + stored.get_fdata()) / zooms)
    pixels = image.reshape(*reversed(grid.size)).transpose(2, 1, 0).astype(float)
    theirs = map_coordinates(pixels, np.moveaxis(there, -1, 0), order=1, mode="nearest")
    same(theirs.transpose(2, 1, 0), image, field, grid)


def test_fsl_between_images_of_both_handednesses_by_fslpy(tmp_path):
    pytest.importorskip("fsl.transform")
    from fsl.data.image import Image
    from fsl.transform.fnirt import fromFnirt, readFnirt

    path, _, field = written("fsl", tmp_path, VOLUME, moving=MOVING)
    image = image_and_field(MOVING)[0]
    fixed, moving = (Image(nibabel_image(pixels, where)) for pixels, where in ((field[0], VOLUME), (image, MOVING)))
    theirs = fromFnirt(readFnirt(str(path), moving, fixed), "world", "world")
    points = points_of(VOLUME)
    ras = points * (-1, -1, 1)
    found = np.asarray(theirs.transform(ras, "world", "world"))
    known = np.isfinite(found).all(axis=1)
    assert known.mean() > 0.95
    np.testing.assert_allclose(found[known] * (-1, -1, 1), points_of(VOLUME, field)[known], atol=2e-3)
    ours, inside = sample_at(image, MOVING, points_of(VOLUME, field))
    assert inside.mean() > 0.3
    assert np.ptp(ours[inside]) > 0.5 * np.ptp(image)


def test_fsl_counts_from_the_other_end_where_axes_are_right_handed():
    """LPS axes without rotation have a determinant above 0 in RAS, too: x is counted from the last voxel."""
    grid = Grid((10, 8, 6), (2.0, 3.0, 4.0))
    np.testing.assert_allclose(fsl_matrix(grid) @ (0, 0, 0, 1), (18, 0, 0, 1))
    np.testing.assert_allclose(fsl_matrix(grid) @ (2, 3, 4, 1), (16, 3, 4, 1))
    turned = Grid((10, 8, 6), (2.0, 3.0, 4.0), direction=(-1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0))
    np.testing.assert_allclose(fsl_matrix(turned) @ (-2, 3, 4, 1), (2, 3, 4, 1))


def test_flirt_matrix_goes_from_moving_to_fixed(tmp_path):
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation(0.1, -0.2, 0.05), (3.0, -2.0, 5.0)
    FIELD_FORMATS["fsl"].files.write_affine(tmp_path / "a.mat", matrix, VOLUME, MOVING)
    point = np.array((-50.0, 30.0, 12.0, 1.0))
    back = np.loadtxt(tmp_path / "a.mat") @ fsl_matrix(MOVING) @ matrix @ point
    np.testing.assert_allclose(back, fsl_matrix(VOLUME) @ point, atol=1e-6)


def test_x5_matrix_of_nitransforms(tmp_path):
    pytest.importorskip("nitransforms")
    from nitransforms.linear import Affine

    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation(0.1, -0.2, 0.05), (3.0, -2.0, 5.0)
    FIELD_FORMATS["x5"].files.write_affine(tmp_path / "a.x5", matrix, VOLUME, VOLUME)
    point = np.array((-50.0, 30.0, 12.0))
    theirs = Affine.from_filename(tmp_path / "a.x5", fmt="X5").map((point * (-1, -1, 1))[None])[0]
    np.testing.assert_allclose(theirs * (-1, -1, 1), matrix[:3, :3] @ point + matrix[:3, 3], atol=1e-6)


def test_elastix_matrix_of_transformix(tmp_path):
    itk = pytest.importorskip("itk")
    pytest.importorskip("itk.itkElastixRegistrationMethodPython")
    centre = VOLUME.voxel_to_mm(np.array(VOLUME.shape) / 2)
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(0.05, -0.08, 0.1)
    matrix[:3, 3] = centre - matrix[:3, :3] @ centre + (1.0, -1.5, 2.0)
    FIELD_FORMATS["elastix"].files.write_affine(tmp_path / "a.txt", matrix, VOLUME, VOLUME)
    image, _ = image_and_field(VOLUME)
    save_image(tmp_path / "image.mha", image, VOLUME)
    parameters = itk.ParameterObject.New()
    parameters.AddParameterFile(str(tmp_path / "a.txt"))
    out = itk.transformix_filter(itk.imread(str(tmp_path / "image.mha"), itk.F), parameters, log_to_console=False)
    points = points_of(VOLUME) @ matrix[:3, :3].T + matrix[:3, 3]
    field = VOLUME.mm_to_voxel(points).T.reshape(3, *VOLUME.shape) - np.indices(VOLUME.shape)
    same(itk.array_from_image(out), image, field.astype(np.float32), VOLUME)


def test_composites_of_itk_become_one_field(tmp_path):
    """What ANTs writes: an affine matrix after a field."""
    _, field = image_and_field(VOLUME)
    write_field_as("nrrd", tmp_path / "u.nrrd", field, VOLUME)
    part = sitk.DisplacementFieldTransform(sitk.ReadImage(str(tmp_path / "u.nrrd"), sitk.sitkVectorFloat64))
    shift = sitk.AffineTransform(3)
    shift.SetTranslation((1.5, -2.0, 0.5))
    sitk.WriteTransform(sitk.CompositeTransform([shift, part]), str(tmp_path / "c.h5"))
    back, grid = read_any_field(tmp_path / "c.h5")
    moved = points_of(VOLUME, field) + np.array((1.5, -2.0, 0.5))
    np.testing.assert_allclose(points_of(grid, back), moved, atol=1e-3)


def test_one_slice_of_other_writers(tmp_path):
    """A NIfTI file of vectors on one slice, as nibabel writes it, lies where its header says."""
    nibabel = pytest.importorskip("nibabel")
    _, field = image_and_field(SLICE)
    vectors = np.moveaxis(flow.to_mm(field, SLICE), 0, -1).transpose(1, 0, 2)[:, :, None, None]
    image = nibabel.Nifti1Image(vectors.astype(np.float32), SLICE.ras_matrix)
    image.header.set_intent("vector")
    nibabel.save(image, tmp_path / "u.nii.gz")
    back, grid = read_any_field(tmp_path / "u.nii.gz")
    assert grid.size == SLICE.size
    assert grid.matches(SLICE)
    np.testing.assert_allclose(back, field, atol=5e-5)


def test_places_instead_of_displacements_in_x5(tmp_path):
    h5py = pytest.importorskip("h5py")
    path, _, field = written("x5", tmp_path, VOLUME)
    with h5py.File(path, "r+") as file:
        group = file["TransformGroup/0"]
        group.attrs["Representation"] = "deformations"
        index = np.stack(np.meshgrid(*map(np.arange, VOLUME.size), indexing="ij"), axis=-1)
        ras = index @ VOLUME.ras_matrix[:3, :3].T + VOLUME.ras_matrix[:3, 3]
        group["Transform"][...] = group["Transform"][...] + ras
    np.testing.assert_allclose(read_any_field(path)[0], field, atol=1e-4)


def test_what_is_no_field_is_told_in_a_sentence(tmp_path):
    (tmp_path / "a.txt").write_text("hello")
    (tmp_path / "b.txt").write_text('(Transform "BSplineTransform")\n')
    (tmp_path / "c.txt").write_text(
        '(Transform "DeformationFieldTransform")\n(DeformationFieldFileName "f.mha")\n'
        '(InitialTransformParameterFileName "first.txt")\n'
    )
    (tmp_path / "d.x5").write_text("hello")
    (tmp_path / "e.nii.gz").write_text("hello")
    for name, words in (
        ("a.txt", "no displacement field that is known"),
        ("b.txt", "holds a BSplineTransform, not a field"),
        ("c.txt", r"comes after the transform 'first\.txt'"),
        ("e.nii.gz", "no displacement field that is known"),
        ("none.x5", "no file"),
    ):
        with pytest.raises(InputError, match=words):
            read_any_field(tmp_path / name)
    pytest.importorskip("h5py")
    with pytest.raises(InputError, match="cannot be read as an X5 field"):
        read_any_field(tmp_path / "d.x5")
    _, field = image_and_field(VOLUME)
    with pytest.raises(InputError, match=r"suffix \.x5"):
        write_field_as("x5", tmp_path / "u.h5", field, VOLUME)
    with pytest.raises(InputError, match="no field format 'ant'"):
        write_field_as("ant", tmp_path / "u.nii.gz", field, VOLUME)
    with pytest.raises(InputError, match="does not fit"):
        write_field_as("ants", tmp_path / "u.nii.gz", field[:, 1:], VOLUME)
    with pytest.raises(InputError, match="not written"):
        write_field_as("ants", tmp_path / "u.nii.gz", np.full_like(field, np.nan), VOLUME)
    assert sorted(os.listdir(tmp_path)) == ["a.txt", "b.txt", "c.txt", "d.x5", "e.nii.gz"]


def test_names_of_formats_are_known_before_anything_heavy_is_loaded():
    heavy = ("torch", "SimpleITK", "nibabel", "h5py", "monai")
    code = f"""
import sys
sys.modules.update(dict.fromkeys({heavy}))
from DeepRegLogic.io.field_formats import FIELD_FORMATS
print(",".join(FIELD_FORMATS))
"""
    done = run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])})
    assert done.stdout.strip() == "nrrd,itk,ants,fsl,elastix,x5", done.stderr


def test_a_format_of_ones_own(tmp_path, monkeypatch):
    module = types.ModuleType("made_format")
    module.accepts = lambda path: path.suffix == ".npz"
    module.read = lambda path, moving: (np.load(path)["field"], VOLUME)
    module.write = lambda path, displacement, grid, moving: np.savez(path, field=displacement)
    module.write_affine = lambda path, matrix, grid, moving: np.savetxt(path, matrix)
    monkeypatch.setitem(sys.modules, "made_format", module)
    FIELD_FORMATS.add("made", FieldFormat("A program of ours", ".npz", ".txt", "made_format"))
    try:
        _, field = image_and_field(VOLUME)
        write_field_as("made", tmp_path / "u.npz", field, VOLUME)
        np.testing.assert_array_equal(read_any_field(tmp_path / "u.npz")[0], field)
    finally:
        FIELD_FORMATS.remove("made")
