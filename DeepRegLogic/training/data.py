"""Training items: minibatches drawn from the subjects and augmented where the network computes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import lightning
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset, IterableDataset

from .. import flow
from . import subjects
from .configuration import AugmentConfiguration, Configuration

Batch = dict[str, torch.Tensor]
"""``reference`` ``[N, 1, H, W]``, ``frames`` ``[N, T, 1, H, W]``, ``phase`` ``[N, T + 1]``, where in their cycle the
reference and the frames are, from 0 to 1; where the truth is known ``displacement``
``[N, T, 2, H, W]`` in pixels (``Motion.displacement`` of the frames) and ``weight`` ``[N, 1, H, W]``."""

Tensors = dict[str, torch.Tensor]


def _fit(values: torch.Tensor, size: tuple[int, ...], corner: tuple[float, float]) -> torch.Tensor:
    """Crop or pad (border continued) ``[C, H, W]`` to ``size``; ``corner`` in [0, 1] says which part of a larger."""
    for axis, (n, place) in enumerate(zip(size, corner, strict=True), start=1):
        margin = values.shape[axis] - n
        if margin > 0:
            values = values.narrow(axis, round(margin * place), n)
        elif margin < 0:
            pad = [0, 0, 0, 0]
            pad[4 - 2 * axis : 6 - 2 * axis] = [-margin // 2, -margin - -margin // 2]
            values = F.pad(values[None], pad, mode="replicate")[0]
    return values


def take(
    subject: Tensors, order: list[int], size: tuple[int, ...], corner: tuple[float, float] = (0.5, 0.5)
) -> Tensors:
    """One item of a subject, without its batch axis: ``order`` has the reference frame's number, then the frames'."""
    reference, *moving = order
    images = subject["frames"]
    item = {"images": _fit(images[order].float() / 255, size, corner)}
    item["phase"] = torch.tensor(order, device=images.device) / len(images)
    if "displacement" in subject:
        inverse = subject["inverse"][reference].float()
        onward = subject["displacement"][moving].float()
        # from the reference to the anatomy of frame 0, and on to the moving frames
        onward = flow.warp(onward.flatten(0, 1)[None], inverse[None])[0].unflatten(0, onward.shape[:2]) + inverse
        item["displacement"] = _fit(onward.flatten(0, 1), size, corner)
        item["weight"] = _fit(subject["weight"][reference][None].float() / 255, size, corner)
    return item


def collate(items: list[Tensors]) -> Batch:
    """A batch of items with equally many frames."""
    stacked = {key: torch.stack([item[key] for item in items]) for key in items[0]}
    images = stacked.pop("images")
    if "displacement" in stacked:
        stacked["displacement"] = stacked["displacement"].unflatten(1, (-1, 2))
    return {"reference": images[:, :1], "frames": images[:, 1:, None], **stacked}


def _uniform(count: int, extent: float, generator: torch.Generator) -> torch.Tensor:
    values = torch.rand(count, generator=generator, device=generator.device)
    return extent * (2 * values - 1)


def augment_geometry(batch: Batch, config: AugmentConfiguration, generator: torch.Generator) -> Batch:
    """Turn, mirror and scale every cine of a batch, and its true displacements with it.

    With the point y = A x + b of the old image at point x of the new one, the new displacement is A^-1 u(A x + b).
    """
    if not (config.flips or config.rotation or config.scale):
        return batch
    reference = batch["reference"]
    count, shape = len(reference), reference.shape[2:]
    angle = _uniform(count, math.radians(config.rotation), generator)
    mirror = torch.ones_like(angle)
    if config.flips:
        quarter = torch.randint(4 if shape[0] == shape[1] else 2, (count,), generator=generator, device=angle.device)
        angle = angle + quarter * (math.pi / 2 if shape[0] == shape[1] else math.pi)
        mirror = torch.randint(2, (count,), generator=generator, device=angle.device) * 2.0 - 1.0
    factor = 1 + _uniform(count, config.scale, generator)
    cos, sin = angle.cos() * factor, angle.sin() * factor
    matrix = torch.stack([torch.stack([cos, -sin * mirror], -1), torch.stack([sin, cos * mirror], -1)], -2)
    identity = flow.identity(tuple(shape), reference.device)
    centred = identity - (torch.tensor(shape, device=reference.device) - 1).view(2, 1, 1) / 2
    map_ = torch.einsum("nij,jhw->nihw", matrix, centred) - centred
    images = flow.warp(torch.cat([reference, batch["frames"][:, :, 0]], dim=1), map_)
    out = {**batch, "reference": images[:, :1], "frames": images[:, 1:, None]}
    if "displacement" in batch:
        truth = batch["displacement"]
        moved = flow.warp(truth.flatten(1, 2), map_).view_as(truth)
        out["displacement"] = torch.einsum("nij,ntjhw->ntihw", torch.linalg.inv(matrix), moved)
        out["weight"] = flow.warp(batch["weight"], map_)
    return out


def augment_intensity(batch: Batch, config: AugmentConfiguration, generator: torch.Generator) -> Batch:
    """Change gamma, contrast, shading and noise of a batch; shading and gamma are the same in all frames of a cine."""
    images = torch.cat([batch["reference"], batch["frames"][:, :, 0]], dim=1)
    count, frames = images.shape[:2]
    if config.gamma:
        images = images.clamp(min=1e-6) ** _uniform(count, config.gamma, generator).exp().view(-1, 1, 1, 1)
    if config.contrast:
        mean = images.mean((1, 2, 3), keepdim=True)
        images = mean + (images - mean) * _uniform(count, config.contrast, generator).exp().view(-1, 1, 1, 1)
    if config.bias:
        coarse = _uniform(count * 9, config.bias, generator).view(count, 1, 3, 3)
        images = images * F.interpolate(coarse, size=images.shape[2:], mode="bicubic", align_corners=True).exp()
    if config.gain:
        images = images * _uniform(count * frames, config.gain, generator).exp().view(count, frames, 1, 1)
    if config.noise:
        level = torch.rand(count, generator=generator, device=images.device).view(-1, 1, 1, 1) * config.noise
        images = images + level * torch.randn(images.shape, generator=generator, device=images.device)
    images = images.clamp(0, 1)
    return {**batch, "reference": images[:, :1], "frames": images[:, 1:, None]}


def frame_order(count: int, moving: int, reference: int = 0, place: float | None = None) -> list[int]:
    """The reference frame's number and those of ``moving`` frames after it, spread evenly over a cycle of ``count``.

    With ``place``, from 0 to 1, each is that part of the way through its own share of the frames behind the reference.
    """
    if place is None:  # the reference and the others at equal distances
        steps = [int((k + 1) * count / (moving + 1) + 0.5) for k in range(moving)]
    else:
        steps = [1 + int((k + place) * (count - 1) / moving) for k in range(moving)]
    return [reference, *((reference + step) % count for step in steps)]


class TrainingBatches(IterableDataset[Batch]):
    """Endless minibatches; batch number n of a seed is always the same, whatever network is trained."""

    def __init__(self, pool: list[Tensors], configuration: Configuration, device: torch.device, seed: int, first: int):
        self.pool, self.configuration, self.device, self.seed, self.first = pool, configuration, device, seed, first

    def __iter__(self) -> Iterator[Batch]:
        number = self.first
        while True:
            yield self.batch(number)
            number += 1

    def batch(self, number: int) -> Batch:
        """Minibatch ``number``."""
        data = self.configuration.data
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + number)
        chosen = torch.randint(len(self.pool), (self.configuration.optimiser.batch,), generator=generator).tolist()
        low, high = data.frames
        most = min(len(self.pool[n]["frames"]) for n in chosen) - 1
        moving = min(int(torch.randint(low, high + 1, (), generator=generator)), most)
        draws = torch.rand(len(chosen), 4, generator=generator).tolist()
        chances = torch.rand(len(chosen), generator=generator).tolist()
        items = []
        for n, (start, place, *corner), chance in zip(chosen, draws, chances, strict=True):
            count = len(self.pool[n]["frames"])
            reference = int(start * count) if chance < data.random_reference else 0
            order = frame_order(count, moving, reference, place if data.random_reference else None)
            items.append(take(self.pool[n], order, data.size, tuple(corner)))
        generator = torch.Generator(self.device).manual_seed(self.seed * 1_000_003 + number)
        batch = augment_geometry(collate(items), self.configuration.augment, generator)
        return augment_intensity(batch, self.configuration.augment, generator)


class ValidationBatches(Dataset[Batch]):
    """The held-out cines, each a batch of its own: at most ``moving`` frames, and the middle of the images."""

    def __init__(self, pool: list[Tensors], moving: int, size: tuple[int, ...]) -> None:
        self.pool, self.moving, self.size = pool, moving, size

    def __len__(self) -> int:
        return len(self.pool)

    def __getitem__(self, number: int) -> Batch:
        subject = self.pool[number]
        count = len(subject["frames"])
        return collate([take(subject, frame_order(count, min(self.moving, count - 1)), self.size)])


class CineData(lightning.LightningDataModule):
    """Subjects made once by rank 0 (``prepare_data``), held on the training device by every rank.

    ``cache`` is the folder of the file with the synthetic subjects.
    """

    def __init__(self, configuration: Configuration, cache: Path) -> None:
        super().__init__()
        self.configuration = configuration
        self.cache = cache

    def prepare_data(self) -> None:
        subjects.prepare(self.configuration.data, self.cache)

    def setup(self, stage: str) -> None:
        assert self.trainer is not None  # which calls this
        self.device = self.trainer.strategy.root_device
        self.training, self.validation = (
            [{key: torch.from_numpy(value).to(self.device) for key, value in subject.items()} for subject in part]
            for part in subjects.load(self.configuration.data, self.cache)
        )

    @property
    def subjects(self) -> int:
        """How many cines are trained on."""
        return len(self.training)

    def train_dataloader(self) -> DataLoader[Batch]:
        assert self.trainer is not None  # which calls this
        seed = self.configuration.seed + 7919 * self.trainer.global_rank
        batches = TrainingBatches(self.training, self.configuration, self.device, seed, self.trainer.global_step)
        return DataLoader(batches, batch_size=None)

    def val_dataloader(self) -> DataLoader[Batch]:
        data = self.configuration.data
        return DataLoader(ValidationBatches(self.validation, data.frames[1], data.size), batch_size=None)
