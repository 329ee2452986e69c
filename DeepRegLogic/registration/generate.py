"""generate_cine: new cines of a whole heart beat from one real frame, with the motion that made them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from .. import __version__, flow, zoo
from ..cine import Cine, Motion
from ..errors import InputError
from ..grid import working_shape
from ..io.write import as_type
from ..networks import GENERATE, MotionNetwork
from ..progress import CancelToken, ProgressCallback, Reporter
from ..results.resample import propagate
from ..transformations import unfolded
from . import prepare
from .device import choose_device

MODEL = zoo.DEFAULTS["generate"]
NOISES = ("shared", "independent")
_AT_ONCE = 10
_MOST = 2**63  # what the generator of random numbers takes


@dataclass(frozen=True, eq=False)
class GeneratedCine:
    """One sample: the images, the motion that carries the real frame to each of them, and its labels, carried along."""

    cine: Cine
    motion: Motion
    labels: np.ndarray | None = None


def generate_cine(
    frame: Cine,
    n_frames: int = 20,
    n_samples: int = 1,
    seed: int = 0,
    model: str = MODEL,
    labels: np.ndarray | None = None,
    resample: str = "once",
    noise: str = "shared",
    device: str = "auto",
    progress: ProgressCallback | None = None,
    cancel: CancelToken | None = None,
) -> tuple[GeneratedCine, ...]:
    """Make cines of one heart beat that start from a real frame (Zakeri et al. 2023, sections 3.5 and 3.6).

    At every time step z is drawn from its prior given the memory, the motion follows from z and the real frame, and the
    memory takes in the frame that was made.

    Parameters
    ----------
    frame : a slice at end-diastole, as a cine of one frame; further frames are taken for the next ones of the same
        beat, and the making starts after them.
    n_frames : of each cine, the real one included.
    n_samples : number of cines; ``seed`` fixes all of them.
    model : name or folder of a model that can generate.
    labels : whole numbers ``[H, W]`` drawn on the (first) frame.
    resample : "once" takes every image from the real frame by the composed displacement; "repeated" from the image
        before, as the paper does, which blurs a little more at every step.
    noise : "shared" lets one noise drive z through the whole beat, for a heart that is weak or strong and does not
        tremble (at every single time step it is the prior's), and takes the mean of the motion; "independent" draws z
        at every time step anew, and the motion at every pixel, too, as the paper does.
    device, progress, cancel : as in ``register_cine``.

    Raises
    ------
    InputError : numbers out of range, a volume, an image too small or constant, labels of another size.
    ModelError : the model cannot be loaded. Cancelled : ``cancel`` was used.

    Examples
    --------
    >>> from DeepRegLogic import Cine, generate_cine
    >>> from DeepRegLogic.synthetic import cine_phantom
    >>> beat = cine_phantom(seed=1, size=48, frames=2).cine
    >>> frame = Cine(beat.frames[:1], beat.grid)
    >>> (sample,) = generate_cine(frame, n_frames=3, seed=4)
    >>> sample.cine.frames.shape, sample.motion.displacement.shape
    ((3, 48, 48), (3, 2, 48, 48))
    >>> bool((sample.cine.frames[0] == frame.frames[0]).all())  # the real frame comes first
    True
    """
    _check(frame, n_frames, n_samples, seed, labels, resample, noise)
    reporter = Reporter(progress, cancel)
    reporter(0.0, "Loading the model")
    chosen = choose_device(device)
    loaded = zoo.load_model(model, str(chosen))
    network = loaded.network
    if GENERATE not in network.capabilities:
        raise InputError(f"The model '{loaded.card.name}' cannot generate; choose one like '{MODEL}'.")
    grid = frame.grid
    images = prepare.scaled(frame, (slice(None),) * 2)
    working = working_shape(grid.shape, grid.array_spacing, loaded.card.spacing, prepare.SMALLEST)
    small = flow.resize_image(images, working).to(chosen)
    generator = torch.Generator(chosen).manual_seed(seed)
    made: list[GeneratedCine] = []
    while len(made) < n_samples:
        count = min(_AT_ONCE, n_samples - len(made))
        part = reporter.part(len(made) / n_samples, (len(made) + count) / n_samples)
        part(0.0, f"Making cines, {len(made)} of {n_samples} done")
        steps = []
        for step, (out, back) in enumerate(rollout(network, small, count, n_frames, generator, noise == "independent")):
            part(step / n_frames, f"Making cines, {len(made)} of {n_samples} done")
            steps.append((flow.resize(out, grid.shape).cpu(), flow.resize(back, grid.shape).cpu()))
        displacement, inverse = (torch.stack(fields, dim=1).numpy() for fields in zip(*steps, strict=True))
        for sample in range(count):
            name = f"{frame.name} sample {len(made) + 1}"
            motion = Motion(
                grid=grid, reference=0, displacement=displacement[sample], inverse=inverse[sample],
                name=name, cyclic=True,
                provenance={
                    "version": __version__, "model": loaded.card.name, "weights_sha256": loaded.card.sha256,
                    "seed": seed, "sample": len(made), "noise": noise, "made_from": frame.name,
                },
            )  # fmt: skip
            pixels = propagate(motion, frame.frames[0]) if resample == "once" else _step_by_step(frame, motion)
            made.append(
                GeneratedCine(
                    cine=Cine(as_type(pixels, frame.frames.dtype), grid, name=name, suffix=frame.suffix),
                    motion=motion,
                    labels=None if labels is None else propagate(motion, np.asarray(labels), nearest=True),
                )
            )
    reporter(1.0, "Done")
    return tuple(made)


def _step_by_step(frame: Cine, motion: Motion) -> np.ndarray:
    """Every image made from the one before, as the paper does: ``[T, H, W]``."""
    images = [torch.from_numpy(frame.frames[0].astype(np.float32))[None, None]]
    out, back = (torch.from_numpy(np.array(fields)) for fields in (motion.displacement, motion.inverse))
    for t in range(1, len(motion)):
        # from frame t to the real one, and from there to frame t - 1
        step = flow.compose(out[t - 1 : t], back[t : t + 1])
        images.append(flow.warp(images[-1], step))
    return torch.cat(images)[:, 0].numpy()


def _check(
    frame: Cine, n_frames: int, n_samples: int, seed: int, labels: np.ndarray | None, resample: str, noise: str
) -> None:
    numbers = ((n_samples, 1, "number of samples"), (n_frames, 2, "number of frames"), (seed, 0, "seed"))
    for value, least, what in numbers:
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
            raise InputError(f"The {what} must be a whole number of {least} or more, not {value!r}.")
        if value >= _MOST:
            raise InputError(f"The {what} must be below 2^63.")
    if len(frame) >= n_frames:
        raise InputError(f"'{frame.name}' has {len(frame)} frames already; ask for more than that, not {n_frames}.")
    if resample not in ("once", "repeated"):
        raise InputError(f'Images are resampled "once" or "repeated", not {resample!r}.')
    if noise not in NOISES:
        raise InputError(f'The noise is "{NOISES[0]}" or "{NOISES[1]}", not {noise!r}.')
    if frame.grid.ndim != 2:
        raise InputError(f"'{frame.name}' is a volume; cines are made from a single slice.")
    _check_image(frame)
    prepare.require_memory(frame.name, 0.4 + 8 * n_samples * n_frames * frame.frames[0].size * 4 / 1e9, None)
    if labels is not None and np.shape(labels) != frame.grid.shape:
        raise InputError(
            f"The label map has shape {np.shape(labels)}, but '{frame.name}' has {frame.grid.shape}; "
            "draw it on that frame."
        )


def _check_image(frame: Cine) -> None:
    if min(frame.grid.shape) < prepare.SMALLEST:
        raise InputError(f"'{frame.name}' is too small; at least {prepare.SMALLEST} x {prepare.SMALLEST} are needed.")
    for t, image in enumerate(frame.frames):
        if image.min() == image.max():
            raise InputError(f"Frame {t} of '{frame.name}' is constant; there is no anatomy to move.")


@torch.inference_mode()
def rollout(
    network: MotionNetwork,
    images: torch.Tensor,
    count: int,
    n_frames: int,
    generator: torch.Generator,
    independent: bool,
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Displacement and inverse ``[count, 2, H, W]`` in pixels of the frames 0 to ``n_frames - 1`` of ``count`` samples.

    ``images`` ``[k, 1, H, W]`` are the real frames, scaled to [0, 1]; ``independent`` is as for ``new_motion``.
    """
    zero = images.new_zeros(count, 2, *images.shape[2:])
    yield zero, zero
    phase = (torch.arange(n_frames, device=images.device) / n_frames).expand(count, -1)
    frames = images.expand(count, -1, -1, -1, -1)
    for step in network.new_motion(frames, n_frames, phase, generator, independent):
        yield unfolded(step)
