"""Compute by torch's own operators, called one after another: the method for first calls.

What torch gets wrong is prepared first or refused. Half types are summed in float32; uneven padding
is added before the call; averages that torch lacks are sums divided by counts. Torch can
differentiate it wherever it can differentiate its operators.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from convlens.compute.kernels.speed import Estimate
from convlens.compute.methods.method import WholeMethod
from convlens.compute.methods.spans import divisors
from convlens.compute.problems import AvgPool, Conv, ConvTranspose, MaxPool, Pool, Problem

__all__ = ["METHOD", "estimate", "refuses", "run"]

CONVOLUTIONS: dict[int, Callable[..., Tensor]] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED: dict[int, Callable[..., Tensor]] = {
    1: F.conv_transpose1d,
    2: F.conv_transpose2d,
    3: F.conv_transpose3d,
}
# One axis is pooled as two, because max_pool1d does not take integers.
MAX_POOLS: dict[int, Callable[..., Any]] = {
    2: F.max_pool2d_with_indices,
    3: F.max_pool3d_with_indices,
}
AVG_POOLS: dict[int, Callable[..., Tensor]] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


MOST_UNFOLDED = 2**32
"""The most bytes of unfolded input; for more there may be no memory."""

FRESH, FRESH_BYTE = 2**25, 8e-10
"""The bytes from which memory consists of new pages, and the seconds a byte of them takes."""

LARGEST = 2**30
"""The limit of integers, as many of torch's loops count in 32 bits; a sum of two still fits."""


def refuses(problem: Problem) -> str | None:
    """Return why torch cannot do the problem or gets it wrong, or None.

    >>> from convlens.windows import Window
    >>> refuses(Conv(space=(4,), windows=(Window(2),), dtype="int8"))
    'torch has no convolution of int8'
    """
    if "int" in problem.dtype and not isinstance(problem, MaxPool):
        return f"torch has no {problem.spoken} of {problem.dtype}"
    if problem.dtype in ("uint16", "uint32", "uint64"):
        return f"torch has no {problem.spoken} of {problem.dtype}"
    if any(max(w.size, w.stride, w.dilation, w.before, w.after) > LARGEST for w in problem.windows):
        return f"torch may lose the upper bits of integers above {LARGEST}"
    unfolded = _unfolded(problem)
    if unfolded > MOST_UNFOLDED:
        return f"torch would unfold its input into {unfolded:,} bytes"
    if isinstance(problem, MaxPool) and problem.return_indices:
        if not _even(problem):
            return "torch's indices would count the uneven padding"
        for taps, n in zip(problem.windows, problem.space, strict=True):
            if taps.before and taps.dilation > n:
                return "torch's indices of windows on padding alone are meaningless"
    limit = {"reflect": 1, "circular": 0}.get(problem.padding_mode)
    if limit is not None:
        for window, n in zip(problem.windows, problem.space, strict=True):
            if max(window.before, window.after) > n - limit:
                return f"torch pads {problem.padding_mode} at most {n - limit} of {n} inputs"
    return None


def _unfolded(problem: Problem) -> int:
    """Return the bytes that torch fills with all windows, as it does for doubles on the CPU."""
    doubles = problem.dtype in ("float64", "complex128") and problem.device == "cpu"
    if not doubles or isinstance(problem, Pool) or prod(problem.size) == 1:
        return 0
    if isinstance(problem, Conv):  # of the whole batch, one group after another
        each = problem.batch * problem.channels // problem.groups * prod(problem.outputs)
    else:
        each = problem.channels_out // problem.groups * prod(problem.space)
    return 8 * each * prod(problem.size)


