"""Training items of pairs: two images whose labels say what belongs together; of random shapes, or of real subjects."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import lightning
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset, IterableDataset

from .. import flow
from ..synthetic.shapes import (
    paint,
    palettes,
    random_affine,
    random_flow,
    recolour,
    scan,
    shape_pair,
    uniform,
)
from .configuration import Configuration, DataConfiguration
from .data import Batch
from .subjects import VALIDATION_SEED
from .volumes import Volume, read_volumes

STRUCTURES = 24
"""How many label maps an item has at most."""
_PAINTED = 5 / 12
"""Share of the recoloured images that are painted by their labels, where there are any."""


class PairItems:
    """Pairs by number: an item of a number is always the same.

    ``Batch`` has, beside ``reference`` and ``frames`` (one moving image), ``reference_labels`` and ``frames_labels``
    ``[N, K, *half]``: label maps of K structures from 0 to 1, at half the resolution, corners aligned.
    """

    def __init__(self, data: DataConfiguration, volumes: list[Volume]) -> None:
        self.data = data
        self.groups = [
            group
            for name in sorted({volume.group for volume in volumes})
            if len(group := [volume for volume in volumes if volume.group == name]) > 1
        ]

    def __call__(self, number: int) -> Batch:
        generator = torch.Generator().manual_seed(number)
        if self.groups and uniform(0, 1, generator) < self.data.real:
            group = self.groups[int(torch.randint(len(self.groups), (), generator=generator))]
            images, labels = self._subjects(group, generator)
        else:
            images, labels = shape_pair(self.data.size, generator, self.data.same_contrast)
        reference, moving = images[:, None, None]
        batch = {"reference": reference, "frames": moving[:, None]}
        if labels is not None:
            maps = structures(labels, generator)
            batch |= {"reference_labels": maps[:1], "frames_labels": maps[1:]}
        return batch

    def _subjects(self, group: list[Volume], generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Two subjects of a group, each turned, scaled and deformed a little, in contrasts of their own."""
        chosen = torch.randperm(len(group), generator=generator)[:2].tolist()
        ndim, longest = len(self.data.size), max(self.data.size)
        step = uniform(0.6, 1.05, generator) / longest
        images, labels = [], []
        colours = palettes(self.data.same_contrast, generator)
        for volume, colour in zip((group[n] for n in chosen), colours, strict=True):
            step_mm = step * group[chosen[0]].extent
            matrix = random_affine(ndim, 10.0, 0.08, generator) * step_mm / torch.tensor(volume.spacing)[:, None]
            middle = (torch.tensor(self.data.size) - 1) / 2
            centred = flow.identity(self.data.size) - middle.view(-1, *[1] * ndim)
            centred = centred + random_flow(self.data.size, 0.4, generator)[0]
            shift = volume.centre + 0.02 * longest * torch.randn(ndim, generator=generator)
            points = torch.einsum("ij,j...->i...", matrix, centred) + shift.view(-1, *[1] * ndim)
            image, label = _sampled(volume, points)
            images.append(scan(_contrast(image, label, colour, self.data.recoloured), generator))
            labels.append(label)
        known = [label for label in labels if label is not None]
        return torch.stack(images), torch.stack(known) if len(known) == 2 else None


def _contrast(
    image: torch.Tensor, labels: torch.Tensor | None, palette: torch.Generator, recoloured: float
) -> torch.Tensor:
    """A real image as it is, or in another contrast: its labels painted, or its grey values through a curve."""
    chance = uniform(0, 1, palette)
    if chance >= recoloured:
        return image
    return paint(labels, palette) if chance < _PAINTED * recoloured and labels is not None else recolour(image, palette)


def _sampled(volume: Volume, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
    """A volume's image and labels at the voxel positions ``[ndim, *size]``, 0 outside."""
    size = torch.tensor(volume.image.shape) - 1
    where = (2 * points.movedim(0, -1) / size - 1).flip(-1)[None]
    image = F.grid_sample(volume.image[None, None], where, align_corners=True)[0, 0]
    if volume.labels is None:
        return image, None
    labels = F.grid_sample(volume.labels[None, None].float(), where, mode="nearest", align_corners=True)
    return image, labels[0, 0].round().long()


def structures(labels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Label maps ``[2, K, *half]`` of at most ``STRUCTURES`` structures of two label images ``[2, *spatial]``.

    Where there are more labels, one time out of two some are drawn, the other time all are thrown together by chance.
    """
    values, compact = labels.unique(return_inverse=True)
    count = len(values)
    if count > STRUCTURES:
        order = torch.randperm(count, generator=generator)
        if uniform(0, 1, generator) < 0.5:
            order = order.clamp(max=STRUCTURES)
        compact, count = (order % (STRUCTURES + 1))[compact], STRUCTURES
    maps = torch.stack([compact == n for n in range(count)], dim=1).float()
    pool = F.avg_pool2d if labels.ndim == 3 else F.avg_pool3d
    return pool(maps, 3, stride=2, padding=1, count_include_pad=False)


class PairBatches(IterableDataset[Batch]):
    """Endless minibatches, from number ``first`` on."""

    def __init__(self, items: PairItems, batch: int, seed: int, first: int) -> None:
        self.items, self.batch, self.seed, self.first = items, batch, seed, first

    def __iter__(self) -> Iterator[Batch]:
        number = self.first * self.batch
        while True:
            numbers = range(number, number + self.batch)
            yield _together([self.items(self.seed * 1_000_003 + n) for n in numbers])
            number += self.batch


def _together(items: list[Batch]) -> Batch:
    """One batch; labels are left out where an item has none, and padded by empty ones where it has fewer."""
    batch = {}
    for key in set.intersection(*(set(item) for item in items)):
        most = max(item[key].shape[1] for item in items)
        padding = [[0, 0] * (item[key].ndim - 2) + [0, most - item[key].shape[1]] for item in items]
        batch[key] = torch.cat([F.pad(item[key], pad) for item, pad in zip(items, padding, strict=True)])
    return batch


class ValidationPairs(Dataset[Batch]):
    """Pairs of numbers of their own."""

    def __init__(self, items: PairItems, count: int) -> None:
        self.items, self.count = items, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> Batch:
        if number >= self.count:
            raise IndexError(number)
        return self.items(VALIDATION_SEED + number)


class PairData(lightning.LightningDataModule):
    """Pairs of random shapes and of the subjects of a folder, made as they are asked for."""

    def __init__(self, configuration: Configuration, cache: Path) -> None:
        super().__init__()
        self.configuration = configuration

    def setup(self, stage: str) -> None:
        data = self.configuration.data
        volumes = read_volumes(data) if data.folder else []
        self.subjects = [volume.name for volume in volumes]
        self.items = PairItems(data, volumes)

    def train_dataloader(self) -> DataLoader[Batch]:
        assert self.trainer is not None  # which calls this
        seed = self.configuration.seed + 7919 * self.trainer.global_rank
        batch = self.configuration.optimiser.batch
        return DataLoader(PairBatches(self.items, batch, seed, self.trainer.global_step), batch_size=None)

    def val_dataloader(self) -> DataLoader[Batch]:
        return DataLoader(ValidationPairs(self.items, self.configuration.data.validation), batch_size=None)
