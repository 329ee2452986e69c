"""``temporal-registration generate``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from ..errors import InputError
from .console import Console

if TYPE_CHECKING:
    import numpy as np

    from ..cine import Cine
    from ..registration.generate import GeneratedCine

HELP = "make new cines of a heart beat from one frame, with their motion"
REPORT = "report.json"
SaveSamples: TypeAlias = "Callable[[Path, Cine, Sequence[GeneratedCine], np.ndarray | None], None]"
"""Writes a scene with the frame, what was made of it, and the labels drawn on it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    path: dict[str, Any] = {"type": Path, "metavar": "PATH"}
    parser.add_argument(
        "--input", required=True, **path, help="an image of one slice, or a cine of which --frame is taken"
    )
    parser.add_argument("--frame", type=int, default=0, help="number of the frame, at end-diastole (default: 0)")
    parser.add_argument("--output", required=True, **path, help="a new or empty folder; every sample gets one in it")
    parser.add_argument("--frames", type=int, default=20, help="frames of a cine (default: 20)")
    parser.add_argument("--samples", type=int, default=1, help="number of cines (default: 1)")
    parser.add_argument(
        "--seed", type=int, default=0, help="random seed: the same seed gives the same cines (default: 0)"
    )
    parser.add_argument("--model", help="name or folder of a model that can generate")
    parser.add_argument(
        "--independent",
        action="store_true",
        help="draw every frame on its own, its motion too, as in the paper of DragNet, instead of a whole beat at once",
    )
    parser.add_argument("--labels", **path, help="label map drawn on the frame; it is carried to every frame")
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:1, mps")


def run(arguments: argparse.Namespace, console: Console, save_scene: SaveSamples | None = None) -> int:
    """Generate as the arguments say and return the exit code.

    In the output folder: ``sample-001`` ..., each with the cine and the carried labels in the format of the input and
    the displacements both ways (``fields``); ``samples.csv``, one row a frame; ``montage.png`` and ``samples.gif``; and
    ``report.json`` with what makes the same cines again. All is written, or nothing.
    """
    from ..files import own_folder, require_text

    require_text(arguments.output)
    inputs = [path for path in (arguments.input, arguments.labels) if path is not None]
    with own_folder(arguments.output, inputs) as work:
        summary = _generate(arguments, console, save_scene, work)
    console.progress.say(f"{summary}\nWritten to {arguments.output}")
    return 0


def _generate(arguments: argparse.Namespace, console: Console, save_scene: SaveSamples | None, work: Path) -> str:
    """Write everything into ``work``; the summary."""
    from .. import io
    from ..cine import Cine
    from ..files import writing
    from ..registration.generate import MODEL, generate_cine
    from ..report import samples as pictures
    from ..report import style, tables

    source = io.read_frames(arguments.input)
    if not 0 <= arguments.frame < len(source):
        raise InputError(f"'{source.name}' has frames 0 to {len(source) - 1}, not {arguments.frame}.")
    frame = Cine(
        source.frames[arguments.frame][None], source.grid, name=source.name, suffix=source.suffix, notes=source.notes
    )
    labels = io.read_labels(arguments.labels, source.grid) if arguments.labels else None
    settings = {
        "n_frames": arguments.frames,
        "n_samples": arguments.samples,
        "seed": arguments.seed,
        "model": arguments.model or MODEL,
        "noise": "independent" if arguments.independent else "shared",
    }
    samples = generate_cine(
        frame, **settings, labels=labels, device=arguments.device, progress=console.progress, cancel=console.cancel
    )
    for number, sample in enumerate(samples, start=1):
        console.cancel.check()
        _write_sample(work / f"sample-{number:03d}", sample)
    summary = (
        f"{len(samples)} cines of {arguments.frames} frames were made from frame {arguments.frame} of '{frame.name}'."
    )
    with writing(arguments.output):
        tables.write_csv(work / "samples.csv", _rows(samples))
        style.save(pictures.montage(samples), work / "montage.png")
        pictures.write_animation(work / "samples.gif", samples)
        content = {
            "summary": summary,
            "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "versions": tables.environment(),
            "input": {
                "source": arguments.input,
                "name": frame.name,
                "frame": arguments.frame,
                "size": frame.grid.size,
                "spacing_mm": frame.grid.spacing,
                "notes": frame.notes,
                "labels": arguments.labels,
            },
            "settings": settings,
            "samples": [dict(sample.motion.provenance) for sample in samples],
        }
        tables.write_json(work / REPORT, content)
    if save_scene is not None:
        save_scene(work / "scene.mrb", frame, samples, labels)
    return summary


def _write_sample(folder: Path, sample: GeneratedCine) -> None:
    from .. import io
    from ..io.write import image_suffix

    cine, motion = sample.cine, sample.motion
    (folder / "fields").mkdir(parents=True)
    io.write_cine(folder / f"cine{image_suffix(cine, cine.frames)}", cine.frames, cine)
    if sample.labels is not None:
        io.write_cine(folder / f"labels{image_suffix(cine, sample.labels)}", sample.labels, cine)
    for t in range(len(cine)):
        io.write_field(folder / "fields" / f"displacement_{t:03d}.nrrd", motion.displacement[t], motion.grid)
        io.write_field(folder / "fields" / f"inverse_{t:03d}.nrrd", motion.inverse[t], motion.grid)


def _rows(samples: Sequence[GeneratedCine]) -> list[dict[str, object]]:
    """One mapping a sample and frame: how far the tissue is moved, and the size of every label."""
    import numpy as np

    from .. import flow
    from ..results.labels import Labels
    from ..results.sizes import jacobian, sizes_of

    rows: list[dict[str, object]] = []
    for number, sample in enumerate(samples, start=1):
        grid = sample.motion.grid
        sizes = {}
        if sample.labels is not None:
            sizes = sizes_of(jacobian(sample.motion), Labels.of_map(sample.labels[0]), grid)
        for t, field in enumerate(sample.motion.displacement):
            length = np.linalg.norm(flow.to_mm(field, grid), axis=0)
            row: dict[str, object] = {"sample": number, "frame": t, "motion_mean_mm": float(length.mean())}
            row |= {f"label_{label}_mm2": float(values[t]) for label, values in sizes.items()}
            rows.append(row)
    return rows
