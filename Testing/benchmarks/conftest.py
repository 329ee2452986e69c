"""A folder of real images, as small as can be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk


def _disc(row: float, value: float = 1.0) -> np.ndarray:
    y, x = np.mgrid[:40, :36]
    return (value * (np.hypot(y - row, x - 18) < 8)).astype(np.float32)


def _write(path: Path, pixels: np.ndarray, spacing: tuple[float, ...]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(pixels)
    if path.suffix != ".png":
        image.SetSpacing(spacing)
    sitk.WriteImage(image, str(path))


@pytest.fixture
def real_images(tmp_path: Path) -> Path:
    """A cine whose end-diastole is frame 3, and end-systole frame 1, five rows further down; and a pair."""
    frames = np.stack([_disc(20, 200), _disc(22, 200), _disc(18, 200), _disc(17, 200)])
    place = tmp_path / "cine" / "2d+t"
    image = sitk.JoinSeries([sitk.GetImageFromArray(frame[None]) for frame in frames])
    image.SetSpacing((1.5, 1.4, 10.0, 0.04))
    place.mkdir(parents=True)
    sitk.WriteImage(image, str(place / "S1_sl05_cine2dt_40.nii.gz"))
    for phase, frame in (("ED", 17), ("ES", 22)):
        _write(place / f"S1_sl05_labels_{phase}.nii.gz", _disc(frame)[None].astype(np.uint8), (1.5, 1.4, 10.0))
        _write(tmp_path / "edes" / f"P_{phase}_im0001.png", _disc(frame, 200).astype(np.uint8), ())
        _write(tmp_path / "edes" / f"P_{phase}_endo.png", _disc(frame, 255).astype(np.uint8), ())
    (tmp_path / "cine" / "meta.json").write_text(json.dumps({"S1": {"ED_frame": 3, "ES_frame": 1}}))
    return tmp_path
