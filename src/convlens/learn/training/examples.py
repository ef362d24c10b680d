"""Look at single samples: what they have, and a few to open in the lab."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from convlens.files import whole
from convlens.learn.data.samples import Boxed, ClipSample, Samples
from convlens.learn.run_folder import EXAMPLES, RunFolder

__all__ = ["has_parts", "write_examples"]


def has_parts(samples: Samples, wanted: str) -> bool:
    """Return whether samples have what a task wants of them: "masks", "points", or "" for nothing.

    All samples of a collection have the same parts.
    """
    if not wanted:
        return True
    sample = samples.read(0)
    return isinstance(sample, Boxed) and getattr(sample, wanted) is not None


def write_examples(folder: RunFolder, samples: Samples) -> None:
    """Write a few pictures, spread evenly over the samples, unless there are some.

    Samples that are not pictures have none.
    """
    if folder.example.exists() or samples.sample is ClipSample:
        return
    folder.example.parent.mkdir(exist_ok=True)
    count = min(EXAMPLES, len(samples))
    for number in reversed(range(count)):  # the first last: it says that all are there
        picture = samples.read(number * len(samples) // count).picture
        if picture.dtype != torch.uint8 or picture.ndim != 3:
            return
        pixels = np.ascontiguousarray(picture.movedim(0, -1).numpy())
        with whole(folder.example_at(number)) as beside:
            Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(beside)
