"""``python -m DeepRegLogic generate``."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "make new cines of a heart beat from one frame, with their motion"
MARKER = "samples.csv"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    path = {"type": Path, "metavar": "PATH"}
    parser.add_argument(
        "--input", required=True, **path, help="an image of one slice, or a cine of which --frame is taken"
    )
    parser.add_argument("--frame", type=int, default=0, help="number of the frame, at end-diastole (default: 0)")
    parser.add_argument("--output", required=True, **path, help="a new or empty folder; every sample gets one in it")
    parser.add_argument("--frames", type=int, default=20, help="frames of a cine (default: 20)")
    parser.add_argument("--samples", type=int, default=1, help="number of cines (default: 1)")
    parser.add_argument("--seed", type=int, default=0, help="another seed makes other cines (default: 0)")
    parser.add_argument("--model", help="name or folder of a model that can generate")
    parser.add_argument("--labels", **path, help="label map drawn on the frame; it is carried to every frame")
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:1, mps")


def run(arguments: argparse.Namespace) -> int:
    """Generate as the arguments say and return the exit code, 0.

    Raises
    ------
    RegistrationError : in one sentence, what was wrong; nothing was written.
    """
    import numpy as np

    from . import flow, io
    from .cine import Cine
    from .errors import InputError
    from .generate import MODEL, generate_cine
    from .measure import area_curve
    from .report import tables
    from .staging import staging, writing

    source = io.read_cine(arguments.input)
    if not 0 <= arguments.frame < len(source):
        raise InputError(f"'{source.name}' has frames 0 to {len(source) - 1}, not {arguments.frame}.")
    frame = Cine(
        source.frames[arguments.frame][None], source.grid, name=source.name, suffix=source.suffix, notes=source.notes
    )
    labels = io.read_labels(arguments.labels, source.grid) if arguments.labels else None
    samples = generate_cine(
        frame,
        arguments.frames,
        arguments.samples,
        arguments.seed,
        arguments.model or MODEL,
        labels,
        device=arguments.device,
        progress=lambda fraction, text: print(f"[{fraction:4.0%}] {text}", flush=True),
    )
    rows: list[dict[str, object]] = []
    with staging(arguments.output, MARKER) as work:
        for number, sample in enumerate(samples, start=1):
            folder = work / f"sample-{number:03d}"
            io.write_motion(sample.motion, sample.cine, folder, labels=labels)
            name = "cine" + (".seq.nrrd" if not source.suffix.startswith(".nii") else source.suffix)
            with writing(arguments.output):
                io.write_cine(folder / name, sample.cine.frames, sample.cine)
            sizes = area_curve(sample.labels, source.grid) if sample.labels is not None else {}
            for t in range(len(sample.cine)):
                length = np.linalg.norm(flow.to_mm(sample.motion.displacement[t], source.grid), axis=0)
                rows.append(
                    {"sample": number, "frame": t, "motion_mean_mm": float(length.mean())}
                    | {f"label_{label}_mm2": float(values[t]) for label, values in sizes.items()}
                )
        with writing(arguments.output):
            tables.write_csv(work / MARKER, rows)
    print(f"{len(samples)} cines of {arguments.frames} frames were made from '{frame.name}' in {arguments.output}.")
    return 0
