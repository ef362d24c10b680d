"""One call: arrays of any kind in, torch's operators where it must see, the result in its place."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from inspect import ismethod
from typing import Any

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

from convlens.compute.memory.arena import check_memory
from convlens.compute.operands.arrays import Array, check_out, store, to_array, to_tensor
from convlens.compute.operands.autocast import autocast_off
from convlens.compute.operators import gradients
from convlens.compute.operators.operators import goes_forward
from convlens.compute.problems import Problem
from convlens.compute.reading.options import needs_gradient
from convlens.compute.showing import Shown

__all__ = ["answer"]

Computed = tuple[Tensor, Tensor | None]

_NO_TENSOR = torch.empty(0)
"""Stands for arrays of NumPy, so that a mode of torch is shown one call, not what it is made of."""


def _shown(
    compute: Callable[[Tensor, Tensor | None], Computed],
    problem: Problem,
    method: str,
    x: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    out: Array | None = None,
) -> Any:
    """Answer a call that was shown, after its arrays."""
    return answer(problem, compute, x, weight, bias, out, method)


def answer(
    problem: Problem,
    compute: Callable[[Tensor, Tensor | None], Computed],
    x: Array,
    weight: Array | None,
    bias: Array | None,
    out: Array | None,
    method: str,
) -> Any:
    """Return what `compute` makes of x as an array like x, or in `out`; with indices, these too.

    `compute` takes and returns tensors with a batch. Where torch must see what is done, as for a
    gradient, it is done by operators of torch instead; raises ValueError if another method than
    that was asked for, if `out` has no memory to write to, or if there is no memory left.
    """
    if torch.compiler.is_compiling():
        return _answer(problem, compute, x, weight, bias, out, method)
    try:
        return _answer(problem, compute, x, weight, bias, out, method)
    except (MemoryError, RuntimeError) as error:
        check_memory(error, f"a result of shape {problem.y_shape}")
        raise


@autocast_off
def _answer(
    problem: Problem,
    compute: Callable[[Tensor, Tensor | None], Computed],
    x: Array,
    weight: Array | None,
    bias: Array | None,
    out: Array | None,
    method: str,
) -> Any:
    arrays = (x, weight, bias)
    if not torch.compiler.is_compiling() and has_torch_function(arrays):
        tensors = [array for array in arrays if isinstance(array, Tensor)]
        settled = method != "auto" or ismethod(compute)  # that of a plan, decided before
        call = Shown(problem, method, settled, partial(_shown, compute))
        given = arrays[: 1 + (weight is not None) + (bias is not None)]
        more = {} if out is None else {"out": out}
        return handle_torch_function(call, tensors or [_NO_TENSOR], *given, **more)
    inputs = {n: a for n, a in (("x", x), ("weight", weight), ("bias", bias)) if a is not None}
    if out is not None:
        if needs_gradient(*inputs.values()):
            raise ValueError("`out` cannot be used where a gradient is required; leave it out")
        if goes_forward(*inputs.values()):
            raise ValueError("`out` cannot hold a forward-mode derivative; leave it out")
        if any(_without_memory(array) for array in inputs.values()):
            raise ValueError(
                "`out` cannot be used where arrays have no memory of their own, as those that "
                "torch.func.vmap maps; leave it out"
            )
        check_out(out, x, problem.y_shape, problem.y_dtype, inputs)
    if gradients.seen_by_torch(*inputs.values()):
        if method not in ("auto", "torch"):
            raise ValueError(
                f'`method` (="{method}") works beside torch, but here torch must follow, as for a '
                'gradient; use "auto" or detach'
            )
        kernel, added = (None if part is None else to_tensor(part) for part in (weight, bias))
        y, places = gradients.differentiable(problem, to_tensor(x), kernel, added)
        if out is not None:
            store(y, out)
        result: Array = y if out is None else out
        return (result, places) if problem.return_indices else result
    canonical = to_tensor(x)
    if not problem.batched:
        canonical = canonical.unsqueeze(0)
    target = _target(problem, out)
    y, places = compute(canonical, target)
    if not problem.batched:
        y, places = y.squeeze(0), None if places is None else places.squeeze(0)
    result = y
    if not isinstance(x, Tensor):
        # As it was asked for, or with the byte order of x.
        result = y.numpy() if problem.out_dtype is not None else to_array(y, x.dtype)
    if out is not None:
        if target is None or target.data_ptr() != y.data_ptr():
            store(result, out)
        result = out
    if not problem.return_indices or places is None:
        return result
    return result, places if isinstance(x, Tensor) else places.numpy()


def _without_memory(array: Array) -> bool:
    """Tell a tensor that torch maps or otherwise wraps, or that lies on the device "meta"."""
    wrapped = torch._C._functorch.is_functorch_wrapped_tensor
    return isinstance(array, Tensor) and (array.is_meta or wrapped(array))


def _target(problem: Problem, out: Array | None) -> Tensor | None:
    """Return `out` as (n, k, *outputs) if results can be written there as they come."""
    if out is None or str(getattr(out, "device", "cpu")) != "cpu":
        return None
    if isinstance(out, Tensor):
        tensor = out
    elif out.flags.c_contiguous and out.dtype.isnative and out.flags.aligned:
        tensor = to_tensor(out)
    else:
        return None
    shape = (problem.batch, problem.channels_out, *problem.outputs)
    return tensor.view(shape) if tensor.is_contiguous() else None
