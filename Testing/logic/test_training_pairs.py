"""Training pairs: folders of one's own, one orientation, labels at half the resolution, what is left out by name."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from DeepRegLogic.errors import InputError
from DeepRegLogic.networks import build
from DeepRegLogic.training.configuration import Configuration, DataConfiguration, LossConfiguration
from DeepRegLogic.training.layouts import LAYOUTS
from DeepRegLogic.training.pairs import STRUCTURES, PairBatches, PairItems, ValidationPairs, _contrast, structures
from DeepRegLogic.training.tasks.registration import RegistrationTask, soft_dice
from DeepRegLogic.training.tasks.surfaces import surface_distance
from DeepRegLogic.training.volumes import read_volumes
from DeepRegLogic.transformations import StationaryVelocity

SHAPES = DataConfiguration("shapes", size=(25, 17, 21))


def write(path, array, spacing=(1.0, 1.0, 1.0), direction=None):
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    if direction is not None:
        image.SetDirection(direction)
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))


@pytest.fixture
def folder(tmp_path):
    """Three boxes of two labels, of one group; the last in other axes than the first two."""
    pixels = np.zeros((20, 24, 28), np.float32)
    labels = np.zeros(pixels.shape, np.uint8)
    labels[5:15, 6:12, 7:20], labels[5:15, 12:18, 7:20] = 1, 2
    pixels += labels
    for name in ("first", "second"):
        write(tmp_path / "images" / "box" / f"{name}.nii.gz", pixels, (1.0, 2.0, 3.0))
        write(tmp_path / "labels" / "box" / f"{name}.nii.gz", labels, (1.0, 2.0, 3.0))
    turned = (0.0, 0.0, -1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0)  # i along P, j along S, k along R
    write(tmp_path / "images" / "box" / "third.mha", np.flip(pixels, 2).transpose(2, 0, 1), (2.0, 3.0, 1.0), turned)
    return tmp_path


def own(folder, **more):
    return replace(SHAPES, folder=str(folder), real=1.0, **more)


def test_images_of_a_folder_are_turned_to_one_orientation(folder):
    first, second, third = read_volumes(own(folder))
    assert [v.name for v in (first, second, third)] == ["first", "second", "third"]
    assert {v.group for v in (first, second, third)} == {"box"}
    assert first.spacing == (3.0, 2.0, 1.0)
    assert torch.equal(first.image, second.image)
    assert first.labels is not None
    assert first.labels.unique().tolist() == [0, 1, 2]
    assert first.centre.tolist() == pytest.approx([9.5, 11.5, 13.0])
    assert third.labels is None
    assert third.image.shape == first.image.shape
    assert torch.equal(third.image, first.image)
    assert third.spacing == (3.0, 2.0, 1.0)


def test_what_is_left_out_is_not_read(folder):
    (folder / "images" / "box" / "second.nii.gz").write_text("damaged")
    assert [v.name for v in read_volumes(own(folder, left_out=("second",)))] == ["first", "third"]
    with pytest.raises(InputError, match=r"'data.left_out' names fourth, which"):
        read_volumes(own(folder, left_out=("fourth",)))


def test_a_folder_that_does_not_serve(folder, tmp_path):
    with pytest.raises(InputError, match="holds no images in the layout 'folder'"):
        read_volumes(own(tmp_path / "nothing"))
    with pytest.raises(InputError, match="no layout 'bids'"):
        read_volumes(own(folder, layout="bids"))
    with pytest.raises(InputError, match=r"has 3 spatial axes; 'data.size' asks for 2"):
        read_volumes(own(folder, size=(32, 32)))


def test_pairs_of_subjects_lie_near_each_other(folder):
    items = PairItems(own(folder), read_volumes(own(folder, left_out=("third",))))
    for number in range(4):
        batch = items(number)
        assert batch["reference"].shape == (1, 1, 25, 17, 21)
        assert batch["frames"].shape == (1, 1, 1, 25, 17, 21)
        assert batch["frames_labels"].shape == batch["reference_labels"].shape == (1, 3, 13, 9, 11)
        assert float(soft_dice(batch["frames_labels"], batch["reference_labels"])) > 0.5
        again = items(number)
        assert all(torch.equal(batch[key], again[key]) for key in batch)


def test_pairs_without_labels_have_images_alone(folder):
    for path in (folder / "labels").rglob("*.nii.gz"):
        path.unlink()
    batches = iter(PairBatches(PairItems(own(folder), read_volumes(own(folder))), 2, seed=1, first=0))
    batch = next(batches)
    assert set(batch) == {"reference", "frames"}
    assert batch["frames"].shape == (2, 1, 1, 25, 17, 21)


def test_batches_go_on_where_a_run_stopped_and_validation_is_apart():
    items = PairItems(replace(SHAPES, size=(33, 33)), [])
    batches = iter(PairBatches(items, 2, seed=3, first=0))
    next(batches)
    second, resumed = next(batches), next(iter(PairBatches(items, 2, seed=3, first=1)))
    assert all(torch.equal(second[key], resumed[key]) for key in second)
    assert second["frames_labels"].shape[:2] == second["reference_labels"].shape[:2]
    validation = ValidationPairs(items, 2)
    assert len(list(validation)) == 2
    assert not torch.equal(validation[0]["reference"], items(0)["reference"])


def test_structures_are_few_and_add_up():
    labels = torch.randint(0, 60, (2, 17, 17), generator=torch.Generator().manual_seed(0))
    for seed in range(4):
        maps = structures(labels, torch.Generator().manual_seed(seed))
        assert maps.shape == (2, STRUCTURES, 9, 9)
        assert float(maps.sum(1).max()) <= 1 + 1e-6
    few = structures(labels % 3, torch.Generator())
    assert few.shape == (2, 3, 9, 9)
    assert torch.allclose(few.sum(1), torch.ones(2, 9, 9))
    assert few[0, 1, 4, 4] == pytest.approx(float((labels[0, 7:10, 7:10] % 3 == 1).float().mean()))


def test_surfaces_are_as_far_apart_as_they_were_shifted():
    def box(start, stop):
        maps = torch.zeros(1, 2, 24, 24, 24)
        maps[0, 0, start:stop, 6:18, 6:18] = 1  # the second structure is in neither
        return maps

    moving, fixed = box(9, 19), box(6, 16)
    still = torch.zeros(1, 3, 24, 24, 24)
    shift = still.clone()
    shift[:, 0] = 3.0
    assert float(surface_distance(shift, moving, fixed)) == 0
    apart = float(surface_distance(still, moving, fixed))
    # of 640 border voxels: the first end at 3, its sides at 2 and 1, the other end inside, as near as its rim is
    assert apart == pytest.approx((144 * 9 + 44 * (4 + 1) + 36 * 1 + 28 * 4 + 36 * 9) / 640, rel=1e-5)
    assert float(surface_distance(still, box(0, 0), fixed)) == 0
    half = (0.5 * shift).requires_grad_()
    surface_distance(half, moving, fixed).backward()
    assert float(half.grad[:, 0].sum()) < 0  # further along would be nearer
    task = RegistrationTask(
        build("voxelmorph", ndim=3, channels=(4, 4)),
        Configuration(
            "s", "S", "S.", "voxelmorph", data=SHAPES, loss=LossConfiguration(image=0.0, surface=2.0, direction="both")
        ),
    )
    batch = {"reference": fixed[:, :1], "frames": moving[:, None, :1]}
    batch |= {"reference_labels": fixed, "frames_labels": moving}
    terms = task.loss_terms(StationaryVelocity(still), batch)
    assert float(terms["surface"]) == pytest.approx(
        apart + float(surface_distance(still, fixed, moving)), rel=1e-5
    )  # 2 times the mean


def test_the_share_of_recoloured_images_is_what_is_asked_for():
    image, labels = torch.rand(12, 12), torch.ones(12, 12, dtype=torch.int64)
    for share in (0.0, 0.5, 1.0):
        same = [
            torch.equal(_contrast(image, labels, torch.Generator().manual_seed(seed), share), image)
            for seed in range(200)
        ]
        assert 1 - np.mean(same) == pytest.approx(share, abs=0.1)


def test_the_dice_coefficient_of_boxes():
    a, b = torch.zeros(2, 1, 2, 8, 8).unbind()
    a[0, 0, :, :4] = 1
    b[0, 0, :, 2:6] = 1
    assert float(soft_dice(a, b)) == pytest.approx(0.5)  # the second structure is nowhere


@pytest.mark.parametrize(
    ("layout", "files", "expected"),
    [
        (
            "learn2reg",
            ["imagesTr/OASIS_0001_0000.nii.gz", "labelsTr/OASIS_0001_0000.nii.gz", "imagesTr/OASIS_0002_0000.nii.gz"],
            [("OASIS_0001", "", True), ("OASIS_0002", "", False)],
        ),
        ("ixi", ["IXI012-HH-1211-T1.nii.gz", "IXI012-HH-1211-T1_seg.nii.gz"], [("IXI012", "", True)]),
        (
            "acdc",
            [f"training/patient001/patient001_{n}.nii.gz" for n in ("4d", "frame01", "frame01_gt", "frame12")],
            [("patient001_frame01", "patient001", True), ("patient001_frame12", "patient001", False)],
        ),
        (
            "mnms",
            [f"A0S9V9/A0S9V9_SA_{n}.nii.gz" for n in ("ED", "ED_gt", "ES", "ES_gt")] + ["A0S9V9/A0S9V9_SA_CINE.nii.gz"],
            [("A0S9V9_SA_ED", "A0S9V9", True), ("A0S9V9_SA_ES", "A0S9V9", True)],
        ),
        (
            "lpba40",
            ["S01/S01.delineation.skullstripped.nii.gz", "S01/S01.delineation.structure.label.nii.gz"],
            [("S01", "", True)],
        ),
    ],
)
def test_the_layouts_of_public_data_sets(tmp_path, layout, files, expected):
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = LAYOUTS[layout](tmp_path)
    assert [(case.name, case.group, case.labels is not None) for case in found] == expected
