"""A recorded step computed again by `convlens.compute`, in float64, with how far it may be off."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from convlens.compute import avg_pool, conv, conv_transpose, max_pool
from convlens.lens import Recording, Step
from convlens.lens.kinds import bound
from convlens.lens.kinds.convolving import ConvolutionGeometry
from convlens.lens.kinds.pooling import PoolingGeometry
from convlens.windows import Window


@dataclass
class Again:
    """A step's output computed again, and the rounding a float32 sum of its terms may have."""

    values: NDArray[Any]
    bound: NDArray[Any] | float

    def agrees(self, recorded: Tensor) -> bool:
        numbers = recorded.numpy()
        assert numbers.shape == self.values.shape
        return bool((np.abs(numbers - self.values) <= self.bound).all())


def recomputed(seen: Recording, step: Step) -> Again | None:
    """The step again; None for what is no convolution, pooling or linear layer.

    Of adaptive pooling only what is a window of one size and stride.
    """
    if step.op.startswith("conv"):
        return _convolved(seen, step)
    if step.op == "linear":
        _, given = bound(seen, step)
        x, weight = given.tensor("input").double(), given.tensor("weight").double()
        bias = given.tensor("bias").double() if given.has("bias") else None
        rows = x.reshape(-1, x.shape[-1], 1)  # (n, c, 1): a convolution with a window of one

        def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> NDArray[Any]:
            return np.asarray(conv(x, weight[:, :, None], bias))[:, :, 0]

        made = _with_bound(linear, rows, weight, bias)
        shape = (*x.shape[:-1], len(weight))
        return Again(made.values.reshape(shape), np.reshape(made.bound, shape))
    return _pooled(seen, step) if "_pool" in step.op else None


def _convolved(seen: Recording, step: Step) -> Again:
    g = ConvolutionGeometry.of(bound(seen, step)[1])
    options: dict[str, Any] = {
        "stride": [w.stride for w in g.windows],
        "padding": [(w.before, w.after) for w in g.windows],
        "dilation": [w.dilation for w in g.windows],
        "groups": g.groups,
    }
    if g.transposed:
        options["output_padding"] = g.given.per_axis("output_padding", g.axes)
    operation = conv_transpose if g.transposed else conv

    def convolve(x: Tensor, weight: Tensor, bias: Tensor | None) -> NDArray[Any]:
        return np.asarray(operation(x, weight, bias, **options))

    bias = g.given.tensor("bias").double() if g.given.has("bias") else None
    return _with_bound(convolve, g.x.double(), g.weight.double(), bias)


def _with_bound(operation: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Again:
    """The rounding of a blocked float32 sum: 2 (4 + sqrt(terms)) units of the sum of the sizes."""
    size = operation(x.abs(), weight.abs(), None if bias is None else bias.abs())
    terms = math.prod(weight.shape[1:])
    return Again(operation(x, weight, bias), 2 * (4 + math.sqrt(terms)) * 2**-24 * size)


def _pooled(seen: Recording, step: Step) -> Again | None:
    p = PoolingGeometry.of(bound(seen, step)[1])
    x = p.x.double()
    windows = [w for w in p.windows if isinstance(w, Window)]
    if len(windows) != len(p.windows):
        space, out = x.shape[2:], seen.values[step.outputs[0]].shape[2:]
        if p.maximum or any(n % m for n, m in zip(space, out, strict=True)):
            return None
        size = tuple(n // m for n, m in zip(space, out, strict=True))
        return _averaged(x, size, stride=size)
    options: dict[str, Any] = {
        "stride": [w.stride for w in windows],
        "padding": [w.before for w in windows],
        "dilation": [w.dilation for w in windows],
        "ceil_mode": windows[0].ceil,
    }
    size = tuple(w.size for w in windows)
    if p.maximum:
        return Again(np.asarray(max_pool(x, size, **options)), 0.0)
    return _averaged(x, size, count_include_pad=bool(p.given["count_include_pad"]), **options)


def _averaged(x: Tensor, size: tuple[int, ...], **options: Any) -> Again:
    values, sizes = (np.asarray(avg_pool(t, size, **options)) for t in (x, x.abs()))
    return Again(values, 2 * (4 + math.sqrt(math.prod(size))) * 2**-24 * sizes)
