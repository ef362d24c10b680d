"""Register the operations as operators of torch, which it can trace, map and record.

They take (n, c, *space) on any device, and options with one integer per axis. `padding` holds
(before, after) of each axis in turn. Results have the memory format of `x`, contiguous or channels
last. `torch.func.vmap` folds its axis into the batch, or into the groups if weights are mapped too.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch._library.custom_ops import CustomOpDef
from torch.autograd import forward_ad
from torch.library import custom_op

from convlens.compute.dispatching import execute
from convlens.compute.methods import eager
from convlens.compute.operands.arrays import dtype_of
from convlens.compute.operands.autocast import autocast_off
from convlens.compute.operators import weight_gradient
from convlens.compute.problems import AvgPool, Conv, ConvTranspose, MaxPool, Problem
from convlens.windows import Window

__all__ = [
    "Operator",
    "averaging",
    "avg_pool_operator",
    "check_forward",
    "conv_operator",
    "conv_transpose_operator",
    "conv_weight_gradient_operator",
    "goes_forward",
    "max_pool_operator",
    "sliding_windows",
]


class Operator:
    """A `torch.library` operator that `torch.func` can differentiate as well.

    For that, torch needs the same rules on an `autograd.Function` too. `forward` computes the same
    with torch's own operators, the only ones that have forward-mode derivatives.
    """

    def __init__(
        self,
        operator: CustomOpDef,
        map_rule: Callable[..., Any],
        forward: Callable[..., Any] | None = None,
    ) -> None:
        self.operator, self.forward = operator, forward
        operator.register_vmap(partial(map_rule, operator))
        rules = {
            "forward": staticmethod(operator),
            "vmap": staticmethod(partial(map_rule, self)),
        }
        self._function: Any = type(operator._name, (torch.autograd.Function,), rules)

    def go_back(self, backward: Callable[..., Any], keep: Callable[..., None]) -> None:
        """Set `backward`, which returns the derivatives, and `keep`, which fills its context."""
        self.operator.register_autograd(backward, setup_context=keep)
        self._function.backward = staticmethod(backward)
        self._function.setup_context = staticmethod(keep)

    def __call__(self, *arguments: Any) -> Any:
        """Compute in a way that torch can follow."""
        if self.forward is not None and goes_forward(*arguments):
            return self.forward(*arguments)
        if not torch.compiler.is_compiling() and torch._C._are_functorch_transforms_active():
            return self._function.apply(*arguments)
        return self.operator(*arguments)


@custom_op("convlens::conv", mutates_args=())
def _conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    groups: int,
) -> Tensor:
    """Convolve (n, c, *space) with (k, c/groups, *size) to (n, k, *outputs)."""
    problem = _convolution(x, weight, stride, padding, dilation, groups)
    return _like(x, _compute(problem, x, weight, bias)[0])


@custom_op("convlens::conv_transpose", mutates_args=())
def _conv_transpose(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: list[int],
    padding: list[int],
    output_padding: list[int],
    dilation: list[int],
    groups: int,
) -> Tensor:
    """Transpose-convolve (n, c, *space) with (c, k/groups, *size) to (n, k, *outputs).

    `output_padding` must be below the stride; append zeros to the input for more.
    """
    problem = _transposed(x, weight, stride, padding, output_padding, dilation, groups)
    return _like(x, _compute(problem, x, weight, bias)[0])


@custom_op("convlens::conv_weight_gradient", mutates_args=())
def _conv_weight_gradient(
    x: Tensor,
    gradient: Tensor,
    size: list[int],
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    groups: int,
) -> Tensor:
    """Sum (n, c, *space) times (n, k, *outputs), over n and outputs, to (k, c/groups, *size).

    This is the derivative of sum(conv(x, weight) * gradient) to the weight.
    """
    weight = x.new_empty(gradient.shape[1], x.shape[1] // groups, *size, device="meta")
    problem = _convolution(x, weight, stride, padding, dilation, groups)
    with torch.no_grad():
        return weight_gradient.run(problem, _plain(x), _plain(gradient), _compute)


@custom_op("convlens::max_pool", mutates_args=())
def _max_pool(
    x: Tensor,
    size: list[int],
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    ceil_mode: bool,
) -> tuple[Tensor, Tensor]:
    """Return the maximum of every window of (n, c, *space), and its flat index within space."""
    problem = _maximum(x, size, stride, padding, dilation, ceil_mode)
    y, places = _compute(problem, x, None, None)
    if places is None:
        raise RuntimeError("the method of maximum pooling returned no indices; it must")
    return _like(x, y), _like(x, places)


@custom_op("convlens::avg_pool", mutates_args=())
def _avg_pool(
    x: Tensor,
    size: list[int],
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    ceil_mode: bool,
    count_include_pad: bool,
) -> Tensor:
    """Return the mean of every window of (n, c, *space)."""
    how = stride, padding, dilation, ceil_mode, count_include_pad
    return _like(x, _compute(averaging(x, size, *how), x, None, None)[0])


@_conv.register_fake
def _fake_conv(x: Tensor, weight: Tensor, bias: Tensor | None, *how: Any) -> Tensor:
    return _empty(x, _convolution(x, weight, *how))


@_conv_transpose.register_fake
def _fake_conv_transpose(x: Tensor, weight: Tensor, bias: Tensor | None, *how: Any) -> Tensor:
    return _empty(x, _transposed(x, weight, *how))


@_conv_weight_gradient.register_fake
def _fake_conv_weight_gradient(x: Tensor, gradient: Tensor, size: list[int], *how: Any) -> Tensor:
    return x.new_empty(gradient.shape[1], x.shape[1] // how[-1], *size)


@_max_pool.register_fake
def _fake_max_pool(x: Tensor, *how: Any) -> tuple[Tensor, Tensor]:
    y = _empty(x, _maximum(x, *how))
    return y, torch.empty_like(y, dtype=torch.int64)


@_avg_pool.register_fake
def _fake_avg_pool(x: Tensor, *how: Any) -> Tensor:
    return _empty(x, averaging(x, *how))


def _map_weighted(operator: Any, info: Any, in_dims: Any, *inputs: Any) -> tuple[Tensor, int]:
    """Fold the mapped axis into the batch, or into the groups if weight or bias has it too."""
    (x, weight, bias), (*how, groups) = inputs[:3], inputs[3:]
    count = info.batch_size
    x = _mapped(x, in_dims[0], count)
    if in_dims[1] is None and in_dims[2] is None:
        y = operator(x.flatten(0, 1), weight, bias, *how, groups)
        return y.unflatten(0, x.shape[:2]), 0
    weight = _mapped(weight, in_dims[1], count).flatten(0, 1)
    if bias is not None:
        bias = _mapped(bias, in_dims[2], count).flatten(0, 1)
    y = operator(_among_channels(x), weight, bias, *how, count * groups)
    return y.unflatten(1, (count, y.shape[1] // count)), 1


def _map_weight_gradient(
    operator: Any, info: Any, in_dims: Any, x: Tensor, gradient: Tensor, *how: Any
) -> tuple[Tensor, int]:
    count, (*sizes, groups) = info.batch_size, how
    x = _among_channels(_mapped(x, in_dims[0], count))
    gradient = _among_channels(_mapped(gradient, in_dims[1], count))
    weights: Tensor = operator(x, gradient, *sizes, count * groups)
    return weights.unflatten(0, (count, weights.shape[0] // count)), 0


def _map_max_pool(operator: Any, info: Any, in_dims: Any, x: Tensor, *how: Any) -> Any:
    x = x.movedim(in_dims[0], 0)
    y, places = operator(x.flatten(0, 1), *how)
    return (y.unflatten(0, x.shape[:2]), places.unflatten(0, x.shape[:2])), (0, 0)


def _map_avg_pool(
    operator: Any, info: Any, in_dims: Any, x: Tensor, *how: Any
) -> tuple[Tensor, int]:
    x = x.movedim(in_dims[0], 0)
    y: Tensor = operator(x.flatten(0, 1), *how)
    return y.unflatten(0, x.shape[:2]), 0


def goes_forward(*arrays: object) -> bool:
    """Return whether one of these carries a forward-mode derivative, or may (torch.func wraps it).

    >>> with forward_ad.dual_level():
    ...     goes_forward(torch.ones(1))
    False
    """
    if forward_ad._current_level < 0:
        return False
    wrapped = torch._C._functorch.is_functorch_wrapped_tensor
    return any(
        isinstance(array, Tensor)
        and (wrapped(array) or forward_ad.unpack_dual(array).tangent is not None)
        for array in arrays
    )


def check_forward(problem: Problem) -> None:
    """Raise ValueError if torch's own operators cannot compute a problem."""
    reason = eager.refuses(problem)
    if reason is not None:
        raise ValueError(f"no forward-mode derivative of `x` exists here: {reason}; use backward()")


