"""Look at single samples: what they have, and one to begin with in the lab."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from convlens.files import whole
from convlens.learn.data.samples import Boxed, ClipSample, Samples
from convlens.learn.run_folder import RunFolder

__all__ = ["has_parts", "write_example"]


def has_parts(samples: Samples, wanted: str) -> bool:
    """Return whether samples have what a task wants of them: "masks", "points", or "" for nothing.

    All samples of a collection have the same parts.
    """
    if not wanted:
        return True
    sample = samples.read(0)
    return isinstance(sample, Boxed) and getattr(sample, wanted) is not None


def write_example(folder: RunFolder, samples: Samples) -> None:
    """Write the picture of the first sample, if it is one, unless there is one."""
    if folder.example.exists() or samples.sample is ClipSample:
        return
    picture = samples.read(0).picture
    if picture.dtype == torch.uint8 and picture.ndim == 3:
        pixels = np.ascontiguousarray(picture.movedim(0, -1).numpy())
        with whole(folder.example) as beside:
            Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(beside)
