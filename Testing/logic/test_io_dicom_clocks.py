"""The order and the times of frames, from all clocks of a DICOM image together."""

from __future__ import annotations

import re

import numpy as np
import pytest
from made_dicom import slice_pixels, write_slice

from DeepRegLogic.errors import InputError
from DeepRegLogic.io import read_cine
from DeepRegLogic.io.dicom.clocks import seconds

NOTHING = {"TriggerTime": None, "InstanceNumber": None}


def day(t: float, start: float = 36000.0) -> str:
    """A DICOM time of day, ``t`` seconds after ``start``."""
    total = round((start + t) * 1e4) % (86400 * 10**4)
    rest, hundred = divmod(total, 10**4)
    return f"{rest // 3600:02d}{rest // 60 % 60:02d}{rest % 60:02d}.{hundred:04d}"


def beats(t: int) -> dict:
    """Frame ``t`` of three beats of four frames, 0.2 s apart."""
    return {"TriggerTime": 200 * (t % 4), "AcquisitionTime": day(0.2 * t), "InstanceNumber": t + 1}


STEP = 0.2 * np.arange(12)
BACK = [7, 3, 11, 0, 5, 9, 2, 8, 1, 10, 6, 4]

# what frame t of 12 says, the times that are right (None: numbers), and a word of the notes ("" for none)
CASES = {
    "trigger alone": (lambda t: {"TriggerTime": 40 * t, "InstanceNumber": None}, 0.04 * np.arange(12), ""),
    "numbers alone": (lambda t: {**NOTHING, "InstanceNumber": t}, None, "no usable frame times"),
    "numbers reversed": (
        lambda t: {"TriggerTime": 40 * t, "InstanceNumber": 99 - t},
        0.04 * np.arange(12),
        "instance numbers contradict the trigger times .* the trigger times were followed",
    ),
    "numbers shuffled": (
        lambda t: {"TriggerTime": 40 * t, "InstanceNumber": BACK[t]},
        0.04 * np.arange(12),
        "trigger times were followed",
    ),
    "trigger shuffled, outvoted": (
        lambda t: {"TriggerTime": 40 * BACK[t], "AcquisitionTime": day(0.2 * t), "InstanceNumber": t},
        STEP,
        "trigger times contradict the acquisition times and instance numbers",
    ),
    "trigger reversed, outvoted": (
        lambda t: {"TriggerTime": 900 - 40 * t, "TemporalPositionIdentifier": t, "InstanceNumber": t},
        None,
        "temporal positions and instance numbers were followed",
    ),
    "acquisition shuffled, outvoted": (
        lambda t: {"TriggerTime": 40 * t, "AcquisitionTime": day(BACK[t]), "InstanceNumber": t},
        0.04 * np.arange(12),
        "acquisition times contradict",
    ),
    "content times follow numbers that are wrong": (
        lambda t: {"TriggerTime": 40 * t, "ContentTime": day(BACK[t]), "InstanceNumber": BACK[t]},
        0.04 * np.arange(12),
        "trigger times were followed",
    ),
    "three beats": (beats, STEP, "start anew 2 times"),
    "three beats of slightly different length": (
        lambda t: beats(t) | {"TriggerTime": 200 * (t % 4) + 3 * (t // 4)},
        STEP,
        "start anew 2 times",
    ),
    "three beats of different counts": (
        lambda t: beats(t) | {"TriggerTime": (0, 200, 400, 600, 800, 10, 210, 410, 5, 205, 405, 605)[t]},
        STEP,
        "start anew 2 times",
    ),
    "two beats over midnight": (
        lambda t: beats(t) | {"TriggerTime": 200 * (t % 6), "AcquisitionTime": day(0.2 * t, 86399.0)},
        STEP,
        "start anew 1 times",
    ),
    "beats told by percent": (
        lambda t: {**beats(t), "TriggerTime": None, "NominalPercentageOfCardiacPhase": 25 * (t % 4)},
        STEP,
        "percentages of the cycle start anew 2 times",
    ),
    "trigger that repeats": (
        lambda t: {"TriggerTime": 400 * (t // 2), "AcquisitionTime": day(0.2 * t), "InstanceNumber": t},
        STEP,
        "",
    ),
    "ungated, the trigger runs freely and repeats": (
        lambda t: {
            "TriggerTime": (310, 20, 700, 310, 450, 90, 810, 20, 450, 120, 660, 30)[t],
            "AcquisitionTime": day(0.2 * t),
            "InstanceNumber": t,
        },
        STEP,
        "trigger times contradict the acquisition times and instance numbers",
    ),
    "ungated, trigger 0": (
        lambda t: {"TriggerTime": 0, "AcquisitionTime": day(0.2 * t), "InstanceNumber": t},
        STEP,
        "",
    ),
    "ungated, content times": (
        lambda t: {**NOTHING, "ContentTime": day(0.2 * t), "InstanceNumber": t},
        STEP,
        "Frame times are content times",
    ),
    "midnight without dates": (
        lambda t: {**NOTHING, "AcquisitionTime": day(0.2 * t, 86399.0)},
        STEP,
        "",
    ),
    "midnight with one date for all": (
        lambda t: {**NOTHING, "AcquisitionTime": day(0.2 * t, 86399.0), "AcquisitionDate": "20200101"},
        STEP,
        "",
    ),
    "midnight with dates": (
        lambda t: {
            **NOTHING,
            "AcquisitionTime": day(0.2 * t, 86399.0),
            "AcquisitionDate": "20191231" if t < 5 else "20200101",
        },
        STEP,
        "",
    ),
    "midnight in one date-time": (
        lambda t: {
            **NOTHING,
            "AcquisitionDateTime": ("20191231" if t < 5 else "20200101") + day(0.2 * t, 86399.0),
        },
        STEP,
        "",
    ),
    "days apart": (
        lambda t: {**NOTHING, "AcquisitionTime": day(0), "AcquisitionDate": f"202001{t + 10}"},
        86400.0 * np.arange(12),
        "",
    ),
    "PET": (
        lambda t: {
            "TriggerTime": 0,
            "AcquisitionTime": day(0),
            "FrameReferenceTime": 15000 * (t + 1),
            "InstanceNumber": 99 - t,
            "ImageIndex": 99 - t,
        },
        15.0 * np.arange(1, 13),
        "image indices and instance numbers contradict the frame reference times",
    ),
    "PET with acquisition times of whole seconds": (
        lambda t: {
            **NOTHING,
            "AcquisitionTime": day(0.5 * t)[:6],
            "FrameReferenceTime": 250 + 500 * t,
        },
        0.25 + 0.5 * np.arange(12),
        "",
    ),
    "percent and the length of a beat": (
        lambda t: {**NOTHING, "NominalPercentageOfCardiacPhase": 8 * t, "NominalInterval": 800},
        0.064 * np.arange(12),
        "percentages of a heart beat of 800 ms",
    ),
    "percent and heart rate": (
        lambda t: {**NOTHING, "NominalPercentageOfCardiacPhase": 8 * t, "HeartRate": 75},
        0.064 * np.arange(12),
        "percentages of a heart beat of 800 ms",
    ),
    "percent alone": (
        lambda t: {**NOTHING, "NominalPercentageOfCardiacPhase": 8 * t, "ContentTime": day(t)},
        None,
        "whose length is not stored",
    ),
    "image index": (lambda t: {**NOTHING, "ImageIndex": t}, None, "no usable frame times"),
    "time offsets": (
        lambda t: {**NOTHING, "TemporalPositionIndex": t, "TemporalPositionTimeOffset": 0.5 * t},
        0.5 * np.arange(12),
        "",
    ),
    "a cine that begins in the middle of the beat": (
        lambda t: {"TriggerTime": 40 * t, "InstanceNumber": (t + 5) % 12, "ContentTime": day((t + 5) % 12)},
        0.04 * np.arange(12),
        "trigger times were followed",
    ),
}


STACKS = ("numbers reversed", "three beats", "midnight without dates", "PET")


@pytest.mark.parametrize(("case", "positions"), [*((case, 1) for case in CASES), *((case, 2) for case in STACKS)])
def test_order_and_times(tmp_path, case, positions):
    header, times, words = CASES[case]
    for n, t in enumerate(BACK):
        for k in range(positions):
            write_slice(tmp_path / f"{n}_{k}", t, k, **header(t))
    cine = read_cine(tmp_path)
    assert [int(frame.ravel()[0]) for frame in cine.frames] == [1000 * t for t in range(12)]
    if positions == 2:
        np.testing.assert_array_equal(cine.frames[3, 1], slice_pixels(3, 1))
    assert cine.time_unit == ("" if times is None else "s")
    np.testing.assert_allclose(cine.times, np.arange(12) if times is None else times, atol=1e-4)
    if words:
        assert any(re.search(words, note) for note in cine.notes), cine.notes
    else:
        assert cine.notes == ()


TWICE = {
    "two scans told by numbers": lambda t: {"TriggerTime": 40 * (t % 6), "InstanceNumber": t},
    "two images a temporal position": lambda t: {**NOTHING, "TemporalPositionIdentifier": t // 2, "InstanceNumber": t},
    "magnitude and phase of one time": lambda t: {
        "TriggerTime": 40 * (t // 2),
        "AcquisitionTime": day(0.04 * (t // 2)),
        "InstanceNumber": t,
        "ContentTime": day(t),
    },
    "percent twice": lambda t: {**NOTHING, "NominalPercentageOfCardiacPhase": 10 * (t // 2), "InstanceNumber": t},
}


@pytest.mark.parametrize("case", TWICE)
def test_images_of_one_place_and_time_are_refused(tmp_path, case):
    for n, t in enumerate(BACK):
        write_slice(tmp_path / f"{n}", t, 0, **TWICE[case](t))
    with pytest.raises(InputError, match="more than one image of the same place and time"):
        read_cine(tmp_path)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (
            lambda t: {"ImageType": ["ORIGINAL", "PRIMARY", "MP"[t % 2], "ND"]},
            r"image \(magnitude, phase\)",
        ),
        (lambda t: {"ComplexImageComponent": ("REAL", "IMAGINARY")[t % 2]}, r"complex image \(imaginary, real\)"),
        (lambda t: {"EchoTime": 2.5 + t, "TriggerTime": 0}, r"echo time \(10.5, 11.5, 12.5, 13.5, ...\)"),
        (lambda t: {"KVP": 80 + 60 * (t % 2), "TriggerTime": None}, r"tube voltage \(140.0, 80.0\)"),
    ],
)
def test_images_that_differ_in_more_than_time_are_refused_by_name(tmp_path, kind, words):
    for n, t in enumerate(BACK):
        write_slice(tmp_path / f"{n}", t, 0, **kind(t))
    with pytest.raises(InputError, match=rf"differ in .*{words}"):
        read_cine(tmp_path)


def test_an_echo_time_beside_real_times_is_noted(tmp_path):
    for t in range(4):
        write_slice(tmp_path / f"{t}", t, 0, EchoTime=2.5 + (t > 2))
    assert any("differ in echo time (2.5, 3.5)" in note for note in read_cine(tmp_path).notes)


def test_no_clock_at_all(tmp_path):
    for t in range(3):
        write_slice(tmp_path / f"{t}", t, 0, TriggerTime=None, InstanceNumber=None)
    with pytest.raises(InputError, match="no times or numbers that tell their order"):
        read_cine(tmp_path)


def test_a_slice_that_begins_a_phase_late_is_noted(tmp_path):
    for k in range(3):
        for t in range(4):
            write_slice(tmp_path / f"{t}_{k}", t, k, TriggerTime=40 * (t + (k == 1)))
    assert any("Slice 2 begins 40 ms from the others" in note for note in read_cine(tmp_path).notes)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("101112.5", 36672.5),
        ("1011", 36660.0),
        ("10:11:12.5", 36672.5),
        ("19700101000000", 719163 * 86400.0),
        ("19700101010000+0100", 719163 * 86400.0),
        ("19691231233000-0030", 719163 * 86400.0),
        ("noon", None),
        ("", None),
        (None, None),
    ],
)
def test_times_of_day(text, value):
    assert seconds(text) == value
