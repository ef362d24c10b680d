"""Define the derivatives of the operators by the operators themselves, so for any order.

    conv                  to x: conv_transpose            to weight: conv_weight_gradient
    conv_transpose        to x: conv                      to weight: conv_weight_gradient
    conv_weight_gradient  to x: conv_transpose            to the gradient: conv
    avg_pool              to x: conv_transpose of ones
    max_pool              to x: a scatter to the places of the maxima

Tensors whose operations torch must follow enter through `differentiable`.
"""

from __future__ import annotations

from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

from convlens.compute.methods import eager
from convlens.compute.methods.spans import divisors
from convlens.compute.operands.arrays import Array
from convlens.compute.operands.operands import needs_gradient
from convlens.compute.operators.operators import (
    averaging,
    avg_pool_operator,
    check_forward,
    conv_operator,
    conv_transpose_operator,
    conv_weight_gradient_operator,
    goes_forward,
    max_pool_operator,
    sliding_windows,
)
from convlens.compute.problems import DTYPES, AvgPool, Conv, Pool, Problem
from convlens.compute.reading.windows import in_64_bits
from convlens.windows import Window, padded_source

__all__ = ["differentiable", "seen_by_torch"]


def seen_by_torch(*arrays: Array | None) -> bool:
    """Return whether torch must see the operation: to differentiate, trace, map or record it.

    >>> seen_by_torch(torch.ones(1), None), seen_by_torch(torch.ones(1, device="meta"))
    (False, True)
    """
    tensors = [array for array in arrays if isinstance(array, Tensor)]
    if not tensors:
        return False
    if torch.compiler.is_compiling():
        return True
    tracing = is_in_torch_dispatch_mode() or torch._C._get_tracing_state() is not None
    return tracing or needs_gradient(*tensors) or any(_special(tensor) for tensor in tensors)


def _special(tensor: Tensor) -> bool:
    """Return whether a tensor is more or less than numbers: a subclass, dual, mapped or meta."""
    return (
        type(tensor) not in (Tensor, torch.nn.Parameter)
        or tensor.is_meta
        or torch._C._functorch.is_functorch_wrapped_tensor(tensor)
        or goes_forward(tensor)
    )


