"""Add up shifted inputs times one weight each, tap by tap, without compiling.

It computes first calls of filters, for which torch's layers are slow. It passes over memory once
per tap, but in torch's own fast loops. Products with zero padding are left out.
"""

from __future__ import annotations

import itertools
from math import ceil, prod

from torch import Tensor

from convlens.compute.kernels.machine import WIDTHS
from convlens.compute.kernels.speed import Estimate
from convlens.compute.methods.method import ConvMethod, Fill
from convlens.compute.methods.reach import refuses_arrays
from convlens.compute.problems import Conv
from convlens.windows import Window

__all__ = ["METHOD", "estimate", "prepare", "refuses"]


Part = tuple[slice, slice]


def refuses(problem: Conv) -> str | None:
    """Return why this method cannot compute the problem, or None.

    >>> refuses(Conv(space=(4,), windows=(Window(2),), dtype="float32"))
    >>> refuses(Conv(channels=2, space=(4,), windows=(Window(2),), dtype="float32"))
    'it computes filters of one channel each, not sums over channels'
    """
    reason = refuses_arrays(problem)
    if reason is not None:
        return reason
    if problem.channels != problem.groups:
        return "it computes filters of one channel each, not sums over channels"
    if problem.padding_mode != "zeros":
        return f"it leaves out the padding, which must be zeros, not {problem.padding_mode}"
    return None


def estimate(problem: Conv) -> Estimate:
    """Return about what it takes: a pass over memory for every tap.

    >>> of = lambda size: Conv(space=(10**6,), windows=(Window(size),), dtype="float32")
    >>> 5 < estimate(of(100)).bytes / estimate(of(10)).bytes < 11
    True
    """
    written = problem.batch * problem.channels_out * prod(problem.outputs)
    taps = prod(problem.size)
    moved = 2 * taps * written * WIDTHS[problem.dtype]
    return Estimate(bytes=moved, seconds=1e-5 + 4e-6 * taps)


def prepare(problem: Conv, weight: Tensor, bias: Tensor | None) -> Fill:
    """Return `run(x, y)`, which fills y (n, k, *outputs) from x (n, c, *space)."""
    groups, axes = problem.groups, len(problem.space)
    outs = problem.channels_out // groups
    windows = problem.windows
    parts = [
        [_part(window, tap, n) for tap in range(window.size)]
        for window, n in zip(windows, problem.space, strict=True)
    ]
    kernels = weight.detach().reshape(groups, -1, prod(problem.size)).contiguous()
    alike = kernels.shape[:2].numel() == 1
    weights = kernels[0, 0].tolist() if alike else kernels.movedim(2, 0).contiguous()
    first = None if bias is None else bias.detach().reshape(groups, -1, *[1] * axes)

    def run(x: Tensor, y: Tensor) -> None:
        given = x.view(len(x), groups, 1, *x.shape[2:])
        found = y.view(len(y), groups, outs, *y.shape[2:])
        found.zero_() if first is None else found.copy_(first.expand_as(found))
        for places, tap in zip(itertools.product(*parts), weights, strict=True):
            read, written = (tuple(side) for side in zip(*places, strict=True))
            into, source = found[(..., *written)], given[(..., *read)]
            if alike:
                into.add_(source, alpha=tap)
            else:
                into.addcmul_(source, tap.reshape(groups, -1, *[1] * axes))

    return run


def _part(window: Window, tap: int, n: int) -> Part:
    """Return the inputs that a tap reads, of n, and their outputs, both without padding.

    >>> _part(Window(3, before=1, after=1), 0, 5)
    (slice(0, 4, 1), slice(1, 5, None))
    """
    start = tap * window.dilation - window.before
    low = max(0, ceil(-start / window.stride))
    high = min(window.outputs(n), (n - 1 - start) // window.stride + 1)
    if high <= low:
        return slice(0, 0), slice(0, 0)
    first = start + low * window.stride
    last = start + (high - 1) * window.stride
    return slice(first, last + 1, window.stride), slice(low, high)


METHOD = ConvMethod(
    name="taps",
    solves=Conv,
    exact=True,
    repeats=False,
    compiles=False,
    skips=True,
    refuses=refuses,
    estimate=estimate,
    prepare=prepare,
)
