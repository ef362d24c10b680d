"""Look at single samples: what they have, and a few to open in the lab."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from convlens.files import whole
from convlens.learn.data.samples import Boxed, ClipSample, Samples
from convlens.learn.preparing import Preparation
from convlens.learn.run_folder import EXAMPLES, RunFolder
from convlens.learn.training.loading import SampleReader, to_network

__all__ = ["has_parts", "write_examples", "write_sample"]

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


def write_examples(folder: RunFolder, reading: SampleReader) -> None:
    """Write a few samples, spread evenly, unless there are some; see `write_sample`."""
    if folder.examples():
        return
    count = min(EXAMPLES, len(reading.samples))
    for number in range(count):
        place = number * len(reading.samples) // count
        write_sample(reading, place, folder.example_at(number, ""))


def write_sample(reading: SampleReader, index: int, stem: Path) -> Path:
    """Write a sample as a file that the lab opens as what the network reads; return its path.

    It is a picture, `stem` with ".png", if the network reads it as the same numbers. Otherwise it
    is the array that the network gets, with ".npy": of clips, and of numbers that are no picture.
    """
    sample, preparation = reading.samples.read(index), reading.preparation
    pixels = None if isinstance(sample, ClipSample) else _pixels(sample.picture, preparation)
    path = stem.with_name(f"{stem.name}{'.npy' if pixels is None else '.png'}")
    path.parent.mkdir(exist_ok=True)
    with whole(path, durable=False) as beside:
        if pixels is not None:
            Image.fromarray(pixels).save(beside)
        else:
            batch = reading.batch(np.array([index]), None)
            inputs = to_network(batch, preparation, torch.device("cpu"))
            x = inputs[0][None] if isinstance(inputs, list) else inputs
            np.save(beside, x.numpy())
    return path


def _pixels(x: Tensor, preparation: Preparation | None) -> NDArray[np.uint8] | None:
    """Return a sample as a picture, (h, w) or (h, w, 3), or None if no picture is read as it."""
    if preparation is None or x.ndim != 3 or x.shape[0] not in (1, 3):
        return None
    if x.dtype == torch.uint8:
        return _laid(x)
    if x.shape[0] != preparation.channels:
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
