"""Read every sample once, and keep what a check of the data needs to know of each."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Generator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from convlens.learn.data.clips import ClipFiles
from convlens.learn.data.files import InFiles
from convlens.learn.data.samples import Boxed, ClipSample, Mapped, Sample, Samples
from convlens.learn.sentences import first_line
from convlens.learn.sources.prefetching import prefetched

__all__ = ["Examined", "examined"]

WORKERS = min(8, 2 * (os.cpu_count() or 1))
"""The threads that read samples."""


@dataclass(frozen=True, eq=False)
class Examined:
    """What is known of one sample.

    `key` of the sample; `size` of its picture, width and height; `counts`: how often it has each
    category, in figures, pixels or 1. `file` and `pixels`: digests, "" if there is none. `error`:
    why it cannot be read; `lost`: whether its file is not there. `short`: the frames of
    a clip that has too few.
    """

    key: str
    size: tuple[int, int] = (0, 0)
    counts: NDArray[np.int64] | None = None
    file: str = ""
    pixels: str = ""
    error: str | None = None
    lost: bool = False
    short: int | None = None


def examined(samples: Samples) -> Generator[Examined, None, None]:
    """Yield what is known of each sample, in order; several threads read them.

    >>> import torch
    >>> from convlens.learn.data.arrays import ArraySamples
    >>> one = ArraySamples(torch.zeros(1, 1, 8, 6, dtype=torch.uint8), torch.tensor([2]))
    >>> [(about.size, about.counts.tolist()) for about in examined(one)]
    [((6, 8), [0, 0, 1])]
    """
    numbers = range(len(samples))
    return prefetched(numbers, partial(_examine, samples), ahead=4 * WORKERS, workers=WORKERS)


def _examine(samples: Samples, index: int) -> Examined:
    file, key, short = "", str(index), None
    try:
        if isinstance(samples, InFiles):
            path = samples.path(index)
            key = str(path)
            if not path.exists():
                return Examined(key, error="there is no such file", lost=True)
            if path.is_file():  # a pipe would never end; `read` refuses it
                with path.open("rb") as content:
                    file = hashlib.file_digest(content, "sha256").hexdigest()
        if isinstance(samples, ClipFiles):  # its `read` would warn of each short clip
            sample, frames = samples.counted(index)
            short = frames if frames < samples.frames else None
        else:
            sample = samples.read(index)
    except (ValueError, OSError) as error:
        return Examined(key, file=file, error=first_line(error))
    pixels = _pixels(sample)
    h, w = pixels.shape[-2:]
    counts = _counts(sample, len(samples.classes))
    return Examined(sample.key, (int(w), int(h)), counts, file, _digest(pixels), short=short)


def _pixels(sample: Sample) -> Tensor:
    return sample.frames if isinstance(sample, ClipSample) else sample.picture


def _digest(pixels: Tensor) -> str:
    shape = f"{pixels.dtype} {tuple(pixels.shape)}".encode()
    # Decoded pictures lie in memory a pixel at a time, so that this copies nothing.
    ordered = pixels.movedim(-3, -1).contiguous()
    digest = hashlib.sha256(shape)
    digest.update(ordered.numpy().data.cast("B"))
    return digest.hexdigest()


def _counts(sample: Sample, classes: int) -> NDArray[np.int64]:
    if isinstance(sample, Boxed):
        numbers = sample.labels.numpy() - 1
    elif isinstance(sample, Mapped):
        numbers = sample.map.numpy().reshape(-1)
        numbers = numbers[numbers < classes]
    else:
        numbers = np.array([sample.label])
    return np.bincount(numbers, minlength=classes)[:classes].astype(np.int64)
