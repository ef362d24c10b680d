"""Look at single samples: what they have, and a few to open in the lab."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from convlens.files import whole
from convlens.learn.data.samples import Boxed, ClipSample, Samples
from convlens.learn.preparing import Preparation
from convlens.learn.run_folder import EXAMPLES, RunFolder

__all__ = ["has_parts", "write_examples"]


STEP = 0.02
"""How far a number may be from what is read of its picture: about a step of a byte, over 0.2."""


def has_parts(samples: Samples, wanted: str) -> bool:
    """Return whether samples have what a task wants of them: "masks", "points", or "" for nothing.

    All samples of a collection have the same parts.
    """
    if not wanted:
        return True
    sample = samples.read(0)
    return isinstance(sample, Boxed) and getattr(sample, wanted) is not None


def write_examples(folder: RunFolder, samples: Samples, preparation: Preparation | None) -> None:
    """Write a few samples, spread evenly, unless there are some; clips are left out.

    Arrays of numbers become pictures if these are read as the same numbers, else `.npy` files.
    """
    if folder.examples() or samples.sample is ClipSample:
        return
    count = min(EXAMPLES, len(samples))
    for number in range(count):
        x = samples.read(number * len(samples) // count).picture
        pixels = _pixels(x, preparation)
        path = folder.example_at(number, ".npy" if pixels is None else ".png")
        path.parent.mkdir(exist_ok=True)
        with whole(path, durable=False) as beside:
            if pixels is None:
                np.save(beside, x.numpy()[None])
            else:
                Image.fromarray(pixels).save(beside)


def _pixels(x: Tensor, preparation: Preparation | None) -> NDArray[np.uint8] | None:
    """Return a sample as a picture, (h, w) or (h, w, 3), or None if no picture is read as it."""
    if x.ndim != 3 or x.shape[0] not in (1, 3):
        return None
    if x.dtype == torch.uint8:
        return _laid(x)
    if preparation is None or x.shape[0] != preparation.channels:
        return None
    each = (-1, 1, 1)
    values = x if preparation.std is None else x * torch.tensor(preparation.std).view(each)
    values = (
        values if preparation.mean is None else values + torch.tensor(preparation.mean).view(each)
    )
    values = 1 - values if preparation.ink else values
    pixels = _laid((values * 255).round().clamp(0, 255).to(torch.uint8))
    read = preparation(pixels if pixels.ndim == 3 else np.stack([pixels] * 3, -1))[0]
    same = read.shape == x.shape and torch.allclose(read, x, atol=STEP)
    return pixels if same else None


def _laid(x: Tensor) -> NDArray[np.uint8]:
    pixels: NDArray[np.uint8] = np.ascontiguousarray(x.movedim(0, -1).numpy())
    return pixels[:, :, 0] if pixels.shape[2] == 1 else pixels