def estimate(problem: Problem) -> Estimate:
    """Return about what it takes.

    torch's fast layers need channels in and out. With one to three of both it unfolds the input, or
    is slower still: 33 ms for a million samples and 3 taps, 12 s for a signal and 2,047 taps; 30 ms
    for an image of a million pixels and 3 x 3 taps, 150 ms for 31 x 31. A batch of 8 takes 12 ms
    through the 7 x 7 taps of a first layer from 3 channels to 64.

    >>> from convlens.windows import Window
    >>> estimate(Conv(space=(4,), windows=(Window(2),), dtype="float32")).seconds
    3e-05
    """
    if problem.device.startswith("cuda"):
        few = problem.channels // problem.groups < 8  # cuDNN is fast with channels only, too
        return Estimate(seconds=2e-5 + (1e-12 if few else 1e-13) * problem.steps)
    unfolded = _unfolded(problem)
    if unfolded > FRESH:
        return Estimate(cycles=0.9 * problem.steps, seconds=FRESH_BYTE * unfolded)
    written = problem.batch * problem.channels_out * prod(problem.outputs)
    if isinstance(problem, Pool):
        return Estimate(cycles=1.2 * problem.steps, seconds=1e-5)
    each, outs = (n // problem.groups for n in (problem.channels, problem.channels_out))
    if each >= 4:
        return Estimate(cycles=0.075 * problem.steps + 0.3 * written, seconds=2e-5)
    if len(problem.space) == 2 and problem.groups > 4:
        step = 0.3 if prod(problem.size) <= 64 else 1.5
        return Estimate(cycles=step * problem.steps, seconds=2e-5)
    if outs >= 8:
        step = 0.45 if each == 1 else 0.06
        return Estimate(cycles=step * problem.steps + 3 * written, seconds=2e-5)
    step = 15 if len(problem.space) == 1 else 0.9
    return Estimate(cycles=step * problem.steps + 60 * written, seconds=3e-5)


def run(
    problem: Problem, x: Tensor, weight: Tensor | None, bias: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Return the result (n, k, *outputs), and the indices of the maxima if asked for."""
    if isinstance(problem, MaxPool):
        return _max_pool(problem, x)
    if isinstance(problem, AvgPool):
        return _real_parts(lambda part: _avg_pool(problem, part), x), None
    if weight is None:
        raise TypeError("a convolution needs a weight")
    if not x.is_complex():
        parts = (x, weight) if bias is None else (x, weight, bias)
        return _in_working_type(partial(_convolved, problem), *parts), None
    # torch multiplies complex numbers with three products, which cancel and lose infinities.
    f = partial(_convolved, problem)
    real = f(x.real, weight.real) - f(x.imag, weight.imag)
    imaginary = f(x.real, weight.imag) + f(x.imag, weight.real)
    y = torch.complex(real, imaginary)
    return (y if bias is None else y + bias.reshape(-1, *[1] * len(problem.space))), None


def _convolved(problem: Problem, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    if isinstance(problem, Conv):
        return _conv(problem, x, weight, bias)
    if isinstance(problem, ConvTranspose):
        return _conv_transpose(problem, x, weight, bias)
    raise TypeError(f"a weight has no meaning for {problem.spoken}")


def _conv(problem: Conv, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    windows = problem.windows
    padding: list[int] = [window.before for window in windows]
    if problem.padding_mode != "zeros" or any(w.before != w.after for w in windows):
        mode = "constant" if problem.padding_mode == "zeros" else problem.padding_mode
        x = F.pad(x, _ends([(w.before, w.after) for w in windows]), mode=mode)
        padding = [0] * len(windows)
    convolve = CONVOLUTIONS[len(windows)]
    return convolve(
        x, weight, bias, _strides(problem), padding, _dilations(problem), problem.groups
    )


def _conv_transpose(
    problem: ConvTranspose, x: Tensor, weight: Tensor, bias: Tensor | None
) -> Tensor:
    windows = problem.windows
    even = [min(w.before, w.after) for w in windows]
    y = TRANSPOSED[len(windows)](
        x,
        weight,
        bias,
        _strides(problem),
        even,
        [w.output_padding for w in windows],
        problem.groups,
        _dilations(problem),
    )
    for axis, (window, cut, count) in enumerate(zip(windows, even, problem.outputs, strict=True)):
        y = y.narrow(2 + axis, window.before - cut, count)
    return y


def _max_pool(problem: MaxPool, x: Tensor) -> tuple[Tensor, Tensor | None]:
    windows = problem.windows
    padding, ceil = [w.before for w in windows], any(w.ceil for w in windows)
    if not _even(problem):
        lowest = -torch.inf if x.is_floating_point() else torch.iinfo(x.dtype).min
        x = F.pad(x, _ends([(w.before, w.room_after) for w in windows]), value=lowest)
        padding, ceil = [0] * len(windows), False
    size, stride, dilation = list(problem.size), _strides(problem), _dilations(problem)
    if len(windows) == 1:
        x, size, stride = x.unsqueeze(2), [1, *size], [1, *stride]
        padding, dilation = [0, *padding], [1, *dilation]
    x = _indexable(x)
    y, places = MAX_POOLS[len(size)](x, size, stride, padding, dilation, ceil)
    if len(windows) == 1:
        y, places = y.squeeze(2), places.squeeze(2)
    return y, places


def _indexable(x: Tensor) -> Tensor:
    """Return x in a layout in which torch's maximum pooling can count its positions.

    In channels last, torch counts them in integers as wide as an element.
    """
    narrow = not x.is_floating_point() and x.element_size() < 4
    if not narrow and prod(x.shape[2:]) <= LARGEST:
        return x
    # A new view: one channel may be contiguous and still have the strides of channels last.
    return x.contiguous().flatten().view(x.shape)


def _avg_pool(problem: AvgPool, x: Tensor) -> Tensor:
    windows = problem.windows
    # avg_pool3d requires the input without padding to be as large as the window.
    small = len(windows) == 3 and any(map(int.__lt__, problem.space, problem.size))
    if _even(problem) and all(w.extent == w.size for w in windows) and not small:
        padding, ceil = [w.before for w in windows], any(w.ceil for w in windows)
        average = AVG_POOLS[len(windows)]
        return average(
            x, list(problem.size), _strides(problem), padding, ceil, problem.count_include_pad
        )
    flat = x.reshape(-1, 1, *problem.space)
    flat = F.pad(flat, _ends([(w.before, w.room_after) for w in windows]))
    ones = torch.ones(1, 1, *problem.size, dtype=x.dtype, device=x.device)
    convolve = CONVOLUTIONS[len(windows)]
    sums = convolve(flat, ones, None, _strides(problem), 0, _dilations(problem))
    return sums.reshape(*x.shape[:2], *problem.outputs) / divisors(problem, x)


def _in_working_type(f: Callable[..., Tensor], *parts: Tensor) -> Tensor:
    """Return f of real parts; half types go through float32 on the CPU, where torch may not."""
    dtype = parts[0].dtype
    if dtype not in (torch.float16, torch.bfloat16) or parts[0].is_cuda:
        return f(*parts)
    return f(*(part.float() for part in parts)).to(dtype)


def _real_parts(f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Return a linear f with real coefficients, for complex numbers part by part."""
    if x.is_complex():
        return torch.complex(f(x.real), f(x.imag))
    return _in_working_type(f, x)


def _even(problem: Pool) -> bool:
    """Return whether both ends have the same padding, at most half a window: torch's rule."""
    return all(w.before == w.after <= w.size // 2 for w in problem.windows)


def _strides(problem: Problem) -> list[int]:
    return [window.stride for window in problem.windows]


def _dilations(problem: Problem) -> list[int]:
    return [window.dilation for window in problem.windows]


def _ends(pairs: list[tuple[int, int]]) -> list[int]:
    """Return (before, after) of every axis for F.pad, which takes the last axis first."""
    return [count for pair in reversed(pairs) for count in pair]


METHOD = WholeMethod(
    name="torch",
    solves=Problem,
    exact=True,
    repeats=False,
    compiles=False,
    skips=True,
    refuses=refuses,
    estimate=estimate,
    run=run,
)
