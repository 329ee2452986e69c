"""What the frames of a multi-frame file are: read as such, or refused by name."""

from __future__ import annotations

import numpy as np
import pytest
from made_dicom import CORNER, NORMAL, ORIENTATION, _item, slice_pixels, write_enhanced, write_plain, write_ultrasound
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    NuclearMedicineImageStorage,
    RTDoseStorage,
    SegmentationStorage,
    XRayAngiographicImageStorage,
)

from DeepRegLogic.errors import InputError
from DeepRegLogic.io import read_cine, read_image

PLACE = {"ImagePositionPatient": CORNER.tolist(), "ImageOrientationPatient": list(ORIENTATION)}


def stacked(places) -> np.ndarray:
    """Frames that say which (phase, position) they are."""
    return np.stack([slice_pixels(t, k) for t, k in places]).astype(np.uint16)


def shown(cine) -> list[list[int]]:
    return [[int(plane.ravel()[0]) for plane in frame.reshape(-1, 6, 8)] for frame in cine.frames]


def wanted(phases: int, positions: int) -> list[list[int]]:
    return [[1000 * t + 100 * k for k in range(positions)] for t in range(phases)]


def nuclear(path, places, pointer, **extra):
    detector = _item(**PLACE)
    return write_plain(
        path, NuclearMedicineImageStorage, stacked(places), pointer,
        **{"Modality": "NM", "DetectorInformationSequence": detector, "SpacingBetweenSlices": 4, **extra},
    )  # fmt: skip


@pytest.mark.parametrize("timed", [True, False])
def test_gates_of_slices(tmp_path, timed):
    places = [(t, k) for t in range(4) for k in range(3)]
    vectors = {"TimeSlotVector": [t + 1 for t, _ in places], "SliceVector": [k + 1 for _, k in places]}
    if timed:
        data = _item(FrameTime=50)
        gate = Dataset()
        gate.DataInformationSequence = data
        vectors["GatedInformationSequence"] = Sequence([gate])
    cine = read_cine(nuclear(tmp_path / "g.dcm", places, ("TimeSlotVector", "SliceVector"), **vectors))
    assert shown(cine) == wanted(4, 3)
    assert cine.time_unit == ("s" if timed else "")
    np.testing.assert_allclose(cine.times, np.arange(4) * (0.05 if timed else 1))
    assert cine.grid.spacing == (1.25, 1.5, 4.0)
    np.testing.assert_allclose(cine.grid.origin, CORNER)
    np.testing.assert_allclose(cine.grid.voxel_to_mm((2, 0, 0)), CORNER + 8 * NORMAL, atol=1e-6)


def test_dynamic_slices_of_two_phases(tmp_path):
    places = [(t, k) for k in range(2) for t in range(5)]
    phases = []
    for count, length, delay in ((2, 1000, 0), (3, 10000, 500)):
        phase = Dataset()
        phase.NumberOfFramesInPhase, phase.ActualFrameDuration, phase.PhaseDelay = count, length, delay
        phase.PauseBetweenFrames = 0
        phases.append(phase)
    path = nuclear(
        tmp_path / "d.dcm", places, ("PhaseVector", "TimeSliceVector", "SliceVector"),
        PhaseVector=[1 if t < 2 else 2 for t, _ in places], TimeSliceVector=[t + 1 for t, _ in places],
        SliceVector=[k + 1 for _, k in places], PhaseInformationSequence=Sequence(phases),
    )  # fmt: skip
    cine = read_cine(path)
    assert shown(cine) == wanted(5, 2)
    np.testing.assert_allclose(cine.times, [0.0, 1.0, 2.5, 12.5, 22.5])


def test_gates_of_one_view_are_frames(tmp_path):
    places = [(t, 0) for t in range(4)]
    cine = read_cine(nuclear(tmp_path / "p.dcm", places, ("TimeSlotVector",), TimeSlotVector=[1, 2, 3, 4]))
    assert shown(cine) == wanted(4, 1)


OTHERS = {
    "EnergyWindowVector": "energy windows",
    "DetectorVector": "detectors",
    "RotationVector": "rotations",
    "AngularViewVector": "views from several angles",
    "PageNumberVector": "pages",
    "FrameLabelVector": "pictures with labels",
    "FramePrimaryAngleVector": "views from several angles",
    "FrameSecondaryAngleVector": "views from several angles",
}


