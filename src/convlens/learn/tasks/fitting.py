"""Bring pictures, and maps over them, to the size of a network's input."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from convlens.learn.data.samples import NOT_LABELLED
from convlens.learn.preparing import Preparation
from convlens.learn.sources.pictures.picture import Picture

__all__ = ["coloured", "fitted", "fitted_map"]


def fitted(picture: Tensor, preparation: Preparation | None) -> Tensor:
    """Return a picture uint8 (c, h, w), scaled and cut as for a prediction; floats as they are.

    >>> fitted(torch.zeros(3, 8, 16, dtype=torch.uint8), Preparation(size=4)).shape
    torch.Size([3, 4, 4])
    """
    if preparation is None or picture.dtype != torch.uint8:
        return picture
    pixels = np.ascontiguousarray(coloured(picture).movedim(0, -1).numpy())
    # A picture of the right size comes back as it was, and cannot be written to.
    shown = np.require(preparation.shown(Picture(pixels)), requirements="W")
    return torch.from_numpy(shown).movedim(-1, 0)[: preparation.channels]


def coloured(picture: Tensor) -> Tensor:
    """Return a picture (3, h, w); a grey one has three equal channels.

    >>> coloured(torch.zeros(1, 2, 2)).shape
    torch.Size([3, 2, 2])
    """
    return picture.expand(3, -1, -1) if picture.shape[0] == 1 else picture


def fitted_map(map: Tensor, preparation: Preparation | None) -> Tensor:
    """Return a map uint8 (h, w) over the picture that `fitted` returns.

    Its numbers are taken from the nearest pixel, and are `NOT_LABELLED` beyond the picture.
    """
    if preparation is None:
        return map
    (h, w), cut = preparation.sizes(map.shape[0], map.shape[1])
    if (h, w) != tuple(map.shape):
        map = F.interpolate(map[None, None].float(), (h, w), mode="nearest-exact")[0, 0].byte()
    return map if cut is None else _middle(map, cut)


def _middle(map: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the middle of a map, with nothing labelled where it is short."""
    high, wide = (max(0, side - have) for side, have in zip(size, map.shape, strict=True))
    around = (wide // 2, (wide + 1) // 2, high // 2, (high + 1) // 2)
    map = F.pad(map, around, value=NOT_LABELLED)
    top, left = (round((have - side) / 2) for side, have in zip(size, map.shape, strict=True))
    return map[top : top + size[0], left : left + size[1]]
