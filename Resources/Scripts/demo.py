"""Register the bundled synthetic four-chamber cine and, where real example data is present, one real cine."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import register
from slicer_console import HOME

SAMPLES = HOME / "Resources" / "SampleData"
DATA = Path(os.environ.get("TEMPORAL_REGISTRATION_DATA") or HOME.parent / "shared" / "data")


def real_cine() -> list[str]:
    """Arguments for the first real short-axis cine and its end-diastolic labels; empty where there is none."""
    for cine in sorted((DATA / "cine" / "2d+t").glob("*.seq.nrrd")):
        subject = cine.name.split("_")[0]
        labels = next(iter(sorted(cine.parent.glob(f"{subject}_*labels_ED.nii.gz"))), None)
        about = json.loads((DATA / "cine" / "meta.json").read_text(encoding="utf-8")).get(subject, {})
        if labels and "ED_frame" in about:
            return ["--input", str(cine), "--labels", str(labels), "--reference", str(about["ED_frame"])]
    return []


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("out") / "demo")
    output = parser.parse_args().output
    cine, labels = SAMPLES / "four-chamber.seq.nrrd", SAMPLES / "four-chamber.seg.nrrd"
    studies = {"four-chamber": ["--input", str(cine), "--labels", str(labels), "--reference", "0"]}
    if real := real_cine():
        studies["real-short-axis"] = real
    else:
        print(f"No real cine in '{DATA}'; only the synthetic one is registered.")
    for name, arguments in studies.items():
        print(f"\n{name}")
        code = register.main([*arguments, "--output", str(output / name)])
        if code:
            return code
    print(
        f"\nLook at {output}/*/figures (montage.png, motion.gif, curves.png) and report.json; "
        "open scene.mrb in 3D Slicer and press play."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