@pytest.mark.parametrize("keyword", OTHERS)
@pytest.mark.parametrize("pointed", [True, False])
def test_frames_of_another_kind_are_refused_by_name(tmp_path, keyword, pointed):
    path = tmp_path / "other.dcm"
    values = ["A", "B", "C", "D"] if keyword == "FrameLabelVector" else [1, 2, 3, 4]
    kind = MultiFrameGrayscaleWordSecondaryCaptureImageStorage
    extra = {keyword: values, "Modality": "NM"}
    write_plain(path, kind, stacked([(t, 0) for t in range(4)]), (keyword,) if pointed else (), **extra)
    with pytest.raises(InputError, match=f"other.dcm' are {OTHERS[keyword]}"):
        read_cine(path)


def test_energies_beside_gates_are_refused_too(tmp_path):
    places = [(t, k) for t in range(2) for k in range(2)]
    path = nuclear(
        tmp_path / "e.dcm", places, ("EnergyWindowVector", "TimeSlotVector"),
        EnergyWindowVector=[1, 1, 2, 2], TimeSlotVector=[1, 2, 1, 2],
    )  # fmt: skip
    with pytest.raises(InputError, match="energy windows"):
        read_cine(path)


def test_a_rotational_angiography_is_refused(tmp_path):
    path = write_plain(
        tmp_path / "x.dcm", XRayAngiographicImageStorage, stacked([(t, 0) for t in range(4)]), ("FrameTime",),
        FrameTime=66, Modality="XA", PositionerPrimaryAngleIncrement=[0, 10, 20, 30],
    )  # fmt: skip
    with pytest.raises(InputError, match="views from several angles"):
        read_cine(path)


@pytest.mark.parametrize("offsets", [[0, 3, 6, 9], [40, 43, 46, 49]])
def test_a_dose_grid_is_a_volume_of_doses(tmp_path, offsets):
    axial = {"ImagePositionPatient": [0, 0, 40], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}
    path = write_plain(
        tmp_path / "dose.dcm", RTDoseStorage, stacked([(0, k) for k in range(4)]), ("GridFrameOffsetVector",),
        GridFrameOffsetVector=offsets, DoseGridScaling=0.001, Modality="RTDOSE", **axial,
    )  # fmt: skip
    image = read_image(path)
    np.testing.assert_allclose(image.frames[0, :, 0, 0], [0, 0.1, 0.2, 0.3], rtol=1e-6)
    assert image.grid.size == (8, 6, 4)
    assert (image.grid.spacing[2], image.grid.origin) == (3.0, (0, 0, 40))
    with pytest.raises(InputError, match="one image of"):
        read_cine(path)


def test_slice_locations_of_a_capture_are_slices(tmp_path):
    path = write_plain(
        tmp_path / "s.dcm", MultiFrameGrayscaleWordSecondaryCaptureImageStorage, stacked([(0, k) for k in range(4)]),
        ("SliceLocationVector",), SliceLocationVector=[10, 12, 14, 16], **PLACE,
    )  # fmt: skip
    image = read_image(path)
    assert (image.grid.size, image.grid.spacing[2]) == ((8, 6, 4), 2.0)


def test_a_spacing_between_slices_and_no_times_makes_slices_and_says_so(tmp_path):
    frames = stacked([(0, k) for k in range(4)])
    kind = MultiFrameGrayscaleWordSecondaryCaptureImageStorage
    image = read_image(write_plain(tmp_path / "s.dcm", kind, frames, SpacingBetweenSlices=5, **PLACE))
    assert (image.grid.size, image.grid.spacing[2]) == ((8, 6, 4), 5.0)
    assert any("taken as slices" in note for note in image.notes)
    cine = read_cine(
        write_plain(tmp_path / "t.dcm", kind, frames, ("FrameTime",), FrameTime=40, SpacingBetweenSlices=5)
    )
    np.testing.assert_allclose(cine.times, [0, 0.04, 0.08, 0.12])


def test_a_vector_of_another_length_is_refused(tmp_path):
    with pytest.raises(InputError, match="4 frames but 3 values of TimeSlotVector"):
        read_cine(
            nuclear(tmp_path / "n.dcm", [(t, 0) for t in range(4)], ("TimeSlotVector",), TimeSlotVector=[1, 2, 3])
        )


def test_the_pointer_chooses_between_step_and_vector(tmp_path):
    frames = np.arange(3 * 24 * 32).reshape(3, 24, 32).astype(np.uint8)
    both = {"FrameTime": 10, "FrameTimeVector": [0, 30, 50]}
    for pointer, times in ((0x00181063, [0, 0.01, 0.02]), (0x00181065, [0, 0.03, 0.08])):
        cine = read_cine(write_ultrasound(tmp_path / "u.dcm", frames, FrameIncrementPointer=pointer, **both))
        np.testing.assert_allclose(cine.times, times)
    lost = {"FrameIncrementPointer": 0x00181065, "FrameTimeVector": [0, 30], "FrameTime": 10}
    cine = read_cine(write_ultrasound(tmp_path / "v.dcm", frames, **lost))
    assert any("vector does not fit the frames" in note for note in cine.notes)
    np.testing.assert_allclose(cine.times, [0, 0.01, 0.02])


