"""Take pixels to other places: by an affine map, by scaling, and by the nearest pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Matrices", "about_the_middle", "inverted", "nearest", "resized", "warped"]

Matrices = NDArray[np.float64]
"""Affine maps (..., 2, 3) of places (x, y), in pixels from the picture's left and upper edge."""

_AT_ONCE = 2**21
"""Pixels that are warped at once, to bound the memory of a large batch."""


def about_the_middle(linear: Matrices, size: tuple[int, int], shift: Matrices) -> Matrices:
    """Return maps (n, 2, 3): `linear` (n, 2, 2) about the middle of `size` (h, w), then a shift.

    `shift`: (n, 2), in pixels.

    >>> about_the_middle(2 * np.eye(2)[None], (4, 8), np.zeros((1, 2)))[0].tolist()
    [[2.0, 0.0, -4.0], [0.0, 2.0, -2.0]]
    """
    middle = np.array([size[1] / 2, size[0] / 2])
    return np.concatenate([linear, (middle - linear @ middle + shift)[..., None]], -1)


def inverted(matrices: Matrices) -> Matrices:
    """Return the maps that take places back.

    >>> inverted(np.array([[2.0, 0, 6], [0, 1, 0]])).tolist()
    [[0.5, 0.0, -3.0], [0.0, 1.0, 0.0]]
    """
    linear = np.linalg.inv(matrices[..., :2])
    return np.concatenate([linear, -linear @ matrices[..., 2:]], -1) + 0.0  # no -0


def warped(pixels: Tensor, matrices: Matrices, fill: float) -> Tensor:
    """Return pictures (n, c, h, w), each moved by its own of `matrices` (n, 2, 3).

    Values are interpolated bilinearly, with `fill` outside, and rounded if they are integers.

    >>> warped(torch.arange(4).reshape(1, 1, 1, 4), np.array([[[1.0, 0, 1], [0, 1, 0]]]), 9)
    tensor([[[[9, 0, 1, 2]]]])
    """
    back = inverted(matrices)
    step = max(1, _AT_ONCE // max(1, pixels[0].numel()))
    parts = [
        _sampled(pixels[at : at + step], back[at : at + step], fill)
        for at in range(0, len(pixels), step)
    ]
    return torch.cat(parts)


def _sampled(pixels: Tensor, back: Matrices, fill: float) -> Tensor:
    values = pixels if pixels.is_floating_point() else pixels.float()
    grid = _grid(back, (pixels.shape[2], pixels.shape[3]), values.dtype)
    values = F.grid_sample(values - fill, grid, align_corners=False) + fill
    return values if pixels.is_floating_point() else values.round().to(pixels.dtype)


def _grid(back: Matrices, size: tuple[int, int], dtype: torch.dtype) -> Tensor:
    """Return where each pixel comes from, (n, h, w, 2), in coordinates from -1 to 1.

    Every number is computed by itself, so that a picture has the same ones in any batch.
    """
    h, w = size
    scaled = back * np.array([2 / w, 2 / h])[:, None] - np.array([[0, 0, 1], [0, 0, 1]])
    row = torch.from_numpy(scaled).to(dtype)[:, :, :, None, None]  # (n, 2, 3, 1, 1)
    x, y = torch.arange(w, dtype=dtype) + 0.5, torch.arange(h, dtype=dtype)[:, None] + 0.5
    places = [row[:, axis, 0] * x + row[:, axis, 1] * y + row[:, axis, 2] for axis in (0, 1)]
    return torch.stack(places, -1)


def nearest(x: Tensor, matrix: Matrices, size: tuple[int, int], outside: Any) -> Tensor:
    """Return numbers (..., h, w), which stand for something, moved by a map (2, 3) to a new size.

    Each pixel becomes the one that its middle comes from, or `outside`.

    >>> nearest(torch.arange(4).reshape(1, 4), np.array([[1.0, 0, 1], [0, 1, 0]]), (1, 5), 9)
    tensor([[9, 0, 1, 2, 3]])
    """
    back, (h, w) = inverted(matrix), x.shape[-2:]
    across, down = np.arange(size[1]) + 0.5, np.arange(size[0])[:, None] + 0.5
    columns, rows = (
        np.floor(back[axis, 0] * across + back[axis, 1] * down + back[axis, 2]).astype(np.int64)
        for axis in (0, 1)
    )
    out = (columns < 0) | (columns >= w) | (rows < 0) | (rows >= h)
    places = torch.from_numpy(np.where(out, 0, rows * w + columns).ravel())
    moved: Tensor = x.flatten(-2).index_select(-1, places).reshape(*x.shape[:-2], *size)
    return moved.masked_fill(torch.from_numpy(out), outside)


def resized(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """Return pictures (..., c, h, w) scaled to `size` (h, w), bilinearly; smaller ones take means.

    >>> resized(torch.tensor([[[0, 100], [100, 200]]], dtype=torch.uint8), (1, 1))
    tensor([[[100]]], dtype=torch.uint8)
    """
    if tuple(pixels.shape[-2:]) == size:
        return pixels
    flat = pixels.reshape(-1, *pixels.shape[-3:])
    scaled = F.interpolate(flat, size, mode="bilinear", antialias=True)
    return scaled.reshape(*pixels.shape[:-2], *size)