def _forward_conv(x: Tensor, weight: Tensor, bias: Tensor | None, *how: Any) -> Tensor:
    problem = _convolution(x, weight, *how)
    check_forward(problem)
    return eager.run(problem, x, weight, bias)[0]


def _forward_conv_transpose(x: Tensor, weight: Tensor, bias: Tensor | None, *how: Any) -> Tensor:
    problem = _transposed(x, weight, *how)
    check_forward(problem)
    return eager.run(problem, x, weight, bias)[0]


def _forward_weight_gradient(x: Tensor, gradient: Tensor, size: list[int], *how: Any) -> Tensor:
    weight = x.new_empty(gradient.shape[1], x.shape[1] // how[-1], *size, device="meta")
    problem = _convolution(x, weight, *how)
    check_forward(problem)
    return weight_gradient.by_torch(problem, x, gradient)


conv_operator = Operator(_conv, _map_weighted, _forward_conv)
conv_transpose_operator = Operator(_conv_transpose, _map_weighted, _forward_conv_transpose)
conv_weight_gradient_operator = Operator(
    _conv_weight_gradient, _map_weight_gradient, _forward_weight_gradient
)
max_pool_operator = Operator(_max_pool, _map_max_pool)
avg_pool_operator = Operator(_avg_pool, _map_avg_pool)


def _mapped(part: Tensor, axis: int | None, count: int) -> Tensor:
    """Return the part with its mapped axis in front, or expanded along a new one."""
    return part.expand(count, *part.shape) if axis is None else part.movedim(axis, 0)


def _among_channels(part: Tensor) -> Tensor:
    """Return (count, n, c, *space) as (n, count * c, *space)."""
    return part.movedim(0, 1).flatten(1, 2)


@autocast_off
def _compute(
    problem: Problem, x: Tensor, weight: Tensor | None, bias: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Compute without recording gradients."""
    with torch.no_grad():
        return execute(
            problem,
            _plain(x),
            None if weight is None else _plain(weight),
            None if bias is None else _plain(bias),
        )


def _plain(part: Tensor) -> Tensor:
    """Return the plain numbers: detached, with conjugation and negation carried out."""
    return part.detach().resolve_conj().resolve_neg()


def _format_of(x: Tensor) -> torch.memory_format:
    last = {4: torch.channels_last, 5: torch.channels_last_3d}.get(x.ndim)
    if last is None or x.is_contiguous() or not x.is_contiguous(memory_format=last):
        return torch.contiguous_format
    return last


def _like(x: Tensor, y: Tensor) -> Tensor:
    """Return y in the memory format of x, as the fake operator promises."""
    return y.contiguous(memory_format=_format_of(x))


def _empty(x: Tensor, problem: Problem) -> Tensor:
    shape = (x.shape[0], problem.channels_out, *problem.outputs)
    return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=_format_of(x))


def _convolution(
    x: Tensor,
    weight: Tensor,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    groups: int,
) -> Conv:
    windows = sliding_windows(list(weight.shape[2:]), stride, padding, dilation)
    sizes = _sizes(x)
    return Conv(channels_out=weight.shape[0], windows=tuple(windows), groups=groups, **sizes)


def _transposed(
    x: Tensor,
    weight: Tensor,
    stride: list[int],
    padding: list[int],
    output_padding: list[int],
    dilation: list[int],
    groups: int,
) -> ConvTranspose:
    windows = sliding_windows(list(weight.shape[2:]), stride, padding, dilation)
    writing = [w.transposed(more) for w, more in zip(windows, output_padding, strict=True)]
    out, sizes = weight.shape[1] * groups, _sizes(x)
    return ConvTranspose(channels_out=out, windows=tuple(writing), groups=groups, **sizes)


def averaging(
    x: Tensor,
    size: list[int],
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    ceil_mode: bool,
    count_include_pad: bool,
) -> AvgPool:
    """Return the average pooling that the operator's arguments describe.

    >>> averaging(torch.ones(1, 1, 4), [2], [2], [0, 0], [1], False, True).outputs
    (2,)
    """
    windows = sliding_windows(size, stride, padding, dilation, ceil_mode)
    return AvgPool(windows=tuple(windows), count_include_pad=count_include_pad, **_sizes(x))


def _maximum(x: Tensor, size: list[int], *how: Any) -> MaxPool:
    """Return the maximum pooling with indices that the operator's arguments describe."""
    return MaxPool(windows=tuple(sliding_windows(size, *how)), return_indices=True, **_sizes(x))


def _sizes(x: Tensor) -> dict[str, Any]:
    """Return the fields of a problem that its input determines."""
    n, c, *space = x.shape
    dtype, device = dtype_of("x", x), str(x.device)
    return {"batch": n, "channels": c, "space": tuple(space), "dtype": dtype, "device": device}


def sliding_windows(
    size: list[int],
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    ceil_mode: bool = False,
) -> list[Window]:
    """Return one window per axis from the arguments of an operator.

    >>> sliding_windows([3], [2], [1, 0], [1])
    [Window(size=3, stride=2, dilation=1, before=1, after=0, ceil=False)]
    """
    ends = zip(padding[::2], padding[1::2], strict=True)
    axes = zip(size, stride, dilation, ends, strict=True)
    return [Window(k, s, d, low, high, ceil_mode) for k, s, d, (low, high) in axes]