def test_a_segmentation_is_refused_by_name(tmp_path):
    path = write_plain(tmp_path / "seg.dcm", SegmentationStorage, stacked([(0, 0), (1, 0)]).astype(np.uint8))
    with pytest.raises(InputError, match=r"seg\.dcm' is a segmentation"):
        read_cine(path)


FILES = {
    "a file a phase": [[(t, k) for k in range(3)] for t in range(4)],
    "a file a slice": [[(t, k) for t in range(4)] for k in range(3)],
    "a file a frame": [[(t, k)] for t in range(4) for k in range(3)],
}


@pytest.mark.parametrize("files", FILES)
@pytest.mark.parametrize("clock", ["trigger", "temporal position"])
def test_enhanced_files_of_one_acquisition(tmp_path, files, clock):
    for n, places in enumerate(FILES[files]):
        write_enhanced(tmp_path / f"{n}.dcm", places=places, trigger=clock == "trigger", InstanceNumber=99 - n)
    for source in (tmp_path, tmp_path / "1.dcm", sorted(tmp_path.iterdir())):
        cine = read_cine(source)
        assert shown(cine) == [[2 * value + 5 for value in row] for row in wanted(4, 3)]
        assert cine.time_unit == ("s" if clock == "trigger" else "")
        assert any("all were read" in note for note in cine.notes) == (source == tmp_path / "1.dcm")


FRAMES = {
    "percent": (lambda t, k: {"CardiacSynchronizationSequence": {
        "NominalPercentageOfCardiacPhase": 25.0 * t, "RRIntervalTimeNominal": 800.0}}, [0, 0.2, 0.4, 0.6]),
    "breath": (lambda t, k: {"RespiratorySynchronizationSequence": {"NominalRespiratoryTriggerDelayTime": 900.0 * t}},
        [0, 0.9, 1.8, 2.7]),
    "offset": (lambda t, k: {"TemporalPositionSequence": {"TemporalPositionTimeOffset": 2.0 * t}}, [0, 2, 4, 6]),
    "reference": (lambda t, k: {"FrameContentSequence": {"FrameReferenceDateTime": f"202001012359{57 + t}.5"
        if t < 3 else "20200102000000.5"}}, [0, 1, 2, 3]),
    "acquired": (lambda t, k: {"FrameContentSequence": {"FrameAcquisitionDateTime": f"2020010110000{2 * t}"}},
        [0, 2, 4, 6]),
    "reference outvotes": (lambda t, k: {"FrameContentSequence": {"FrameReferenceDateTime": f"2020010110000{2 * t}",
        "TemporalPositionIndex": t}, "CardiacSynchronizationSequence": {"NominalCardiacTriggerDelayTime": 90.0 - t}},
        [0, 2, 4, 6]),
}  # fmt: skip


@pytest.mark.parametrize("case", FRAMES)
def test_clocks_of_frames(tmp_path, case):
    groups, times = FRAMES[case]
    path = write_enhanced(tmp_path / "e.dcm", positions=2, trigger=False, groups_of=groups)
    cine = read_cine(path)
    assert shown(cine) == [[2 * value + 5 for value in row] for row in wanted(4, 2)]
    np.testing.assert_allclose(cine.times, times, atol=1e-4)


@pytest.mark.parametrize(
    ("group", "words"),
    [
        (lambda t: {"MREchoSequence": {"EffectiveEchoTime": 2.0 + t}}, "echo time"),
        (lambda t: {"MRDiffusionSequence": {"DiffusionBValue": 500.0 * t}}, "b-value"),
        (
            lambda t: {"MRImageFrameTypeSequence": {"ComplexImageComponent": "MAGNITUDE" if t < 2 else "PHASE"}},
            "complex",
        ),
    ],
)
def test_frames_that_differ_in_more_than_time_are_refused_by_name(tmp_path, group, words):
    def groups(t, k):
        return {"FrameContentSequence": {"InStackPositionNumber": k + 1}, **group(t)}

    path = write_enhanced(tmp_path / "e.dcm", positions=2, trigger=False, groups_of=groups)
    with pytest.raises(InputError, match=f"differ in .*{words}"):
        read_cine(path)
