"""What is written of a motion that says how sure it is."""

import csv
import dataclasses

import numpy as np
import pytest
from made_models import save_generator
from PIL import Image

from DeepRegLogic import Labels, Results, read_cine, write_motion
from DeepRegLogic.report import tables, write_figures
from DeepRegLogic.report.summary import summary


@pytest.fixture(scope="module")
def unsure(beating):
    """The beating disc with a deviation of 1 mm along the columns, 0.5 mm along the rows, and none at the reference."""
    cine, motion, labels = beating
    covariance = np.zeros((6, 2, 2, 40, 48))
    covariance[:, 0, 0], covariance[:, 1, 1] = 1.0, 0.25
    covariance[1] = 0
    covariance[3, :, :, labels == 1] *= 4
    return cine, dataclasses.replace(motion, covariance=covariance), labels


def results_of(unsure) -> Results:
    cine, motion, labels = unsure
    return Results(motion, cine, Labels.of_map(labels))


def test_deviation_and_entropy_are_written_as_images_in_time(unsure, tmp_path):
    cine, motion, _ = unsure
    files = write_motion(motion, cine, tmp_path / "out")
    found = {f.name for f in files}
    assert {"disc_deviation.seq.nrrd", "disc_entropy.seq.nrrd"} <= found
    deviation = read_cine(tmp_path / "out" / "disc_deviation.seq.nrrd").frames
    np.testing.assert_allclose(deviation[0], 1.0, rtol=1e-6)
    assert not deviation[1].any()
    assert deviation[3].max() == pytest.approx(2.0)
    entropy = read_cine(tmp_path / "out" / "disc_entropy.seq.nrrd").frames
    np.testing.assert_allclose(entropy[0], np.log(2 * np.pi * 0.5), rtol=1e-5)
    np.testing.assert_allclose(entropy[1], -20)


def test_a_motion_without_covariance_has_no_such_images(beating, tmp_path):
    cine, motion, _ = beating
    names = " ".join(f.name for f in write_motion(motion, cine, tmp_path / "out"))
    assert "deviation" not in names
    assert "entropy" not in names


def test_the_report_has_the_deviation_over_frames_and_labels(unsure, tmp_path):
    cine, motion, labels = unsure
    results = results_of(unsure)
    inside = 2 - (labels == 2).sum() / (labels > 0).sum()  # the ring has 2 mm in frame 3, which moves most
    words = f"Typical uncertainty of the displacement of the labels: {inside:.1f} mm (one standard deviation, frame 3)."
    assert words in summary(results)
    assert "displacement of tissue that moves by 1 mm or more: 1." in summary(Results(motion, cine))
    tables.write_csv(tmp_path / "frames.csv", tables.frame_rows(results))
    with open(tmp_path / "frames.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[3]["label_1_deviation_mm"]) == pytest.approx(2.0)
    assert float(rows[3]["label_2_deviation_mm"]) == pytest.approx(1.0)
    assert float(rows[0]["deviation_mean_mm"]) == pytest.approx(1.0)
    assert float(rows[3]["deviation_mean_mm"]) == pytest.approx(inside, rel=1e-4)
    assert float(rows[1]["deviation_max_mm"]) == 0


def test_the_report_has_a_picture_of_it(unsure, tmp_path):
    files = write_figures(tmp_path, results_of(unsure))
    assert tmp_path / "uncertainty.png" in files
    with Image.open(tmp_path / "uncertainty.png") as image:
        assert np.asarray(image.convert("RGB")).std() > 20


@pytest.fixture
def generator(tmp_path):
    return save_generator(tmp_path / "generator")


def test_the_generate_command_writes_every_sample(unsure, generator, tmp_path, capsys):
    from DeepRegLogic.__main__ import main
    from DeepRegLogic.io import write_cine

    cine, _, _ = unsure
    write_cine(tmp_path / "cine.seq.nrrd", cine.frames, cine)
    command = ["generate", "--input", str(tmp_path / "cine.seq.nrrd"), "--output", str(tmp_path / "out")]
    assert main([*command, "--frames", "4", "--samples", "2", "--model", generator, "--device", "cpu"]) == 0
    for sample in ("sample-001", "sample-002"):
        made = read_cine(tmp_path / "out" / sample / "cine.seq.nrrd")
        assert made.frames.shape == (4, 40, 48)
        np.testing.assert_allclose(made.frames[0], cine.frames[0], rtol=1e-5)
        assert (tmp_path / "out" / sample / "fields" / "displacement_003.nrrd").is_file()
    with open(tmp_path / "out" / "samples.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == 8
    assert main([*command, "--samples", "0", "--model", generator]) == 1
    assert "number of samples must be" in capsys.readouterr().err
    assert main([*command, "--frame", "9", "--model", generator]) == 1
    assert "frames 0 to 5" in capsys.readouterr().err