def differentiable(
    problem: Problem, x: Tensor, weight: Tensor | None, bias: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Compute a problem by operators that torch sees; return the result and the maxima's indices.

    `x` and the result are (n, c, *space), or without the batch if the problem has none.
    Derivatives of any order, `torch.compile`, `torch.func.vmap`, meta and fake tensors work.
    Forward-mode derivatives use torch's own operators. Raises ValueError if these cannot compute
    the problem.

    >>> x = torch.ones(1, 1, 3, requires_grad=True)
    >>> problem = AvgPool(space=(3,), windows=(Window(2),), dtype="float32")
    >>> torch.autograd.grad(differentiable(problem, x, None, None)[0].sum(), x)
    (tensor([[[0.5000, 1.0000, 0.5000]]]),)
    """
    compute = _forward_mode if goes_forward(x, weight, bias) else _by_operators
    dtype = DTYPES[problem.y_dtype]
    # To sum in a wider type, convert the inputs to it first.
    parts = [None if part is None else part.to(dtype) for part in (weight, bias)]
    batch = x.to(dtype).reshape(problem.batch, problem.channels, *problem.space)
    y, places = compute(problem, batch, *parts)
    return y.reshape(problem.y_shape), None if places is None else places.reshape(problem.y_shape)


def _by_operators(
    problem: Problem, x: Tensor, weight: Tensor | None, bias: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    windows = in_64_bits(problem.windows, problem.space)
    stride, dilation = [w.stride for w in windows], [w.dilation for w in windows]
    padding = [end for w in windows for end in (w.before, w.after)]
    if isinstance(problem, Pool):
        how = list(problem.size), stride, padding, dilation, any(w.ceil for w in windows)
        if isinstance(problem, AvgPool):
            return avg_pool_operator(x, *how, problem.count_include_pad), None
        y, places = max_pool_operator(x, *how)
        return y, places if problem.return_indices else None
    if isinstance(problem, Conv):
        if problem.padding_mode != "zeros":
            x, padding = _padded(problem, x), [0] * len(padding)
        return conv_operator(x, weight, bias, stride, padding, dilation, problem.groups), None
    added = [w.output_padding for w in windows]
    # Output padding of a whole stride equals one more input of zeros.
    more = [count // step for count, step in zip(added, stride, strict=True)]
    if any(more):
        x = F.pad(x, [end for count in reversed(more) for end in (0, count)])
    rest = [count % step for count, step in zip(added, stride, strict=True)]
    spread = stride, padding, rest, dilation, problem.groups
    return conv_transpose_operator(x, weight, bias, *spread), None


def _forward_mode(
    problem: Problem, x: Tensor, weight: Tensor | None, bias: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Compute by torch's own operators; a custom one cannot have a forward-mode derivative."""
    check_forward(problem)
    return eager.run(problem, x, weight, bias)


def _padded(problem: Problem, x: Tensor) -> Tensor:
    """Return x with the padding that the padding mode puts around it."""
    reach = {"reflect": 1, "circular": 0}.get(problem.padding_mode)
    axes = list(zip(problem.windows, problem.space, strict=True))
    if torch.compiler.is_compiling() and all(
        reach is None or max(w.before, w.after) <= n - reach for w, n in axes
    ):  # torch's operator accepts symbolic sizes
        around = [end for w, _ in reversed(axes) for end in (w.before, w.after)]
        return F.pad(x, around, problem.padding_mode)
    for axis, (window, n) in enumerate(zip(problem.windows, problem.space, strict=True), start=2):
        ends = range(-window.before, 0), range(n, n + window.after)
        low, high = (
            x.index_select(axis, _sources(end, n, problem.padding_mode).to(x.device))
            for end in ends
        )
        x = torch.cat((low, x, high), axis)
    return x


def _sources(positions: range, n: int, mode: str) -> Tensor:
    return torch.tensor([padded_source(p, n, mode) for p in positions], dtype=torch.int64)


def _keep_weighted(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    """Keep what the derivatives of a convolution, transposed or not, need."""
    x, weight, _, *ctx.how = inputs
    to_x, to_weight = ctx.needs_input_grad[:2]
    ctx.space, ctx.size = list(x.shape[2:]), list(weight.shape[2:])
    ctx.save_for_backward(x if to_weight else None, weight if to_x else None)


def _back_through_conv(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
    x, weight = ctx.saved_tensors
    to_x = to_weight = None
    if weight is not None:
        to_x = _spread(ctx, gradient, weight.conj())
    if x is not None:
        to_weight = conv_weight_gradient_operator(x.conj(), gradient, ctx.size, *ctx.how)
    return to_x, to_weight, _to_bias(ctx, gradient), None, None, None, None


def _back_through_conv_transpose(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
    x, weight = ctx.saved_tensors
    stride, padding, _, dilation, groups = ctx.how
    how = stride, padding, dilation, groups
    to_x = to_weight = None
    if weight is not None:
        to_x = conv_operator(gradient, weight.conj(), None, *how)
    if x is not None:
        to_weight = conv_weight_gradient_operator(gradient, x.conj(), ctx.size, *how)
    return to_x, to_weight, _to_bias(ctx, gradient), None, None, None, None, None


def _to_bias(ctx: Any, gradient: Tensor) -> Tensor | None:
    if not ctx.needs_input_grad[2]:
        return None
    return gradient.sum([axis for axis in range(gradient.ndim) if axis != 1])


def _keep_factors(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, gradient, ctx.size, *ctx.how = inputs
    ctx.space = list(x.shape[2:])
    to_x, to_gradient = ctx.needs_input_grad[:2]
    ctx.save_for_backward(x if to_gradient else None, gradient if to_x else None)


def _back_through_weight_gradient(ctx: Any, to_weight: Tensor) -> tuple[Any, ...]:
    x, gradient = ctx.saved_tensors
    to_x = to_gradient = None
    if gradient is not None:
        to_x = _spread(ctx, gradient.conj(), to_weight)
    if x is not None:
        to_gradient = conv_operator(x.conj(), to_weight, None, *ctx.how)
    return to_x, to_gradient, None, None, None, None, None


def _spread(ctx: Any, y: Tensor, weight: Tensor) -> Tensor:
    """Apply the transpose of the convolution of `ctx`; the result has its input's space."""
    stride, padding, dilation, groups = ctx.how
    rest = _left_over(sliding_windows(ctx.size, stride, padding, dilation), ctx.space)
    how = stride, padding, rest, dilation, groups
    result: Tensor = conv_transpose_operator(y, weight, None, *how)
    return result


def _left_over(windows: list[Window], space: list[int]) -> list[int]:
    """Return, for each axis, how many positions the stride leaves over after the last window."""
    lasts = [w.covers(w.outputs(n) - 1)[-1] for w, n in zip(windows, space, strict=True)]
    return [n + w.after - 1 - last for w, n, last in zip(windows, space, lasts, strict=True)]


def _keep_places(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.space = list(inputs[0].shape[2:])
    ctx.mark_non_differentiable(output[1])
    ctx.save_for_backward(output[1])


def _back_through_max_pool(ctx: Any, gradient: Tensor, _: Any) -> tuple[Any, ...]:
    """Add each gradient at the place of its maximum; a window of padding alone passes none."""
    (places,) = ctx.saved_tensors
    places = places.flatten(2)
    passed = _wide(gradient).flatten(2).masked_fill(places < 0, 0)
    whole = passed.new_zeros(*places.shape[:2], prod(ctx.space))
    to_x = whole.scatter_add(2, places.clamp(min=0), passed)
    return to_x.unflatten(2, ctx.space).to(gradient.dtype), None, None, None, None, None


def _keep_space(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, *ctx.how = inputs
    ctx.space = list(x.shape[2:])


def _back_through_avg_pool(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
    n, c, *outputs = gradient.shape
    size, stride, _, dilation, *_ = ctx.how
    wide = _wide(gradient)
    problem = averaging(torch.empty(0, c, *ctx.space, device="meta"), *ctx.how)
    shares = (wide / divisors(problem, wide)).reshape(n * c, 1, *outputs)
    # Windows that hang over the end give more room after the input, which is cut off again.
    ends = [end for w in problem.windows for end in (w.before, w.room_after)]
    rest = _left_over(sliding_windows(size, stride, ends, dilation), ctx.space)
    ones = shares.new_ones(1, 1, *size)
    to_x = conv_transpose_operator(shares, ones, None, stride, ends, rest, dilation, 1)
    to_x = to_x.reshape(n, c, *ctx.space).to(gradient.dtype)
    return to_x, None, None, None, None, None, None


def _wide(part: Tensor) -> Tensor:
    """Return a tensor in the type to sum in: float32 for half types."""
    return part.float() if part.dtype in (torch.float16, torch.bfloat16) else part


conv_operator.go_back(_back_through_conv, _keep_weighted)
conv_transpose_operator.go_back(_back_through_conv_transpose, _keep_weighted)
conv_weight_gradient_operator.go_back(_back_through_weight_gradient, _keep_factors)
max_pool_operator.go_back(_back_through_max_pool, _keep_places)
avg_pool_operator.go_back(_back_through_avg_pool, _keep_space)
