"""``train``: one run from a configuration to a model of the zoo."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Literal, cast

import lightning
import torch
from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint, Timer, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.utilities import rank_zero_only

from .. import __version__, zoo
from ..errors import InputError, OutputError
from ..files import writing
from ..networks import build
from .checkpoints import WholeCheckpoints, check_fits
from .configuration import PAIRS, Configuration
from .data import CineData
from .pairs import PairData
from .tasks import TASKS
from .tasks.registration import RegistrationTask

LAST = "last.ckpt"
_MOST_MINUTES = 1_000_000


class _ThisRunTimer(Timer):
    """A time limit for this run of the program alone; a resumed run starts with a full one."""

    def state_dict(self) -> dict[str, object]:
        return {}

    def load_state_dict(self, state_dict: dict[str, object]) -> None:
        pass


def train(
    configuration: Configuration,
    output: str | Path,
    *,
    resume: bool = False,
    max_minutes: float | None = None,
    device: str = "auto",
    cache: str | Path | None = None,
    progress: bool = True,
) -> zoo.Card:
    """Train a network and write it as a model of the zoo.

    Parameters
    ----------
    configuration : what to train.
    output : folder of the run: ``model`` (the card and the best weights), ``checkpoints``, ``metrics`` (a CSV file
        for each start).
    resume : go on from the last checkpoint of ``output``.
    max_minutes : stop in time for this limit, from the call on, the making of the subjects included; the model is
        written all the same.
    device : "auto" (all GPUs, or the CPU where there is none), "cpu", "cuda" (all GPUs) or "cuda:N" (one).
    cache : folder where synthetic subjects are kept, ``output`` by default; runs on the same data may share it.
    progress : whether to draw a progress bar.

    Raises
    ------
    InputError : a device that does not exist; nothing to resume, or a damaged checkpoint; a network or data that cannot
        be had; a loss or weights that are not finite any more (the last good checkpoint is kept).
    OutputError : ``output`` holds another run already, or cannot be written.
    """
    begin = time.monotonic()
    output = Path(output)
    checkpoints = output / "checkpoints"
    last = checkpoints / LAST
    if resume and not last.is_file():
        raise InputError(f"There is nothing to resume in '{output}': it has no checkpoint; start without resuming.")
    if not resume and last.is_file():
        raise OutputError(f"'{output}' holds a training run already; resume it or choose another folder.")
    if max_minutes is not None and not 0 <= max_minutes <= _MOST_MINUTES:
        raise InputError(f"The time limit is a number of minutes from 0 to {_MOST_MINUTES:,}, not {max_minutes}.")
    accelerator, devices = _devices(device)
    with writing(output):
        output.mkdir(parents=True, exist_ok=True)

    lightning.seed_everything(configuration.seed, workers=True)
    ndim = len(configuration.data.size)
    try:
        network = build(configuration.network, ndim=ndim, **configuration.arguments)
    except ValueError as error:
        raise InputError(f"The configuration's network cannot be built: {error}") from error
    if configuration.start:
        _begin_with(network, configuration)
    task = TASKS.choose(network.training_task)(network, configuration)
    if resume:
        check_fits(last, task.state_dict())
    kind = PairData if configuration.data.source in PAIRS else CineData
    data = kind(configuration, Path(cache) if cache else output)
    settings = configuration.optimiser
    best = ModelCheckpoint(checkpoints, "best-{step}", monitor="validation/score", enable_version_counter=False)
    # ModelCheckpoint's own save_last would keep the best one's, and a run that was cut off would go on from there
    latest = ModelCheckpoint(checkpoints, last.stem, enable_version_counter=False)
    callbacks = [best, latest, LearningRateMonitor("step")]
    if progress:
        callbacks.append(TQDMProgressBar(refresh_rate=20))
    rank_zero_only(data.prepare_data)()
    if max_minutes is not None:
        left = max(60 * max_minutes - (time.monotonic() - begin), 0.0)
        callbacks.append(_ThisRunTimer(timedelta(seconds=left), verbose=False))
    trainer = lightning.Trainer(
        accelerator=accelerator,
        devices=devices,
        precision=cast("Literal['32-true', 'bf16-mixed']", settings.precision),  # the configuration checked it
        max_steps=settings.steps,
        val_check_interval=settings.validate_every,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        gradient_clip_val=settings.clip or None,
        logger=CSVLogger(output, name="metrics", flush_logs_every_n_steps=200),
        log_every_n_steps=50,
        callbacks=callbacks,
        enable_progress_bar=progress,
        enable_model_summary=False,
        use_distributed_sampler=False,
        benchmark=True,
        plugins=[WholeCheckpoints()],
    )
    if resume:
        # a checkpoint is a pickle: only this run's own is read, and only as plain values and tensors
        trainer.fit(task, datamodule=data, ckpt_path=last, weights_only=True)
    else:
        trainer.fit(task, datamodule=data)
    task.require_finite("weights", dict(network.named_parameters()))
    trainer.save_checkpoint(last)
    return _export(trainer, task, data, best, output / "model")


def _begin_with(network: torch.nn.Module, configuration: Configuration) -> None:
    start = zoo.load_model(configuration.start)
    if (start.card.network, dict(start.card.arguments)) != (configuration.network, dict(configuration.arguments)):
        raise InputError(
            f"The model '{start.card.name}' is another network than the configuration's; start with one of the same "
            "network and arguments, or with none."
        )
    network.load_state_dict(start.network.state_dict())


def _history(start: str) -> dict[str, object] | None:
    """How the model was made that training started with."""
    if not start:
        return None
    card = zoo.find_card(start)
    return {"name": card.name, "sha256": card.sha256, "training": dict(card.training)}


def _export(
    trainer: lightning.Trainer, task: RegistrationTask, data: CineData | PairData, best: ModelCheckpoint, folder: Path
) -> zoo.Card:
    """Write the last weights, or the best where those were better, with what they reach on the validation cines."""
    measure = partial(trainer.validate, task, datamodule=data, verbose=False)
    steps = trainer.global_step
    batch = task.configuration.optimiser.batch * trainer.world_size
    trained = steps * batch
    (measured,) = measure()
    path = Path(best.best_model_path)
    # the file is elsewhere when a run was moved before it was resumed
    score = best.best_model_score
    if path.is_file() and score is not None and float(score) < measured["validation/score"]:
        (measured,) = measure(ckpt_path=path, weights_only=True)
        steps = int(path.stem.removeprefix("best-step="))
    configuration = task.configuration
    source = configuration.data
    # better than none, and the same network knew nearly the same
    inherited = zoo.find_card(configuration.start).calibration if configuration.start else {}
    card = zoo.Card(
        name=configuration.name,
        title=configuration.title,
        summary=configuration.summary,
        network=configuration.network,
        arguments=dict(configuration.arguments),
        ndim=task.network.ndim,
        spacing=source.spacing,
        capabilities=tuple(sorted(task.network.capabilities)),
        training={
            "data": source.source,
            "kinds": list(source.kinds),
            "subjects": data.subjects,
            "left_out": list(source.left_out),
            "seed": configuration.seed,
            "size": list(source.size),
            "start": _history(configuration.start),
            "steps": steps,
            "batch": batch,
            **_protocol(trained, configuration.optimiser.published),
            **({zoo.CALIBRATED: f"inherited from '{configuration.start}'; calibrate anew"} if inherited else {}),
            "version": __version__,
            "commit": _commit(),
            "configuration": json.loads(json.dumps(asdict(configuration))),
        },
        results={
            f"validation {key.removeprefix('validation/')}": float(f"{value:.5g}")
            for key, value in measured.items()
            if key != "validation/score"
        },
        order=configuration.order,
        extent=source.extent,
        calibration=inherited,
    )
    return zoo.save_model(folder, task.network, card, configuration.half) if trainer.is_global_zero else card


def _protocol(trained: int, published: int) -> dict[str, str]:
    """Whether training was as long as the publication's, counted in cines; nothing where there is none."""
    if not published:
        return {}
    length = "as published" if trained >= published else "shortened"
    return {"protocol": f"{length}, {trained} of {published} samples"}


def _devices(device: str) -> tuple[str, int | list[int]]:
    kind, _, number = device.partition(":")
    count = torch.cuda.device_count()
    if kind == "auto" and not number:
        kind = "cuda" if count else "cpu"
    if kind == "cpu" and not number:
        return "cpu", 1
    if kind == "cuda" and count and not number:
        return "cuda", count
    if kind == "cuda" and number.isdigit() and int(number) < count:
        return "cuda", [int(number)]
    raise InputError(f"The device '{device}' is not available; choose auto, cpu, or one of {count} GPUs (cuda:0, ...).")


def _commit() -> str:
    """The commit of a source checkout, with "-dirty" where files were changed since; or an empty text."""

    def git(*arguments: str) -> str:
        command = ["git", *arguments]
        here = Path(__file__).parent
        return subprocess.run(command, cwd=here, capture_output=True, text=True, check=True).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", Path(__file__).name)  # not of another project that this lies in
        return git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    except (OSError, subprocess.CalledProcessError):
        return ""
