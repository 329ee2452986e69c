"""Results as DICOM: in the study of the source, readable by others, and what the results say."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
from made_dicom import write_enhanced, write_slice
from made_fields import smooth_field
from processes import run
from pydicom.uid import generate_uid

from DeepRegLogic import Cine, InputError, Labels, Motion, Results, flow, move_points, read_cine, read_image
from DeepRegLogic.cli import main
from DeepRegLogic.results.curves import CURVES
from DeepRegLogic.results.dicom import write_dicom
from DeepRegLogic.results.quality import frame_quality
from DeepRegLogic.results.resample import points_of

pytest.importorskip("highdicom")

SHAPE, PHASES, SLICES = (24, 20), 4, 3
WHOLE = {
    "PatientName": "Doe^Jane", "PatientID": "p-17", "PatientBirthDate": "19700101", "PatientSex": "F",
    "StudyID": "5", "StudyDate": "20200102", "StudyTime": "101500", "AccessionNumber": "a9",
    "ReferringPhysicianName": "", "FrameOfReferenceUID": "1.2.3.99", "HeartRate": "75", "Manufacturer": "Maker",
    "ImageType": ["ORIGINAL", "PRIMARY", "M"], "ScanningSequence": "GR", "SequenceVariant": "SS", "ScanOptions": "CG",
    "MRAcquisitionType": "2D", "EchoTime": "1.5", "EchoTrainLength": "1", "RepetitionTime": "3.2",
    "PositionReferenceIndicator": "", "Laterality": "", "SeriesDate": "20200102", "SeriesTime": "101600",
    "PatientPosition": "HFS", "ContentDate": "20200102", "ContentTime": "101700",
}  # fmt: skip


def pixels_of(phase: int, position: int) -> np.ndarray:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    radius = np.hypot(y - SHAPE[0] / 2, x - SHAPE[1] / 2)
    return (600.0 * (radius < 7 - phase % 3) + 20 * position + 100 + 30 * np.cos(x / 2)).astype(np.int16)


def write_series(folder: Path, slices: int = SLICES, **extra: object) -> Path:
    folder.mkdir()
    for k in range(slices):
        for t in range(PHASES):
            write_slice(folder / f"{t}-{k}.dcm", t, k, pixels=pixels_of(t, k), **{**WHOLE, **extra})
    return folder


def results_of(cine: Cine) -> Results:
    shape = cine.grid.shape
    velocity = smooth_field(shape, 1.2, sigma=3.0, count=len(cine), border=False)
    velocity[1] = 0
    motion = Motion(cine.grid, 1, flow.exp(velocity).numpy(), flow.exp(-velocity).numpy(), cine.times, name=cine.name)
    labels = np.zeros(shape, np.uint8)
    labels[..., 8:16, 6:14] = 2
    labels[..., 10:14, 8:12] = 1
    found = Results(motion, cine, Labels.of_map(labels, {1: "LV blood", 2: "wall"}))
    from dataclasses import replace

    return found.with_motion(replace(motion, quality=frame_quality(found)))


@pytest.fixture(scope="module", params=[1, SLICES], ids=["slice", "stack"])
def written(request, tmp_path_factory) -> tuple[Path, Path, Results]:
    """The source, the folder written, and the results."""
    home = tmp_path_factory.mktemp("dicom")
    source = write_series(home / "source", request.param)
    results = results_of(read_cine(source))
    write_dicom(results, home / "out")
    return source, home / "out", results


def read(folder: Path, name: str) -> pydicom.Dataset:
    return pydicom.dcmread(folder / name)


def test_every_object_belongs_to_the_patient_and_the_study(written):
    source, folder, _ = written
    first = pydicom.dcmread(next(source.iterdir()))
    files = sorted(folder.rglob("*.dcm"))
    uids = {}
    for path in files:
        found = pydicom.dcmread(path)
        for keyword in (
            "PatientName",
            "PatientID",
            "PatientBirthDate",
            "StudyInstanceUID",
            "StudyDate",
            "AccessionNumber",
        ):
            assert found[keyword].value == first[keyword].value, (path, keyword)
        assert found.SeriesInstanceUID != first.SeriesInstanceUID
        assert found.file_meta.MediaStorageSOPInstanceUID == found.SOPInstanceUID
        uids[found.SOPInstanceUID] = path
    assert len(uids) == len(files)
    assert len({pydicom.dcmread(path).SeriesInstanceUID for path in files}) == 4


def test_segmentations_are_the_carried_labels(written):
    import highdicom

    _, folder, results = written
    for t in range(PHASES):
        found = highdicom.seg.segread(folder / f"segmentation_{t:03d}.dcm")
        assert [found.get_segment_description(n).segment_label for n in (1, 2)] == ["LV blood", "wall"]
        volume = found.get_volume(combine_segments=False)
        theirs = np.moveaxis(volume.array, -1, 0) > 0
        ours = results.carried[:, t].reshape(2, -1, *SHAPE) > 0
        places = volume.map_indices_to_reference(np.array([[k, 0, 0] for k in range(theirs.shape[1])]))
        index = results.motion.grid.matrix[:3, 2] @ (places - np.array(results.motion.grid.origin)).T
        index = np.rint(index / results.motion.grid.spacing[2] ** 2).astype(int)  # slices may come in another order
        np.testing.assert_array_equal(theirs, ours[:, index])
        uids = {image.SOPInstanceUID for image in frame_images(written, t)}
        (series,) = found.ReferencedSeriesSequence
        assert {item.ReferencedSOPInstanceUID for item in series.ReferencedInstanceSequence} == uids


def frame_images(written, t: int) -> list[pydicom.Dataset]:
    return [pydicom.dcmread(path, stop_before_pixels=True) for path in sorted(written[0].glob(f"{t}-*.dcm"))]


def test_measurements_are_the_curves(written):
    import highdicom

    _, folder, results = written
    report = highdicom.sr.srread(folder / "measurements.dcm")
    unit = "mm2" if results.motion.grid.ndim == 2 else "ml"
    everything = report.content.get_image_measurement_groups()
    assert len(everything) == PHASES * sum(len(series) for series in results.curves.values())
    sizes = CURVES["sizes"].title_of(results.motion.grid)
    groups = [group for group in everything if group.tracking_identifier.endswith(f", {sizes}")]
    assert len(groups) == 2 * PHASES
    found: dict[str, list[float]] = {}
    for group in groups:
        name = "Area" if unit == "mm2" else "Volume"
        (measurement,) = (one for one in group.get_measurements() if one.name.meaning == name)
        assert measurement.unit.value == unit
        found.setdefault(group.tracking_identifier, []).append(measurement.value)
    for (name, values), (key, curve) in zip(found.items(), results.curve("sizes").items(), strict=True):
        assert name.startswith(results.label_names[key])
        np.testing.assert_allclose(values, curve, rtol=1e-6)


def test_the_registration_takes_points_where_the_motion_takes_them(written):
    _, folder, results = written
    grid = results.motion.grid
    for t in (0, 2, 3):
        found = read(folder, f"motion_{t:03d}.dcm")
        assert found.FrameOfReferenceUID == "1.2.3.99"
        (item,) = found.DeformableRegistrationSequence
        assert item.SourceFrameOfReferenceUID == "1.2.3.99"
        names = {image.ReferencedSOPInstanceUID for image in item.ReferencedImageSequence}
        assert names == {image.SOPInstanceUID for image in frame_images(written, t)}
        (stored,) = item.DeformableRegistrationGridSequence
        i, j, k = stored.GridDimensions
        vectors = np.frombuffer(stored.VectorGridData, "<f4").reshape(k, j, i, 3)
        axes = np.array(stored.ImageOrientationPatient, float).reshape(2, 3)
        axes = np.vstack([axes, np.cross(*axes)]) * np.array(stored.GridResolution)[:, None]
        index = np.stack(np.meshgrid(np.arange(k), np.arange(j), np.arange(i), indexing="ij"), axis=-1)[..., ::-1]
        points = np.array(stored.ImagePositionPatient, float) + index @ axes
        np.testing.assert_allclose(points.reshape(-1, 3), points_of(grid), atol=1e-4)
        moved = (points + vectors).reshape(-1, 3)
        np.testing.assert_allclose(moved, move_points(results.motion, points_of(grid), t), atol=1e-3)
    assert not (folder / "motion_001.dcm").exists()


def test_the_derived_series_is_the_compensated_cine(written):
    source, folder, results = written
    back = read_cine(folder / "compensated")
    assert back.grid.matches(results.motion.grid)
    np.testing.assert_allclose(back.times, results.cine.times)
    np.testing.assert_allclose(back.frames, results.compensated, atol=0.5001)
    one = pydicom.dcmread(next((folder / "compensated").iterdir()))
    assert list(one.ImageType[:2]) == ["DERIVED", "SECONDARY"]
    assert one.SourceImageSequence[0].ReferencedSOPInstanceUID in {
        pydicom.dcmread(path).SOPInstanceUID for path in source.iterdir()
    }


def test_dciodvfy_finds_no_error(written):
    program = shutil.which("dciodvfy")
    if program is None:
        pytest.skip("dicom3tools is not installed")
    _, folder, _ = written
    for name in ("segmentation_002.dcm", "measurements.dcm", "motion_002.dcm", "compensated/002.dcm"):
        done = run([program, str(folder / name)])
        told = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]
        assert told == [], name


def test_an_enhanced_file(tmp_path):
    known = {key: WHOLE[key] for key in ("PatientName", "PatientID", "FrameOfReferenceUID")}
    path = write_enhanced(tmp_path / "e.dcm", **known)
    cine = read_cine(path)
    shape = cine.grid.shape
    still = np.zeros((4, 3, *shape), np.float32)
    still[2, 2] = 1.0  # a column to the right
    motion = Motion(cine.grid, 0, still, -still, cine.times)
    labels = np.zeros(shape, np.uint8)
    labels[:, 2:4, 3:6] = 1
    found = Results(motion, cine, Labels.of_map(labels))
    write_dicom(
        found.with_motion(Motion(cine.grid, 0, still, -still, cine.times, quality=frame_quality(found))),
        tmp_path / "out",
    )
    back = read_cine(next((tmp_path / "out" / "compensated").iterdir()))
    np.testing.assert_allclose(back.frames, found.compensated, atol=1.001)  # stored with a slope of 2
    assert len(list((tmp_path / "out").glob("segmentation_*.dcm"))) == 4


def test_a_pair_has_its_motion_and_its_matrix(tmp_path):
    for name, uid in (("fixed", "1.2.3.99"), ("moving", "1.2.3.98")):
        (tmp_path / name).mkdir()
        for k in range(SLICES):
            own = {**WHOLE, "FrameOfReferenceUID": uid, "series": f"1.2.{uid[-2:]}"}
            write_slice(tmp_path / name / f"{k}.dcm", 0, k, pixels=pixels_of(0, k), **own)
    from DeepRegLogic.registration.pair import pair_cine

    fixed, moving = read_image(tmp_path / "fixed"), read_image(tmp_path / "moving")
    cine = pair_cine(fixed, moving)
    matrix = np.eye(4)
    matrix[:3, 3] = (3.0, -1.0, 2.0)
    shift = np.zeros((2, 3, *cine.grid.shape), np.float32)
    shift[1] = (cine.grid.mm_to_voxel(np.add(cine.grid.origin, matrix[:3, 3]))).reshape(3, 1, 1, 1)
    write_dicom(Results(Motion(cine.grid, 0, shift, -shift, affine=matrix), cine), tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["affine_001.dcm", "motion_001.dcm"]
    first, second = read(tmp_path / "out", "affine_001.dcm").RegistrationSequence
    assert (first.FrameOfReferenceUID, second.FrameOfReferenceUID) == ("1.2.3.99", "1.2.3.98")
    step = second.MatrixRegistrationSequence[0].MatrixSequence[0].FrameOfReferenceTransformationMatrix
    np.testing.assert_allclose(np.array(step, float).reshape(4, 4) @ matrix, np.eye(4), atol=1e-9)
    (item,) = read(tmp_path / "out", "motion_001.dcm").DeformableRegistrationSequence
    assert item.SourceFrameOfReferenceUID == "1.2.3.98"
    program = shutil.which("dciodvfy")
    for path in (tmp_path / "out").iterdir() if program else ():
        done = run([program, str(path)])
        assert "Error" not in done.stdout + done.stderr, path


def test_without_an_identity_nothing_is_written(beating, tmp_path):
    cine, motion, _ = beating
    with pytest.raises(InputError, match="'disc' was not read from DICOM"):
        write_dicom(Results(motion, cine), tmp_path / "out")
    source = write_series(tmp_path / "nowhere", 1, FrameOfReferenceUID=None)
    with pytest.raises(InputError, match="have no FrameOfReferenceUID"):
        write_dicom(results_of(read_cine(source)), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_missing_packages_are_told(written, tmp_path, monkeypatch):
    monkeypatch.setattr(pydicom, "__version__", "2.4.4")
    with pytest.raises(InputError, match="needs pydicom 3 and highdicom"):
        write_dicom(written[2], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_broken_dates_and_identifiers_of_a_scanner_do_not_stop_it(tmp_path):
    source = write_series(
        tmp_path / "s", 1, PatientBirthDate="00000000", StudyDate="20120000", FrameOfReferenceUID="1.2.03.4"
    )
    write_dicom(results_of(read_cine(source)), tmp_path / "out")
    found = read(tmp_path / "out", "motion_000.dcm")
    assert found.PatientBirthDate == found.StudyDate == ""
    assert found.FrameOfReferenceUID == "1.2.03.4"


def test_register_writes_dicom_and_says_in_its_report_what_it_was_given(tmp_path, capsys):
    import json

    source = write_series(tmp_path / "source", 1, StudyInstanceUID=generate_uid())
    arguments = ["--input", str(source), "--reference", "0", "--model", "none", "--device", "cpu", "--dicom"]
    assert main(["register", *arguments, "--output", str(tmp_path / "out")]) == 0
    content = json.loads((tmp_path / "out" / "report.json").read_text())
    assert content["input"]["modality"] == "MR"
    assert content["input"]["heart_rate_bpm"] == 75.0
    assert content["input"]["series_uid"] == "1.2.3.4"
    assert "dicom/motion_002.dcm" in content["files"]
    assert "dicom/compensated/000.dcm" in content["files"]


def test_register_refuses_dicom_before_the_work(beating, tmp_path, capsys):
    from DeepRegLogic import write_cine

    cine = beating[0]
    write_cine(tmp_path / "disc.seq.nrrd", cine.frames, cine)
    arguments = ["--input", str(tmp_path / "disc.seq.nrrd"), "--output", str(tmp_path / "out"), "--dicom"]
    assert main(["register", *arguments]) == 1
    told = capsys.readouterr()
    assert "was not read from DICOM" in told.err
    assert "Checking" not in told.out
    assert not (tmp_path / "out").exists()
