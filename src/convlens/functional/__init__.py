"""The names and arguments of `torch.nn.functional`, computed here: change one import.

    import convlens.functional as F   # was: import torch.nn.functional as F

Convolution, transposed convolution, and pooling, adaptive too, in one to three dimensions. Every
other name of `torch.nn.functional` is torch's own. Indices, gradients, `vmap` and autocast are as
in torch, and so are results, to 1e-5 of their root mean square, the order of a float32 sum; a zero
among them may be a number as small. Where it is not as in torch, here:

- Wrong arguments raise ValueError or TypeError with the cure, where torch raises RuntimeError.
- More is computed: integers are convolved, exactly, and pooled for their maximum; `padding` may be
  "full" or a (low, high) pair an axis, and of any size in pooling.
- float16 and bfloat16 are summed in float32 on the CPU, transposed and averaged too.
- A maximum over padding alone is the lowest number there is, its index -1; torch forbids it.
- Integers have no average; torch rounds it down for int64.
- No memory format is promised for the result.

>>> import torch
>>> import convlens.functional as F
>>> F.relu(F.conv1d(torch.tensor([[1.0, 2.0, 4.0]]), torch.tensor([[[1.0, -1.0]]])))
tensor([[0., 0.]])
"""

from typing import Any

import torch

from convlens.functional.adapting import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
)
from convlens.functional.convolving import (
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
)
from convlens.functional.pooling import (
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
)

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
]


def __getattr__(name: str) -> Any:
    """Return what torch has under a name that is not here."""
    return getattr(torch.nn.functional, name)
