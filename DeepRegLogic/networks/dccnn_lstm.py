"""DCCNN-LSTM-Reg (Deng et al.): a shared pyramid, and cascaded cells that add increments to both directions at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from .. import flow
from ..transformations import Displacement
from .base import CONVOLUTION, PAIR, REGISTER, MotionNetwork, cropped, padded, pairs_of, register, require_axes

FEATURES = (64, 32, 32, 16, 8)
"""Channels of the pyramid from 1/16 to the whole resolution; the third is 16 in the text, 32 by the counts."""
_SIGMA = 2.0
_H_LIMITS = (0.5, 2.0)


class Pyramid(nn.Module):
    """A U-Net that sees one image: features at 1/16, 1/8, 1/4, 1/2 and the whole resolution (section III-A).

    Two convolutions, four strided ones of 2 voxels an axis, and four convolutions of 3 on what is brought up and joined
    with what was kept on the way down. The widths are not published; these have 264 parameters less in three dimensions
    than the published total leaves for the pyramid.
    """

    def __init__(self, ndim: int, widths: Sequence[int], features: Sequence[int]) -> None:
        super().__init__()
        conv = CONVOLUTION[ndim]
        whole, *lower = widths
        self.begin = nn.Sequential(conv(1, whole, 3, padding=1), nn.ReLU(), conv(whole, whole, 3, padding=1), nn.ReLU())
        ends = (*lower, features[0])
        self.down = nn.ModuleList(
            nn.Sequential(conv(a, b, 2, stride=2), nn.ReLU()) for a, b in zip(widths, ends, strict=True)
        )
        self.up = nn.ModuleList(
            nn.Sequential(conv(a + skip, b, 3, padding=1), nn.ReLU())
            for a, skip, b in zip(features, reversed(widths), features[1:], strict=False)
        )

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """``[N, 1, *spatial]`` to the features of all levels, the coarsest first."""
        x = self.begin(images)
        skips = []
        for down in self.down:
            skips.append(x)
            x = down(x)
        levels = [x]
        for up, skip in zip(self.up, reversed(skips), strict=True):
            x = up(torch.cat([F.interpolate(x, size=skip.shape[2:], mode="nearest"), skip], dim=1))
            levels.append(x)
        return levels


class Cell(nn.Module):
    """A CNN-LSTM cell: the control increment of one step, and the memory; the field and the memory alone recur."""

    def __init__(self, ndim: int, channels: int) -> None:
        super().__init__()
        self.gates = CONVOLUTION[ndim](2 * channels + ndim, 4 * ndim, 3, padding=1)

    def forward(
        self, moving: torch.Tensor, fixed: torch.Tensor, field: torch.Tensor, memory: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        x = torch.cat([moving, fixed, field / moving.shape[1]], dim=1)
        i, f, o, g = self.gates(x).float().chunk(4, dim=1)
        memory = f.sigmoid() * memory + i.sigmoid() * g.tanh()
        return o.sigmoid() * memory.tanh(), memory


@dataclass(frozen=True, eq=False)
class LevelFields:
    """What a level ends with, ``[N, ndim, *level]`` in its voxels; ``residual`` is ``div u + dh/dt`` of its steps."""

    forward: torch.Tensor
    backward: torch.Tensor
    residual: torch.Tensor


@register("dccnn-lstm")
class DCCNNLSTM(MotionNetwork):
    """Five scales of ``steps`` cells each; every scale begins with the fields of the coarser one.

    Both directions are followed by the same cells with the images swapped (the symmetric path), so that swapped images
    swap the two fields. They are not inverse by construction: the loss draws them together. Before every cell the
    features of the moving image are warped by the field so far. An increment is divided by the homotopy h, which
    equation 6 makes the inverse of the Jacobian determinant: here smoothed by a Gaussian of 2 voxels and kept between
    0.5 and 2. Increments vanish at the border (equation 5).

    Parameters
    ----------
    ndim : number of spatial axes, 2 or 3.
    steps : N, the cells of a scale; 4 as published.
    update : "sum", the paper's equation 7; or "composition" of the increment with the field so far.
    symmetric : whether there is the second path; without it the inverse is found by a fixed point.
    homotopy : whether increments are divided by h.
    widths, features : channels of the pyramid, down and up.
    """

    capabilities = frozenset({REGISTER, PAIR})
    training_task = "dccnn-lstm"
    divisor = 16

    def __init__(
        self,
        ndim: int = 2,
        steps: int = 4,
        update: str = "sum",
        symmetric: bool = True,
        homotopy: bool = True,
        widths: Sequence[int] = (32, 64, 128, 128),
        features: Sequence[int] = FEATURES,
    ) -> None:
        super().__init__()
        require_axes(ndim)
        if update not in ("sum", "composition"):
            raise ValueError(f"The update is sum or composition, not '{update}'.")
        if steps < 1:
            raise ValueError(f"At least one step is needed, not {steps}.")
        self.ndim, self.update, self.symmetric, self.homotopy = ndim, update, symmetric, homotopy
        self.pyramid = Pyramid(ndim, widths, features)
        self.cells = nn.ModuleList(nn.ModuleList(Cell(ndim, width) for _ in range(steps)) for width in features)

    def levels(self, moving: torch.Tensor, fixed: torch.Tensor) -> list[LevelFields]:
        """The fields of all levels, the coarsest first, of images whose size is a multiple of ``divisor``."""
        count = len(moving)
        images = torch.cat([moving, fixed])
        field: torch.Tensor | None = None
        memory: torch.Tensor | None = None
        found = []
        for cells, features in zip(self.cells, self.pyramid(images), strict=True):
            assert isinstance(cells, nn.ModuleList)
            with torch.autocast(features.device.type, enabled=False):
                there, here = features.float(), features.float().roll(count, 0)  # both orders of every pair
                if not self.symmetric:
                    there, here = there[:count], here[:count]
                spatial = there.shape[2:]
                if field is None or memory is None:
                    field = memory = there.new_zeros(len(there), self.ndim, *spatial)
                field = flow.resize(field, spatial)
                memory = F.interpolate(memory, size=spatial, mode="bilinear" if self.ndim == 2 else "trilinear")
                residuals = []
                h = self._h(field)
                for cell in cells:
                    increment, memory = cell(flow.warp(there, field), here, field, memory)
                    step = _still_at_border(increment) / len(cells) / h
                    field = field + step if self.update == "sum" else flow.compose(field, step)
                    after = self._h(field)
                    residuals.append(divergence(increment) + (after - h) * len(cells))
                    h = after
            backward = field[count:] if self.symmetric else flow.invert(field)[0]
            found.append(LevelFields(field[:count], backward, torch.cat(residuals)))
        return found

    def _h(self, field: torch.Tensor) -> torch.Tensor:
        if not self.homotopy:
            return torch.ones_like(field[:, :1])
        if min(field.shape[2:]) < 2:
            return torch.ones_like(field[:, :1])
        determinant = flow.jacobian_determinant(field)[:, None]
        return flow.smooth(1 / determinant.clamp(min=0.1), _SIGMA).clamp(*_H_LIMITS)

    def estimate(self, reference: torch.Tensor, frames: torch.Tensor) -> Displacement:
        moving, fixed = (padded(image, self.divisor) for image in pairs_of(reference, frames, self.ndim))
        last = self.levels(moving, fixed)[-1]
        spatial = reference.shape[2:]
        return Displacement(cropped(last.forward, spatial), cropped(last.backward, spatial) if self.symmetric else None)


def _still_at_border(field: torch.Tensor) -> torch.Tensor:
    """Zero in the outermost voxels, along axes of more than two."""
    for axis in range(2, field.ndim):
        n = field.shape[axis]
        if n > 2:
            inside = torch.zeros(n, device=field.device)
            inside[1:-1] = 1
            field = field * inside.view([-1 if a == axis else 1 for a in range(field.ndim)])
    return field


def divergence(field: torch.Tensor) -> torch.Tensor:
    """The sum of the derivatives of the components along their own axes, ``[N, 1, *spatial]``; 0 along one voxel."""
    terms = [
        torch.gradient(field[:, axis], dim=axis + 1)[0] if field.shape[axis + 2] > 1 else torch.zeros_like(field[:, 0])
        for axis in range(field.shape[1])
    ]
    return torch.stack(terms).sum(0)[:, None]
