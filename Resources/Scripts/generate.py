"""Make new cines of a heart beat from one frame without a window, in 3D Slicer or in plain Python.

    Slicer --no-splash --no-main-window --python-script generate.py -- --input cine.seq.nrrd --samples 4 --output out
    python generate.py --input cine.seq.nrrd --samples 4 --output out

``--help`` lists the arguments. The Slicer scene (scene.mrb) is written in Slicer and, in plain Python, where the
package slicer-core is installed. The exit code is 0 only when everything was written.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent))

import slicer_console

if TYPE_CHECKING:
    import numpy as np

    from DeepRegLogic import Cine
    from DeepRegLogic.registration.generate import GeneratedCine


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with ``argv`` (default: the program's arguments) and return its exit code."""
    return slicer_console.run_command("generate", "generate.py", argv, _save_scene)


def _save_scene(path: Path, frame: Cine, samples: Sequence[GeneratedCine], labels: np.ndarray | None) -> None:
    """Write a scene that holds the frame and the cines that were made of it."""
    import numpy as np
    import slicer
    from TemporalRegistrationLib.kinds.generate import Sample, addGenerated
    from TemporalRegistrationLib.nodes.volumes import volumeNodeFromArray

    values = [] if labels is None else [value for value in np.unique(labels) if value]
    slicer.mrmlScene.Clear()
    volume = slicer.mrmlScene.AddNode(volumeNodeFromArray(frame.frames[0], frame.grid, frame.name))
    made = [
        Sample(
            sample.cine,
            sample.motion,
            np.stack([sample.labels == value for value in values]).astype(np.uint8) if values else None,
        )
        for sample in samples
    ]
    addGenerated(made, volume, labels if values else None)
    slicer_console.write_scene(path)


if __name__ == "__main__":
    slicer_console.run_program(main)
